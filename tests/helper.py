"""What the tests share: a small TIFF writer that can say anything, and ways to compare.

Where tifffile and Pillow cannot write something, this writer does: every layout, pages of different layouts in one
file, and files that are wrong in one place. It knows nothing of lazytiff.
"""

from __future__ import annotations

import lzma
import os
import struct
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import pytest

import lazytiff

SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
TYPE_CODES = dict(zip((1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 16, 17, 18), "BsHIbshifdIQqQ", strict=True))  # for struct
COMPRESSIONS = {
    "none": 1,
    "lzw": 5,
    "deflate": 8,
    "lzma": 34925,
    "packbits": 32773,
    "deflate-old": 32946,
    "zstd": 50000,
}
PREDICTED = ("lzw", "deflate", "deflate-old", "lzma", "zstd")  # codecs that Predictor goes with
SAMPLE_FORMATS = {"b": 1, "u": 1, "i": 2, "f": 3, "c": 6}


# ---- the writer


class Typed(NamedTuple):
    """A tag's values with their TIFF type, where the writer would choose another one."""

    type: int
    values: tuple


@dataclass
class Page:
    """One IFD. A chunk that is None is left out of the file: offset 0, count 0."""

    tags: dict  # of int, str (ASCII), bytes (UNDEFINED), float (RATIONAL), Typed, or a tuple of numbers
    chunks: list = field(default_factory=list)
    subpages: list = field(default_factory=list)


def tiff(*pages, byteorder="<", big=False):
    """Assemble a TIFF file of pages: for each its chunks, then its tags' values, then its IFD."""
    writer = _Writer(byteorder, big)
    for page in pages:
        writer.link(writer.write(page))
    return bytes(writer.bytes)


class _Writer:
    def __init__(self, byteorder, big):
        self.order, self.big = byteorder, big
        self.offset_type, self.offset_code = (LONG8, "Q") if big else (LONG, "I")
        mark = b"II" if byteorder == "<" else b"MM"
        self.bytes = bytearray(mark + self.pack("HHHQ" if big else "HI", *((43, 8, 0, 0) if big else (42, 0))))
        self.link_at = 8 if big else 4

    def pack(self, codes, *values):
        return struct.pack(self.order + codes, *values)

    def append(self, data):
        """Append at the next even place; say where."""
        self.bytes += bytes(len(self.bytes) % 2)
        self.bytes += data
        return len(self.bytes) - len(data)

    def link(self, ifd):
        """Let the IFD before this one, or the header, point to it."""
        packed = self.pack(self.offset_code, ifd)
        self.bytes[self.link_at : self.link_at + len(packed)] = packed
        self.link_at = ifd + (8 + 20 * self.entries if self.big else 2 + 12 * self.entries)

    def write(self, page):
        """Write everything of a page but the link to it; say where its IFD is."""
        tags = dict(page.tags)
        if page.subpages:
            tags[330] = Typed(self.offset_type, tuple(self.write(sub) for sub in page.subpages))
        if page.chunks:
            offsets = tuple(0 if chunk is None else self.append(chunk) for chunk in page.chunks)
            tiled = 322 in tags
            tags.setdefault(324 if tiled else 273, Typed(self.offset_type, offsets))
            counts = tuple(len(chunk or b"") for chunk in page.chunks)
            tags.setdefault(325 if tiled else 279, Typed(self.offset_type, counts))
        self.entries = len(tags)
        entries = b"".join(self.entry(number, tags[number]) for number in sorted(tags))
        return self.append(self.pack("Q" if self.big else "H", len(tags)) + entries + self.pack(self.offset_code, 0))

    def entry(self, number, value):
        kind, count, data = self.value(value)
        room = 8 if self.big else 4
        data = data.ljust(room, b"\0") if len(data) <= room else self.pack(self.offset_code, self.append(data))
        return self.pack("HHQ" if self.big else "HHI", number, kind, count) + data

    def value(self, value):
        """Return type, count and bytes of a tag's value."""
        if isinstance(value, str):
            text = value.encode() + b"\0"
            return 2, len(text), text
        if isinstance(value, bytes):
            return 7, len(value), value
        if not isinstance(value, Typed):
            value = _typed(value if isinstance(value, tuple) else (value,))
        numbers, code = value.values, TYPE_CODES.get(value.type, "I" if value.type == RATIONAL else "i")
        if value.type not in TYPE_CODES:  # fractions
            ratios = [Fraction(number).limit_denominator(10**6).as_integer_ratio() for number in numbers]
            numbers = [part for ratio in ratios for part in ratio]
        return value.type, len(value.values), self.pack(f"{len(numbers)}{code}", *numbers)


def _typed(values):
    if any(isinstance(value, float) for value in values):
        return Typed(RATIONAL, values)
    return Typed(SHORT if max(values) <= 0xFFFF else LONG, values)


# ---- pages of pixels


@dataclass(frozen=True)
class Layout:
    """How to store a page."""

    codec: str = "none"
    predictor: int = 1
    tile: tuple[int, int] | None = None  # rows, columns
    rows_per_strip: int | None = None
    planar: int = 1
    bits: int | None = None  # a sample, if not as many as the array's items have
    fill_order: int = 1


def page(array, layout=None, *, byteorder="<", tags=None, **options):
    """Make a page of an array (row, column[, sample]) in that layout, or in the one that the options describe.

    byteorder must be that of the file. tags are added to the page's own, or replace them.
    """
    layout = layout or Layout(**options)
    pixels = array if array.ndim == 3 else array[..., None]
    rows, columns, samples = pixels.shape
    bits = layout.bits or (1 if array.dtype == bool else 8 * array.itemsize)
    colours = 3 if samples >= 3 else 1
    own = {256: columns, 257: rows, 258: (bits,) * samples, 259: COMPRESSIONS[layout.codec]}
    own |= {262: 2 if colours == 3 else 1}
    own |= {266: layout.fill_order, 277: samples, 284: layout.planar, 317: layout.predictor}
    own |= {339: (SAMPLE_FORMATS[array.dtype.kind],) * samples}
    own |= {338: (0,) * (samples - colours)} if samples > colours else {}
    own |= {323: layout.tile[0], 322: layout.tile[1]} if layout.tile else {278: layout.rows_per_strip or rows}
    chunks = [encode(chunk, layout, bits, byteorder) for chunk in cut(pixels, layout)]
    return Page(own | (tags or {}), chunks)


def cut(pixels, layout):
    """Yield the chunks of (row, column, sample) in the file's order; what tiles have beyond the page is not 0."""
    rows, columns, samples = pixels.shape
    planes = [pixels] if layout.planar == 1 else [pixels[..., i : i + 1] for i in range(samples)]
    down, across = layout.tile or (layout.rows_per_strip or rows, columns)
    for plane in planes:
        for row in range(0, rows, down):
            for column in range(0, columns, across):
                chunk = plane[row : row + down, column : column + across]
                beyond = [(0, down - chunk.shape[0]), (0, across - chunk.shape[1]), (0, 0)]
                yield np.pad(chunk, beyond, mode="wrap") if layout.tile else chunk


def assemble(chunks, shape, layout):
    """Put chunks together to a page: the opposite of cut."""
    result = np.zeros(shape, chunks[0].dtype)
    places = cut(np.arange(result.size).reshape(result.shape if result.ndim == 3 else (*shape, 1)), layout)
    for chunk, place in zip(chunks, places, strict=True):
        result.ravel()[place.ravel()] = chunk.ravel()  # what tiles have beyond the page lands twice on the same pixel
    return result


def encode(chunk, layout, bits, byteorder="<"):
    """Predict, pack and compress a chunk of (row, column, sample)."""
    data = compress(stored_rows(chunk, layout.predictor, bits, byteorder), layout.codec)
    return imagecodecs.bitorder_encode(data) if layout.fill_order == 2 else data


def stored_rows(chunk, predictor, bits, byteorder):
    """Return the bytes of each row of a chunk before it is compressed: an array of (row, byte)."""
    rows = len(chunk)
    if predictor == 3:
        return _predict_float(chunk, bits)
    if predictor == 2:
        chunk = chunk.view(f"u{chunk.itemsize}")
        chunk = np.concatenate([chunk[:, :1], chunk[:, 1:] - chunk[:, :-1]], axis=1)
    if chunk.dtype.kind == "f" and bits == 24:
        stored = imagecodecs.float24_encode(np.ascontiguousarray(chunk), byteorder=byteorder)
        return np.frombuffer(stored, np.uint8).reshape(rows, -1)
    if bits != 8 * chunk.itemsize or chunk.dtype == bool:
        return pack_bits(chunk.reshape(rows, -1), bits)
    return np.ascontiguousarray(chunk.astype(chunk.dtype.newbyteorder(byteorder))).view(np.uint8).reshape(rows, -1)


def _predict_float(chunk, bits):
    """Store planes of bytes, the highest first, as differences (Adobe Photoshop TIFF Technical Note 3)."""
    rows, _, samples = chunk.shape
    items = np.frombuffer(stored_rows(chunk, 1, bits, ">").tobytes(), np.uint8).reshape(rows, -1, bits // 8)
    planes = items.transpose(0, 2, 1).reshape(rows, -1, samples)
    return np.concatenate([planes[:, :1], planes[:, 1:] - planes[:, :-1]], axis=1).reshape(rows, -1)


def pack_bits(rows, bits):
    """Pack the lowest bits of each row's integers, the highest bit first; a row begins at a byte."""
    words = np.ascontiguousarray(rows.astype(np.int64 if rows.dtype.kind == "i" else np.uint64)).astype(">i8")
    spread = np.unpackbits(words.view(np.uint8).reshape(*rows.shape, 8), axis=-1)
    return np.packbits(spread[..., 64 - bits :].reshape(len(rows), -1), axis=-1)


def compress(rows, codec):
    """Compress bytes of (row, byte)."""
    data = rows.tobytes()
    match codec:
        case "none":
            return data
        case "lzw":
            return bytes(imagecodecs.lzw_encode(data))
        case "deflate" | "deflate-old":
            return zlib.compress(data, 1)
        case "lzma":
            return lzma.compress(data, preset=0)
        case "zstd":
            return bytes(imagecodecs.zstd_encode(data, 1))
        case "packbits":  # row by row: a run does not cross rows
            return b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in rows)
    raise ValueError(codec)


# ---- pixels and comparisons


def pixels(shape, dtype, seed=0):
    """Make pixels that compress, in which no two rows or columns are alike, and all of whose bits occur."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    size = int(np.prod(shape))
    if dtype.kind == "c":
        parts = pixels((*shape, 2), f"f{dtype.itemsize // 2}", seed)
        return np.ascontiguousarray(parts).view(dtype)[..., 0]
    if dtype.kind == "f":
        walk = np.cumsum(rng.standard_normal(size))
        most = min(1e9, float(np.finfo(dtype).max))
        return np.clip(walk * rng.choice([1e-3, 1.0, 1e3], size), -most, most).astype(dtype).reshape(shape)
    if dtype.kind == "b":
        return (np.cumsum(rng.integers(0, 3, size) == 0) % 2).astype(bool).reshape(shape)
    walk = np.cumsum(rng.integers(-3, 4, size)).astype(np.int64)
    jumps = rng.integers(0, 256, (size, dtype.itemsize), dtype=np.uint8).view(dtype)[:, 0]
    return np.where(rng.random(size) < 0.2, jumps, walk.astype(dtype)).reshape(shape)


def assert_same(actual, expected, what=""):
    """Check value, shape, dtype and type. Numbers that are none equal themselves, bit by bit."""
    assert type(actual) is type(expected), what
    assert actual.dtype == expected.dtype, what
    assert actual.dtype.isnative, what
    assert actual.shape == expected.shape, what
    assert actual.tobytes() == np.asarray(expected).astype(expected.dtype.newbyteorder("=")).tobytes(), what


def assert_one_map(path, pages):
    """Check that a file maps as one array over all pages, which is a view and no copy."""
    with lazytiff.open(path, mmap=True) as img:
        view = np.asarray(img)
        assert view.base is not None
        assert_same(view.copy(), pages)
        del view


def assert_refused(path, action, kind, match):
    """Check that the action is refused, and that not one byte of the file is another one."""
    before = Path(path).read_bytes()
    with pytest.raises(kind, match=match):
        action()
    assert Path(path).read_bytes() == before


def needs_to_write(*codecs):
    """Skip a test where the linked libtiff cannot encode one of the codecs."""
    missing = set(codecs) - {None} - set(lazytiff.info()["writes"])
    if missing:
        pytest.skip(f"the linked libtiff cannot encode {', '.join(sorted(missing))}")


def needs(*codecs):
    """Skip a test where the linked libtiff cannot decode one of the codecs."""
    missing = {codec.removesuffix("-old") for codec in codecs} - set(lazytiff.info()["codecs"])
    if missing:
        pytest.skip(f"the linked libtiff cannot decode {', '.join(sorted(missing))}")


def corpus():
    """Return the folder of files that other programs wrote (LAZYTIFF_CORPUS, or beside the repository), or None."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    folder = Path(os.environ.get("LAZYTIFF_CORPUS", beside))
    return folder if (folder / "manifest.json").is_file() else None
