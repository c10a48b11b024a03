"""From wanted pixels to chunks, and from chunks to arrays: the cache first, then one batch for all workers.

What a want's window takes whole goes straight from the decoder into the result; what it takes in part is decoded once
into an array of its own, and kept.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff import _binding, _capacity, _pool

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from lazytiff._cache import ChunkCache
    from lazytiff._pages import Layout, PageTable

_SLICE_MILLISECONDS = 50  # after which a thread comes back from C, so that Python can interrupt it
_INLINE_BYTES = 256 << 10  # less is decoded sooner than another thread wakes up
_ALONE_BYTES = 4 << 20  # up to here one chunk is not worth a thread either
_table_numbers = itertools.count()


class Want(NamedTuple):
    """A block of pixels: page numbers, and along the other axes the wanted positions."""

    pages: NDArray[np.intp]
    rows: range
    columns: range
    samples: range

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the block: pages, rows, columns, samples."""
        return len(self.pages), len(self.rows), len(self.columns), len(self.samples)


class ChunkReader:
    """Reads pixels of one table's pages. Threads may share it."""

    def __init__(self, table: PageTable, cache: ChunkCache, workers: int | None) -> None:
        self.table = table
        self.cache = cache
        self.workers = workers
        self._number = next(_table_numbers)  # tables of one file share the cache

    def key(self, page: int, chunk: int) -> Hashable:
        """Return what the chunk is kept under."""
        return self._number, page, chunk

    def read(self, wants: Sequence[Want], dtype: np.dtype[Any]) -> list[NDArray[Any]]:
        """Return the pixels of each want, in arrays of its shape that nothing else refers to."""
        with self.table.source:
            _capacity.check(self.table, wants, dtype.itemsize)
            blocks = [np.empty(want.shape, dtype) for want in wants]
            order = _Order(self)
            for want, block in zip(wants, blocks, strict=True):
                if block.size:
                    order.add(want, block)
            order.carry_out(blocks)
        return blocks


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
        target = block[(slice(None), *(slice(None, None, -1 if span.step < 0 else 1) for span in want[1:]))]
        want = Want(want.pages, *(span[::-1] if span.step < 0 else span for span in want[1:]))
        spans = [number for span in want[1:] for number in (span.start, span.step, len(span))]
        self.windows.append((*spans, *target.strides[1:]))
        numbers = self.reader.table.layout_numbers[want.pages]
        for number in np.unique(numbers):
            at = np.flatnonzero(numbers == number)
            self._add_group(_Group(want, target, at, self.reader.table.layouts[number]))

    def _add_group(self, group: _Group) -> None:
        want, target, at, layout = group
        chunks, whole = _needed_chunks(layout, want)
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
        places = [_Place.of(group.layout, int(jobs["chunk"][0, part])) for part in parts]
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
        jobs = np.concatenate(self.jobs) if self.jobs else np.empty(0, _binding.JOB)
        table, cache = self.reader.table, self.reader.cache
        windows = np.array(self.windows, _binding.WINDOW)
        batch = _binding.Batch(table.handle, windows, jobs, (blocks, self.keep))
        if not len(jobs):
            return

        def work() -> None:
            with table.source:  # a thread may begin after the caller has given up and closed the file
                reader = table.take_reader()
                try:
                    while batch.run(reader, _SLICE_MILLISECONDS):
                        pass
                finally:
                    table.give_reader(reader)

        _pool.run(work, self._workers(len(jobs)), batch.cancel)
        cache.count_decoded(len(jobs))
        for key, chunk in self.keep:
            cache.put(key, chunk)

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


class _Place(NamedTuple):
    """Where a chunk lies in its page: what csrc/window.c calls its place."""

    chunk: int
    row: int
    column: int
    sample: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, layout: Layout, chunk: int) -> _Place:
        """Return the place of that chunk."""
        plane, cell = divmod(chunk, layout.grid_rows * layout.grid_columns)
        row, column = (
            number * size
            for number, size in zip(
                divmod(cell, layout.grid_columns), (layout.chunk_rows, layout.chunk_columns), strict=True
            )
        )
        sample, samples = (plane, 1) if layout.planes > 1 else (0, layout.samples)
        shape = min(layout.chunk_rows, layout.rows - row), min(layout.chunk_columns, layout.columns - column), samples
        return cls(chunk, row, column, sample, shape)

    @property
    def size(self) -> int:
        """Samples in the chunk."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def copy(self, chunk: NDArray[Any], want: Want, target: NDArray[Any]) -> None:
        """Copy the wanted pixels of the chunk into a page of the want's block."""
        starts = (self.row, self.column, self.sample)
        overlaps = [
            _overlap(span, start, length) for span, start, length in zip(want[1:], starts, self.shape, strict=True)
        ]
        target[tuple(into for into, _ in overlaps)] = chunk[tuple(out_of for _, out_of in overlaps)]


def _overlap(span: range, start: int, length: int) -> tuple[slice, slice]:
    """Return which members of the ascending span lie in the length positions from start, and these positions."""
    first = max(0, -((span.start - start) // span.step))
    last = min(len(span), (start + length - 1 - span.start) // span.step + 1)
    return slice(first, last), slice(span[first] - start, span[last - 1] - start + 1, span.step)


def _touched(span: range, size: int, total: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return which parts of that size, together total long, hold members of the ascending span, and which are whole."""
    if span.step <= size:
        parts = np.arange(span[0] // size, span[-1] // size + 1)
    else:
        parts = np.unique(np.arange(span.start, span.stop, span.step) // size)
    if span.step > 1 and size > 1 and total > 1:
        return parts, np.zeros(len(parts), bool)
    starts = parts * size
    return parts, (starts >= span.start) & (np.minimum(starts + size, total) <= span[-1] + 1)


def _needed_chunks(layout: Layout, want: Want) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the chunks of a page of this layout that hold wanted pixels, and which of them are wanted whole."""
    rows, whole_rows = _touched(want.rows, layout.chunk_rows, layout.rows)
    columns, whole_columns = _touched(want.columns, layout.chunk_columns, layout.columns)
    samples = layout.samples if layout.planes == 1 else 1
    planes, whole_planes = _touched(want.samples, samples, layout.samples)
    chunks = (planes[:, None, None] * layout.grid_rows + rows[:, None]) * layout.grid_columns + columns
    whole = whole_planes[:, None, None] & whole_rows[:, None] & whole_columns
    return chunks.ravel(), whole.ravel()
