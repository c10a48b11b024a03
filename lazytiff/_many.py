"""MultiTiff: many files as one array, their pages one after another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._choice import choose_stack
from lazytiff._file import Closing
from lazytiff._file_array import FileArray, TiffPage
from lazytiff._joined import Joined, split
from lazytiff._recipe import Known, packed, restore_many
from lazytiff._resolution import steps_of_tags
from lazytiff._shelf import Shelf, stamp
from lazytiff.errors import ClosedError, FileChangedError, FrameTypeError, MissingPlaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from lazytiff._cache import CacheInfo
    from lazytiff._dimensions import Step
    from lazytiff._file import OpenFile
    from lazytiff._pages import FrameType
    from lazytiff._tags import Tags
    from lazytiff._tiff_array import TiffArray


class MultiTiff(Closing, Joined):
    """Many files as one array of (page, row, column[, sample]): `lazytiff.open([paths])`, `lazytiff.open("run/*.tif")`.

    The first file is opened when the array is made, another one when one of its pages is touched. No more than 64 are
    open at a time, and one cache of `cache_bytes` serves all. A file whose pages do not go with those of the first
    one raises FrameTypeError when it is touched; one that is no longer what it was, FileChangedError.

    When the first file has one page, so must the others have, which is seen when they are touched; when it has more,
    or with `check=True`, all files are looked at when the array is made, and may have different numbers of pages.
    Threads may share the array. It can be pickled: files that were looked at must be the same then when they are
    touched, or raise FileChangedError.
    """

    _axis = 0
    _is_new = False

    def __init__(
        self,
        paths: Sequence[Any],
        *,
        check: bool = False,
        counts: Sequence[int] | NDArray[np.intp] | None = None,
        is_set: bool = False,
        accept: Callable[[int, OpenFile], None] | None = None,
        known: dict[int, Known] | None = None,
        workers: int | None = None,
        cache_bytes: int = 64 << 20,
        codecs: str | Iterable[str] = "default",
    ) -> None:
        """Open the first file.

        counts: how many pages of each are this array's; is_set: they may have more; accept: raises for a wrong file;
        known: of files that were opened before, what tells each from another one.
        """
        self._known: dict[int, Known] = {} if known is None else known  # by number
        self._accept = accept
        self._is_set = is_set
        self._counts = None if counts is None else np.asarray(counts, np.intp)
        self._frame: FrameType | None = None
        self._asked_workers = workers
        self._shelf = Shelf(paths, workers, cache_bytes, codecs, self._examine, known=self._known)
        try:
            self._first = self._shelf.open_for_good(0)
            self._like = FileArray(self._first, np.arange(1), squeeze=False)
            if self._counts is None:
                alone = len(self._first.table) == 1 and not check
                self._counts = np.ones(len(paths), np.intp) if alone else self._count()
        except BaseException:
            self.close()
            raise
        self._starts = np.concatenate(([0], np.cumsum(self._counts)[:-1]))
        self._length = int(self._counts.sum())

    def _count(self) -> NDArray[np.intp]:
        """Look at all files."""
        counts = []
        for number in range(len(self._shelf.paths)):
            with self._shelf.lend(number) as file:
                counts.append(len(file.table))
        return np.array(counts, np.intp)

    def _examine(self, number: int, file: OpenFile) -> None:
        """Raise when a file that was opened does not go with the first, or is another one than last time."""
        known = self._known.get(number)
        if known is not None and not known.has_become(self._look(number, file)):
            raise FileChangedError(f"{file.source.name}: the file is another one than when it was read before")
        if self._accept is not None:
            self._accept(number, file)
        choose_stack(file.table, None)
        frame = file.table.layout(0).frame_type
        if self._frame is None:
            self._frame = frame
        if frame != self._frame:
            raise FrameTypeError(
                f"{file.source.name}: its pages are {frame}, and those of {self.paths[0]} are {self._frame}; they form "
                "no array: leave this file out"
            )
        self._examine_pages(number, file)

    def _examine_pages(self, number: int, file: OpenFile) -> None:
        pages = len(file.table)
        count = pages if self._counts is None else int(self._counts[number])
        if pages < count and self._is_set:
            raise MissingPlaneError(
                f"{file.source.name}: it has {pages} pages, and the description of its set tells of {count} or more"
            )
        if number not in self._known and pages != count and not self._is_set:
            raise FrameTypeError(
                f"{file.source.name}: it has {pages} pages, and {count} were expected; open the files with check=True, "
                "which counts the pages of all beforehand"
            )
        found = self._look(number, file)
        if self._known.setdefault(number, found).ends != found.ends:  # as another thread has found it meanwhile
            raise FileChangedError(f"{file.source.name}: it became another one while it was opened")

    def _look(self, number: int, file: OpenFile) -> Known:
        table = file.table
        count = len(table) if self._counts is None else int(self._counts[number])
        ends = table.marks(np.array([0, count - 1])) if 0 < count <= len(table) else []
        return Known(table.file_size, ends)

    @contextmanager
    def _borrow(self, part: int) -> Iterator[TiffArray]:
        with self._shelf.lend(part) as file:
            yield FileArray(file, file.table.numbers, squeeze=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return (self._length, *self._like.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element, in this machine's byte order."""
        return self._like.dtype

    @property
    def axes(self) -> str:
        """One letter per axis: I page, Y row, X column, S sample."""
        return self._like.axes

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis of the first page's strips or tiles."""
        return self._like.chunk_shape

    @property
    def resolution(self) -> dict[str, Step]:
        """How far apart pixels of the first page are, as (value, unit), by its tags."""
        return steps_of_tags(self.tags)

    @property
    def _paths(self) -> set[str]:
        return set(self.paths)

    @property
    def _photometric(self) -> int:
        return self._like._photometric  # noqa: SLF001  # same class

    @property
    def paths(self) -> Sequence[str]:
        """Absolute paths of the files, in their order."""
        return self._shelf.paths

    @property
    def mode(self) -> str:
        """How the files were opened."""
        return "r"

    @property
    def pages(self) -> Sequence[TiffPage]:
        """All pages, each a lazy array with its own tags. One that is kept keeps its file open, beside the 64."""
        return _Pages(self)

    def _page(self, number: int) -> TiffPage:
        ((part, local, _),) = split(np.array([number]), self._starts)
        return TiffPage(self._shelf.open_for_good(part), int(local[0]))

    @property
    def tags(self) -> Tags:
        """Tags of the first page."""
        return self._first.table.tags(0)

    def cache_info(self) -> CacheInfo:
        """Tell what the cache of decoded chunks, which serves all files, did and holds."""
        return self._shelf.cache_info()

    @property
    def closed(self) -> bool:
        """Whether the files were closed; then nothing more can be read."""
        return self._shelf.closed

    def close(self) -> None:
        """Close all files. Reads under way raise ClosedError at their next file. May be called again."""
        self._shelf.close()

    def __reduce__(self) -> Any:
        """Pickle what opens the files again: those that were looked at must be the same when they are touched."""
        if self.closed:
            raise ClosedError(f"{self.paths[0]}: the array over this file and others was closed; open it again")
        shelf = self._shelf
        again = partial(
            type(self),
            counts=self._counts,
            is_set=self._is_set,
            accept=self._accept,
            workers=shelf.workers,
            cache_bytes=shelf.cache_bytes,
            codecs=shelf.codecs,
        )
        return restore_many, (again, self.paths, packed(dict(self._known)))

    def _identity(self) -> tuple[Any, ...]:
        counts = () if self._counts is None else self._counts.tolist()
        states = [found and found[1:] for found in map(stamp, self.paths)]  # but for the inode: wherever the file is
        return (type(self).__name__, *self.paths, *counts, *states)

    def __repr__(self) -> str:
        closed = ", closed" if self.closed else ""
        first = os.path.basename(self.paths[0])
        return f"<MultiTiff {len(self.paths)} files from {first!r} on, {self.dtype} {self.shape} {self.axes}{closed}>"


class _Pages(Sequence[TiffPage]):
    """Pages of many files, each made when it is asked for: a read-only sequence."""

    def __init__(self, array: MultiTiff) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        chosen = range(len(self))[index]
        return self._array._page(chosen) if isinstance(chosen, int) else list(map(self._array._page, chosen))  # noqa: SLF001
