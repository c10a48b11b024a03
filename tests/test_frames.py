"""Stacks whose frames lie behind the only IFD: ImageJ's above 4 GiB, and tifffile's with truncate=True."""

from __future__ import annotations

import helper
import numpy as np
import pytest
import tifffile
from tiff_bytes import ASCII, LONG, Builder

import lazytiff

STACK = helper.pixels((7, 20, 30), "u2")


def add_page(file, shape, data, images, rows_per_strip=None):
    """Add an ImageJ stack's only page, of 16 bits and (rows, columns), whose strips begin at data."""
    rows, columns = shape
    rows_per_strip = rows_per_strip or rows
    tops = range(0, rows, rows_per_strip)
    own = [
        file.entry(256, LONG, (columns,)),
        file.entry(257, LONG, (rows,)),
        file.entry(270, ASCII, f"ImageJ=1.53t\nimages={images}\nslices={images}\nloop=false\n\0".encode()),
        file.entry(273, LONG, [data + top * columns * 2 for top in tops]),
        file.entry(278, LONG, (rows_per_strip,)),
        file.entry(279, LONG, [min(rows_per_strip, rows - top) * columns * 2 for top in tops]),
    ]
    file.page(file.gray(np.zeros((1, 1), "u2"), replace=own))


def imagej_file(pixels, images, *, byteorder="<", big=False, rows_per_strip=None):
    """Make a file as ImageJ does: a page of the first frame in one or more strips, behind it all others."""
    file = Builder(byteorder, big)
    data = file.put(pixels.astype(pixels.dtype.newbyteorder(byteorder)).tobytes())
    add_page(file, pixels.shape[1:], data, images, rows_per_strip)
    return bytes(file.bytes)


def sparse_stack(path, shape, frames):
    """Make a stack at path, of whose frames only some are not 0: a dict of pixels by number."""
    file = Builder()
    data, size = 1024, 2 * shape[1] * shape[2]  # frames begin behind the IFD
    add_page(file, shape[1:], data, shape[0])
    assert len(file.bytes) <= data
    with open(path, "wb") as out:
        out.write(file.bytes)
        for number, pixels in frames.items():
            out.seek(data + number * size)
            out.write(pixels)
        out.truncate(data + shape[0] * size)


def assert_frames(path, expected):
    """Check that the file reads as expected, in any order, and that tifffile finds the same."""
    with lazytiff.open(path) as img:
        assert img.shape == expected.shape
        for number in np.random.default_rng(0).permutation(len(img)):
            np.testing.assert_array_equal(img[number], expected[number])
        np.testing.assert_array_equal(img[::-2, 3:17:2, [5, 0, 29]], expected[::-2, 3:17:2][:, :, [5, 0, 29]])
        np.testing.assert_array_equal(img[:, 11, 7], expected[:, 11, 7])
        helper.assert_same(img[...], expected)
    np.testing.assert_array_equal(tifffile.imread(path), expected)


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("rows_per_strip", [20, 6, 1])
def test_imagej(tmp_path, byteorder, big, rows_per_strip):
    """All frames that an ImageJ stack with one IFD has are pages."""
    path = tmp_path / "stack.tif"
    path.write_bytes(imagej_file(STACK, 7, byteorder=byteorder, big=big, rows_per_strip=rows_per_strip))
    assert_frames(path, STACK)
    with lazytiff.open(path) as img:
        assert [page.tags["ImageDescription"][:22] for page in img.pages] == ["ImageJ=1.53t\nimages=7\n"] * 7
        assert not img.pages[6].subpages


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"rowsperstrip": 6},
        {"imagej": True},
        {"metadata": {"axes": "ZYX", "note": "a" * 5000}},
        {"photometric": "minisblack", "metadata": {"truncated": True}},
    ],
    ids=str,
)
def test_truncated(tmp_path, options):
    """What tifffile writes with truncate=True has as many pages as frames."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, truncate=True, **options)
    assert_frames(path, STACK)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_truncated_rgb(tmp_path, planar):
    """Frames may have several samples, together or in planes of their own; more than one axis of frames is one."""
    path = tmp_path / "stack.tif"
    pixels = helper.pixels((2, 3, 20, 30, 3), "u1")
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, -3)
    tifffile.imwrite(path, stored, truncate=True, photometric="rgb", planarconfig=planar)
    with lazytiff.open(path) as img:
        helper.assert_same(img[...], pixels.reshape(6, 20, 30, 3))
        np.testing.assert_array_equal(img[4, 5, :, 1], pixels[1, 1, 5, :, 1])
    np.testing.assert_array_equal(tifffile.imread(path), stored)


@pytest.mark.parametrize("tile", [(32, 48), (16, 16)])
def test_tiles(tmp_path, tile):
    """One tile of the frame's size is a frame; several make no frames that lie one behind the other."""
    path = tmp_path / "stack.tif"
    pixels = helper.pixels((5, 32, 48), "u1")
    description = "ImageJ=1.53t\nimages=5\n"
    tifffile.imwrite(path, pixels[0], tile=tile, description=description, metadata=None)
    with open(path, "ab") as file:
        file.write(pixels[1:].tobytes())
    if tile == (32, 48):
        with lazytiff.open(path) as img:
            helper.assert_same(img[...], pixels)
    else:
        with pytest.warns(lazytiff.TiffWarning, match="claims 5 frames, but the only page does not lie in one piece"):
            helper.assert_same(lazytiff.load(path), pixels[0])


def test_more_than_4_gib(tmp_path):
    """Frames beyond 4 GiB of a classic TIFF file are read, though no offset reaches as far."""
    path = tmp_path / "large.tif"
    first = helper.pixels((2048, 1024), "u2")
    frames = {number: first + np.uint16(number) for number in (0, 1, 1022, 1023, 1024, 1025, 1099)}
    sparse_stack(path, (1100, 2048, 1024), frames)
    with lazytiff.open(path) as img:
        assert img.shape == (1100, 2048, 1024)
        for number, pixels in reversed(frames.items()):
            np.testing.assert_array_equal(img[number], pixels)
        assert not img[1098].any()
        np.testing.assert_array_equal(img[1022:1026, 100], [frames[number][100] for number in range(1022, 1026)])
        np.testing.assert_array_equal(img.pages[1099][7], frames[1099][7])
    with tifffile.TiffFile(path) as other:
        assert other.series[0].shape == (1100, 2048, 1024)
        np.testing.assert_array_equal(tifffile.memmap(path)[1099], frames[1099])


def test_more_frames_than_the_file_holds():
    """Frames that are not all there are no pages: the only real one is, and a warning says why."""
    data = imagej_file(STACK, 2**31)
    with pytest.warns(lazytiff.TiffWarning, match="claims 2147483648 frames, the file has room for 7") as caught:
        helper.assert_same(lazytiff.load(data), STACK[0])
    assert len(caught) == 1


@pytest.mark.parametrize("images", ["-7", "1", "0", 2**64, "7.5", "seven", ""])
def test_bogus_numbers(images):
    """A number of images that is none, or one, is not worth a warning."""
    helper.assert_same(lazytiff.load(imagej_file(STACK, images)), STACK[0])


def test_compressed_page_of_a_stack(tmp_path):
    """A compressed page whose description was copied from a stack is one page, and no warning."""
    path = tmp_path / "page.tif"
    tifffile.imwrite(path, STACK[0], compression="zlib", description="ImageJ=1.53t\nimages=7\n", metadata=None)
    helper.assert_same(lazytiff.load(path), STACK[0])


def test_stack_with_ifds(tmp_path):
    """An ImageJ stack with an IFD for each frame is read as any other file."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, imagej=True)
    assert_frames(path, STACK)


def test_max_pages(monkeypatch):
    """Of more frames than `lazytiff.limits.max_pages` only as many are taken, with a warning."""
    monkeypatch.setattr(lazytiff.limits, "max_pages", 4)
    with pytest.warns(lazytiff.TiffWarning, match="claims 7 frames; 4 are taken: .*max_pages"):
        helper.assert_same(lazytiff.load(imagej_file(STACK, 7)), STACK[:4])
