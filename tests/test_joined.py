"""`concatenate` and `stack`: arrays at hand as one array."""

import numpy as np
import pytest
import tifffile
from helper import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lazytiff

SHAPE = (4, 6, 5)


def pixels(seed, shape=SHAPE, dtype="u2"):
    """Return pixels of which no two pages are alike."""
    return np.random.default_rng(seed).integers(0, 1 << 15, shape).astype(dtype)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return three files' eager arrays and lazy ones: compressed strips, big-endian and mapped, one row a strip."""
    folder = tmp_path_factory.mktemp("joined")
    eager = [pixels(seed) for seed in range(3)]
    tifffile.imwrite(folder / "a.tif", eager[0], compression="zlib", rowsperstrip=4, photometric="minisblack")
    tifffile.imwrite(folder / "b.tif", eager[1], byteorder=">", photometric="minisblack")
    tifffile.imwrite(folder / "c.tif", eager[2], rowsperstrip=1, photometric="minisblack")
    lazy = [
        lazytiff.open(folder / "a.tif"),
        lazytiff.open(folder / "b.tif", mmap=True),
        lazytiff.open(folder / "c.tif"),
    ]
    yield eager, lazy
    for array in lazy:
        with array:
            pass


@pytest.mark.parametrize("axis", range(3))
def test_concatenate_whole(made, axis):
    """The whole is what NumPy makes of the eager arrays, along any axis."""
    eager, lazy = made
    joined = lazytiff.concatenate(lazy, axis)
    assert_same(joined.copy(), np.concatenate(eager, axis))
    assert joined.axes == "IYX"
    assert joined.sizes == dict(zip("IYX", joined.shape, strict=True))


@pytest.mark.parametrize("axis", range(-4, 4))
def test_stack_whole(made, axis):
    """The whole is what NumPy makes of the eager arrays, with a new axis anywhere, whose letter is free."""
    eager, lazy = made
    joined = lazytiff.stack(lazy, axis)
    assert_same(joined.copy(), np.stack(eager, axis))
    assert sorted(joined.axes) == sorted("JIYX")
    assert joined.axes[axis] == "J"


def test_letters(made):
    """Pages stacked get I, what has I already gets J, and so on: letters that mean nothing."""
    _, lazy = made
    assert lazytiff.stack(lazy[0].pages).axes == "IYX"
    assert lazytiff.stack([lazytiff.stack(lazy), lazytiff.stack(lazy)]).axes == "KJIYX"


def any_key(shape):
    """Return a strategy for keys of every kind that NumPy takes."""
    points = st.tuples(*[st.lists(st.integers(-size, size - 1), min_size=3, max_size=3) for size in shape[:2]])
    return st.one_of(
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape[:1]),
        points.map(lambda lists: tuple(map(np.array, lists))),
        st.lists(st.integers(-shape[0], shape[0] - 1), max_size=7).map(lambda numbers: np.array(numbers, int)),
    )


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_index(made, data):
    """Every index gives what it gives of the eager array, over joined arrays that are themselves joined."""
    eager, lazy = made
    axis = data.draw(st.integers(0, 2))
    whole = np.stack([np.concatenate(eager, axis), np.concatenate(eager[::-1], axis)])
    joined = lazytiff.stack([lazytiff.concatenate(lazy, axis), lazytiff.concatenate(lazy[::-1], axis)])
    key = data.draw(any_key(whole.shape))
    assert_same(np.asarray(joined[key]), np.asarray(whole[key]))


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_rows_of_pages(made, data):
    """Single pages, whose first axis are rows, join along any axis, and any index works."""
    eager, lazy = made
    axis = data.draw(st.integers(0, 1))
    whole = np.concatenate(list(eager[0]), axis)
    key = data.draw(any_key(whole.shape))
    assert_same(np.asarray(lazytiff.concatenate(lazy[0].pages, axis)[key]), np.asarray(whole[key]))


def test_reads_what_is_asked(tmp_path):
    """An index decodes chunks of those parts that it touches, and of no other."""
    for name in "ab":
        tifffile.imwrite(tmp_path / name, pixels(1), compression="zlib", photometric="minisblack")
    first, second = lazytiff.open(tmp_path / "a"), lazytiff.open(tmp_path / "b")
    with first, second:
        joined = lazytiff.concatenate([first, second])
        joined[5]
        assert (first.cache_info().decoded, second.cache_info().decoded) == (0, 1)


def test_growing_part(made, tmp_path):
    """A part that grows later on stays as long as it was."""
    eager, lazy = made
    with lazytiff.empty(tmp_path / "new.tif", "u2") as growing:
        growing.append(eager[0][0])
        one = lazytiff.concatenate([lazy[0], growing, lazy[1]])
        assert_same(one[3:6], np.concatenate([eager[0], eager[0][:1], eager[1]])[3:6])
        growing.append(eager[0][1])
        assert one.shape == (9, *SHAPE[1:])  # as it was joined


def test_iteration_and_numpy(made):
    """It iterates, and is converted by NumPy, as any array."""
    eager, lazy = made
    joined = lazytiff.concatenate(lazy)
    assert_same(np.asarray(joined), np.concatenate(eager))
    assert_same(np.stack(list(joined)), np.concatenate(eager))
    assert repr(joined) == "<3 arrays joined, uint16 (12, 6, 5) IYX>"
    with pytest.raises(ValueError, match="cannot be changed"):
        joined[0] = 1


def test_refusals(made, tmp_path):
    """What does not go together is refused, with the number of the array."""
    _, lazy = made
    tifffile.imwrite(tmp_path / "odd.tif", pixels(0, (4, 6, 6)), photometric="minisblack")
    with lazytiff.open(tmp_path / "odd.tif") as odd:
        with pytest.raises(lazytiff.FrameTypeError, match=r"array 1, <LazyTiff 'odd\.tif'"):
            lazytiff.concatenate([lazy[0], odd])
        with pytest.raises(lazytiff.FrameTypeError, match="array 1"):
            lazytiff.stack([lazy[0], odd])
        assert lazytiff.concatenate([lazy[0], odd], axis=2).shape == (4, 6, 11)
    for function in (lazytiff.concatenate, lazytiff.stack):
        with pytest.raises(ValueError, match="at least one"):
            function([])
        with pytest.raises(TypeError, match="ndarray"):
            function([lazy[0], np.zeros(SHAPE, "u2")])
        with pytest.raises(ValueError, match="axis 7 is out of bounds"):
            function(lazy, axis=7)


def test_closed_part(tmp_path):
    """A part that was closed raises ClosedError when it is touched."""
    tifffile.imwrite(tmp_path / "a.tif", pixels(0), photometric="minisblack")
    first, second = lazytiff.open(tmp_path / "a.tif"), lazytiff.open(tmp_path / "a.tif")
    joined = lazytiff.concatenate([first, second])
    second.close()
    assert_same(joined[0], pixels(0)[0])
    with pytest.raises(lazytiff.ClosedError):
        joined[4]
    first.close()
