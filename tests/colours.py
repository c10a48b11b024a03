"""What the tests of rgb, gray and normed share: the formulas, pages, and how views are compared."""

from __future__ import annotations

import numpy as np
from helper import assert_same, page, pixels, tiff

import lazytiff

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
