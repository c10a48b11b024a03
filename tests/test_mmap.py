"""MmapTiff: what it says of itself, why files are refused, and what it does when they change."""

from __future__ import annotations

import contextlib
import io
import os
import time

import helper
import numpy as np
import pytest
import test_samples
import tiff_bytes
import tifffile
from helper import Layout, page, pixels, tiff
from tiff_bytes import LONG, LONG8, SHORT, Builder

import lazytiff

STACK = tiff_bytes.frames(6, (5, 7), "u2")


@pytest.fixture
def path(tmp_path):
    """Write STACK to a file."""
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff_bytes.stack(STACK).bytes)
    return path


def assert_equal(actual, expected):
    """Check values and shape."""
    assert np.shape(actual) == np.shape(expected)
    assert np.array_equal(actual, expected)


# ---- what it says


def test_words(tmp_path):
    """Mode, type, axes and layout are what the file says; they cost no pixel."""
    array = pixels((3, 8, 6, 2), "i2")
    path = tmp_path / "words.tif"
    path.write_bytes(tiff(*(page(image, rows_per_strip=4, byteorder=">") for image in array), byteorder=">"))
    with lazytiff.open(path, mmap=True) as img:
        assert repr(img) == "<MmapTiff 'words.tif' int16 (3, 8, 6, 2) IYXS, r>".replace("int16", str(img.dtype))
        assert (img.mode, img.axes, img.path, img.closed) == ("r", "IYXS", str(path), False)
        assert img.dtype == np.dtype(">i2")
        assert (img.shape, img.ndim, img.size, img.nbytes) == (array.shape, 4, array.size, array.nbytes)
        assert img.chunk_shape == (1, 4, 6, 2)
        assert "mapped as one array over all pages" in img.explain()
        assert f", {np.asarray(img).strides[0]} bytes from page to page" in img.explain()
        assert img.tags["RowsPerStrip"] == 4
        assert len(img.pages) == 3
        assert_equal(img.pages[2][...], array[2])
        assert img.pages[-1].tags["ImageLength"] == 8
        assert img.cache_info().maxsize == 64 << 20
    assert repr(img).endswith(", closed>")
    with pytest.raises(lazytiff.ClosedError):
        img[0]


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_modes(mode, path):
    """The mode is told, and says whether what np.asarray gives can be written to."""
    with lazytiff.open(path, mode, mmap=True) as img:
        assert img.mode == mode
        assert repr(img).endswith(f", {mode}>")
        assert np.asarray(img).flags.writeable is (mode != "r")
    with lazytiff.load(path, mode, mmap=True) as img:
        assert type(img) is lazytiff.MmapTiff
        assert img.mode == mode


def test_unknown_modes(path):
    """Modes that there are not, and those that need a map, are refused by name."""
    for mode in ("w", "rb", "a", ""):
        with pytest.raises(ValueError, match="mode must be 'r', 'r\\+', 'c', not"):
            lazytiff.open(path, mode, mmap=True)
    for mode in ("r+", "c"):
        with pytest.raises(ValueError, match="are for mmap=True"):
            lazytiff.open(path, mode)


def test_explain_tells_tiles_and_pages(tmp_path):
    """`explain()` says whether views end at tiles or at pages."""
    tiled, uneven = tmp_path / "tiled.tif", tmp_path / "uneven.tif"
    tiled.write_bytes(tiff(page(pixels((20, 20), "u1"), tile=(16, 16))))
    uneven.write_bytes(tiff(*(page(STACK[0], tags={270: "x" * 9 ** (n % 3)}) for n in range(4))))
    for file, words in {tiled: "mapped tile by tile", uneven: "mapped page by page"}.items():
        with lazytiff.open(file, mmap=True) as img:
            assert words in img.explain()
        with lazytiff.open(file) as lazy:
            assert "mmap=True is possible" in lazy.explain().splitlines()


# ---- as an array


@pytest.mark.parametrize("layout", [Layout(), Layout(tile=(4, 4))], ids=["one view", "tiles"])
def test_array_protocol(layout, tmp_path):
    """`copy` and conversions give new, writable arrays; without a copy there is one only where all is one view."""
    path = tmp_path / "array.tif"
    path.write_bytes(tiff(*(page(image, layout, byteorder=">") for image in STACK), byteorder=">"))
    one = layout.tile is None
    with lazytiff.open(path, mmap=True) as img:
        copy = img.copy()
        assert copy.flags.c_contiguous
        for new in (copy, np.array(img), np.asarray(img, "f4"), np.asarray(img, "<u2"), img.__array__(copy=True)):
            assert new.flags.writeable
            assert not np.shares_memory(new, img[0, :4, :4])
            assert_equal(new, STACK)
        assert (copy.dtype, np.asarray(img, "f4").dtype, np.asarray(img, "<u2").dtype.str) == (">u2", "f4", "<u2")
        assert np.shares_memory(np.asarray(img), img[0, :4, :4]) is one
        assert np.shares_memory(img.__array__(np.dtype(">u2")), img[0, :4, :4]) is one
        for dtype in (None, ">u2"):
            with contextlib.nullcontext() if one else pytest.raises(ValueError, match="without a copy"):
                assert np.shares_memory(img.__array__(dtype, copy=False), img[0, :4, :4])
        with pytest.raises(ValueError, match="copy"):
            img.__array__("f4", copy=False)
        assert_equal(np.max(img, axis=0), STACK.max(axis=0))
        assert np.sum(img) == STACK.sum()
        assert_equal(np.stack(list(img)), STACK)


@pytest.mark.parametrize("layout", [Layout(), Layout(tile=(4, 4))], ids=["one view", "tiles"])
def test_fancy_indices_are_copies(layout, tmp_path):
    """Lists and masks give new, writable arrays; to change them changes nothing in the file."""
    path = tmp_path / "fancy.tif"
    path.write_bytes(tiff(*(page(image, layout) for image in STACK)))
    with lazytiff.open(path, mmap=True) as img:
        for key in ([2, 0], (slice(None), [3, 3], 1), STACK > 9, ([0, 1], ..., [5, 2]), np.ix_([3, 0], [1], [0, 6])):
            found = img[key]
            assert found.flags.writeable
            found[...] = 1
            assert_equal(img[key], STACK[key])
        assert_equal(img[...], STACK)


def test_copies_of_tiles_have_a_limit(tmp_path, monkeypatch):
    """`np.asarray` of what is no view copies no more than limits.implicit_bytes; of a view it copies nothing."""
    for number, layout in enumerate([Layout(), Layout(tile=(4, 4))]):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(tiff(*(page(image, layout) for image in STACK)))
        monkeypatch.setattr(lazytiff.limits, "implicit_bytes", STACK.nbytes - 1)
        with lazytiff.open(path, mmap=True) as img:
            with pytest.raises(lazytiff.LimitError) if layout.tile else contextlib.nullcontext():
                assert_equal(np.asarray(img), STACK)
            assert_equal(img.copy(), STACK)


def test_single_pages_are_squeezed(path):
    """One page comes without a page axis, unless squeeze=False; both are the same memory of their maps."""
    for squeeze, shape in ((True, (5, 7)), (False, (1, 5, 7))):
        with lazytiff.open(path, mmap=True, pages=3, squeeze=squeeze) as img:
            assert np.asarray(img).shape == img.shape == shape
            assert_equal(img[..., 1:, ::2], STACK[3].reshape(shape)[..., 1:, ::2])
            assert np.shares_memory(img[..., 0], np.asarray(img))


# ---- what cannot be mapped


def damaged(**tags):
    """Make a page whose tags say something else."""
    return page(STACK[0], rows_per_strip=2, tags={int(tag[1:]): value for tag, value in tags.items()})


def sparse():
    """Make a page of which a strip is left out."""
    image = page(STACK[0], rows_per_strip=2, tags={42113: "0"})
    image.chunks[1] = None
    return tiff(image)


REFUSED = {
    "lzw": (
        tiff(*(page(STACK[n], codec="lzw" if n == 3 else "none") for n in range(5))),
        "page 3 is LZW-compressed",
    ),
    "deflate": (tiff(page(STACK[0], codec="deflate")), "page 0 is Deflate-compressed"),
    "packbits": (tiff(page(STACK[0], codec="packbits")), "page 0 is PackBits-compressed"),
    "10 bits": (tiff(page(STACK[0], bits=10)), "page 0: 10-bit samples are packed"),
    "1 bit": (tiff(page(pixels((5, 7), "?"))), "page 0: 1-bit samples are packed"),
    "fill order": (
        tiff(page(pixels((5, 7), "u1"), fill_order=2)),
        "page 0: the bits of its bytes are stored in reverse order (FillOrder 2)",
    ),
    "ycbcr": (
        tiff(test_samples.ycbcr_page(*test_samples.ycbcr_pixels(8, 8, 2, 2), 2, 2, codec="none")),
        "page 0: YCbCr pixels are converted to RGB",
    ),
    "sparse": (sparse(), "page 0, chunk 1: the file leaves it out"),
    "short strip": (tiff(damaged(_279=(28, 27, 14))), "page 0, chunk 1 ends early: 27 of 28 bytes are there"),
    "beyond the end": (
        tiff(damaged(_273=(8, 36, 4096))),
        "page 0, chunk 2: its 14 bytes at offset 4096 are not all in the file, which has ",
    ),
}


@pytest.mark.parametrize(("file", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore:.*page 0:lazytiff.TiffWarning")
def test_reasons(file, reason, tmp_path):
    """Why a file cannot be mapped is the error's text, the warning's, and what `explain()` says; then it is lazy."""
    path = tmp_path / "refused.tif"
    path.write_bytes(file)
    with pytest.raises(lazytiff.NotMappableError) as refusal:
        lazytiff.open(path, mmap=True)
    assert f"{path}: {reason}" in str(refusal.value)
    with pytest.warns(lazytiff.TiffWarning) as warnings:
        lazy = lazytiff.load(path, mmap=True)
    assert any(str(refusal.value) in str(warning.message) for warning in warnings)
    assert {warning.filename for warning in warnings} == {__file__}
    with lazy:
        assert type(lazy) is lazytiff.LazyTiff
        assert f"mmap=True is not possible: {refusal.value}" in lazy.explain().splitlines()
    for mode in ("r+", "c"):
        with pytest.raises(lazytiff.NotMappableError) as again:
            lazytiff.load(path, mode, mmap=True)
        assert str(again.value) == str(refusal.value)


def test_refused_files_are_read_lazily(tmp_path):
    """What `load` falls back to has the pixels; pages that can be mapped can be chosen."""
    path = tmp_path / "mixed.tif"
    path.write_bytes(REFUSED["lzw"][0])
    with pytest.warns(lazytiff.TiffWarning, match="decoded where it is touched"), lazytiff.load(path, mmap=True) as img:
        helper.assert_same(img[...], STACK[:5])
    with lazytiff.open(path, mmap=True, pages=[0, 1, 2, 4]) as img:
        assert_equal(img[...], STACK[[0, 1, 2, 4]])


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_only_files_are_mapped(wrap, path):
    """Bytes in memory and file objects have nothing to map; `load` reads them lazily."""
    data = path.read_bytes()
    with pytest.raises(lazytiff.NotMappableError, match="only files can be mapped"):
        lazytiff.open(wrap(data), mmap=True)
    with pytest.warns(lazytiff.TiffWarning, match="only files can be mapped"):
        img = lazytiff.load(wrap(data), mmap=True)
    with img:
        helper.assert_same(img[...], STACK)
        assert "mmap=True is not possible: only files can be mapped" in img.explain()
    with pytest.raises(lazytiff.NotMappableError, match="only files can be mapped"):
        lazytiff.load(wrap(data), "c", mmap=True)


# ---- files that change


USES = {
    "index": lambda img: img[0],
    "pixel": lambda img: img[0, 0, 0],
    "list": lambda img: img[[0, 2]],
    "nothing": lambda img: img[0:0],
    "array": np.asarray,
    "copy": lambda img: img.copy(),
    "tiles": lambda img: img.tile_view,
    "iteration": lambda img: next(iter(img)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("tile", [None, (4, 4)], ids=["one view", "tiles"])
def test_truncated(use, tile, tmp_path):
    """A file that has lost its last byte is refused by every use of its pixels, touched before or not."""
    path = tmp_path / "short.tif"
    path.write_bytes(tiff(*(page(image, tile=tile) for image in tiff_bytes.frames(3, (8, 8)))))
    size = path.stat().st_size
    with lazytiff.open(path, mmap=True) as img:
        use(img)
        os.truncate(path, size - 1)
        for _ in range(2):
            with pytest.raises(lazytiff.FileChangedError, match=f"had {size} bytes .* has {size - 1}"):
                use(img)
        assert (len(img), img.shape) == (3, (3, 8, 8))
        os.truncate(path, size)
        use(img)


def rewrite(path, data, at=0):
    """Overwrite bytes of a file in place."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def ifds(path):
    """Return where the IFDs are."""
    with tifffile.TiffFile(path) as tif:
        return [found.offset for found in tif.pages]


def test_rewritten_page(path):
    """A page whose IFD is another one is refused; the others, and a page that was touched before, are not."""
    with lazytiff.open(path, mmap=True) as img:
        img[4]
        for number in (2, 4):
            rewrite(path, b"\x09\x01", ifds(path)[number] + 2 + 12 * 8)  # its StripByteCounts become CellLength
        for _ in range(2):
            for key in (2, (2, 0, 0), slice(None), ([2, 0],), (..., 0), slice(1, 3), -4):
                with pytest.raises(lazytiff.FileChangedError, match="page 2"):
                    img[key]
            with pytest.raises(lazytiff.FileChangedError, match="page 2"):
                np.asarray(img)
            for key in (0, 4, -1, (slice(0, 2), 3), slice(3, None)):
                assert_equal(img[key], STACK[key])


@pytest.mark.parametrize("longer", [0, 3], ids=["same size", "larger"])
def test_restarted_acquisition(longer, path):
    """A program that truncates the file and writes other pages into it is noticed at the first touch."""
    size = path.stat().st_size
    with lazytiff.open(path, mmap=True) as img:
        assert_equal(img[0], STACK[0])
        other = tiff_bytes.stack(tiff_bytes.frames(6 + longer, (7, 5), "u2"))
        with path.open("r+b") as file:
            file.truncate()
            file.write(other.bytes)
        assert (path.stat().st_size == size) is (longer == 0)
        for number in range(1, 6):
            with pytest.raises(lazytiff.FileChangedError):
                img[number]
        with pytest.raises(lazytiff.FileChangedError):
            img[...]


def test_growth_is_no_change(path):
    """Bytes that are appended change nothing about the pages that are there."""
    with lazytiff.open(path, mmap=True) as img:
        view = img[2]
        with path.open("ab") as file:
            file.write(bytes(100_000))
        assert_equal(img[...], STACK)
        assert_equal(view, STACK[2])


def test_pixels_of_other_programs_show(path):
    """What another program writes into pixels is seen through views that were there before."""
    with lazytiff.open(path, mmap=True) as img:
        view = img[1]
        with tifffile.TiffFile(path) as tif:
            rewrite(path, b"\xff\xff", tif.pages[1].dataoffsets[0])
        assert view[0, 0] == img[1, 0, 0] == 65535


@pytest.mark.parametrize("change", [os.unlink, lambda path: os.rename(path, f"{path}.old")], ids=["gone", "renamed"])
def test_deleted_and_renamed(change, path):
    """A file that lost its name, or got another one, stays readable; so does one that another file replaced."""
    with lazytiff.open(path, mmap=True) as img:
        change(path)
        assert_equal(img[...], STACK)
        path.write_bytes(b"another file")
        assert_equal(img[::-1], STACK[::-1])
        assert_equal(img.copy(), STACK)


def bytes_read(function):
    """Return how many bytes this process reads from files during a call."""

    def count():
        with open("/proc/self/io", encoding="ascii") as numbers:
            return int(numbers.readline().split()[1])

    own = -(count() - count())
    before = count()
    function()
    return count() - before - own


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/io", os.R_OK), reason="the system does not say what was read (Linux)")
def test_old_files_are_not_read_again(tmp_path):
    """The IFDs of a file that was at rest when it was opened are not read again, until somebody writes to it."""
    path = tmp_path / "rest.tif"
    path.write_bytes(tiff(*[page(STACK[0])] * 2000))
    os.utime(path)  # too young: its time of change does not prove anything
    with lazytiff.open(path, mmap=True) as img:
        assert bytes_read(lambda: img[...]) > 2000 * 100
    while int(time.time()) - int(path.stat().st_ctime) <= 3:
        time.sleep(0.05)
    with lazytiff.open(path, mmap=True) as img, lazytiff.open(path, mmap=True) as other:
        assert bytes_read(lambda: img[...]) < 1000
        rewrite(path, b"\x09\x01", ifds(path)[1500] + 2 + 12 * 8)
        assert_equal(other[0], STACK[0])
        with pytest.raises(lazytiff.FileChangedError, match="page 1500"):
            other[...]


# ---- large files


@pytest.mark.parametrize("mode", ["r", "c"])
def test_400_gib(mode, tmp_path):
    """A file larger than memory maps; a pixel far inside is read, and in mode "c" assigned, but not in the file."""
    pages, side = 400, 1 << 15
    file = Builder(big=True)
    data = 1 << 20  # where pixels begin
    for number in range(pages):
        tags = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 277: 1, 278: side}
        entries = [file.entry(tag, LONG if tag < 258 or tag == 278 else SHORT, (value,)) for tag, value in tags.items()]
        entries.insert(5, file.entry(273, LONG8, (data + (number << 30),)))
        file.page([*entries, file.entry(279, LONG8, (1 << 30,))])
    path = tmp_path / "large.tif"
    path.write_bytes(file.bytes)
    far = (321, 12_345, 23_456)
    try:
        os.truncate(path, data + (pages << 30))
        rewrite(path, b"\x7b", data + (far[0] << 30) + far[1] * side + far[2])
    except OSError as error:
        pytest.skip(f"the file system has no sparse file of 400 GiB: {error}")
    with lazytiff.open(path, mode, mmap=True) as img:
        assert img.nbytes == 400 << 30
        view = np.asarray(img)
        assert view.strides == (1 << 30, side, 1)
        assert (img[far], view[far], img[-1, -1, -1]) == (123, 123, 0)
        assert_equal(img[320:323, far[1], far[2]], np.array([0, 123, 0]))
        if mode == "c":
            img[far] = 45
            view[-1, -1, -1] = 67
            assert (img[far], img[-1, -1, -1]) == (45, 67)
        del view
    with lazytiff.open(path, mmap=True) as img:
        assert (img[far], img[-1, -1, -1]) == (123, 0)
