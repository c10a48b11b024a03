"""SubIFDs: the pages below a page, whatever their links say."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tiff_bytes
from tiff_bytes import ASCII, BYTE, DOUBLE, IFD, IFD8, LONG, LONG8, RATIONAL, SHORT, SLONG, SLONG8, UNDEFINED, Builder

import lazytiff

SUB_IFDS = 330
PIXELS = tiff_bytes.frames(8)


def below(file, pixels, *more):
    """Put a page that no chain leads to; say where."""
    return file.ifd(file.gray(pixels, *more))


def with_subifds(kind, values, *, big=False):
    """Make a file of one page whose SubIFDs tag holds the values."""
    file = Builder("<", big)
    file.page(file.gray(PIXELS[0], file.entry(SUB_IFDS, kind, values)))
    return bytes(file.bytes)


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize(("big", "kind"), [(False, LONG), (False, IFD), (True, LONG8), (True, IFD8), (True, LONG)])
def test_subpages(byteorder, big, kind):
    """A page's SubIFDs are lazy arrays with tags of their own; pages without the tag have none."""
    file = Builder(byteorder, big)
    subs = [below(file, pixels, file.entry(270, ASCII, b"below\0")) for pixels in PIXELS[1:4]]
    file.page(file.gray(PIXELS[0], file.entry(SUB_IFDS, kind, subs)))
    file.page(file.gray(PIXELS[4], file.entry(SUB_IFDS, kind, subs[:1])))
    file.page(file.gray(PIXELS[5]))
    with lazytiff.open(bytes(file.bytes)) as img:
        assert img.shape[0] == 3
        found = [page.subpages for page in img.pages]
        assert [len(pages) for pages in found] == [3, 1, 0]
        assert found[0][2].tags["ImageDescription"] == "below"
        for sub, expected in zip(found[0], PIXELS[1:4], strict=True):
            assert isinstance(sub, lazytiff.TiffPage)
            assert sub.shape == expected.shape
            np.testing.assert_array_equal(sub, expected)
        np.testing.assert_array_equal(found[1][0], PIXELS[1])
        np.testing.assert_array_equal(img, PIXELS[[0, 4, 5]])


def test_subpages_below_subpages():
    """SubIFDs may have SubIFDs; pages of the same number on different levels are not taken for each other."""
    rng = np.random.default_rng(1)
    levels = rng.integers(0, 256, (4, 40, 30), dtype=np.uint8)
    file = Builder()
    at = below(file, levels[3])
    for pixels in levels[2:0:-1]:
        at = below(file, pixels, file.entry(SUB_IFDS, LONG, (at,)))
    file.page(file.gray(levels[0], file.entry(SUB_IFDS, LONG, (at,))))
    with lazytiff.TiffFile(bytes(file.bytes)) as tif:
        page = tif.pages[0]
        for pixels in levels:
            np.testing.assert_array_equal(page[3:9, 4], pixels[3:9, 4])
            np.testing.assert_array_equal(page, pixels)
            page = page.subpages[0] if len(page.subpages) else None
        assert page is None


@pytest.mark.parametrize("target", ["itself", "parent", "main chain"])
def test_loops(target):
    """SubIFDs that lead in a circle are found level by level, down to `lazytiff.limits.max_depth`: then LimitError."""
    file = Builder()
    first = file.page(file.gray(PIXELS[0], file.entry(SUB_IFDS, LONG, (0,))))
    loose = below(file, PIXELS[1], file.entry(SUB_IFDS, LONG, (0,)))
    second = file.page(file.gray(PIXELS[2], file.entry(SUB_IFDS, LONG, (first,))))
    links = {"itself": (first, 0), "parent": (loose, first), "main chain": (second, 0)}
    down, up = links[target]
    last_entry = 2 + 12 * 9 + 8  # where the value of an IFD's tenth entry is
    file.patch(first + last_entry, struct.pack("<I", down))
    file.patch(loose + last_entry, struct.pack("<I", up))
    with lazytiff.TiffFile(bytes(file.bytes)) as tif:
        page = tif.pages[0]
        for _ in range(lazytiff.limits.max_depth):
            page = page.subpages[0]
            assert page.copy().shape == PIXELS[0].shape
        with pytest.raises(lazytiff.LimitError, match=f"more than {lazytiff.limits.max_depth} deep"):
            _ = page.subpages


def test_depth_is_a_limit(monkeypatch):
    """`lazytiff.limits.max_depth` can be lowered."""
    monkeypatch.setattr(lazytiff.limits, "max_depth", 2)
    file = Builder()
    at = 0
    for pixels in PIXELS[:3]:
        at = below(file, pixels, *([file.entry(SUB_IFDS, LONG, (at,))] if at else []))
    file.page(file.gray(PIXELS[3], file.entry(SUB_IFDS, LONG, (at,))))
    with lazytiff.TiffFile(bytes(file.bytes)) as tif:
        page = tif.pages[0].subpages[0].subpages[0]
        np.testing.assert_array_equal(page, PIXELS[1])
        with pytest.raises(lazytiff.LimitError, match="more than 2 deep"):
            _ = page.subpages


@pytest.mark.parametrize("offset", [0, 1 << 20, 2**32 - 1])
def test_broken_link(offset):
    """A SubIFD that is not there, or none, is an error when it is asked for; the page above stays readable."""
    with lazytiff.open(with_subifds(LONG, (offset,))) as img:
        with pytest.raises((lazytiff.CorruptTiffError, lazytiff.LimitError)):
            _ = img.pages[0].subpages
        np.testing.assert_array_equal(img, PIXELS[0])
        assert img.tags["SubIFDs"] == offset


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ASCII, b"no offset\0"),
        (RATIONAL, (8, 1)),
        (DOUBLE, (8.5, 1e300)),
        (SLONG, (-8, -9)),
        (SLONG8, (-(2**63), 8)),
        (BYTE, bytes(range(100, 150))),
        (UNDEFINED, b"12345678"),
        (SHORT, (60000, 60001)),
    ],
)
def test_tag_of_a_strange_type(kind, values):
    """Values that are no offsets, or lead nowhere, are a CorruptTiffError; the page stays readable."""
    with lazytiff.open(with_subifds(kind, values, big=True)) as img:
        with pytest.raises((lazytiff.CorruptTiffError, lazytiff.LimitError)):
            _ = img.pages[0].subpages
        np.testing.assert_array_equal(img, PIXELS[0])


def test_empty_tag():
    """SubIFDs of count 0 are none."""
    with lazytiff.open(with_subifds(LONG, ())) as img:
        assert len(img.pages[0].subpages) == 0


def test_absurd_count():
    """SubIFDs that the file cannot hold are left out with a warning, as any such tag."""
    file = Builder()
    file.page(file.gray(PIXELS[0], struct.pack("<HHII", SUB_IFDS, LONG, 2**31, 8)))
    with pytest.warns(lazytiff.TiffWarning, match="outside of the file"):
        img = lazytiff.open(bytes(file.bytes))
    assert len(img.pages[0].subpages) == 0
    img.close()


def test_one_broken_page_among_others():
    """A SubIFD that cannot be read as a picture still has tags, and its neighbours have pixels."""
    file = Builder()
    subs = [below(file, PIXELS[1]), file.ifd(file.gray(PIXELS[2])[1:]), below(file, PIXELS[3])]
    file.page(file.gray(PIXELS[0], file.entry(SUB_IFDS, LONG, subs)))
    with lazytiff.TiffFile(bytes(file.bytes)) as tif:
        pages = tif.pages[0].subpages
        np.testing.assert_array_equal(pages[0], PIXELS[1])
        np.testing.assert_array_equal(pages[2], PIXELS[3])
        assert pages[1].tags["ImageLength"] == 3
        with pytest.raises(lazytiff.CorruptTiffError, match="ImageWidth"):
            pages[1].copy()
