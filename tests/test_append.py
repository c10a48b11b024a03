"""`empty` and `append`: what goes into a file that grows, what does not, and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path

import dask.array as da
import helper
import numpy as np
import pytest
import tifffile

import lazytiff

X = "\N{MULTIPLICATION SIGN}"


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made, alone in its folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "new.tif"


def remains(path):
    """Tell what is in the folder."""
    return sorted(entry.name for entry in path.parent.iterdir())


def block(bits, dtype, shape, size, left, *, state="writable"):
    """Return the lines that `print` shows."""
    first = f"{bits}-bit AppendTiff {dtype} {X.join(map(str, shape))} ({state})"
    return f"{first}\n    Current file size on disk:   {size}\n    Addressable space remaining: {left}"


# ---- empty


def test_demonstration(path):
    """The seed's blocks: about 64.15 KiB after a slice, 128.3 KiB after two, and the numbers are those of the disk."""
    pixels = helper.pixels((2, 256, 256), "u1")
    with lazytiff.empty(path, "u1", bigtiff=False) as out:
        assert str(out) == block(32, "uint8", (0, 0, 0), "8 bytes", "4.000 GiB")
        for count, size in ((1, 64.152), (2, 128.297)):
            out.append(pixels[count - 1])
            on_disk = path.stat().st_size / 1024
            assert str(out) == block(32, "uint8", (count, 256, 256), f"{on_disk:.3f} KiB", "4.000 GiB")
            assert abs(on_disk - size) < 0.1
        helper.assert_same(out[1], pixels[1])
    on_disk = path.stat().st_size / 1024
    assert str(out) == block(32, "uint8", (2, 256, 256), f"{on_disk:.3f} KiB", "4.000 GiB", state="closed")


def test_demonstration_of_xl_files(path):
    """BigTIFF has 64 bits, and 16384 PiB to fill."""
    with lazytiff.empty(path, "u2", bigtiff=True) as out:
        assert str(out) == block(64, "uint16", (0, 0, 0), "16 bytes", "16384.000 PiB")
        out.append(np.zeros((256, 256), "u2"))
        on_disk = path.stat().st_size / 1024
        assert str(out) == block(64, "uint16", (1, 256, 256), f"{on_disk:.3f} KiB", "16384.000 PiB")


@pytest.mark.parametrize("bigtiff", ["auto", False, True])
def test_no_pages_yet(bigtiff, path):
    """Before the first page there is a file without pages, and an array of (0, 0, 0) that says so when it is read."""
    with lazytiff.empty(path, ">u2", bigtiff=bigtiff) as out:
        assert remains(path) == ["new.tif"]
        assert (out.shape, len(out), out.ndim, out.size, out.axes) == ((0, 0, 0), 0, 3, 0, "IYX")
        assert (out.dtype, out.mode, out.chunk_shape) == (np.dtype("u2"), "a", (1, 0, 0))
        assert repr(out) == "<AppendTiff 'new.tif' uint16 (0, 0, 0) IYX, no pages yet>"
        assert "no pages yet" in out.explain()
        assert (list(out), list(out.pages), out.refresh()) == ([], [], 0)
        for use in (
            lambda: out[0],
            lambda: out[...],
            out.copy,
            lambda: out.tags,
            lambda: np.asarray(out),
        ):
            with pytest.raises(lazytiff.EmptyStackError, match=r"new\.tif has no pages yet: append one"):
                use()
        with pytest.raises(lazytiff.EmptyStackError, match="no pages"):
            lazytiff.open(path)
    assert repr(out).endswith("no pages yet, closed>")
    with tifffile.TiffFile(path) as oracle:
        assert len(oracle.pages) == 0
        assert (oracle.byteorder, oracle.is_bigtiff) == (">", bigtiff is True)


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_paths(kind, path):
    """A path is str, bytes or PathLike; one that is taken is refused, with the way to go on."""
    lazytiff.empty(kind(path), "u1").close()
    advice = r"there is such a file; lazytiff\.open\(path, 'a'\) goes on with it"
    helper.assert_refused(path, lambda: lazytiff.empty(kind(path), "u1"), FileExistsError, advice)
    with pytest.raises(FileExistsError) as caught:
        lazytiff.empty(kind(path.parent), "u1")
    assert caught.value.filename == os.fsdecode(kind(path.parent))
    assert remains(path) == ["new.tif"]


def test_paths_that_are_none(path):
    """What cannot be a path, or lies in no folder, is refused as Python does."""
    for odd, kind, match in (
        (5, TypeError, "only files can be written to: a path is needed, not int"),
        (b"II*\0", TypeError, "a path is needed"),
        (memoryview(b"abc"), TypeError, "a path is needed"),
        ("a\0b.tif", ValueError, "null byte"),
        ("", FileNotFoundError, "No such file"),
        (path / "no" / "folder.tif", FileNotFoundError, "folder"),
    ):
        with pytest.raises(kind, match=match):
            lazytiff.empty(odd, "u1")
    assert remains(path) == []


BAD_OPTIONS = [
    ({"bigtiff": "yes"}, ValueError, "bigtiff must be"),
    ({"bigtiff": None}, ValueError, "bigtiff must be"),
    ({"compression": "zip"}, ValueError, "there is no compression 'zip'; there are: none, "),
    ({"compression": 5}, ValueError, "there is no compression"),
    ({"compression": "old-jpeg"}, lazytiff.UnsupportedTiffError, "old-jpeg cannot be written here"),
    ({"level": 3}, ValueError, "level 3, where Compression 1 has none"),
    ({"level": -1, "compression": "deflate"}, ValueError, "level must not be negative"),
    ({"level": float("nan"), "compression": "lerc"}, ValueError, "level must not be negative"),
    ({"level": 13, "compression": "deflate"}, ValueError, "level 13, where the effort of Deflate is 0 to 12"),
    ({"level": 1.5, "compression": "deflate"}, ValueError, "whole number"),
    ({"level": "best", "compression": "deflate"}, ValueError, "best"),
    ({"predictor": 4}, ValueError, "predictor must be"),
    ({"predictor": 2}, ValueError, "predictors go with LZW"),
    ({"predictor": 3, "compression": "lzw"}, ValueError, "predictor 3 is for floating point numbers"),
    ({"chunk_shape": 0}, ValueError, "chunk_shape must be"),
    ({"chunk_shape": (16, 16, 1)}, ValueError, "chunk_shape must be"),
    ({"chunk_shape": 1.5}, TypeError, "float"),
    ({"photometric": "grey"}, ValueError, "photometric must be one of miniswhite, "),
    ({"photometric": ["rgb"]}, ValueError, "photometric must be one of miniswhite, "),
    ({"photometric": "ycbcr"}, ValueError, "by JPEG alone"),
    ({"photometric": "palette"}, ValueError, "takes the tag ColorMap of 768 numbers"),
    ({"description": 5}, TypeError, "ImageDescription"),
    ({"description": "a", "tags": {270: "b"}}, ValueError, "ImageDescription is there twice"),
    ({"tags": {"Nothing": 1}}, ValueError, "no tag is called"),
    ({"tags": {256: 5}}, ValueError, "the shape of the pages sets it"),
    ({"tags": {65000: ("LONG8", 1)}}, ValueError, "only BigTIFF"),
    ({"durability": "none"}, ValueError, "durability must be 'process' or 'power'"),
    ({"workers": 0}, ValueError, "workers must be at least 1"),
    ({"workers": 1.5}, TypeError, "float"),
    ({"dtype": object}, TypeError, "TIFF has no samples of dtype object"),
    ({"dtype": "M8[s]"}, TypeError, "TIFF has no samples of dtype datetime64"),
    ({"dtype": "f4", "compression": "jpeg"}, ValueError, "JPEG is for 1, 3 or 4 unsigned samples of 8 bits"),
    ({"dtype": "u1", "compression": "ccitt-g4"}, ValueError, "CCITT Group 4 is for 1 bit"),
    ({"dtype": "f4", "photometric": "palette"}, ValueError, "photometric='palette' is for bool, uint8 and uint16"),
]


@pytest.mark.parametrize(("options", "kind", "match"), BAD_OPTIONS)
def test_options_that_mean_nothing(options, kind, match, path):
    """What no page could have is refused before there is a file, by `empty` as by `save`; nothing is left behind."""
    if kind is not lazytiff.UnsupportedTiffError and "there is no" not in match:
        helper.needs_to_write(options.get("compression"))
    others = {name: value for name, value in options.items() if name != "dtype"}
    with pytest.raises(kind, match=match):
        lazytiff.empty(path, options.get("dtype", "u1"), **others)
    with pytest.raises(kind, match=match):
        lazytiff.save(path, np.zeros((2, 4, 5), options.get("dtype", "u1")), **others)
    assert remains(path) == []


@pytest.mark.parametrize("chunk_shape", [5, (5,), (5, 37), (16, 32)])
def test_chunks_that_only_the_page_can_refuse(chunk_shape, path):
    """Tiles that are as wide as the page are strips, of any rows; which they are is known with the first page."""
    pixels = helper.pixels((2, 23, 37), "u1")
    with lazytiff.empty(path, "u1", chunk_shape=chunk_shape) as out:
        out.extend(pixels)
        helper.assert_same(out[...], pixels)
        assert out.chunk_shape == (1, *chunk_shape[:1], 32) if chunk_shape == (16, 32) else (1, 5, 37)
    with lazytiff.empty(path.with_name("tiles.tif"), "u1", chunk_shape=(5, 37)) as out:
        with pytest.raises(ValueError, match="multiples of 16"):
            out.append(np.zeros((23, 38), "u1"))
        assert out.shape == (0, 0, 0)
        assert out.append(pixels[0]) == 0


# ---- append


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", ">u2", "i4", "u8", ">i8", "f2", ">f4", "f8", "c8", ">c16"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (6, 4, 2), (4, 6, 3), (3, 5, 4), (2, 3, 7)])
def test_first_page(shape, dtype, path):
    """It sets rows, columns and samples; pages have their numbers; tifffile and lazytiff read what was appended."""
    pixels = helper.pixels((3, *shape), np.dtype(dtype).newbyteorder("="))
    with lazytiff.empty(path, dtype) as out:
        for number, page in enumerate(pixels):
            assert out.append(page) == number
            assert (out.shape, out.axes) == ((number + 1, *shape), "IYXS"[: 1 + len(shape)])
        helper.assert_same(out[...], pixels)
    with lazytiff.open(path) as img:
        helper.assert_same(img.copy(), pixels)
    with tifffile.TiffFile(path) as oracle:
        assert oracle.byteorder == (np.dtype(dtype).str[0] if np.dtype(dtype).itemsize > 1 else "<")
        found = np.stack([page.asarray() for page in oracle.pages])
    assert found.tobytes() == pixels.tobytes()


@pytest.mark.parametrize(
    ("dtype", "samples", "photometric", "expected"),
    [
        ("u1", 1, None, (1, None)),
        ("u1", 2, None, (1, (0,))),
        ("u1", 3, None, (2, None)),
        ("u1", 4, None, (2, (2,))),
        ("u1", 5, None, (1, (0, 0, 0, 0))),
        ("u2", 3, None, (1, (0, 0))),
        ("u2", 4, None, (1, (0, 0, 0))),
        ("f4", 3, None, (1, (0, 0))),
        ("?", 3, None, (1, (0, 0))),
        ("u2", 3, "rgb", (2, None)),
        ("u2", 4, "rgb", (2, (0,))),
        ("u1", 3, "minisblack", (1, (0, 0))),
        ("u1", 1, "miniswhite", (0, None)),
        ("u1", 4, "cmyk", (5, None)),
        ("u1", 3, "cielab", (8, None)),
        ("?", 1, "mask", (4, None)),
    ],
)
def test_photometric(dtype, samples, photometric, expected, path):
    """RGB for uint8 with 3 or 4 samples, otherwise min-is-black with extra samples, unless photometric says it."""
    with lazytiff.empty(path, dtype, photometric=photometric) as out:
        out.extend(np.zeros((2, 4, 5) if samples == 1 else (2, 4, 5, samples), dtype))
    with tifffile.TiffFile(path) as oracle:
        for page in oracle.pages:
            assert page.samplesperpixel == samples
            extra = page.tags.get("ExtraSamples")
            assert (page.photometric, extra and tuple(np.atleast_1d(extra.value))) == expected


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_pages_that_do_not_go_with_the_others(compression, path):
    """Another shape or dtype is refused with both; no byte is written, and the next page is taken."""
    page = helper.pixels((6, 5), "u2")
    with lazytiff.empty(path, "u2", compression=compression) as out:
        out.append(page)
        for odd, match in (
            (np.zeros((5, 6), "u2"), r"uint16 \(5, 6\) does not go with a stack of uint16 \(6, 5\)"),
            (np.zeros((6, 5, 3), "u2"), r"uint16 \(6, 5, 3\) does not go with a stack of uint16 \(6, 5\)"),
            (np.zeros((6, 5, 1), "u2"), r"\(6, 5, 1\)"),
            (np.zeros((0, 5), "u2"), r"\(0, 5\)"),
            (np.zeros((6, 5), "u1"), r"uint8 .* uint16 .*values are not converted; page\.astype\('uint16'\)"),
            (np.zeros((6, 5), "i2"), r"int16 .*values are not converted"),
            (np.zeros((4, 6, 5), "u2"), r"these are 4 pages: extend\(pages\)"),
            ([[0] * 5] * 6, r"int64 \(6, 5\).*astype"),
            (np.zeros((6, 5), object), "object"),
            (np.full((6, 5), "x"), "<U1"),
            (np.zeros((6, 5), "M8[s]"), "datetime64"),
            (np.zeros((6, 5), [("a", "u2")]), r"\('a', '<u2'\)"),
            (None, "object"),
        ):
            helper.assert_refused(path, lambda odd=odd: out.append(odd), lazytiff.FrameTypeError, match)
            helper.assert_refused(path, lambda odd=odd: out.extend(iter([odd])), lazytiff.FrameTypeError, match)
        masked = np.ma.masked_equal(page, page[0, 0])
        helper.assert_refused(path, lambda: out.append(masked), ValueError, "masked values")
        helper.assert_refused(path, lambda: out.append([[1], [2, 3]]), ValueError, "inhomogeneous")
        assert out.append(page[::-1]) == 1
        helper.assert_same(out[...], np.stack([page, page[::-1]]))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_more_pages_than_can_be_read(compression, path, monkeypatch):
    """Beyond `limits.max_pages` a page is a LimitError, and no byte is written; those before read back."""
    monkeypatch.setattr(lazytiff.limits, "max_pages", 4)
    pages = helper.pixels((6, 6, 5), "u2")
    with lazytiff.empty(path, "u2", compression=compression) as out:
        out.append(pages[0])
        with pytest.raises(lazytiff.LimitError, match=r"has 4 pages; .*max_pages"):
            out.extend(iter(pages[1:]), batch=2)
        helper.assert_refused(path, lambda: out.append(pages[4]), lazytiff.LimitError, "max_pages")
        helper.assert_same(out[...], pages[:4])
    with lazytiff.open(path, "a") as out:
        helper.assert_refused(path, lambda: out.append(pages[4]), lazytiff.LimitError, "max_pages")


def test_first_pages_that_are_none(path):
    """A first page of no pixels, of one sample on an axis of its own, or of another dtype leaves the stack empty."""
    with lazytiff.empty(path, "u1") as out:
        for odd, kind, match in (
            (np.zeros((0, 4), "u1"), ValueError, "at least one pixel"),
            (np.zeros((3, 4, 1), "u1"), ValueError, "a single sample is no axis"),
            (np.zeros(4, "u1"), ValueError, r"a page is \(row, column\)"),
            (np.zeros((2, 3, 4, 5), "u1"), ValueError, r"extend\(pages\) appends several"),
            (np.zeros((2, 2, 65536), "u1"), ValueError, "65,535 samples"),
            (np.zeros((3, 4), "u2"), lazytiff.FrameTypeError, "does not go with a stack of uint8: values"),
        ):
            helper.assert_refused(path, lambda odd=odd: out.append(odd), kind, match)
            assert out.shape == (0, 0, 0)
        assert out.append(np.ones((3, 4), "u1")) == 0


PAGE = helper.pixels((8, 6), "i4")


def forms_of(page):
    """Yield what NumPy takes for that very page of int32."""
    yield "Fortran order", np.asfortranarray(page)
    yield "negative strides", page[::-1, ::-1].copy()[::-1, ::-1]
    yield "every other", np.repeat(np.repeat(page, 2, 0), 3, 1)[::2, ::3]
    yield "rows apart", np.pad(page, [(0, 0), (1, 2)])[:, 1:-2]
    yield "unaligned", np.frombuffer(b"x" + page.tobytes(), "u1")[1:].view("i4").reshape(page.shape)
    yield "other byte order", page.astype(page.dtype.newbyteorder("S"))
    yield "other byte order, transposed", page.T.astype(page.dtype.newbyteorder("S")).T
    yield "rows of arrays", list(page)
    yield "memoryview", memoryview(page)
    yield "subclass", page.view(np.matrix)
    yield "without masked values", np.ma.array(page)
    yield "dask", da.from_array(page, chunks=3)
    read_only = page.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("dtype", ["<i4", ">i4"])
@pytest.mark.parametrize("name", [name for name, _ in forms_of(PAGE)])
def test_whatever_numpy_takes(name, dtype, compression, path):
    """A page may lie in memory in any way, and be of any type that NumPy makes an array of."""
    form = dict(forms_of(PAGE))[name]
    with lazytiff.empty(path, dtype, compression=compression) as out:
        assert (out.append(form), out.append(form), out.extend([form])) == (0, 1, 1)
        helper.assert_same(out[...], np.stack([PAGE] * 3))


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_views_of_stride_0(compression, path):
    """One number for all pixels, or one row for all rows."""
    with lazytiff.empty(path, "u2", compression=compression) as out:
        out.append(np.broadcast_to(np.uint16(7), (5, 4)))
        out.append(np.broadcast_to(np.arange(4, dtype="u2"), (5, 4)))
        out.append(np.broadcast_to(np.arange(5, dtype=">u2")[:, None], (5, 4)))
        assert out[0].tolist() == [[7] * 4] * 5
        assert out[1].tolist() == [[0, 1, 2, 3]] * 5
        assert out[2].tolist() == [[i] * 4 for i in range(5)]
