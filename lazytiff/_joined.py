"""Arrays of one kind as one array, one after the other along an axis."""

from __future__ import annotations

import itertools
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff import _pool, _progress
from lazytiff._array import MOST_VIEWS
from lazytiff._cuts import join_cuts
from lazytiff._dimensions import free_letter
from lazytiff._tiff_array import TiffArray
from lazytiff._tones import GRAY, MIN_IS_BLACK, MIN_IS_WHITE, MIXED, alike
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Cuts
    from lazytiff._dimensions import Step
    from lazytiff._gather import Entry
    from lazytiff._indexing import Request
    from lazytiff._tones import Tones

_CALLS = 20  # as many views does an array count for: reading one within the other takes calls within calls, which end
_MANY = 2  # parts for each worker are enough to read several at a time
_LARGE_BYTES = 256 << 10  # of a part: for less, threads would wait for each other rather than for the disk


class _Piece(NamedTuple):
    """What one part is asked for, and where it goes: `where` along the joined axis of the block of that number."""

    request: Request
    block: int
    where: slice | NDArray[np.intp]


class Joined(TiffArray):
    """Parts one after the other along one axis; each is borrowed while it is read.

    `_starts[k]` is where part k begins along the axis; with `_is_new` each part is one element of an axis that the
    parts themselves do not have.
    """

    _axis: int
    _is_new: bool
    _starts: NDArray[np.intp]
    _asked_workers: int | None = None

    @property
    def _workers(self) -> int | None:
        return self._asked_workers

    def _borrow(self, part: int) -> AbstractContextManager[TiffArray]:
        """Return that part, for a while."""
        raise NotImplementedError

    def _rank(self, request: Request, /) -> int:
        return int(min(request[self._axis]))  # parts are in the order of the joined array

    def _split(self, request: Request) -> Iterator[tuple[int, Request, slice | NDArray[np.intp]]]:
        """Yield parts, what each is asked for, and where along the joined axis that goes."""
        for part, entry, where in split(request[self._axis], self._starts):
            inner = [entry] * (not self._is_new)
            yield part, (*request[: self._axis], *inner, *request[self._axis + 1 :]), where

    def _tones(self, request: Request) -> Tones:
        found = []
        for part, asked, where in self._split(request):
            with self._borrow(part) as array:
                tones = array._tones(asked)
            along = np.expand_dims(tones, 0) if self._is_new else np.moveaxis(tones, self._axis, 0)
            found.append((where, along))
        first = found[0][1].flat[0]
        if all(tone is first for _, tones in found for tone in tones.flat):
            return alike(first, len(request))
        others = np.broadcast_shapes(*(tones.shape[1:] for _, tones in found))
        joined = np.empty((len(request[self._axis]), *others), object)
        for where, tones in found:
            joined[where] = tones
        return np.moveaxis(joined, 0, self._axis)

    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        pieces: dict[int, list[_Piece]] = {}
        for number, request in enumerate(requests):
            for part, asked, where in self._split(request):
                pieces.setdefault(part, []).append(_Piece(asked, number, where))
        blocks = [np.empty(tuple(map(len, request)), self.dtype) for request in requests]
        self._fetch(pieces, blocks)
        return blocks

    def _fetch(self, pieces: dict[int, list[_Piece]], blocks: list[NDArray[Any]]) -> None:
        """Fill the blocks: many parts on all workers, a few one after the other, each on all workers."""
        jobs = deque(pieces.items())
        workers = self._workers or _pool.default_workers()
        large = sum(block.nbytes for block in blocks) >= _LARGE_BYTES * len(jobs)
        together = large and workers > 1 and len(jobs) >= _MANY * workers

        def work() -> None:
            try:
                for part, wanted in _taken(jobs):
                    self._fill(part, wanted, blocks)
            except BaseException:
                jobs.clear()  # nobody needs the others any more
                raise

        count, total = len(jobs), sum(block.nbytes for block in blocks)
        with _progress.track(total, "read") as track:
            watch = track.watching(lambda: total * (count - len(jobs)) // count)
            _pool.run(work, workers if together else 0, jobs.clear, watch)
            track.reach(total)

    def _fill(self, part: int, wanted: list[_Piece], blocks: list[NDArray[Any]]) -> None:
        with self._borrow(part) as array:
            found = array._read([piece.request for piece in wanted])
        for piece, block in zip(wanted, found, strict=True):
            if self._axis == 0:  # which is done at once: moving axes takes a while where parts are small
                blocks[piece.block][piece.where] = block
                continue
            target = np.moveaxis(blocks[piece.block], self._axis, 0)
            target[piece.where] = block if self._is_new else np.moveaxis(block, self._axis, 0)


def _taken(jobs: deque[Any]) -> Iterator[Any]:
    """Take one after the other, whoever else does."""
    while True:
        try:
            job = jobs.popleft()
        except IndexError:
            return
        yield job


def split(entry: Entry, starts: NDArray[np.intp]) -> Iterator[tuple[int, Entry, slice | NDArray[np.intp]]]:
    """Yield, for each part that begins at its start, which of its elements are asked for, and where in the entry."""
    numbers = np.asarray(entry)
    parts = np.searchsorted(starts, numbers, side="right") - 1
    order = np.argsort(parts, kind="stable")
    bounds = [0, *(np.flatnonzero(np.diff(parts[order])) + 1).tolist(), len(numbers)]
    for begin, end in itertools.pairwise(bounds):
        where = order[begin:end]
        part = int(parts[where[0]])
        local = numbers[where] - starts[part]
        inner: Entry = _as_range(local, entry.step) if isinstance(entry, range) else local
        together = where[-1] - where[0] == len(where) - 1
        yield part, inner, slice(int(where[0]), int(where[-1]) + 1) if together else where


def _as_range(numbers: NDArray[np.intp], step: int) -> range:
    return range(int(numbers[0]), int(numbers[-1]) + (1 if step > 0 else -1), step)


class JoinedArrays(Joined):
    """Arrays at hand, joined: `lazytiff.concatenate`, `lazytiff.stack`. It reads from them when it is indexed."""

    def __init__(self, arrays: Sequence[TiffArray], axis: int, *, is_new: bool) -> None:
        self.base = tuple(arrays)
        self._axis, self._is_new = axis, is_new
        lengths = [1 if is_new else array.shape[axis] for array in arrays]
        self._starts = np.cumsum([0, *lengths[:-1]])
        shape, new = arrays[0].shape, [sum(lengths)]
        self._shape = (*shape[:axis], *new, *shape[axis + (not is_new) :])
        self._dtype = arrays[0].dtype.newbyteorder("=")
        self._depth = _CALLS + max(array._depth for array in arrays)
        if self._depth > MOST_VIEWS:
            raise LimitError(
                f"{self!r} is joined of arrays that are joined, and so on: more than {MOST_VIEWS // _CALLS} of each "
                "other; join all at once"
            )

    def _borrow(self, part: int) -> AbstractContextManager[TiffArray]:
        return nullcontext(self.base[part])

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis; as when the arrays were joined, even if one of them has grown since."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element, in this machine's byte order."""
        return self._dtype

    @property
    def axes(self) -> str:
        """One letter per axis: those of the first array, and for a new axis the first free one of I, J, K ..."""
        own = self.base[0].axes
        if not self._is_new:
            return own
        return own[: self._axis] + free_letter(own) + own[self._axis :]

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis of the first array's strips or tiles."""
        return self._with_new_axis(self.base[0].chunk_shape)

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        """Scattered indices along the first axis are for arrays that all take them."""
        first, *others = self._with_new_axis(self.base[0]._plan_chunks)
        if self._axis == 0 and self._is_new:
            return (1, *others)
        alike = all(array._takes_lists for array in self.base)
        return (first if alike else max(first, 2), *others)

    @property
    def _cuts(self) -> tuple[Cuts, ...]:
        before, after = self.base[0]._cuts[: self._axis], self.base[0]._cuts[self._axis :]
        if self._is_new:
            return *before, range(len(self.base)), *after
        along = join_cuts([(array._cuts[self._axis], array.shape[self._axis]) for array in self.base])
        return *before, along, *after[1:]

    @property
    def _paths(self) -> set[str]:
        return set[str]().union(*(array._paths for array in self.base))

    def _overlaps(self, target: BaseArray | NDArray[Any]) -> bool:
        return any(array._overlaps(target) for array in self.base)

    @property
    def _photometric(self) -> int:
        found = {array._photometric for array in self.base}
        if len(found) == 1:
            return found.pop()
        return MIN_IS_BLACK if found <= GRAY - {MIN_IS_WHITE} else MIXED

    @property
    def resolution(self) -> dict[str, Step]:
        """How far apart neighbours are along each axis of the first array."""
        return self.base[0].resolution

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the first array's channels."""
        return self.base[0].channels

    def _with_new_axis(self, chunks: tuple[int, ...]) -> tuple[int, ...]:
        return (*chunks[: self._axis], *[1] * self._is_new, *chunks[self._axis :])

    def _identity(self) -> tuple[Any, ...]:
        parts = [array._identity() for array in self.base]
        return (type(self).__name__, self._axis, self._is_new, self._shape, *parts)

    def __repr__(self) -> str:
        return f"<{len(self.base)} arrays joined, {self.dtype} {self.shape} {self.axes}>"
