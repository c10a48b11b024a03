"""Pickling: what opens files again, in this process or in another, which must be the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from lazytiff._choice import choose_stack
from lazytiff._file import OpenFile
from lazytiff._limits import limits
from lazytiff._pages import PageTable
from lazytiff._refreshing import RefreshingArray
from lazytiff._source import Source
from lazytiff.errors import ClosedError, CorruptTiffError, FileChangedError, FrameTypeError, NotTiffError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from lazytiff._file_array import FileArray, TiffPage

    Array = TypeVar("Array", bound=FileArray)
    Many = TypeVar("Many")


# ---- One file


class Mark(NamedTuple):
    """What tells a page from one of another file."""

    ifd: int  # where it is
    hash: int  # of it
    looks: tuple[int, ...]  # where its pixels are, and how they are stored

    def is_of(self, found: Mark, table: PageTable, *, promoted: bool) -> bool:
        """Tell whether what is found is the page, as `refresh` does: its IFD may be a copy, or one of BigTIFF now."""
        return found.looks == self.looks and (promoted or found.hash == self.hash or self._is_behind(table))

    def _is_behind(self, table: PageTable) -> bool:
        """Tell whether the IFD is where it was, though the chain goes by a copy that has another description."""
        old = PageTable.open(table.source, limits, table.codecs, [self.ifd], lenient=True)
        return old.marks(old.numbers) == [(self.ifd, self.hash)]


def look(table: PageTable, pages: Iterable[int]) -> dict[int, Mark]:
    """Mark pages, which may be unreadable."""
    numbers = np.array(sorted(set(pages)))
    marks: dict[int, Mark] = {}
    for page, mark, place in zip(numbers.tolist(), table.marks(numbers), table.places(numbers), strict=True):
        layout = table.layout(page, readable=False)
        sizes = layout.rows, layout.columns, layout.samples, layout.kind, layout.item_size
        marks[page] = Mark(*mark, (table.big_endian, *place, *sizes, layout.compression, layout.photometric))
    return marks


class Recipe(NamedTuple):
    """What opens a file again, which must be the same one: it may have grown."""

    path: str
    settings: dict[str, Any]
    access: str
    size: int
    bigtiff: bool
    marks: dict[int, Mark]  # by page

    @classmethod
    def of(cls, file: OpenFile, numbers: NDArray[np.intp], access: str = "r") -> Recipe:
        """Mark the first and the last page of the file, as far as it is known, and of those numbers.

        Raises TypeError for pages that cannot be found again, ClosedError when the file was closed.
        """
        source, table = file.source, file.table
        if source.closed:
            raise ClosedError(f"{source.name} was closed; open it again")
        if source.path is None:
            raise TypeError(
                f"{source.name}: what is no file cannot be pickled with its arrays; send its bytes or its name to the "
                "other process, and open them there"
            )
        if file.depth > 0:
            raise TypeError(
                f"{source.name}: pages that SubIFDs list cannot be pickled; pickle the page that lists them, or the "
                "array whose `levels` they are"
            )
        marks = look(table, (0, len(table) - 1, int(numbers[0]), int(numbers[-1])))
        return cls(source.path, file.settings, access, table.file_size, table.bigtiff, marks)

    def open(self) -> OpenFile:
        """Open the file; raise FileChangedError when it is another one, and what opening a file raises."""
        source = Source(self.path, self.access)
        try:
            file = OpenFile.of(source, **self.settings)
            self._check(file.table)
            file.warn()
        except (NotTiffError, CorruptTiffError) as error:
            source.close()
            raise self.changed(str(error)) from error
        except BaseException:
            source.close()
            raise
        return file

    def _check(self, table: PageTable) -> None:
        if table.file_size < self.size:
            raise self.changed(f"it has {table.file_size} bytes, and had {self.size}")
        if len(table) <= max(self.marks):
            raise self.changed(f"it has {len(table)} pages, and had {max(self.marks) + 1}")
        promoted = table.bigtiff and not self.bigtiff
        for page, found in look(table, self.marks).items():
            if not self.marks[page].is_of(found, table, promoted=promoted):
                raise self.changed(f"page {page} is not what it was")

    def changed(self, why: str) -> FileChangedError:
        """Return the error that tells of another file."""
        return FileChangedError(
            f"{self.path}: the file is another one than that of which the array was pickled ({why})"
        )


class PickledArray(RefreshingArray):
    """Pages of a file that are pickled as what opens them again: with the pages that there are now, and no others."""

    @property
    def mode(self) -> str:
        """How the file was opened."""
        return "r"

    def _how(self) -> dict[str, Any]:
        """Return what else the array was made with."""
        return {"squeeze": not self._has_pages}

    def __reduce__(self) -> Any:
        """Pickle what opens the file again: in another process it must be the same file."""
        numbers = self._numbers
        recipe = Recipe.of(self._file, numbers, self.mode)
        chosen = self._chosen if isinstance(self._chosen, slice | None) else ()  # which does not grow, whatever it is
        return restore, (type(self), recipe, _range_or_array(numbers), chosen, self._how())

    def _marks(self) -> list[tuple[int, int]]:
        """Return what tells the first and the last page from others."""
        ends = self._numbers[[0, -1]]  # before the table, which a refresh in another thread changes first
        return self._file.table.marks(ends)

    def _identity(self) -> tuple[Any, ...]:
        numbers, file = self._numbers, self._file
        if self.mode != "r" or file.source.access != "r" or file.source.path is None or file.depth > 0:
            return super()._identity()  # what is written through a map shows in no time of change
        packed = _range_or_array(numbers)
        pages = (packed.start, packed.stop, packed.step) if isinstance(packed, range) else packed.tobytes()
        with file.source as source:
            state = source.path, source.handle.size(), source.handle.modified()
        return (type(self).__name__, *state, pages, tuple(self._how().items()), *self._marks())


def _range_or_array(numbers: NDArray[np.intp]) -> range | NDArray[np.intp]:
    """Return a range where the numbers are one: it pickles in a few bytes."""
    first, step = int(numbers[0]), int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
    if step and np.array_equal(numbers, np.arange(len(numbers)) * step + first):
        return range(first, first + len(numbers) * step, step)
    return numbers


def restore(
    kind: type[Array],
    recipe: Recipe,
    pages: range | NDArray[np.intp],
    chosen: slice | tuple[()] | None,
    how: dict[str, Any],
) -> Array:
    """Open the file again, for an array of these pages; raise FileChangedError when it is another one."""
    file = recipe.open()
    try:
        everything = isinstance(pages, range) and pages == range(len(file.table))
        array = kind(file, choose_stack(file.table, None if everything else pages), **how)  # type: ignore[arg-type]
    except (FrameTypeError, IndexError) as error:
        file.source.close()
        raise recipe.changed(str(error)) from error
    except BaseException:
        file.source.close()
        raise
    array._chosen = chosen  # noqa: SLF001  # of an array that is being made
    return array


def restore_level(full: tuple[Any, ...], size: tuple[int, int], marks: list[tuple[int, int]]) -> FileArray:
    """Open the file again, for the level of that size of the array that `restore` makes; marks: of its ends."""
    array: FileArray = restore(*full)
    try:
        found = next((level for level in array.levels if level._frame[:2] == size and level._marks() == marks), None)  # noqa: SLF001  # of this room
    except BaseException:
        array.close()
        raise
    if found is None:
        array.close()
        raise FileChangedError(f"{array.path}: it has no level of {size[0]} x {size[1]} any more, or another one")
    return found


def restore_page(kind: type[TiffPage], recipe: Recipe, number: int) -> TiffPage:
    """Open the file again, for one of its pages."""
    return kind(recipe.open(), number)


# ---- Many files


class Known(NamedTuple):
    """What tells a file that was opened from another one."""

    size: int
    ends: list[tuple[int, int]]  # marks of the first and the last page

    def has_become(self, found: Known) -> bool:
        """Tell whether that is the same file, which may have grown."""
        return found.size >= self.size and found.ends == self.ends


def packed(known: dict[int, Known]) -> list[NDArray[Any]]:
    """Return what is known of one file or more as arrays, which pickle in little time."""
    sizes, ends = zip(*known.values(), strict=True)
    return [np.array(list(known)), np.array(sizes), np.array(ends, np.uint64)]


def restore_many(again: Callable[..., Many], paths: Sequence[str], arrays: list[NDArray[Any]]) -> Many:
    """Open files again by `again`, those that were known as what they were."""
    numbers, sizes, marks = (array.tolist() for array in arrays)
    known = [Known(size, list(map(tuple, ends))) for size, ends in zip(sizes, marks, strict=True)]
    return again(paths, known=dict(zip(numbers, known, strict=True)))
