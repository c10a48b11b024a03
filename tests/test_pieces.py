"""Any array as pages: which shapes, axes and dtypes go, how much is taken at a time, and nothing of it twice."""

from __future__ import annotations

import weakref

import helper
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazytiff
from lazytiff import _pieces
from lazytiff._pieces import pages_of

STACK = helper.pixels((5, 6, 7), "u2")


class Chunked:
    """An array that is computed when it is indexed: it notes which pages are asked for, and how many at a time."""

    def __init__(self, array, chunks=None, **attributes):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        if chunks is not None:
            self.chunks = (chunks, *((size,) if isinstance(chunks, tuple) else size for size in array.shape[1:]))
        self.asked = []
        vars(self).update(attributes)

    def __getitem__(self, key):
        part = self._array[key]
        self.asked.append((key.start, key.stop) if isinstance(key, slice) else key)
        return part


def pages(array, axes=None):
    """Return all pages as one list."""
    return list(pages_of(array, axes).pages)


@pytest.fixture
def together(monkeypatch):
    """Set how many bytes are taken at a time."""
    return lambda size: monkeypatch.setattr(_pieces, "_TOGETHER_BYTES", size)


# ---- shapes and axes


@pytest.mark.parametrize(
    ("shape", "axes", "letters", "count"),
    [
        ((6, 7), None, "YX", 1),
        ((1, 1), None, "YX", 1),
        ((5, 6, 7), None, "IYX", 5),
        ((1, 6, 7), None, "IYX", 1),
        ((6, 7, 3), None, "IYX", 6),
        ((6, 7, 3), "YXS", "YXS", 1),
        ((5, 6, 7, 3), None, "IYXS", 5),
        ((6, 7), "YX", "YX", 1),
        ((5, 6, 7), "IYX", "IYX", 5),
        ((5, 6, 7, 3), "IYXS", "IYXS", 5),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_axes(shape, axes, letters, count, lazy):
    """Two axes are one page, three are pages unless axes says samples, four have samples."""
    array = helper.pixels(shape, "u1")
    found = pages_of(Chunked(array) if lazy else array, axes)
    assert found[:3] == (shape, array.dtype, letters)
    listed = list(found.pages)
    assert len(listed) == count
    np.testing.assert_array_equal(np.stack(listed), array.reshape(count, *array.shape[letters[0] == "I" :]))
    assert all(type(page) is np.ndarray for page in listed)


@pytest.mark.parametrize(
    ("own", "shape", "letters"),
    [
        ("IYX", (5, 6, 7), "IYX"),
        ("YXS", (6, 7, 3), "YXS"),
        ("TYX", (5, 6, 7), "IYX"),
        ("ZYXS", (5, 6, 7, 3), "IYXS"),
        (["rows", "columns", "more"], (5, 6, 7), "IYX"),  # no letters: of another kind
        ("YX", (5, 6, 7), "IYX"),  # not of this array
        (None, (5, 6, 7), "IYX"),
    ],
)
def test_own_axes(own, shape, letters):
    """An array's own axes count, and any letter may stand for the pages; what is no such text is not looked at."""
    array = Chunked(np.ones(shape, "u1"), axes=own)
    assert pages_of(array).axes == letters


@pytest.mark.parametrize("own", ["IYS", "SYX", "XYZ", "iyx", "YXC"])
def test_own_axes_without_pages(own):
    """Axes that no pages can be made of are refused, unless the user says how to take them."""
    array = Chunked(STACK, axes=own)
    with pytest.raises(ValueError, match=f"axes '{own}'"):
        pages_of(array)
    assert len(pages(array, "IYX")) == 5


@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4, 5, 6), (0,)])
def test_other_dimensions(shape):
    """Fewer than two and more than four axes are refused with the shape and what goes."""
    with pytest.raises(ValueError, match=r"axes are \(row, column\), \(page, row, column\) or") as caught:
        pages_of(np.zeros(shape, "u1"))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 6), (6, 0), (0, 6, 7), (5, 0, 7), (5, 6, 0), (5, 6, 7, 0)])
def test_empty(shape):
    """An array without pixels is no file."""
    with pytest.raises(ValueError, match="at least one page"):
        pages_of(np.zeros(shape, "u1"))


@pytest.mark.parametrize("axes", ["", "I", "XY", "IYXS", "TYX", "iyx", "IYX ", "SYX"])
def test_wrong_axes(axes):
    """Axes that the user gives are those of a stack of three axes, in capital letters."""
    with pytest.raises(ValueError, match="axes"):
        pages_of(STACK, axes)


def test_shapes_that_tiff_has_not(monkeypatch):
    """A single sample is no axis; rows and samples have bounds; more pages than are read again are not written."""
    with pytest.raises(ValueError, match="single sample"):
        pages_of(np.zeros((2, 3, 4, 1)))
    with pytest.raises(ValueError, match=r"2\^32"):
        pages_of(np.broadcast_to(np.uint8(0), (1 << 32, 1)))
    with pytest.raises(ValueError, match="65,535"):
        pages_of(np.zeros((1, 1, 1 << 16), "u1"), "YXS")
    monkeypatch.setattr(lazytiff.limits, "max_pages", 4)
    with pytest.raises(lazytiff.LimitError, match="max_pages"):
        pages_of(STACK)


def test_unknown_shape():
    """An array that does not know its shape, as dask's may, is refused in words."""
    array = Chunked(STACK)
    array.shape = (float("nan"), 6, 7)
    with pytest.raises(ValueError, match="must be known"):
        pages_of(array)


# ---- dtypes


CODES = [
    "?",
    "u1",
    "u2",
    "u4",
    "u8",
    "i1",
    "i2",
    "i4",
    "i8",
    "f2",
    "f4",
    "f8",
    "c8",
    "c16",
    ">u2",
    "<u2",
    ">f8",
    ">c16",
]


@pytest.mark.parametrize("code", CODES)
def test_dtypes(code):
    """Every type of sample that TIFF has goes as it is, in either byte order."""
    array = helper.pixels((2, 3, 4), np.dtype(code).newbyteorder("=")).astype(code)
    found = pages_of(array)
    assert found.dtype == np.dtype(code)
    for page, expected in zip(found.pages, array, strict=True):
        assert page.dtype == np.dtype(code)
        assert page.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["U3", "S2", "M8[s]", "m8[s]", "O", "V3", [("x", "u1")], "longdouble", "clongdouble"])
def test_other_dtypes(dtype):
    """All other types are a TypeError that names them."""
    dtype = np.dtype(dtype)
    with pytest.raises(TypeError, match="no samples of dtype") as caught:
        pages_of(np.zeros((2, 3, 4), dtype))
    assert str(dtype) in str(caught.value)


# ---- numpy.ndarray, and what becomes one


def test_no_copies():
    """Pages of an ndarray are views of it, whatever its strides; so are those of a map."""
    for array in (STACK, STACK[::-1, 1:, ::2], STACK.transpose(2, 0, 1), np.asfortranarray(STACK)):
        for page, expected in zip(pages(array), array, strict=True):
            assert np.shares_memory(page, array)
            assert page.strides == expected.strides
    assert np.shares_memory(pages(STACK[0])[0], STACK)


def test_memmap(tmp_path):
    """A numpy.memmap is not read, and its pages are plain arrays."""
    array = np.memmap(tmp_path / "pixels", "u2", "w+", shape=STACK.shape)
    array[:] = STACK
    found = pages(array)
    assert all(type(page) is np.ndarray and np.shares_memory(page, array) for page in found)
    np.testing.assert_array_equal(found, STACK)


@pytest.mark.parametrize("make", [np.ndarray.tolist, list, tuple, memoryview, lambda array: [list(p) for p in array]])
def test_not_an_array(make):
    """Lists of numbers or arrays and buffers become an array."""
    np.testing.assert_array_equal(pages(make(STACK)), STACK)


def test_becomes_an_array_once():
    """What only converts itself is converted a single time."""
    calls = []

    class Convertible:
        def __array__(self, dtype=None, copy=None):
            calls.append((dtype, copy))
            return STACK

    np.testing.assert_array_equal(pages(Convertible()), STACK)
    assert len(calls) == 1


def test_matrix():
    """An array of a subclass gives plain arrays."""
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1, 2], [3, 4]])
    (page,) = pages(matrix)
    assert type(page) is np.ndarray
    assert page.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("thing", [5, "text", None, iter([STACK[0]]), {1: 2}])
def test_no_array_at_all(thing):
    """What has no shape is refused."""
    with pytest.raises(ValueError, match="axes are"):
        pages_of(thing)


def test_masked():
    """Masked values would come back as if they were pixels; an array without any is as good as another."""
    masked = np.ma.array(STACK, mask=np.zeros(STACK.shape, bool))
    found = pages(masked)
    np.testing.assert_array_equal(found, STACK)
    assert all(type(page) is np.ndarray and np.shares_memory(page, STACK) for page in found)
    masked[3, 2, 1] = np.ma.masked
    with pytest.raises(ValueError, match="masked values"):
        pages_of(masked)
    with pytest.raises(ValueError, match="masked values"):
        pages(Chunked(masked))
    with pytest.raises(ValueError, match="masked values"):
        pages(Chunked(masked[3]))


# ---- arrays that are computed or read


def test_nothing_is_read_early():
    """Only shape and dtype are looked at until a page is asked for."""
    array = Chunked(STACK)
    found = pages_of(array)
    assert array.asked == []
    next(found.pages)
    assert len(array.asked) == 1


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        (1, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),  # a page is the least
        (2 * 84, [(0, 2), (2, 4), (4, 5)]),
        (3 * 84 - 1, [(0, 2), (2, 4), (4, 5)]),
        (5 * 84, [(0, 5)]),
        (1 << 30, [(0, 5)]),
    ],
)
def test_several_pages_at_a_time(together, size, asked):
    """As many pages are taken at a time as fit, at least one."""
    together(size)
    array = Chunked(STACK)
    np.testing.assert_array_equal(pages(array), STACK)
    assert array.asked == asked


@pytest.mark.parametrize(
    ("chunks", "fit", "asked"),
    [
        ((2, 3, 1, 4), 1, [(0, 2), (2, 5), (5, 6), (6, 10)]),  # chunks that are larger than what is taken at a time
        ((2, 3, 1, 4), 3, [(0, 2), (2, 5), (5, 6), (6, 10)]),
        ((2, 3, 1, 4), 5, [(0, 5), (5, 10)]),
        ((2, 3, 1, 4), 6, [(0, 6), (6, 10)]),
        ((2, 3, 1, 4), 99, [(0, 10)]),
        ((10,), 1, [(0, 10)]),
        ((0, 4, 0, 6, 0), 5, [(0, 4), (4, 10)]),  # dask has chunks without pages
        (4, 1, [(0, 4), (4, 8), (8, 10)]),  # h5py and zarr have chunks of one length
        (4, 9, [(0, 8), (8, 10)]),
        (16, 1, [(0, 10)]),
        (0, 5, [(0, 5), (5, 10)]),  # what cannot be is not followed
        ((2, 3), 5, [(0, 5), (5, 10)]),
    ],
)
def test_whole_chunks(together, chunks, fit, asked):
    """Chunks are never taken in parts; several go together where they fit."""
    together(fit * 12)
    stack = helper.pixels((10, 3, 4), "u1")
    array = Chunked(stack, chunks)
    np.testing.assert_array_equal(pages(array), stack)
    assert array.asked == asked


@pytest.mark.parametrize("chunks", [None, ((6,), (7,)), "auto", 3])
def test_strange_chunks(chunks):
    """Chunks that are not those of this array are not looked at."""
    array = Chunked(STACK)
    array.chunks = chunks
    np.testing.assert_array_equal(pages(array), STACK)


def test_chunks_larger_than_memory(together, monkeypatch):
    """A chunk's pages that memory may not hold are taken in parts: computed again rather than not at all."""
    together(24)
    monkeypatch.setattr(lazytiff.limits, "implicit_bytes", 6 * 12)
    stack = helper.pixels((10, 3, 4), "u1")
    array = Chunked(stack, (2, 7, 1))
    np.testing.assert_array_equal(pages(array), stack)
    assert array.asked == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    array = Chunked(stack, (4, 6))
    np.testing.assert_array_equal(pages(array), stack)
    assert array.asked == [(0, 4), (4, 10)]
    together(36)
    monkeypatch.setattr(lazytiff.limits, "implicit_bytes", 1)
    array = Chunked(stack, (2, 2, 6))  # what is taken at a time anyway is never split
    np.testing.assert_array_equal(pages(array), stack)
    assert array.asked == [(0, 2), (2, 5), (5, 8), (8, 10)]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12).filter(any), st.integers(1, 20))
def test_each_chunk_once(chunks, fit):
    """Whatever the chunks, each is asked for exactly once, whole, in order, and never more than fit beside another."""
    stack = np.arange(sum(chunks) * 6, dtype="u2").reshape(-1, 2, 3)
    array = Chunked(stack, tuple(chunks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pieces, "_TOGETHER_BYTES", fit * 12)
        np.testing.assert_array_equal(pages(array), stack)
    edges = set(np.cumsum([0, *chunks]).tolist())
    assert array.asked[0][0] == 0
    assert array.asked[-1][1] == len(stack)
    assert all(before[1] == after[0] for before, after in zip(array.asked, array.asked[1:], strict=False))
    for begin, end in array.asked:
        assert {begin, end} <= edges
        assert end - begin <= fit or end - begin in chunks


def test_one_page():
    """A single page is asked for whole, with or without samples."""
    array = Chunked(STACK[0], (2, 4))
    np.testing.assert_array_equal(pages(array)[0], STACK[0])
    assert array.asked == [...]
    array = Chunked(STACK, (2, 3))
    np.testing.assert_array_equal(pages(array, "YXS")[0], STACK)
    assert array.asked == [...]


def test_parts_are_let_go(together):
    """A part of the array is freed before the next one is asked for, but for a page that the user still has."""
    together(2 * 84)
    alive = []

    class Counting(Chunked):
        def __getitem__(self, key):
            alive.append(sum(part() is not None for part in parts))
            part = self._array[key].copy().view(Counted)
            parts.append(weakref.ref(part))
            return part

    class Counted(np.ndarray):
        pass

    parts = []
    for page in pages_of(Counting(STACK)).pages:
        del page
    assert alive == [0, 0, 0]


@pytest.mark.parametrize(
    "lie", [{"shape": (5, 6, 8)}, {"shape": (6, 6, 7)}, {"dtype": np.dtype("u4")}, {"shape": (5, 6)}]
)
def test_lies(lie):
    """An array whose parts are not what its shape and dtype say is refused, not written."""
    with pytest.raises(ValueError, match="does not tell the truth"):
        pages(Chunked(STACK, **lie))


def test_byte_order_may_differ():
    """The byte order of a part is no matter: the writer looks at each page."""
    array = Chunked(STACK.astype(">u2"), dtype=np.dtype("<u2"))
    np.testing.assert_array_equal(pages(array), STACK)


def test_failure_of_the_array(together):
    """What goes wrong inside the array arrives as it is, after the pages before."""

    class Failing(Chunked):
        def __getitem__(self, key):
            if key.start >= 3:
                raise ZeroDivisionError
            return super().__getitem__(key)

    together(1)
    found = pages_of(Failing(STACK, (1, 2, 2))).pages
    for expected in STACK[:3]:
        np.testing.assert_array_equal(next(found), expected)
    with pytest.raises(ZeroDivisionError):
        next(found)


# ---- our own arrays, and dask's


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_own_arrays(tmp_path, mmap, byteorder):
    """A file's arrays and its pages can be saved again."""
    path = tmp_path / "stack.tif"
    path.write_bytes(helper.tiff(*(helper.page(page, byteorder=byteorder) for page in STACK), byteorder=byteorder))
    with lazytiff.open(path, mmap=mmap) as img:
        assert pages_of(img)[:3] == (STACK.shape, img.dtype, "IYX")
        np.testing.assert_array_equal(pages(img), STACK)
        np.testing.assert_array_equal(pages(img.pages[3]), STACK[3:4])
    with lazytiff.open(path, pages=2, mmap=mmap, squeeze=False) as img:
        np.testing.assert_array_equal(pages(img), STACK[2:3])


def test_own_axes_of_samples():
    """One page of several samples says so itself."""
    rgb = helper.pixels((6, 7, 3), "u1")
    with lazytiff.open(helper.tiff(helper.page(rgb))) as img:
        assert pages_of(img).axes == "YXS"
        np.testing.assert_array_equal(pages(img), rgb[None])


def test_own_arrays_are_read_in_blocks(monkeypatch):
    """Several pages of a file are read at a time, so that all workers have something to do."""
    reads = []
    with lazytiff.open(helper.tiff(*(helper.page(page, codec="deflate") for page in STACK))) as img:
        read = type(img)._read
        monkeypatch.setattr(type(img), "_read", lambda self, requests: reads.append(requests) or read(self, requests))
        np.testing.assert_array_equal(pages(img), STACK)
    assert [[len(request[0]) for request in requests] for requests in reads] == [[5]]


def test_dask():
    """A dask array computes each of its blocks once."""
    dask_array = pytest.importorskip("dask.array")
    computed = []

    def compute(block_info=None):
        where = block_info[None]["array-location"]
        computed.append(tuple(where))
        return STACK[tuple(slice(*ends) for ends in where)]

    array = dask_array.map_blocks(compute, chunks=((2, 1, 2), (4, 2), (7,)), dtype=STACK.dtype, meta=STACK[:0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pieces, "_TOGETHER_BYTES", 84)
        np.testing.assert_array_equal(pages(array), STACK)
    assert len(computed) == len(set(computed)) == 6
    masked = dask_array.ma.masked_equal(dask_array.from_array(STACK), STACK[4, 0, 0])
    with pytest.raises(ValueError, match="masked values"):
        pages(masked)
    with pytest.raises(ValueError, match="must be known"):
        pages_of(array[array[:, 0, 0] > 5])
