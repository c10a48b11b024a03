"""rgb, gray, normed and channel: what pixels mean, by the files' own words, as plain NumPy formulas have it."""

from __future__ import annotations

import struct

import helper
import numpy as np
import pytest
import streams
from colours import (
    BLACK,
    CMYK,
    COLOR_MAP,
    COLUMNS,
    LAB,
    MASK,
    PALETTE,
    RGB,
    ROWS,
    WHITE,
    YCBCR,
    check,
    check_all,
    color_map,
    each_page,
    fractions,
    gray_stack,
    opened,
    palette_stack,
    some_pixels,
    thrice,
    upright,
    weighed,
)
from helper import Typed, assert_same, page, pixels, tiff

import lazytiff
from lazytiff import CorruptTiffError, UnsupportedTiffError

# ---- Bits


GRAYS = [(1, "?"), (2, "u1"), (4, "u1"), (8, "u1"), (12, "u2"), (16, "u2"), (24, "u4"), (32, "u4")]
GRAYS += [(4, "i1"), (8, "i1"), (12, "i2"), (16, "i2"), (32, "i4")]
FLOATS = [(16, "f2"), (32, "f4"), (64, "f8")]


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize(("bits", "dtype"), GRAYS)
def test_gray_of_any_bits(bits, dtype, byteorder):
    """Gray is gray, as three samples too, and its fractions are of the file's bits."""
    array = some_pixels((ROWS, COLUMNS), dtype, bits)
    with opened(page(array, bits=bits, byteorder=byteorder), byteorder=byteorder) as img:
        assert img.gray() is img
        check(img.rgb(), thrice(array), "YXS")
        check(img.normed(), fractions(array, bits), "YX")
        check(img.normed(np.float64), fractions(array, bits, "f8"))
        check(img.rgb().normed(), thrice(fractions(array, bits)), "YXS")
        check(img.rgb().gray(), weighed(thrice(array)), "YX")


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize(("bits", "dtype"), GRAYS)
def test_min_is_white_of_any_bits(bits, dtype, byteorder):
    """Views have large values for bright pixels, by the file's bits; the array itself has what is stored."""
    array = some_pixels((ROWS, COLUMNS), dtype, bits)
    expected = upright(array, bits)
    with opened(page(array, bits=bits, byteorder=byteorder, tags={262: WHITE}), byteorder=byteorder) as img:
        assert_same(img.copy(), array)
        check(img.gray(), expected, "YX")
        check(img.rgb(), thrice(expected), "YXS")
        check(img.normed(), fractions(expected, bits), "YX")
        check(img.gray().normed(), fractions(expected, bits))
        assert img.gray().gray().axes == "YX"
        check(img.gray().gray(), expected)


@pytest.mark.parametrize(("bits", "dtype"), FLOATS)
def test_floats(bits, dtype):
    """Floating point numbers are fractions already; of min-is-white the largest is 1."""
    array = some_pixels((ROWS, COLUMNS), dtype, bits)
    with opened(page(array)) as img:
        assert img.gray() is img
        assert img.normed(dtype) is img
        check(img.rgb(), thrice(array))
        check(img.normed(), array.astype("f4"))
    with opened(page(array, tags={262: WHITE})) as img:
        check(img.gray(), upright(array, bits))
        check(img.rgb(), thrice(upright(array, bits)))
        check(img.normed(np.float64), upright(array, bits).astype("f8"))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_fractions_of_half_precision(bits):
    """Fractions are rounded once to float16, too; other dtypes are refused."""
    array = some_pixels((ROWS, COLUMNS), "?" if bits == 1 else "u1", bits)
    with opened(page(array, bits=bits)) as img:
        check(img.normed("f2"), fractions(array, bits, "f2"))
        for dtype in ("u1", "i4", "?", "c8"):
            with pytest.raises(ValueError, match="floating point"):
                img.normed(dtype)


def test_complex_pixels_are_no_fractions():
    """Complex pixels are gray, and no fractions."""
    with opened(page(pixels((ROWS, COLUMNS), "c8"))) as img:
        assert img.gray() is img
        with pytest.raises(UnsupportedTiffError, match="complex"):
            img.normed()


@pytest.mark.parametrize("photometric", [BLACK, WHITE])
def test_bits_differ_from_page_to_page(photometric):
    """Each page's fractions are of its own bits, however the pages are read."""
    all_bits = (12, 16, 10, 12, 9)
    made, stack = gray_stack(photometric, all_bits, rows_per_strip=2)
    expected = stack if photometric == BLACK else each_page(upright, stack, all_bits)
    with opened(*made) as img:
        check_all(img.gray(), expected, "IYX")
        check_all(img.rgb(), thrice(expected), "IYXS")
        check_all(img.normed(), each_page(fractions, expected, all_bits), "IYX")
        check_all(img.gray().normed(), each_page(fractions, expected, all_bits), "IYX")
        check_all(img.rgb().normed(), thrice(each_page(fractions, expected, all_bits)), "IYXS")
        check(img.rgb().gray().normed(), each_page(fractions, weighed(thrice(expected)), all_bits))
        assert_same(img.copy(), stack)


# ---- Palettes


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_palettes_differ_from_page_to_page(bits, byteorder):
    """Each page has the colours of its own ColorMap, of uint16, whatever its indices are of."""
    made, colours = palette_stack(bits, byteorder=byteorder)
    with opened(*made, byteorder=byteorder) as img:
        check_all(img.rgb(), colours, "IYXS")
        check_all(img.gray(), weighed(colours), "IYX")
        check_all(img.normed(), fractions(colours, 16), "IYXS")
        check(img.rgb().gray(), weighed(colours))
        check(img.gray().rgb(), thrice(weighed(colours)), "IYXS")
        check(img.gray().normed(), fractions(weighed(colours), 16))
        assert img.rgb().rgb().axes == "IYXS"
        for number, one in enumerate(img.pages):
            check(one.rgb(), colours[number], "YXS")
            check(one.gray(), weighed(colours[number]), "YX")


def test_slices_of_palettes():
    """A slice of palette pages is one of those pages, and of those indices."""
    made, colours = palette_stack(8, rows_per_strip=2)
    with opened(*made) as img:
        check(img.lazy[3:5].gray(), weighed(colours[3:5]), "IYX")
        check(img.lazy[:, ::2].gray(), weighed(colours[:, ::2]), "IYX")
        check(img.lazy[::-1, 1:].lazy[::2, :, 1].rgb(), colours[::-2, 1:, 1], "IYS")
        check(img.lazy[2].rgb(), colours[2], "YXS")
        check(img.lazy[2, 3].rgb(), colours[2, 3], "XS")
        check(img.lazy[2, 3, 1].rgb(), colours[2, 3, 1], "S")
        assert img.lazy[2, 3, 1].gray()[()] == weighed(colours)[2, 3, 1]
        check(img.lazy[:, None, :, 2].gray(), weighed(colours)[:, None, :, 2])
        check(img.lazy[..., None].gray(), weighed(colours)[..., None])
        check(img.rgb().lazy[..., 1:].lazy[1], colours[1, ..., 1:])
        check(img.rgb().lazy[..., 1], colours[..., 1], "IYX")
        check(img.rgb().channel(2), colours[..., 2], "IYX")
        check(img.rgb().lazy[..., 1].gray(), colours[..., 1], "IYX")
        assert_same(img.rgb()[:, :, :, 1:], colours[:, :, :, 1:])
        assert_same(img.rgb()[..., [2, 0]], colours[..., [2, 0]])


def test_palette_with_alpha():
    """Samples beside the indices are left out; the first sample alone is of the palette, others are gray."""
    palette, values = color_map(8)
    array = some_pixels((ROWS, COLUMNS, 2), "u1", 8)
    with opened(page(array, tags={262: PALETTE, COLOR_MAP: values, 338: (2,)})) as img:
        for view in (img, img.channel(0)):
            check(view.rgb(), palette[array[..., 0]], "YXS")
            check(view.gray(), weighed(palette[array[..., 0]]), "YX")
            check(view.normed(), fractions(palette[array[..., 0]], 16), "YXS")
        check(img.channel(1).gray(), array[..., 1], "YX")


def test_functions_of_indices_are_no_indices():
    """What is computed of palette indices is gray: it has no colours any more."""
    made, _ = palette_stack(8)
    with opened(*made) as img:
        assert (img + 1).gray().axes == "IYX"
        assert_same((img + 1).rgb()[2], thrice(img[2] + np.uint8(1)))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {COLOR_MAP: (7,)},
        {COLOR_MAP: (0,) * 767},
        {COLOR_MAP: (0,) * 3 * 512},
        {COLOR_MAP: "red"},
        {COLOR_MAP: b"\0" * 768},
        {COLOR_MAP: Typed(helper.LONG, (70000,) + (0,) * 767)},
        {COLOR_MAP: Typed(9, (-1,) + (0,) * 767)},
        {COLOR_MAP: (1.5,) * 768},
    ],
    ids=["none", "one", "short", "long", "ascii", "bytes", "too large", "negative", "fractions"],
)
def test_wrong_color_map(tags):
    """Without a ColorMap for its bits a page has indices and no colours; the others of its stack have theirs."""
    made, colours = palette_stack(8, 2)
    bad = page(some_pixels((ROWS, COLUMNS), "u1", 8), tags={262: PALETTE} | tags)
    with opened(made[0], bad, made[1]) as img:
        assert img[1].shape == (ROWS, COLUMNS)
        for view in (img.rgb(), img.gray(), img.normed(), img.pages[1].rgb()):
            with pytest.raises(CorruptTiffError, match=r"page 1.*ColorMap"):
                view[...]
        assert_same(img.rgb()[[2, 0]], colours[[1, 0]])


@pytest.mark.parametrize(("count", "at"), [(768, 0x7FFFFFF0), (0x7FFFFFFF, 8)], ids=["far", "huge"])
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")
def test_color_map_outside_of_the_file(count, at):
    """A ColorMap that lies beyond the file's end, or would be larger than the file, is none."""
    made, _ = palette_stack(8, 1)
    data = tiff(*made)
    entry = struct.pack("<HHII", COLOR_MAP, helper.SHORT, 768, 0)[:8]
    data = data.replace(entry + data[data.index(entry) + 8 :][:4], struct.pack("<HHII", COLOR_MAP, 3, count, at))
    with lazytiff.open(data) as img:
        assert img[...].shape == (ROWS, COLUMNS)
        with pytest.raises(CorruptTiffError, match=r"page 0.*ColorMap"):
            img.rgb()[...]


def test_palettes_of_what_is_no_index():
    """Indices that are no integers are refused."""
    tags = {262: PALETTE, COLOR_MAP: color_map(16)[1]}
    with opened(page(pixels((ROWS, COLUMNS), "f2"), tags=tags)) as img:
        for method in (img.rgb, img.gray, img.normed):
            with pytest.raises(UnsupportedTiffError, match="indices are integers"):
                method()


# ---- Colours


COLOURS = [("?", 1), ("u1", 4), ("u1", 8), ("u2", 12), ("u2", 16), ("i2", 16), ("u4", 32), ("f4", 32), ("f8", 64)]


@pytest.mark.parametrize("samples", [3, 4, 6], ids=["rgb", "alpha", "extra"])
@pytest.mark.parametrize("planar", [1, 2], ids=["contiguous", "planar"])
@pytest.mark.parametrize(("dtype", "bits"), COLOURS)
def test_colours(dtype, bits, planar, samples):
    """RGB is itself; its luma is computed in float64. Samples beyond are left out; fractions are of all samples."""
    stack = some_pixels((5, ROWS, COLUMNS, samples), dtype, bits)
    layout = {"bits": bits, "planar": planar, "rows_per_strip": 2, "tags": {262: RGB}}
    with opened(*(page(one, **layout) for one in stack)) as img:
        assert (img.rgb() is img) == (samples == 3)
        check_all(img.rgb(), stack[..., :3], "IYXS")
        check_all(img.gray(), weighed(stack[..., :3]), "IYX")
        check(img.gray().rgb(), thrice(weighed(stack[..., :3])), "IYXS")
        if dtype[0] == "f":
            check(img.normed(), stack.astype("f4"), "IYXS")
        else:
            check(img.normed(), fractions(stack, bits), "IYXS")
            check(img.gray().normed(), fractions(weighed(stack[..., :3]), bits), "IYX")
            check(img.normed().gray(), weighed(fractions(stack[..., :3], bits)), "IYX")
        for number in range(samples):
            check(img.channel(number), stack[..., number], "IYX")
            one = img.channel(number)
            assert one.gray() is one
        check(img.lazy[..., 0].gray(), stack[..., 0], "IYX")
        check(img.lazy[..., 1:3].channel(1), stack[..., 2], "IYX")
        check(img.lazy[2:4, 1].gray(), weighed(stack[2:4, 1, :, :3]), "IX")
        assert_same(img.lazy[4, 1, 2].gray()[()], weighed(stack[..., :3])[4, 1, 2])
        with pytest.raises(UnsupportedTiffError, match="not all there"):
            img.lazy[..., :2].gray()
        check(img.lazy[..., 1:3].gray(), stack[..., 1], "IYX")


def test_halves_are_rounded_to_even():
    """What lies between two integers becomes the even one, alone as in a large image."""
    row = np.array([[0, 0, 250], [0, 500, 0], [500, 0, 0], [1500, 0, 0], [0, 1500, 0], [65535] * 3], "u2")
    assert weighed(row).tolist() == [28, 294, 150, 448, 880, 65535]  # of 28.5, 293.5, 149.5, 448.5, 880.5
    many = np.tile(row, (64, 50, 1))
    with opened(page(many, rows_per_strip=5)) as img:
        assert img.gray()[0, :6].tolist() == [28, 294, 150, 448, 880, 65535]
        check(img.gray(), weighed(many))
        assert [img.gray()[9, column] for column in range(6)] == [28, 294, 150, 448, 880, 65535]


def test_luma_does_not_depend_on_the_block():
    """A pixel has the same luma whatever is read with it, where float64 decides about halves."""
    array = np.random.default_rng(0).integers(0, 256, (97, 61, 3), np.uint8)
    with opened(page(array)) as img:
        gray = img.gray()
        whole = gray[...]
        assert_same(whole, weighed(array))
        for row in (0, 5, 96):
            assert_same(gray[row], whole[row])
            assert_same(gray[row, 3:], whole[row, 3:])
            assert [gray[row, column] for column in range(0, 61, 7)] == whole[row, ::7].tolist()


@pytest.mark.parametrize("photometric", [BLACK, WHITE])
def test_gray_with_alpha(photometric):
    """Samples beside gray are left out; min-is-white is about gray alone."""
    stack = some_pixels((5, ROWS, COLUMNS, 2), "u2", 12)
    expected = upright(stack, 12) if photometric == WHITE else stack
    expected[..., 1] = stack[..., 1]
    with opened(*(page(one, bits=12, tags={262: photometric, 338: (2,)}) for one in stack)) as img:
        check_all(img.gray(), expected[..., 0], "IYX")
        check_all(img.rgb(), thrice(expected[..., 0]), "IYXS")
        check_all(img.normed(), fractions(expected, 12), "IYXS")
        assert_same(img.normed()[2, ..., ::-1], fractions(expected, 12)[2, ..., ::-1])
        assert_same(img.normed()[..., 1], fractions(expected, 12)[..., 1])
        for number in (0, 1):
            check(img.channel(number).gray(), expected[..., number], "IYX")


def test_mask():
    """A transparency mask is gray."""
    array = pixels((ROWS, COLUMNS), "?")
    with opened(page(array, tags={262: MASK})) as img:
        assert img.gray() is img
        check(img.normed(), array.astype("f4"))


def test_jpeg():
    """YCbCr that JPEG makes RGB of is RGB."""
    streams.needs("jpeg-ycbcr")
    with opened(streams.page_of("jpeg-ycbcr")) as img:
        assert img.rgb() is img
        check(img.gray(), weighed(img.copy()), "YX")


@pytest.mark.parametrize(
    ("photometric", "samples", "planar", "match"),
    [
        (CMYK, 4, 1, "CMYK"),
        (CMYK, 5, 2, "CMYK"),
        (LAB, 3, 1, r"CIE L\*a\*b\*"),
        (LAB, 1, 1, r"CIE L\*a\*b\*"),
        (9, 3, 1, r"ICC L\*a\*b\*"),
        (YCBCR, 3, 2, "YCbCr in separate planes"),
        (32844, 1, 1, "32844"),
    ],
)
def test_other_colours_are_refused(photometric, samples, planar, match):
    """Colours that are not converted raise an error that names them; raw pixels and channels are there."""
    array = some_pixels((ROWS, COLUMNS, samples), "u1", 8)
    tags = {262: photometric} | ({530: (1, 1)} if photometric == YCBCR else {})
    with opened(page(array, planar=planar, tags=tags)) as img:
        for method in (img.rgb, img.gray, img.normed, img.pages[0].gray):
            with pytest.raises(UnsupportedTiffError, match=match):
                method()
        assert_same(img.channel(0).copy(), array[..., 0])
        if samples > 1:
            check(img.channel(1).gray(), array[..., 1], "YX")


@pytest.mark.parametrize("samples", [1, 2])
def test_colours_that_are_not_all_there(samples):
    """Pages that say RGB and have fewer samples are damaged: they are not opened."""
    with pytest.raises(CorruptTiffError, match="SamplesPerPixel is less"):
        opened(page(some_pixels((ROWS, COLUMNS, samples), "u1", 8), tags={262: RGB}))


def test_channels():
    """One sample, counted from either end; IndexError beyond. An array without samples has one channel."""
    stack = some_pixels((5, ROWS, COLUMNS, 3), "u1", 8)
    with opened(*map(page, stack)) as img:
        check_all(img.channel(1), stack[..., 1], "IYX")
        check(img.channel(-1), stack[..., 2], "IYX")
        check(img.channel(np.int64(2)), stack[..., 2])
        for number in (3, -4):
            with pytest.raises(IndexError):
                img.channel(number)
        with pytest.raises(TypeError):
            img.channel(1.0)
        one = img.channel(0)
        assert one.channel(0) is one
        assert one.channel(-1) is one
        with pytest.raises(IndexError, match="one channel"):
            one.channel(1)
