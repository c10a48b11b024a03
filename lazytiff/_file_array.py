"""What arrays of the pages of a file share, and the pages themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lazytiff._chunks import Want
from lazytiff._levels import find_levels
from lazytiff._recipe import Recipe, restore_page
from lazytiff._tones import RGB, YCBCR, tone_of_page
from lazytiff._words import WordedArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lazytiff._file import OpenFile
    from lazytiff._indexing import Request
    from lazytiff._pages import FrameType, Layout
    from lazytiff._tags import Tags
    from lazytiff._tones import Tones


class FileArray(WordedArray):
    """Pages of one frame type as an array; the array for as long as the file is open.

    The axes are (page, row, column[, sample]), samples last however they are stored; a single page without its page
    axis is (row, column[, sample]).

    `_numbers` is asked for before the table: of a stack that grows, the table has caught up with it then, and not
    before.
    """

    _lazy_type: ClassVar[type[FileArray]]  # of levels: LazyTiff, as `_lazy` says, which knows more than this room
    _reduced: tuple[int, list[FileArray]] | None = None  # the levels below, and for how many pages they were looked up

    def __init__(self, file: OpenFile, pages: NDArray[np.intp], *, squeeze: bool) -> None:
        self._file = file
        self._numbers = pages
        self._layout: Layout = file.table.layout(int(pages[0]))
        self._has_pages = not squeeze or len(pages) > 1
        self._has_samples = self._layout.samples > 1

    @property
    def _frame(self) -> FrameType:
        return self._layout.frame_type

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        frame = self._frame
        return (
            *[len(self._numbers)] * self._has_pages,
            frame.rows,
            frame.columns,
            *[frame.samples] * self._has_samples,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element, in this machine's byte order."""
        return self._frame.dtype

    @property
    def axes(self) -> str:
        """One letter per axis: I page, Y row, X column, S sample."""
        return self._known_axes

    @property
    def _known_axes(self) -> str:
        """Return what `axes` can say without reading anything."""
        return "I" * self._has_pages + "YX" + "S" * self._has_samples

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis of the first page's strips or tiles."""
        layout = self._layout
        samples = layout.samples if layout.planes == 1 else 1
        return (*[1] * self._has_pages, layout.chunk_rows, layout.chunk_columns, *[samples] * self._has_samples)

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        """Pages can be read scattered, rows of a single page cannot: strips of one row are planned two by two."""
        first, *others = self.chunk_shape
        return (first if self._has_pages else max(first, 2), *others)

    @property
    def _workers(self) -> int | None:
        return self._file.reader.workers

    @property
    def _paths(self) -> set[str]:
        return {self.path} if self.path else set()

    @property
    def _photometric(self) -> int:
        layout = self._layout
        return RGB if layout.photometric == YCBCR and layout.planes == 1 else layout.photometric

    def _rank(self, request: Request, /) -> int:
        return int(self._numbers[np.asarray(request[0])].min()) if self._has_pages else 0

    def _tones(self, request: Request) -> Tones:
        pages = self._numbers[np.asarray(request[0] if self._has_pages else range(1))]
        tones = [tone_of_page(self._file.table, page) for page in pages.tolist()]
        return np.array(tones, object).reshape(-1, *(1,) * (len(request) - 1))

    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        wants = [self._want(request) for request in requests]
        wants = [want._replace(pages=self._numbers[want.pages]) for want in wants]
        blocks = self._file.reader.read(wants, self.dtype)
        return [block.reshape([len(span) for span in request]) for request, block in zip(requests, blocks, strict=True)]

    def _want(self, request: Request) -> Want:
        """Return what a request is for, with pages numbered by their position in this array."""
        first = request[0] if self._has_pages else range(1)
        pages = first if isinstance(first, np.ndarray) else np.arange(first.start, first.stop, first.step)
        rows, columns, *samples = request[self._has_pages :]
        return Want(pages, rows, columns, samples[0] if samples else range(1))  # type: ignore[arg-type]

    @property
    def pages(self) -> Sequence[TiffPage]:
        """The array's pages, each a lazy array with its own tags."""
        return PageList(self._file, self._numbers)

    @property
    def levels(self) -> Sequence[FileArray]:
        """The pyramid: this array, then the reduced versions of all its pages by falling size, each a LazyTiff.

        Reduced versions are SubIFDs of the pages (OME-TIFF), or follow their page in the file (Cloud Optimized
        GeoTIFF): images that NewSubfileType (or SubfileType) calls reduced and no mask, with the dtype, samples and
        photometric interpretation of the array and fewer rows and columns. A size counts when every page has it.
        Levels have a page axis when the array has one; the levels of a level are that one and the smaller ones. They
        are looked up when they are asked for, and anew when the array has grown. A SubIFD that is broken is left out
        with a TiffWarning. Raises LimitError when there are more SubIFDs than `lazytiff.limits.max_pages` or than the
        file can hold, or deeper ones than `max_depth`; ClosedError after `close()`.
        """
        numbers = self._numbers
        with self._file.source:
            found = self._reduced
            if found is None or found[0] != len(numbers):
                self._reduced = found = len(numbers), self._find_levels(numbers)
        return [self, *found[1]]

    def _find_levels(self, numbers: NDArray[np.intp]) -> list[FileArray]:
        found = find_levels(self._file, numbers) if len(numbers) else []
        levels = [self._lazy_type(file, pages, squeeze=not self._has_pages) for file, pages in found]
        for position, level in enumerate(levels):
            level._chosen = level._numbers.tolist()  # noqa: SLF001  # of an array that is being made
            level._reduced = len(numbers), levels[position + 1 :]  # noqa: SLF001  # and not itself: no circle
        return levels

    @property
    def tags(self) -> Tags:
        """Tags of the first page."""
        first = int(self._numbers[0])
        return self._file.table.tags(first)


class TiffPage(FileArray):
    """One page of a file as an array of (row, column[, sample]), and all that the file says of it.

    A page that cannot be read still has its tags; whatever concerns its pixels then raises the reason.
    """

    def __init__(self, file: OpenFile, number: int) -> None:
        self._file = file
        self._numbers = np.array([number])
        self._has_pages = False

    @property
    def _layout(self) -> Layout:  # type: ignore[override]  # looked up late, as it may be an error
        return self._file.table.layout(int(self._numbers[0]))

    @property
    def _has_samples(self) -> bool:  # type: ignore[override]
        return self._layout.samples > 1

    @property
    def number(self) -> int:
        """Which page of the file, or of its parent's SubIFDs, this is."""
        return int(self._numbers[0])

    @property
    def compression(self) -> str:
        """Name of the compression scheme, or its number where that has none; "0" when the tag is unreadable."""
        return self._file.table.layout(self.number, readable=False).codec

    @property
    def subpages(self) -> Sequence[TiffPage]:
        """Pages of the IFDs that this page's SubIFDs tag lists: reduced or related images."""
        below = self._file.below(self.number)
        return [] if below is None else PageList(below, range(len(below.table)))

    @property
    def pages(self) -> Sequence[TiffPage]:
        """A list of this one page."""
        return [self]

    def __reduce__(self) -> Any:
        """Pickle what opens the file again, for this page."""
        return restore_page, (type(self), Recipe.of(self._file, self._numbers), self.number)

    def __repr__(self) -> str:
        if self._file.table.layout(self.number, readable=False).problem:
            return f"<TiffPage {self.number} of {self._name()}, unreadable>"
        return f"<TiffPage {self.number} of {self._describe()}>"


class PageList(Sequence[TiffPage]):
    """Pages of a file, made when they are asked for: a read-only sequence."""

    def __init__(self, file: OpenFile, numbers: Sequence[int] | NDArray[np.intp]) -> None:
        self._file = file
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return PageList(self._file, self._numbers[index])
        return TiffPage(self._file, int(self._numbers[index]))

    def __iter__(self) -> Iterator[TiffPage]:
        return (TiffPage(self._file, int(number)) for number in self._numbers)

    def __repr__(self) -> str:
        return f"<{len(self)} pages>"
