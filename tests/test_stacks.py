"""Files whose pages differ: which of them form an array, and what is said of the others."""

from __future__ import annotations

import helper
import numpy as np
import pytest
import tiff_bytes
from tiff_bytes import Builder

import lazytiff

STACK = tiff_bytes.frames(5)

# ---- frame types


def mixed_file():
    """Build a file of a thumbnail before, labels within, and a broken page behind a stack: 1 + 2 + 1 + 2 + 1 pages."""
    file = Builder()
    labels = STACK[0].astype("u2")
    for pixels in (STACK[0][:2, :2], STACK[0], STACK[1], labels, STACK[2], STACK[3]):
        file.page(file.gray(pixels))
    file.page(file.gray(STACK[4])[1:])
    return bytes(file.bytes)


def test_pages_of_several_types():
    """The error names the first page that is unlike the first one and both ways on, with sizes."""
    with pytest.raises(lazytiff.FrameTypeError) as caught:
        lazytiff.open(mixed_file())
    text = str(caught.value)
    for words in ("page 1 ", "3 x 4 uint8", "page 0", "2 x 2 uint8", "pages=", "lazytiff.TiffFile(path).stacks"):
        assert words in text
    with pytest.raises(lazytiff.FrameTypeError):
        lazytiff.load(mixed_file())


@pytest.mark.parametrize(
    ("pages", "odd"),
    [
        (slice(1, None), 3),
        ([1, 2, 4, 3], 3),
        ([4, 1, 6, 3], 6),
        ([1, 4, 0], 0),
        ([2, 3, 0], 3),
        (slice(4, None), 6),
        ([3, 1], 1),
    ],
)
def test_first_odd_page(pages, odd):
    """The page that the error names is the first one in the order that was asked for."""
    with pytest.raises(lazytiff.FrameTypeError, match=rf": page {odd} "):
        lazytiff.open(mixed_file(), pages=pages)


def test_stacks():
    """Each frame type is a stack of its own, in the order of first pages; a broken page is in none."""
    with lazytiff.TiffFile(mixed_file()) as tif:
        assert len(tif.pages) == 7
        found = tif.stacks
        assert [stack.shape for stack in found] == [(1, 2, 2), (4, 3, 4), (1, 3, 4)]
        assert [stack.dtype for stack in found] == [np.uint8, np.uint8, np.uint16]
        np.testing.assert_array_equal(found[1], STACK[:4])
        assert [page.number for page in found[1].pages] == [1, 2, 4, 5]
        np.testing.assert_array_equal(found[2][0], STACK[0])
    with lazytiff.open(mixed_file(), pages=[1, 2, 4, 5]) as img:
        np.testing.assert_array_equal(img, STACK[:4])


def test_broken_page():
    """A page without a width keeps its tags; whatever concerns its pixels is the reason; the other pages are fine."""
    with lazytiff.TiffFile(mixed_file()) as tif:
        page = tif.pages[6]
        assert page.tags["ImageLength"] == 3
        assert "unreadable" in repr(page)
        for use in (lambda: page.shape, lambda: page[0], page.copy, lambda: np.asarray(page), lambda: page.dtype):
            with pytest.raises(lazytiff.CorruptTiffError, match=r"page 6.*ImageWidth"):
                use()
        np.testing.assert_array_equal(tif.pages[5], STACK[3])
    with pytest.raises(lazytiff.CorruptTiffError, match="ImageWidth"):
        lazytiff.open(mixed_file(), pages=6)


def test_layouts_may_differ():
    """Pages of one frame type form a stack however each is stored."""
    pixels = helper.pixels((4, 40, 50), "u2")
    layouts = [
        {"codec": "lzw", "tile": (16, 16)},
        {},
        {"codec": "deflate", "predictor": 2, "rows_per_strip": 7},
        {"codec": "packbits"},
    ]
    data = helper.tiff(*(helper.page(page, **layout) for page, layout in zip(pixels, layouts, strict=True)))
    with lazytiff.open(data) as img:
        assert img.shape == pixels.shape
        np.testing.assert_array_equal(img, pixels)
        np.testing.assert_array_equal(img[::-1, 5:30:3, [7, 49, 0]], pixels[::-1, 5:30:3, [7, 49, 0]])
        assert "lzw, none, deflate, packbits" in repr(img)
