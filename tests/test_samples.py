"""Samples that are not NumPy's come out as NumPy's: 1 to 31 bits, floats of 24 bits, YCbCr."""

from __future__ import annotations

import io
import itertools

import helper
import numpy as np
import pytest
import tifffile
from helper import Layout, Page, assert_same, page, pixels, tiff
from PIL import Image

import lazytiff


def packed_dtype(bits, kind):
    """Return the type that samples of so many bits are read as."""
    if bits == 1:
        return np.dtype(bool)
    return np.dtype(f"{kind}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def packed_pixels(shape, bits, kind):
    """Make samples of that many bits: the lowest, the highest, and any between them."""
    low, high = (0, 2**bits - 1) if kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    array = np.random.default_rng(bits).integers(low, high, shape, endpoint=True)
    array.ravel()[[0, -1]] = low, high
    return array.astype(packed_dtype(bits, kind))


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("kind", ["u", "i"])
@pytest.mark.parametrize("bits", range(1, 32))
def test_packed(bits, kind, byteorder):
    """Samples are packed from the highest bit on in either byte order; rows begin at bytes; signs are kept."""
    layouts = [
        Layout(rows_per_strip=4),
        Layout("lzw", tile=(16, 16)),
        Layout("deflate", tile=(5, 7)),
        Layout("packbits", planar=2),
    ]
    arrays, pages = [], []
    for layout, samples, width in itertools.product(layouts, [1, 3], [1, 13, 33]):
        arrays.append(packed_pixels((11, width, samples), bits, kind))
        tags = {339: ((1 if kind == "u" else 2,) * samples)}
        pages.append(page(arrays[-1], Layout(**vars(layout) | {"bits": bits}), byteorder=byteorder, tags=tags))
    with lazytiff.TiffFile(tiff(*pages, byteorder=byteorder)) as found:
        for array, ours in zip(arrays, found.pages, strict=True):
            expected = array if array.shape[-1] > 1 else array[..., 0]
            assert_same(ours.copy(), expected)
            assert_same(ours[2:9:3, ::-2], expected[2:9:3, ::-2])


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14, 24])
def test_packed_as_tifffile(bits):
    """Gray and RGB strips are what tifffile reads."""
    arrays = [packed_pixels((9, 13), bits, "u"), packed_pixels((9, 13, 3), bits, "u")]
    data = tiff(*(page(array, rows_per_strip=4, bits=bits) for array in arrays))
    with tifffile.TiffFile(io.BytesIO(data)) as oracle, lazytiff.TiffFile(data) as found:
        for array, ours, theirs in zip(arrays, found.pages, oracle.pages, strict=True):
            assert_same(theirs.asarray(), array)
            assert_same(ours.copy(), array)


@pytest.mark.parametrize("bits", [1, 4, 12])
def test_packed_and_reversed(bits):
    """FillOrder 2 reverses the bits of each byte of packed samples too, before they are decompressed."""
    array = packed_pixels((9, 13), bits, "u")
    pages = [page(array, Layout(codec, bits=bits, fill_order=2)) for codec in ("none", "lzw", "deflate")]
    assert_same(lazytiff.load(tiff(*pages)), np.stack([array] * 3))


# ---- floats of 24 bits


def float24(stored):
    """Say what 24 bits mean: 1 sign, 7 exponent (bias 63) and 16 fraction bits, otherwise as IEEE 754."""
    sign, exponent, fraction = np.where(stored >> 23, -1.0, 1.0), (stored >> 16) & 0x7F, stored & 0xFFFF
    normal = np.ldexp(1 + fraction / 65536, exponent - 63)
    special = np.where(fraction == 0, np.inf, np.nan)
    return (
        sign * np.where(exponent == 0, np.ldexp(fraction / 65536, -62), np.where(exponent == 127, special, normal))
    ).astype(np.float32)


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
def test_float24_of_any_bits(byteorder):
    """Zeros, subnormal numbers, infinities and no numbers become the same of 32 bits, in either byte order."""
    stored = np.random.default_rng(0).integers(0, 1 << 24, 4096)
    stored[:8] = 0, 1, 0xFFFF, 0x10000, 0x7EFFFF, 0x7F0000, 0x7F0001, 0x3F0000
    stored[8:16] = stored[:8] | 0x800000
    data = b"".join(int(number).to_bytes(3, "little" if byteorder == "<" else "big") for number in stored)
    raw = page(np.zeros((64, 64), np.float32), bits=24, byteorder=byteorder)
    raw.chunks = [data]
    found = lazytiff.load(tiff(raw, byteorder=byteorder))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), float24(stored))  # equal_nan, and below: the signs of zeros
    assert np.array_equal(np.signbit(found.ravel()), stored >> 23 == 1)


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("predictor", [1, 3])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_float24_layouts(tile, predictor, planar, byteorder):
    """Strips and tiles, planes together and apart, with and without the floating point predictor."""
    array = (pixels((21, 19, 3), "i2") / np.float32(8)).astype(np.float32)
    layout = Layout("lzw", predictor, tile, None if tile else 4, planar, bits=24)
    data = tiff(page(array, layout, byteorder=byteorder), byteorder=byteorder)
    assert_same(lazytiff.load(data), array)
    if predictor == 1:
        expected = tifffile.imread(io.BytesIO(data))
        assert_same(
            lazytiff.load(data), np.ascontiguousarray(np.moveaxis(expected, 0, -1)) if planar == 2 else expected
        )


# ---- YCbCr

SUBSAMPLINGS = list(itertools.product([1, 2, 4], [1, 2, 4]))
LIBTIFF_MAKES_RGB = [
    (4, 4),
    (4, 2),
    (4, 1),
    (2, 2),
    (2, 1),
    (1, 2),
    (1, 1),
]  # its TIFFReadRGBA*, and so Pillow, know no others
CCIR_601 = (0.299, 0.587, 0.114)
FULL_RANGE = (0, 255, 128, 255, 128, 255)


def clumps(luma, chroma, across, down):
    """Store a chunk as TIFF 6.0, section 21, says: a clump of luma samples, one Cb, one Cr."""
    rows, columns = chroma.shape[:2]
    padded = np.pad(luma, [(0, rows * down - luma.shape[0]), (0, columns * across - luma.shape[1])], mode="edge")
    squares = padded.reshape(rows, down, columns, across).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    return np.concatenate([squares, chroma], axis=-1).reshape(rows, -1)


def ycbcr_page(luma, chroma, across, down, *, tile=None, rows_per_strip=None, codec="lzw", tags=None):
    """Make a page of luma (row, column) and chroma (row / down, column / across, 2)."""
    rows, columns = luma.shape
    height, width = tile or (rows_per_strip or rows, columns)
    chunks = []
    for row, column in itertools.product(range(0, rows, height), range(0, columns, width)):
        part = luma[row : row + height, column : column + width]
        colours = chroma[row // down : -(-(row + height) // down), column // across : -(-(column + width) // across)]
        if tile:
            part = np.pad(part, [(0, height - part.shape[0]), (0, width - part.shape[1])], mode="wrap")
            colours = np.pad(
                colours, [(0, height // down - colours.shape[0]), (0, width // across - colours.shape[1]), (0, 0)]
            )
        chunks.append(helper.compress(clumps(part, colours, across, down), codec))
    own = {
        256: columns,
        257: rows,
        258: (8, 8, 8),
        259: helper.COMPRESSIONS[codec],
        262: 6,
        277: 3,
        284: 1,
        530: (across, down),
    }
    own |= {323: tile[0], 322: tile[1]} if tile else {278: height}
    return Page(own | (tags or {}), chunks)


def to_rgb(luma, chroma, across, down, *, coefficients=CCIR_601, reference=FULL_RANGE):
    """Convert as TIFF 6.0, sections 20 and 21, says, without rounding on the way."""
    red, green, blue = coefficients
    wide = np.repeat(np.repeat(chroma, down, axis=0), across, axis=1)[: luma.shape[0], : luma.shape[1]].astype(float)
    y = (luma.astype(float) - reference[0]) * 255 / (reference[1] - reference[0])
    cb = (wide[..., 0] - reference[2]) * 127 / (reference[3] - reference[2])
    cr = (wide[..., 1] - reference[4]) * 127 / (reference[5] - reference[4])
    r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
    return np.clip(np.stack([r, (y - blue * b - red * r) / green, b], axis=-1), 0, 255)


def ycbcr_pixels(rows, columns, across, down):
    """Make luma and chroma of all values."""
    return pixels((rows, columns), "u1", 1), pixels((-(-rows // down), -(-columns // across), 2), "u1", 2)


@pytest.mark.parametrize(("across", "down"), SUBSAMPLINGS)
@pytest.mark.parametrize(
    "chunks", [{"rows_per_strip": 8}, {"tile": (16, 16)}, {}], ids=["strips", "tiles", "one strip"]
)
@pytest.mark.parametrize("codec", ["none", "lzw", "deflate", "packbits"])
def test_ycbcr(codec, chunks, across, down):
    """Pages whose sizes the subsampling does not divide arrive as RGB, as near as integers come to the formula."""
    luma, chroma = ycbcr_pixels(29, 35, across, down)
    data = tiff(ycbcr_page(luma, chroma, across, down, codec=codec, **chunks))
    with lazytiff.open(data) as img:
        found = img.copy()
        assert (img.shape, img.dtype) == ((29, 35, 3), np.uint8)
        assert_same(img[3:27:5, 30:2:-3, 1:], found[3:27:5, 30:2:-3, 1:])
    assert np.abs(found - to_rgb(luma, chroma, across, down)).max() < 2


@pytest.mark.parametrize(("across", "down"), LIBTIFF_MAKES_RGB)
@pytest.mark.parametrize(
    "tags",
    [{}, {529: (0.2126, 0.7152, 0.0722)}, {532: (16.0, 235.0, 128.0, 240.0, 128.0, 240.0)}],
    ids=["601", "709", "video"],
)
def test_ycbcr_as_libtiff(tags, across, down):
    """Other coefficients and reference levels count; every pixel is the one that libtiff's own conversion gives."""
    luma, chroma = ycbcr_pixels(32, 48, across, down)
    data = tiff(ycbcr_page(luma, chroma, across, down, tags=tags))
    found = lazytiff.load(data)
    with Image.open(io.BytesIO(data)) as theirs:
        assert_same(found, np.array(theirs.convert("RGB")))
    levels = {"coefficients": tags.get(529, CCIR_601), "reference": tags.get(532, FULL_RANGE)}
    expected = to_rgb(luma, chroma, across, down, **levels)
    assert np.abs(found - expected).max() < 3.5  # libtiff cuts fractions off after each step


def test_ycbcr_in_planes():
    """Planes that are apart are read as they are stored: three samples, not converted."""
    array = pixels((12, 10, 3), "u1")
    found = page(array, planar=2, codec="lzw", tags={262: 6, 530: (1, 1)})
    assert_same(lazytiff.load(tiff(found)), array)
