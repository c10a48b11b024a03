"""What a stack that is being written looks like to those who read it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _summary
from lazytiff._described import DescribedArray
from lazytiff._file import Opened
from lazytiff._pages import FrameType
from lazytiff.errors import ClosedError, EmptyStackError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from numpy.typing import NDArray

    from lazytiff._file import OpenFile
    from lazytiff._pages import Layout
    from lazytiff._tags import Tags
    from lazytiff._writer import PageWriter


class GrowingArray(DescribedArray):
    """The pages that a writer has published, as an array: whatever was appended reads back.

    `_writer` alone knows how many pages there are; the page table follows when somebody reads.
    """

    def __init__(self, file: OpenFile, writer: PageWriter, dtype: np.dtype[Any]) -> None:
        self._file = file
        self._writer = writer
        self._sample = dtype.newbyteorder("=")
        self._frame_type: FrameType | None = None  # of the first page, as soon as it is on its way
        self._page_shape: tuple[int, ...] | None = None
        self._has_pages = True
        self._all_numbers = np.arange(0)
        self._renew()
        file.source.after_fork(self._renew)

    def _renew(self) -> None:
        """Take a new lock: after a fork the old one may be held by a thread that is no more."""
        self._appending = threading.RLock()

    def _settle(self, frame: FrameType | None) -> None:
        """Say what all pages are like; None: the first one may still say it."""
        self._frame_type, self._page_shape = frame, None if frame is None else page_shape(frame)

    def _catch_up(self) -> None:
        """Take in the pages that were appended since somebody looked."""
        if len(self._file.table) < self._writer.pages:
            with self._file.refreshing:
                self._file.refresh()

    @property
    def _numbers(self) -> NDArray[np.intp]:  # type: ignore[override]
        self._catch_up()
        count = min(self._writer.pages, len(self._file.table))
        numbers = self._all_numbers  # once: another thread may put shorter ones there
        if len(numbers) < count:
            self._all_numbers = numbers = np.arange(2 * count)
        return numbers[:count]

    @property
    def _layout(self) -> Layout:  # type: ignore[override]
        self._require_pages()
        self._catch_up()
        return self._file.table.layout(0)

    @property
    def _frame(self) -> FrameType:
        frame = self._frame_type if self._writer.pages else None
        return frame or FrameType(0, 0, 1, self._sample, 1)

    @property
    def _has_samples(self) -> bool:  # type: ignore[override]
        return self._frame.samples > 1

    def _require_pages(self) -> None:
        if not self._writer.pages:
            raise EmptyStackError(
                f"{self._file.source.name} has no pages yet: append one, then there is something to read"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis: (0, 0, 0) before the first page."""
        pages = self._writer.pages  # before the frame, which is known when there is a page
        return (pages, *page_shape(self._frame))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element, in this machine's byte order."""
        return self._sample

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis of the pages' strips or tiles; zeros before the first page."""
        return super().chunk_shape if self._writer.pages else (1, 0, 0)

    def __getitem__(self, key: Any) -> Any:
        """Read what NumPy's indexing selects of the pages so far: a new array, or a scalar."""
        self._require_pages()
        return super().__getitem__(key)

    @property
    def mode(self) -> str:
        """How the file was opened."""
        return "a"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: one process writes."""
        Opened.__reduce__(self)

    @property
    def tags(self) -> Tags:
        """Tags of the first page."""
        self._require_pages()
        return super().tags

    def refresh(self) -> int:
        """Return 0: all pages come through this array."""
        if self.closed:
            raise ClosedError(f"{self._file.source.name} was closed; open it again")
        return 0

    def follow(self, start: int = -1, timeout: float | None = None, poll: float = 0.05) -> Iterator[NDArray[Any]]:
        """Do as LazyTiff's, with pages that other threads append, until the array is closed."""
        return _until_closed(super().follow(start, timeout, poll))

    # ---- Words

    def _ways(self) -> str:
        if not self._writer.pages:
            return "no pages yet"
        try:
            return super()._ways()
        except ClosedError:  # before anybody looked at the pages
            return self._writer.codec

    def explain(self) -> str:
        """Tell in words how the pixels are stored and how they are read."""
        if self._writer.pages:
            return super().explain()
        return f"{self!r}\nfile: {self._file.source.name}, {self._size()} bytes, {self._file.table}"

    def _size(self) -> int:
        """Return the size of the file, which may have lost its name."""
        try:
            with self._file.source:
                return self._file.source.handle.size()
        except ClosedError:
            with suppress(FileNotFoundError):
                return os.path.getsize(self.path or "")
            return self._file.table.file_size

    def __str__(self) -> str:
        """Return the lines that TiffImages.jl shows: the kind of file, its size, and how much it may grow."""
        size = self._size()
        state = "closed" if self.closed else "readonly" if self._writer.is_dead else "writable"
        addressable = (1 << (64 if self._writer.bigtiff else 32)) - 1
        return _summary.block("AppendTiff", self._sample, self.shape, state=state, size=size, addressable=addressable)


def _until_closed(pages: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    with suppress(ClosedError):
        yield from pages


def page_shape(frame: FrameType) -> tuple[int, ...]:
    return (frame.rows, frame.columns, *[frame.samples] * (frame.samples > 1))
