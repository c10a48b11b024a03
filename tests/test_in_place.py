"""`+=`, `out=` and assignment: what is written is what NumPy writes, however results and operands overlap."""

import operator
from unittest import mock

import helper
import numpy as np
import pytest
import tifffile
from test_hyperstack import view as hyperstack
from test_views import SHAPE, STACK, small_blocks, write

import lazytiff
from lazytiff import _assignment


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Return arrays of every kind with the same pixels."""
    made = write(tmp_path_factory.mktemp("in_place"))
    yield {
        **{kind: made[kind] for kind in ("strips", "deflate", "mapped r", "growing", "many")},
        "concatenated": lazytiff.concatenate([made["strips"], made["many"]]),
        "hyperstack": made["mapped r"].hyperstack,
        "permuted": hyperstack(made["mapped r"], "TZ", (3, 2), np.arange(6)[::-1]),
    }
    for array in made.values():
        with array:
            pass


def test_out(arrays):
    """With out=, the result is computed block by block into arrays that are there, which are returned."""
    array = arrays["deflate"]
    out = np.empty(SHAPE, "f4")
    with small_blocks(500):
        assert np.sqrt(array, out=out) is out
        helper.assert_same(out, np.sqrt(STACK))
        out += array
        helper.assert_same(out, np.sqrt(STACK) + STACK)
        quotient, rest = np.empty(SHAPE, "u2"), np.empty(SHAPE, "i8")
        np.divmod(array, 7, out=(quotient, rest))
        helper.assert_same(quotient, STACK // 7)
        helper.assert_same(rest, (STACK % 7).astype("i8"))
        found = np.divmod(array, 9, out=(None, rest))
        assert found[1] is rest
        helper.assert_same(np.asarray(found[0]), STACK // 9)
        helper.assert_same(rest, (STACK % 9).astype("i8"))
        where = STACK > 9
        expected = np.add(STACK, 1, out=np.zeros(SHAPE, "u2"), where=where)
        helper.assert_same(np.add(array, 1, out=np.zeros(SHAPE, "u2"), where=array > 9), expected)
    with pytest.raises(TypeError, match="needs out="):
        np.add(array, 1, where=where)
    with pytest.raises(ValueError, match="non-broadcastable"):
        np.add(array, 1, out=np.empty(SHAPE[1:], "u2"))
    with pytest.raises(TypeError):
        np.add(array, 0.5, out=np.empty(SHAPE, "u2"))


def test_out_is_an_operand(arrays):
    """Results that lie where operands are do not change them before they are read."""
    array = arrays["deflate"]
    with small_blocks(500):
        for write in (
            lambda pixels, memory: np.add(pixels, memory[::-1], out=memory),
            lambda pixels, memory: np.add(pixels, memory, out=memory[::-1]),
            lambda pixels, memory: np.add(pixels, memory[0], out=memory),
            lambda pixels, memory: np.add((pixels + memory[::-1]), 1, out=memory),
            lambda pixels, memory: np.divmod(pixels, memory + 1, out=(memory, memory[::-1].copy())),
            lambda pixels, memory: np.add((pixels + memory), memory[:, ::-1], out=memory),
        ):
            memory, expected = STACK[::-1].copy(), STACK[::-1].copy()
            write(STACK, expected)
            write(array, memory)
            helper.assert_same(memory, expected)


# ---- Changing what is mapped


@pytest.fixture(params=["r+", "c"])
def mapped(tmp_path, request):
    """Return an array that can be changed, and a copy of its pixels."""
    tifffile.imwrite(tmp_path / "changed.tif", STACK, photometric="minisblack")
    array = lazytiff.open(tmp_path / "changed.tif", mmap=True, mode=request.param)
    with array, small_blocks(500), mock.patch.object(_assignment, "_BLOCK_BYTES", 500):
        yield array, STACK.copy()


def iadd(array, other):
    """Do as `array += other`."""
    array += other
    return array


CHANGES = {
    "number": lambda img, _: iadd(img, 3),
    "itself": lambda img, _: operator.imul(img, img),
    "another dtype": lambda img, _: operator.iand(img, np.uint8(7)),
    "mirrored view": lambda img, lazy: iadd(img, lazy(img)[::-1]),
    "mirrored": lambda img, _: iadd(img, img[::-1]),
    "shifted view": lambda img, lazy: img.__setitem__(slice(1, None), lazy(img)[:-1]),
    "shifted back": lambda img, lazy: img.__setitem__(slice(None, -1), lazy(img)[1:]),
    "mirrored assignment": lambda img, lazy: img.__setitem__(..., lazy(img)[:, ::-1]),
    "view": lambda img, lazy: operator.imul(img, lazy(img)[::-1] + 1),
    "assigned view": lambda img, lazy: img.__setitem__(..., lazy(img)[::-1] + lazy(img)[:1]),
    "memory view": lambda img, _: iadd(img, img[...] + img[::-1]),
    "memory in view": lambda img, lazy: iadd(img, lazy(img)[:1] * 0 + np.asarray(img)[::-1]),
    "assigned memory in view": lambda img, lazy: img.__setitem__(..., lazy(img)[:1] * 0 + np.asarray(img)[::-1]),
    "out": lambda img, lazy: np.add(lazy(img)[::-1], 1, out=img),
    "out of memory": lambda img, _: np.add(np.asarray(img)[::-1], 1, out=img),
    "into memory": lambda img, lazy: np.add(lazy(img)[::-1], 1, out=np.asarray(img)),
    "into mirrored memory": lambda img, _: np.add(img, 1, out=np.asarray(img)[::-1]),
    "two results": lambda img, _: np.divmod(img, 7, out=(img, np.empty(SHAPE, "u2"))),
    "second result": lambda img, _: np.divmod(img, 7, out=(np.empty(SHAPE, "u2"), img)),
    "where it is large": lambda img, _: operator.imul(img, img > 1000),
    "some": lambda img, lazy: img.__setitem__([0, 2, 4], lazy(img)[::2] + lazy(img)[1:2]),
    "operator of slices": lambda img, lazy: img.__setitem__(1, img[1] + lazy(img)[0]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes(mapped, name):
    """What is assigned is what the right side was before: as NumPy has it, however both overlap."""
    array, expected = mapped
    CHANGES[name](array, lambda img: img.lazy)
    CHANGES[name](expected, lambda img: img)
    helper.assert_same(array.copy(), expected)
    if array.mode == "r+":
        array.flush()
        helper.assert_same(tifffile.imread(array.path), expected)


def test_change_of_large(mapped):
    """Views that keep every element at its place are computed block by block into their array; others take memory."""
    array, expected = mapped
    with mock.patch.object(lazytiff.limits, "implicit_bytes", 1000):
        array *= (array > 1000) & (array.map(np.square) > array.lazy[...])
        expected *= (expected > 1000) & (np.square(expected) > expected)
        with pytest.raises(lazytiff.LimitError):
            array += array.lazy[::-1]
        helper.assert_same(array.copy(), expected)


JOINS = {
    "hyperstack": lambda img: hyperstack(img, "I", (6,), np.arange(6)[::-1]),
    "joined": lambda img: lazytiff.concatenate([img.lazy[3:], img.lazy[:3]]),
    "stacked": lambda img: lazytiff.stack([img.pages[n] for n in range(6)][::-1]),
    "opened again": lambda img: lazytiff.open(img.path).lazy[::-1],
}


@pytest.mark.parametrize("name", JOINS)
def test_changes_by_itself(mapped, name):
    """The same of arrays that are made of the array in other ways."""
    array, _ = mapped
    other = JOINS[name](array)
    expected = array.copy()
    right = other.copy()
    array += other
    helper.assert_same(array.copy(), expected + right)
    right = other.copy()
    array[...] = other
    helper.assert_same(array.copy(), right)


def test_copies_are_copies(mapped):
    """copy() and np.array of a view of what is mapped are new arrays: who changes them changes no file."""
    array, expected = mapped
    for view in (array.lazy[::-1], array.lazy[1:, None], hyperstack(array, "TZ", (2, 3))):
        for copy in (view.copy(), np.array(view), np.asarray(view, copy=True), np.asarray(view, np.uint32)):
            copy[...] = 0
    helper.assert_same(array.copy(), expected)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(array + 1, copy=False)


@pytest.mark.parametrize("kind", ["strips", "mapped r", "growing", "many", "concatenated", "hyperstack", "permuted"])
def test_in_place_elsewhere(arrays, kind):
    """Arrays that cannot be changed say so, and their pixels stay."""
    before = arrays[kind].copy()
    for array in (arrays[kind], arrays[kind] + 1, arrays[kind].lazy[1:]):
        with pytest.raises(ValueError, match=r"changed in place|opened for reading"):
            array += 1  # noqa: PLW2901
        with pytest.raises(ValueError, match=r"changed in place|opened for reading"):
            np.add(STACK, 1, out=array)
    helper.assert_same(arrays[kind].copy(), before)


def test_in_place_refused_as_by_numpy(mapped):
    """What NumPy refuses in place is refused with the same errors, and nothing is changed."""
    array, expected = mapped
    for other, kind in ((0.5, TypeError), (1 << 16, OverflowError), (np.ones(5, "u2"), ValueError), ([1.5], TypeError)):
        with pytest.raises(kind):
            array += other
        with pytest.raises(kind):
            expected += other
    with pytest.raises(TypeError):
        array /= 2
    with pytest.raises(ValueError, match="broadcast"):
        np.add(array, np.ones((2, 1, 1, 1), "u2"), out=array)
    helper.assert_same(array.copy(), expected)


def test_out_without_files(mapped):
    """Arrays in memory are computed into what is mapped, too; also by functions that are no views."""
    array, expected = mapped
    assert np.add(STACK[::-1], 1, out=array) is array
    helper.assert_same(array.copy(), np.add(STACK[::-1], 1))
    np.add.accumulate(STACK, axis=1, out=array)
    helper.assert_same(array.copy(), np.add.accumulate(STACK, axis=1, out=expected))


def test_matmul_in_place(mapped):
    """`@=` changes the array, as `+=` does."""
    array, expected = mapped
    turn = np.eye(18, dtype="u2")[::-1]
    before = array
    array @= turn
    assert array is before
    helper.assert_same(array.copy(), expected @ turn)
