"""How reductions go through a file: every chunk once, on all workers, in bounded memory, and in one order."""

import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from helper import Layout, Typed, assert_same, page, pixels, tiff

import lazytiff
from lazytiff import _ahead, _blocks
from lazytiff.errors import DecodeError

SHAPE = (6, 50, 40)
LAYOUTS = {
    "rows": Layout("deflate", rows_per_strip=1),
    "strips": Layout("deflate", rows_per_strip=16),
    "page": Layout("deflate"),
    "tiles": Layout("deflate", tile=(16, 32)),
    "planar": Layout("deflate", planar=2, rows_per_strip=20),
}
CHUNKS = {"rows": 300, "strips": 24, "page": 6, "tiles": 48, "planar": 54}
ALL = ["max", "min", "sum", "prod", "mean", "var", "std", "argmax", "argmin", "ptp", "count_nonzero"]
TIMEOUT = 60  # seconds, after which a test hangs


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Make blocks of a few chunks each."""
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 5000)


def image(layout, dtype="f4"):
    """Return pixels for a layout: with samples in separate planes, or without."""
    return pixels((*SHAPE, 3) if layout == "planar" else SHAPE, dtype)


def stored(array, layout, **changes):
    """Return a file of these pages."""
    form = Layout(**(vars(LAYOUTS[layout]) | changes))
    return tiff(*[page(one, form) for one in array])


def axes_of(name, ndim):
    """Return some axes to reduce."""
    return [None, 0, ndim - 1] if name in {"argmax", "argmin"} else [None, 0, (1, 2), ndim - 1, ()]


# ---- The same value everywhere


@pytest.mark.parametrize("layout", CHUNKS)
def test_workers(layout):
    """The number of workers makes no difference to any bit."""
    array = image(layout) / 1e3
    for name in ALL:
        for axis in axes_of(name, array.ndim):
            found = []
            for workers in (1, 2, 5):
                with (
                    lazytiff.open(stored(array.astype("f4"), layout), workers=workers) as img,
                    np.errstate(all="ignore"),
                ):
                    found.append(getattr(img, name)(axis=axis))
            assert_same(found[1], found[0])
            assert_same(found[2], found[0])


@pytest.mark.parametrize("layout", CHUNKS)
@pytest.mark.parametrize("byteorder", "<>")
def test_mapped(layout, byteorder, tmp_path):
    """A mapped file gives what the same chunks give that are decoded, bit for bit."""
    array = image(layout)
    form = Layout(**(vars(LAYOUTS[layout]) | {"codec": "none"}))
    if layout in {"tiles", "planar"}:
        form = Layout()  # one view of the file has its pixels in the array's order
    (tmp_path / "a.tif").write_bytes(
        tiff(*[page(one, form, byteorder=byteorder) for one in array], byteorder=byteorder)
    )
    with lazytiff.open(tmp_path / "a.tif") as lazy, lazytiff.open(tmp_path / "a.tif", mmap=True) as mapped:
        for name in ALL:
            for axis in axes_of(name, array.ndim):
                with np.errstate(all="ignore"):
                    found, expected = getattr(mapped, name)(axis=axis), getattr(lazy, name)(axis=axis)
                assert type(found) is type(expected)
                assert_same(found, expected)
        assert_same(mapped.histogram(7)[0], lazy.histogram(7)[0])
        assert mapped.median() == lazy.median()


# ---- Every chunk once


@pytest.mark.parametrize("layout", CHUNKS)
@pytest.mark.parametrize("workers", [1, 2])
def test_decoded_once(layout, workers):
    """A reduction decodes each chunk once, whatever axes are reduced, and without a cache."""
    array = image(layout, "u2")
    for name in [*ALL, "any", "all"]:
        with lazytiff.open(stored(array, layout), workers=workers, cache_bytes=0) as img:
            for number, axis in enumerate(axes_of(name, array.ndim), 1):
                getattr(img, name)(axis=axis) if axis is not None else getattr(img, name)(keepdims=True)
                if name not in {"any", "all"}:
                    assert img.cache_info().decoded == number * CHUNKS[layout]


@pytest.mark.parametrize("layout", CHUNKS)
@pytest.mark.parametrize(
    "key", [np.s_[:, 3:40, ::2], np.s_[::-1, ::-1], np.s_[1:5:3, 7], np.s_[:, ::-3, 5:-1], np.s_[..., 2]]
)
def test_slices_decode_once(layout, key):
    """Of a slice that is not cut where chunks are, each chunk is decoded once at the most."""
    array = image("rows", "u2") if layout != "planar" else image(layout, "u2")
    eager = array[key]
    for name in ("sum", "max", "argmin", "var"):
        with lazytiff.open(stored(array, layout)) as img:
            view = img.lazy[key]
            np.testing.assert_allclose(getattr(view, name)(), getattr(eager, name)(), rtol=1e-12)
            assert img.cache_info().decoded <= CHUNKS[layout]


def test_counted_once():
    """Quantiles and histograms of small integers decode each chunk once, whatever the bins."""
    array = image("tiles", "u2")
    for count in (lambda img: img.median(), lambda img: img.histogram(9), lambda img: img.histogram([0, 5, 500])):
        with lazytiff.open(stored(array, "tiles"), cache_bytes=0) as img:
            count(img)
            assert img.cache_info().decoded == CHUNKS["tiles"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["any", "all"])
def test_truth_stops_early(name, workers, monkeypatch):
    """Of the whole array, no more is read than it takes to know; progress still comes to its end."""
    array = np.zeros(SHAPE, "u2") if name == "all" else np.ones(SHAPE, "u2")
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 800)
    told = []
    with lazytiff.open(stored(array, "rows"), workers=workers) as img:
        with lazytiff.progress(lambda *what: told.append(what)):
            assert getattr(img, name)() == (name == "any")
        assert img.cache_info().decoded < CHUNKS["rows"] / 2
    assert told[0] == (0, array.nbytes, "reduce")
    assert told[-1] == (array.nbytes, array.nbytes, "reduce")


@pytest.mark.parametrize("name", ["any", "all"])
def test_truth_at_the_end(name):
    """What the last element alone tells is found, too."""
    array = np.zeros(SHAPE, "u2") if name == "any" else np.ones(SHAPE, "u2")
    array[-1, -1, -1] = name == "any"
    with lazytiff.open(stored(array, "tiles")) as img:
        assert getattr(img, name)() == (name == "any")
        assert getattr(img, name)(where=np.arange(40) != 39) == (name == "all")
        assert getattr(img > 0, name)() == (name == "any")


def test_checked_before_it_is_read():
    """Arguments that cannot be are refused before a chunk is decoded."""
    array = image("rows", "u2")
    with lazytiff.open(stored(array, "rows")) as img:
        for options in [{"axis": 3}, {"axis": (0, 0)}, {"out": np.zeros(3)}, {"where": np.ones(3, bool)}, {"out": [1]}]:
            for name in ("sum", "mean", "std"):
                with pytest.raises((ValueError, TypeError)):
                    getattr(img, name)(**options)
        for options in [{"axis": 3}, {"axis": (0, 1)}, {"out": np.zeros(3, int)}, {"out": np.zeros(())}]:
            with pytest.raises((ValueError, TypeError)):
                img.argmax(**options)
        assert img.cache_info().decoded == 0


def test_growing(tmp_path):
    """Of a stack that gets a page while it is reduced, the pages count that were there before."""
    array = pixels((5, 8, 6), "u2")
    with lazytiff.empty(tmp_path / "a.tif", "u2") as out:
        out.extend(array[:3])

        class Appending:
            """A mask that is late."""

            def __array__(self, dtype=None, copy=None):
                out.append(array[len(out)])
                return np.ones((), bool)

        assert_same(out.max(axis=(1, 2), where=Appending(), initial=0), array[:3].max(axis=(1, 2)))
        assert_same(out.sum(axis=0, where=Appending()), array[:4].sum(axis=0, dtype="u8"))
        assert out.argmax() == array.argmax()
        assert out.median() == np.median(array)


# ---- When something goes wrong


@pytest.mark.parametrize("workers", [1, 2])
def test_damaged_chunk(workers):
    """A chunk that is damaged is a DecodeError that names its page; the array works as before."""
    array = image("strips", "u2")
    pages = [page(one, LAYOUTS["strips"]) for one in array]
    pages[4].chunks[1] = zlib.compress(b"")
    with lazytiff.open(tiff(*pages), workers=workers) as img:
        for reduce in (img.max, img.std, img.argmin, img.median, img.histogram, (img * 2).sum):
            with pytest.raises(DecodeError, match="page 4"):
                reduce()
        with pytest.raises(DecodeError, match="page 4"):
            img.sum(axis=0)
        assert img.lazy[:4].sum() == array[:4].sum()
        assert_same(img[5], array[5])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("after", [0, 3, 10])
def test_interrupted(workers, after, monkeypatch):
    """Ctrl-C in the middle of a reduction leaves the array usable."""
    array, told = image("rows", "u2"), []
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 800)

    def interrupt(*what):
        told.append(what)
        if len(told) > after:
            raise KeyboardInterrupt

    with lazytiff.open(stored(array, "rows"), workers=workers) as img:
        for reduce in (img.sum, img.argmax, img.median, img.histogram):
            told.clear()
            with pytest.raises(KeyboardInterrupt), lazytiff.progress(interrupt):
                reduce()
        assert img.sum() == array.sum()
        assert_same(img[3], array[3])


def test_progress_of_a_reduction():
    """Progress counts the bytes of the array's pixels, block by block."""
    array, told = image("rows", "u2"), []
    with lazytiff.open(stored(array, "rows")) as img, lazytiff.progress(lambda *what: told.append(what)):
        img.std(axis=0)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[0][0] == 0
    assert told[-1][0] == array.nbytes
    assert {(total, what) for _, total, what in told} == {(array.nbytes, "reduce")}


def test_closed():
    """A closed file is a ClosedError, of a view of it, too."""
    img = lazytiff.open(stored(image("rows", "u2"), "rows"))
    view = img + 1
    img.close()
    for reduce in (img.max, view.max, view.histogram):
        with pytest.raises(lazytiff.ClosedError):
            reduce()


def test_warnings_at_the_users_line():
    """A warning points at the line that asked for the mean of nothing."""
    with lazytiff.open(stored(image("rows", "u2"), "rows")) as img:
        with pytest.warns(RuntimeWarning, match="Mean of empty slice") as caught, np.errstate(all="ignore"):
            assert np.isnan(img.mean(where=False))
        assert caught[0].filename == __file__


def test_errors_of_numpy_states():
    """NumPy's error state holds in the threads that reduce."""
    array = np.full(SHAPE, np.inf, "f4")
    array[3] = -np.inf
    with lazytiff.open(stored(array, "rows")) as img:
        with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
            img.sum()
        with np.errstate(invalid="ignore"):
            assert np.isnan(img.sum())


# ---- Within threads, and of views


def in_time(action):
    """Return what comes of it in another thread, which must end."""
    found = []
    thread = threading.Thread(target=lambda: found.append(action()), daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    assert not thread.is_alive(), "it hangs"
    return found[0]


def test_many_threads():
    """Threads that reduce the same array at the same time get the same."""
    array = image("strips", "u2")
    with lazytiff.open(stored(array, "strips")) as img, ThreadPoolExecutor(8) as pool:
        found = in_time(lambda: list(pool.map(lambda _: (img.sum(), img.std(), img.median()), range(40))))
        assert found == [(array.sum(), img.std(), np.median(array))] * 40


def test_nested():
    """A function of `map` may reduce the same array, in the threads that compute the view."""
    array = image("strips", "u2")
    with lazytiff.open(stored(array, "strips")) as img:
        view = img.map(lambda block: block - float(img.mean()) + float(img.lazy[0].max()), dtype="f8")
        found = in_time(lambda: (view.sum(), view.max(axis=0), view.copy()))
    expected = array - array.mean() + float(array[0].max())
    np.testing.assert_allclose(found[0], expected.sum())
    np.testing.assert_allclose(found[1], expected.max(axis=0))
    np.testing.assert_allclose(found[2], expected)


def test_views():
    """Views reduce as what NumPy computes."""
    array = image("tiles", "u2")
    other = pixels((40,), "u2", 3)
    with lazytiff.open(stored(array, "tiles"), cache_bytes=0) as img:
        cases = [
            (img * 2, array * 2),
            (img - img, array - array),
            (np.sqrt(img) + other, np.sqrt(array) + other),
            (img.astype("f4"), array.astype("f4")),
            (img > img.mean(), array > array.mean()),
            (img.lazy[2], array[2]),
            (img.lazy[:, None, 5:, ::-1], array[:, None, 5:, ::-1]),
            ((img.lazy[1:] - img.lazy[:-1]) // 2, (array[1:] - array[:-1]) // 2),
            (lazytiff.concatenate([img, img.lazy[:2]]), np.concatenate([array, array[:2]])),
            (lazytiff.concatenate([img, img], 2), np.concatenate([array, array], 2)),
            (lazytiff.stack([img, img], 1), np.stack([array, array], 1)),
        ]
        for view, expected in cases:
            for name, axis in itertools.product(["max", "sum", "std", "argmin", "count_nonzero"], [None, 0, -1]):
                if expected.dtype == bool and name == "std":
                    continue
                found, wanted = getattr(np, name)(view, axis=axis), getattr(np, name)(expected, axis=axis)
                rtol = 1e-12 if expected.dtype.kind != "f" else 1e-5
                np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12)
                assert found.dtype == wanted.dtype if isinstance(found, np.ndarray) else type(found) is type(wanted)
        np.testing.assert_array_equal(img.max(axis=0, where=img > 40, initial=0), np.where(array > 40, array, 0).max(0))


def test_hyperstack(tmp_path):
    """A hyperstack reduces along its own axes, whatever the order of the pages."""
    array = pixels((3, 2, 4, 20, 16), "u2")
    tifffile.imwrite(tmp_path / "h.tif", array, imagej=True, metadata={"axes": "TZCYX"}, compression="zlib")
    with lazytiff.open(tmp_path / "h.tif") as img:
        stack = img.hyperstack
        assert stack.axes == "TZCYX"
        for axis in range(5):
            assert_same(stack.max(axis=axis), array.max(axis=axis))
            assert_same(stack.argmax(axis=axis), array.argmax(axis=axis))
        assert_same(stack.sum(axis=(0, 2)), array.sum(axis=(0, 2)))
        assert stack.argmin() == array.argmin()
        assert_same(stack.channel(1).min((0, 1)), array[:, :, 1].min((0, 1)))
        decoded = img.cache_info().decoded
        stack.mean((0, 1))
        assert img.cache_info().decoded == decoded + 24


# ---- Memory


def test_results_are_let_go():
    """What was done ahead is gone with its taker, and does not wait for Python's collector of cycles."""
    alive = []
    gc.disable()
    try:
        for result in _ahead.in_order(lambda _: np.zeros(1000), range(40), 3):
            alive.append(weakref.ref(result))
            del result
            assert all(one() is None for one in alive)
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["dropped", "closed", "failed"])
def test_what_was_begun_is_let_go(how):
    """Who gives up half way leaves neither blocks nor files to Python's collector of cycles."""
    img = lazytiff.open(stored(image("rows"), "rows"), workers=4)
    file, done = weakref.ref(img._file), threading.Semaphore(0)
    view = img.map(lambda block: done.release() or (block if how != "failed" else block[0]), dtype="f4")
    gc.collect()
    gc.disable()
    try:
        blocks = view.iter_blocks(5000)
        if how == "failed":
            with pytest.raises(ValueError, match="a block of the same shape"):
                next(blocks)
        else:
            next(blocks)
            for _ in range(4):
                assert done.acquire(timeout=TIMEOUT)  # some are ready, and nobody takes them
        if how == "closed":
            blocks.close()
        del img, view, blocks
        end = time.monotonic() + 5  # while the threads of the pool end what they do
        while file() is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert file() is None
    finally:
        gc.enable()


def test_results_count_as_memory(monkeypatch):
    """Where results of blocks are larger than blocks, fewer are done ahead."""
    array = image("page", "u1")
    asked = []
    monkeypatch.setattr(_ahead, "in_order", lambda task, items, ahead: asked.append(ahead) or map(task, items))
    monkeypatch.setattr(_blocks, "BUDGET_BYTES", 60000)
    with lazytiff.open(stored(array, "page"), workers=8) as img:
        img.max(axis=0)
        img.std(axis=0)
        img.std()
    assert asked == [60000 // 4000 - 1, 60000 // (12 * 2000) - 1, 60000 // 4000 - 1]


CHILD = """
    import resource, sys
    import numpy as np
    import lazytiff

    img = lazytiff.open(sys.argv[1], workers=16, cache_bytes=1 << 20)
    img.lazy[:2].std(axis=0)  # libraries, threads
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    eval(sys.argv[2], {"img": img, "np": np})
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return the path of a file of 400 pages of 1 MiB, all of whose chunks are the same bytes of the file."""
    rows = np.random.default_rng(0).integers(0, 255, (64, 1024)).astype("u1").repeat(16, 0)
    first = page(rows, Layout("deflate", rows_per_strip=256), tags={})
    data = bytearray(tiff(first))
    offsets = [data.find(chunk) for chunk in first.chunks]
    shared = {273: Typed(4, tuple(offsets)), 279: Typed(4, tuple(map(len, first.chunks)))}
    path = tmp_path_factory.mktemp("large") / "large.tif"
    path.write_bytes(tiff(first, *[page_of(first, shared) for _ in range(399)]))
    return path


def page_of(first, shared):
    """Return a page that has the first one's chunks."""
    return type(first)(first.tags | shared)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
@pytest.mark.parametrize(
    "code",
    [
        "img.sum()",
        "img.max(axis=0)",
        "img.std(axis=0)",
        "img.argmax()",
        "(img * 1.5).mean()",
        "img.sum(axis=0, where=img > 5)",
        "img.median()",
        "img.histogram(50)",
        "(img + 0.5).histogram(50)",
        "img.any(axis=(1, 2))",
        "sum(block.size for _, block in img.iter_blocks())",
    ],
)
def test_bounded_memory(large, code):
    """400 MiB are reduced by 16 threads in the budget, the result, and room for NumPy's own copies of blocks."""
    script = textwrap.dedent(CHILD)
    many = os.environ | {"LAZYTIFF_NUM_THREADS": "16"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(large), code], env=many, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 200
