"""Chunk arithmetic: which chunks of a page hold wanted pixels, and where their pixels go. Numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._pages import Layout


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

    def ascending(self, block: NDArray[Any]) -> tuple[Want, NDArray[Any]]:
        """Return the same pixels with spans that ascend, and the want's block so that they go where they belong."""
        target = block[(slice(None), *(slice(None, None, -1 if span.step < 0 else 1) for span in self[1:]))]
        return Want(self.pages, *(span[::-1] if span.step < 0 else span for span in self[1:])), target


class Place(NamedTuple):
    """Where a chunk lies in its page: what csrc/window.c calls its place."""

    chunk: int
    row: int
    column: int
    sample: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, layout: Layout, chunk: int) -> Place:
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
        parts = np.arange(span.start, span.stop, span.step) // size  # a step of more than a part: never the same twice
    if span.step > 1 and size > 1 and total > 1:
        return parts, np.zeros(len(parts), bool)
    starts = parts * size
    return parts, (starts >= span.start) & (np.minimum(starts + size, total) <= span[-1] + 1)


def needed_chunks(layout: Layout, want: Want) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the chunks of a page of this layout that hold wanted pixels, and which of them are wanted whole."""
    rows, whole_rows = _touched(want.rows, layout.chunk_rows, layout.rows)
    columns, whole_columns = _touched(want.columns, layout.chunk_columns, layout.columns)
    samples = layout.samples if layout.planes == 1 else 1
    planes, whole_planes = _touched(want.samples, samples, layout.samples)
    chunks = (planes[:, None, None] * layout.grid_rows + rows[:, None]) * layout.grid_columns + columns
    whole = whole_planes[:, None, None] & whole_rows[:, None] & whole_columns
    return chunks.ravel(), whole.ravel()


def only_part(span: range, size: int) -> int | None:
    """Return which part of that size the span lies in; None when there is no such part, or the span is empty."""
    if not span:
        return None
    part = span[0] // size
    return part if span[-1] // size == part else None


def within(span: range, start: int) -> slice:
    """Return the span as a slice of what begins at start."""
    stop = span.stop - start
    return slice(span.start - start, None if stop < 0 else stop, span.step)
