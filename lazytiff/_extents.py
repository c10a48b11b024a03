"""Where mapped pixels are: pages, rows, columns and samples as distances in bytes. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff._chunks import only_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lazytiff._chunks import Place, Want
    from lazytiff._pages import Layout


class View(NamedTuple):
    """Pixels at equal distances: the first one's place in the file, and the bytes from one to the next on each axis."""

    offset: int
    strides: tuple[int, int, int, int]


@dataclass(frozen=True)
class Axis:
    """One axis of a page: `parts` chunks of `size` pixels; bytes from pixel to pixel and from chunk to chunk."""

    size: int
    parts: int
    inner: int
    outer: int

    def line(self, span: range) -> tuple[int, int] | None:
        """Return where the span begins and its stride; None when its pixels are not at equal distances."""
        if self.parts == 1 or self.outer == self.size * self.inner:
            return span[0] * self.inner, span.step * self.inner
        if self.size == 1:
            return span[0] * self.outer, span.step * self.outer
        part = only_part(span, self.size)
        if part is None:
            return None
        return part * self.outer + (span[0] - part * self.size) * self.inner, span.step * self.inner

    def offsets(self, positions: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return where pixels are."""
        parts, rest = np.divmod(positions.astype(np.int64), self.size)
        offsets: NDArray[np.int64] = parts * self.outer + rest * self.inner
        return offsets


@dataclass(frozen=True)
class Form:
    """How the pixels of a page lie relative to its first one; `regular`: its chunks are at equal distances."""

    layout: Layout
    rows: Axis
    columns: Axis
    samples: Axis
    regular: bool

    @classmethod
    def of(cls, layout: Layout, record: np.void) -> Form:
        """Make it of a page's layout and its struct lzt_extent."""
        item = layout.item_size
        together = 1 if layout.planes > 1 else layout.samples
        pixel = together * item
        return cls(
            layout,
            Axis(layout.chunk_rows, layout.grid_rows, layout.chunk_columns * pixel, int(record["down"])),
            Axis(layout.chunk_columns, layout.grid_columns, pixel, int(record["across"])),
            Axis(together, layout.planes, item, int(record["plane"])),
            bool(record["regular"]),
        )

    @property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        """Of rows, columns and samples."""
        return self.rows, self.columns, self.samples

    def within_chunk(self) -> tuple[int, int, int]:
        """Return the strides of row, column and sample within a chunk."""
        return self.rows.inner, self.columns.inner, self.samples.inner


class Extents:
    """Where the pixels of an array's pages are; pages are numbered by their position in the array.

    records: a struct lzt_extent (csrc/lazytiff.h) for each page; numbers: which of layouts each page has; chunks: asked
    for the offsets of all chunks of a page whose chunks are not at equal distances.
    """

    def __init__(
        self,
        records: NDArray[np.void],
        layouts: Sequence[Layout],
        numbers: NDArray[np.uint32],
        chunks: Callable[[int, int], NDArray[np.int64]],
    ) -> None:
        self._offsets = records["offset"].astype(np.int64)
        self._chunks = chunks
        members = [records[name] for name in ("across", "down", "plane", "regular")]
        if all((values == values[0]).all() for values in (*members, numbers)):
            self._form_numbers = np.broadcast_to(np.intp(0), len(records))
            self.forms = [Form.of(layouts[numbers[0]], records[0])]
            return
        keys = np.stack([*(values.astype(np.int64) for values in members), numbers.astype(np.int64)], axis=1)
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self._form_numbers = inverse.ravel()
        self.forms = [Form.of(layouts[numbers[at]], records[at]) for at in first]

    def form(self, page: int) -> Form:
        """Return how the page's pixels lie."""
        return self.forms[int(self._form_numbers[page])]

    def view(self, pages: NDArray[np.intp], rows: range, columns: range, samples: range) -> View | None:
        """Return these pixels as a view; None when they are not at equal distances."""
        form = self.form(int(pages[0]))
        step = self._spacing(pages)
        if step is None:
            return None
        if not form.regular:
            return self._view_in_chunk(int(pages[0]), (rows, columns, samples)) if len(pages) == 1 else None
        offset, strides = int(self._offsets[pages[0]]), [step]
        for axis, span in zip(form.axes, (rows, columns, samples), strict=True):
            line = axis.line(span)
            if line is None:
                return None
            offset += line[0]
            strides.append(line[1])
        return View(offset, tuple(strides))  # type: ignore[arg-type]

    def _spacing(self, pages: NDArray[np.intp]) -> int | None:
        """Return the bytes from each of these pages to the next; None when they differ, or the pages do."""
        if len(pages) == 1:
            return 0
        if self._are_mixed(pages):
            return None
        offsets = self._offsets[pages]
        step = int(offsets[1] - offsets[0])
        return step if bool((offsets[1:] - offsets[:-1] == step).all()) else None

    def _view_in_chunk(self, page: int, spans: tuple[range, range, range]) -> View | None:
        axes = self.form(page).axes
        parts = [only_part(span, axis.size) for span, axis in zip(spans, axes, strict=True)]
        if None in parts:
            return None
        offset = int(self._table(page)[parts[2], parts[0], parts[1]])
        strides = [0]
        for span, part, axis in zip(spans, parts, axes, strict=True):
            offset += (span[0] - (part or 0) * axis.size) * axis.inner
            strides.append(span.step * axis.inner)
        return View(offset, tuple(strides))  # type: ignore[arg-type]

    def _table(self, page: int) -> NDArray[np.int64]:
        """Return where the page's chunks are: by plane, row and column of the grid."""
        layout = self.form(page).layout
        shape = layout.planes, layout.grid_rows, layout.grid_columns
        return self._chunks(page, shape[0] * shape[1] * shape[2]).reshape(shape)

    def chunk_offset(self, page: int, place: Place) -> int:
        """Return where a chunk of the page is."""
        form = self.form(page)
        if not form.regular:
            return int(self._table(page).flat[place.chunk])
        starts = place.row, place.column, place.sample
        steps = [start // axis.size * axis.outer for start, axis in zip(starts, form.axes, strict=True)]
        return int(self._offsets[page]) + sum(steps)

    def runs(self, want: Want) -> tuple[NDArray[np.uint64], int]:
        """Return where each piece of the wanted pixels begins, in C order, and how many bytes a piece has."""
        spans = [np.arange(span.start, span.stop, span.step) for span in want[1:]]
        form = self.form(int(want.pages[0]))
        if not form.regular or self._are_mixed(want.pages):
            return self.offsets(*np.ix_(want.pages, *spans)).ravel().astype(np.uint64), form.layout.item_size
        axes = [self._offsets[want.pages]]
        axes += [axis.offsets(span) for axis, span in zip(form.axes, spans, strict=True)]
        start, length = 0, form.layout.item_size
        while len(axes) > 1 and bool((axes[-1] - axes[-1][0] == np.arange(len(axes[-1])) * length).all()):
            last = axes.pop()
            start += int(last[0])
            length *= len(last)
        offsets = axes[0] + start
        for axis in axes[1:]:
            offsets = np.add.outer(offsets, axis)
        return offsets.ravel().astype(np.uint64), length

    def _are_mixed(self, pages: NDArray[np.intp]) -> bool:
        return len(self.forms) > 1 and bool((self._form_numbers[pages] != self._form_numbers[pages[0]]).any())

    def offsets(self, pages: NDArray[Any], *positions: NDArray[Any]) -> NDArray[np.int64]:
        """Return where pixels are: the page, row, column and sample of each, broadcast against each other."""
        shape = np.broadcast_shapes(pages.shape, *(position.shape for position in positions))
        if not pages.size:
            return np.empty(shape, np.int64)
        form = self.form(int(pages.flat[0]))
        if form.regular and not self._are_mixed(pages.ravel()):
            inside = sum(axis.offsets(position) for axis, position in zip(form.axes, positions, strict=True))
            return np.broadcast_to(self._offsets[pages] + inside, shape)
        result = np.empty(shape, np.int64)
        pages, *positions = np.broadcast_arrays(pages, *positions)  # type: ignore[assignment]
        for page in np.flatnonzero(np.bincount(pages.ravel())):
            here = pages == page
            result[here] = self._page_offsets(int(page), *(position[here] for position in positions))
        return result

    def _page_offsets(self, page: int, *positions: NDArray[Any]) -> NDArray[np.int64]:
        form = self.form(page)
        axes = form.axes
        offsets: NDArray[np.int64]
        if form.regular:
            offsets = self._offsets[page] + sum(axis.offsets(at) for axis, at in zip(axes, positions, strict=True))
            return offsets
        parts = [np.divmod(at.astype(np.int64), axis.size) for axis, at in zip(axes, positions, strict=True)]
        chunks = self._table(page)[parts[2][0], parts[0][0], parts[1][0]]
        offsets = chunks + sum(rest * axis.inner for axis, (_, rest) in zip(axes, parts, strict=True))
        return offsets
