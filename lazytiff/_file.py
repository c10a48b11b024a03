"""An open TIFF file: what the arrays of its pages share."""

from __future__ import annotations

import operator
import threading
from typing import TYPE_CHECKING, Any

from lazytiff import _codecs
from lazytiff._cache import ChunkCache
from lazytiff._limits import limits
from lazytiff._pages import PageTable
from lazytiff._reading import ChunkReader
from lazytiff._source import Source
from lazytiff._subfiles import subfile_types
from lazytiff._warn import warn
from lazytiff.errors import CorruptTiffError, LimitError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from types import TracebackType
    from typing import NoReturn, Self

    import numpy as np
    from numpy.typing import NDArray


def check_settings(workers: int | None, cache_bytes: int, codecs: str | tuple[str, ...]) -> tuple[int, ...]:
    """Raise ValueError for what no file can be opened with; return the numbers of the codecs."""
    if workers is not None and operator.index(workers) < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    if cache_bytes < 0:
        raise ValueError(f"cache_bytes must not be negative, and is {cache_bytes}")
    return _codecs.numbers_of(codecs)


class OpenFile:
    """What the arrays of one file share: the source, the cache, and the pages of one chain of IFDs."""

    def __init__(self, source: Source, reader: ChunkReader, depth: int = 0) -> None:
        self.source = source
        self.cache = reader.cache
        self.table = reader.table
        self.reader = reader
        self.settings: dict[str, Any] = {}  # what `open` was given
        self.depth = depth  # 0: the file's chain; SubIFDs are below
        self._below: dict[int, OpenFile | None] = {}
        self._types: tuple[PageTable, NDArray[np.intp]] | None = None
        self._renew()

    def _renew(self) -> None:
        """Take a new lock: after a fork the old one may be held by a thread that is no more."""
        self.refreshing = threading.RLock()  # of who looks for pages, until what he has found is in his array

    @classmethod
    def open(
        cls,
        file: Any,
        workers: int | None,
        cache_bytes: int,
        codecs: str | Iterable[str],
        access: str = "r",
        *,
        whole: bool = False,
        shared: tuple[ChunkCache, Hashable] | None = None,
    ) -> OpenFile:
        """Open the file and find its pages, if whole only those that are; warn once of what is wrong with them.

        shared: a cache of several files, and under which name this one's chunks are in it.
        """
        codecs = codecs if isinstance(codecs, str) else tuple(codecs)
        check_settings(workers, cache_bytes, codecs)
        source = Source(file, access)
        try:
            opened = cls.of(source, workers, cache_bytes, codecs, whole=whole, shared=shared)
            opened.warn()
        except BaseException:
            source.close()
            raise
        return opened

    @classmethod
    def of(
        cls,
        source: Source,
        workers: int | None,
        cache_bytes: int,
        codecs: str | tuple[str, ...],
        *,
        whole: bool = False,
        shared: tuple[ChunkCache, Hashable] | None = None,
    ) -> OpenFile:
        """Find the pages of a source."""
        table = PageTable.open(source, limits, _codecs.numbers_of(codecs), whole=whole)
        cache, name = (ChunkCache(cache_bytes), None) if shared is None else shared
        source.after_fork(cache.renew)
        opened = cls(source, ChunkReader(table, cache, workers, name))
        source.after_fork(opened._renew)
        opened.settings = {"workers": workers, "cache_bytes": cache_bytes, "codecs": codecs}
        return opened

    def warn(self) -> None:
        """Warn of what is wrong with the file's pages."""
        if self.table.warnings:
            warn(f"{self.source.name}: {'; '.join(self.table.warnings)}")

    def refresh(self) -> bool:
        """Look for pages that came; return whether there are any. FileChangedError when those known are gone.

        For one thread at a time: the one that has taken `refreshing`.
        """
        table = self.table.refresh()
        if len(table) == len(self.table) and table.file_size == self.table.file_size:
            return False
        self.use(table)
        return True

    def use(self, table: PageTable) -> None:
        """Read from that table of the same file from now on."""
        self.reader = self.reader.of(table)  # first: who sees the table asks the reader for its pages
        self.table = table

    def below(self, page: int) -> OpenFile | None:
        """Return the pages of the IFDs that the page's SubIFDs tag lists, looked up once; None when there are none."""
        with self.source:  # so that they are refused when it is closed, and registered with it before it can be
            if page not in self._below:
                self._below[page] = self._open_below(page)
            return self._below[page]

    def _open_below(self, page: int) -> OpenFile | None:
        where = f"{self.source.name}: page {page}"
        offsets = self.table.tags(page).get("SubIFDs", ())
        offsets = offsets if isinstance(offsets, tuple) else (offsets,)
        if not offsets:
            return None
        if not all(isinstance(offset, int) and offset >= 0 for offset in offsets):
            raise CorruptTiffError(f"{where}: what its SubIFDs tag holds are no offsets")
        opened = self.listed(offsets, where)
        if opened.table.warnings:
            warn(f"{where}, SubIFDs: {'; '.join(opened.table.warnings)}")
        return opened

    def listed(self, offsets: Sequence[int] | NDArray[np.uint64], where: str, *, lenient: bool = False) -> OpenFile:
        """Return the pages of the IFDs at these offsets, which SubIFDs tags list; lenient: what is none is a bad page.

        LimitError, which says where, when these are too deep below the chain.
        """
        if self.depth >= limits.max_depth:
            raise LimitError(f"{where}: SubIFDs within SubIFDs more than {limits.max_depth} deep (limits.max_depth)")
        table = PageTable.open(self.source, limits, self.table.codecs, offsets, lenient=lenient)
        return OpenFile(self.source, ChunkReader(table, self.cache, self.reader.workers), self.depth + 1)

    def subfile_types(self) -> NDArray[np.intp]:
        """Return what `_subfiles.subfile_types` tells of all pages, looked up once."""
        table, known = self.table, self._types
        if known is None or known[0] is not table:
            self._types = known = table, subfile_types(table, table.numbers)
        return known[1]


class Closing:
    """What is closed at the end of a `with` block."""

    def close(self) -> None:
        """Close it. May be called again."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Opened(Closing):
    """What has an open file: it can be asked for it, and closed. A context manager."""

    _file: OpenFile

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: an open file stays in its process."""
        raise TypeError(
            f"{type(self).__name__} objects cannot be pickled; open {self.path or 'the file'} for reading in the other "
            "process"
        )

    @property
    def path(self) -> str | None:
        """Absolute path of the file; None when the bytes come from memory or an object."""
        return self._file.source.path

    @property
    def closed(self) -> bool:
        """Whether the file was closed; then nothing more can be read."""
        return self._file.source.closed

    def close(self) -> None:
        """Close the file, for all arrays that share it. Reads under way end first. May be called again."""
        self._file.source.close()
