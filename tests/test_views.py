"""Views: whatever is done with arrays of files is what NumPy does with the same pixels in memory."""

import contextlib
import io
import operator
import pickle
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import helper
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_hyperstack import view as hyperstack

import lazytiff
from lazytiff import _blocks, _evaluate

SHAPE = (6, 20, 18)
STACK = np.random.default_rng(7).integers(0, 1 << 16, SHAPE).astype("u2")
STACK[:, ::3] %= 7  # small values too, and zeros
COLOURS = np.random.default_rng(8).integers(0, 256, (3, 20, 18, 3)).astype("u1")
MOST = 50_000  # elements of what a chain of views comes to


def write(folder):
    """Write the pixels in all the ways that arrays are opened in, and return the arrays and their pixels."""
    gray = {"photometric": "minisblack"}
    tifffile.imwrite(folder / "strips.tif", STACK, rowsperstrip=7, **gray)
    tifffile.imwrite(folder / "lines.tif", STACK, rowsperstrip=1, compression="zlib", **gray)
    tifffile.imwrite(folder / "tiles.tif", STACK, tile=(16, 16), **gray)
    tifffile.imwrite(folder / "deflate.tif", STACK, tile=(16, 16), compression="zlib", **gray)
    tifffile.imwrite(folder / "whole.tif", STACK, **gray)
    tifffile.imwrite(folder / "swapped.tif", STACK, byteorder=">", **gray)
    tifffile.imwrite(folder / "colours.tif", COLOURS, photometric="rgb", compression="zlib")
    for number in range(3):
        tifffile.imwrite(folder / f"part{number}.tif", STACK[2 * number : 2 * number + 2], **gray)
    growing = lazytiff.empty(folder / "growing.tif", "u2")
    growing.extend(STACK)
    made = {name: lazytiff.open(folder / f"{name}.tif") for name in ("strips", "lines", "tiles", "deflate", "colours")}
    made |= {f"mapped {mode}": lazytiff.open(folder / "whole.tif", mmap=True, mode=mode) for mode in ("r", "r+", "c")}
    made |= {f"{name} mapped": lazytiff.open(folder / f"{name}.tif", mmap=True) for name in ("tiles", "swapped")}
    made |= {"growing": growing, "many": lazytiff.open([folder / f"part{number}.tif" for number in range(3)])}
    return made


class Arrays(dict):
    """Arrays by name; Hypothesis shows no more of them."""

    def __repr__(self):
        return "arrays"


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Return arrays of every kind with their pixels."""
    made = write(tmp_path_factory.mktemp("views"))
    found = {name: (array, COLOURS if name == "colours" else STACK) for name, array in made.items()}
    planes = np.arange(6).reshape(2, 3).T
    for name in ("deflate", "mapped r", "swapped mapped", "tiles mapped", "growing"):
        found[f"hyperstack of {name}"] = hyperstack(made[name], "TZ", (3, 2), planes), STACK[planes]
    found["page"] = made["lines"].pages[1], STACK[1]
    three = [made["strips"], made["swapped mapped"], made["many"]]
    found["concatenated"] = lazytiff.concatenate(three, 1), np.concatenate([STACK] * 3, 1)
    found["stacked"] = lazytiff.stack(three, -1), np.stack([STACK] * 3, -1)
    yield Arrays(found)
    for array in made.values():
        with array:
            pass


KINDS = ["strips", "lines", "tiles", "deflate", "colours", "mapped r", "mapped r+", "mapped c", "tiles mapped"]
KINDS += ["swapped mapped", "growing", "many", "page", "concatenated", "stacked"]
KINDS += [f"hyperstack of {name}" for name in ("deflate", "mapped r", "swapped mapped", "tiles mapped", "growing")]

# ---- Chains of views, drawn by lot

UNARY = [np.sqrt, np.negative, np.abs, np.sign, np.square, np.isfinite, np.logical_not, np.floor, operator.invert]
BINARY = [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.truediv]
BINARY += [operator.gt, operator.le, operator.eq, operator.ne, operator.and_, operator.or_, operator.xor]
BINARY += [np.maximum, np.fmin, np.hypot, np.bitwise_or, np.logical_and, np.floor_divide]
SCALARS = st.sampled_from([0, 1, 3, -2, 300, 70000, 2.5, True, np.uint8(3), np.int64(-5), np.float32(0.5), np.True_])


class Step(NamedTuple):
    """What is done with views and with NumPy; `what` shows when an example fails."""

    what: tuple
    lazy: Callable
    eager: Callable


def sliced(key):
    """Index by what gives a view."""
    return Step(("slice", key), lambda array: array.lazy[key], lambda array: array[key])


def unary(function):
    """Call a function of one array."""
    return Step((function,), function, function)


def binary(function, other, is_swapped):
    """Call a function with something else: a number or an array in memory, on either side."""

    def call(array):
        return function(other, array) if is_swapped else function(array, other)

    return Step((function, other, is_swapped), call, call)


def with_itself(function, key):
    """Call a function with the array and, perhaps, its mirror image."""
    return Step(
        (function, key),
        lambda array: function(array, array if key is None else array.lazy[key]),
        lambda array: function(array, array if key is None else array[key]),
    )


def cast(dtype):
    """Have another dtype."""
    return Step(("astype", dtype), lambda array: array.astype(dtype), lambda array: array.astype(dtype))


def mapped_by(function):
    """Map a function of blocks."""
    return Step((function,), lambda array: array.map(function), lambda array: function(array.copy()))


def changed(block):
    """Change a block in its place."""
    np.floor_divide(block, 2, out=block, casting="unsafe")
    return block


def transposed(block):
    """Return an array in another order of memory."""
    return block.T.copy().T > 5


def added(block, other):
    """Return a sum."""
    return block + other.astype("u2")


def mapped_with(other, is_swapped):
    """Map a function of two arrays, one of them in memory."""

    def both(array):
        return (other, array) if is_swapped else (array, other)

    def eager(array):
        return added(*np.broadcast_arrays(*both(array)))

    return Step((added, other, is_swapped), lambda array: lazytiff.map(added, *both(array)), eager)


def joined(axis, is_new):
    """Join the array and its mirror image."""
    name = "stack" if is_new else "concatenate"
    return Step(
        (name, axis),
        lambda array: getattr(lazytiff, name)([array, array.lazy[::-1]], axis=axis),
        lambda array: getattr(np, name)([array, array[::-1]], axis=axis),
    )


def any_step(shape, kind):
    """Return a strategy for one step more, for arrays of that shape and kind of dtype."""
    functions = st.sampled_from(BINARY)
    axes = st.integers(-len(shape), max(len(shape) - 1, 0))
    dtypes = ["u1", "i8", "f4", "f8", "?", "u2"] if kind in "biu" else ["f4", "f8", "?"]  # what casts the same anywhere
    slices = hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True, max_dims=5).map(sliced)
    steps = [
        slices,
        slices,
        st.sampled_from(UNARY).map(unary),
        st.builds(binary, functions, SCALARS, st.booleans()),
        st.builds(binary, functions, operands(shape), st.booleans()),
        st.builds(with_itself, functions, st.sampled_from([None, *mirrors(shape)])),
        st.sampled_from(dtypes).map(cast),
        st.sampled_from([np.square, changed, transposed]).map(mapped_by),
        st.builds(mapped_with, operands(shape), st.booleans()),
        st.builds(joined, axes, st.booleans()),
    ]
    return st.one_of(steps)


def operands(shape):
    """Return a strategy for arrays that broadcast with that shape; some make it larger."""
    shapes = hnp.broadcastable_shapes(shape, min_dims=0, max_dims=min(len(shape) + 1, 5), max_side=3)
    dtypes = st.sampled_from(["u1", "i2", "f4", "f8", "?", ">u2"])
    return st.builds(small_numbers, shapes, dtypes, st.integers(0, 9))


def small_numbers(shape, dtype, seed):
    """Return an array of small numbers."""
    return np.random.default_rng(seed).integers(0, 9, shape).astype(dtype)


def mirrors(shape):
    """Return keys that keep a shape."""
    return [(slice(None),) * axis + (slice(None, None, -1),) for axis in range(len(shape))]


def from_blocks(array):
    """Return a copy of an array, put together of its blocks where it has them."""
    if isinstance(array, np.ndarray):
        return array.copy()
    whole = np.zeros(array.shape, array.dtype)
    for place, block in array.iter_blocks(300):
        whole[place] += block
    return whole


def any_key(shape):
    """Return a strategy for keys of every kind that NumPy takes, some out of bounds."""
    lists = [
        st.lists(st.integers(-size, size - 1), min_size=3, max_size=3).map(np.array) for size in shape if size
    ] or [st.just(...)]
    keys = [
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape[:1]),
        st.tuples(*lists),
        st.tuples(lists[0], st.just(slice(None, None, -1))),
        lists[0],
        st.integers(-8, 8),
    ]
    return st.one_of(keys)


REDUCTIONS = ["max", "min", "any", "all", "sum", "mean", "ptp", "prod", "std", "argmax", "argmin", "count_nonzero"]
WHOLE = [np.asarray, list, np.median, np.histogram, np.sort, np.transpose, lambda array: array.copy(), from_blocks]


def any_end(shape):
    """Return a strategy for what the chain is computed by: a function of the array."""
    axes = st.sampled_from([None, (), *range(-len(shape), len(shape)), tuple(range(len(shape)))[::2], -len(shape) - 1])
    reductions = st.builds(reduced, st.sampled_from(REDUCTIONS), axes, st.booleans())
    keys = any_key(shape).map(lambda key: lambda array: array[key])
    return st.one_of(keys, keys, reductions, st.sampled_from(WHOLE))


def reduced(name, axis, keepdims):
    """Return what reduces an array by NumPy's function."""
    return lambda array: getattr(np, name)(array, axis=axis, keepdims=keepdims)


def outcome(function):
    """Return what the function returns, or the type of the error that it raises."""
    try:
        with np.errstate(all="ignore"):
            return function()
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001  # any kind may be the right one
        return type(error)


def assert_equal(found, expected, what):
    """Check an outcome: value, shape and dtype, or the type of the error."""
    if isinstance(expected, type) or isinstance(found, type):
        assert found is expected, (what, found, expected)
        return
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected), what
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other, what)
        return
    assert np.shape(found) == np.shape(expected), what
    assert np.isscalar(found) == np.isscalar(expected), what
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("="), what
    if found.dtype.kind == "f":  # sums are accumulated in float64
        precision = {2: 1e-2, 4: 1e-4, 8: 1e-9}[found.itemsize]
        np.testing.assert_allclose(found, expected, rtol=precision, atol=precision, err_msg=str(what))
    else:
        np.testing.assert_array_equal(found, expected, err_msg=str(what))


def check_chain(arrays, data):
    """Draw a chain, and do it with views and with NumPy."""
    kind = data.draw(st.sampled_from(KINDS))
    lazy, eager = arrays[kind]
    steps = []
    for _ in range(data.draw(st.integers(1, 5))):
        step = data.draw(any_step(eager.shape, eager.dtype.kind))
        after = outcome(lambda step=step, eager=eager: np.asarray(step.eager(eager)))
        if isinstance(after, np.ndarray) and after.size > MOST:
            continue
        steps.append(step)
        eager = after
        if isinstance(after, type):
            break
    end = np.asarray if isinstance(eager, type) else data.draw(any_end(eager.shape))
    expected = eager if isinstance(eager, type) else outcome(lambda: end(eager))
    travels = "growing" not in kind and kind != "mapped c" and data.draw(st.booleans())
    with small_blocks(data.draw(st.sampled_from([16, 300, 5000, 4 << 20]))):
        found = outcome(lambda: end((pickled if travels else same)(chained(lazy, steps, eager))))
    assert_equal(found, expected, (kind, [step.what for step in steps]))


def same(array):
    """Return the array."""
    return array


def pickled(array):
    """Return the array as it arrives in another process."""
    return pickle.loads(pickle.dumps(array))  # noqa: S301  # our own


def chained(array, steps, expected):
    """Return the view after all steps, which tells what it is."""
    for step in steps:
        array = step.lazy(array)
    if isinstance(expected, np.ndarray):
        assert (array.shape, array.dtype.newbyteorder("=")) == (expected.shape, expected.dtype.newbyteorder("="))
        assert len(set(array.axes)) == array.ndim
        assert len(array.chunk_shape) == array.ndim
        assert repr(array)
    return array


@contextlib.contextmanager
def small_blocks(nbytes):
    """Have arrays made block by block, of so many bytes."""
    with mock.patch.object(_blocks, "BLOCK_BYTES", nbytes):
        yield


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_chain(arrays, data):
    """Chains of views that are indexed or reduced are what NumPy makes of the pixels, or raise what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_chain(arrays, data)


@pytest.mark.slow
@settings(deadline=None, max_examples=800)
@given(data=st.data())
def test_any_chain_long(arrays, data):
    """The same, of more chains."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_chain(arrays, data)


# ---- Axes that are gone, and elements that there are none of


@pytest.mark.parametrize("kind", ["mapped r", "mapped c"])
def test_no_axes_of_what_is_mapped(arrays, kind):
    """One element of what is mapped is a view without axes, too."""
    one = arrays[kind][0].lazy[2, 3, 4]
    for found in (one.copy(), np.asarray(one), one[...]):
        helper.assert_same(found, np.asarray(STACK[2, 3, 4]))
    helper.assert_same(one[()], STACK[2, 3, 4])
    assert np.shares_memory(np.asarray(one), np.asarray(arrays[kind][0]))


@pytest.mark.parametrize("kind", ["strips", "mapped r"])
def test_no_axes(arrays, kind):
    """One element is an array without axes: it computes, reduces, and has no length, as NumPy's."""
    one = arrays[kind][0].lazy[2, 3, 4] + 1
    expected = np.asarray(STACK[2, 3, 4] + 1)
    assert (one.shape, one.axes, one.ndim) == ((), "", 0)
    for name in ("max", "min", "sum", "mean", "std", "argmax", "ptp"):
        assert_equal(getattr(np, name)(one), getattr(np, name)(expected), name)
    helper.assert_same(one.copy(), expected)
    helper.assert_same(one[()], expected[()])
    with pytest.raises(TypeError):
        len(one)
    with pytest.raises(TypeError):
        iter(one)


def test_reductions_of_nothing(arrays):
    """Of an array without elements, reductions have NumPy's results, and its errors."""
    lazy, eager = arrays["strips"][0].lazy[:, :0], STACK[:, :0]
    for name in REDUCTIONS[:-3]:
        for axis in (0, 2, (0, 2), ()):
            assert_equal(reduced(name, axis, keepdims=False)(lazy), reduced(name, axis, keepdims=False)(eager), name)
    for axis in (None, 1, (0, 1)):
        with pytest.raises(ValueError, match="identity"):
            np.max(lazy, axis=axis)


def test_median_of_booleans(arrays):
    """The median of truth values is NumPy's: a half, where both are in the middle."""
    array = arrays["strips"][0]
    for bound in (0, 5, 1 << 15, np.sort(STACK, None)[STACK.size // 2 - 1]):
        helper.assert_same(np.median(array > bound), np.median(np.greater(STACK, bound)))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_selected(arrays, kind):
    """A slice without elements has none, wherever it begins: before the first, in either direction."""
    lazy, eager = arrays[kind]
    for key in (slice(-100, -200, -1), slice(3, 1), slice(100, None), slice(0, 0, -1)):
        found = lazy.lazy[key]
        helper.assert_same(np.asarray(found[...]).astype(eager.dtype), eager[key])
        helper.assert_same((found + 1)[...], eager[key] + np.uint8(1))
    new = lazy.lazy[None].lazy[:0]
    assert new.shape == new[...].shape == (0, *eager.shape)


# ---- What is made, and what is not


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_change(arrays, kind):
    """What changes nothing returns the array itself."""
    array = arrays[kind][0]
    assert array.lazy[...] is array
    assert array.lazy[:] is array
    assert array.lazy[()] is array
    assert array.astype(array.dtype) is array
    assert array.astype(array.dtype, casting="no") is array
    view = array + 1
    assert view.lazy[:] is view


def test_slices_of_slices(arrays):
    """A slice of a slice is one slice of the array, however many there are."""
    array = arrays["strips"][0]
    view = array
    for _ in range(3000):
        view = view.lazy[::-1]
    assert view._depth == 1
    helper.assert_same(view.copy(), STACK)


def test_lazy_takes_no_arrays(arrays):
    """Views are of basic indices; arrays read, and so are refused."""
    array = arrays["strips"][0]
    for key in ([0, 1], np.array([0]), True, np.ones(6, bool), (0, [1])):
        with pytest.raises(TypeError, match="takes integers, slices"):
            array.lazy[key]
    for key in (6, (0, 20), (0, 0, 0, 0), (..., ...)):
        with pytest.raises(IndexError):
            array.lazy[key]


def repeated(array, count):
    """Return a view with so many operators."""
    for _ in range(count):
        array = array + 1
    return array


def test_deep(arrays):
    """1,000 operators compute, are indexed, shown and told about in a short time; one more is refused with a reason."""
    start = time.perf_counter()
    view = repeated(arrays["deflate"][0], 1000)
    helper.assert_same(view.copy(), STACK + np.uint16(1000))
    helper.assert_same(view[1, 2, ::5], STACK[1, 2, ::5] + np.uint16(1000))
    assert view._paths == arrays["deflate"][0]._paths
    assert "995 more" in repr(view)
    assert (view.resolution, view.channels) == ({}, ())
    mapped = repeated(arrays["mapped r"][0], 1000)
    helper.assert_same(pickled(mapped)[0], STACK[0] + np.uint16(1000))
    assert time.perf_counter() - start < 10
    with pytest.raises(lazytiff.LimitError, match=r"img\.sum\(axis=0\)"):
        view + 1
    with pytest.raises(lazytiff.LimitError, match=r"img\.max\(axis=0\)"):
        np.maximum(view, 1)


def test_deep_joins(arrays):
    """Arrays that are joined within each other are read without end of Python's stack; too many are refused."""
    array = arrays["deflate"][0]
    for _ in range(45):
        array = lazytiff.concatenate([array.lazy[:3] + 1, array.lazy[3:]])
    helper.assert_same(array[::3], STACK[::3] + np.array([45, 0], "u2").reshape(2, 1, 1))
    with pytest.raises(lazytiff.LimitError, match="at once"):
        lazytiff.stack([lazytiff.concatenate([array])])


def test_diamonds(arrays):
    """What is needed twice is made once: 300 squares take as long as 300 products."""
    start = time.perf_counter()
    array = arrays["lines"][0]
    view, expected = array, STACK.copy()
    for _ in range(300):
        view, expected = view * view, expected * expected
    helper.assert_same(view[1:3, ::2], expected[1:3, ::2])
    helper.assert_same(np.max(view, axis=0), expected.max(axis=0))
    assert view._paths == array._paths
    assert time.perf_counter() - start < 10


# ---- map


def test_map_asks_for_dtype(arrays):
    """Without dtype the function is tried on one element; what fails, or has another shape, needs dtype."""
    array = arrays["strips"][0]

    def failing(_):
        raise RuntimeError("nothing to see")

    for func in (failing, np.sum, lambda _: 5, lambda block: block[..., None]):
        with pytest.raises(TypeError, match="dtype="):
            array.map(func)
    tall = array.map(lambda block: block - block.mean() if block.ndim > 5 else block / 2.0, dtype="f8")
    helper.assert_same(tall[2], STACK[2] / 2.0)
    with pytest.raises(RuntimeError, match="nothing to see"):
        array.map(failing, dtype="u2")[0]
    with pytest.raises(TypeError, match="at least one array"):
        lazytiff.map(np.add, STACK, 1)
    with pytest.raises(ValueError, match="broadcast"):
        lazytiff.map(np.add, array, np.ones(5))


@pytest.mark.parametrize("dtype", [None, "u2"])
def test_map_is_checked(arrays, dtype):
    """What returns another shape than its block's, or another dtype than the view's, raises; a safe one is cast."""
    array = arrays["strips"][0]
    with pytest.raises(ValueError, match="block of the same shape"):
        array.map(lambda block: block[:1], dtype)[2:5]
    with pytest.raises(TypeError, match="dtype="):
        array.map(lambda block: block if block.size == 1 else block * 1.5, dtype)[0]
    small = array.map(lambda block: block if block.size == 1 else block.astype("u1"), dtype)
    helper.assert_same(small[0], STACK[0].astype("u1").astype("u2"))


def spoiled(block, *others):
    """Change a block, and return another one."""
    result = block + sum(others)
    block[...] = 0
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_map_in_place(arrays, kind):
    """A function may change its block: neither files nor other views nor arrays in memory see it."""
    lazy, eager = arrays[kind]
    before = eager.copy()
    memory = eager.copy()
    helper.assert_same(np.asarray(lazytiff.map(spoiled, lazy, lazy)[...]).astype(eager.dtype), eager + eager)
    both = lazytiff.map(spoiled, lazy, memory) + lazy * 2
    helper.assert_same(both[...].astype(eager.dtype), eager * 4)
    double = lazy + lazy
    twice = lazytiff.map(spoiled, double, double) + double
    helper.assert_same(twice[...], eager * 6)
    sliced = lazy.lazy[::-1]
    helper.assert_same(np.asarray(lazytiff.map(spoiled, sliced, sliced)[...]).astype(eager.dtype), eager[::-1] * 2)
    helper.assert_same(memory, eager)
    helper.assert_same(eager, before)
    helper.assert_same(np.asarray(lazy[...]).astype(eager.dtype), eager)


def test_map_over_broadcast(arrays):
    """Blocks that are broadcast come in the common shape, and are not to be changed; numbers are handed on."""
    array = arrays["strips"][0]
    seen = []

    def func(block, row, number):
        seen.append((block.shape == row.shape, row.flags.writeable, number))
        return block + row + number

    row = np.arange(18, dtype="u2")
    helper.assert_same(lazytiff.map(func, array, row, 3)[1:3], STACK[1:3] + row + np.uint16(3))
    assert {(one[0], one[2]) for one in seen} == {(True, 3)}
    assert not seen[-1][1]


# ---- Blocks


def test_many_blocks(arrays):
    """Results are the same however they are cut into blocks."""
    array = arrays["deflate"][0]
    view = np.sqrt(array) + array.lazy[::-1] * np.linspace(0, 1, 18)
    expected = np.sqrt(STACK) + STACK[::-1] * np.linspace(0, 1, 18)
    calls = []
    for nbytes in (1, 900, 6000):
        with small_blocks(nbytes):
            helper.assert_same(view[:, 3:-1, ::-2], expected[:, 3:-1, ::-2])
            helper.assert_same(view[[4, 1, 1]], expected[[4, 1, 1]])
            helper.assert_same(view.map(lambda block: calls.append(block.nbytes) or block, dtype="f8").copy(), expected)
        assert max(calls) <= max(nbytes, 16 * 16 * 8)  # a tile is never cut
        calls.clear()


def test_blocks_of_what_is_broadcast(arrays):
    """An array of NumPy's along axes that those of files do not have is cut anywhere."""
    array, weights = arrays["strips"][0], np.arange(500.0)[:, np.newaxis, np.newaxis]
    view = array.lazy[0] * weights
    assert view.chunk_shape == (1, 7, 18)
    sizes = []
    with small_blocks(5000):
        found = view.map(lambda block: sizes.append(block.nbytes) or block, dtype="f8").max(axis=0)
    helper.assert_same(found, STACK[0] * 499.0)
    assert max(sizes) <= 5000


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_gray_in_any_block(tmp_path, dtype):
    """A pixel has the same gray value in whatever block it is computed, to the last bit."""
    colours = COLOURS if dtype == "u1" else np.random.default_rng(9).random(COLOURS.shape)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    red, green, blue = np.moveaxis(colours.astype("f8"), -1, 0)
    luma = red * 0.299 + green * 0.587 + blue * 0.114
    expected = np.rint(luma).astype("u1") if dtype == "u1" else luma
    with lazytiff.open(tmp_path / "a.tif") as img:
        gray = img.gray()
        helper.assert_same(gray.copy(), expected)
        helper.assert_same(np.array([[gray[0, y, x] for x in range(18)] for y in range(20)]), expected[0])
        helper.assert_same(np.stack([gray[:, ::-1, x] for x in range(18)], -1), expected[:, ::-1])
        assert gray._widest == 3 * colours.itemsize  # of what is read for each


def test_many_pages_in_one_block(arrays, monkeypatch):
    """Of many pages that go into one, no more are in memory than it takes."""
    array = arrays["deflate"][0]
    monkeypatch.setattr(_evaluate, "_TOGETHER_BYTES", 3 * 2 * STACK[0].size)
    asked, read = [], type(array)._read
    monkeypatch.setattr(type(array), "_read", lambda self, wanted: asked.append(len(wanted)) or read(self, wanted))
    few, many = array.lazy[0] + array.lazy[1] + array.lazy[4], array.lazy[0].astype("f8")
    for page in (1, 2, 3, 4, 5, 0):
        many = many + array.lazy[page] * 2.0
    helper.assert_same(few.copy(), STACK[0] + STACK[1] + STACK[4])
    helper.assert_same(many.copy(), STACK.sum(axis=0) * 2.0 + STACK[0])
    assert asked == [3] + [1] * 6


# ---- NumPy's functions


def test_scalars_out_of_range(tmp_path):
    """A Python integer that a dtype does not hold is no operand, as with NumPy; compared it may be."""
    tifffile.imwrite(tmp_path / "u1.tif", STACK.astype("u1"), photometric="minisblack")
    with lazytiff.open(tmp_path / "u1.tif") as img:
        with pytest.raises(OverflowError):
            img + 300
        with pytest.raises(OverflowError):
            np.maximum(-1, img)
        assert (img < 300).all()
        assert (img + np.int64(300)).dtype == np.int64


def test_divmod(arrays):
    """Functions with two results give two views."""
    array = arrays["deflate"][0]
    for both in (np.divmod(array, 7), divmod(array, 7)):
        assert all(isinstance(one, lazytiff.TiffView) for one in both)
        for found, expected in zip(both, np.divmod(STACK, 7), strict=True):
            helper.assert_same(found[1:3], expected[1:3])


def test_methods_of_ufuncs(arrays):
    """`reduce` streams, what else there is equals NumPy's, `at` is refused."""
    array = arrays["deflate"][0]
    helper.assert_same(np.add.reduce(array), np.add.reduce(STACK))
    helper.assert_same(
        np.maximum.reduce(array, axis=(0, 2), keepdims=True), np.maximum.reduce(STACK, (0, 2), keepdims=True)
    )
    helper.assert_same(np.add.accumulate(array, axis=1), np.add.accumulate(STACK, axis=1))
    helper.assert_same(np.subtract.outer(array.lazy[0, 0], [1, 2]), np.subtract.outer(STACK[0, 0], [1, 2]))
    helper.assert_same(np.add.reduceat(array, [0, 2]), np.add.reduceat(STACK, [0, 2]))
    with pytest.raises(TypeError, match="copy of the pixels"):
        np.add.at(array, 0, 1)
    with mock.patch.object(lazytiff.limits, "implicit_bytes", 5):
        helper.assert_same(np.add.reduce(array), np.add.reduce(STACK))
        with pytest.raises(lazytiff.LimitError):
            np.add.accumulate(array)


def test_matmul(arrays):
    """Products of matrices equal NumPy's, and take the whole array, as np.asarray may."""
    array = arrays["deflate"][0]
    turn = np.arange(36).reshape(18, 2)
    helper.assert_same(array @ turn, STACK @ turn)
    helper.assert_same(np.swapaxes(turn, 0, 1) @ array.lazy[0].lazy[:18, :18], turn.T @ STACK[0, :18, :18])
    with mock.patch.object(lazytiff.limits, "implicit_bytes", 5), pytest.raises(lazytiff.LimitError):
        array @ turn


def test_functions_that_change(arrays):
    """NumPy's functions that change their argument are refused, as are those that write to it."""
    array = arrays["mapped r+"][0]
    for change in (
        lambda: np.copyto(array, 1),
        lambda: np.put(array, 0, 1),
        lambda: np.place(array, STACK > 5, 0),
        lambda: np.putmask(array, STACK > 5, 0),
        lambda: np.fill_diagonal(array, 0),
        lambda: np.mean(STACK, out=array),
        lambda: np.clip(STACK, 0, 1, array),
    ):
        with pytest.raises(TypeError):
            change()
    helper.assert_same(array.copy(), STACK)


def test_functions_that_change_others(arrays):
    """NumPy's functions that change an array of NumPy's take arrays of files for all else."""
    array = arrays["strips"][0]
    target, expected = np.zeros_like(STACK), np.where(STACK > 5, STACK, 0)
    np.copyto(target, array, where=array > 5)
    helper.assert_same(target, expected)
    np.copyto(src=array, dst=target)
    helper.assert_same(target, STACK)
    np.putmask(target, array <= 5, 0)
    helper.assert_same(target, expected)
    with pytest.raises(TypeError):
        np.put(a=array, ind=0, v=1)


def test_masked(arrays):
    """Masked arrays stay masked, on either side."""
    array = arrays["deflate"][0]
    masked = np.ma.masked_greater(STACK, 1000)
    for found, expected in ((array + masked, STACK + masked), (masked * array, masked * STACK)):
        assert isinstance(found, np.ma.MaskedArray)
        np.testing.assert_array_equal(found.mask, expected.mask)
        np.testing.assert_array_equal(found.filled(0), expected.filled(0))


def test_functions_about_arrays(tmp_path):
    """Functions that ask for shape and dtype decode nothing, and neither do views that are made."""
    tifffile.imwrite(tmp_path / "z.tif", STACK, compression="zlib", photometric="minisblack")
    with lazytiff.open(tmp_path / "z.tif") as img:
        for array in (img, np.sqrt(img), img.lazy[::2]):
            assert np.shape(array) == array.shape
            assert (np.ndim(array), np.size(array), np.size(array, 1)) == (3, array.size, 20)
            assert np.result_type(array, 1) == array.dtype
            assert np.can_cast(array.dtype, "f8")
            assert not np.iscomplexobj(array)
            assert np.isrealobj(array)
            for made in (np.zeros_like(array), np.full_like(array, 0), np.ones_like(array) - np.ones_like(array)):
                helper.assert_same(made, np.zeros(array.shape, array.dtype))
                assert made.flags.c_contiguous
                assert made.flags.writeable
            assert np.empty_like(array, dtype="u1").shape == array.shape
        ((img + 1) * img.lazy[::-1]).map(np.sqrt).astype("f4")
        assert img.cache_info().decoded == 0
        img[0]
        assert img.cache_info().decoded == 1


def test_save(arrays, tmp_path):
    """np.save writes what it writes of pixels in memory, block by block, whatever implicit_bytes says."""
    for kind in KINDS:
        lazy, eager = arrays[kind]
        for array, expected in ((lazy, eager), (lazy.lazy[::-1, 1:], eager[::-1, 1:]), (np.sqrt(lazy), np.sqrt(eager))):
            with mock.patch.object(lazytiff.limits, "implicit_bytes", 5), small_blocks(700):
                np.save(tmp_path / "whole", array)
                np.save(str(tmp_path / "named.npy"), array)
                stream = io.BytesIO()
                np.save(stream, array)
                np.save(stream, lazy.lazy[0])
            helper.assert_same(np.load(tmp_path / "whole.npy").astype(expected.dtype), np.ascontiguousarray(expected))
            helper.assert_same(np.load(tmp_path / "named.npy").astype(expected.dtype), np.ascontiguousarray(expected))
            stream.seek(0)
            helper.assert_same(np.load(stream).astype(expected.dtype), np.ascontiguousarray(expected))
            helper.assert_same(np.load(stream).astype(eager.dtype), eager[0])
    np.save(tmp_path / "none.npy", arrays["strips"][0].lazy[:0])
    assert np.load(tmp_path / "none.npy").shape == (0, 20, 18)
    np.save(tmp_path / "one.npy", arrays["strips"][0].lazy[1, 2, 3])
    assert np.load(tmp_path / "one.npy") == STACK[1, 2, 3]


def test_implicit_bytes(arrays):
    """What is converted without being asked by name is bounded, of views as of arrays; copy() is not."""
    array = arrays["deflate"][0]
    with mock.patch.object(lazytiff.limits, "implicit_bytes", 1000):
        for convert in (np.asarray, np.sort, np.linalg.norm, lambda view: np.concatenate([view, view])):
            with pytest.raises(lazytiff.LimitError, match="implicit_bytes"):
                convert(array + 1)
        assert (array + 1).copy().shape == SHAPE
        assert np.asarray(array.lazy[0] + 1).shape == SHAPE[1:]


# ---- Threads


@pytest.mark.parametrize("joined", [False, True])
def test_errstate(tmp_path, joined):
    """Workers see the caller's error state: what is ignored is ignored everywhere, what raises raises."""
    zeros = np.zeros((16, 300, 300), "f4")
    tifffile.imwrite(tmp_path / "zeros.tif", zeros, photometric="minisblack")
    with lazytiff.open(tmp_path / "zeros.tif") as img, mock.patch.dict("os.environ", LAZYTIFF_NUM_THREADS="2"):
        view = img / 0
        if joined:
            view = lazytiff.concatenate([img.lazy[n : n + 2] / 0 for n in range(0, 16, 2)])
        with small_blocks(300 * 300 * 8):
            with np.errstate(all="ignore"):
                assert np.isnan(view[...]).all()
                assert np.isnan(view.max())
            with np.errstate(all="raise"), pytest.raises(FloatingPointError):
                view.copy()


# ---- What views tell


def test_resolution(tmp_path):
    """Steps between neighbours grow with those of slices, and go with their axes; names go with their channels."""
    stack = STACK.reshape(2, 3, 20, 18)
    names = ["red", "green", "blue"]
    lazytiff.save(
        tmp_path / "named.ome.tif",
        stack,
        ome=True,
        metadata={"axes": "TCYX", "channels": names, "pixel_size": (0.25, 0.5), "unit": "um"},
    )
    with lazytiff.open(tmp_path / "named.ome.tif") as img:
        hyper = img.hyperstack
        assert (hyper.axes, hyper.channels) == ("TCYX", ("red", "green", "blue"))
        view = np.sqrt(hyper.lazy[:, :, ::2, ::-3] + 1)
        assert view.axes == "TCYX"
        assert (view.resolution["Y"].value, view.resolution["X"].value) == (0.5, 1.5)
        assert view.channels == ("red", "green", "blue")
        flipped = (hyper + 1).lazy[:, ::-1, :, 5]
        assert (flipped.axes, flipped.channels) == ("TCY", ("blue", "green", "red"))
        assert "X" not in flipped.resolution
        assert flipped.sizes == {"T": 2, "C": 3, "Y": 20}
        assert hyper.lazy[:, 1].channels == ()
        assert hyper.channel(1).axes == "TYX"
        helper.assert_same(hyper.channel(-1)[1], stack[1, -1])
        with pytest.raises(IndexError):
            hyper.channel(3)


def test_axes(arrays):
    """New axes have letters that mean nothing, each once."""
    array = arrays["strips"][0]
    assert array.lazy[None].axes == "JIYX"
    assert array.lazy[:, 0, None].axes == "IJX"
    assert (array + np.ones((2, 1, 1, 1))).axes == "JIYX"
    assert (array.lazy[0] + array).axes == "IYX"
    assert len(set(array.lazy[None, None, :, None].axes)) == 6


# ---- Lifetime


@pytest.mark.parametrize("mapped", [False, True])
def test_closed(tmp_path, mapped):
    """A view of an array that was closed raises ClosedError when it computes, and still tells of itself."""
    tifffile.imwrite(tmp_path / "closed.tif", STACK, photometric="minisblack")
    img = lazytiff.open(tmp_path / "closed.tif", mmap=mapped)
    views = [img + 1, img.lazy[::2], img.map(np.sqrt), lazytiff.concatenate([img * 2, img * 3])]
    img.close()
    for view in views:
        assert repr(view)
        assert view.shape[1:] == SHAPE[1:]
        for use in (lambda view: view[0], lambda view: view.max(), np.asarray, lambda view: view[[0, 1]]):
            with pytest.raises(lazytiff.ClosedError):
                use(view)


@pytest.mark.parametrize("count", [1, 2])
def test_growing(tmp_path, count):
    """A view of a stack that grows keeps its shape and its pixels; a new one has the new pages."""
    with lazytiff.empty(tmp_path / "new.tif", "u2") as out:
        out.extend(STACK[:count])
        other = STACK[: 3 if count == 1 else 2]
        views = [out + other, lazytiff.map(np.add, other, out), out.lazy[::-1, ::2], out * 2, out.lazy[:] + 1]
        views += [lazytiff.concatenate([out, out]), out.astype("f4")]
        expected = [view.copy() for view in views]
        helper.assert_same(expected[0], STACK[:count] + other)
        out.extend(STACK[count:])
        for view, before in zip(views, expected, strict=True):
            helper.assert_same(view.copy(), before)
            helper.assert_same(view.max(axis=0), before.max(axis=0))
        assert (out * 2).shape == SHAPE


ORDERS = [(), (None,), (2, 0, 1), ((0, 2, 1),), ([1, 0, 2],), (-1, -2, -3)]


@pytest.mark.parametrize("kind", ["strips", "tiles", "mapped r", "swapped mapped", "growing", "many"])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_transpose(arrays, kind, order):
    """Another order of axes is a view, whose indices, reductions and letters are those of NumPy's."""
    lazy, eager = arrays[kind]
    found, expected = lazy.transpose(*order), eager.transpose(*order)
    assert isinstance(found, lazytiff.TiffView)
    for key in [..., 1, (slice(None, None, -2), 2), ([2, 0, 2],), (0, [1, 1])]:
        np.testing.assert_array_equal(found[key], expected[key])
    np.testing.assert_array_equal(found.max(axis=0), expected.max(axis=0))
    np.testing.assert_array_equal((found + 1).sum(axis=(0, 2)), (expected + 1).sum(axis=(0, 2)))
    assert sorted(found.axes) == sorted(lazy.axes)
    assert found.sizes == {letter: lazy.sizes[letter] for letter in found.axes}
    np.testing.assert_array_equal(np.transpose(lazy, (1, 2, 0)), np.transpose(eager, (1, 2, 0)))
    np.testing.assert_array_equal(pickled(found.lazy[1:])[...] if kind != "growing" else expected[1:], expected[1:])


def test_transpose_of_what_it_is(arrays):
    """The order that there is gives the array itself; an order that is none raises what NumPy raises."""
    lazy, eager = arrays["strips"]
    assert lazy.transpose(0, 1, 2) is lazy
    assert lazy.T.shape == eager.T.shape
    for order in [(0, 1), (0, 1, 3), (0, 0, 1)]:
        assert outcome(lambda order=order: lazy.transpose(*order)) is outcome(
            lambda order=order: eager.transpose(order)
        )


def test_colours_keep_their_order(arrays):
    """Rows and columns of RGB may change places; when samples are not last, they are no colours any more."""
    lazy, _ = arrays["colours"]
    np.testing.assert_array_equal(lazy.transpose(0, 2, 1, 3).gray()[...], lazy.gray()[...].transpose(0, 2, 1))
    with pytest.raises(lazytiff.UnsupportedTiffError):
        lazy.transpose(3, 0, 1, 2).gray()


def test_one_element(arrays):
    """One element is a number for Python; more are not."""
    lazy, eager = arrays["strips"]
    one = lazy.lazy[1, 2, 3]
    assert float(one) == float(eager[1, 2, 3])
    assert int(one) == one.item() == int(eager[1, 2, 3])
    assert bool(lazy.lazy[:1, :1, :1] >= 0)
    for make in (float, int, lambda array: array.item()):
        with pytest.raises(ValueError, match="size 1"):
            make(lazy)


def test_contains(arrays):
    """Whether a value is among the elements is told as NumPy does."""
    lazy, eager = arrays["strips"]
    assert eager[3, 4, 5] in lazy
    assert (70000 in lazy) == (70000 in eager)
    assert -1 not in lazy
