"""MmapTiff: uncompressed pixels where they are, without a copy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _assignment, _blocks
from lazytiff._chunks import Place, needed_chunks
from lazytiff._cuts import indexed
from lazytiff._described import DescribedArray
from lazytiff._indexing import plan
from lazytiff._mapping import Mapping
from lazytiff.errors import NotMappableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from lazytiff._chunks import Want
    from lazytiff._extents import View
    from lazytiff._file import OpenFile
    from lazytiff._indexing import Request


class MmapTiff(DescribedArray):
    """A stack of uncompressed pages, mapped into memory: `lazytiff.open(path, mmap=True)`, `lazytiff.zeros`.

    Basic indices (int, slice, ..., None) return views of the file, in the file's byte order: nothing is read before a
    pixel is touched. mode "r": the views are read-only. "r+": what is assigned, to the array or to its views, goes to
    the file. "c": it stays in memory, and is gone with the array.

    Where pixels that are asked for are not at equal distances (several tiles, pages of unequal spacing), they are
    assembled into a new, read-only array, so that nothing is assigned to a copy by mistake; assign to the array itself.

    A file that became shorter, or whose pages were rewritten, raises FileChangedError at the next index. To touch a
    view of pixels that the file does not have any more kills the process, unless the array was opened with
    `guard=True`: then they read as zeros, and the array raises FileChangedError from then on.
    """

    def __init__(
        self, file: OpenFile, pages: NDArray[np.intp], *, squeeze: bool, mode: str = "r", guard: bool = False
    ) -> None:
        super().__init__(file, pages, squeeze=squeeze)
        self._mode = mode
        self._guard = bool(guard)
        self._map()

    def _map(self, older: Mapping | None = None) -> None:
        table, frame = self._file.table, self._frame
        extents = table.extents(self._numbers)
        if self._mode == "r+":
            table.check_apart(self._numbers)
        with self._file.source as source:
            mapping = Mapping(source, self._mode, table.file_size, guard=self._guard, older=older)
        sizes = frame.rows, frame.columns, frame.samples
        view, whole = extents.view(np.arange(len(self._numbers)), *map(range, sizes)), None
        if view is not None:
            pixels = mapping.interface(view.offset, self.shape, self._strides(view), self.dtype)
            whole = partial(mapping.lease, pixels)  # of this very mapping, whatever another thread does to self
        self._mapping, self._extents, self._whole = mapping, extents, whole

    @property
    def mode(self) -> str:
        """How the file was opened: "r", "r+" or "c"."""
        return self._mode

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element, in the file's byte order."""
        dtype = self._frame.dtype
        return dtype.newbyteorder("S") if self._layout.swapped else dtype

    # ---- Reading

    def _touch(self, key: Any) -> None:
        """Raise FileChangedError when the file, or a page that the key selects, is no longer what it was."""
        numbers = self._numbers  # before the table, which a refresh in another thread changes first
        table = self._file.table
        self._mapping.check()
        table.check_size()
        if table.unverified:
            table.verify(numbers[self._pages_of(key)])

    def _pages_of(self, key: Any) -> slice:
        """Return pages among which those are that the key selects."""
        first = key[0] if type(key) is tuple and key else key
        if not self._has_pages or type(first) not in (int, slice):
            return slice(None)
        if type(first) is slice:
            return first
        return slice(first, first + 1 or None)

    def __getitem__(self, key: Any) -> Any:
        """Return what NumPy's indexing selects: a view for basic indices, otherwise a new array; or a scalar."""
        with self._file.source:
            self._touch(key)
            whole = self._whole
            result = self._select(key) if whole is None else whole()[key]
            self._mapping.check()
        return result

    def _view(self) -> NDArray[Any] | None:
        return None if self._whole is None else self[...]

    def _holds(self, array: NDArray[Any]) -> bool:
        return self._mapping.holds(array)

    def _strides(self, view: View) -> tuple[int, ...]:
        page, row, column, sample = view.strides
        return (*[page] * self._has_pages, row, column, *[sample] * self._has_samples)

    def _select(self, key: Any) -> Any:
        index = plan(key, self.shape, self._plan_chunks)
        if not index.is_box:
            return index.finish(map(self._gather, index.requests), self.dtype)
        return index.finish([self._box(request) for request in index.requests], self.dtype)

    def _box(self, request: Request) -> NDArray[Any]:
        """Return a view of the pixels, or a read-only array of them."""
        want = self._want(request)
        view = self._extents.view(*want)
        if view is not None:
            return self._mapping.array(view.offset, tuple(map(len, request)), self._strides(view), self.dtype)
        block = self._gather(request)
        block.flags.writeable = False
        return block

    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        return [self._gather(request) for request in requests]

    def _peek(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        whole = self._whole
        if whole is None:
            return self._read(requests)
        with self._file.source:
            self._touch(...)
            blocks = [indexed(whole(), request) for request in requests]
            self._mapping.check()
        return blocks

    def _gather(self, request: Request) -> NDArray[Any]:
        """Return a new array of the pixels."""
        want = self._want(request)
        block = np.empty(want.shape, self.dtype)
        ascending, targets = want.ascending(block)
        for page, target in zip(want.pages, targets, strict=True):
            self._copy_page(int(page), ascending, target)
        return block.reshape([len(span) for span in request])

    def _copy_page(self, page: int, want: Want, target: NDArray[Any]) -> None:
        view = self._extents.view(np.array([page]), *want[1:])
        if view is not None:
            target[...] = self._mapping.array(view.offset, target.shape, view.strides[1:], self.dtype)
            return
        form = self._extents.form(page)
        for chunk in needed_chunks(form.layout, want)[0]:
            place = Place.of(form.layout, int(chunk))
            offset = self._extents.chunk_offset(page, place)
            place.copy(self._mapping.array(offset, place.shape, form.within_chunk(), self.dtype), want, target)

    def copy(self) -> NDArray[Any]:
        """Read everything into a new, writable numpy.ndarray, in the file's byte order."""
        pixels = np.empty(self.shape, self.dtype)
        with self._file.source:
            self._touch(...)
            _blocks.fill(pixels, self, _blocks.whole(self), lambda request: self._peek([request])[0])
            self._mapping.check()
        return pixels

    @property
    def tile_view(self) -> NDArray[Any]:
        """All pixels as one view of (page, grid row, row, grid column, column[, sample]), without a copy.

        For tiles and strips at equal distances whose sizes divide those of the page; the page axis is always there.
        Raises NotMappableError for others. `tile_view[p, i, r, j, c]` is the pixel in row `i * chunk rows + r` and
        column `j * chunk columns + c` of page `p`.
        """
        with self._file.source:
            self._touch(...)
            form, layout = self._extents.forms[0], self._layout
            first = self._extents.view(np.arange(len(self._numbers)), range(1), range(1), range(1))
            divides = layout.rows % layout.chunk_rows == 0 and layout.columns % layout.chunk_columns == 0
            if first is None or not form.regular or not divides or len(self._extents.forms) > 1:
                raise NotMappableError(f"{self!r}: its tiles are not at equal distances, or do not divide its pages")
            axes, planar = (form.rows, form.columns), layout.planes > 1
            sizes = [size for axis in axes for size in (axis.parts, axis.size)]
            strides = [stride for axis in axes for stride in (axis.outer, axis.inner)]
            sample = form.samples.outer if planar else form.samples.inner
            shape = (len(self._numbers), *sizes, *[layout.samples] * self._has_samples)
            steps = (first.strides[0], *strides, *[sample] * self._has_samples)
            return self._mapping.array(first.offset, shape, steps, self.dtype)

    # ---- Writing

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign as NumPy does; in mode "r+" by writing to the file, so that a full disk is an OSError."""
        self._require_writable()
        with self._file.source:
            self._touch(key)
            for offsets, length, data in _assignment.pieces(self, self._extents, self._mapping, key, value):
                self._mapping.store(offsets, length, data)
            self._mapping.check()

    def _require_writable(self) -> None:
        if self._mode == "r":
            raise ValueError(
                f"{self!r} was opened for reading; open it with mode='r+' to change the file, or with mode='c' to "
                "change only what is in memory"
            )

    def flush(self) -> None:
        """Wait until all that was assigned in mode "r+" is on the disk; other modes have nothing to wait for.

        Raises OSError when the disk fails. What was assigned may be lost then, and every later flush fails too.
        """
        with self._file.source:
            self._mapping.flush()

    # ---- Lifetime

    def close(self) -> None:
        """Unmap the file and close it. Raises BufferError, and closes nothing, while views of it are alive."""
        self._mapping.close()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the array; the last view that is alive unmaps the file."""
        self._mapping.retire()
        super().close()

    def _check_growing(self) -> None:
        """Raise ValueError in mode "c" too."""
        super()._check_growing()
        if self._mode == "c" and not self.closed:
            raise ValueError(
                f"{self!r} cannot be refreshed: what was assigned in mode 'c' would be lost; open it again"
            )

    def _remap(self) -> None:
        """Put a map of the longer file in the place of this one."""
        self._map(self._mapping)

    def __reduce__(self) -> Any:
        """Pickle what opens the file again: in another process it must be the same file."""
        if self._mode == "c":
            raise TypeError(f"{self!r} cannot be pickled: what mode 'c' has changed is in this process only")
        return super().__reduce__()

    def _how(self) -> dict[str, Any]:
        return {**super()._how(), "mode": self._mode, "guard": self._guard}

    # ---- Words

    def _ways(self) -> str:
        return self._mode

    def _explain_access(self) -> list[str]:
        forms = self._extents.forms
        if self._whole is not None:
            step = f", {self._whole.args[0]['strides'][0]} bytes from page to page" if len(self._numbers) > 1 else ""
            return [f"mapped as one array over all pages{step}: every basic index is a view"]
        if all(form.regular and form.columns.parts == 1 for form in forms):
            return ["mapped page by page: a basic index is a view within a page, and over pages at equal distances"]
        return ["mapped tile by tile: a basic index is a view within a tile, and assembled across tiles"]
