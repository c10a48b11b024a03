"""JPEG, WebP and LERC: what their own decoders make of each chunk, in every layout."""

from __future__ import annotations

import io
import itertools

import helper
import imagecodecs
import numpy as np
import pytest
import tifffile
from helper import Layout, Page, assert_same, tiff
from PIL import Image

import lazytiff

JPEG, LERC, WEBP = 7, 34887, 50001


def photo(rows, columns, samples=3, seed=0):
    """Make a smooth picture: what lossy codecs are for."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    waves = [sum(np.sin(y * a + x * b) for a, b in rng.uniform(-0.3, 0.3, (4, 2))) for _ in range(samples)]
    return np.round(127 + 25 * np.stack(waves, axis=-1)).astype(np.uint8)


def chunked(array, layout, encoder, tags):
    """Make a page whose chunks are what the encoder makes of (row, column, sample)."""
    found = helper.page(array, layout)
    found.tags |= tags
    found.chunks = [bytes(encoder(np.ascontiguousarray(chunk))) for chunk in helper.cut(np.atleast_3d(array), layout)]
    return found


def off_by(found, expected):
    """Say by how many levels two pictures differ."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    return np.abs(found.astype(int) - expected.astype(int)).max()


def by_tifffile(file):
    """Read with tifffile what was written to an io.BytesIO."""
    return tifffile.imread(io.BytesIO(file.getvalue()))


# ---- JPEG


def jpeg_segments(stream):
    """Split a JPEG stream into its start, the segments before the scan, and the rest."""
    at, segments = 2, []
    while stream[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        segments.append(stream[at:end])
        at = end
    return segments, stream[at:]


def jpeg_page(array, layout):
    """Make a page of RGB streams."""
    options = {"colorspace": "rgb", "outcolorspace": "rgb", "subsampling": "444"}
    return chunked(array, layout, lambda chunk: imagecodecs.jpeg8_encode(chunk, 90, **options), {259: JPEG})


def without_tables(stream):
    """Return the stream without its quantisation and Huffman tables, and these as the value of JPEGTables."""
    segments, scan = jpeg_segments(stream)
    tables = [segment for segment in segments if segment[1] in (0xDB, 0xC4)]
    others = [segment for segment in segments if segment[1] not in (0xDB, 0xC4)]
    return b"\xff\xd8" + b"".join(others) + scan, b"\xff\xd8" + b"".join(tables) + b"\xff\xd9"


@pytest.mark.parametrize("tile", [None, (32, 16), (64, 96)], ids=["strips", "tiles", "a tile"])
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "rgb", "gray"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_jpeg_by_tifffile(byteorder, subsampling, tile):
    """Streams that bring their own tables, in pages whose size the chunks do not divide."""
    helper.needs("jpeg")
    array = photo(61, 85, 1 if subsampling == "gray" else 3)
    space = {"gray": {}, "rgb": {"outcolorspace": "rgb"}}.get(subsampling, {"outcolorspace": "ycbcr"})
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        array if array.shape[-1] == 3 else array[..., 0],
        byteorder=byteorder,
        photometric="minisblack" if subsampling == "gray" else "rgb",  # of the array; the file's is the streams'
        compression="jpeg",
        compressionargs={"level": 95, **space},
        subsampling={"444": (1, 1), "422": (2, 1), "420": (2, 2)}.get(subsampling),
        tile=tile,
        rowsperstrip=None if tile else 16,
    )
    found, expected = lazytiff.load(file.getvalue()), by_tifffile(file)
    assert lazytiff.open(file.getvalue()).tags[262] == {"rgb": 2, "gray": 1}.get(subsampling, 6)
    assert off_by(found, expected) <= 1  # two versions of libjpeg
    assert np.abs(found - array.reshape(found.shape).astype(float)).mean() < 4  # and it is the picture


@pytest.mark.parametrize("kind", ["gray", "rgb", "ycbcr", "planes", "cmyk"])
@pytest.mark.parametrize("layout", [Layout(tile=(32, 48)), Layout(rows_per_strip=16)], ids=["tiles", "strips"])
def test_jpeg_tables(layout, kind):
    """Streams without tables take those of JPEGTables, others bring their own: in any mixture and any order."""
    helper.needs("jpeg")
    samples = {"gray": 1, "cmyk": 4}.get(kind, 3)
    array = photo(96, 96, samples)
    layout = Layout(tile=layout.tile, rows_per_strip=layout.rows_per_strip, planar=2 if kind == "planes" else 1)
    space = "gray" if kind == "planes" else kind
    qualities = itertools.cycle([90, 20])  # the second one is much coarser

    def encode(chunk):
        pixels = chunk if chunk.shape[-1] > 1 else chunk[..., 0]
        from_space = "rgb" if space == "ycbcr" else space
        return imagecodecs.jpeg8_encode(
            pixels, next(qualities), colorspace=from_space, outcolorspace=space, subsampling="444"
        )

    page = chunked(
        array, layout, encode, {259: JPEG, 262: {"gray": 1, "ycbcr": 6, "cmyk": 5}.get(kind, 2), 530: (1, 1)}
    )
    whole = tiff(page)
    page.chunks[::2], tables = zip(*map(without_tables, page.chunks[::2]), strict=True)
    abbreviated = tiff(Page(page.tags | {347: tables[0]}, page.chunks))
    expected = lazytiff.load(whole)
    assert off_by(expected, array if samples > 1 else array[..., 0]) < 70
    assert_same(lazytiff.load(abbreviated), expected)
    with lazytiff.open(abbreviated, workers=1, cache_bytes=0) as img:
        for row, column in [(95, 95), (0, 0), (40, 95), (0, 50), (70, 2), (40, 0), (95, 0)]:
            assert_same(img[row, column, ...], np.asarray(expected[row, column, ...]))


def test_jpeg_by_libtiff():
    """Written by libtiff, through Pillow: JPEGTables, and a last strip that is shorter."""
    helper.needs("jpeg")
    array = photo(61, 85)
    for mode in ("L", "RGB", "YCbCr"):
        file = io.BytesIO()
        Image.fromarray(array).convert(mode).save(file, "TIFF", compression="jpeg", quality=90, tiffinfo={278: 16})
        with Image.open(file) as theirs:
            expected = np.array(theirs.convert("RGB") if mode == "YCbCr" else theirs)
        with lazytiff.open(file.getvalue()) as img:
            assert "JPEGTables" in img.tags
            assert off_by(img.copy(), expected) <= 1
            assert off_by(img[50:, 3:9], expected[50:, 3:9]) <= 1


def test_jpeg_last_strip_at_full_height():
    """The rows of the page are the first ones of a last strip that has more."""
    helper.needs("jpeg")
    array = photo(48, 40, 1)
    whole = chunked(
        array, Layout(rows_per_strip=16), lambda chunk: imagecodecs.jpeg8_encode(chunk[..., 0], 90), {259: JPEG}
    )
    expected = lazytiff.load(tiff(whole))
    whole.tags[257] = 41
    assert_same(lazytiff.load(tiff(whole)), expected[:41])


# ---- WebP


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("tile", [None, (32, 48)], ids=["strips", "tiles"])
@pytest.mark.parametrize("lossless", [True, False])
def test_webp(lossless, tile, samples):
    """Lossless streams give what went in, others what libwebp makes of them."""
    helper.needs("webp")
    array, file = photo(61, 85, samples), io.BytesIO()
    array[..., 3:] |= 1  # libwebp forgets the colours of what is transparent
    tifffile.imwrite(
        file,
        array,
        photometric="rgb",
        extrasamples=["unassalpha"] * (samples - 3),
        compression="webp",
        compressionargs={"level": 80, "lossless": lossless},
        tile=tile,
        rowsperstrip=None if tile else 16,
    )
    found = lazytiff.load(file.getvalue())
    assert off_by(found, by_tifffile(file)) == 0
    if lossless:
        assert_same(found, array)


# ---- LERC


@pytest.mark.parametrize("packed", [None, "deflate", "zstd"])
@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_lerc(dtype, byteorder, packed):
    """Without loss at maximum error 0, in every type that LERC knows, also when it is compressed again."""
    helper.needs("lerc")
    level = {"level": 5} if packed else None

    def encode(chunk):
        return imagecodecs.lerc_encode(
            chunk[..., 0] if chunk.shape[-1] == 1 else chunk, 0, compression=packed, compressionargs=level
        )

    arrays, pages = [], []
    for layout, samples in itertools.product(
        [Layout(tile=(16, 32)), Layout(rows_per_strip=8), Layout(planar=2)], [1, 3]
    ):
        array = helper.pixels((45, 37, samples) if samples > 1 else (45, 37), dtype, len(arrays))
        found = chunked(array, layout, encode, {259: LERC, 50674: (4, {None: 0, "deflate": 1, "zstd": 2}[packed])})
        arrays.append(array)
        pages.append(found)
    data = tiff(*pages, byteorder=byteorder)
    with lazytiff.TiffFile(data) as found:
        for array, ours in zip(arrays, found.pages, strict=True):
            assert_same(ours.copy(), array)


def test_lerc_with_loss():
    """No pixel is further from the original than the maximum error that the writer allowed."""
    helper.needs("lerc")
    array, file = helper.pixels((64, 64), "f4"), io.BytesIO()
    tifffile.imwrite(file, array, compression="lerc", compressionargs={"level": 0.25}, tile=(32, 32))
    found = lazytiff.load(file.getvalue())
    assert_same(found, by_tifffile(file))
    assert 0 < np.abs(found - array).max() <= 0.25
