"""Files that grow while they are open: `refresh` takes in the pages that came, in mapped arrays and in lazy ones."""

from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path

import helper
import numpy as np
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


def append_bytes(out, file, image):
    """Append a page to the builder, and to the file at out: the page, then the link to it."""
    size, link = len(file.bytes), file.link_at
    file.page(file.gray(image))
    for at, end in ((size, len(file.bytes)), (link, link + 4)):
        out.seek(at)
        out.write(file.bytes[at:end])


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
    others = [tiff_bytes.stack(other).bytes for other in (tiff_bytes.frames(7, (7, 5), "u2"), STACK[:5])]
    others += [tiff_bytes.stack(STACK, byteorder=">").bytes, tiff_bytes.stack(STACK, big=True).bytes[: len(data)]]
    for other in (*others, b"XX"):
        path.write_bytes(data)
        with lazytiff.open(path, mmap=mmap) as img:
            rewrite(path, other)
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


# ---- What it costs, and what is whole


def bytes_read():
    """Return how many bytes this process has read so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not tell what a process reads")
def test_cost(tmp_path):
    """A page behind 100,000 others costs a few reads of a few hundred bytes; nothing new costs no more."""
    file = tiff_bytes.stack(np.zeros((100_000, 2, 2), "u1"))
    path = tmp_path / "long.tif"
    path.write_bytes(file.bytes)
    with lazytiff.open(path) as img, path.open("r+b", buffering=0) as out:
        for expected in (1, 0, 1, 0):
            if expected:
                append_bytes(out, file, np.ones((2, 2), "u1"))
            before = bytes_read()
            assert img.refresh() == expected
            assert bytes_read() - before < 4096
        assert img.shape == (100_002, 2, 2)
        assert img[-1].all()


def test_many_refreshes(tmp_path):
    """The time of a refresh does not depend on how many pages are there: 20,000 of them take no longer at the end."""
    file = tiff_bytes.stack(np.zeros((1, 2, 2), "u1"))
    path = tmp_path / "growing.tif"
    path.write_bytes(file.bytes)
    times = []
    with lazytiff.open(path, squeeze=False) as img, path.open("r+b", buffering=0) as out:
        for _ in range(20_000):
            append_bytes(out, file, np.ones((2, 2), "u1"))
            begin = time.perf_counter()
            assert img.refresh() == 1
            times.append(time.perf_counter() - begin)
        assert len(img) == 20_001
    early, late = np.median(times[500:4500]), np.median(times[-4000:])
    assert late < 3 * early


@MMAP
def test_a_page_that_is_linked_first(mmap, path):
    """A page whose link is written first, and then its bytes one by one, shows when the last of them is there."""
    file = tiff_bytes.stack(STACK)
    start, link = len(file.bytes), file.link_at
    page = tiff_bytes.frames(7, (5, 7), "u2")[6]
    file.page(file.gray(page))
    with lazytiff.open(path, mmap=mmap) as img:
        rewrite(path, file.bytes[link : link + 4], at=link)
        for at in range(start, len(file.bytes)):
            assert img.refresh() == 0
            rewrite(path, file.bytes[at : at + 1], at=at)
        assert img.refresh() == 1
        assert_equal(img[:6], STACK)
        assert_equal(img[6], page)


@pytest.mark.parametrize("codec", ["deflate", "none"])
def test_strips_of_a_page_that_is_linked_first(codec, tmp_path):
    """A linked page of several strips shows when its strips, the lists of them and its IFD are there."""
    pages = pixels((2, 40, 9), "u2")
    first = helper.tiff(helper.page(pages[0], codec=codec, rows_per_strip=8))
    both = helper.tiff(*(helper.page(page, codec=codec, rows_per_strip=8) for page in pages))
    path = tmp_path / "stack.tif"
    path.write_bytes(first)
    with lazytiff.open(path, squeeze=False) as img:
        rewrite(path, both[: len(first)])  # with the link
        for at in range(len(first), len(both), 7):
            assert img.refresh() == 0
            rewrite(path, both[at : at + 7], at=at)
        assert img.refresh() == 1
        helper.assert_same(img[...], pages)


@MMAP
def test_pixels_behind_their_ifd(mmap, path):
    """A linked page whose pixels are written behind its IFD shows when the last of them is there."""
    file = tiff_bytes.stack(STACK)
    size = len(file.bytes)
    entries = file.gray(STACK[1])
    del file.bytes[size:]
    place = size + 2 + 12 * len(entries) + 4
    at = next(i for i, entry in enumerate(entries) if entry[:2] == b"\x11\x01")  # StripOffsets
    entries[at] = file.entry(273, tiff_bytes.LONG, (place,))
    file.page(entries)
    assert file.put(STACK[1].tobytes()) == place
    with lazytiff.open(path, mmap=mmap) as img:
        rewrite(path, file.bytes[:size])
        for at in range(size, len(file.bytes)):
            assert img.refresh() == 0
            rewrite(path, file.bytes[at : at + 1], at=at)
        assert img.refresh() == 1
        assert_equal(img[6], STACK[1])


def test_promotion(tmp_path):
    """A file whose header becomes that of a BigTIFF file, with a chain of the same pages and more, goes on there."""
    pages = tiff_bytes.frames(4, (3, 5), "u2")
    file = two_chains(pages[:3], pages[3:])
    path = tmp_path / "stack.tif"
    path.write_bytes(file.bytes)
    for mmap in (False, True):
        path.write_bytes(file.bytes)
        with lazytiff.open(path, mmap=mmap) as img:
            assert img.refresh() == 0
            rewrite(path, b"II" + struct.pack("<HHH", 43, 8, 0))
            assert (img.refresh(), img.refresh()) == (1, 0)
            assert_equal(img[...], pages)
            assert "BigTIFF" in img.explain()
    assert_equal(tifffile.imread(path), pages)


def two_chains(pages, big_only):
    """Build a classic file whose bytes 8 to 15 lead to a chain of BigTIFF IFDs of the same pages, and of more."""
    file = tiff_bytes.Builder()
    big = tiff_bytes.Builder(big=True)
    file.put(bytes(8))
    big.bytes, big.link_at = file.bytes, 8
    for number, page in enumerate((*pages, *big_only)):
        entries = file.gray(page)
        if number < len(pages):
            file.page(entries)
        numbers = [struct.unpack("<HHII", entry) for entry in entries]
        big.page([big.entry(tag, kind, (value,)) for tag, kind, _, value in numbers])
    return file


@MMAP
def test_a_chain_that_ends(mmap, path):
    """The warning of where the chain ends comes once, at open; pages that come later are no reason to repeat it."""
    file = tiff_bytes.stack(STACK)
    end, link = len(file.bytes), file.link_at
    file.page(file.gray(STACK[0]))
    rewrite(path, file.bytes[link : link + 4], at=link)
    with pytest.warns(lazytiff.TiffWarning, match="ends after 6"):
        img = lazytiff.open(path, mmap=mmap)
    with img:
        assert img.refresh() == 0
        assert "ends after 6" in img.explain()
        rewrite(path, file.bytes[end:], at=end)
        assert img.refresh() == 1
        assert "ends after" not in img.explain()


def test_new_layouts(path):
    """Pages of another layout, and of the first again, are read as they are stored."""
    with lazytiff.open(path) as img:
        tifffile.imwrite(path, STACK[3], append=True, photometric="minisblack", metadata=None, compression="zlib")
        assert img.refresh() == 1
        append(path, STACK[2])
        append(path, STACK[1])
        assert img.refresh() == 2
        assert_equal(img[6:], STACK[[3, 2, 1]])
        assert_equal(img[:6], STACK)


def test_pages_that_were_rewritten_meanwhile(path):
    """What was not looked at before the refresh is looked at afterwards: FileChangedError for another IFD."""
    with lazytiff.open(path, mmap=True) as img:
        with tifffile.TiffFile(path) as tif:
            at = tif.pages[1].tags[279].offset
        rewrite(path, b"\1", at=at)
        append(path, STACK[0])
        assert img.refresh() == 1
        assert_equal(img[6], STACK[0])
        with pytest.raises(lazytiff.FileChangedError):
            img[1]
