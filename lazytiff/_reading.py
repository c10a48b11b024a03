"""From wanted pixels to chunks, and from chunks to arrays: the cache first, then one batch for all workers.

What a want's window takes whole goes straight from the decoder into the result; what it takes in part is decoded once
into an array of its own, and kept.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff import _binding, _capacity, _pool, _progress
from lazytiff._chunks import Place, Want, needed_chunks, only_part, within
from lazytiff.errors import TiffError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from lazytiff._cache import ChunkCache
    from lazytiff._pages import Layout, PageTable

_SLICE_MILLISECONDS = 50  # after which a thread comes back from C, so that Python can interrupt it
_INLINE_BYTES = 256 << 10  # less is decoded sooner than another thread wakes up
_ALONE_BYTES = 4 << 20  # up to here one chunk is not worth a thread either
_table_numbers = itertools.count()


class ChunkReader:
    """Reads pixels of one table's pages. Threads may share it."""

    def __init__(self, table: PageTable, cache: ChunkCache, workers: int | None, name: Hashable = None) -> None:
        """name: of the table in a cache that tables share; None: one that no other has."""
        self.table = table
        self.cache = cache
        self.workers = workers
        self._name = next(_table_numbers) if name is None else name

    def of(self, table: PageTable) -> ChunkReader:
        """Return a reader of a table that continues this one's, whose pages are in the cache under the same names."""
        return ChunkReader(table, self.cache, self.workers, self._name)

    def key(self, page: int, chunk: int) -> Hashable:
        """Return what the chunk is kept under."""
        return self._name, page, chunk

    def read(self, wants: Sequence[Want], dtype: np.dtype[Any]) -> list[NDArray[Any]]:
        """Return the pixels of each want, in arrays of its shape that nothing else refers to."""
        with self.table.source:
            if len(wants) == 1 and (block := self._kept(wants[0])) is not None:
                return [block]
            _capacity.check(self.table, wants, dtype.itemsize)
            blocks = [np.empty(want.shape, dtype) for want in wants]
            order = _Order(self)
            for want, block in zip(wants, blocks, strict=True):
                if block.size:
                    order.add(want, block)
            order.carry_out(blocks)
        return blocks

    def _kept(self, want: Want) -> NDArray[Any] | None:
        """Return the pixels of a want that lies within one chunk, if that is in the cache: nothing is ordered then."""
        if len(want.pages) != 1:
            return None
        page = int(want.pages[0])
        layout = self.table.layout(page, readable=False)
        if layout.direct or layout.problem or layout.planes > 1:
            return None
        row, column = only_part(want.rows, layout.chunk_rows), only_part(want.columns, layout.chunk_columns)
        if row is None or column is None:
            return None
        chunk = self.cache.get(self.key(page, row * layout.grid_columns + column), asks_again=True)
        if chunk is None:
            return None
        self.table.check_size()
        return chunk[
            within(want.rows, row * layout.chunk_rows),
            within(want.columns, column * layout.chunk_columns),
            within(want.samples, 0),
        ].copy()[None]


class _Order:
    """Jobs for one batch."""

    def __init__(self, reader: ChunkReader) -> None:
        self.reader = reader
        self.windows: list[tuple[int, ...]] = []
        self.jobs: list[NDArray[np.void]] = []
        self.keep: list[tuple[Hashable, NDArray[Any]]] = []
        self.keep_bytes = 0
        self.decoded_bytes = 0

    def add(self, want: Want, block: NDArray[Any]) -> None:
        """Order the chunks that the want needs, each into its place in block."""
        want, target = want.ascending(block)
        spans = [number for span in want[1:] for number in (span.start, span.step, len(span))]
        self.windows.append((*spans, *target.strides[1:]))
        numbers = self.reader.table.layout_numbers[want.pages]
        for number in self.reader.table.count_layouts(want.pages):
            at = np.flatnonzero(numbers == number)
            self._add_group(_Group(want, target, at, self.reader.table.layouts[number]))

    def _add_group(self, group: _Group) -> None:
        want, target, at, layout = group
        chunks, whole = needed_chunks(layout, want)
        jobs = np.zeros((len(at), len(chunks)), _binding.JOB)
        jobs["page"] = want.pages[at, None]
        jobs["chunk"] = chunks
        jobs["window"] = len(self.windows) - 1
        jobs["target"] = target.__array_interface__["data"][0] + at[:, None] * target.strides[0]
        if not layout.direct and not whole.all():
            jobs = jobs[self._look_up(group, jobs, np.flatnonzero(~whole))]
        self.jobs.append(jobs.ravel())
        self.decoded_bytes += jobs.size * layout.chunk_rows * layout.chunk_columns * target.itemsize

    def _look_up(self, group: _Group, jobs: NDArray[np.void], parts: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Take those chunks from the cache that are there, have the others kept. Return which jobs are left."""
        cache = self.reader.cache
        todo = np.ones(jobs.shape, bool)
        places = [Place.of(group.layout, int(jobs["chunk"][0, part])) for part in parts]
        for row, position in enumerate(group.at):
            page = int(group.want.pages[position])
            for part, place in zip(parts, places, strict=True):
                key = self.reader.key(page, place.chunk)
                chunk = cache.get(key)
                if chunk is not None:
                    place.copy(chunk, group.want, group.target[position])
                    todo[row, part] = False
                elif self.keep_bytes + place.size * group.target.itemsize <= cache.maxsize:
                    kept = np.empty(place.shape, group.target.dtype)
                    jobs["keep"][row, part] = kept.__array_interface__["data"][0]
                    self.keep.append((key, kept))
                    self.keep_bytes += kept.nbytes
        return todo

    def carry_out(self, blocks: list[NDArray[Any]]) -> None:
        """Read everything that was ordered."""
        table, cache = self.reader.table, self.reader.cache
        jobs = np.concatenate(self.jobs) if self.jobs else np.empty(0, _binding.JOB)
        if not len(jobs):
            table.check_size()  # as a batch does: what is in the cache is of no file any more that became shorter
            return
        windows = np.array(self.windows, _binding.WINDOW)
        batch = _binding.Batch(table.handle, windows, jobs, (blocks, self.keep))
        total = self.decoded_bytes
        try:
            with _progress.track(total, "read") as track:
                watch = track.watching(lambda: total * batch.begun // len(jobs))
                _pool.run(lambda: self._work(batch), self._workers(len(jobs)), batch.cancel, watch)
                track.reach(total)
        except TiffError:
            self._work(batch)  # raises the failure of the first chunk that failed, whichever thread came back first
            raise
        cache.count_decoded(len(jobs))
        for key, chunk in self.keep:
            cache.put(key, chunk)

    def _work(self, batch: _binding.Batch) -> None:
        """Do one thread's share of the batch."""
        table = self.reader.table
        table.source.join()  # a thread may begin after the caller has given up and closed the file
        try:
            reader = table.take_reader()
            try:
                while batch.run(reader, _SLICE_MILLISECONDS):
                    pass
            finally:
                table.give_reader(reader)
        finally:
            table.source.leave()

    def _workers(self, jobs: int) -> int:
        """Return how many threads to use; 0: this one."""
        most = min(self.reader.workers or _pool.default_workers(), jobs)
        if self.decoded_bytes <= _INLINE_BYTES or (most == 1 and self.decoded_bytes <= _ALONE_BYTES):
            return 0
        return most


class _Group(NamedTuple):
    """Those of a want's pages that have one layout: `at` are their positions in the want and in its block."""

    want: Want
    target: NDArray[Any]
    at: NDArray[np.intp]
    layout: Layout
