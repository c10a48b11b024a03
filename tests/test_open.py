"""Opening: what an array says of itself, which pages it takes, and what opening refuses."""

from __future__ import annotations

import importlib.metadata

import helper
import numpy as np
import pytest
import tiff_bytes

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


@pytest.mark.parametrize(
    ("count", "squeeze", "shape", "axes"),
    [(1, True, (3, 4), "YX"), (1, False, (1, 3, 4), "IYX"), (2, True, (2, 3, 4), "IYX")],
)
def test_squeeze(count, squeeze, shape, axes):
    """A single page comes without a page axis unless squeeze is False."""
    data = bytes(tiff_bytes.stack(STACK[:count]).bytes)
    with lazytiff.open(data, squeeze=squeeze) as img:
        assert (img.shape, img.axes, len(img.chunk_shape)) == (shape, axes, len(shape))
        np.testing.assert_array_equal(img, STACK[:count].reshape(shape))
    assert lazytiff.load(data, squeeze=squeeze).shape == shape


def test_repr():
    """Repr is one line: type, name, dtype, shape, axes, codecs; whether it is closed."""
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
    pages = [
        helper.page(RGB, tile=(16, 16), codec="deflate", predictor=2),
        helper.page(RGB, rows_per_strip=7, planar=2),
    ]
    path = tmp_path / "two.tif"
    path.write_bytes(helper.tiff(*pages, byteorder="<", big=True))
    with lazytiff.open(path) as img:
        text = img.explain()
        for words in (
            str(path),
            "BigTIFF",
            "little-endian",
            "1 of 2 pages",
            "horizontal predictor",
            "tiles of 16 x 16",
            "strips of 7 x 33",
            "cache",
        ):
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
        with pytest.raises(ValueError, match=r"copy\(\)"):
            img += 1  # noqa: PLW2901  # which is refused


def test_implicit_conversion_is_bounded(monkeypatch):
    """np.asarray above `lazytiff.limits.implicit_bytes` is a LimitError with the size and `copy()`; indexing is not."""
    monkeypatch.setattr(lazytiff.limits, "implicit_bytes", STACK.nbytes - 1)
    with lazytiff.open(stack_file()) as img:
        with pytest.raises(lazytiff.LimitError, match=rf"{STACK.nbytes} bytes.*copy\(\)"):
            np.asarray(img)
        np.testing.assert_array_equal(img[:4], STACK[:4])
        np.testing.assert_array_equal(np.asarray(img.pages[4]), STACK[4])
        np.testing.assert_array_equal(img.copy(), STACK)
        np.testing.assert_array_equal(img[...], STACK)
        np.testing.assert_array_equal(lazytiff.load(stack_file()), STACK)
        monkeypatch.setattr(lazytiff.limits, "implicit_bytes", STACK.nbytes)
        np.testing.assert_array_equal(np.asarray(img), STACK)
        monkeypatch.setattr(lazytiff.limits, "implicit_bytes", None)
        np.testing.assert_array_equal(np.asarray(img), STACK)


# ---- arguments


@pytest.mark.parametrize("mode", ["w", "r+", "c", "rb", "", None, "R", "A"])
@pytest.mark.parametrize(("opener", "modes"), [(lazytiff.open, "'r', 'a'"), (lazytiff.load, "'r'")])
def test_mode(opener, modes, mode, tmp_path):
    """Any mode but those that there are is a ValueError that lists them; no file is made."""
    with pytest.raises(ValueError, match=f"mode must be {modes}, not"):
        opener(tmp_path / "none.tif", mode)
    with pytest.raises(ValueError, match="mode must be 'r', not 'a'"):
        lazytiff.load(tmp_path / "none.tif", "a")
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_not_mapped():
    """open(mmap=True) says why not; load(mmap=True) warns and falls back."""
    with pytest.raises(lazytiff.NotMappableError, match="only files"):
        lazytiff.open(stack_file(), mmap=True)
    with pytest.warns(lazytiff.TiffWarning, match="map") as caught:
        img = lazytiff.load(stack_file(), mmap=True)
    assert caught[0].filename == __file__
    assert isinstance(img, lazytiff.LazyTiff)
    img.close()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("workers", 0, ValueError),
        ("workers", -1, ValueError),
        ("workers", 1.5, TypeError),
        ("workers", "2", TypeError),
        ("cache_bytes", -1, ValueError),
        ("cache_bytes", None, TypeError),
        ("cache_bytes", "1", TypeError),
        ("codecs", "zip", ValueError),
        ("codecs", ["lzw", "zip"], ValueError),
    ],
)
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


@pytest.mark.parametrize(
    ("pages", "error"),
    [
        (5, IndexError),
        (-6, IndexError),
        ([0, 5], IndexError),
        ([1 << 40], IndexError),
        ([], ValueError),
        (slice(3, 3), ValueError),
        (slice(9, 10), ValueError),
        (1.5, TypeError),
        ("1", TypeError),
        ([[0, 1]], TypeError),
        ([True, False], TypeError),
        ([0.0], TypeError),
        ([1 << 70], (IndexError, TypeError)),
    ],
)
def test_pages_that_are_not_there(pages, error):
    """A page outside of the file is an IndexError that says how many there are; choosing none is a ValueError."""
    with pytest.raises(error) as caught:
        lazytiff.open(stack_file(), pages=pages)
    if error is IndexError:
        assert "5 pages" in str(caught.value)
