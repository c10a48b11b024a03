"""An open TIFF file as a whole: `TiffFile`, and what its arrays share."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _codecs
from lazytiff._cache import ChunkCache
from lazytiff._lazy import LazyTiff, PageList, too_deep
from lazytiff._limits import limits
from lazytiff._pages import PageTable
from lazytiff._reading import ChunkReader
from lazytiff._source import Source
from lazytiff._warn import warn
from lazytiff.errors import CorruptTiffError, EmptyStackError, FrameTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from lazytiff._lazy import TiffPage


class OpenFile:
    """What the arrays of one file share: the source, the cache, and the pages of one chain of IFDs."""

    def __init__(
        self, source: Source, cache: ChunkCache, workers: int | None, table: PageTable, depth: int = 0
    ) -> None:
        self.source = source
        self.cache = cache
        self.table = table
        self.reader = ChunkReader(table, cache, workers)
        self._depth = depth
        self._below: dict[int, Sequence[TiffPage]] = {}

    @classmethod
    def open(cls, file: Any, workers: int | None, cache_bytes: int, codecs: str | Iterable[str]) -> OpenFile:
        """Open the file and find its pages; warn once of what is wrong with them."""
        if workers is not None and operator.index(workers) < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        if cache_bytes < 0:
            raise ValueError(f"cache_bytes must not be negative, and is {cache_bytes}")
        numbers = _codecs.numbers_of(codecs)
        source = Source(file)
        try:
            table = PageTable(source, limits, numbers)
            if table.warnings:
                warn(f"{source.name}: {'; '.join(table.warnings)}")
        except BaseException:
            source.close()
            raise
        cache = ChunkCache(cache_bytes)
        source.after_fork(cache.renew)
        return cls(source, cache, workers, table)

    def subpages(self, page: int) -> Sequence[TiffPage]:
        """Return the pages of the IFDs that the page's SubIFDs tag lists; they are looked up once."""
        with self.source:  # so that they are refused when it is closed, and registered with it before it can be
            if page not in self._below:
                self._below[page] = self._open_below(page)
            return self._below[page]

    def _open_below(self, page: int) -> Sequence[TiffPage]:
        offsets = self.table.tags(page).get("SubIFDs", ())
        offsets = offsets if isinstance(offsets, tuple) else (offsets,)
        if not offsets:
            return []
        if not all(isinstance(offset, int) and offset >= 0 for offset in offsets):
            raise CorruptTiffError(f"{self.source.name}: page {page}: what its SubIFDs tag holds are no offsets")
        if self._depth >= limits.max_depth:
            raise too_deep(f"{self.source.name}: page {page}", limits.max_depth)
        table = PageTable(self.source, limits, self.table.codecs, offsets)
        below = OpenFile(self.source, self.cache, self.reader.workers, table, self._depth + 1)
        return PageList(below, range(len(table)))

    def stack(self, pages: int | slice | Sequence[int] | None, *, squeeze: bool) -> LazyTiff:
        """Return the chosen pages, which must be of one frame type, as one array."""
        if len(self.table) == 0:
            raise EmptyStackError(f"{self.source.name} has no pages yet")
        numbers = _choose(pages, len(self.table))
        self._require_one_frame_type(numbers)
        return LazyTiff(self, numbers, squeeze=squeeze)

    def _require_one_frame_type(self, numbers: NDArray[np.intp]) -> None:
        first = self.table.layout(int(numbers[0])).frame_type
        layouts = {number: self.table.layouts[number] for number in self.table.count_layouts(numbers)}
        odd = [number for number, layout in layouts.items() if layout.problem or layout.frame_type != first]
        if odd:
            at = int(np.flatnonzero(np.isin(self.table.layout_numbers[numbers], odd))[0])
            raise FrameTypeError(self._describe_odd_page(int(numbers[0]), int(numbers[at])))

    def _describe_odd_page(self, first: int, odd: int) -> str:
        layout = self.table.layout(odd, readable=False)
        what = "cannot be read" if layout.problem else f"is {layout.frame_type}"
        return (
            f"{self.source.name}: page {odd} {what}, page {first} is {self.table.layout(first).frame_type}; they "
            "are no stack: choose with `pages=`, or see `lazytiff.TiffFile(path).stacks`, an array for each type"
        )

    def stacks(self) -> list[LazyTiff]:
        """Return an array for each frame type, in the order of their first pages."""
        groups: dict[Any, list[NDArray[np.intp]]] = {}
        numbers = self.table.layout_numbers
        for number in self.table.count_layouts(slice(None)):
            layout = self.table.layouts[number]
            if not layout.problem:
                groups.setdefault(layout.frame_type, []).append(np.flatnonzero(numbers == number))
        pages = sorted((np.sort(np.concatenate(group)) for group in groups.values()), key=lambda group: int(group[0]))
        return [LazyTiff(self, group, squeeze=False) for group in pages]


def _choose(pages: int | slice | Sequence[int] | None, count: int) -> NDArray[np.intp]:
    """Return the chosen page numbers; raise IndexError for one that is not there, ValueError when none is chosen."""
    everything = np.arange(count)
    if pages is None:
        return everything
    if isinstance(pages, slice):
        chosen = everything[pages]
    else:
        wanted = np.atleast_1d(np.asarray(pages))
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise TypeError(f"pages must be an int, a slice or a sequence of int, not {pages!r}")
        outside = next(itertools.compress(wanted, (wanted < -count) | (wanted >= count)), None)
        if outside is not None:
            raise IndexError(f"there is no page {outside}: the file has {count} pages")
        chosen = everything[wanted.astype(np.intp)]
    if not len(chosen):
        raise ValueError(f"pages={pages!r} chooses none of the file's {count} pages")
    return chosen


class TiffFile:
    """Every page of a TIFF file, whatever their mixture. A context manager.

    file, workers, cache_bytes and codecs: as for `lazytiff.open`. A file without pages has `len(pages) == 0`.
    """

    def __init__(
        self,
        file: Any,
        *,
        workers: int | None = None,
        cache_bytes: int = 64 << 20,
        codecs: str | Iterable[str] = "default",
    ) -> None:
        self._file = OpenFile.open(file, workers, cache_bytes, codecs)

    @property
    def pages(self) -> Sequence[TiffPage]:
        """One lazy array for each page, with its tags and SubIFDs."""
        return PageList(self._file, range(len(self._file.table)))

    @property
    def stacks(self) -> list[LazyTiff]:
        """One lazy array with a page axis for each frame type among the readable pages, in the order of their pages."""
        return self._file.stacks()

    @property
    def path(self) -> str | None:
        """Absolute path of the file; None when the bytes come from memory or an object."""
        return self._file.source.path

    @property
    def bigtiff(self) -> bool:
        """Whether the file is a BigTIFF file."""
        return self._file.table.bigtiff

    @property
    def byteorder(self) -> str:
        """'<' or '>': how numbers are stored."""
        return ">" if self._file.table.big_endian else "<"

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._file.source.closed

    def close(self) -> None:
        """Close the file, for its arrays too. Reads that are under way end first. May be called again."""
        self._file.source.close()

    def __enter__(self) -> Self:
        """Close the file at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<TiffFile {self._file.source.name!r}, {len(self._file.table)} pages>"
