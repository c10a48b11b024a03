"""Opening: what an array says of itself, which pages it takes, and what opening refuses."""

from __future__ import annotations

import copy
import importlib.metadata
import struct
import tracemalloc

import helper
import numpy as np
import pytest
import tiff_bytes
from tiff_bytes import ASCII, BYTE, DOUBLE, LONG, SHORT, SLONG, Builder

import lazytiff

STACK = tiff_bytes.frames(5)
RGB = helper.pixels((20, 33, 3), "u2")


def stack_file(**options):
    """Build the bytes of an uncompressed stack."""
    return bytes(tiff_bytes.stack(STACK, **options).bytes)


def open_rgb(pages=1, **options):
    """Open RGB pages in tiles."""
    page = helper.page(RGB, tile=(16, 16), codec="deflate")
    return lazytiff.open(helper.tiff(*[page] * pages), **options)


# ---- what an array says


def test_properties():
    """Shape, dtype, sizes, axes and chunk shape are there without reading a pixel."""
    with open_rgb(pages=2) as img:
        assert isinstance(img, lazytiff.LazyTiff)
        assert isinstance(img, lazytiff.TiffArray)
        assert img.shape == (2, 20, 33, 3)
        assert img.ndim == 4
        assert img.size == 2 * 20 * 33 * 3
        assert img.dtype == np.dtype("u2")
        assert img.dtype.isnative
        assert img.itemsize == 2
        assert img.nbytes == 2 * img.size
        assert img.axes == "IYXS"
        assert img.chunk_shape == (1, 16, 16, 3)
        assert len(img) == 2
        assert img.mode == "r"
        assert img.closed is False
        assert img.cache_info().decoded == 0
    assert img.closed is True


def test_iteration():
    """Iterating gives the pages one after the other, as arrays."""
    with lazytiff.open(stack_file()) as img:
        found = list(img)
        assert all(type(page) is np.ndarray for page in found)
        np.testing.assert_array_equal(found, STACK)
        np.testing.assert_array_equal(next(iter(img.pages)), STACK[0])


def test_pages():
    """`pages` is a sequence of lazy arrays of one page each."""
    with open_rgb(pages=3) as img:
        assert len(img.pages) == 3
        page = img.pages[1]
        assert isinstance(page, lazytiff.TiffPage)
        assert page.number == 1
        assert (page.shape, page.axes, page.chunk_shape) == ((20, 33, 3), "YXS", (16, 16, 3))
        assert page.compression == "deflate"
        assert [p.number for p in img.pages[::-1]] == [2, 1, 0]
        assert img.pages[-1].number == 2
        assert page.pages[0].number == 1
        for wrong in (3, -4):
            with pytest.raises(IndexError):
                img.pages[wrong]
        np.testing.assert_array_equal(page[3:5, ::2], RGB[3:5, ::2])


def test_chunk_shape_of_planes():
    """Samples that are stored apart are decoded apart."""
    with lazytiff.open(helper.tiff(helper.page(RGB, tile=(16, 16), codec="lzw", planar=2))) as img:
        assert img.chunk_shape == (16, 16, 1)


@pytest.mark.parametrize(("count", "squeeze", "shape", "axes"), [(1, True, (3, 4), "YX"), (1, False, (1, 3, 4), "IYX"), (2, True, (2, 3, 4), "IYX")])
def test_squeeze(count, squeeze, shape, axes):
    """A single page comes without a page axis unless squeeze is False."""
    data = bytes(tiff_bytes.stack(STACK[:count]).bytes)
    with lazytiff.open(data, squeeze=squeeze) as img:
        assert (img.shape, img.axes, len(img.chunk_shape)) == (shape, axes, len(shape))
        np.testing.assert_array_equal(img, STACK[:count].reshape(shape))
    assert lazytiff.load(data, squeeze=squeeze).shape == shape


def test_repr():
    """repr is one line: type, name, dtype, shape, axes, codecs; whether it is closed."""
    img = open_rgb(pages=2)
    assert repr(img).startswith("<LazyTiff <bytes of ")
    assert repr(img).endswith("uint16 (2, 20, 33, 3) IYXS, deflate>")
    assert repr(img.pages[1]).startswith("<TiffPage 1 of ")
    assert repr(img.pages) == "<2 pages>"
    img.close()
    assert repr(img).endswith("deflate, closed>")
    with lazytiff.TiffFile(stack_file()) as tif:
        assert repr(tif).startswith("<TiffFile ")
        assert repr(tif).endswith("5 pages>")
    assert "\n" not in repr(img) + repr(tif)


def test_explain(tmp_path):
    """explain() tells where the pixels are, how they are stored and what the cache did; also of several layouts."""
    pages = [helper.page(RGB, tile=(16, 16), codec="deflate", predictor=2), helper.page(RGB, rows_per_strip=7, planar=2)]
    path = tmp_path / "two.tif"
    path.write_bytes(helper.tiff(*pages, byteorder="<", big=True))
    with lazytiff.open(path) as img:
        text = img.explain()
        for words in (str(path), "BigTIFF", "little-endian", "1 of 2 pages", "horizontal predictor", "tiles of 16 x 16", "strips of 7 x 33", "cache"):
            assert words in text
        img[0, 0, 0]
        assert img.explain() != text


def test_about():
    """The version is the distribution's; info() names versions and codecs."""
    assert lazytiff.__version__ == importlib.metadata.version("lazytiff")
    info = lazytiff.info()
    assert info["lazytiff"] == lazytiff.__version__
    assert info["numpy"] == np.__version__
    assert tuple(map(int, info["libtiff"].split("."))) >= (4, 5)
    assert {"none", "lzw", "packbits"} <= set(info["codecs"])


def test_copies():
    """`copy()`, copy.copy and load give arrays in memory, writable, that share nothing."""
    with lazytiff.open(stack_file()) as img:
        first = img.copy()
        assert type(first) is np.ndarray
        assert first.flags.writeable
        assert first.flags.owndata or first.base is not None
        first[...] = 0
        np.testing.assert_array_equal(img.copy(), STACK)
    np.testing.assert_array_equal(lazytiff.load(stack_file()), STACK)


# ---- NumPy's protocol


def test_array():
    """np.asarray reads everything, in the dtype that is asked for; NumPy's functions take the array."""
    with lazytiff.open(stack_file()) as img:
        assert np.asarray(img).dtype == np.uint8
        assert np.asarray(img, dtype="f4").dtype == np.float32
        assert np.array(img, dtype="i8", copy=True).dtype == np.int64
        np.testing.assert_array_equal(np.asarray(img, dtype="f4"), STACK.astype("f4"))
        assert np.asarray(img) is not np.asarray(img)
        assert np.stack([img, img]).shape == (2, 5, 3, 4)
        assert np.max(img[2]) == STACK[2].max()


def test_array_without_a_copy():
    """What cannot be had without a copy is a ValueError, by NumPy 2's rules."""
    with lazytiff.open(stack_file()) as img:
        with pytest.raises(ValueError, match="copy"):
            np.asarray(img, copy=False)
        with pytest.raises(ValueError, match="copy"):
            img.__array__(copy=False)
        assert np.asarray(img, copy=None).shape == img.shape


def test_assignment():
    """Assigning is a ValueError that advises `copy()`; nothing is changed."""
    with lazytiff.open(stack_file()) as img:
        for key in (0, (0, 0, 0), ..., slice(None)):
            with pytest.raises(ValueError, match=r"copy\(\)"):
                img[key] = 1
        np.testing.assert_array_equal(img, STACK)
        assert not hasattr(img, "__iadd__")


def test_implicit_conversion_is_bounded(monkeypatch):
    """np.asarray above `lazytiff.limits.implicit_bytes` is a LimitError with the size and `copy()`; indexing is not."""
    monkeypatch.setattr(lazytiff.limits, "implicit_bytes", STACK.nbytes - 1)
    with lazytiff.open(stack_file()) as img:
        with pytest.raises(lazytiff.LimitError, match=rf"{STACK.nbytes} bytes.*copy\(\)"):
            np.asarray(img)
        np.testing.assert_array_equal(img[:4], np.asarray(img.pages[0:4][0])[None] + STACK[:4] - STACK[0])
        np.testing.assert_array_equal(img.copy(), STACK)
        np.testing.assert_array_equal(img[...], STACK)
        np.testing.assert_array_equal(lazytiff.load(stack_file()), STACK)
        monkeypatch.setattr(lazytiff.limits, "implicit_bytes", STACK.nbytes)
        np.testing.assert_array_equal(np.asarray(img), STACK)
        monkeypatch.setattr(lazytiff.limits, "implicit_bytes", None)
        np.testing.assert_array_equal(np.asarray(img), STACK)


# ---- arguments


@pytest.mark.parametrize("mode", ["w", "r+", "c", "a", "rb", "", None, "R"])
@pytest.mark.parametrize("opener", [lazytiff.open, lazytiff.load])
def test_mode(opener, mode, tmp_path):
    """Any mode but those that there are is a ValueError that lists them; no file is made."""
    with pytest.raises(ValueError, match="mode must be 'r'"):
        opener(tmp_path / "none.tif", mode)
    assert list(tmp_path.iterdir()) == []


def test_mapping_is_not_there_yet():
    """open(mmap=True) says why not; load(mmap=True) warns and falls back."""
    with pytest.raises(lazytiff.NotMappableError):
        lazytiff.open(stack_file(), mmap=True)
    with pytest.warns(lazytiff.TiffWarning, match="map") as caught:
        img = lazytiff.load(stack_file(), mmap=True)
    assert caught[0].filename == __file__
    assert isinstance(img, lazytiff.LazyTiff)
    img.close()


@pytest.mark.parametrize(("name", "value", "error"), [("workers", 0, ValueError), ("workers", -1, ValueError), ("workers", 1.5, TypeError),
    ("workers", "2", TypeError), ("cache_bytes", -1, ValueError), ("cache_bytes", None, TypeError), ("cache_bytes", "1", TypeError),
    ("codecs", "zip", ValueError), ("codecs", ["lzw", "zip"], ValueError)])  # fmt: skip
@pytest.mark.parametrize("opener", [lazytiff.open, lazytiff.load, lazytiff.TiffFile])
def test_bad_options(opener, name, value, error, tmp_path):
    """Options that make no sense are refused before the file is touched."""
    with pytest.raises(error):
        opener(tmp_path / "none.tif", **{name: value})


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_workers(workers):
    """Any number of workers reads the same."""
    with open_rgb(pages=7, workers=workers, cache_bytes=0) as img:
        np.testing.assert_array_equal(img, np.stack([RGB] * 7))


def test_codecs():
    """Only the codecs that were asked for are used; tags and shape are there all the same."""
    data = helper.tiff(helper.page(RGB, codec="lzw"))
    np.testing.assert_array_equal(lazytiff.load(data, codecs="lzw"), RGB)
    np.testing.assert_array_equal(lazytiff.load(data, codecs=["deflate", "lzw"]), RGB)
    np.testing.assert_array_equal(lazytiff.load(data, codecs="all"), RGB)
    with lazytiff.open(data, codecs=["none", "deflate"]) as img:
        assert img.shape == RGB.shape
        with pytest.raises(lazytiff.UnsupportedTiffError, match="Compression 5 is not among"):
            img.copy()
    with pytest.raises(lazytiff.UnsupportedTiffError):
        lazytiff.load(data, codecs=[])


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (0, [0]),
        (-1, [4]),
        (np.int64(3), [3]),
        (slice(None), [0, 1, 2, 3, 4]),
        (slice(1, 4, 2), [1, 3]),
        (slice(None, None, -1), [4, 3, 2, 1, 0]),
        (slice(3, 99), [3, 4]),
        ([2], [2]),
        ([4, 0, 0, -2], [4, 0, 0, 3]),
        (range(1, 3), [1, 2]),
        ((1, 2), [1, 2]),
        (np.array([0, 3], "u1"), [0, 3]),
    ],
)
def test_chosen_pages(pages, expected):
    """An int, a slice or a sequence of ints chooses pages, in that order; one page is squeezed."""
    with lazytiff.open(stack_file(), pages=pages) as img:
        np.testing.assert_array_equal(img, STACK[expected] if len(expected) > 1 else STACK[expected[0]])
        assert [page.number for page in img.pages] == expected
    with lazytiff.open(stack_file(), pages=pages, squeeze=False) as img:
        np.testing.assert_array_equal(img[::-1], STACK[expected][::-1])


@pytest.mark.parametrize(("pages", "error"), [(5, IndexError), (-6, IndexError), ([0, 5], IndexError), ([1 << 40], IndexError), ([], ValueError),
    (slice(3, 3), ValueError), (slice(9, 10), ValueError), (1.5, TypeError), ("1", TypeError), ([[0, 1]], TypeError), ([True, False], TypeError),
    ([0.0], TypeError), ([1 << 70], (IndexError, TypeError))])  # fmt: skip
def test_pages_that_are_not_there(pages, error):
    """A page outside of the file is an IndexError that says how many there are; choosing none is a ValueError."""
    with pytest.raises(error) as caught:
        lazytiff.open(stack_file(), pages=pages)
    if error is IndexError:
        assert "5 pages" in str(caught.value)


# ---- frame types


def mixed_file():
    """Build a file of a thumbnail before, labels within, and a broken page behind a stack: 1 + 2 + 1 + 2 + 1 pages."""
    file = Builder()
    labels = STACK[0].astype("u2")
    for pixels in (STACK[0][:2, :2], STACK[0], STACK[1], labels, STACK[2], STACK[3]):
        file.page(file.gray(pixels))
    file.page(file.gray(STACK[4])[1:])
    return bytes(file.bytes)


def test_pages_of_several_types():
    """The error names the first page that is unlike the first one and both ways on, with sizes."""
    with pytest.raises(lazytiff.FrameTypeError) as caught:
        lazytiff.open(mixed_file())
    text = str(caught.value)
    for words in ("page 1 ", "3 x 4 uint8", "page 0", "2 x 2 uint8", "pages=", "lazytiff.TiffFile(path).stacks"):
        assert words in text
    with pytest.raises(lazytiff.FrameTypeError):
        lazytiff.load(mixed_file())


@pytest.mark.parametrize(
    ("pages", "odd"), [(slice(1, None), 3), ([1, 2, 4, 3], 3), ([4, 1, 6, 3], 6), ([1, 4, 0], 0), ([2, 3, 0], 3), (slice(4, None), 6), ([3, 1], 1)]
)
def test_first_odd_page(pages, odd):
    """The page that the error names is the first one in the order that was asked for."""
    with pytest.raises(lazytiff.FrameTypeError, match=rf": page {odd} "):
        lazytiff.open(mixed_file(), pages=pages)


def test_stacks():
    """Each frame type is a stack of its own, in the order of first pages; a broken page is in none."""
    with lazytiff.TiffFile(mixed_file()) as tif:
        assert len(tif.pages) == 7
        found = tif.stacks
        assert [stack.shape for stack in found] == [(1, 2, 2), (4, 3, 4), (1, 3, 4)]
        assert [stack.dtype for stack in found] == [np.uint8, np.uint8, np.uint16]
        np.testing.assert_array_equal(found[1], STACK[:4])
        assert [page.number for page in found[1].pages] == [1, 2, 4, 5]
        np.testing.assert_array_equal(found[2][0], STACK[0])
    with lazytiff.open(mixed_file(), pages=[1, 2, 4, 5]) as img:
        np.testing.assert_array_equal(img, STACK[:4])


def test_broken_page():
    """A page without a width keeps its tags; whatever concerns its pixels is the reason; the other pages are fine."""
    with lazytiff.TiffFile(mixed_file()) as tif:
        page = tif.pages[6]
        assert page.tags["ImageLength"] == 3
        assert "unreadable" in repr(page)
        for use in (lambda: page.shape, lambda: page[0], page.copy, lambda: np.asarray(page), lambda: page.dtype):
            with pytest.raises(lazytiff.CorruptTiffError, match="page 6.*ImageWidth"):
                use()
        np.testing.assert_array_equal(tif.pages[5], STACK[3])
    with pytest.raises(lazytiff.CorruptTiffError, match="ImageWidth"):
        lazytiff.open(mixed_file(), pages=6)


def test_layouts_may_differ():
    """Pages of one frame type form a stack however each is stored."""
    pixels = helper.pixels((4, 40, 50), "u2")
    layouts = [{"codec": "lzw", "tile": (16, 16)}, {}, {"codec": "deflate", "predictor": 2, "rows_per_strip": 7}, {"codec": "packbits"}]
    data = helper.tiff(*(helper.page(page, **layout) for page, layout in zip(pixels, layouts, strict=True)))
    with lazytiff.open(data) as img:
        assert img.shape == pixels.shape
        np.testing.assert_array_equal(img, pixels)
        np.testing.assert_array_equal(img[::-1, 5:30:3, [7, 49, 0]], pixels[::-1, 5:30:3, [7, 49, 0]])
        assert "lzw, none, deflate, packbits" in repr(img)


# ---- what opening refuses

IN_THE_HEADER = struct.pack("<2sHI", b"II", 42, 4)


@pytest.mark.parametrize(
    "data",
    [b"", *(b"II*\0\x08\0\0\0"[:n] for n in range(1, 8)), b"II\0*\x08\0\0\0", b"MM*\0\0\0\0\x08", b"IM*\0\x08\0\0\0", b"II\x2c\0\x08\0\0\0",
     b"\x89PNG\r\n\x1a\n", bytes(100), b"II+\0\x08\0\0\0\x10\0\0\0", b"II+\0\x04\0\0\0" + bytes(8), b"II+\0\x08\0\x01\0" + bytes(8)],
)  # fmt: skip
def test_not_a_tiff(data):
    """Whatever does not begin with a whole TIFF or BigTIFF header is NotTiffError."""
    for opener in (lazytiff.open, lazytiff.load, lazytiff.TiffFile):
        with pytest.raises(lazytiff.NotTiffError):
            opener(bytearray(data))


@pytest.mark.parametrize("first", [4, 5, 90, 91, 2**31, 2**32 - 1])
def test_first_page_is_not_there(first):
    """A header that leads out of the file, into itself or to its last byte is an error, not an empty file."""
    data = bytearray(stack_file()[:92])
    data[4:8] = struct.pack("<I", first)
    with pytest.raises((lazytiff.CorruptTiffError, lazytiff.LimitError)):
        lazytiff.TiffFile(data)


@pytest.mark.parametrize("first", [15, 2**40, 2**63, 2**64 - 1])
def test_first_page_of_bigtiff_is_not_there(first):
    """The same in 64 bits."""
    data = bytearray(stack_file(big=True))
    data[8:16] = struct.pack("<Q", first)
    with pytest.raises((lazytiff.CorruptTiffError, lazytiff.LimitError)):
        lazytiff.open(data)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
def test_no_pages_yet(big):
    """A header that leads nowhere is a file whose writer has not published a page: no pages, and no stack."""
    data = bytes(Builder(big=big).bytes)
    with lazytiff.TiffFile(bytearray(data)) as tif:
        assert len(tif.pages) == 0
        assert list(tif.pages) == tif.stacks == []
        assert tif.bigtiff is big
        with pytest.raises(IndexError):
            tif.pages[0]
    for opener in (lazytiff.open, lazytiff.load):
        with pytest.raises(lazytiff.EmptyStackError, match="no pages"):
            opener(bytearray(data))


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
def test_file_properties(byteorder, tmp_path):
    """TiffFile knows the path, the byte order and the kind of file."""
    path = tmp_path / "stack.tif"
    path.write_bytes(stack_file(byteorder=byteorder, big=True))
    with lazytiff.TiffFile(path) as tif:
        assert (tif.byteorder, tif.bigtiff, tif.path, tif.closed) == (byteorder, True, str(path), False)
        np.testing.assert_array_equal(tif.stacks[0], STACK)
    assert tif.closed


def huge(rows, columns, counts=(LONG, (12,)), offset=8, **options):
    """Build a file of a hundred bytes or two whose page claims to be of that size."""
    file = Builder(**options)
    entries = [file.entry(256, LONG, (columns,)), file.entry(257, LONG, (rows,)), file.entry(278, LONG, (rows,))]
    kind, values = counts
    replace = [*entries, file.entry(279, kind, values), file.entry(273, LONG, (offset,) * max(1, len(values)))]
    file.page(file.gray(STACK[0], replace=replace))
    return bytes(file.bytes)


@pytest.mark.parametrize("size", [(2**32 - 1, 2**32 - 1), (2**31, 2**31), (2**20, 2**20), (1 << 14, 1 << 14)])
@pytest.mark.parametrize("read", [lambda img: img.copy(), lambda img: img[...], np.asarray, lambda img: img[::2, 1:]])
def test_larger_than_the_file(size, read):
    """A page that claims more than its file can hold is a LimitError before memory is taken; its tags are readable."""
    data = huge(*size)
    with lazytiff.TiffFile(data) as tif:
        assert tif.pages[0].tags["ImageWidth"] == size[1]
        tracemalloc.start()
        try:
            with pytest.raises(lazytiff.LimitError):
                read(tif.pages[0])
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "counts", [(BYTE, b"\x0c"), (BYTE, bytes([12] * 12)), (ASCII, b"12\0"), (SLONG, (-5,)), (SLONG, (-5,) * 3), (DOUBLE, (1e300, 1.0)), (SHORT, ())]
)
def test_larger_than_the_file_with_strange_counts(counts):
    """The same whatever the strips' lengths are said to be: a documented error."""
    with lazytiff.TiffFile(huge(1 << 17, 1 << 17, counts)) as tif, pytest.raises(lazytiff.TiffError):
        tif.pages[0].copy()


def test_larger_than_memory_and_left_out():
    """A page whose only strip is left out of the file is all nodata: a part is read; the whole is no crash."""
    with lazytiff.TiffFile(huge(2**31 - 1, 2**28, (LONG, (0,)), offset=0)) as tif:
        page = tif.pages[0]
        assert page.shape == (2**31 - 1, 2**28)
        np.testing.assert_array_equal(page[5:9, -3:], np.zeros((4, 3)))
        with pytest.raises(MemoryError):
            page.copy()


# ---- what opening costs


class Far:
    """A file of pages a megabyte apart, most of it holes: remembers which ranges were read."""

    def __init__(self, count, distance=1 << 20):
        self.size = count * distance + 16
        self.parts, self.read = {}, []
        for i in range(count):
            file = Builder(big=True)
            at = i * distance + 16 + 512 * 1024
            replace = [file.entry(tag, LONG, (1024,)) for tag in (256, 257)]
            more = [file.entry(270, ASCII, b"", count=5000, offset=at + 8192), file.entry(273, LONG, (at + 20000,))]
            entries = file.gray(STACK[0], *more, replace=replace)
            follow = at + distance if i < count - 1 else 0
            self.parts[at] = struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", follow)
        self.parts[0] = bytes(Builder(big=True, first=16 + 512 * 1024).bytes)
        self.distance = distance

    def read_ranges(self, ranges):
        self.read += ranges
        return [self.bytes(*range_) for range_ in ranges]

    def bytes(self, offset, length):
        result = bytearray(length)
        for at in (0, (offset - 16) // self.distance * self.distance + 16 + 512 * 1024):
            part = self.parts.get(at, b"")
            if at <= offset < at + len(part):
                part = part[offset - at : offset - at + length]
                result[: len(part)] = part
        return bytes(result)


def test_opening_reads_the_chain_and_nothing_else():
    """Opening a file of 1,000 pages far apart reads each IFD once, 4 KiB at a time; no value, no pixel."""
    file = Far(1000)
    with lazytiff.open(file) as img:
        assert img.shape == (1000, 1024, 1024)
        ifds = sorted(file.parts)[1:]
        assert len(file.read) <= 1010
        assert sum(length for _, length in file.read) <= 1010 * 4096
        assert all(any(at <= offset < at + 4096 for at in (0, ifds[i])) for i, (offset, _) in zip([0, *range(1000)], file.read, strict=True))
        before = len(file.read)
        _ = img.pages[500], img.pages[500].shape, repr(img), img.explain(), len(img.pages)
        assert len(file.read) == before
        assert img.tags["ImageWidth"] == 1024
        assert len(file.read) - before <= 2


def test_no_copy_module_surprises():
    """copy.copy and copy.deepcopy of an open array do not duplicate its handle: one may be closed without the other."""
    img = lazytiff.open(stack_file())
    for duplicate in (copy.copy, copy.deepcopy):
        try:
            other = duplicate(img)
        except TypeError:
            continue
        np.testing.assert_array_equal(np.asarray(other), STACK)
    img.close()
