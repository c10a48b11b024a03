"""Files that grow while they are open: `refresh` takes in the pages that came, in mapped arrays and in lazy ones."""

from __future__ import annotations

import contextlib

import pytest
import tiff_bytes
import tifffile
from helper import pixels
from test_mmap import STACK, assert_equal, rewrite

import lazytiff

MMAP = pytest.mark.parametrize("mmap", [True, False], ids=["mapped", "lazy"])


@pytest.fixture
def path(tmp_path):
    """Write STACK to a file."""
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff_bytes.stack(STACK).bytes)
    return path


def append(path, image):
    """Have tifffile append a page."""
    tifffile.imwrite(path, image, append=True, photometric="minisblack", metadata=None)


@MMAP
@pytest.mark.parametrize("writer", ["tifffile", "another"])
def test_refresh(mmap, writer, path):
    """Pages that came show after `refresh`, which counts them; views from before stay as they are."""
    more = tiff_bytes.frames(9, (5, 7), "u2")
    with lazytiff.open(path, mmap=mmap) as img:
        assert img.refresh() == 0
        whole, view = img[...], img[2, 1:]
        if writer == "tifffile":
            for image in more[6:]:
                append(path, image)
        else:
            rewrite(path, tiff_bytes.stack(more).bytes)
        assert img.shape == (6, 5, 7)
        assert_equal(img[-1], STACK[-1])
        assert (img.refresh(), img.refresh()) == (3, 0)
        assert (img.shape, len(img.pages)) == ((9, 5, 7), 9)
        for found, expected in ((img[...], more), (img[7], more[7]), (whole, STACK), (view, STACK[2, 1:])):
            assert_equal(found, expected)
        del img
        assert_equal(whole, STACK)


@MMAP
def test_refresh_of_chosen_pages(mmap, path):
    """Pages chosen by a slice become more; those of a list, its last one too, stay the same."""
    chosen = [slice(1, None, 2), [0, 2], [-1, 0], slice(None, 4), slice(None), slice(-2, None), slice(None, None, -1)]
    with contextlib.ExitStack() as stack:
        arrays = [stack.enter_context(lazytiff.open(path, mmap=mmap, pages=pages, squeeze=False)) for pages in chosen]
        more = tiff_bytes.frames(8, (5, 7), "u2")
        rewrite(path, tiff_bytes.stack(more).bytes)
        assert [array.refresh() for array in arrays] == [1, 0, 0, 0, 2, 0, 0]
        for array, pages in zip(arrays, chosen, strict=True):
            grows = isinstance(pages, slice) and pages.stop is None and (pages.start or 0) >= 0 and pages.step != -1
            assert_equal(array[...], more[pages] if grows else STACK[pages])


@MMAP
def test_refresh_needs_a_page_axis(mmap, tmp_path):
    """A page without a page axis cannot grow: ValueError names squeeze=False, with which it does."""
    path = tmp_path / "one.tif"
    path.write_bytes(tiff_bytes.stack(STACK[:1]).bytes)
    with lazytiff.open(path, mmap=mmap) as img, lazytiff.open(path, mmap=mmap, squeeze=False) as stack:
        append(path, STACK[1])
        with pytest.raises(ValueError, match="squeeze=False"):
            img.refresh()
        assert_equal(img[...], STACK[0])
        assert stack.refresh() == 1
        assert_equal(stack[...], STACK[:2])


@MMAP
def test_refresh_of_another_file(mmap, path):
    """Pages that are other ones, fewer or not to be mapped are errors, after which the array is as before."""
    data = path.read_bytes()
    for other in (tiff_bytes.frames(7, (7, 5), "u2"), STACK[:4]):
        path.write_bytes(data)
        with lazytiff.open(path, mmap=mmap) as img:
            rewrite(path, tiff_bytes.stack(other).bytes)
            with pytest.raises(lazytiff.FileChangedError):
                img.refresh()
            assert img.shape == STACK.shape
    path.write_bytes(data)
    with lazytiff.open(path, mmap=mmap) as img:
        append(path, pixels((3, 3), "u1"))
        with pytest.raises(lazytiff.FrameTypeError, match="page 6"):
            img.refresh()
        assert_equal(img[...], STACK)


def test_refresh_of_a_compressed_page(path):
    """A page that cannot be mapped is an error of `refresh`; the array keeps the pages that it has."""
    with lazytiff.open(path, mmap=True) as img:
        tifffile.imwrite(path, STACK[0], append=True, photometric="minisblack", metadata=None, compression="zlib")
        for _ in range(2):
            with pytest.raises(lazytiff.NotMappableError, match="page 6 is Deflate-compressed"):
                img.refresh()
            assert_equal(img[...], STACK)


def test_refresh_would_lose_what_mode_c_has_changed(path):
    """In mode "c" refresh is refused, and what was assigned stays."""
    with lazytiff.open(path, "c", mmap=True) as img:
        img[1] = 9
        append(path, STACK[0])
        with pytest.raises(ValueError, match="mode 'c'"):
            img.refresh()
        assert (img[1] == 9).all()


def test_refresh_of_a_stack_among_others(path):
    """The stacks of a mixture stay as they are."""
    with lazytiff.TiffFile(path) as tif:
        append(path, STACK[0, :3])
        (stack,) = tif.stacks
        assert stack.refresh() == 0
        assert_equal(stack[...], STACK)
