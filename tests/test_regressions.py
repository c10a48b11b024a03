"""Files that once crashed lazytiff, took its memory, or gave pixels that are not in them: what happens now."""

from __future__ import annotations

import lzma
import struct
import zlib

import helper
import imagecodecs
import numpy as np
import pytest
import streams

import lazytiff

BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def jbig_page(columns, rows, planes=1):
    """Make a file of 24 x 16 white pixels, whose JBIG stream says that it holds columns x rows."""
    header = struct.pack(">BBBBIIIBBBB", 0, 0, planes, 0, columns, rows, min(rows, 1000), 8, 0, 3, 0x40)
    stream = (header + bytes(40) + b"\xff\x02").translate(BITS_REVERSED)  # libtiff's reading of FillOrder 1
    return helper.tiff(streams.one_strip(np.zeros((16, 24), bool), stream, t259=34661))


def test_jbig_of_the_right_size():
    """A JBIG stream whose header agrees with the page is decoded (or the next test would say nothing)."""
    helper.needs("jbig")
    assert lazytiff.load(jbig_page(24, 16)).shape == (16, 24)


@pytest.mark.parametrize("size", [(0xFFFFFFF0, 0xFFFFFFF0), (200_000, 200_000), (16, 24), (24, 16, 2)], ids=str)
def test_jbig_that_contradicts_its_page(size):
    """A JBIG stream of another size is a DecodeError, even with as many bytes; huge ones abort inside libjbig."""
    helper.needs("jbig")
    with pytest.raises(lazytiff.DecodeError, match="JBIG stream"):
        lazytiff.load(jbig_page(*size))


@pytest.mark.parametrize("codec", ["lzw", "deflate"])
def test_predictor_of_subsampled_ycbcr(codec):
    """Subsampled YCbCr pixels with a predictor are refused: undoing it wrote beyond the chunk's memory."""
    page = helper.page(np.zeros((64, 64, 3), "u1"), codec=codec, tags={262: 6, 317: 2, 530: (2, 2)})
    with pytest.raises(lazytiff.UnsupportedTiffError, match="predictor"):
        lazytiff.load(helper.tiff(page))


def damaged_scan(stream):
    """Put a byte between two segments of a JPEG stream and end its scan after a third."""
    second = [begin for _, begin, _ in streams.jpeg_segments(stream)][1]
    scan = max(end for _, _, end in streams.jpeg_segments(stream))
    return stream[:second] + b"\x55" + stream[second : scan + (len(stream) - scan) // 3] + b"\xff\xd9"


@pytest.mark.parametrize("name", ["jpeg", "jpeg-ycbcr"])
def test_second_warning_of_libjpeg(name):
    """A JPEG stream that ends early is a DecodeError though libjpeg warned before: it tells one warning only."""
    streams.needs(name)
    page = streams.page_of(name)
    page.chunks = [damaged_scan(page.chunks[0])]
    with pytest.raises(lazytiff.DecodeError, match="Corrupt JPEG data"):
        lazytiff.load(helper.tiff(page))


@pytest.mark.parametrize("samples", [1, 3])
def test_jpeg_tables_behind_the_pixels(samples):
    """Tables behind a strip's pixels change nothing in the next strip, which takes those of JPEGTables."""
    streams.needs("jpeg")
    stream = streams.jpeg_encode(streams.photo(24, 40, samples))
    tables, abbreviated = streams.jpeg_tables(stream)
    foreign = b"".join(
        stream[begin : begin + 5] + b"\xff" * (end - begin - 5)
        for marker, begin, end in streams.jpeg_segments(stream)
        if marker == 0xDB
    )
    tags = {259: 7, 278: 24, 347: tables} | ({262: 6, 530: (2, 2)} if samples == 3 else {})
    pages = []
    for first in (abbreviated, abbreviated[:-2] + foreign + b"\xff\xd9"):
        page = helper.page(streams.photo(48, 40, samples), tags=tags)
        page.chunks = [first, abbreviated]
        pages.append(lazytiff.load(helper.tiff(page), workers=1))
    helper.assert_same(pages[1], pages[0])


@pytest.mark.parametrize("compression", [2, 3, 4])
def test_wide_ccitt_row(compression):
    """A row of 2^29 pixels is refused before libtiff takes 8 GiB for its runs."""
    helper.needs({2: "ccitt-rle", 3: "ccitt-g3", 4: "ccitt-g4"}[compression])
    page = streams.one_strip(np.zeros((1, 8), bool), b"\x00\x10\x01" + bytes(30), t259=compression, t256=(1 << 29) - 64)
    with (
        lazytiff.TiffFile(helper.tiff(page)) as tif,
        pytest.raises(lazytiff.DecodeError, match="Memory allocation"),
    ):
        tif.pages[0][0, :8]


@pytest.mark.parametrize("codec", ["deflate", "lzma"])
def test_stream_without_end(codec):
    """A stream that goes on for 100 MiB behind its chunk of 100 bytes is a LimitError."""
    helper.needs(codec)
    compressor = zlib.compressobj(1) if codec == "deflate" else lzma.LZMACompressor(preset=0)
    stream = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(100)) + compressor.flush()
    page = streams.one_strip(np.zeros((10, 10), "u1"), stream, t259=8 if codec == "deflate" else 34925)
    with pytest.raises(lazytiff.LimitError, match="decode to more than"):
        lazytiff.load(helper.tiff(page))


def test_sparse_complex_page():
    """A chunk of complex numbers that the file leaves out is 0."""
    page = helper.page(np.ones((4, 5), "c16"))
    page.chunks = [None]
    helper.assert_same(lazytiff.load(helper.tiff(page)), np.zeros((4, 5), "c16"))


def overlapping_ifds(pages, tags):
    """Build a file of pages whose IFDs of that many tags lie 12 bytes apart: each entry is also another IFD's link."""
    first = 3 << 16  # an offset that, as an entry, is a SHORT tag
    slots = pages + tags + 2
    file = bytearray(struct.pack("<4sI", b"II*\0", first).ljust(first + 12 * slots + 16, b"\0"))
    file[first : first + 2] = struct.pack("<H", tags)
    for slot in range(slots):
        page = slot - tags  # whose link this is
        link = first + 12 * (page + 1) if 0 <= page < pages - 1 else 0 if page == pages - 1 else first + 257
        struct.pack_into("<IIHH", file, first + 2 + 12 * slot, link, 1, 7, tags)
    return bytes(file)


def test_overlapping_ifds():
    """IFDs that lie in one another end the chain before the time spent on them leaves all proportion to the file."""
    with (
        pytest.warns(lazytiff.TiffWarning, match="ascending"),
        lazytiff.TiffFile(overlapping_ifds(5, 4)) as tif,
    ):
        assert len(tif.pages) == 5
    with (
        pytest.warns(lazytiff.TiffWarning, match="overlap"),
        lazytiff.TiffFile(overlapping_ifds(4000, 4000)) as tif,
    ):
        assert 300 < len(tif.pages) < 1000


def test_jpeg_of_12_bits_with_odd_rows():
    """12-bit JPEG of an odd number of samples a row is refused: libtiff 4.7 leaves the last one 0, 4.5 refuses all."""
    helper.needs("jpeg")
    stream = imagecodecs.jpeg_encode(np.full((24, 41), 3000, "u2"), level=98, bitspersample=12)
    with pytest.raises((lazytiff.UnsupportedTiffError, lazytiff.DecodeError)):
        lazytiff.load(helper.tiff(streams.one_strip(np.zeros((24, 41), "u2"), stream, t259=7, t258=12)))
