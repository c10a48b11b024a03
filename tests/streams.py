"""Compressed streams for tests of damage: one page for each codec, and decoders of our own that believe nothing."""

from __future__ import annotations

import io
import itertools
import lzma
import zlib

import helper
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

ROWS, COLUMNS = 24, 40
EXACT = [
    "none",
    "lzw",
    "lzw-old",
    "deflate",
    "deflate-old",
    "packbits",
    "zstd",
    "lzma",
    "ccitt-rle",
    "ccitt-g3",
    "ccitt-g4",
    "lerc",
    "webp",
]
LOSSY = ["jpeg", "jpeg-ycbcr", "webp-lossy"]


def page_of(name, rows=ROWS, columns=COLUMNS):
    """Return a helper.Page of one strip in that codec."""
    return _MAKERS[name](rows, columns)


def one_strip(array, stream, **tags):
    """Make a page of one strip with the stream. tags: t259=..."""
    page = helper.page(array, tags={int(name[1:]): value for name, value in tags.items()})
    page.chunks = [bytes(stream)]
    return page


def _simple(codec):
    return lambda rows, columns: helper.page(helper.pixels((rows, columns), "u1", rows), codec=codec)


def _old_lzw(rows, columns):
    array = helper.pixels((rows, columns), "u1", rows)
    return one_strip(array, lzw_encode(array.tobytes(), old=True), t259=5)


def _fax(method, compression):
    def make(rows, columns):
        array = drawing(rows, columns)
        file = io.BytesIO()
        Image.fromarray(array).save(file, "TIFF", compression=method, tiffinfo={278: rows})
        with tifffile.TiffFile(io.BytesIO(file.getvalue())) as found:
            first = found.pages[0]
            stream = file.getvalue()[first.dataoffsets[0] :][: first.databytecounts[0]]
            return one_strip(array, stream, t259=compression, t262=int(first.photometric))

    return make


def _lerc(rows, columns):
    array = helper.pixels((rows, columns), "f4", rows)
    return one_strip(array, imagecodecs.lerc_encode(array), t259=34887, t50674=helper.Typed(helper.LONG, (4, 0)))


def _webp(**options):
    def make(rows, columns):
        array = helper.pixels((rows, columns, 3), "u1", rows)
        return one_strip(array, imagecodecs.webp_encode(array, **options), t259=50001)

    return make


def _jpeg(samples):
    def make(rows, columns):
        array = photo(rows, columns, samples)
        stream = jpeg_encode(array)
        if samples == 1:
            return one_strip(array, stream, t259=7)
        return one_strip(array, stream, t259=7, t262=6, t530=(2, 2))

    return make


_MAKERS = {
    **{codec: _simple(codec) for codec in ("none", "lzw", "deflate", "deflate-old", "packbits", "zstd", "lzma")},
    "lzw-old": _old_lzw,
    "ccitt-rle": _fax("tiff_ccitt", 2),
    "ccitt-g3": _fax("group3", 3),
    "ccitt-g4": _fax("group4", 4),
    "lerc": _lerc,
    "webp": _webp(lossless=True),
    "jpeg": _jpeg(1),
    "jpeg-ycbcr": _jpeg(3),
    "webp-lossy": _webp(level=80),
}


def needs(*names):
    """Skip a test where the linked libtiff cannot decode one of these streams."""
    helper.needs(*(name.removesuffix("-lossy").removesuffix("-ycbcr").replace("lzw-old", "lzw") for name in names))


def drawing(rows, columns, seed=0):
    """Make black and white lines."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 2, 3, 7, 20, 64], rows * columns)
    return (np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)[: rows * columns]).reshape(rows, columns)


def photo(rows, columns, samples=1, seed=0):
    """Make something that JPEG compresses."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:rows, :columns]
    waves = [np.sin(row / a + b) * np.cos(column / c) for a, b, c in rng.uniform(2, 9, (samples, 3))]
    array = np.clip(np.stack(waves, axis=-1) * 100 + 128 + rng.normal(0, 4, (rows, columns, samples)), 0, 255).astype(
        np.uint8
    )
    return array[..., 0] if samples == 1 else array


# ---- JPEG


def jpeg_encode(array, level=85):
    """Encode gray or RGB (as YCbCr)."""
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(array), level=level))


def jpeg_segments(stream):
    """Yield marker, begin and end of each segment before the scan's data."""
    at = 2
    while stream[at + 1] != 0xDA:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield stream[at + 1], at, at + 2 + length
        at += 2 + length


def jpeg_tables(stream):
    """Return a JPEGTables value and the abbreviated stream that needs it."""
    tables = [stream[begin:end] for marker, begin, end in jpeg_segments(stream) if marker in (0xDB, 0xC4)]
    scan = max(end for _, _, end in jpeg_segments(stream))
    others = [stream[begin:end] for marker, begin, end in jpeg_segments(stream) if marker not in (0xDB, 0xC4)]
    return b"\xff\xd8" + b"".join(tables) + b"\xff\xd9", b"\xff\xd8" + b"".join(others) + stream[scan:]


def jpeg_frame_at(stream):
    """Return where the frame header's bits, rows, columns and component count are."""
    return next(begin + 4 for marker, begin, _ in jpeg_segments(stream) if 0xC0 <= marker <= 0xC3)


# ---- LZW, PackBits


def lzw_encode(data, *, old=False):
    """Encode without finding a repetition: codes of 9 bits, with a Clear before they would have to grow.

    old: least significant bit first, as libtiff wrote before 1990.
    """
    codes = []
    for i in range(0, len(data), 200):
        codes += [256, *data[i : i + 200]]
    bits = np.array([[code >> i & 1 for i in range(9)] for code in [*codes, 257]], np.uint8)
    if old:
        return np.packbits(bits.ravel(), bitorder="little").tobytes()
    return np.packbits(bits[:, ::-1].ravel()).tobytes()


def lzw_decode(data, length):
    """Decode the first length bytes by TIFF 6.0, section 13; ValueError when there are not as many."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
    table, width, before, result, at = [], 9, b"", b"", 0
    while len(result) < length:
        if at + width > len(bits):
            raise ValueError("the stream ends early")
        code = int("".join(map(str, bits[at : at + width])), 2)
        at += width
        if code == 257:
            raise ValueError("the stream says that it ends")
        if code == 256:
            table, width, before = [bytes([i]) for i in range(256)] + [b"", b""], 9, b""
            continue
        if not table or code > len(table) or (code == len(table) and not before) or len(table) >= 4096:
            raise ValueError("no such code")
        entry = table[code] if code < len(table) else before + before[:1]
        if before:
            table.append(before + entry[:1])
        width = next(width for width in (9, 10, 11, 12, 13) if len(table) + 1 < 1 << width)
        if width == 13:
            width = 12
        before = entry
        result += entry
    return result[:length]


def packbits_decode(data, length):
    """Decode the first length bytes by TIFF 6.0, section 9; ValueError when there are not as many."""
    result, at = b"", 0
    while len(result) < length:
        if at >= len(data):
            raise ValueError("the stream ends early")
        count, at = data[at], at + 1
        if count < 128:
            if at + count + 1 > len(data) and len(result) + len(data) - at < length:
                raise ValueError("the stream ends early")
            result += data[at : at + count + 1]
            at += count + 1
        elif count > 128:
            if at >= len(data):
                raise ValueError("the stream ends early")
            result += data[at : at + 1] * (257 - count)
            at += 1
    return result[:length]


def zlib_decode_as_far_as_possible(data):
    """Return what zlib reads before it finds something wrong, and whether it does not."""
    decoder, result = zlib.decompressobj(), b""
    try:
        for i in range(len(data)):
            result += decoder.decompress(data[i : i + 1])
    except zlib.error:
        return result, False
    return result, decoder.eof


def lzma_decode(data, length):
    """Decode by liblzma; ValueError unless it comes to the end of a stream of at least length bytes."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        result = decoder.decompress(data)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from None
    if not decoder.eof or len(result) < length:
        raise ValueError("the stream ends early")
    return result[:length]


DECODERS = {"lzw": lzw_decode, "packbits": packbits_decode, "lzma": lzma_decode}


def flips(data, count, seed=0):
    """Yield copies of data with one bit flipped, or two: at most count."""
    rng = np.random.default_rng(seed)
    places = np.arange(8 * len(data)) if 8 * len(data) <= count else rng.choice(8 * len(data), count, replace=False)
    for i, place in enumerate(itertools.islice(places, count)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        if i % 5 == 4:
            damaged[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        yield bytes(damaged)


def cuts(data, count=80):
    """Yield lengths to cut data to: near both ends all, in between some."""
    ends = {*range(min(len(data), 12)), *range(max(0, len(data) - 12), len(data))}
    yield from sorted(ends | set(np.linspace(0, len(data) - 1, count).astype(int).tolist()))
