"""Whatever libtiff decodes without loss comes out as it went in, in every layout; tifffile reads the same."""

from __future__ import annotations

import io
import itertools
import zlib

import helper
import imagecodecs
import numpy as np
import pytest
import tifffile
from helper import Layout, assert_same, page, pixels, tiff

import lazytiff

CODECS = ["none", "lzw", "deflate", "deflate-old", "packbits", "zstd", "lzma"]
DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
TIFFFILE_NAMES = {"none": None, "deflate": "adobe_deflate", "deflate-old": "deflate"}


def tifffile_pixels(found):
    """Return a page's pixels by tifffile, samples last and in this machine's byte order."""
    array = found.asarray()
    if found.planarconfig == tifffile.PLANARCONFIG.SEPARATE and found.samplesperpixel > 1:
        array = np.moveaxis(array, 0, -1)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("="))


def check_pages(data, arrays):
    """Check each page against what was written, and against what tifffile reads."""
    with tifffile.TiffFile(io.BytesIO(data)) as oracle, lazytiff.TiffFile(data) as found:
        for what, array, ours, theirs in zip(arrays, arrays.values(), found.pages, oracle.pages, strict=True):
            assert_same(ours.copy(), array, what)
            assert_same(ours.copy(), tifffile_pixels(theirs), what)
            assert (ours.shape, ours.dtype) == (array.shape, array.dtype), what


# ---- written by tifffile


def variants(codec, dtype):
    """Give samples, planar configuration, tile and predictor: all that tifffile writes of a codec and a type."""
    predictors = [1]
    if codec in helper.PREDICTED and dtype[0] not in "?c":
        predictors += [3] if dtype[0] == "f" else [2]
    planes = [(None, None)] if dtype == "?" else [(None, None), (3, "contig"), (3, "separate")]
    return itertools.product(planes, [None, (16, 32)], predictors)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec", CODECS)
def test_written_by_tifffile(codec, dtype, byteorder, big):
    """Gray and RGB, in strips and overhanging tiles, both planar configurations, with and without predictor."""
    helper.needs(codec)
    arrays, file = {}, io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=byteorder, bigtiff=big) as writer:
        for (samples, planar), tile, predictor in variants(codec, dtype):
            shape = (45, 37) if samples is None else (45, 37, 3)
            array = pixels(shape, dtype, len(arrays))
            writer.write(
                np.moveaxis(array, -1, 0) if planar == "separate" else array,
                photometric="rgb" if samples else "minisblack",
                planarconfig=planar,
                tile=tile,
                rowsperstrip=None if tile else 7,
                compression=TIFFFILE_NAMES.get(codec, codec),
                compressionargs={"level": 0} if codec == "lzma" else None,
                predictor=predictor if predictor > 1 else None,
                metadata=None,
            )
            arrays[f"{samples} {planar} {tile} {predictor}"] = array
    check_pages(file.getvalue(), arrays)


# ---- written by helper.py: what tifffile refuses to write

LAYOUTS = [
    {"tile": (5, 7)},
    {"tile": (64, 64)},
    {"tile": (16, 1)},
    {"tile": (1, 64)},
    {"rows_per_strip": 1},
    {"rows_per_strip": 8},
    {"rows_per_strip": 1000},
]


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("codec", CODECS)
def test_chunks_of_any_size(codec, planar, byteorder):
    """Tiles larger than the page, or of sizes that TIFF 6.0 forbids; strips of any height; 1 to 5 samples."""
    helper.needs(codec)
    arrays, pages = {}, []
    for chunks, samples, dtype in itertools.product(LAYOUTS, [1, 2, 4, 5], ["u1", "u2"]):
        predictor = 2 if codec in helper.PREDICTED and samples != 4 else 1
        layout = Layout(codec, predictor, planar=planar, **chunks)
        array = pixels((23, 19, samples) if samples > 1 else (23, 19), dtype, len(pages))
        arrays[f"{layout} {samples} {dtype}"] = array
        pages.append(page(array, layout, byteorder=byteorder))
    with lazytiff.TiffFile(tiff(*pages, byteorder=byteorder)) as found:
        for (what, array), ours in zip(arrays.items(), found.pages, strict=True):
            assert_same(ours.copy(), array, what)


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "u8", "i8", "f8"])
def test_horizontal_predictor_of_any_width(dtype, byteorder):
    """Rows of 1 to 40 pixels and 1 to 6 samples: vectors end at every place. Floats are predicted as integers."""
    widths = [*range(1, 12), 15, 16, 17, 31, 32, 33, 40]
    arrays = [pixels((3, width, samples), dtype, width) for width, samples in itertools.product(widths, range(1, 7))]
    pages = [page(array, Layout("deflate", 2), byteorder=byteorder) for array in arrays]
    with lazytiff.TiffFile(tiff(*pages, byteorder=byteorder)) as found:
        for array, ours in zip(arrays, found.pages, strict=True):
            assert_same(ours.copy().reshape(array.shape), array, array.shape)


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_float_predictor_of_any_width(dtype, byteorder):
    """Rows of 1 to 40 pixels and 1 to 5 samples; numbers that are none keep their bits."""
    widths = [*range(1, 10), 15, 16, 17, 31, 32, 33, 40]
    arrays = [pixels((3, width, samples), dtype, width) for width, samples in itertools.product(widths, range(1, 6))]
    arrays[-1][0, :4, 0] = [np.nan, np.inf, -np.inf, -0.0]
    pages = [page(array, Layout("zstd" if dtype == "f4" else "lzw", 3), byteorder=byteorder) for array in arrays]
    helper.needs("zstd")
    with lazytiff.TiffFile(tiff(*pages, byteorder=byteorder)) as found:
        for array, ours in zip(arrays, found.pages, strict=True):
            assert_same(ours.copy().reshape(array.shape), array, array.shape)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("codec", CODECS)
def test_one_pixel(codec, big):
    """A page of 1 x 1, in a strip and in a tile, of every type."""
    helper.needs(codec)
    arrays = {f"{dtype} {tile}": pixels((1, 1), dtype, 3) for dtype in DTYPES for tile in (None, (16, 16))}
    tiles = [None, (16, 16)] * len(DTYPES)
    data = tiff(
        *(page(array, Layout(codec, tile=tile)) for array, tile in zip(arrays.values(), tiles, strict=True)), big=big
    )
    check_pages(data, arrays)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["?", "u1", "u2"])
def test_fill_order_2(codec, dtype):
    """Bytes whose bits are stored the other way round: reversed before they are decoded."""
    helper.needs(codec)
    array = pixels((21, 30), dtype)
    strips = page(array, Layout(codec, rows_per_strip=8, fill_order=2))
    tiles = page(array, Layout(codec, tile=(16, 16), fill_order=2))
    check_pages(tiff(strips, tiles), {"strips": array, "tiles": array})


# ---- chunks that are not as one expects


@pytest.mark.parametrize("codec", ["deflate", "deflate-old", "lzw", "zstd", "packbits", "none"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_last_strip_at_full_height(codec, dtype):
    """Some writers fill the last strip up to RowsPerStrip: the rows of the page are its first ones."""
    helper.needs(codec)
    array = pixels((24, 31), dtype)
    layout = Layout(codec, {"u1": 2, "u2": 1, "f4": 3}[dtype] if codec in helper.PREDICTED else 1, rows_per_strip=8)
    whole = page(array, layout)
    whole.tags[257] = 19
    with lazytiff.open(tiff(whole)) as img:
        assert_same(img.copy(), array[:19])
        assert_same(img[17:, 3:5], array[17:19, 3:5])


def test_deflate_goes_on_behind_the_chunk():
    """A stream that is longer than its tile gives the tile's pixels, and a checksum of its own."""
    array = pixels((32, 32), "u2")
    found = page(array, tile=(16, 16), codec="deflate")
    plain = [chunk.tobytes() for chunk in helper.cut(array[..., None], Layout(tile=(16, 16)))]
    found.chunks = [
        zlib.compress(chunk + bytes(beyond), 9) for chunk, beyond in zip(plain, (1, 100, 5000, 0), strict=True)
    ]
    assert_same(lazytiff.load(tiff(found)), array)


def test_many_members_of_one_chunk():
    """Only the first Zstandard frame is decoded: unless it holds the chunk, that is an error."""
    helper.needs("zstd")
    array = pixels((8, 8), "u1")
    found = page(array, codec="zstd")
    found.chunks = [found.chunks[0] + b"behind"]
    assert_same(lazytiff.load(tiff(found)), array)
    found.chunks = [
        bytes(imagecodecs.zstd_encode(array[:4].tobytes())) + bytes(imagecodecs.zstd_encode(array[4:].tobytes()))
    ]
    with pytest.raises(lazytiff.DecodeError):
        lazytiff.load(tiff(found))


@pytest.mark.parametrize(
    "layout", [Layout(rows_per_strip=5), Layout("lzw", 2, tile=(16, 16)), Layout("deflate", tile=(16, 16), planar=2)]
)
@pytest.mark.parametrize(("nodata", "value"), [(None, 0), ("7", 7), ("-3", -3), (" 1e2 ", 100), ("nan", 0)])
def test_sparse(layout, nodata, value):
    """Chunks that the file leaves out are GDAL_NODATA where the tag has a number of the type, otherwise 0."""
    array = pixels((40, 40, 2), "i2", 5)
    found = page(array, layout, tags={} if nodata is None else {42113: nodata})
    numbers = [np.full(chunk.shape, i) for i, chunk in enumerate(helper.cut(array, layout))]
    gone = [i for i in range(len(numbers)) if i % 3 == 1]
    for i in gone:
        found.chunks[i] = None
    expected = np.where(np.isin(helper.assemble(numbers, array.shape, layout), gone), np.int16(value), array)
    with lazytiff.open(tiff(found)) as img:
        assert_same(img.copy(), expected)
        assert_same(img[3:33, ::3, 1], expected[3:33, ::3, 1])


NODATA = [
    ("?", "1", True),
    ("u1", "255", 255),
    ("u1", "256", 0),
    ("u1", "-1", 0),
    ("u2", "0.5", 0),
    ("i8", "-9223372036854775808", -(2**63)),
    ("u8", "18446744073709551615", 2**64 - 1),
    ("f4", "nan", np.nan),
    ("f4", "-3.4028234663852886e+38", np.finfo(np.float32).min),
    ("f8", "1e-300", 1e-300),
    ("c8", "0", 0),
]


@pytest.mark.parametrize(("dtype", "nodata", "value"), NODATA)
def test_sparse_of_each_type(dtype, nodata, value):
    """A page without any chunk is GDAL_NODATA as a number of the page's type, and 0 where that cannot be."""
    found = page(np.zeros((4, 4), dtype), tags={42113: nodata})
    found.chunks = [None]
    assert_same(lazytiff.load(tiff(found)), np.full((4, 4), value, dtype))


def test_chunks_anywhere_in_the_file():
    """Chunks that lie backwards in the file, or that pages and places share, are read where they are."""
    array = pixels((32, 32), "u2")
    first = page(array, tile=(16, 16), codec="lzw")
    with tifffile.TiffFile(io.BytesIO(tiff(first))) as oracle:
        offsets, counts = (oracle.pages[0].tags[number].value for number in (324, 325))
    backwards = helper.Page(first.tags | {324: offsets[::-1], 325: counts[::-1]})
    shared = helper.Page(first.tags | {324: offsets[:1] * 4, 325: counts[:1] * 4})
    turned = np.block([[array[16:, 16:], array[16:, :16]], [array[:16, 16:], array[:16, :16]]])
    expected = np.stack([array, turned, np.tile(array[:16, :16], (2, 2))])
    assert_same(lazytiff.load(tiff(first, backwards, shared)), expected)
