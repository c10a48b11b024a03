"""TiffFile: every page of a file."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._choice import choose_stack, frame_types
from lazytiff._described import images
from lazytiff._file import Opened, OpenFile
from lazytiff._file_array import PageList
from lazytiff._hyperstack import HyperStack
from lazytiff._lazy import LazyTiff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from lazytiff._file_array import TiffPage
    from lazytiff._placed import Placed
    from lazytiff._tiff_array import TiffArray


class TiffFile(Opened):
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
        return [self._stack(group) for group in frame_types(self._file.table)]

    def _stack(self, pages: NDArray[np.intp]) -> LazyTiff:
        array = LazyTiff(self._file, pages, squeeze=False)
        array._chosen = pages.tolist()  # noqa: SLF001  # of an array that is being made
        return array

    @property
    def images(self) -> list[TiffArray]:
        """One array with named axes for each image of an OME-TIFF file or set; of other files each stack's hyperstack.

        Raises what `hyperstack` raises, and FrameTypeError for an image whose planes are no stack.
        """
        return list(map(self._image, self._placed)) or [stack.hyperstack for stack in self.stacks]

    @cached_property
    def _placed(self) -> list[Placed]:
        """What the file's description tells of its images, read once."""
        return images(self._file)

    def _image(self, placed: Placed) -> TiffArray:
        if placed.open_base is not None:
            return HyperStack(placed.open_base(), placed.dimensions, placed.why, keep=self)
        table, planes = self._file.table, placed.dimensions.numbers
        pages = choose_stack(table, np.unique(planes[planes >= 0]).tolist())
        found = placed.among(pages, len(table)) or placed
        return HyperStack(self._stack(pages), found.dimensions, placed.why, keep=self)

    @property
    def bigtiff(self) -> bool:
        """Whether the file is a BigTIFF file."""
        return self._file.table.bigtiff

    @property
    def byteorder(self) -> str:
        """'<' or '>': how numbers are stored."""
        return ">" if self._file.table.big_endian else "<"

    def __repr__(self) -> str:
        return f"<TiffFile {self._file.source.name!r}, {len(self._file.table)} pages>"
