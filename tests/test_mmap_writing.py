"""Writing through a mapped file: `img[key] = value`, views in "r+" and "c", and files that refuse it."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import helper
import numpy as np
import pytest
import tiff_bytes
import tifffile
from helper import LONG, Layout, Page, Typed, pixels
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from test_indexing import is_valid, keys
from test_processes import run

import lazytiff
from lazytiff import _assignment

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="these are calls and mounts of Linux")
on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such locks")
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i8", "f2", "f4", "f8", "c8", "c16"]
LOCK_BYTE = (1 << 63) - 2
CHANGING = ["r+", "c"]
PIXELS = pixels((5, 12, 14), "u2", 7)


# ---- files

LAYOUTS = {
    "one strip": {},
    "strips": {"rows_per_strip": 3},
    "strips of one row": {"rows_per_strip": 1},
    "planes": {"planar": 2},
    "planes in strips": {"planar": 2, "rows_per_strip": 2},
    "one tile": {"tile": (12, 14)},
    "tiles that divide": {"tile": (2, 3)},
    "tiles that do not divide": {"tile": (4, 5)},
    "tiles in planes": {"tile": (3, 4), "planar": 2},
}
MIXED = [LAYOUTS[name] for name in ("strips", "one tile", "one strip", "planes", "tiles that do not divide")]


def laid_out(array, options, byteorder):
    """Make a page whose tiles have bytes of 0xAA beyond the page, whatever the pixels."""
    layout = Layout(**options)
    rows, columns = array.shape[:2]
    down, across = layout.tile or (1, 1)
    beyond = np.frombuffer(b"\xaa" * array.itemsize, array.dtype)[0]
    widths = [(0, -rows % down), (0, -columns % across), *[(0, 0)] * (array.ndim - 2)]
    padded = np.pad(array, widths, constant_values=beyond)
    return helper.page(padded, layout, byteorder=byteorder, tags={256: columns, 257: rows})


def build(array, layouts, *, byteorder="<", big=False, seed=None):
    """Write a stack; with a seed, chunks are shuffled and have gaps, unaligned, and pages are at unequal distances."""
    writer, rng = helper._Writer(byteorder, big), np.random.default_rng(seed)
    for number, image in enumerate(array):
        page = laid_out(image, layouts[number % len(layouts)], byteorder)
        order = range(len(page.chunks)) if seed is None else rng.permutation(len(page.chunks))
        offsets = [0] * len(page.chunks)
        for chunk in order:
            writer.bytes += b"\xee" * (0 if seed is None else int(rng.integers(4)))
            offsets[chunk] = len(writer.bytes)
            writer.bytes += page.chunks[chunk]
        places = (324, 325) if 322 in page.tags else (273, 279)
        sizes = [len(chunk) for chunk in page.chunks]
        own = {tag: Typed(LONG, tuple(map(int, values))) for tag, values in zip(places, (offsets, sizes), strict=True)}
        writer.link(writer.write(Page(page.tags | own)))
    return bytes(writer.bytes)


@st.composite
def stacks(draw):
    """Draw an array, and a function that writes any such array as a file of one certain layout."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rows, columns = draw(st.sampled_from([(6, 6), (7, 5), (12, 14), (1, 3), (4, 1)]))
    shape = (draw(st.integers(1, 4)), rows, columns, draw(st.sampled_from([1, 1, 2, 3])))
    array = pixels(shape, dtype, draw(st.integers(0, 9)))
    layouts = draw(st.one_of(st.sampled_from([*LAYOUTS.values()]).map(lambda one: [one]), st.just(MIXED)))
    options = {"byteorder": draw(st.sampled_from("<>")), "big": draw(st.booleans())}
    options["seed"] = draw(st.sampled_from([None, None, 1, 2]))
    return array[..., 0] if shape[-1] == 1 else array, lambda pixels: build(pixels, layouts, **options)


@st.composite
def values(draw, shape):
    """Draw a function of (the array assigned to, another array like it) that returns what to assign to that shape."""
    kind = draw(st.sampled_from(["number", "array", "array", "list", "own", "own", "whole", "other", "other page"]))
    if kind == "number":
        numbers = [0, 7, -1, 200, 300, 70_000, 10**30, True, 3.5, 1 + 2j, None, np.uint8(200), np.int64(-70_000)]
        number = draw(st.sampled_from([*numbers, np.float32(2.5), np.complex64(1j), np.array(5, ">i2"), "7", b"8"]))
        return lambda *_: number
    if kind == "own":
        key = draw(st.one_of(st.sampled_from([slice(1, None), slice(None, -1), slice(None, None, -1)]), st.just(...)))
        return lambda array, _: array[key]
    if kind in ("whole", "other"):
        return lambda array, other: array if kind == "whole" else other
    if kind == "other page":
        return lambda _, other: other[0] if isinstance(other, np.ndarray) else other.pages[0]
    sides = [draw(st.sampled_from([side, side, side, side, 1, side + 1])) for side in shape]
    extra = draw(st.integers(0, 2)) if kind == "array" else 0  # NumPy takes no list that is deeper than its target
    sides = [1] * extra + sides[draw(st.sampled_from([0, 0, *range(len(sides) + 1)])) :]
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    small = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 100, sides) + 0.5
    array = pixels(sides, dtype) if dtype.kind in "iu" else small.astype(dtype)
    form = draw(st.sampled_from([np.asarray, np.asfortranarray, lambda found: found.astype(dtype.newbyteorder())]))
    return (lambda *_: array.tolist()) if kind == "list" else (lambda *_: form(array))


def attempt(array, key, value, other):
    """Assign; return the type of the error that this raised, or None."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            array[key] = value(array, other)
        except Exception as error:  # noqa: BLE001  # any kind may be the right one
            return type(error)
    return None


def without_exceptions(array, key):
    """Return an equal key: NumPy assigns no value of leading axes to a mask of all elements, nor to a single one."""
    mask = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    if isinstance(mask, np.ndarray) and mask.dtype == bool and mask.shape == array.shape:
        return mask.nonzero()
    try:
        single = not isinstance(array[key], np.ndarray)
    except (IndexError, ValueError):
        single = False
    return (*key, ...) if single else key


def shape_of(array, key):
    """Return the shape of what a key selects, () when it selects nothing."""
    try:
        return array[key].shape
    except (IndexError, ValueError):
        return ()


@pytest.fixture(scope="module")
def folder():
    """Return a folder for the examples of Hypothesis."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# ---- assignment


@pytest.mark.parametrize("mode", CHANGING)
@settings(max_examples=4 * settings.default.max_examples)
@given(data=st.data(), stack=stacks(), block_bytes=st.sampled_from([1, 100, 1 << 20]))
def test_assigns_as_numpy_does(mode, data, stack, block_bytes, folder):
    """The file ("r+") or the array alone ("c") holds what NumPy makes of a copy; or NumPy's error, and nothing."""
    array, write = stack
    key = data.draw(st.one_of(keys(array.shape), npst.basic_indices(array.shape), st.just(...)))
    value, other = data.draw(values(shape_of(array, key))), pixels(array.shape, array.dtype, 99)
    expected = array.copy()
    error = attempt(expected, without_exceptions(array, key), value, other)
    expected = array if error else expected
    path = folder / "stack.tif"
    path.write_bytes(write(array))
    with (
        mock.patch.object(_assignment, "_BLOCK_BYTES", block_bytes),
        lazytiff.open(write(other), squeeze=False) as lazy,
        lazytiff.open(path, mode, mmap=True, squeeze=False) as img,
    ):
        before = img[:1]
        raised = attempt(img, key, value, lazy)
        assert raised is error or (raised and error and not is_valid(key, array.shape))  # two errors: any comes first
        assert np.array_equal(img.copy().view("u1"), expected.astype(img.dtype).view("u1"))
        assert not before.flags.writeable or np.array_equal(before, expected[:1], equal_nan=True)
        del before
    assert path.read_bytes() == write(expected if mode == "r+" else array)


@pytest.fixture
def path(tmp_path):
    """Return the path of a stack of five pages, each of one strip."""
    path = tmp_path / "stack.tif"
    path.write_bytes(build(PIXELS, [{}]))
    return path


@pytest.mark.parametrize("block_bytes", [1, 400, 1 << 20])
@pytest.mark.parametrize("mode", CHANGING)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        (slice(1, None), lambda img: img[:-1]),
        (slice(None, -1), lambda img: img[1:]),
        (slice(None), lambda img: img[::-1]),
        ((slice(None), slice(None, None, -1)), lambda img: img[...]),
        (slice(None, None, -1), lambda img: img),
        ((..., slice(None, None, -1)), lambda img: img),
        ([1, 2, 3, 4, 0], lambda img: img),
        (slice(None), lambda img: img[2]),
        (slice(None), lambda img: img.pages[2] if isinstance(img, lazytiff.MmapTiff) else img[2]),
        (slice(None), lambda img: list(img[::-1])),
    ],
)
def test_values_that_overlap_the_target(key, value, mode, block_bytes, path):
    """Pixels of the same array are read before they are overwritten, however many are written at a time."""
    expected = PIXELS.copy()
    expected[key] = value(PIXELS)
    with mock.patch.object(_assignment, "_BLOCK_BYTES", block_bytes), lazytiff.open(path, mode, mmap=True) as img:
        img[key] = value(img)
        assert np.array_equal(img, expected)


@pytest.mark.parametrize("mode", CHANGING)
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (0, 70_000, (OverflowError, "70000")),
        (0, [[70_000] * 14], (OverflowError, "70000")),
        (0, -1, (OverflowError, "-1")),
        (slice(None), np.zeros((2, 12, 14)), (ValueError, r"broadcast.*\(2,12,14\)|broadcast.*\(2, 12, 14\)")),
        (slice(None), [[1, 2], [3]], (ValueError, "inhomogeneous")),
        (5, 0, (IndexError, "out of bounds")),
        ((0, 0, 0, 0), 0, (IndexError, "too many indices")),
        (1.0, 0, (IndexError, "only integers")),
        (0, "x", (ValueError, "x")),
        (0, 1j, (TypeError, "complex")),
    ],
)
def test_errors_write_nothing(key, value, expected, mode, path):
    """What NumPy refuses is refused as NumPy does it, and nothing is written."""
    with lazytiff.open(path, mode, mmap=True) as img:
        with pytest.raises(expected[0], match=expected[1]):
            img[key] = value
        assert np.array_equal(img, PIXELS)
    assert path.read_bytes() == build(PIXELS, [{}])


def test_mode_r_cannot_be_assigned_to(path):
    """The error says which modes can; the views are read-only too."""
    with lazytiff.open(path, mmap=True) as img:
        with pytest.raises(ValueError, match=r"mode='r\+'.*mode='c'"):
            img[0] = 0
        with pytest.raises(ValueError, match="read-only"):
            img[0][...] = 0


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("name", [*LAYOUTS, "mixed"])
def test_tifffile_sees_what_was_assigned(name, byteorder, samples, tmp_path):
    """A box and scattered pixels, of whole chunks and of parts, arrive for other programs as for NumPy."""
    array = np.squeeze(pixels((5, 12, 14, samples), "i2"), -1) if samples == 1 else pixels((5, 12, 14, samples), "i2")
    path = tmp_path / "stack.tif"
    path.write_bytes(build(array, MIXED if name == "mixed" else [LAYOUTS[name]], byteorder=byteorder))
    with lazytiff.open(path, "r+", mmap=True) as img:
        for target in (array, img):
            target[1:4, 3:9, ::-3] = 1234
            target[[4, 0, 2], :, [1, 2, 13]] = -5
            target[-1] = target[0]
    with tifffile.TiffFile(path) as oracle:
        found = [page.asarray() for page in oracle.pages]
    assert np.array_equal(
        [page if page.shape == array.shape[1:] else np.moveaxis(page, 0, -1) for page in found], array
    )


# ---- views


def test_views_in_r_plus_are_the_file(path):
    """What is assigned to a view is in the file, for others at once and after a flush for good."""
    with lazytiff.open(path, "r+", mmap=True) as img:
        view = img[2, 3:9]
        view[...] = 77
        img[3][:, 5] += 1
        img[4, :2] *= 2
        img.flush()
        expected = PIXELS.copy()
        expected[2, 3:9] = 77
        expected[3, :, 5] += 1
        expected[4, :2] *= 2
        program = "import sys, tifffile; sys.stdout.write(tifffile.imread(sys.argv[1]).tobytes().hex())"
        assert run(program, path) == expected.tobytes().hex()
    assert path.read_bytes() == build(expected, [{}])


def test_views_in_c_stay_in_memory(path):
    """Views and the array see each other's changes; the file and another array do not."""
    with lazytiff.open(path, "c", mmap=True) as img, lazytiff.open(path, "c", mmap=True) as other:
        before = img[1]
        img[1, 0] = 9
        before[1] = 8
        img[...] += 1
        assert (img[1, 0] == 10).all()
        assert (before[1] == 9).all()
        assert np.array_equal(other, PIXELS)
    assert path.read_bytes() == build(PIXELS, [{}])


@pytest.mark.parametrize("mode", ["r", *CHANGING])
@pytest.mark.parametrize("options", [{"tile": (4, 5)}, {"tile": (3, 4), "planar": 2}], ids=str)
def test_assembled_copies_are_read_only(options, mode, tmp_path):
    """An assignment to a copy, which would be lost, is an error; one to the array is not."""
    path = tmp_path / "tiles.tif"
    path.write_bytes(build(pixels((3, 12, 14, 2), "u2"), [options], seed=3))
    with lazytiff.open(path, mode, mmap=True) as img:
        for key in (..., 0, (slice(None), 3)):
            with pytest.raises(ValueError, match="read-only"):
                img[key][...] = 0
        assert img[[0, 2]].flags.writeable  # index arrays give copies, as everywhere in NumPy
        if mode != "r":
            img[0] = 5
            assert (img[0] == 5).all()


# ---- pixels that overlap something


def overlapping(what):
    """Build two pages of 4 x 6 bytes in two strips each, of which something lies where it must not."""
    file = tiff_bytes.Builder(big=True)  # whose header has 16 bytes
    spots = [file.put(bytes(range(12)), 16) for _ in range(4)]
    subifd = file.ifd(file.gray(np.ones((3, 4), "u1"), replace=[file.entry(273, LONG, (spots[2] + 4,))]))
    first = {"the header": 8, "itself": spots[1] - 1}.get(what, spots[0])
    text = [file.entry(270, tiff_bytes.ASCII, b"x" * 9, offset=spots[1] + 3)] if what == "a tag" else []
    text += [file.entry(330, LONG, (subifd,))] if what == "a subpage" else []
    strips = [(first, spots[1]), (spots[1] if what == "another page" else spots[2], spots[3])]
    for number, offsets in enumerate(strips):
        more = [
            file.entry(273, LONG, offsets),
            file.entry(278, tiff_bytes.SHORT, (2,)),
            file.entry(279, LONG, (12, 12)),
            *(text if number == 0 else []),
        ]
        at = file.page(file.gray(np.zeros((4, 6), "u1"), replace=more))
        if what == "an IFD" and number == 0:
            file.patch(file.bytes.index(struct.pack("<2I", *offsets)), struct.pack("<2I", at + 4, spots[1]))
    return bytes(file.bytes)


OVERLAPS = {
    "the header": "page 0, chunk 0: .* the header",
    "an IFD": "page 0, chunk 0: .* an IFD",
    "itself": "page 0, chunk 1: .* page 0, chunk 0",
    "another page": "page 1, chunk 0: .* page 0, chunk 1",
    "a tag": "page 0, chunk 1: .* tag 270 of page 0",
    "a subpage": "page 1, chunk 0: .* IFD",
}


@pytest.mark.parametrize("what", ["nothing", *OVERLAPS])
def test_overlaps_are_refused_for_writing(what, tmp_path):
    """To write to such pixels would change something else: "r+" refuses in words, "r" and "c" read them."""
    path = tmp_path / "overlap.tif"
    path.write_bytes(overlapping(what))
    for mode in ("r", "c"):
        with lazytiff.open(path, mode, mmap=True) as img:
            assert img.shape == (2, 4, 6)
            assert np.array_equal(img, lazytiff.load(path))
    if what == "nothing":
        lazytiff.open(path, "r+", mmap=True).close()
        return
    with pytest.raises(lazytiff.NotMappableError, match=r"overlap\.tif: " + OVERLAPS[what]):
        lazytiff.open(path, "r+", mmap=True)
    assert path.read_bytes() == overlapping(what)
