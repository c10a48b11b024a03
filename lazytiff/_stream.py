"""Reductions block by block: each chunk is read once, by all workers, in bounded memory."""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazytiff import _blocks
from lazytiff._array import BaseArray
from lazytiff._cuts import broadcast_request, indexed
from lazytiff._folds import Fold, accumulator, reduced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

    from lazytiff._cuts import Box
    from lazytiff._folds import Folding, Parts, Where
    from lazytiff._gather import Request

# Whose result is the same however the elements are put together; and of those, whose initial value may be taken twice.
STREAMED = {
    np.add,
    np.multiply,
    np.maximum,
    np.minimum,
    np.fmax,
    np.fmin,
    np.logical_or,
    np.logical_and,
    np.logical_xor,
    np.bitwise_or,
    np.bitwise_and,
    np.bitwise_xor,
}
_IDEMPOTENT = {np.maximum, np.minimum, np.fmax, np.fmin}
_TRUTHS = {np.logical_or, np.logical_and, np.logical_xor}
_SETTLED: dict[np.ufunc, bool] = {np.logical_or: True, np.logical_and: False}
NOTHING: Any = type("Nothing", (), {"__repr__": lambda _: "<not given>"})()  # for arguments that have no default


def fold(array: BaseArray, ufunc: np.ufunc, dtype: DTypeLike | None, out: Any, initial: Any, *, whole: bool) -> Fold:
    """Return the fold for ufunc.reduce with these arguments, as NumPy chooses its dtype."""
    asked = None if dtype is None else np.dtype(dtype)
    if asked is None and out is not None and ufunc not in _TRUTHS:
        asked = np.result_type(out.dtype, array.dtype)  # the loop that NumPy finds for both
    result = ufunc.reduce(np.ones(1, array.dtype), dtype=asked).dtype
    wide = accumulator(result) if ufunc in (np.add, np.multiply) else asked
    return Fold(
        ufunc,
        wide,
        result,
        settled=_SETTLED.get(ufunc) if whole else None,
        initial={} if initial is NOTHING else {"initial": initial},
        again=ufunc in _IDEMPOTENT,
    )


def ufunc_reduce(
    array: BaseArray,
    ufunc: np.ufunc,
    axis: Any = 0,
    dtype: DTypeLike | None = None,
    out: Any = None,
    keepdims: bool = False,  # NumPy's signature
    initial: Any = NOTHING,
    where: Any = True,
) -> Any:
    """Do as ufunc.reduce."""
    if not is_streamed(array):
        given = {} if initial is NOTHING else {"initial": initial}
        return ufunc.reduce(at_once(array), axis, dtype, out, keepdims, **given, **read_mask(where))  # type: ignore[call-arg]  # "initial"
    if isinstance(out, tuple):
        (out,) = out
    require_array(out)
    made = fold(array, ufunc, dtype, out, initial, whole=axis is None)
    return stream(array, made, axis, out, keepdims=keepdims, where=where)


def stream(array: BaseArray, fold: Folding, axis: Any, out: Any, *, keepdims: bool, where: Any = True) -> Any:
    """Fold all blocks, in their order, and return the result in the shape that NumPy gives it.

    Of an array that grows meanwhile, what was there at the beginning counts.
    """
    require_array(out)
    request = _blocks.whole(array)
    shape = tuple(map(len, request))
    axes = axes_of(axis, len(shape))
    kept = tuple(1 if number in axes else size for number, size in enumerate(shape))
    left = kept if keepdims else tuple(size for number, size in enumerate(shape) if number not in axes)
    if out is not None and out.shape != left:
        raise ValueError(f"output array has shape {out.shape}, and the result of the reduction {left}")
    chosen = _Mask(where, shape)

    def work(box: Box, request: Request) -> Parts:
        (block,) = array._peek([request])
        return fold.part(block, axes, chosen.of(request), box)

    found = _merged(partial(_blocks.each, array, work, "reduce", request=request, width=fold.width), fold, axes, kept)
    result = fold.finish(found, reduced(shape, axes))
    if out is None:
        return result.reshape(left)[()]  # a scalar when no axis is left
    np.copyto(out, result.reshape(left), casting=fold.casting)
    return out


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes as NumPy takes them: None for all, a number, or a tuple; a list is a TypeError."""
    if axis is None:
        return tuple(range(ndim))
    return normalize_axis_tuple(axis if isinstance(axis, tuple) else operator.index(axis), ndim)


def _merged(
    each: Callable[..., Iterator[tuple[Box, Parts]]], fold: Folding, axes: tuple[int, ...], kept: tuple[int, ...]
) -> Parts:
    """Merge what comes of the blocks, one after the other."""
    state: Parts = ()
    blocks = each(
        result_bytes=lambda lengths: fold.result_width * math.prod(np.delete(lengths, axes).tolist()),
        until=lambda: fold.is_settled(state),
    )
    for box, part in blocks:
        if not state:
            state = tuple(np.empty(kept, piece.dtype) for piece in part)
        place = tuple(slice(None) if number in axes else slice(s.start, s.stop) for number, s in enumerate(box))
        into = tuple(piece[(*place, ...)] for piece in state)  # an array even where there are no axes
        if any(box[number].start for number in axes):
            fold.merge(into, part)
        else:
            for mine, other in zip(into, part, strict=True):
                mine[...] = other
    return state


def require_array(out: Any) -> None:
    """Raise TypeError when a result cannot be put there."""
    if out is not None and not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy.ndarray, not {type(out).__name__}")


class _Mask:
    """Which elements count: an array of any kind that broadcasts to a shape, or True for all."""

    def __init__(self, where: Any, shape: tuple[int, ...]) -> None:
        self._where = None if where is True else where
        if self._where is None:
            return
        if not isinstance(where, BaseArray):
            self._where = where = where if isinstance(where, np.ndarray) else np.asarray(where, bool)
        if where.dtype != bool:
            raise TypeError(f"where must be an array of bool, not of {where.dtype}")
        if np.broadcast_shapes(where.shape, shape) != shape:
            raise ValueError(f"a mask of shape {where.shape} does not fit to an array of shape {shape}")

    def of(self, request: Request) -> Where:
        """Return the part for a block, or None."""
        where = self._where
        if where is None:
            return None
        own = broadcast_request(request, where.shape)
        return np.asarray(indexed(where, own) if isinstance(where, np.ndarray) else where._peek([own])[0])


def read_mask(where: Any) -> dict[str, Any]:
    """Return the argument that a mask is for NumPy's functions, which tell True from an array of it."""
    return {} if where is True else {"where": np.asarray(where) if isinstance(where, BaseArray) else where}


def is_streamed(array: BaseArray) -> bool:
    """Tell whether a reduction goes block by block: there are elements, and they are numbers or booleans."""
    return array.size > 0 and array.dtype.kind in "biufc"


def at_once(array: BaseArray) -> NDArray[Any]:
    """Return what NumPy reduces itself: an array without elements, or all of one of Python's objects or of times."""
    return np.asarray(array) if array.size else np.empty(array.shape, array.dtype)
