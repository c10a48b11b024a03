"""NumPy's indexing as pure arithmetic: which blocks to read, and how to make the result of them.

Nothing here knows files or pixels. An array type asks `plan` what a key means, reads the blocks of ``Plan.requests``
and hands them to `Plan.finish`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _bands
from lazytiff._gather import Gather, Request, Span, arrange
from lazytiff._keys import index_span, select, slice_span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Plan", "Request", "Span", "plan"]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How to answer one key: the blocks to read, and what to make of them.

    Immutable and without pixels: threads may share a plan, and it may be finished more than once.

    Attributes
    ----------
    shape
        Shape of the result.
    requests
        One a block: for every axis of the array the indices to read, as a range (of any step) or, on a first axis of
        chunk size 1 only, as ascending integers. Block ``k`` has the shape ``tuple(map(len, requests[k]))``. No chunk
        is touched by two requests. Where arrays index, chunks ascend from request to request, so that reading is
        sequential. Empty when nothing is selected.

    """

    shape: tuple[int, ...]
    requests: list[Request]
    _scalar: bool = False
    _gather: Gather | _bands.Bands | None = None

    @property
    def is_box(self) -> bool:
        """Whether the result is one block, perhaps with axes left out or added; then NumPy would give a view."""
        return self._gather is None

    def finish(self, blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any] | np.generic:
        """Make the result of the blocks, which come in the order of `requests` and are consumed one at a time.

        The blocks are handed over: they are new, writable and of this dtype, and a single one may become the result.
        Raise ValueError when there are fewer or more blocks than requests.
        """
        if self._gather is not None:
            return self._gather.finish(blocks, dtype).reshape(self.shape)
        if not self.requests:
            return np.empty(self.shape, dtype)
        (block,) = blocks
        result: NDArray[Any] = block.reshape(self.shape)
        return result[()] if self._scalar else result


def plan(key: object, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Plan:
    """Tell how to answer ``array[key]`` for an array of this shape, stored in chunks of that shape.

    Raise what NumPy raises for the same expression.
    """
    return _plan_simple(key, shape) or _plan_any(key, shape, chunks)


def _plan_simple(key: object, shape: tuple[int, ...]) -> Plan | None:
    """Answer the commonest keys, plain integers and slices, in a few microseconds; None for all others."""
    items = key if type(key) is tuple else (key,)
    if len(items) > len(shape):
        return None
    spans: list[range] = []
    sizes: list[int] = []
    for item, size in zip(items, shape, strict=False):
        if type(item) is int and -size <= item < size:
            spans.append(index_span(item, size))
        elif type(item) is slice:
            try:
                spans.append(slice_span(item, size))
            except (TypeError, ValueError):
                return None
            sizes.append(len(spans[-1]))
        else:
            return None
    rest = shape[len(items) :]
    spans.extend(map(range, rest))
    sizes.extend(rest)
    return _plan_box(tuple(sizes), spans, scalar=not sizes)


def _plan_any(key: object, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Plan:
    """Answer any key at all."""
    selection = select(key, shape)
    spans, arrays, mask = selection.spans, selection.arrays, selection.mask
    if 0 in selection.shape or not (arrays or mask is not None):
        return _plan_box(selection.shape, spans, scalar=selection.scalar)
    if mask is not None:
        if mask.size > _bands.BAND_ELEMENTS:
            bands = _bands.in_bands(mask, spans, chunks)
            return Plan(selection.shape, bands.requests(), _gather=bands)
        arrays = dict(enumerate(mask.nonzero()))
    requests, gather = arrange(spans, arrays, selection.split, chunks)
    return Plan(selection.shape, requests, _gather=gather)


def _plan_box(shape: tuple[int, ...], spans: list[range], *, scalar: bool) -> Plan:
    """Answer a key that selects one box, whose block is the result."""
    return Plan(shape, [] if 0 in shape else [tuple(spans)], scalar)
