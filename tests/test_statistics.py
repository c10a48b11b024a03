"""Histograms, quantiles and medians are NumPy's of the same pixels."""

import warnings

import numpy as np
import pytest
from helper import assert_same, page, pixels, tiff
from hypothesis import given
from hypothesis import strategies as st

import lazytiff
from lazytiff import _blocks

SHAPE = (3, 21, 19)
COUNTED = ["?", "u1", "i1", "u2", "i2"]
DTYPES = [*COUNTED, "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    """Make blocks of a few chunks each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "BLOCK_BYTES", 700)
        yield


def opened(array, **options):
    """Return an array of a file in memory that holds these pages."""
    return lazytiff.open(tiff(*[page(one, rows_per_strip=4) for one in array]), squeeze=False, **options)


def outcome(action):
    """Return what came of it, or the kind of the error; and which kinds of warnings there were."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = action()
        except (TypeError, ValueError, IndexError) as error:
            found = next(kind for kind in (TypeError, ValueError, IndexError) if isinstance(error, kind))
    return found, {one.category for one in caught}


def assert_like(found, expected):
    """Check that two outcomes are the same: types, dtypes, all values."""
    (found, told), (expected, also_told) = found, expected
    assert told == also_told
    assert type(found) is type(expected), (found, expected)
    if isinstance(expected, type):
        assert found is expected
        return
    for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
        assert (np.asarray(one).dtype, np.shape(one)) == (np.asarray(other).dtype, np.shape(other))
        np.testing.assert_array_equal(one, other)


BINS_BY_RULE = "auto"
BINS = [
    {},
    {"bins": 1},
    {"bins": 7, "range": (0, 100)},
    {"bins": 300, "range": (-40.5, 70)},
    {"bins": 5, "range": (3, 3)},
    {"bins": [0, 1, 5, 90, 1000]},
    {"bins": np.linspace(-100, 100, 8)},
    {"bins": np.linspace(-100, 100, 8), "range": (0, 1)},
    {"bins": np.array([0, 0, 1])},
    {"bins": 4, "density": True},
    {"bins": [0, 1, 5, 90], "density": True},
    {"bins": 4, "density": False},
    {"bins": BINS_BY_RULE},
    {"bins": "sturges", "range": (0, 50)},
    {"bins": 0},
    {"bins": -3},
    {"bins": 2.5},
    {"bins": [3, 2, 1]},
    {"bins": "no such rule"},
    {"bins": 5, "range": (3, 1)},
    {"bins": 5, "range": (0, np.inf)},
    {"bins": [[1, 2], [3, 4]]},
]


@pytest.mark.parametrize("options", BINS, ids=map(str, range(len(BINS))))
@pytest.mark.parametrize("dtype", DTYPES)
def test_histogram(dtype, options):
    """Counts and edges are NumPy's bit for bit, and so are errors."""
    array = pixels(SHAPE, dtype)
    if options.get("bins") is BINS_BY_RULE and array.dtype.itemsize > 2:
        array = np.clip(array, 0, 50)  # or there would be billions of bins
    with opened(array) as img:
        expected = outcome(lambda: np.histogram(array, **options))
        assert_like(outcome(lambda: img.histogram(**options)), expected)
        assert_like(outcome(lambda: np.histogram(img, **options)), expected)


def test_histogram_positional():
    """NumPy's order of arguments holds; weights get the whole array."""
    array = pixels(SHAPE, "u2")
    with opened(array) as img:
        assert_like(
            outcome(lambda: img.histogram(5, (0, 9), True)), outcome(lambda: np.histogram(array, 5, (0, 9), True))
        )
        weights = np.random.default_rng(0).random(SHAPE)
        expected = outcome(lambda: np.histogram(array, 5, weights=weights))
        assert_like(outcome(lambda: np.histogram(img, 5, weights=weights)), expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_histogram_of_nan(dtype):
    """NaN is in no bin, and makes a range that is not given impossible."""
    array = pixels(SHAPE, dtype)
    array[1, 2, 3:6] = [np.nan, np.inf, -np.inf]
    with opened(array) as img:
        for options in [{}, {"range": (-5, 5)}, {"bins": [-1, 0, 1]}, {"bins": [-np.inf, 0, np.inf]}]:
            assert_like(outcome(lambda: img.histogram(**options)), outcome(lambda: np.histogram(array, **options)))  # noqa: B023


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_constant(dtype):
    """What is constant has a range of 1 around it."""
    array = np.full(SHAPE, 7, dtype)
    with opened(array) as img:
        assert_like(outcome(img.histogram), outcome(lambda: np.histogram(array)))
        assert img.median() == 7
        assert_same(img.quantile([0, 0.3, 1]), np.full(3, 7.0))


FRACTIONS = [0, 1, 0.5, 0.25, 1 / 3, [0.1, 0.9], [[0, 0.5], [0.75, 1]], [], np.linspace(0, 1, 11), np.float32(0.3)]
BAD_FRACTIONS = [-0.1, 1.5, [0.5, 2], np.nan, "x", None, 0.5j]


@pytest.mark.parametrize("fractions", FRACTIONS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_quantile(dtype, fractions):
    """Quantiles are NumPy's bit for bit."""
    array = pixels(SHAPE, dtype)
    with opened(array) as img:
        expected = outcome(lambda: np.quantile(array, fractions))
        assert_like(outcome(lambda: img.quantile(fractions)), expected)
        assert_like(outcome(lambda: np.quantile(img, fractions)), expected)
        percents = np.multiply(fractions, 50)  # of which some are no percents of anything, as some are no fractions
        expected = outcome(lambda: np.percentile(array, percents))
        assert_like(outcome(lambda: img.percentile(percents)), expected)
        assert_like(outcome(lambda: np.percentile(img, percents)), expected)


@pytest.mark.parametrize("fractions", BAD_FRACTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u4"])
def test_bad_fractions(dtype, fractions):
    """What is no fraction is refused as NumPy does."""
    array = pixels(SHAPE, dtype)
    with opened(array) as img:
        expected = outcome(lambda: np.quantile(array, fractions))
        assert_like(outcome(lambda: img.quantile(fractions)), expected)


@pytest.mark.parametrize("rows", [1, 2, 20, 21])
@pytest.mark.parametrize("dtype", DTYPES)
def test_median(dtype, rows):
    """Medians of odd and even numbers of elements are NumPy's bit for bit."""
    array = pixels((1, rows, 3), dtype)
    with opened(array) as img:
        expected = outcome(lambda: np.median(array))
        assert_like(outcome(img.median), expected)
        assert_like(outcome(lambda: np.median(img)), expected)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u1", "u2"])
def test_far_apart(dtype):
    """Between the ends of a dtype's range nothing overflows that NumPy's does not."""
    info = np.iinfo(dtype)
    array = np.array([[[info.min, info.max], [info.max, info.min]]], dtype)
    with opened(array) as img:
        assert img.median() == np.median(array)
        for fractions in (0.4, [0.4], [0.4, 0.5], 0, 1.0):
            expected = outcome(lambda: np.quantile(array, fractions))  # noqa: B023
            assert_like(outcome(lambda: img.quantile(fractions)), expected)  # noqa: B023


@given(data=st.data())
def test_any_quantile(data):
    """Any quantile of any small integers is NumPy's."""
    dtype = data.draw(st.sampled_from(["u1", "i1", "u2", "i2"]))
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    array = pixels(shape, dtype, data.draw(st.integers(0, 99)))
    fraction = data.draw(st.floats(0, 1))
    with opened(array) as img:
        assert_like(outcome(lambda: img.quantile(fraction)), outcome(lambda: np.quantile(array, fraction)))
        assert img.median() == np.median(array)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_other_arguments(dtype):
    """What NumPy's functions have beyond the methods gets the whole array."""
    array = pixels(SHAPE, dtype)
    with opened(array) as img:
        assert_same(np.median(img, axis=0), np.median(array, axis=0))
        assert_same(np.median(img, (0, 1)), np.median(array, (0, 1)))
        assert_same(np.median(img, keepdims=True), np.median(array, keepdims=True))
        assert_same(np.quantile(img, 0.3, axis=2), np.quantile(array, 0.3, axis=2))
        assert np.quantile(img, 0.3, method="lower") == np.quantile(array, 0.3, method="lower")
        assert_same(np.percentile(img, [5, 95]), np.percentile(array, [5, 95]))
        assert_same(np.histogram2d(img.lazy[0, 0], img.lazy[0, 1])[0], np.histogram2d(array[0, 0], array[0, 1])[0])


@pytest.mark.parametrize("key", [np.s_[:0], np.s_[:, :, :0]])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_empty(dtype, key):
    """Arrays without elements do what NumPy's do."""
    array = pixels(SHAPE, dtype)
    with opened(array) as img:
        view, eager = img.lazy[key], array[key]
        for options in [{}, {"bins": 3, "range": (0, 1)}, {"bins": [0, 1]}]:
            assert_like(outcome(lambda: view.histogram(**options)), outcome(lambda: np.histogram(eager, **options)))  # noqa: B023
        assert_like(outcome(view.median), outcome(lambda: np.median(eager)))
        assert_like(outcome(lambda: view.quantile(0.5)), outcome(lambda: np.quantile(eager, 0.5)))


def test_views():
    """Views are counted as what NumPy computes, and those without axes, too."""
    array = pixels(SHAPE, "u1")
    with opened(array) as img:
        for view, expected in [
            (img // 2, array // 2),
            (img + 1000.5, array + 1000.5),
            (img > 9, array > 9),
            (img.lazy[:, 2:9, ::-2], array[:, 2:9, ::-2]),
            (img.lazy[1, 2, 3], array[1, 2, 3]),
        ]:
            assert_like(outcome(lambda: view.histogram(6)), outcome(lambda: np.histogram(expected, 6)))  # noqa: B023
            assert_like(outcome(view.median), outcome(lambda: np.median(expected)))  # noqa: B023


def test_big_endian(tmp_path):
    """The byte order of a mapped file makes no difference."""
    array = pixels(SHAPE, "i2")
    (tmp_path / "a.tif").write_bytes(tiff(*[page(one, byteorder=">") for one in array], byteorder=">"))
    with lazytiff.open(tmp_path / "a.tif", mmap=True) as img:
        assert_like(outcome(lambda: img.histogram(9)), outcome(lambda: np.histogram(array, 9)))
        assert_like(outcome(lambda: img.quantile(0.3)), outcome(lambda: np.quantile(array, 0.3)))
