"""rgb, gray, normed and channel: what pixels mean, by the files' own words, as plain NumPy formulas have it."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct

import helper
import numpy as np
import pytest
import streams
import tifffile
from helper import Typed, assert_same, page, pixels, tiff

import lazytiff
from lazytiff import CorruptTiffError, UnsupportedTiffError

ROWS, COLUMNS = 6, 5
WHITE, BLACK, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8  # PhotometricInterpretation
COLOR_MAP = 320
MOST_PIXELS = 1 << 20  # of pages that other programs wrote
KEYS = [
    ...,
    2,
    -1,
    slice(3, 5),
    slice(None, None, -1),
    slice(4, 0, -2),
    slice(0, 0),
    [3, 0, 4, 0, 1],
    (slice(None), 2),
    (slice(None), slice(1, 4), slice(None, None, -2)),
    (slice(None, None, 2), [4, 1], 0),
    ([2, 0, 4], slice(None), [0, 3, 1]),
    np.ix_([3, 1], [0, 5, 2], [4, 0]),
    (..., 0),
    (1, 3, 2),
]
MORE_KEYS = [(..., slice(1, None)), (..., slice(None, None, -1)), (..., [1, 0]), (slice(None), 1, 2), (4, 5, 4, 1)]


# ---- The formulas


def upright(array, bits):
    """Undo min-is-white."""
    if array.dtype.kind in "bi":
        return ~array
    return (1 if array.dtype.kind == "f" else array.dtype.type(2**bits - 1)) - array


def weighed(colours):
    """Return the luma of (..., 3), rounded half to even where the dtype has no fractions."""
    red, green, blue = np.moveaxis(colours.astype(np.float64), -1, 0)
    found = 0.299 * red + 0.587 * green + 0.114 * blue
    return (np.rint(found) if colours.dtype.kind in "bui" else found).astype(colours.dtype)


def fractions(array, bits, dtype="f4"):
    """Return integers as fractions, rounded once."""
    largest = 2 ** (bits - 1) if array.dtype.kind == "i" else 2**bits - 1
    return (array.astype(np.float64) / largest).astype(dtype)


def thrice(array):
    """Return gray values as colours."""
    return np.stack([array] * 3, axis=-1)


# ---- What files are made of


def some_pixels(shape, dtype, bits, seed=0):
    """Make pixels of so many bits in which the smallest and the largest value occur."""
    dtype = np.dtype(dtype)
    if dtype.kind in "fb":
        found = pixels(shape, dtype, seed)
        return np.clip(found, 0, 1) if dtype.kind == "f" else found
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == "i" else (0, 2**bits - 1)
    found = np.random.default_rng(seed).integers(low, high, shape, dtype, endpoint=True)
    found.ravel()[[0, -1]] = low, high
    return found


def color_map(bits, seed=0):
    """Return a palette as (index, 3), and its tag's values."""
    colours = np.random.default_rng(seed).integers(0, 1 << 16, (1 << bits, 3)).astype(np.uint16)
    return colours, tuple(colours.T.ravel().tolist())


def palette_stack(bits=8, count=5, **options):
    """Make pages of palette indices with a ColorMap each, and tell their colours."""
    dtype = "?" if bits == 1 else "u1" if bits <= 8 else "u2"
    made, colours = [], []
    for seed in range(count):
        indices = some_pixels((ROWS, COLUMNS), dtype, bits, seed)
        palette, values = color_map(bits, seed)
        made.append(page(indices, bits=bits, tags={262: PALETTE, COLOR_MAP: values}, **options))
        colours.append(palette[indices.astype(int)])
    return made, np.stack(colours)


def gray_stack(photometric, all_bits=(12, 16, 10, 12, 9), **options):
    """Make pages of uint16 of several bits, and return (pages, pixels as stored)."""
    stack = [some_pixels((ROWS, COLUMNS), "u2", bits, seed) for seed, bits in enumerate(all_bits)]
    made = [page(one, bits=bits, tags={262: photometric}, **options) for one, bits in zip(stack, all_bits, strict=True)]
    return made, np.stack(stack)


def each_page(function, stack, all_bits, *more):
    """Apply a formula to each page with its own bits."""
    return np.stack([function(one, bits, *more) for one, bits in zip(stack, all_bits, strict=True)])


def opened(*pages, **options):
    """Open a file of these pages, from memory."""
    return lazytiff.open(tiff(*pages, **options))


def check(view, expected, axes=None):
    """Compare shape, dtype, axes and pixels."""
    assert view.shape == expected.shape
    assert view.dtype == expected.dtype
    assert axes is None or view.axes == axes
    assert_same(view.copy(), expected)


def check_all(view, expected, axes):
    """Compare a stack of 5 pages by all kinds of indices, by iteration and by reductions."""
    check(view, expected, axes)
    for key in KEYS + MORE_KEYS * (expected.ndim == 4):
        assert_same(view[key], expected[key], repr(key))
    mask = expected > expected.max() // 2 if expected.dtype.kind in "ui" else expected > expected.mean()
    assert_same(view[mask], expected[mask])
    for number, one in enumerate(view):
        assert_same(one, expected[number])
    for number in (3, 0, 4, 1):  # pages in an odd order, and those of views
        assert_same(view.lazy[number][...], expected[number])
    assert_same(view.lazy[::-2, 1:].copy(), expected[::-2, 1:])
    assert_same(view.max(axis=0), expected.max(axis=0))
    assert_same(view.min(axis=(1, 2)), expected.min(axis=(1, 2)))
    assert_same(view.sum(dtype=np.float64), expected.sum(dtype=np.float64)) if expected.dtype.kind in "ui" else None


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


# ---- Arrays of every kind


def write(path, *pages, **options):
    """Write a file of these pages and return its path."""
    path.write_bytes(tiff(*pages, **options))
    return path


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("bits", [8, 16])
def test_mapped(bits, byteorder, tmp_path):
    """Views of mapped pages are of this machine's byte order, whatever the file's."""
    made, colours = palette_stack(bits, byteorder=byteorder)
    dtype = f"u{bits // 8}"
    gray = some_pixels((5, ROWS, COLUMNS), dtype, bits)
    rgb = some_pixels((5, ROWS, COLUMNS, 4), dtype, bits)
    paths = [
        write(tmp_path / "palette.tif", *made, byteorder=byteorder),
        write(tmp_path / "black.tif", *(page(one, byteorder=byteorder) for one in gray), byteorder=byteorder),
        write(
            tmp_path / "white.tif",
            *(page(one, byteorder=byteorder, tags={262: WHITE}) for one in gray),
            byteorder=byteorder,
        ),
        write(tmp_path / "rgb.tif", *(page(one, byteorder=byteorder) for one in rgb), byteorder=byteorder),
    ]
    with contextlib.ExitStack() as stack:
        palette, black, white, colour = (stack.enter_context(lazytiff.open(path, mmap=True)) for path in paths)
        check_all(palette.rgb(), colours, "IYXS")
        check_all(palette.gray(), weighed(colours), "IYX")
        assert black.gray() is black
        check_all(black.rgb(), thrice(gray), "IYXS")
        check_all(black.normed(), fractions(gray, bits), "IYX")
        check_all(white.gray(), upright(gray, bits), "IYX")
        check_all(white.rgb(), thrice(upright(gray, bits)), "IYXS")
        check_all(colour.gray(), weighed(rgb[..., :3]), "IYX")
        check(colour.normed(), fractions(rgb, bits), "IYXS")
        assert_same(colour.rgb()[1].astype(dtype), rgb[1, ..., :3])
        check(colour.lazy[3:5].gray(), weighed(rgb[3:5, ..., :3]))


def test_growing(tmp_path):
    """A stack that is being written has the colours of its pages so far; a view has those when it was made."""
    palette, values = color_map(8)
    stack = some_pixels((6, ROWS, COLUMNS), "u1", 8)
    with lazytiff.empty(tmp_path / "x.tif", "u1", photometric="palette", tags={"ColorMap": values}) as out:
        out.extend(stack[:5])
        view = out.rgb()
        check_all(view, palette[stack[:5]], "IYXS")
        out.append(stack[5])
        check(view, palette[stack[:5]])
        check(out.gray(), weighed(palette[stack]))
        assert_same(out.gray()[5], weighed(palette[stack[5]]))


def many_files(folder):
    """Write files with ColorMaps and with bits of their own; return their patterns, colours, and gray values."""
    made, colours = palette_stack(8)
    grays, stack = gray_stack(WHITE)
    for name, pages in (("palette", made), ("white", grays)):
        for number, bounds in enumerate([(0, 2), (2, 3), (3, 5)]):
            write(folder / f"{name}{number}.tif", *pages[slice(*bounds)])
    return str(folder / "palette*.tif"), str(folder / "white*.tif"), colours, stack


def test_many_files(tmp_path):
    """Files have ColorMaps and bits of their own."""
    palettes, whites, colours, stack = many_files(tmp_path)
    all_bits = (12, 16, 10, 12, 9)
    expected = each_page(upright, stack, all_bits)
    with lazytiff.open(palettes, check=True) as img:
        assert isinstance(img, lazytiff.MultiTiff)
        check_all(img.rgb(), colours, "IYXS")
        check_all(img.gray(), weighed(colours), "IYX")
        check(img.lazy[3:5].gray(), weighed(colours[3:5]))
        check(img.pages[3].rgb(), colours[3])
    with lazytiff.open(whites, check=True) as img:
        check_all(img.gray(), expected, "IYX")
        check_all(img.normed(), each_page(fractions, expected, all_bits), "IYX")


def test_hyperstack():
    """Along named axes each plane has the tone of its page; a channel of a hyperstack without samples is along C."""
    made, colours = palette_stack(8, 6)
    made[0].tags[270] = "ImageJ=1.11a\nimages=6\nchannels=2\nframes=3\nhyperstack=true\n"
    expected = colours.reshape(3, 2, ROWS, COLUMNS, 3)
    with opened(*made) as img:
        stack = img.hyperstack
        assert stack.axes == "TCYX"
        check(stack.rgb(), expected, "TCYXS")
        check(stack.gray(), weighed(expected), "TCYX")
        check(stack.channel(1).rgb(), expected[:, 1], "TYXS")
        check(stack.channel(-1).gray(), weighed(expected[:, 1]), "TYX")
        assert_same(stack.rgb()[[2, 0], 1, :, [3, 1]], expected[[2, 0], 1, :, [3, 1]])
        assert_same(stack.gray()[::-1, ::-1, 1:3], weighed(expected)[::-1, ::-1, 1:3])
        assert_same(stack.gray().max(axis=(0, 1)), weighed(expected).max(axis=(0, 1)))
        with pytest.raises(IndexError):
            stack.channel(2)


# ---- Joined


def join_parts():
    """Return two arrays of palette pages with ColorMaps of their own, and the colours of each."""
    made, colours = palette_stack(8, 6)
    return opened(*made[:3]), opened(*made[3:]), colours[:3], colours[3:]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concatenated(axis):
    """Joined along pages, rows or columns, each part has its colours."""
    first, second, ours, theirs = join_parts()
    expected = np.concatenate([ours, theirs], axis)
    with first, second:
        both = lazytiff.concatenate([first, second], axis)
        check(both.rgb(), expected, "IYXS")
        check(both.gray(), weighed(expected), "IYX")
        check(both.normed(), fractions(expected, 16))
        for key in KEYS[:4]:
            assert_same(both.rgb()[key], expected[key])
        check(both.lazy[1:, 1:, ::-1].gray(), weighed(expected[1:, 1:, ::-1]))
        assert_same(both.rgb()[[2, 0], 4, 1:], expected[[2, 0], 4, 1:])
        assert_same(both.gray().max(axis=0), weighed(expected).max(axis=0))
        check(lazytiff.concatenate([both, both], axis).gray(), weighed(np.concatenate([expected, expected], axis)))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_stacked(axis):
    """A new axis may be anywhere among the others: each pixel has the colour of its page."""
    first, second, ours, theirs = join_parts()
    with first, second:
        both = lazytiff.stack([first, second], axis)
        check(both.rgb(), np.stack([ours, theirs], axis))
        check(both.gray(), np.stack([weighed(ours), weighed(theirs)], axis))
        check(both.lazy[1, 1:].gray(), np.stack([weighed(ours), weighed(theirs)], axis)[1, 1:])
        pages = lazytiff.stack([*first.pages, *second.pages], min(axis, 2))
        check(pages.rgb(), np.stack([*ours, *theirs], min(axis, 2)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_joined_bits(axis):
    """Parts are min-is-white by their own bits, one page or many."""
    made, stack = gray_stack(WHITE, (12, 12, 16, 10))
    expected = each_page(upright, stack, (12, 12, 16, 10))
    with opened(*made[:2]) as first, opened(*made[2:]) as second:
        both = lazytiff.concatenate([first, second], axis)
        check(both.gray(), np.concatenate([expected[:2], expected[2:]], axis))
        parts = fractions(expected[:2], 12), np.stack([fractions(expected[2], 16), fractions(expected[3], 10)])
        check(both.normed(), np.concatenate(parts, axis))
        check(both.rgb().normed(), thrice(np.concatenate(parts, axis)))
        check(lazytiff.concatenate([first.gray(), second.gray()], axis).normed(), np.concatenate(parts, axis))


def test_joined_colours():
    """Parts that mean different things are no array of colours; views of them that mean the same are."""
    made, colours = palette_stack(8, 2)
    gray = some_pixels((2, ROWS, COLUMNS), "u1", 8)
    black, white = [page(one) for one in gray], [page(one, tags={262: WHITE}) for one in gray]
    with opened(*made) as palette, opened(*black) as dark, opened(*white) as bright:
        for parts in ([palette, dark], [dark, bright], [bright, palette]):
            both = lazytiff.concatenate(parts)
            assert_same(both[1], parts[0][1])
            for method in (both.rgb, both.gray, both.normed):
                with pytest.raises(UnsupportedTiffError, match="several colour models"):
                    method()
        check(lazytiff.concatenate([dark, bright.gray()]).gray(), np.concatenate([gray, upright(gray, 8)]))
        check(
            lazytiff.concatenate([palette.gray(), palette.gray()]).rgb(), thrice(weighed(np.concatenate([colours] * 2)))
        )
        check(lazytiff.stack([palette.rgb(), palette.rgb()]).gray(), np.stack([weighed(colours)] * 2))


# ---- What it takes


def test_one_page_is_decoded():
    """A page of a view decodes the chunks of that page alone, a row those that hold it."""
    rgb = some_pixels((5, 12, COLUMNS, 3), "u1", 8)
    with opened(*(page(one, codec="deflate", rows_per_strip=4) for one in rgb)) as img:
        assert_same(img.gray()[3], weighed(rgb[3]))
        assert img.cache_info().decoded == 3
        assert_same(img.gray()[1, 5], weighed(rgb[1, 5]))
        assert img.cache_info().decoded == 4
        assert_same(img.lazy[2:4, 9].normed()[0], fractions(rgb[2, 9], 8))
        assert img.cache_info().decoded == 5
    with opened(*(page(one, codec="deflate", planar=2) for one in rgb)) as img:
        assert_same(img.channel(1)[2], rgb[2, ..., 1])
        assert img.cache_info().decoded == 1


def test_reductions_decode_once():
    """A reduction of a view decodes each chunk once."""
    rgb = some_pixels((5, 12, COLUMNS, 3), "u1", 8)
    with lazytiff.open(
        tiff(*(page(one, codec="deflate", rows_per_strip=4) for one in rgb)), cache_bytes=0, workers=1
    ) as img:
        assert_same(img.gray().max(axis=0), weighed(rgb).max(axis=0))
        assert img.cache_info().decoded == 15


def test_nothing_is_read_for_a_view():
    """Views read no pixels when they are made, and none of an empty index."""
    made, _ = palette_stack(8, codec="deflate")
    with opened(*made) as img:
        for view in (img.rgb(), img.gray(), img.normed(), img.channel(0), img.lazy[1:].gray()):
            assert view[:0].size == view[:, :, 5:].size == 0
        assert img.cache_info().decoded == 0


def test_pickled(tmp_path):
    """A view can be pickled with its array, and is the same one."""
    made, colours = palette_stack(8)
    with lazytiff.open(write(tmp_path / "x.tif", *made), mmap=True) as img:
        for view, expected in ((img.rgb(), colours), (img.gray(), weighed(colours)), (img.normed(), None)):
            again = pickle.loads(pickle.dumps(view))  # noqa: S301  # which was made here
            check(again, fractions(colours, 16) if expected is None else expected)
            array = again
            while hasattr(array, "base"):
                array = array.base
            array.close()


# ---- Files that other programs wrote


def corpus_pages(kinds):
    """Give a parameter for each page of the corpus of these kinds whose pixels decoders agree on."""
    folder = helper.corpus()
    if folder is None:
        return [pytest.param(None, None, id="no corpus")]
    files = json.loads((folder / "manifest.json").read_text())["files"]
    chosen = []
    for file in files:
        pages = [
            int(one["index"])
            for one in file["pages"]
            if one.get("status") == "agreed" and one.get("photometric") in kinds and str(one["index"]).isdecimal()
            if one["width"] * one["height"] <= MOST_PIXELS
        ]
        chosen += [pytest.param(file["path"], pages[:4], id=file["path"])] if pages else []
    return chosen


def ours_or_skip(read):
    """Return what read returns; skip the test where the linked libtiff cannot decode the page."""
    try:
        return read()
    except (lazytiff.DecodeError, UnsupportedTiffError) as error:
        pytest.skip(f"the linked libtiff cannot decode it: {error}")


@contextlib.contextmanager
def corpus_page(path, number):
    """Return tifffile's page, its pixels with samples last, and ours; skip what tifffile cannot read."""
    with tifffile.TiffFile(path) as oracle, lazytiff.TiffFile(path, codecs="all") as tif:
        theirs = oracle.pages[number]
        try:
            expected = theirs.asarray()
        except Exception as error:  # noqa: BLE001  # of any kind
            pytest.skip(f"tifffile cannot read page {number}: {error!r}")
        if theirs.samplesperpixel > 1 and theirs.planarconfig == 2:
            expected = np.moveaxis(expected, 0, -1)
        yield theirs, expected[..., 0] if theirs.samplesperpixel > 1 else expected, tif.pages[number]


@pytest.mark.parametrize(("name", "numbers"), corpus_pages({"palette"}))
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # of what is wrong elsewhere in these files
def test_palettes_of_others(name, numbers, corpus):
    """Palette pages have the colours that tifffile's pixels and ColorMap give."""
    for number in numbers:
        with corpus_page(corpus / "files" / name, number) as (theirs, indices, ours):
            helper.needs(ours.compression)
            colours = np.moveaxis(np.asarray(theirs.colormap, np.uint16), 0, -1)[indices.astype(int)]
            check(ours.rgb(), colours)
            check(ours.gray(), weighed(colours))


@pytest.mark.parametrize(("name", "numbers"), corpus_pages({"minisblack", "miniswhite"}))
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # of what is wrong elsewhere in these files
def test_gray_of_others(name, numbers, corpus):
    """Gray pages have tifffile's pixels three times, those that are min-is-white turned by their bits."""
    for number in numbers:
        with corpus_page(corpus / "files" / name, number) as (theirs, stored, ours):
            helper.needs(ours.compression)
            found = ours_or_skip(ours.rgb().copy)
            expected = upright(stored, theirs.bitspersample) if theirs.photometric == WHITE else stored
            assert found.shape == (*stored.shape, 3)
            for sample in np.moveaxis(found, -1, 0):
                np.testing.assert_allclose(sample, expected, atol=4 if ours.compression in ("jpeg", "lerc") else 0)
