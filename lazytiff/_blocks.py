"""An array block by block: whole chunks at a time, in the file's order, ahead of who takes them, in bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from lazytiff import _ahead, _cuts, _pool, _progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Box
    from lazytiff._gather import Request

    Result = TypeVar("Result")

BLOCK_BYTES = 8 << 20  # of a block: its chunks are worth the work around it, and what came of it is soon merged
BUDGET_BYTES = 64 << 20  # of all blocks that are worked on at a time, unless a single one is larger


def whole(array: BaseArray) -> Request:
    """Return the request for all of an array."""
    return tuple(map(range, array.shape))


def each(
    array: BaseArray,
    task: Callable[[Box, Request], Result],
    what: str,
    *,
    request: Request | None = None,
    nbytes: int | None = None,
    width: int = 0,
    order: Literal["array", "rows", "files"] = "array",
    least: int = 0,
    result_bytes: Callable[[Sequence[int]], int] = lambda _: 0,
    until: Callable[[], bool] | None = None,
) -> Iterator[tuple[Box, Result]]:
    """Yield each block's box with task(box, its request), in order, done ahead by all workers.

    Boxes count positions of `request`, which is all of the array unless one is given. They depend on the array alone,
    not on the number of workers: what is added up block by block is the same everywhere. nbytes: of a block, instead of
    BLOCK_BYTES. width: bytes of memory that the task takes for an element. order: of the blocks: "array", C order of
    their beginnings; "rows": one behind the other they make the array in C order; "files": as their first pages are in
    the files. least: how many are done ahead, whatever memory they take. result_bytes: what comes of a block of such
    lengths. until: asked after each block whether the others are not needed.
    """
    request = whole(array) if request is None else request
    shape = tuple(map(len, request))
    cuts = [_cuts.cut_span(own, entry) for own, entry in zip(array._cuts, request, strict=True)]
    width = max(width, array._widest)
    cuts = (_cuts.group_rows if order == "rows" else _cuts.group)(shape, cuts, (nbytes or BLOCK_BYTES) // width)
    lengths = [_cuts.longest(c, size) for c, size in zip(cuts, shape, strict=True)]
    ahead = max(least, _ahead_of(array, max(math.prod(lengths) * width, result_bytes(lengths))))

    def work(box: Box) -> tuple[Box, Result]:
        return box, task(box, _cuts.within(request, box))

    total = math.prod(shape) * array.itemsize
    track = _progress.begin(total, what)
    boxes: Iterable[Box] = _cuts.boxes(shape, cuts)
    if order == "files":
        boxes = sorted(boxes, key=lambda box: array._rank(_cuts.within(request, box)))
    for box, result in _ahead.in_order(track.quietly(work), boxes, ahead):
        yield box, result
        if until is not None and until():
            track.reach(total)
            return
        track.step(math.prod(map(len, box)) * array.itemsize)


def _ahead_of(array: BaseArray, block_bytes: int) -> int:
    """Return how many blocks may be worked on beside the one that is waited for."""
    workers = array._workers or _pool.default_workers()
    return min(2 * workers if workers > 1 else 0, BUDGET_BYTES // max(block_bytes, 1) - 1)


def fill(target: NDArray[Any], array: BaseArray, request: Request, read: Callable[[Request], NDArray[Any]]) -> None:
    """Fill the target, which has the request's shape, with what read returns for its parts."""

    def work(box: Box, part: Request) -> None:
        target[_cuts.slices(box)] = read(part)

    for _ in each(array, work, "read", request=request):
        pass
