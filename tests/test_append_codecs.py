"""Compression of what is appended: what tifffile, imagecodecs and Pillow read of it, and what cannot be."""

from __future__ import annotations

import sys

import helper
import numpy as np
import pytest
import tifffile
from PIL import Image

import lazytiff

LOSSLESS = ("none", "packbits", "lzw", "deflate", "zstd", "lzma")
DTYPES = ["?", "u1", "i1", "u2", ">u2", "i2", "u4", ">i4", "u8", "i8", "f2", "f4", ">f4", "f8", "c8", "c16"]
SAMPLES = {"gray": (), "two": (2,), "rgb": (3,), "rgba": (4,), "seven": (7,)}
CHUNKS = {"default": None, "strips": 5, "tiles": (16, 32), "one": 33}
OTHER = "<>"[sys.byteorder == "little"]


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made."""
    return tmp_path / "new.tif"


def predictors_of(codec, dtype):
    """Return the predictors that go with them."""
    kind = np.dtype(dtype).kind
    if codec not in ("lzw", "deflate", "zstd", "lzma"):
        return [None]
    return [None, *[2] * (kind in "uif"), *[3] * (kind == "f")]


def oracle(path):
    """Return the pages as tifffile and imagecodecs decode them."""
    with tifffile.TiffFile(path) as tif:
        return np.stack([page.asarray() for page in tif.pages])


def write(path, pixels, dtype, **options):
    """Append pages, read them back from the same array, and check how they are stored."""
    with lazytiff.empty(path, dtype, **options) as out:
        assert out.append(pixels[0]) == 0
        out.extend(pixels[1:])
        found = out[...]
        assert {page.compression for page in out.pages} == {options.get("compression") or "none"}
    return found


# ---- without loss


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec", LOSSLESS)
def test_lossless(codec, dtype, chunks, path):
    """Every sample of every dtype comes back, with every predictor and any number of samples, in strips and tiles."""
    helper.needs_to_write(codec)
    native = np.dtype(dtype).newbyteorder("=")
    for name, samples in SAMPLES.items():
        for predictor in predictors_of(codec, dtype):
            pixels = helper.pixels((2, 33, 47, *samples), native)
            file = path.with_name(f"{name}-{predictor}.tif")
            found = write(file, pixels, dtype, compression=codec, predictor=predictor, chunk_shape=CHUNKS[chunks])
            helper.assert_same(found, pixels, (name, predictor))
            assert oracle(file).astype(native).tobytes() == pixels.tobytes(), (name, predictor)


@pytest.mark.parametrize("predictor", [True, "horizontal", "float", False, 1])
def test_names_of_predictors(predictor, path):
    """True is the one that fits the dtype, and there are names for both."""
    for dtype, number in (("u2", 2), ("f4", 3)):
        if predictor == "float" and dtype == "u2":
            continue
        expected = number if predictor is True else {"horizontal": 2, "float": 3, False: 1, 1: 1}[predictor]
        pixels = helper.pixels((2, 20, 30), dtype)
        file = path.with_name(f"{dtype}.tif")
        helper.assert_same(write(file, pixels, dtype, compression="lzw", predictor=predictor), pixels)
        with tifffile.TiffFile(file) as tif:
            assert tif.pages[1].predictor == expected


@pytest.mark.parametrize(
    ("codec", "levels"), [("deflate", (0, 1, 4, 9, 12)), ("zstd", (1, 3, 19, 22)), ("lzma", (0, 6, 9))]
)
def test_levels(codec, levels, path):
    """More effort makes smaller files of the same pixels."""
    helper.needs_to_write(codec)
    pixels = helper.pixels((2, 200, 300), "u2")
    sizes = []
    for level in levels:
        file = path.with_name(f"{level}.tif")
        helper.assert_same(write(file, pixels, "u2", compression=codec, level=level), pixels)
        assert np.array_equal(oracle(file), pixels)
        sizes.append(file.stat().st_size)
    assert sizes[-1] < sizes[0]
    default = path.with_name("default.tif")
    write(default, pixels, "u2", compression=codec)
    usual = {"deflate": 4, "zstd": 3, "lzma": 6}[codec]
    assert default.read_bytes() == path.with_name(f"{usual}.tif").read_bytes()


@pytest.mark.parametrize("codec", ["none", "packbits", "lzw", "deflate", "zstd", "lzma", "ccitt-g4"])
@pytest.mark.parametrize("columns", [1, 8, 31, 200])
@pytest.mark.parametrize("chunks", [None, 7, (16, 16)])
def test_bool(codec, columns, chunks, path):
    """One bit a pixel, by CCITT too; Pillow reads what it has the decoder for."""
    helper.needs_to_write(codec)
    pixels = helper.pixels((2, 40, columns), "?")
    helper.assert_same(write(path, pixels, "?", compression=codec, chunk_shape=chunks), pixels)
    assert np.array_equal(oracle(path), pixels)
    if chunks != (16, 16):
        with Image.open(path) as image:
            image.seek(1)
            assert np.array_equal(np.asarray(image), pixels[1])


@pytest.mark.parametrize("codec", ["none", "packbits", "lzw", "deflate", "zstd", "lzma"])
@pytest.mark.parametrize(("dtype", "samples"), [("u1", ()), ("u1", (3,)), ("u1", (4,)), ("u2", ()), ("f4", ())])
@pytest.mark.parametrize("chunks", [None, 5, (16, 32)])
def test_pillow(codec, dtype, samples, chunks, path):
    """Pillow, which has libtiff, reads every page."""
    helper.needs_to_write(codec)
    pixels = helper.pixels((3, 33, 47, *samples), dtype)
    write(path, pixels, dtype, compression=codec, chunk_shape=chunks)
    with Image.open(path) as image:
        assert image.n_frames == 3
        for i in range(3):
            image.seek(i)
            assert np.array_equal(np.asarray(image), pixels[i])


# ---- with loss


@pytest.mark.parametrize("chunks", [None, 16, (16, 32)])
@pytest.mark.parametrize(
    ("samples", "photometric"), [((), None), ((3,), None), ((3,), "ycbcr"), ((3,), "minisblack"), ((4,), None)]
)
def test_jpeg(samples, photometric, chunks, path):
    """The better the quality the nearer; imagecodecs decodes what we do, and RGB stays RGB."""
    helper.needs_to_write("jpeg")
    smooth = np.add.outer(np.arange(40), np.arange(60))[..., None] * np.arange(1, 5) // 3 % 200
    pixels = np.stack([smooth[..., : samples[0] if samples else 1], smooth[::-1, ..., : samples[0] if samples else 1]])
    pixels = pixels.astype("u1").reshape(2, 40, 60, *samples)
    errors = []
    for level in (20, None, 100):
        file = path.with_name(f"{level}.tif")
        found = write(file, pixels, "u1", compression="jpeg", level=level, photometric=photometric, chunk_shape=chunks)
        errors.append(np.abs(found.astype(int) - pixels).mean())
        if photometric != "ycbcr" or chunks is None:
            decoded = oracle(file)
            assert np.abs(decoded.astype(int) - found).max() <= 3
        with tifffile.TiffFile(file) as tif:
            assert tif.pages[0].photometric == {None: 2 if samples else 1, "ycbcr": 6, "minisblack": 1}[photometric]
    assert errors[0] > errors[1] >= errors[2]
    assert errors[2] < 4 if photometric == "ycbcr" else errors[2] < 0.6


@pytest.mark.parametrize("chunks", [None, 5, (16, 32)])
def test_webp(chunks, path):
    """Without loss unless a quality is asked for."""
    helper.needs_to_write("webp")
    pixels = helper.pixels((2, 33, 47, 3), "u1")
    helper.assert_same(write(path, pixels, "u1", compression="webp", chunk_shape=chunks), pixels)
    assert np.array_equal(oracle(path), pixels)
    lossy = path.with_name("lossy.tif")
    found = write(lossy, pixels, "u1", compression="webp", level=80, chunk_shape=chunks)
    assert not np.array_equal(found, pixels)
    assert np.abs(oracle(lossy).astype(int) - found).max() <= 2
    assert lossy.stat().st_size < path.stat().st_size


@pytest.mark.parametrize("chunks", [None, 5, (16, 32)])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_lerc(dtype, chunks, path):
    """Nothing is further from what it was than level says, by default 0; the tag that libtiff needs is there."""
    helper.needs_to_write("lerc")
    pixels = helper.pixels((2, 33, 47), dtype)
    helper.assert_same(write(path, pixels, dtype, compression="lerc", chunk_shape=chunks), pixels)
    assert np.array_equal(oracle(path), pixels)
    with tifffile.TiffFile(path) as tif:
        assert [page.tags[50674].value for page in tif.pages] == [(4, 0)] * 2
    lossy = path.with_name("lossy.tif")
    found = write(lossy, pixels, dtype, compression="lerc", level=3, chunk_shape=chunks)
    assert np.abs(found.astype("f8") - pixels).max() <= 3
    assert not np.array_equal(found, pixels)
    assert np.array_equal(oracle(lossy), found)


# ---- what cannot be


@pytest.mark.parametrize(
    ("codec", "dtype", "shape", "options", "match"),
    [
        ("jpeg", "u1", (20, 30, 2), {}, "JPEG is for 1, 3 or 4"),
        ("jpeg", "u1", (20, 30, 3), {"chunk_shape": 5}, "JPEG strips of 5 rows"),
        ("jpeg", "u1", (70_000, 2), {"chunk_shape": 65_536}, "at most 65500 x 65500"),
        ("webp", "u1", (20, 30), {}, "WebP is for 3 or 4"),
        ("webp", "u1", (20, 17_000, 3), {}, "at most 16383 x 16383"),
        ("ccitt-g4", "?", (20, 30, 3), {}, "one sample of kind bool"),
        ("deflate", "u1", (20, 30), {"chunk_shape": (8, 16)}, "multiples of 16"),
        ("jpeg", "u1", (20, 30, 4), {"photometric": "ycbcr"}, "of 3 samples a pixel"),
        ("deflate", "u1", (20, 30), {"photometric": "rgb"}, "needs 3 samples a pixel, where there are 1"),
        ("deflate", "u1", (20, 30, 3), {"photometric": "cmyk"}, "needs 4 samples"),
        ("lerc", f"{OTHER}u2", (20, 30), {}, "readers disagree"),
    ],
)
def test_pages_that_cannot_be_compressed(codec, dtype, shape, options, match, path):  # noqa: PLR0917  # parameters
    """What only the first page can show is refused in words; the stack stays empty, and takes a page that goes."""
    helper.needs_to_write(codec)
    kinds = (ValueError, lazytiff.UnsupportedTiffError)
    with lazytiff.empty(path, dtype, compression=codec, **options) as out:
        page = np.zeros(shape, dtype)
        helper.assert_refused(path, lambda: out.append(page), kinds, match)
        helper.assert_refused(path, lambda: out.extend([page]), kinds, match)
        assert out.shape == (0, 0, 0)
        if codec != "lerc":
            good = {"webp": (32, 32, 3), "ccitt-g4": (32, 32)}.get(codec, (4, 16, 4))
            good = (4, 16, 3) if options.get("photometric") in ("ycbcr", "rgb") else good
            assert out.append(np.zeros(good, dtype)) == 0


def test_codec_that_the_linked_libtiff_lacks(path):
    """It is an UnsupportedTiffError that lists those that it has, and no file appears."""
    for codec in ("jbig", "ccitt-rle", "thunderscan", "sgilog"):
        with pytest.raises(lazytiff.UnsupportedTiffError, match=f"{codec} cannot be written here; what can is: none, "):
            lazytiff.empty(path, "u1", compression=codec)
    assert not path.exists()


# ---- by several threads


@pytest.mark.parametrize("codec", ["deflate", "zstd", "lzw", "none", "jpeg"])
@pytest.mark.parametrize("chunks", [None, 16, (64, 64)])
def test_workers(codec, chunks, path):
    """Pages stay in order, and the file is the same byte for byte, however many threads encode."""
    helper.needs_to_write(codec)
    rng = np.random.default_rng(1)
    pixels = np.cumsum(rng.integers(0, 3, (24, 256, 300), "u1"), axis=2, dtype="u1")
    files = []
    for workers in (1, 2, 8):
        file = path.with_name(f"{workers}.tif")
        with lazytiff.empty(file, "u1", compression=codec, chunk_shape=chunks, workers=workers) as out:
            for page in pixels[:4]:
                out.append(page)
            assert out.extend(iter(pixels[4:]), batch=workers) == 20
            if codec != "jpeg":
                helper.assert_same(out[...], pixels)
        files.append(file.read_bytes())
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize("codec", ["deflate", "zstd"])
def test_default_strips(codec, path):
    """About 256 KiB of pixels each; uncompressed pages are one strip."""
    helper.needs_to_write(codec)
    page = np.zeros((2048, 2048), "u2")
    with lazytiff.empty(path, "u2", compression=codec) as out, lazytiff.empty(path.with_name("n.tif"), "u2") as plain:
        out.append(page)
        plain.append(page)
        assert out.chunk_shape == (1, 64, 2048)
        assert plain.chunk_shape == (1, 2048, 2048)
