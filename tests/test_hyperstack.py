"""HyperStack: pages along named axes, whatever their order in the file."""

import gc
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helper import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lazytiff
from lazytiff._dimensions import Dimensions

COUNT = 24
STACK = np.random.default_rng(5).integers(0, 1 << 15, (COUNT, 6, 5)).astype("u2")


def view(base, letters, sizes, planes=None, channels=()):
    """Return a HyperStack over base as a file's description would make it."""
    numbers = None if planes is None else np.asarray(planes, np.intp).reshape(sizes)
    return lazytiff.HyperStack(
        base, Dimensions(letters, sizes, numbers, {}, channels), "plane {} was not written".format
    )


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Return arrays of every kind with the same pixels."""
    folder = tmp_path_factory.mktemp("hyperstack")
    tifffile.imwrite(folder / "lazy.tif", STACK, compression="zlib", rowsperstrip=4, photometric="minisblack")
    tifffile.imwrite(folder / "mapped.tif", STACK, byteorder=">", photometric="minisblack")
    growing = lazytiff.empty(folder / "growing.tif", "u2")
    growing.extend(STACK)
    for number, part in enumerate(np.split(STACK, 4)):
        tifffile.imwrite(folder / f"part{number}.tif", part, photometric="minisblack")
    made = {
        "lazy": lazytiff.open(folder / "lazy.tif"),
        "mapped": lazytiff.open(folder / "mapped.tif", mmap=True),
        "growing": growing,
        "many": lazytiff.open(str(folder / "part*.tif")),
    }
    made["joined"] = lazytiff.concatenate([made["lazy"], made["mapped"]])
    yield made
    for name in ("lazy", "growing", "many"):
        made[name].close()
    made["mapped"].__exit__(None, None, None)


KINDS = ("lazy", "mapped", "growing", "many", "joined")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_permuted_axes(bases, kind, order):
    """Axes may run in any order through the pages; the whole is NumPy's transpose of the reshaped stack."""
    stored = np.arange(COUNT).reshape(4, 3, 2)
    planes = stored.transpose(order)
    expected = STACK.reshape(4, 3, 2, 6, 5).transpose(*order, 3, 4)
    hyper = view(bases[kind], "TZC", planes.shape, planes)
    assert (hyper.shape, hyper.axes, hyper.missing) == (expected.shape, "TZCYX", 0)
    assert hyper.sizes == dict(zip("TZCYX", expected.shape, strict=True))
    assert_same(np.asarray(hyper[...]).astype("u2"), expected)
    assert_same(np.asarray(hyper[1, -1, :, 2:4]).astype("u2"), np.ascontiguousarray(expected[1, -1, :, 2:4]))


def any_key(shape):
    """Return a strategy for keys of every kind that NumPy takes."""
    return st.one_of(
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
        hnp.arrays(bool, shape[:3]),
        hnp.arrays(bool, shape[:1]),
        st.tuples(*[st.lists(st.integers(-size, size - 1), min_size=2, max_size=2) for size in shape]).map(
            lambda lists: tuple(map(np.array, lists))
        ),
        st.tuples(st.just(slice(None)), st.lists(st.integers(0, shape[1] - 1), max_size=4)),
    )


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_index(bases, data):
    """Every index gives what it gives of the eager array, for planes in an order that is no permutation of axes."""
    base = bases[data.draw(st.sampled_from(KINDS))]
    sizes = data.draw(st.sampled_from([(4, 3, 2), (2, 2, 6), (24, 1, 1), (1, 3, 4)]))
    planes = np.random.default_rng(data.draw(st.integers(0, 9))).permutation(COUNT)[: np.prod(sizes)].reshape(sizes)
    hyper = view(base, "TZC", sizes, planes)
    key = data.draw(any_key(hyper.shape))
    found = np.asarray(hyper[key])
    assert_same(found.astype("u2", order="C"), np.array(STACK[planes][key], order="C"))


def test_same_page_twice(bases):
    """Several planes may be one page."""
    hyper = view(bases["lazy"], "TC", (2, 2), [3, 3, 0, 3])
    assert_same(hyper[...], STACK[[3, 3, 0, 3]].reshape(2, 2, 6, 5))


def test_views_of_a_map(bases, tmp_path):
    """Where pages lie at equal distances, a basic index is a view of the file, however the axes run through it."""
    expected = STACK.reshape(4, 3, 2, 6, 5)
    mapped = bases["mapped"]
    whole = np.asarray(mapped)
    for planes in (np.arange(COUNT).reshape(4, 3, 2), np.arange(COUNT).reshape(2, 3, 4).T, np.arange(COUNT)[::-1]):
        sizes = np.shape(planes) if np.ndim(planes) == 3 else (4, 3, 2)
        hyper = view(mapped, "TZC", sizes, planes)
        assert np.shares_memory(hyper[1, 2], whole)
        assert_same(hyper[1, 2].astype("u2"), STACK[np.reshape(planes, sizes)[1, 2]])
        assert not hyper[0].flags.writeable
    irregular = view(mapped, "TZC", (4, 3, 2), np.random.default_rng(0).permutation(COUNT))
    assert not np.shares_memory(irregular[0], whole)
    del whole
    lazytiff.save(tmp_path / "w.tif", STACK)
    with lazytiff.open(tmp_path / "w.tif", mmap=True, mode="r+") as img:
        view(img, "TZC", (4, 3, 2))[2, 1, 1][...] = 7
        assert (img[2 * 6 + 1 * 2 + 1] == 7).all()
        assert_same(np.array(img[:6]), expected[0].reshape(6, 6, 5))


def test_missing_planes(bases):
    """A plane that is not there raises when it is touched, saying where and why, and no other; or it is filled."""
    planes = np.arange(COUNT).reshape(4, 3, 2)
    planes[2, 1, 0] = planes[3, 2, 1] = -1
    expected = STACK.reshape(4, 3, 2, 6, 5).copy()
    for kind in KINDS:
        hyper = view(bases[kind], "TZC", planes.shape, planes)
        assert hyper.missing == 2
        assert_same(np.asarray(hyper[:2]).astype("u2"), expected[:2])
        for key in ((2, 1, 0), ..., (slice(None), 1)):
            with pytest.raises(lazytiff.MissingPlaneError, match=r"plane T=2, Z=1, C=0 is not there: plane 14 was not"):
                hyper[key]
        filled = hyper.filled(9)
        expected[2, 1, 0] = expected[3, 2, 1] = 9
        assert_same(np.asarray(filled[...]).astype("u2"), expected)
        assert_same(np.asarray(filled[2, 1, 0, 3]).astype("u2"), expected[2, 1, 0, 3])
        assert "2 planes missing" in repr(filled)


def test_fill_values(bases):
    """What the dtype does not hold is no value to fill with."""
    hyper = view(bases["lazy"], "T", (2,), [0, -1])
    for wrong in (-1, 1 << 16, 0.5, [1, 2], "x"):
        with pytest.raises(ValueError, match="is no value of uint16"):
            hyper.filled(wrong)


def test_no_leading_axes(bases):
    """A stack whose axes are all of length one is a page."""
    hyper = view(bases["lazy"], "", (), 3)
    assert (hyper.shape, hyper.axes) == ((6, 5), "YX")
    assert_same(hyper[...], STACK[3])
    assert_same(hyper[2], STACK[3, 2])
    assert_same(hyper[[0, 5, 0]], STACK[3][[0, 5, 0]])


def test_reads_what_is_asked(tmp_path):
    """One plane decodes the chunks of one page."""
    tifffile.imwrite(tmp_path / "a.tif", STACK, compression="zlib", photometric="minisblack")
    with lazytiff.open(tmp_path / "a.tif") as img:
        hyper = view(img, "TZC", (4, 3, 2))
        assert img.cache_info().decoded == 0
        hyper[3, 1, 0]
        assert img.cache_info().decoded == 1


def test_as_an_array(bases):
    """It has what arrays have, reads nothing to tell it, and cannot be assigned to."""
    hyper = view(bases["lazy"], "TZ", (8, 3), channels=("DAPI",))
    assert (hyper.ndim, len(hyper), hyper.size, hyper.chunk_shape) == (4, 8, STACK.size, (1, 1, 4, 5))
    assert hyper.channels == ("DAPI",)
    assert hyper.base is bases["lazy"]
    assert_same(np.asarray(hyper), STACK.reshape(8, 3, 6, 5))
    assert_same(np.stack(list(hyper)), STACK.reshape(8, 3, 6, 5))
    assert repr(hyper).startswith("<HyperStack uint16 (8, 3, 6, 5) TZYX of <LazyTiff")
    with pytest.raises(ValueError, match="cannot be changed"):
        hyper[0] = 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("mmap", [False, True])
def test_file_closes_with_its_last_array(tmp_path, mmap):
    """A file that nobody closes is closed when the array and its hyperstack go, at once: they are no circle."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 2, 4, 5), "u2"), imagej=True, metadata={"axes": "TZYX"})
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        img = lazytiff.open(tmp_path / "a.tif", mmap=mmap)
        assert img.hyperstack[2, 1].shape == (4, 5)
        del img
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


def test_closed(tmp_path):
    """It closes with its base."""
    lazytiff.save(tmp_path / "a.tif", STACK)
    img = lazytiff.open(tmp_path / "a.tif")
    hyper = view(img, "TZ", (8, 3))
    img.close()
    with pytest.raises(lazytiff.ClosedError):
        hyper[0]
