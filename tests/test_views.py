"""Views: whatever is done with arrays of files is what NumPy does with the same pixels in memory."""

import contextlib
from unittest import mock

import helper
import numpy as np
import pytest
import tifffile
from test_hyperstack import view as hyperstack

import lazytiff
from lazytiff import _blocks

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


@contextlib.contextmanager
def small_blocks(nbytes):
    """Have arrays made block by block, of so many bytes."""
    options = _blocks.each.__kwdefaults__
    with mock.patch.object(_blocks, "BLOCK_BYTES", nbytes), mock.patch.dict(options, nbytes=nbytes):
        yield


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


def test_masked(arrays):
    """Masked arrays stay masked, on either side."""
    array = arrays["deflate"][0]
    masked = np.ma.masked_greater(STACK, 1000)
    for found, expected in ((array + masked, STACK + masked), (masked * array, masked * STACK)):
        assert isinstance(found, np.ma.MaskedArray)
        np.testing.assert_array_equal(found.mask, expected.mask)
        np.testing.assert_array_equal(found.filled(0), expected.filled(0))


def test_implicit_bytes(arrays):
    """What is converted without being asked by name is bounded, of views as of arrays; copy() is not."""
    array = arrays["deflate"][0]
    with mock.patch.object(lazytiff.limits, "implicit_bytes", 1000):
        for convert in (np.asarray, np.sort, np.linalg.norm, lambda view: np.concatenate([view, view])):
            with pytest.raises(lazytiff.LimitError, match="implicit_bytes"):
                convert(array + 1)
        assert (array + 1).copy().shape == SHAPE
        assert np.asarray(array.lazy[0] + 1).shape == SHAPE[1:]


# ---- What views tell


def test_axes(arrays):
    """New axes have letters that mean nothing, each once."""
    array = arrays["strips"][0]
    assert array.lazy[None].axes == "JIYX"
    assert array.lazy[:, 0, None].axes == "IJX"
    assert (array + np.ones((2, 1, 1, 1))).axes == "JIYX"
    assert (array.lazy[0] + array).axes == "IYX"
    assert len(set(array.lazy[None, None, :, None].axes)) == 6
