"""What opening refuses: no TIFF file, no pages, claims of more than there is. And what opening costs."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
import tiff_bytes
from tiff_bytes import ASCII, BYTE, DOUBLE, LONG, SHORT, SLONG, Builder

import lazytiff

STACK = tiff_bytes.frames(5)


def stack_file(**options):
    """Build the bytes of an uncompressed stack."""
    return bytes(tiff_bytes.stack(STACK, **options).bytes)


# ---- what opening refuses


@pytest.mark.parametrize(
    "data",
    [
        *(b"II*\0\x08\0\0\0"[:length] for length in range(8)),
        b"II\0*\x08\0\0\0",
        b"MM*\0\0\0\0\x08",
        b"IM*\0\x08\0\0\0",
        b"II\x2c\0\x08\0\0\0",
        b"\x89PNG\r\n\x1a\n",
        bytes(100),
        b"II+\0\x08\0\0\0\x10\0\0\0",
        b"II+\0\x04\0\0\0" + bytes(8),
        b"II+\0\x08\0\x01\0" + bytes(8),
    ],
)
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
    "counts",
    [
        (BYTE, b"\x0c"),
        (BYTE, bytes([12] * 12)),
        (ASCII, b"12\0"),
        (SLONG, (-5,)),
        (SLONG, (-5,) * 3),
        (DOUBLE, (1e300, 1.0)),
        (SHORT, ()),
    ],
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


@pytest.mark.parametrize("samples", [1, 3])
def test_long_rows_that_are_left_out(samples):
    """However long its rows, a strip that is left out reads as GDAL_NODATA wherever one looks."""
    file = Builder()
    entries = [
        file.entry(256, LONG, (100_001,)),
        file.entry(277, SHORT, (samples,)),
        file.entry(258, SHORT, (16,) * samples),
    ]
    empty = [file.entry(tag, LONG, (0,)) for tag in (273, 279)]
    file.page(file.gray(STACK[0].astype("u2"), file.entry(42113, ASCII, b"7\0"), replace=[*entries, *empty]))
    with lazytiff.open(bytes(file.bytes)) as img:
        expected = np.full(img.shape, 7, "u2")
        for key in (
            ...,
            (slice(None), slice(None, None, 3)),
            (1, slice(50_000, 90_000)),
            (slice(None, None, -1), slice(99_999, 5, -7)),
            (2, -1),
        ):
            np.testing.assert_array_equal(img[key], expected[key])


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
        """Say what is there, and remember the question."""
        self.read += ranges
        return [self.bytes(*range_) for range_ in ranges]

    def bytes(self, offset, length):
        """Return the bytes there, all of one page or of the header."""
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
        assert all(
            any(at <= offset < at + 4096 for at in (0, ifds[i]))
            for i, (offset, _) in zip([0, *range(1000)], file.read, strict=True)
        )
        before = len(file.read)
        _ = img.pages[500], img.pages[500].shape, repr(img), img.explain(), len(img.pages)
        assert len(file.read) == before
        assert img.tags["ImageWidth"] == 1024
        assert len(file.read) - before <= 2
