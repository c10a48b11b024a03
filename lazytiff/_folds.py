"""What reductions do with one block, and with what they made of the blocks before: NumPy alone, no files.

A fold makes arrays of a block in which reduced axes have length 1 (`part`), merges them into those of the blocks before
at the same place (`merge`), and makes the result of what came of all blocks (`finish`). Blocks come in C order.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._warn import warn

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from lazytiff._cuts import Box

    Parts = tuple[NDArray[Any], ...]
    Axes = tuple[int, ...]
    Where = NDArray[np.bool_] | None


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what sums of a result of that dtype are accumulated in: float64 and complex128, or itself if wider."""
    if dtype.kind in "fc":
        return np.result_type(dtype, np.float64)
    return dtype


def mask(where: Where) -> dict[str, Any]:
    """Return the arguments that a mask is for NumPy's functions."""
    return {} if where is None else {"where": where}


def reduced(shape: tuple[int, ...], axes: Axes) -> int:
    """Return how many elements go into each of the results."""
    return math.prod(shape[axis] for axis in axes)


def add(into: Parts, part: Parts) -> None:
    """Add to sums what another block came to."""
    for mine, other in zip(into, part, strict=True):
        np.add(mine, other, out=mine)


def count(block: NDArray[Any], axes: Axes, where: Where) -> NDArray[np.int64]:
    """Return how many elements of a block go into each of the results."""
    if where is None:
        return np.full((1,) * block.ndim, reduced(block.shape, axes), np.int64)
    return np.count_nonzero(np.broadcast_to(where, block.shape), axes, keepdims=True).astype(np.int64)


def mean_dtype(source: np.dtype[Any], asked: DTypeLike | None, out: NDArray[Any] | None) -> np.dtype[Any]:
    """Return what a mean has as its dtype: what is asked for, else NumPy's, or wider where `out` is."""
    if asked is not None:
        return np.dtype(asked)
    own = np.dtype(np.float64) if source.kind in "bui" else source.newbyteorder("=")
    return np.result_type(own, out.dtype) if out is not None and out.dtype.kind in "fc" else own


class Folding(ABC):
    """What one reduction does."""

    casting: Any = "unsafe"  # of the result into `out`, as NumPy's reductions do it
    width = 0  # bytes that are needed for each element, beside the block itself
    result_width: int  # bytes of what a block makes for one result

    @abstractmethod
    def part(self, block: NDArray[Any], axes: Axes, where: Where, box: Box, /) -> Parts:
        """Return what one block comes to, at its box of the array."""

    @abstractmethod
    def merge(self, into: Parts, part: Parts) -> None:
        """Take in another block."""

    def is_settled(self, _: Parts) -> bool:
        """Tell whether no further block changes the only result."""
        return False

    @abstractmethod
    def finish(self, state: Parts, total: int, /) -> NDArray[Any]:
        """Return the results; total: how many elements went into each, without a mask."""


class Fold(Folding):
    """A ufunc over all elements; `settled`, where that is given, is a value that no further element changes."""

    def __init__(
        self,
        ufunc: np.ufunc,
        dtype: np.dtype[Any] | None = None,
        result: np.dtype[Any] | None = None,
        *,
        settled: bool | None = None,
        initial: dict[str, Any] | None = None,
        again: bool = False,
    ) -> None:
        """dtype: of the accumulator; again: the initial value may go into every block, as it makes no difference."""
        self._ufunc, self._dtype, self._result = ufunc, dtype, result
        self.result_width = (dtype or result or np.dtype(np.float64)).itemsize
        self._settled = settled
        self._initial, self._again = initial or {}, again

    def part(self, block: NDArray[Any], axes: Axes, where: Where, _: Box, /) -> Parts:
        """Reduce one block."""
        initial = self._initial if self._again else {}
        return (self._ufunc.reduce(block, axes, self._dtype, keepdims=True, **initial, **mask(where)),)

    def merge(self, into: Parts, part: Parts) -> None:
        """Take in another block."""
        self._ufunc(into[0], part[0], out=into[0], casting="unsafe")

    def is_settled(self, state: Parts) -> bool:
        """Tell whether no further block changes the only result."""
        return self._settled is not None and bool(state[0].flat[0]) is self._settled

    def finish(self, state: Parts, _: int, /) -> NDArray[Any]:
        """Return the result."""
        (found,) = state
        if self._initial and not self._again:
            found = self._ufunc.reduce(found[np.newaxis], 0, self._dtype, **self._initial)
        return np.asarray(found if self._result is None else found.astype(self._result, copy=False))


class Count(Fold):
    """How many elements are not zero."""

    def __init__(self) -> None:
        super().__init__(np.add)

    def part(self, block: NDArray[Any], axes: Axes, _: Where, __: Box, /) -> Parts:
        """Count within one block."""
        return (np.asarray(np.count_nonzero(block, axes, keepdims=True)),)


class Mean(Fold):
    """The sum, divided by the number of elements as NumPy does it."""

    def __init__(self, result: np.dtype[Any]) -> None:
        super().__init__(np.add, accumulator(result), result)
        self.result_width += np.dtype(np.int64).itemsize

    def part(self, block: NDArray[Any], axes: Axes, where: Where, box: Box, /) -> Parts:
        """Add up one block, and count."""
        counts = () if where is None else (count(block, axes, where),)
        return *super().part(block, axes, where, box), *counts

    def merge(self, into: Parts, part: Parts) -> None:
        """Add what another block came to."""
        add(into, part)

    def finish(self, state: Parts, total: int, /) -> NDArray[Any]:
        """Divide; where there was nothing to add, NumPy warns and gives NaN."""
        found, *counts = state
        number = counts[0] if counts else total
        if np.any(np.equal(number, 0)):
            warn("Mean of empty slice", RuntimeWarning)
        quotient = np.asarray(np.true_divide(found, number))
        return quotient.astype(self._result, copy=False)


class Span(Fold):
    """The largest element less the smallest."""

    casting: Any = "same_kind"

    def __init__(self) -> None:
        super().__init__(np.maximum)
        self.result_width *= 2

    def part(self, block: NDArray[Any], axes: Axes, _: Where, __: Box, /) -> Parts:
        """Return both of one block."""
        return np.maximum.reduce(block, axes, keepdims=True), np.minimum.reduce(block, axes, keepdims=True)

    def merge(self, into: Parts, part: Parts) -> None:
        """Take in another block."""
        np.maximum(into[0], part[0], out=into[0])
        np.minimum(into[1], part[1], out=into[1])

    def finish(self, state: Parts, _: int, /) -> NDArray[Any]:
        """Subtract, as NumPy does."""
        return np.asarray(np.subtract(*state))


class Place(Folding):
    """Where the first of the largest (or smallest) elements is: along one axis, or among all in C order."""

    result_width = 16

    def __init__(self, shape: tuple[int, ...], axis: int | None, *, largest: bool) -> None:
        self._shape, self._axis = shape, axis
        self._find = np.argmax if largest else np.argmin
        self._beats = np.greater if largest else np.less

    def part(self, block: NDArray[Any], _: Axes, __: Where, box: Box, /) -> Parts:
        """Return the value that is found, and its place in the array."""
        found = np.asarray(self._find(block, self._axis, keepdims=True))
        if self._axis is not None:
            return np.take_along_axis(block, found, self._axis), found + box[self._axis].start
        local = np.unravel_index(int(found.flat[0]), block.shape)
        place = 0
        for span, at, size in zip(box, local, self._shape, strict=True):
            place = place * size + span[at]
        ones = (1,) * block.ndim
        return np.full(ones, block[local]), np.full(ones, place, np.intp)

    def merge(self, into: Parts, part: Parts) -> None:
        """Take what is larger; the first of what is equal, and NaN before all."""
        (value, place), (other, other_place) = into, part
        with np.errstate(invalid="ignore"):
            better = self._beats(other, value)
        if value.dtype.kind in "fc":
            better = (better & ~np.isnan(value)) | (np.isnan(other) & ~np.isnan(value))
            same = (other == value) | (np.isnan(other) & np.isnan(value))
        else:
            same = other == value
        better |= same & (other_place < place)
        np.copyto(value, other, where=better)
        np.copyto(place, other_place, where=better)

    def finish(self, state: Parts, _: int, /) -> NDArray[Any]:
        """Return the places."""
        return state[1]
