"""How an array of a file's pages takes in those that come."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._choice import choose_stack
from lazytiff._file import Opened
from lazytiff._growth import Patience
from lazytiff._tiff_array import TiffArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


class RefreshingArray(Opened, TiffArray):
    """Pages of a file that may grow: `_numbers` of them, along a first axis where there is one."""

    _numbers: NDArray[np.intp]
    _has_pages: bool
    _chosen: int | slice | Sequence[int] | None = None  # of `open`: which pages are added when the file has grown

    def refresh(self) -> int:
        """Take in the pages that came since the file was opened, and return how many those are.

        Only shape[0] changes; arrays that were read before stay as they are. An array of chosen pages grows when they
        were chosen by a slice that new pages continue; otherwise it stays as it is. Raises ValueError when there is no
        page axis to grow, FileChangedError when the pages that were known are not there any more, FrameTypeError when a
        new page does not go with them.
        """
        self._check_growing()
        if self._chosen is not None and not isinstance(self._chosen, slice):
            return 0
        with self._file.refreshing:
            return self._grow()

    def _grow(self) -> int:
        before = len(self._numbers)
        table = self._file.table
        if self._file.refresh() or self._lags:
            try:
                numbers = choose_stack(self._file.table, self._chosen)
                if self._chosen is None or np.array_equal(numbers[:before], self._numbers):
                    self._numbers = numbers
                if len(self._numbers) > before:
                    self._remap()
            except BaseException:
                self._file.use(table)
                self._numbers = self._numbers[:before]
                raise
        return len(self._numbers) - before

    @property
    def _lags(self) -> bool:
        """Whether there are pages to be taken in already: an array that was pickled has the length that it had."""
        chosen = self._chosen if isinstance(self._chosen, slice) else slice(None)
        return len(range(len(self._file.table))[chosen]) > len(self._numbers)

    def _check_growing(self) -> None:
        """Raise ValueError when pages that come cannot be taken in."""
        if not self._has_pages:
            raise ValueError(f"{self!r} has no page axis that could grow; open it with squeeze=False")

    def follow(self, start: int = -1, timeout: float | None = None, poll: float = 0.05) -> Iterator[NDArray[Any]]:
        """Yield pages as they come, each as `self[page]` when all of it is in the file; the array grows with them.

        start: the page to begin with; -1: the first one that the array does not have now. It ends when the writer,
        which holds a lock while it writes, has let go and no page is left; or when no page has come for timeout
        seconds. When no writer holds a lock it ends without a timeout as soon as no page is left. poll: seconds between
        two looks at the file. Raises ValueError when timeout is None where locks do not work, or when there is no page
        axis; and what `refresh` raises.
        """
        patience = Patience(timeout, poll)
        if operator.index(start) < -1:
            raise ValueError(f"start must be a page's number, or -1 for pages that come from now on, not {start}")
        self._check_growing()
        patience.require_end(self._file.source)
        return pages_as_they_come(self, len(self) if start == -1 else start, patience)

    def _remap(self) -> None:
        """Do what it takes to reach pages that came."""


def pages_as_they_come(array: RefreshingArray, start: int, patience: Patience) -> Iterator[NDArray[Any]]:
    """Yield the array's pages from number start on, and those that come."""
    source = array._file.source  # noqa: SLF001  # `follow` is this function
    patience.begin()
    page = start
    while True:
        patience.watch(source)
        array.refresh()
        if page < len(array):
            while page < len(array):
                yield array[page]
                page += 1
            patience.begin()
        elif patience.is_over():
            return
        else:
            patience.wait()
