"""Reductions give what NumPy gives for the same pixels: values, dtypes, kinds of results, errors, warnings.

Blocks are made small here, so that every result is put together from many of them; `test_streaming.py` tells how.
"""

import itertools
import warnings

import numpy as np
import pytest
from helper import Layout, assert_same, page, pixels, tiff
from hypothesis import given
from hypothesis import strategies as st

import lazytiff
from lazytiff import _blocks, _variance

SHAPE, RGB = (3, 21, 19), (3, 21, 19, 3)
DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
EXACT = ["max", "min", "any", "all", "argmax", "argmin", "ptp", "count_nonzero"]  # whose order makes no difference
LAYOUTS = {
    "rows": Layout("deflate", rows_per_strip=1),
    "strips": Layout("lzw", rows_per_strip=8),
    "page": Layout(),
    "tiles": Layout("deflate", tile=(16, 16)),
    "planar": Layout("deflate", planar=2, rows_per_strip=5),
}


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    """Make blocks of a few chunks each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "BLOCK_BYTES", 700)
        yield


def opened(array, layout="rows", **options):
    """Return an array of a file in memory that holds these pages."""
    order = "<" if array.dtype.byteorder != ">" else ">"
    pages = [page(one, LAYOUTS[layout], byteorder=order) for one in array]
    return lazytiff.open(tiff(*pages, byteorder=order), squeeze=False, **options)


def small_numbers(shape, dtype, seed=0):
    """Return numbers with many ties and zeros, or around 1, so that products stay finite."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind in "fc":
        return (rng.integers(3, 6, shape) / 4).astype(dtype)
    return rng.integers(-3 * (dtype.kind == "i"), 4, shape).astype(dtype)


def axes_of(ndim):
    """Return all that axis may be: None, each axis from both ends, and tuples of them."""
    tuples = [axes for length in range(ndim + 1) for axes in itertools.permutations(range(ndim), length)]
    return [None, *range(-ndim, ndim), *tuples]


def some_axes(ndim):
    """Return a few of them, of each kind."""
    return [None, *range(ndim), -1, (), (0, 1), (ndim - 1, 0), tuple(range(ndim))]


KINDS = (np.exceptions.AxisError, TypeError, ValueError, IndexError, OverflowError)


def outcome(action):
    """Return what came of it: a result, or the kind of the error; and which warnings there were."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = action()
        except KINDS as error:
            found = next(kind for kind in KINDS if isinstance(error, kind))
    return found, [(one.category, str(one.message)) for one in caught]


def assert_like(found, expected, scale=None):
    """Check that a result is of NumPy's type, dtype and shape, and has its value.

    scale: of a sum of floating point numbers, the sum of their absolutes: it may differ by 1e-12 of that, and by the
    last bit of its dtype. Without it, all bits count (a zero's sign does not: NumPy's maximum of both depends on where
    they are).
    """
    assert type(found) is type(expected), (found, expected)
    if isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_like(one, other, scale)
        return
    if isinstance(expected, type):
        assert found is expected
        return
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype.newbyteorder("="), expected.shape)
    if scale is None:
        np.testing.assert_array_equal(found, expected)
    else:
        last_bit = np.finfo(found.dtype).eps * np.abs(expected)
        with np.errstate(invalid="ignore"):
            close = np.abs(found - expected) <= 1e-12 * scale + last_bit
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        assert np.all(close | same), (found, expected)


def assert_reduces(img, array, name, scale=None, **options):
    """Check a reduction: as a method and, for some axes, through NumPy's function."""
    expected, told = outcome(lambda: getattr(np, name)(array, **options))
    found, also_told = outcome(lambda: getattr(img, name)(**options))
    assert_like(found, expected, scale)
    if options.get("axis") in (None, 0, [0, 1]):
        assert_like(outcome(lambda: getattr(np, name)(img, **options))[0], expected, scale)
    assert {kind for kind, _ in told} == {kind for kind, _ in also_told}, (told, also_told)


def wide(array):
    """Return floating point numbers in double precision; other numbers as they are."""
    return array.astype(np.result_type(array.dtype, "f8")) if array.dtype.kind in "fc" else array


# ---- All dtypes, layouts and axes


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_exact(dtype, layout):
    """Extremes, places, counts and truth are NumPy's bit for bit, whatever the dtype, the chunks and the axes."""
    has_ties = np.random.default_rng(1).random(RGB) < 0.5
    array = np.where(has_ties, small_numbers(RGB, dtype), pixels(RGB, dtype, 1))
    with opened(array, layout) as img:
        for name, axis in itertools.product(EXACT, some_axes(4)):
            assert_reduces(img, array, name, axis=axis, keepdims=axis is None)


@pytest.mark.parametrize("name", [*EXACT, "sum", "prod", "mean", "var", "std"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_all_axes(name, keepdims):
    """Every axis and every tuple of axes, in any order, is as NumPy has it."""
    array = small_numbers(SHAPE, "i2")
    with opened(array, "tiles") as img:
        scale = 10 if name in {"mean", "var", "std"} else None
        for axis in axes_of(3):
            assert_reduces(img, array, name, scale, axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES[:9])
def test_integer_sums(dtype, layout):
    """Sums and products of integers are NumPy's bit for bit, also where they wrap around."""
    array = pixels(RGB, dtype)
    with opened(array, layout) as img:
        for name, axis in itertools.product(["sum", "prod"], some_axes(4)):
            assert_reduces(img, array, name, axis=axis)
            assert_reduces(img, array, name, axis=axis, dtype=np.uint8)
        assert_same(np.add.reduce(img), np.add.reduce(array))
        assert_same(np.bitwise_xor.reduce(img, axis=(0, 2)), np.bitwise_xor.reduce(array, axis=(0, 2)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16"])
def test_float_sums(dtype, name, layout):
    """Floating point numbers are added up in double precision, and the result has NumPy's dtype."""
    array = small_numbers(RGB, dtype) if name == "prod" else (pixels(RGB, dtype) / 1000).astype(dtype)
    with opened(array, layout) as img, np.errstate(over="ignore"):
        for axis in some_axes(4):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's float16 overflows on its way
                kind = getattr(np, name)(array, axis=axis).dtype
            found, expected = getattr(img, name)(axis=axis), getattr(np, name)(wide(array), axis=axis)
            assert found.dtype == kind
            scale = np.max(np.abs(wide(array))) ** (2 if name == "var" else 1) * (array.size if name == "sum" else 1)
            scale = np.abs(expected).max() if name == "prod" else scale
            assert_like(found, expected.astype(kind), scale)


@pytest.mark.parametrize("name", ["mean", "var", "std"])
@pytest.mark.parametrize("dtype", DTYPES[:9])
def test_integer_means(dtype, name):
    """Means and variances of integers are float64."""
    array = pixels(SHAPE, dtype)
    scale = float(np.max(np.abs(array.astype("f8")))) ** (2 if name == "var" else 1)
    with opened(array, "tiles") as img:
        for axis in some_axes(3):
            assert_reduces(img, array, name, scale, axis=axis)


def test_whole_numpy():
    """Positional arguments, NumPy's ufuncs, and what has no stream of its own give the same, too."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        assert_like(np.max(img, (0, 1), None, True), np.max(array, (0, 1), None, True))
        assert_like(np.sum(img, 1, "u1"), np.sum(array, 1, "u1"))
        assert_like(np.multiply.reduce(img, 2, None, None, True), np.multiply.reduce(array, 2, None, None, True))
        assert_like(np.logical_and.reduce(img, axis=None), np.logical_and.reduce(array, axis=None))
        assert_like(np.subtract.reduce(img), np.subtract.reduce(array))
        assert_like(np.add.accumulate(img), np.add.accumulate(array))
        assert_like(np.amax(img, axis=0), np.amax(array, axis=0))
        assert_like(np.nanmax(img, axis=0), np.nanmax(array, axis=0))
        assert_like(np.max(a=img, axis=0), np.max(a=array, axis=0))
        nothing = {"keepdims": np._NoValue, "initial": np._NoValue, "where": np._NoValue}
        assert_like(np.sum(img, axis=0, **nothing), np.sum(array, axis=0, **nothing))
        assert_like(np.average(img, axis=0), np.average(array, axis=0), 10)


@pytest.mark.parametrize("options", [{"mean": np.ones((1, 21, 19))}, {"mean": np.ones((1, 21, 19)), "ddof": 1}])
def test_given_mean(options):
    """np.var and np.std take a mean that is known already."""
    array = small_numbers(SHAPE, "f8")
    with opened(array) as img:
        assert_like(np.var(img, axis=0, **options), np.var(array, axis=0, **options), 10)
        assert_like(np.std(img, axis=0, **options), np.std(array, axis=0, **options), 10)


# ---- Values that need care


@pytest.mark.parametrize("layout", ["rows", "tiles"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16"])
def test_nan_and_infinity(dtype, layout):
    """NaN wins over all, the first one has the place; infinities do what NumPy's do."""
    rng = np.random.default_rng(3)
    array = rng.choice([0.0, -0.0, 1, -np.inf, np.inf, np.nan], SHAPE, p=[0.5, 0.1, 0.3, 0.04, 0.04, 0.02])
    array = array.astype(dtype)
    with opened(array, layout) as img, np.errstate(all="ignore"):
        for name, axis in itertools.product([*EXACT, "sum", "mean", "var", "std"], [None, 0, 1, 2]):
            kind = getattr(np, name)(array, axis=axis).dtype
            expected, found = getattr(np, name)(wide(array), axis=axis).astype(kind), getattr(img, name)(axis=axis)
            if kind.kind == "c":
                found, expected = np.isnan(found), np.isnan(expected)  # which part of it is NaN depends on the order
            assert_like(found, expected, None if name in EXACT or kind.kind == "c" else 1e3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_ties(name, layout):
    """Of equal elements the first one in C order counts, whichever chunk is read first."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        array = np.zeros(RGB, "i1")
        array.ravel()[rng.integers(0, array.size, 3)] = rng.choice([-1, 1])
        with opened(array, layout) as img:
            for axis in [None, 0, 1, 2, 3]:
                assert_reduces(img, array, name, axis=axis)


@pytest.mark.parametrize("layout", ["rows", "tiles"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_constant(dtype, layout):
    """What is constant does not vary at all."""
    value = np.finfo(dtype).max ** 0.3 / 7 if dtype[0] == "f" else np.iinfo(dtype).max
    with opened(np.full(SHAPE, value, dtype), layout) as img:
        for axis in [None, 0, (1, 2)]:
            assert not np.any(img.var(axis))
            assert not np.any(img.std(axis, ddof=1))


@pytest.mark.parametrize("dtype", ["i2", "u2", "i1", "u1"])
@pytest.mark.parametrize("most", [0, 1 << 31])
def test_variance_of_extremes(dtype, most, monkeypatch):
    """Integers at both ends of their range vary as NumPy says, added up exactly or, above 2^31 of them, in float64."""
    monkeypatch.setattr(_variance, "MOST_EXACT", most)
    info, rng = np.iinfo(dtype), np.random.default_rng(4)
    array = rng.choice([info.min, info.max], SHAPE).astype(dtype)
    with opened(array, "tiles") as img:
        for axis, ddof in itertools.product([None, 0, (0, 2)], [0, 1]):
            expected = np.var(array, axis, ddof=ddof)
            np.testing.assert_allclose(img.var(axis, ddof=ddof), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "mean", "spread"), [("f8", 1e8, 1), ("f4", 1e6, 1), ("i4", 2**30, 3), ("u2", 65000, 2)]
)
def test_variance_far_from_zero(dtype, mean, spread):
    """A small spread around a large mean is not lost: exact rational arithmetic says what it is."""
    rng = np.random.default_rng(5)
    array = (mean + spread * rng.integers(-2, 3, SHAPE)).astype(dtype)
    expected = np.var(array.astype("f8") - mean)
    with opened(array, "tiles") as img:
        np.testing.assert_allclose(img.var(), expected, rtol=1e-12 if dtype != "f4" else 1e-6)


# ---- Arguments


@pytest.mark.parametrize("name", [*EXACT[:7], "sum", "prod", "mean", "var", "std"])
@pytest.mark.parametrize("out_dtype", ["u1", "i4", "i8", "f4", "f8", "c16"])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_out(dtype, name, out_dtype):
    """`out` takes the result and is returned, where NumPy casts it; of the wrong shape, ValueError."""
    array = small_numbers(SHAPE, dtype)
    with opened(array) as img:
        for axis, shape in [(0, (21, 19)), (2, (3, 21)), (None, ()), (0, (19, 21)), (0, (1, 21, 19)), (1, ())]:
            is_silly = out_dtype[0] in "ui" and name in {"mean", "var"}  # NumPy divides what it added up as integers
            mine, theirs = np.zeros(shape, out_dtype), np.zeros(shape, out_dtype)
            expected, _ = outcome(lambda: getattr(np, name)(array, axis=axis, out=theirs))  # noqa: B023
            for reduce in (getattr(img, name), lambda **options: getattr(np, name)(img, **options)):
                found, _ = outcome(lambda: reduce(axis=axis, out=mine))  # noqa: B023
                if expected is theirs:
                    assert found is mine
                    if not is_silly:
                        assert_like(mine, theirs, 1e4 if theirs.dtype.kind in "fc" else None)
                else:
                    assert found in {TypeError, ValueError}, (axis, shape)
                    assert found is expected or name.startswith("arg")  # of two faults, one is told


def test_out_of_ufuncs():
    """ufunc.reduce takes `out` as an array or as a tuple of one."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        for given_out in (lambda out: out, lambda out: (out,)):
            mine, theirs = np.zeros((21, 19)), np.zeros((21, 19))
            assert np.add.reduce(img, out=given_out(mine)) is mine
            np.add.reduce(array, out=theirs)
            assert_same(mine, theirs)


@pytest.mark.parametrize("name", ["max", "sum"])
def test_out_is_no_array(name):
    """`out` that is no numpy.ndarray is refused."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        for out in ([0], img.lazy[0], 5):
            with pytest.raises(TypeError):
                getattr(img, name)(axis=0, out=out)


@pytest.mark.parametrize("initial", [0, 5, -7, 2.5, None])
@pytest.mark.parametrize("name", ["max", "min", "sum", "prod"])
@pytest.mark.parametrize("dtype", ["u1", "i4", "f8"])
def test_initial(dtype, name, initial):
    """The initial value goes in once."""
    array = small_numbers(SHAPE, dtype)
    with opened(array, "tiles") as img:
        for axis in [None, 0, (1, 2)]:
            scale = 1e5 if dtype == "f8" else None
            assert_reduces(img, array, name, scale, axis=axis, initial=initial)


def masks(img, array):
    """Return masks of all kinds that broadcast, with NumPy's version."""
    rng = np.random.default_rng(6)
    for shape in [(3, 21, 19), (21, 19), (19,), (3, 1, 1), (1,), ()]:
        mask = np.asarray(rng.random(shape) < 0.5)
        yield mask, mask
    yield img > 1, array > 1
    yield (img > 1).lazy[1], (array > 1)[1]
    yield (img > 1).lazy[:, :1], (array > 1)[:, :1]
    yield False, False
    yield [[True]], [[True]]
    yield np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)


@pytest.mark.parametrize("name", ["max", "min", "sum", "prod", "any", "all", "mean", "var", "std"])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_where(dtype, name):
    """Only elements where the mask is true count; the warnings about empty slices are NumPy's."""
    array = small_numbers(SHAPE, dtype)
    if name == "prod":
        array[array > 1] = 1  # or it would be infinite
    with opened(array, "tiles") as img:
        for mine, theirs in masks(img, array):
            for axis in [None, 0, (1, 2)]:
                options = {"axis": axis} | ({"initial": 1} if name in {"max", "min"} else {})
                expected, told = outcome(lambda: getattr(np, name)(wide(array), where=theirs, **options))  # noqa: B023
                kind = outcome(lambda: getattr(np, name)(array, where=theirs, **options))[0].dtype  # noqa: B023
                expected = expected.astype(kind)
                for reduce in (getattr(img, name), lambda **options: getattr(np, name)(img, **options)):
                    found, also_told = outcome(lambda: reduce(where=mine, **options))  # noqa: B023
                    assert_like(found, expected, 2e4 if np.asarray(expected).dtype.kind == "f" else None)
                    assert told[:1] == also_told[:1]


def test_where_is_refused():
    """A mask without initial value is refused where NumPy does, and so is one that does not broadcast or is no mask."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        for where in [array > 1, np.True_, np.ones((2, 19), bool), np.ones((2, *SHAPE), bool), [1] * 19, 2.5, 1]:
            if np.asarray(where).dtype == bool:
                assert_reduces(img, array, "max", where=where)
                assert_reduces(img, array, "mean", 10, where=where)
            assert_reduces(img, array, "sum", where=where)
        with pytest.raises(TypeError):
            img.sum(where=img)


@pytest.mark.parametrize("dtype", ["u1", "f4", "c8"])
@pytest.mark.parametrize("name", ["var", "std"])
def test_ddof(name, dtype):
    """What ddof or correction says is taken off the count; where nothing is left there is NumPy's warning."""
    array = small_numbers(SHAPE, dtype)
    with opened(array, "tiles") as img:
        for option, number, axis in itertools.product(["ddof", "correction"], [0, 1, 1.5, 3, 4, -1], [None, 0]):
            assert_reduces(img, array, name, 100, axis=axis, **{option: number})
        with pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0 for slice"):
            assert np.all(np.isinf(img.var(0, ddof=5)) | np.isnan(img.var(0, ddof=5)))
        for reduce in (np.var, lambda image, **options: getattr(image, name)(**options)):
            with pytest.raises(ValueError, match="ddof and correction can't be provided simultaneously"):
                reduce(img, ddof=1, correction=1)
        assert_reduces(img, array, name, 100, ddof=0, correction=1)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std"])
@pytest.mark.parametrize("dtype", ["?", "i2", "f4", "c8"])
def test_dtype(dtype, name):
    """What dtype says is what the result has, and NumPy's errors and results are those of the eager array."""
    array = small_numbers(SHAPE, dtype)
    with opened(array, "tiles") as img:
        for asked in ["f4", "f8", "c16", *["i2", "i8", "u1"] * (name in {"sum", "prod"})]:
            if np.dtype(dtype).kind == "c" and asked != "c16":
                continue  # which parts NumPy leaves out, and with how many warnings, is its own affair
            scale, exact = (1e5, np.result_type(asked, "f8")) if np.dtype(asked).kind in "fc" else (None, asked)
            for axis in [None, 1]:
                expected = getattr(np, name)(wide(array), axis=axis, dtype=exact).astype(asked)
                assert_like(getattr(img, name)(axis=axis, dtype=asked), expected, scale)
                assert_like(getattr(np, name)(img, axis=axis, dtype=asked), expected, scale)


BAD_AXES = [3, -4, (0, 3), (0, 0), (0, -3), 1.0, "x", [0, 1], (0, 1.5)]


@pytest.mark.parametrize("axis", BAD_AXES)
@pytest.mark.parametrize("name", [*EXACT, "sum", "prod", "mean", "var", "std"])
def test_bad_axes(name, axis):
    """What is no axis is refused as NumPy does."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        assert_reduces(img, array, name, 10 if name in {"mean", "var", "std"} else None, axis=axis)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_place_of_one_axis(name):
    """Places are along one axis: a tuple is a TypeError."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        assert_reduces(img, array, name, axis=(0, 1))
        assert_reduces(img, array, name, axis=(0,))


@pytest.mark.parametrize("key", [np.s_[:0], np.s_[:, :0], np.s_[:, 5:5, ::2], np.s_[:0, :, :0]])
@pytest.mark.parametrize("name", [*EXACT, "sum", "prod", "mean", "var", "std"])
def test_empty(name, key):
    """Arrays without elements reduce as NumPy's: errors and warnings where there is nothing to say."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        for axis, keepdims in itertools.product([None, 0, 1, 2], [False, True]):
            scale = 10 if name in {"mean", "var", "std"} else None
            assert_reduces(img.lazy[key], array[key], name, scale, axis=axis, keepdims=keepdims)
        if name in {"sum", "prod", "max", "min"}:
            assert_reduces(img.lazy[key], array[key], name, initial=3)
            assert_reduces(img.lazy[key], array[key], name, axis=0, initial=3, where=np.ones((), bool)[()])


@pytest.mark.parametrize("name", [*EXACT, "sum", "prod", "mean", "var", "std"])
def test_one_element(name):
    """A view of one element, without axes or with axes of one, is reduced as NumPy's."""
    array = small_numbers(SHAPE, "u2")
    with opened(array) as img:
        for key in [np.s_[1, 2, 3], np.s_[1:2, 2, 3], np.s_[1:2, 2:3, 3:4]]:
            scale = 10 if name in {"mean", "var", "std"} else None
            assert_reduces(img.lazy[key], np.asarray(array[key]), name, scale)


@given(data=st.data())
def test_anything(data):
    """Any reduction of any slice of any file is NumPy's, for integers bit for bit."""
    dtype = data.draw(st.sampled_from(["?", "u1", "u2", "i1", "i4", "i8", "u8"]))
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)))
    array = pixels(shape, dtype, data.draw(st.integers(0, 9)))
    steps = st.sampled_from([-3, -1, 1, 1, 2])
    key = tuple(
        slice(data.draw(st.integers(0, size)), None, data.draw(steps)) if data.draw(st.booleans()) else slice(None)
        for size in shape
    )
    name = data.draw(st.sampled_from([*EXACT, "sum", "prod", "mean", "var", "std"]))
    takes_one = name in {"argmax", "argmin"}
    axis = data.draw(st.sampled_from([None, 0, 1, 2] if takes_one else axes_of(3)))
    layout = data.draw(st.sampled_from([one for one in LAYOUTS if one != "planar"]))
    with opened(array, layout, workers=data.draw(st.sampled_from([None, 1, 3]))) as img:
        biggest = float(np.abs(array.astype("f8")).max())
        scale = {"mean": biggest, "std": biggest, "var": biggest**2}.get(name)
        assert_reduces(img.lazy[key], array[key], name, scale, axis=axis, keepdims=data.draw(st.booleans()))


@pytest.mark.parametrize("dtype", ["O", "m8[s]"])
@pytest.mark.parametrize("name", ["max", "min", "sum", "any", "argmax", "mean", "ptp"])
def test_other_kinds(name, dtype, tmp_path):
    """Python's objects and times are reduced by NumPy, all at once."""
    array = np.arange(24, dtype="u1").reshape(2, 3, 4)
    (tmp_path / "stack.tif").write_bytes(tiff(*map(page, array)))
    with lazytiff.open(tmp_path / "stack.tif") as img:
        found = getattr(np, name)(img.astype(dtype), axis=1)
        np.testing.assert_array_equal(found, getattr(np, name)(array.astype(dtype), axis=1))
