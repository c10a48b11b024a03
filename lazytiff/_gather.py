"""Integer arrays as reads: the boxes that hold the points, and where in the result each point goes.

NumPy broadcasts index arrays and takes their points one by one. Here axes whose indices vary together form a *joint*,
and joints vary independently: ``np.ix_(pages, rows, columns)`` has three of one axis each, a mask of two dimensions is
one of two axes. So only the points of a joint are listed, never all elements of the result.

A joint that is as regular as a slice is read like one. The points of any other form a *part*: they are sorted into
boxes that lie in one chunk each. A request is one box of every part, with the other axes whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray  # as a text below: it takes longer to import than all of lazytiff

Span = range
Entry: TypeAlias = "range | NDArray[np.intp]"
Request: TypeAlias = "tuple[Entry, ...]"

# A few scattered points may need boxes much larger than themselves. Of many pages a few are then read at a time, so
# that a block stays near this size: enough to keep all workers busy, small beside any stack worth opening lazily.
BLOCK_ELEMENTS = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Axes whose indices vary together, over the dimensions from begin to end of what all arrays broadcast to."""

    axes: tuple[int, ...]
    arrays: tuple[NDArray[np.intp], ...]
    begin: int
    end: int

    def meets(self, other: Joint) -> bool:
        """Tell whether two share dimensions, or have interleaved axes: those could not be read in order apart."""
        dimensions = self.begin < other.end and other.begin < self.end
        return dimensions or (self.axes[0] < other.axes[-1] and other.axes[0] < self.axes[-1])

    def join(self, other: Joint) -> Joint:
        """Make one of two."""
        array_of = dict(zip(self.axes + other.axes, self.arrays + other.arrays, strict=True))
        axes = tuple(sorted(array_of))
        begin, end = min(self.begin, other.begin), max(self.end, other.end)
        return Joint(axes, tuple(array_of[axis] for axis in axes), begin, end)

    def points(self) -> tuple[NDArray[np.intp], ...]:
        """List the indices of all points, for each axis."""
        return tuple(array.ravel() for array in np.broadcast_arrays(*self.arrays))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Points along one dimension of the result, sorted into boxes: box k has those from bounds[k] to bounds[k + 1]."""

    axes: tuple[int, ...]
    boxes: list[Request]  # with an entry for each of axes
    bounds: list[int]
    order: NDArray[np.intp]  # where along the dimension a point goes
    local: tuple[NDArray[np.intp], ...]  # for each of axes, where in its box a point is


@dataclass(frozen=True, slots=True, eq=False)
class Gather:
    """Where the elements of the blocks go."""

    shape: tuple[int, ...]  # of the result, with one dimension for each joint and each other axis
    parts: list[Part]
    # Both transpose the axes of the parts to the front, where NumPy's indexing leaves the points' dimensions in place.
    block_axes: tuple[int, ...]
    result_axes: tuple[int, ...]

    def finish(self, blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Scatter the blocks into a new array; or give the only block, when it is the result but for its shape."""
        if not self.parts and self.block_axes == self.result_axes:
            (block,) = blocks
            return block
        result = np.empty(self.shape, dtype)
        target = result.transpose(self.result_axes)
        for step, block in zip(product(*(range(len(part.boxes)) for part in self.parts)), blocks, strict=True):
            some = [slice(part.bounds[k], part.bounds[k + 1]) for part, k in zip(self.parts, step, strict=True)]
            target[self._to(some)] = block.transpose(self.block_axes)[self._from(some)]
        return result

    def _to(self, some: list[slice]) -> tuple[NDArray[np.intp], ...]:
        return np.ix_(*(part.order[points] for part, points in zip(self.parts, some, strict=True)))

    def _from(self, some: list[slice]) -> tuple[NDArray[np.intp], ...]:
        """Do as np.ix_ does, where an argument may be several axes."""
        return tuple(
            local[points].reshape(-1, *(1,) * after)
            for part, points, after in zip(self.parts, some, reversed(range(len(some))), strict=True)
            for local in part.local
        )


def arrange(
    spans: Sequence[range], arrays: Mapping[int, NDArray[np.intp]], split: int, chunks: tuple[int, ...]
) -> tuple[list[Request], Gather]:
    """Turn index arrays, all within bounds and none negative, into requests and the way to gather their blocks.

    An array replaces the span of its axis. In the result, the points lie before the other axes from `split` on.
    """
    entries: list[Entry] = list(spans)
    for axis, array in arrays.items():
        if array.size == 1:  # as good as an integer: all its dimensions have size 1
            entries[axis] = range(array.item(), array.item() + 1)
    joints = _joints({axis: array for axis, array in arrays.items() if array.size > 1})
    parts = _parts(entries, joints, chunks)
    return _requests(entries, parts), _gather(entries, joints, parts, split)


def _joints(arrays: Mapping[int, NDArray[np.intp]]) -> list[Joint]:
    """Find the axes whose indices vary together."""
    ndim = max((array.ndim for array in arrays.values()), default=0)
    joints: list[Joint] = []
    for axis, array in arrays.items():
        padded = array.reshape((1,) * (ndim - array.ndim) + array.shape)
        varying = [dimension for dimension, size in enumerate(padded.shape) if size > 1]
        joint = Joint((axis,), (padded,), varying[0], varying[-1] + 1)
        while met := [other for other in joints if other.meets(joint)]:
            joints.remove(met[0])
            joint = joint.join(met[0])
        joints.append(joint)
    return sorted(joints, key=lambda joint: joint.axes)


def _parts(entries: list[Entry], joints: list[Joint], chunks: tuple[int, ...]) -> list[Part]:
    """Sort the points of the joints into boxes, in the order of axes; what needs no boxes goes to the entries."""
    parts = []
    places = None
    for joint in joints:
        points = joint.points()
        paged = joint.axes == (0,) and chunks[0] == 1
        entry = _entry(points[0], listed=paged) if len(points) == 1 else None
        if entry is not None:
            entries[joint.axes[0]] = entry
        elif paged:
            entries[0], places = np.unique(points[0], return_inverse=True)
        else:
            parts.append(_by_chunk(joint.axes, points, chunks))
    return (_by_page(entries, places, parts) if chunks[0] == 1 else []) + parts


def _entry(indices: NDArray[np.intp], *, listed: bool) -> Entry | None:
    """Say indices as one entry of a request if that can be done in their own order."""
    steps = np.diff(indices)
    step = int(steps[0])
    if step and (steps == step).all():
        return range(int(indices[0]), int(indices[-1]) + (1 if step > 0 else -1), step)
    return indices.copy() if listed and (steps > 0).all() else None


def _by_chunk(axes: tuple[int, ...], points: tuple[NDArray[np.intp], ...], chunks: tuple[int, ...]) -> Part:
    """Sort points by the chunk they are in; a box is what they span within it."""
    chunk = np.zeros(1, np.intp)  # number of a point's chunk: below the number of elements, so it cannot overflow
    for axis, indices in zip(axes, points, strict=True):
        along = indices // chunks[axis]
        chunk = chunk * (along.max() + 1) + along
    order, bounds = _sorted(chunk)
    boxes, local = [], []
    for indices in points:
        ordered = indices[order]
        low, high = (extreme.reduceat(ordered, bounds[:-1]) for extreme in (np.minimum, np.maximum))
        boxes.append(map(range, low.tolist(), (high + 1).tolist()))
        local.append(ordered - np.repeat(low, np.diff(bounds)))
    return Part(axes, list(zip(*boxes, strict=True)), bounds.tolist(), order, tuple(local))


def _by_page(entries: list[Entry], places: NDArray[np.intp] | None, parts: list[Part]) -> list[Part]:
    """Sort points along axis 0, given by their places in its entry (None: all in order), into batches of pages."""
    taken = {axis for part in parts for axis in part.axes}
    if 0 in taken or (places is None and not parts):
        return []
    box = math.prod(len(entry) for axis, entry in enumerate(entries) if axis and axis not in taken)
    for part in parts:
        box *= max(math.prod(map(len, ranges)) for ranges in part.boxes)
    count, batch = len(entries[0]), max(1, BLOCK_ELEMENTS // box)
    if places is None and count <= batch:
        return []
    places = np.arange(count) if places is None else places
    order, bounds = _sorted(places // batch)
    boxes: list[Request] = [(entries[0][begin : begin + batch],) for begin in range(0, count, batch)]
    return [Part((0,), boxes, bounds.tolist(), order, (places[order] % batch,))]


def _sorted(groups: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the order that sorts points by group, and the bounds of the groups within it."""
    order = np.argsort(groups, kind="stable")
    changes = np.flatnonzero(np.diff(groups[order])) + 1
    return order, np.concatenate(([0], changes, [len(groups)]))


def _gather(entries: list[Entry], joints: list[Joint], parts: list[Part], split: int) -> Gather:
    """Lay out the result: axes before `split`, then points in the order of the arrays' dimensions, then the rest."""
    joined = [joint.axes for joint in sorted(joints, key=lambda joint: joint.begin)]
    others = [(axis,) for axis in range(len(entries)) if not any(axis in axes for axes in joined)]
    layout = [axes for axes in others if axes[0] < split] + joined + [axes for axes in others if axes[0] >= split]
    sizes = {part.axes: len(part.order) for part in parts}
    front = [*sizes, *sorted(axes for axes in layout if axes not in sizes)]
    return Gather(
        tuple(sizes[axes] if axes in sizes else len(entries[axes[0]]) for axes in layout),
        parts,
        tuple(axis for axes in front for axis in axes),
        tuple(map(layout.index, front)),
    )


def _requests(entries: list[Entry], parts: list[Part]) -> list[Request]:
    """Combine every box of a part with every box of the others."""
    requests = []
    for boxes in product(*(part.boxes for part in parts)):
        request = entries.copy()
        for part, box in zip(parts, boxes, strict=True):
            for axis, entry in zip(part.axes, box, strict=True):
                request[axis] = entry
        requests.append(tuple(request))
    return requests
