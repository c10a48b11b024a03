"""Reductions block by block: each chunk is read once, by all workers, in bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazytiff import _blocks
from lazytiff._cuts import broadcast_request, indexed
from lazytiff._folds import Fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

    from lazytiff._array import BaseArray
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
_SETTLED: dict[np.ufunc, bool] = {np.logical_or: True, np.logical_and: False}
NOTHING: Any = type("Nothing", (), {"__repr__": lambda _: "<not given>"})()  # for arguments that have no default


def fold(array: BaseArray, ufunc: np.ufunc, dtype: DTypeLike | None, out: Any, initial: Any, *, whole: bool) -> Fold:
    """Return the fold for ufunc.reduce with these arguments, as NumPy chooses its dtype."""
    asked = None if dtype is None else np.dtype(dtype)
    if asked is None and out is not None:
        asked = out.dtype
    result = ufunc.reduce(np.ones(1, array.dtype), dtype=asked).dtype
    wide = accumulator_of(ufunc, asked, result)
    return Fold(
        ufunc,
        wide,
        result,
        settled=_SETTLED.get(ufunc) if whole else None,
        initial={} if initial is NOTHING else {"initial": initial},
        again=ufunc in _IDEMPOTENT,
    )


def accumulator_of(ufunc: np.ufunc, asked: np.dtype[Any] | None, result: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return what a ufunc accumulates in: sums and products of floats in float64."""
    if ufunc in (np.add, np.multiply) and result.kind in "fc":
        return np.result_type(result, np.float64)
    return asked if ufunc not in (np.add, np.multiply) else result


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
    if not array.size:
        given = {} if initial is NOTHING else {"initial": initial}
        given |= {} if where is True else {"where": np.asarray(where)}  # with a mask, NumPy wants an initial value
        return ufunc.reduce(empty(array), axis, dtype, out, keepdims, **given)  # type: ignore[call-arg]  # "initial"
    if isinstance(out, tuple):
        (out,) = out
    made = fold(array, ufunc, dtype, out, initial, whole=axis is None)
    return stream(array, made, axis, out, keepdims=keepdims, where=where)


def stream(array: BaseArray, fold: Folding, axis: Any, out: Any, *, keepdims: bool, where: Any = True) -> Any:
    """Fold all blocks, in their order, and return the result in the shape that NumPy gives it."""
    axes = tuple(range(array.ndim)) if axis is None else normalize_axis_tuple(axis, array.ndim)
    kept = tuple(1 if number in axes else size for number, size in enumerate(array.shape))
    chosen = _Mask(where, array.shape)

    def work(box: Box, request: Request) -> Parts:
        (block,) = array._peek([request])
        return fold.part(block, axes, chosen.of(request), box)

    found = _merged(_blocks.each(array, work, "reduce"), fold, axes, kept)
    result = fold.finish(found, math.prod(array.shape[number] for number in axes))
    if not keepdims:
        result = result.reshape([size for number, size in enumerate(array.shape) if number not in axes])
    return _given(result, out)


def _merged(blocks: Iterable[tuple[Box, Parts]], fold: Folding, axes: tuple[int, ...], kept: tuple[int, ...]) -> Parts:
    """Merge what came of the blocks, one after the other."""
    state: Parts = ()
    for box, part in blocks:
        if not state:
            state = tuple(np.empty(kept, piece.dtype) for piece in part)
        place = tuple(slice(None) if number in axes else slice(s.start, s.stop) for number, s in enumerate(box))
        into = tuple(piece[*place, ...] for piece in state)  # an array even where there are no axes
        if any(box[number].start for number in axes):
            fold.merge(into, part)
        else:
            for mine, other in zip(into, part, strict=True):
                mine[...] = other
        if fold.is_settled(state):
            break
    return state


def _given(result: NDArray[Any], out: Any) -> Any:
    """Return the result where NumPy's callers want it: a scalar when nothing is left, or in the array out."""
    if out is None:
        return result[()]
    if out.shape != result.shape:
        raise ValueError(f"output array has shape {out.shape}, and the result of the reduction {result.shape}")
    np.copyto(out, result, casting="same_kind")
    return out


class _Mask:
    """Which elements count: an array of any kind that broadcasts to a shape, or True for all."""

    def __init__(self, where: Any, shape: tuple[int, ...]) -> None:
        self._where = None if where is True else where
        if self._where is None:
            return
        if not hasattr(where, "_peek"):
            self._where = where = np.broadcast_to(np.asarray(where, bool), shape)
        if np.broadcast_shapes(where.shape, shape) != shape:
            raise ValueError(f"a mask of shape {where.shape} does not fit to an array of shape {shape}")

    def of(self, request: Request) -> Where:
        """Return the part for a block, or None."""
        where = self._where
        if where is None:
            return None
        own = broadcast_request(request, where.shape)
        return np.asarray(indexed(where, own) if isinstance(where, np.ndarray) else where._peek([own])[0], bool)


def empty(array: BaseArray) -> NDArray[Any]:
    """Return an array without elements, of the same shape, of which NumPy says itself what a reduction gives."""
    return np.empty(array.shape, array.dtype)
