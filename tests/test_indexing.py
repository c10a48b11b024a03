"""Every key means the same to `plan` as to NumPy, and only the chunks that it needs are read.

The reader is simulated: a block is cut out of an array in memory.
"""

from __future__ import annotations

import enum
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lazytiff import _bands, _gather, _indexing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Shape = tuple[int, ...]
    Key = Any  # whatever the caller writes between the brackets
    Result = Any  # an array or a scalar

pytestmark = pytest.mark.filterwarnings("ignore:Out of bound index found:DeprecationWarning")  # NumPy 2.0
fast = settings(max_examples=400, deadline=None, derandomize=True)


# ---- the simulated reader


def image(shape: Shape) -> NDArray[np.uint16]:
    """Make an array whose elements all differ."""
    return np.arange(np.prod(shape, dtype=int), dtype=np.uint16).reshape(shape)


def cut(array: NDArray[Any], request: _indexing.Request) -> NDArray[Any]:
    """Read one block."""
    return np.array(array[np.ix_(*map(list, request))], copy=True)


def blocks(array: NDArray[Any], plan: _indexing.Plan) -> Iterator[NDArray[Any]]:
    """Read all blocks, one at a time."""
    return (cut(array, request) for request in plan.requests)


def lazily(array: NDArray[Any], key: Key, chunks: Shape) -> Result:
    """Index as an array type does."""
    plan = _indexing.plan(key, array.shape, chunks)
    result = plan.finish(blocks(array, plan), array.dtype)
    assert result.shape == plan.shape
    return result


def outcome(function: Callable[[], Result]) -> tuple[Any, ...]:
    """Say everything that must be equal about a result or an error."""
    try:
        result = function()
    except Exception as error:  # noqa: BLE001 (any kind may be the right one)
        return type(error), str(error)
    return type(result), result.dtype, result.shape, result.tolist()


def chunk_numbers(shape: Shape, chunks: Shape) -> NDArray[np.intp]:
    """Give for each element the number of the chunk that has it."""
    numbers = np.zeros(shape, np.intp)
    for axis, chunk in enumerate(chunks):
        along = np.arange(shape[axis]) // chunk
        numbers = numbers * 8 + along.reshape(-1, *(1,) * (len(shape) - axis - 1))
    return numbers


def assert_reads_what_it_needs(key: Key, shape: Shape, chunks: Shape) -> None:
    """Check that the chunks of all requests are those of the result, each once, and come in order."""
    numbers = chunk_numbers(shape, chunks)
    requests = _indexing.plan(key, shape, chunks).requests
    touched = [number for request in requests for number in np.unique(cut(numbers, request))]
    assert sorted(touched) == np.unique(numbers[key]).tolist()
    corners = [tuple(corner(entry, chunk) for entry, chunk in zip(r, chunks, strict=True)) for r in requests]
    assert corners == sorted(corners)


def corner(entry: _gather.Entry, chunk: int) -> int:
    """Place one entry of a request among those of others: in the caller's direction if it is part of a range."""
    assert isinstance(entry, range) or (entry.dtype == np.intp and chunk == 1 and (np.diff(entry) > 0).all())
    return -(entry[0] // chunk) if isinstance(entry, range) and entry.step < 0 else entry[0] // chunk


# ---- keys


@st.composite
def arrays(draw: st.DrawFn, *, max_dims: int = 4) -> tuple[Shape, Shape]:
    """Draw the shapes of an array and of its chunks."""
    shape = draw(npst.array_shapes(min_dims=1, max_dims=max_dims, min_side=0, max_side=7))
    chunks = [draw(st.one_of(st.just(1), st.integers(1, 8))) for _ in shape]
    return shape, tuple(chunks)


def integers(size: int) -> st.SearchStrategy[int]:
    """Draw an index, rarely one that is out of bounds."""
    valid = st.integers(-size, size - 1) if size else st.just(0)
    return st.one_of(*[valid] * 15, st.integers(-size - 2, size + 1))


@st.composite
def index_arrays(draw: st.DrawFn, size: int, points: Shape) -> Key:
    """Draw integers whose shape broadcasts to that of the points, in any of the forms that NumPy takes."""
    shape = tuple(draw(st.sampled_from([side, side, 1])) for side in points[draw(st.integers(0, len(points))) :])
    array = draw(npst.arrays(np.intp, shape, elements=integers(size)))
    forms = [array, array.tolist(), array.astype(np.int8), np.asfortranarray(array)]
    return draw(st.sampled_from(forms))


@st.composite
def entries(draw: st.DrawFn, shape: Shape, points: Shape) -> list[Key]:
    """Draw an entry of each kind for the axes that are left, and then more entries for those that it leaves."""
    if not shape or draw(st.integers(0, 9)) == 0:
        return []
    size, width = shape[0], 1
    kind = draw(st.sampled_from(["slice", "slice", "int", "scalar", "array", "array", "array", "mask", "masks"]))
    entry: Key
    if kind == "slice":
        entry = draw(st.one_of(st.just(slice(None)), st.slices(size)))
    elif kind == "int":
        entry = draw(integers(size))
    elif kind == "scalar":
        entry = np.array(draw(integers(size)))[... if draw(st.booleans()) else ()]
    elif kind == "array":
        entry = draw(index_arrays(size, points))
    else:
        width = 1 if kind == "mask" else draw(st.integers(1, len(shape)))
        entry = draw(npst.arrays(np.bool_, shape[:width]))
    return [entry, *draw(entries(shape[width:], points))]


@st.composite
def mixtures(draw: st.DrawFn, shape: Shape) -> Key:
    """Draw a key that mixes everything; some do not broadcast."""
    points = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    key = draw(entries(shape, points))
    for extra in draw(st.lists(st.sampled_from([None, ..., True, False, np.True_]), max_size=2)):
        key.insert(draw(st.integers(0, len(key))), extra)
    return key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


@st.composite
def orthogonal(draw: st.DrawFn, shape: Shape) -> Key:
    """Draw an np.ix_, perhaps with other orders of the dimensions and with two axes that vary together."""
    lists = [draw(st.lists(st.integers(0, max(size - 1, 0)), max_size=5 if size else 0)) for size in shape]
    dims = draw(st.permutations(range(len(shape))))
    key: list[Key] = []
    for axis, values in enumerate(lists):
        place = dims[axis] if draw(st.integers(0, 4)) else dims[0]
        key.append(np.array(values, np.intp).reshape([-1 if d == place else 1 for d in range(len(shape))]))
    if draw(st.booleans()):
        key[draw(st.integers(0, len(key) - 1))] = draw(st.sampled_from([slice(None), slice(None, None, -2)]))
    return draw(st.sampled_from([tuple(key), np.ix_(*lists)]))


def keys(shape: Shape) -> st.SearchStrategy[Key]:
    """Draw any key."""
    choices: list[st.SearchStrategy[Key]] = [mixtures(shape), mixtures(shape), orthogonal(shape)]
    choices.append(npst.basic_indices(shape, allow_newaxis=True))
    choices.append(npst.arrays(np.bool_, shape))
    if 0 not in shape:
        choices.append(npst.integer_array_indices(shape, result_shape=npst.array_shapes(max_dims=3, max_side=5)))
    return st.one_of(choices)


def is_valid(key: Key, shape: Shape) -> bool:
    """Tell whether NumPy takes a key."""
    try:
        image(shape)[key]
    except (IndexError, ValueError):
        return False
    return True


@contextmanager
def sizes(elements: int) -> Iterator[None]:
    """Read and plan that many elements at a time."""
    with mock.patch.object(_gather, "BLOCK_ELEMENTS", elements), mock.patch.object(_bands, "BAND_ELEMENTS", elements):
        yield


# ---- tests


@fast
@given(st.data(), arrays(), st.sampled_from([1, 6, 1 << 20]))
def test_equals_numpy(data: st.DataObject, layout: tuple[Shape, Shape], block_elements: int) -> None:
    """Value, shape, dtype and type equal NumPy's, or the error does; blocks of any size give the same."""
    shape, chunks = layout
    key = data.draw(keys(shape))
    array = image(shape)
    with sizes(block_elements):
        assert outcome(lambda: lazily(array, key, chunks)) == outcome(lambda: array[key])


@fast
@given(st.data(), arrays(), st.sampled_from([1, 6, 1 << 20]))
def test_reads_only_the_needed_chunks(data: st.DataObject, layout: tuple[Shape, Shape], block_elements: int) -> None:
    """The requests touch exactly the chunks that have an element of the result, each once, in order."""
    shape, chunks = layout
    key = data.draw(keys(shape).filter(lambda key: is_valid(key, shape)))
    with sizes(block_elements):
        assert_reads_what_it_needs(key, shape, chunks)


@fast
@given(st.data(), arrays())
def test_fast_path_is_skipped_work(data: st.DataObject, layout: tuple[Shape, Shape]) -> None:
    """Plain integers and slices give the same plan whichever way they go."""
    shape, chunks = layout
    key = data.draw(npst.basic_indices(shape, allow_ellipsis=False))
    simple = _indexing._plan_simple(key, shape)
    general = _indexing._plan_any(key, shape, chunks)
    assert simple is not None
    assert (simple.shape, simple.requests, simple._scalar) == (general.shape, general.requests, general._scalar)


@fast
@given(st.data(), arrays())
def test_result_is_new_and_writable(data: st.DataObject, layout: tuple[Shape, Shape]) -> None:
    """A plan may be finished twice: the results are writable and share no memory with each other."""
    shape, chunks = layout
    key = data.draw(keys(shape).filter(lambda key: is_valid(key, shape)))
    array = image(shape)
    plan = _indexing.plan(key, shape, chunks)
    first, second = (plan.finish(blocks(array, plan), array.dtype) for _ in range(2))
    if isinstance(first, np.ndarray):
        assert first.flags.writeable
        first[...] = 0
    assert second.tolist() == array[key].tolist()


class Three(enum.IntEnum):
    """An integer that is not exactly int."""

    THREE = 3


class Index:
    """An object that is an index, or fails to be one."""

    def __init__(self, value: object) -> None:
        """Take the integer, or the error."""
        self.value = value

    def __index__(self) -> int:
        """Return the value, or raise it."""
        if isinstance(self.value, Exception):
            raise self.value
        return self.value  # type: ignore[return-value]


class Pair(tuple[int, int]):
    """A tuple that is not exactly a tuple."""

    __slots__ = ()


UNUSUAL: dict[str, Key] = {
    "nothing": (),
    "scalar": (1, 2, 3),
    "scalar of arrays": (np.array(1), np.array(2), np.array(3)),
    "no dimension": (1, 2, 3, ...),
    "no dimension, ellipsis first": (..., 1, 2, 3),
    "index object": Index(3),
    "enum": Three.THREE,
    "tuple subclass": Pair((1, 2)),
    "empty list": [],
    "empty lists": ([], []),
    "empty tuple within": ((),),
    "empty in two dimensions": [[]],
    "list of bools": [True, False, True, True, False],
    "bools": (True, True),
    "false": False,
    "false and a list": (False, [1]),
    "ellipsis of no axes separates": (slice(None), [0, 1], ..., [1, 0]),
    "none separates": (slice(None), [0, 1], None, [1, 0]),
    "integer joins": (slice(None), [0, 1], 2),
    "integer apart": (0, slice(None), [0, 1]),
    "bool joins": (slice(None), True, 1),
    "step beyond any C integer": slice(1, None, 10**30),
    "slice beyond any C integer": slice(-(10**30), 10**30),
    "unsigned": np.array([1, 3], np.uint64),
    "masked array": np.ma.masked_equal([[1, 2], [3, 0]], 2),
    "mask and its complement": (slice(None), np.arange(24).reshape(4, 6) % 5 == 0),
    "mask of one row": (0, np.arange(24).reshape(4, 6) // 6 == 1),
    "mask without elements, of another shape": np.zeros((0, 4), bool),
    "bad index broadcast away": (np.array([[100]]), np.empty((0, 1), int)),
    "repeated": ([3, 3, 0], slice(None), [5, 5, 5]),
    "outer, dimensions swapped": (np.array([0, 3, 4]), np.array([[3], [0]])),
    "outer, two axes together": (np.array([[0], [3]]), np.array([1, 2, 3]), np.array([[5], [0]])),
    "sixty-four dimensions": (None,) * 61,
}

BAD: dict[str, Key] = {
    "index": 5,
    "negative index": -6,
    "index of the last axis": (0, 0, 6),
    "huge index": 10**30,
    "too many": (0, 0, 0, 0),
    "too many, with a list": (0, 0, [0], 0),
    "too many, with a mask": (0, np.zeros((4, 6, 2), bool)),
    "float": 1.0,
    "numpy float": np.float64(1),
    "float list": [1.0],
    "float array": np.array([1.0]),
    "empty float array": np.array([]),
    "string": "x",
    "bytes": b"x",
    "list of strings": ["x"],
    "object": object(),
    "dict": {},
    "set": {1},
    "complex": 1j,
    "ragged": [[1], [1, 2]],
    "object array": np.array([1, 2], object),
    "slice of floats": slice(1.0, 2),
    "slice of strings": (0, slice("a", "b")),
    "step of zero": slice(0, 3, 0),
    "two ellipses": (..., ...),
    "index in list": [0, 5],
    "negative index in list": [[0], [-6]],
    "index in list of another axis": (slice(None), [0, 1], [0, 6]),
    "index beside list": ([0, 1], 4),
    "bad slice after bad index": ([9], slice(0, 1, 0)),
    "bad index and bad slice": ([9], slice(0, 1), slice(0, 1, 0)),
    "mask too short": np.ones(4, bool),
    "mask too long": np.zeros(6, bool),
    "mask of the wrong second axis": np.zeros((5, 5), bool),
    "mask on the wrong axis": (slice(None), np.ones(5, bool)),
    "no broadcasting": ([0, 1], [0, 1, 2]),
    "no broadcasting with a mask": (np.ones(5, bool), [0, 1]),
    "too many dimensions": (None,) * 62,
    "too many dimensions, with a list": (*(None,) * 62, [0]),
    "too many dimensions, by an array": np.zeros((1,) * 63, int),
    "index object that fails": Index(TypeError("no")),
    "index object that fails otherwise": Index(RuntimeError("no")),
    "index object that is no int": Index("a"),
    "slice of an index object that fails": slice(Index(RuntimeError("no"))),
}


@pytest.mark.parametrize("elements", [1, 1 << 20])
@pytest.mark.parametrize("chunks", [(1, 2, 3), (1, 1, 6), (2, 4, 4)], ids=str)
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_keys(name: str, chunks: Shape, elements: int) -> None:
    """What NumPy takes gives the same, from no more chunks than needed."""
    array, key = image((5, 4, 6)), UNUSUAL[name]
    expected = outcome(lambda: array[key])
    assert len(expected) == 4
    with sizes(elements):
        assert outcome(lambda: lazily(array, key, chunks)) == expected
        assert_reads_what_it_needs(key, array.shape, chunks)


@pytest.mark.parametrize("name", BAD)
def test_bad_keys(name: str) -> None:
    """What NumPy refuses is refused with the same error and the same text."""
    array, key = image((5, 4, 6)), BAD[name]
    expected = outcome(lambda: array[key])
    assert len(expected) == 2
    assert outcome(lambda: _indexing.plan(key, array.shape, (1, 2, 3))) == expected


def test_bad_index_when_nothing_is_selected() -> None:
    """NumPy made this an error after 2.0: it is what the NumPy in use says."""
    array, key = image((5, 4, 6)), ([9], slice(3, 3))
    assert outcome(lambda: lazily(array, key, (1, 2, 3))) == outcome(lambda: array[key])


@pytest.mark.parametrize("key", [(), ..., None, True, False, (True, None), 0, (np.array(0),), [], np.True_, slice(1)])
def test_array_without_dimensions(key: Key) -> None:
    """A view of one element may be indexed like any array of no dimension."""
    array = np.array(7, np.uint16)
    assert outcome(lambda: lazily(array, key, ())) == outcome(lambda: array[key])


STACK, STRIPS = (90_000, 2048, 2048), (1, 128, 2048)


def test_pages_are_listed_once() -> None:
    """Pages in ascending order are one request whose block is the result; others are read once and mapped back."""
    [request] = _indexing.plan([2, 3, 7], STACK, STRIPS).requests
    assert [*request[0]] == [2, 3, 7]
    assert request[1:] == (range(2048), range(2048))
    [request] = _indexing.plan(([7, 2, 7, -90_000], slice(9)), STACK, STRIPS).requests
    assert [*request[0]] == [0, 2, 7]


def test_regular_arrays_read_like_slices() -> None:
    """An index array that a slice could have been costs no more than the slice."""
    key: Key = (np.arange(5, 50)[:, None], np.arange(2047, -1, -1), 3)
    [request] = _indexing.plan(key, STACK, STRIPS).requests
    assert request == (range(5, 50), range(2047, -1, -1), range(3, 4))


def test_steps_fit_c_integers() -> None:
    """The step of a single index is 1, whatever the caller wrote; any other step is less than the axis is long."""
    [request] = _indexing.plan((slice(9, None, 10**30), slice(None, None, -(10**30))), STACK, STRIPS).requests
    assert [entry.step for entry in request if isinstance(entry, range)] == [1, 1, 1]


def test_points_need_small_boxes() -> None:
    """A request holds what its points span within a chunk, not the chunk."""
    plan = _indexing.plan(([8, 8, 3], [300, 310, 5], [7, 9, 2000]), STACK, STRIPS)
    assert plan.requests == [
        (range(3, 4), range(5, 6), range(2000, 2001)),
        (range(8, 9), range(300, 311), range(7, 10)),
    ]


def test_blocks_stay_small_when_points_are_scattered() -> None:
    """A few points of every page are not read as one block of all pages."""
    plan = _indexing.plan((slice(None), [0, 127, 300], [0, 2047, 9]), STACK, STRIPS)
    sizes = [np.prod([len(entry) for entry in request]) for request in plan.requests]
    assert max(sizes) <= _gather.BLOCK_ELEMENTS
    assert sum(len(request[0]) for request in plan.requests) == 2 * STACK[0]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(list(range(90_001)), id="page that is not there"),
        pytest.param((slice(None), [[0], [2048]]), id="row that is not there"),
    ],
)
def test_errors_take_no_memory(key: Key) -> None:
    """An index that is out of bounds is found without the memory of the result, were it terabytes."""
    assert peak(lambda: outcome(lambda: _indexing.plan(key, STACK, STRIPS))) < 16 << 20
    with pytest.raises(IndexError, match="out of bounds"):
        _indexing.plan(key, STACK, STRIPS)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(np.ix_(np.arange(90_000) ** 2 % 90_000, *[np.array([0, 5, 6] * 99)] * 2), id="outer"),
        pytest.param((slice(None), [[1, 5, 9]]), id="rows of all pages"),
        pytest.param(np.arange(90_000)[::-1] // 2, id="pages"),
    ],
)
def test_plans_list_only_what_the_key_lists(key: Key) -> None:
    """No array of the result's size is made: it would have 10 ** 9 elements or more."""
    assert peak(lambda: _indexing.plan(key, STACK, STRIPS)) < 32 << 20


def test_masks_are_planned_in_bands() -> None:
    """A mask of a whole stack takes much less than its index arrays: 8 bytes an axis for each point."""
    mask = np.ones((64, 512, 512), bool)
    assert peak(lambda: _indexing.plan(mask, mask.shape, (1, 64, 512))) < 4 * mask.size


def peak(function: Callable[[], Result]) -> int:
    """Measure the most memory that was in use during a call."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_index_arrays_are_not_kept() -> None:
    """A plan does not change with the caller's array."""
    array, pages = image((5, 4, 6)), np.array([0, 2, 3])
    plan = _indexing.plan(pages, array.shape, (1, 2, 3))
    pages[:] = 4
    assert np.array_equal(plan.finish(blocks(array, plan), array.dtype), array[[0, 2, 3]])


@pytest.mark.parametrize("key", [0, [0, 2, 3], ([0, 2, 3], [0, 2, 3]), image((5, 4, 6)).astype(bool)])
@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("elements", [12, 1 << 20])
def test_missing_blocks_are_an_error(key: Key, change: int, elements: int) -> None:
    """Too few blocks would leave uninitialised memory in the result."""
    array = image((5, 4, 6))
    with sizes(elements):
        plan = _indexing.plan(key, array.shape, (1, 2, 3))
    given = [*blocks(array, plan), np.zeros((1, 1, 1), np.uint16)][: len(plan.requests) + change]
    with pytest.raises(ValueError, match=r"shorter|longer|unpack|more blocks"):
        plan.finish(given, array.dtype)
