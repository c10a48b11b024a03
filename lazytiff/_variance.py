"""The fold of variances and standard deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._cuts import slabs
from lazytiff._folds import Folding, add, count, mask
from lazytiff._warn import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._cuts import Box
    from lazytiff._folds import Axes, Parts, Where

MOST_EXACT = 1 << 31  # values of 16 bits whose squares add up within 63 bits
_MOST_NARROW = 1 << 15  # values of 16 bits that add up within 31 bits


class Variance(Folding):
    """The mean square of the distance from the mean, or its root.

    Values of at most 16 bits are added up exactly, with their squares. Others are merged mean by mean: Chan, Golub and
    LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979), formula 1.5. Means are
    kept as one of the values and a distance from it, so that values far from zero lose nothing of what they vary by.
    """

    def __init__(self, source: np.dtype[Any], result: np.dtype[Any], total: int, ddof: float, *, root: bool) -> None:
        """total: how many elements go into each result, at the most."""
        self._result = result
        self._ddof, self._root = ddof, root
        self.casting: Any = "same_kind" if root else "unsafe"  # NumPy's root is a ufunc, and no reduction
        self._is_exact = source.kind in "bui" and source.itemsize <= np.dtype(np.int16).itemsize and total <= MOST_EXACT
        if self._is_exact:
            self._wide = np.dtype(np.int32 if source.kind == "i" else np.uint32)  # holds any square
            self._is_narrow = total < _MOST_NARROW
            self.width, self.result_width = source.itemsize, 12 if self._is_narrow else 16
        else:
            self._wide = np.result_type(np.float64, *(one for one in (source, result) if one.kind in "fc"))
            self.width, self.result_width = 2 * self._wide.itemsize, 16 + 2 * self._wide.itemsize

    def part(self, block: NDArray[Any], axes: Axes, where: Where, _: Box, /) -> Parts:
        """Return counts, and sums and sums of squares, or means and sums of the squares of distances from them."""
        number, chosen = count(block, axes, where), mask(where)
        if self._is_exact:
            return number, *self._sums(block, axes, where)
        base = self._base(block, axes, number, chosen)
        distances = np.subtract(block, base, dtype=self._wide)
        offset = np.add.reduce(distances, axes, keepdims=True, **chosen) / np.maximum(number, 1)
        distances -= offset
        return number, base, offset, np.add.reduce(_squares(distances), axes, keepdims=True, **chosen)

    def _sums(self, block: NDArray[Any], axes: Axes, where: Where) -> Parts:
        """Add up values and their squares, a slab at a time that stays in a cache of the processor."""
        shape = [1 if axis in axes else size for axis, size in enumerate(block.shape)]
        sums, squares = np.zeros(shape, self._wide if self._is_narrow else np.int64), np.zeros(shape, np.int64)
        mask_of_all = None if where is None else np.broadcast_to(where, block.shape)
        for along, slab in slabs(block):
            place = ... if along in axes else slab
            values, chosen = block[slab].astype(self._wide), mask(None if mask_of_all is None else mask_of_all[slab])
            sums[place] += np.add.reduce(values, axes, sums.dtype, keepdims=True, **chosen)
            values *= values
            squares[place] += np.add.reduce(values.astype(np.int64), axes, keepdims=True, **chosen)
        return sums, squares

    def _base(self, block: NDArray[Any], axes: Axes, number: NDArray[np.int64], chosen: dict[str, Any]) -> NDArray[Any]:
        """Return values near those of a block: the first ones, or with a mask, which may hide those, about the mean."""
        if chosen:
            base = np.add.reduce(block, axes, self._wide, keepdims=True, **chosen) / np.maximum(number, 1)
        else:
            first = tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(block.ndim))
            base = block[first].astype(self._wide)
        return np.where(np.isfinite(base), base, 0)

    def merge(self, into: Parts, part: Parts) -> None:
        """Take in another block."""
        if self._is_exact:
            add(into, part)
            return
        (number, base, offset, squares), (more, other_base, other_offset, other_squares) = into, part
        np.copyto(base, other_base, where=number == 0)
        share = more / np.maximum(number + more, 1)
        steps = np.where(more == 0, 0, other_base - base + other_offset - offset)
        squares += other_squares + _squares(steps) * (number * share)
        offset += steps * share
        number += more

    def finish(self, state: Parts, _: int, /) -> NDArray[Any]:
        """Divide by what is left of the count; NumPy warns where nothing is."""
        number, squares = state[0], state[-1]
        divisor = np.maximum(number - self._ddof, 0)
        if np.any(divisor <= 0):
            warn("Degrees of freedom <= 0 for slice", RuntimeWarning)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (_distances(*state) if self._is_exact else squares) / divisor
        return np.asarray(np.sqrt(found) if self._root else found).astype(self._result, copy=False)


def _squares(distances: NDArray[Any]) -> Any:
    if distances.dtype.kind == "c":
        return np.square(distances.real) + np.square(distances.imag)
    return np.square(distances)


def _distances(number: NDArray[np.int64], sums: NDArray[np.int64], squares: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sums of squared distances from the mean.

    First from the integer next to the mean, all in integers: sum((x - m)^2) = s2 - m (2 s1 - n m), whose parts may
    overflow while the whole does not. What that integer is off costs r^2 / n, r = s1 - n m, at most half of the sum.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = np.rint(np.nan_to_num(sums / number)).astype(np.int64)
    with np.errstate(over="ignore"):
        rest = sums - number * middle
        about = squares - middle * (sums + rest)
    return about - rest.astype(np.float64) ** 2 / np.maximum(number, 1)
