"""Where chunks begin along each axis of an array, and boxes of whole chunks that are read one after the other.

Cuts are the positions where a chunk begins, ascending from 0: a range where all chunks but the last one are equal.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from lazytiff._gather import Entry, Request

    Cuts: TypeAlias = range | NDArray[np.intp]
    Box: TypeAlias = tuple[range, ...]


_SLAB_BYTES = 256 << 10  # what stays in a cache of the processor


def cut_span(cuts: Cuts, entry: Entry) -> Cuts:
    """Return where chunks begin among the positions of an entry, which cuts of the whole axis are for."""
    if isinstance(cuts, range):
        if cuts.step == 1:
            return range(len(entry))
        if isinstance(entry, range) and entry.step == 1 and entry.start % cuts.step == 0:
            return range(0, len(entry), cuts.step)
    chunks = np.searchsorted(np.asarray(cuts), np.asarray(entry), side="right")
    return np.concatenate([[0], np.flatnonzero(np.diff(chunks)) + 1])[: len(entry)]


def join_cuts(parts: Sequence[tuple[Cuts, int]]) -> Cuts:
    """Return the cuts of parts one after the other, each with its own cuts and its length."""
    if all(isinstance(cuts, range) and cuts.step == 1 for cuts, _ in parts):
        return range(sum(length for _, length in parts))
    starts = itertools.accumulate((length for _, length in parts), initial=0)
    return np.concatenate([np.asarray(cuts) + start for (cuts, _), start in zip(parts, starts, strict=False)])


def group(shape: Sequence[int], cuts: Sequence[Cuts], most: int) -> list[Cuts]:
    """Return cuts between boxes of whole chunks and at most so many elements, or of one chunk where that is larger.

    Boxes extend along the last axes first, so that they follow each other in the array's order as far as may be.
    """
    grouped = list(cuts)
    lengths = [longest(c, size) for c, size in zip(cuts, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        others = math.prod(lengths[:axis] + lengths[axis + 1 :])
        grouped[axis] = _grouped(cuts[axis], shape[axis], most // max(others, 1))
        lengths[axis] = longest(grouped[axis], shape[axis])
    return grouped


def group_rows(shape: Sequence[int], cuts: Sequence[Cuts], most: int) -> list[Cuts]:
    """Return cuts between boxes that follow each other in C order, of so many elements or of one chunk's rows."""
    axis, behind = len(shape) - 1, 1
    while axis > 0 and behind * shape[axis] <= most:
        behind *= shape[axis]
        axis -= 1
    before = [range(size) for size in shape[:axis]]
    after = [range(0, size, max(size, 1)) for size in shape[axis + 1 :]]
    return [*before, _grouped(cuts[axis], shape[axis], most // max(behind, 1)), *after] if shape else []


def boxes(shape: Sequence[int], cuts: Sequence[Cuts]) -> Iterator[Box]:
    """Yield the boxes between cuts, in C order: a range along each axis."""
    return itertools.product(*map(spans, cuts, shape))


def spans(cuts: Cuts, size: int) -> list[range]:
    """Return what lies between cuts along one axis."""
    bounds = [*(cuts if isinstance(cuts, range) else cuts.tolist()), size]
    return [range(begin, end) for begin, end in itertools.pairwise(bounds)]


def within(request: Request, box: Box) -> Request:
    """Return that part of a request which the box of its own positions holds."""
    return tuple(entry[span.start : span.stop] for entry, span in zip(request, box, strict=True))


def indexed(array: NDArray[Any], request: Request) -> NDArray[Any]:
    """Return what is requested of a numpy.ndarray, if possible as a view."""
    spans = [span if isinstance(span, np.ndarray) else as_slice(span) for span in request]
    return array[tuple(spans)]


def as_slice(span: range) -> slice:
    """Return positions as a slice; without any, their start may be -1, which would count from the end."""
    if not span:
        return slice(0, 0)
    return slice(span.start, span.stop if span.stop >= 0 else None, span.step)


def slices(box: Box) -> tuple[slice, ...]:
    """Return the box as an index."""
    return tuple(slice(span.start, span.stop) for span in box)


def composed(span: range, entry: Any) -> Any:
    """Return which positions of a source an entry means, whose own positions are those of the span."""
    if isinstance(entry, np.ndarray):
        return span.start + span.step * entry
    return span[as_slice(entry)]


def broadcast_request(request: Request, shape: tuple[int, ...]) -> Request:
    """Return the part of an array of this shape that is broadcast to what is requested."""
    last = request[len(request) - len(shape) :]
    return tuple(range(1) if size == 1 else entry for entry, size in zip(last, shape, strict=True))


def count(request: Request) -> int:
    """Return how many elements a request is for."""
    return math.prod(map(len, request))


def longest(cuts: Cuts, size: int) -> int:
    """Return the length of the longest chunk along one axis."""
    if isinstance(cuts, range):
        return min(cuts.step, size)
    return int(np.diff(cuts, append=size).max(initial=0))


def slabs(block: NDArray[Any], nbytes: int = _SLAB_BYTES) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Yield the longest axis, and one index after the other along it: each for so many bytes of a block."""
    if not block.ndim:
        yield 0, ()
        return
    along = int(np.argmax(block.shape))
    step = max(1, nbytes * block.shape[along] // max(block.nbytes, 1))
    for begin in range(0, block.shape[along], step):
        yield along, (slice(None),) * along + (slice(begin, begin + step),)


def _grouped(cuts: Cuts, size: int, room: int) -> Cuts:
    if isinstance(cuts, range):
        return range(0, size, cuts.step * max(1, room // cuts.step))
    found = [0] if size else []
    for begin, end in itertools.pairwise([*cuts.tolist(), size]):
        if end - found[-1] > room and begin > found[-1]:
            found.append(begin)
    return np.array(found, np.intp)
