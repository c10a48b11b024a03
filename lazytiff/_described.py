"""What a file's description makes of its pages: axes with names and lengths, the size of a pixel, the hyperstack."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lazytiff import _descriptions, _imagej, _micromanager_set, _ome_set, _ome_xml, _shaped
from lazytiff._dimensions import Step
from lazytiff._file_array import FileArray
from lazytiff._hyperstack import HyperStack
from lazytiff._placed import Placed, alone, beginning, description
from lazytiff._recipe import restore_level
from lazytiff._resolution import steps_of_tags
from lazytiff.errors import TiffError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from lazytiff._file import OpenFile
    from lazytiff._pages import FrameType
    from lazytiff._tiff_array import TiffArray


@dataclass
class _Description:
    """What is said of an array's pages; placed: None when nothing is said of their axes."""

    placed: Placed | None
    steps: dict[str, Step] = field(default_factory=dict)
    frame: FrameType | None = None  # of the pages
    mark: int = 0  # hash of the text that says it, which may be long


class DescribedArray(FileArray):
    """Pages of a file, with what its description says of them: ImageJ's, OME-XML, Micro-Manager's, tifffile's."""

    _seen: tuple[object, int, _Description] | None = None
    _full: tuple[OpenFile, NDArray[np.intp]] | None = None  # of a reduced level: the pages that it is reduced from

    @property
    def _described(self) -> _Description:
        """Read the description, once for as long as nothing comes."""
        file, numbers = (self._file, self._numbers) if self._full is None else self._full
        seen = self._seen
        if seen is None or seen[:2] != (file.table, len(numbers)):
            found = _describe(file, numbers) if len(numbers) else _Description(None)
            self._seen = seen = (file.table, len(numbers), found if self._full is None else self._reduce(found))
        return seen[2]

    def _grow(self) -> int:
        """Take in pages; and another description, as writers change it when the pages are there already."""
        came, seen = super()._grow(), self._seen
        if seen is not None and self._full is None and hash(description(self._file)) != seen[2].mark:
            self._seen = None
        return came

    def _reduce(self, found: _Description) -> _Description:
        """Return what is said of the full pages as that of these; what is in other files has other levels."""
        full, own = found.frame, self._frame
        factors = {} if full is None else {"Y": full.rows / own.rows, "X": full.columns / own.columns}
        steps = {axis: Step(step.value * factors.get(axis, 1), step.unit) for axis, step in found.steps.items()}
        placed = found.placed
        return _Description(None if placed is None or placed.open_base is not None else placed, steps)

    def _find_levels(self, numbers: NDArray[np.intp]) -> list[FileArray]:
        levels = super()._find_levels(numbers)
        for level in levels:
            level._full = self._full or (self._file, numbers)  # type: ignore[attr-defined]  # noqa: SLF001
        return levels

    @property
    def axes(self) -> str:
        """One letter per axis: Y row, X column, S sample; pages are T, Z, C or R (time, plane, channel, position).

        They are I where several of these run through the pages, as the `hyperstack` shows them, or nobody says.
        """
        with suppress(TiffError, OSError):  # what is wrong is said by those who need more than the letters
            _ = self._described
        return self._known_axes

    @property
    def _known_axes(self) -> str:
        axes = super()._known_axes
        placed = self._seen[2].placed if self._seen is not None and self._has_pages else None
        if placed is None or len(placed.dimensions.letters) != 1 or not self._is_whole(placed):
            return axes
        return placed.dimensions.letters + axes[1:]

    def _is_whole(self, placed: Placed) -> bool:
        return placed.in_order and placed.dimensions.count == len(self)

    @property
    def sizes(self) -> dict[str, int]:
        """Elements along each axis of the `hyperstack`, by its letter: what the file's description says.

        Raises what `hyperstack` raises.
        """
        placed = self._described.placed
        if placed is None:
            return super().sizes
        sizes = dict(zip(placed.dimensions.letters, placed.dimensions.sizes, strict=True))
        pixels = self.shape[self._has_pages :]
        return {**sizes, **dict(zip("YXS", pixels, strict=False))}

    @property
    def resolution(self) -> dict[str, Step]:
        """How far apart neighbours are along each axis, as (value, unit), where the file says so.

        X and Y come from OME-XML or Micro-Manager, or from XResolution and YResolution with ImageJ's unit or
        ResolutionUnit; Z and T from OME-XML, ImageJ or Micro-Manager. Raises what `hyperstack` raises.
        """
        return dict(self._described.steps)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, as OME-XML or Micro-Manager tell them. Raises what `hyperstack` raises."""
        placed = self._described.placed
        return () if placed is None else placed.dimensions.channels

    @property
    def hyperstack(self) -> TiffArray:
        """The same pixels with the axes that the file's description gives them, of length 1 left out; nothing is read.

        ImageJ's description, OME-XML, Micro-Manager's index map and tifffile's shaped description are understood. The
        planes of an OME-TIFF or Micro-Manager set are gathered from all its files, which are opened when they are
        touched. Planes that are not there raise MissingPlaneError, or are `filled`. Without a description, and where
        it changes nothing, this is the array itself.

        Raises CorruptTiffError and LimitError for descriptions that break the rules or are too large, OSError when the
        folder of a set cannot be read.
        """
        described = self._described
        placed = described.placed
        if placed is None or self._shows(placed):
            return self
        base = self._paged if placed.open_base is None else placed.open_base()
        return HyperStack(base, replace(placed.dimensions, steps=described.steps), placed.why, keep=self)

    def _shows(self, placed: Placed) -> bool:
        """Tell whether the array has these axes itself."""
        if self._has_pages:
            return len(placed.dimensions.letters) == 1 and self._is_whole(placed)
        return not placed.dimensions.letters and placed.open_base is None

    @property
    def _paged(self) -> TiffArray:
        """The same pages with a page axis."""
        if self._has_pages:
            return self
        paged = self._lazy_type(self._file, self._numbers, squeeze=False)
        paged._chosen, paged._full = self._chosen, self._full  # type: ignore[attr-defined]  # noqa: SLF001  # in the making
        return paged

    def __reduce__(self) -> Any:
        """Pickle what opens the file again; of a level: the array that it is a level of."""
        if self._full is None:
            return super().__reduce__()
        return restore_level, (self._unreduced.__reduce__()[1], self._frame[:2], self._marks())

    def _identity(self) -> tuple[Any, ...]:
        if self._full is None:
            return super()._identity()
        return ("level", *self._frame[:2], *self._unreduced._identity())  # noqa: SLF001  # same class

    @property
    def _unreduced(self) -> FileArray:
        """Of a level: the array that it is a level of, anew, as levels do not keep it."""
        file, numbers = self._full or (self._file, self._numbers)
        return self._lazy_type(file, numbers, squeeze=not self._has_pages)


def images(file: OpenFile) -> list[Placed]:
    """Return the images that the OME-XML of a file tells of; none without OME-XML."""
    text = description(file)
    return list(map(_squeezed, _ome_set.images(file, text))) if _ome_xml.is_ome(beginning(text)) else []


def _describe(file: OpenFile, numbers: NDArray[np.intp]) -> _Description:
    """Read what the first page's description says of pages of the file, which are of one frame type."""
    frame, text = file.table.layout(int(numbers[0])).frame_type, description(file)
    steps = steps_of_tags(file.table.tags(int(numbers[0])), _imagej.unit(beginning(text)))
    for placed in _candidates(file, _descriptions.within(text, len(file.table)), frame):
        found = placed.among(numbers, len(file.table))
        if found is not None and placed.size in (None, (frame.rows, frame.columns)):
            return _Description(found, {**steps, **found.dimensions.steps}, frame, mark=hash(text))
    return _Description(None, steps, frame, mark=hash(text))


def _candidates(file: OpenFile, text: bytes, frame: FrameType) -> Iterator[Placed]:
    """Yield what each kind of description tells, those first that tell more exactly which page is where."""
    pages, words = len(file.table), beginning(text)
    shaped = _shaped.read(words, pages, (frame.rows, frame.columns, *[frame.samples] * (frame.samples > 1)))
    if shaped is not None:
        yield alone(file, shaped)
    placed = _micromanager_set.place(file)
    if placed is not None:
        yield _squeezed(placed)
    if _ome_xml.is_ome(words):
        yield from map(_squeezed, _ome_set.images(file, text))
    found = _imagej.read(words, pages, frame.samples)
    if found is not None:
        yield _squeezed(alone(file, found))


def _squeezed(placed: Placed) -> Placed:
    return replace(placed, dimensions=placed.dimensions.squeezed())
