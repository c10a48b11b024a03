"""What OME-XML tells of its images: the files that have their planes, and which page of which file each plane is.

The rules of TiffData are those of the OME-TIFF specification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lazytiff._limits import limits
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lazytiff._dimensions import Dimensions

SIZES = "CZT"  # the order in which a block tells of its first plane
_AGAIN = 4  # how often planes may be told of on the average, and how many more there may be than are told of
_FEW = 1 << 16  # planes that there may be in any case


class OmeFile(NamedTuple):
    """A file of a set; neither name nor UUID: the file that has the XML."""

    name: str | None
    uuid: str | None


@dataclass(eq=False)
class OmeImage:
    """One image. `size`: its rows and columns; `files`: those that have its planes.

    Each block is a TiffData element: number of its file, first IFD, count (-1: all that follow), first C, Z and T.
    """

    dimensions: Dimensions
    size: tuple[int, int]
    samples: int
    files: tuple[OmeFile, ...]
    blocks: NDArray[np.int64]
    name: str

    def places(self, count_of: Callable[[OmeFile], int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return for each plane the number of its file in `files`, and its page there; -1 where nobody tells.

        count_of: says how many pages a file has, or -1 for one that is not there; asked where a TiffData element tells
        of several, or of all. Places out of range are left out. Where there would be many more planes than are told of,
        the slowest axis ends with the last of these. Raises LimitError for more than `limits.max_pages` planes, and for
        few among many.
        """
        blocks, starts = self._placed()
        counts, there = self._counts(blocks, count_of)
        sizes = self._sizes(starts[there], counts[there])
        inside = starts < math.prod(sizes)
        blocks, starts, counts = blocks[inside], starts[inside], counts[inside]
        total = math.prod(sizes)
        counts = np.minimum(counts, total - starts)
        if counts.sum() > _AGAIN * total + len(blocks):
            raise LimitError(f"OME-XML: image {self.name!r} tells of its planes again and again; the XML is damaged")
        found = np.full((2, total), -1, np.intp)
        along = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(starts, counts) + along
        found[0, at] = np.repeat(blocks[:, 0], counts)
        found[1, at] = np.repeat(blocks[:, 1], counts) + along
        return found[0].reshape(sizes), found[1].reshape(sizes)

    def _placed(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the blocks whose first plane there is, and the number of that plane."""
        sizes, total = self.dimensions.sizes, self.dimensions.count
        if total > limits.max_pages:
            raise LimitError(f"OME-XML: image {self.name!r} has {total} planes (limits.max_pages: {limits.max_pages})")
        firsts = self.blocks[:, [3 + SIZES.index(letter) for letter in self.dimensions.letters]]
        inside = (firsts < sizes).all(axis=1)
        starts = np.ravel_multi_index(tuple(firsts[inside].T), sizes) if inside.any() else np.zeros(0, np.intp)
        return self.blocks[inside], starts

    def _counts(
        self, blocks: NDArray[np.int64], count_of: Callable[[OmeFile], int]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return how many planes each block has, no more than its file has pages; and whether that is known."""
        counts, there = blocks[:, 2].copy(), np.ones(len(blocks), bool)
        several = np.flatnonzero(counts != 1)
        numbers, at = np.unique(blocks[several, 0], return_inverse=True)
        pages = np.array([count_of(self.files[number]) for number in numbers.tolist()], np.int64)[at]
        there[several] = pages >= 0
        told, most = counts[several], np.maximum(pages - blocks[several, 1], 0)
        counts[several] = np.where(pages < 0, np.maximum(told, 0), np.where(told < 0, most, np.minimum(told, most)))
        return counts, there

    def _sizes(self, starts: NDArray[np.intp], counts: NDArray[np.int64]) -> tuple[int, ...]:
        """Return the sizes of the axes: so many planes as there are to be, or as there is room for."""
        sizes, told = self.dimensions.sizes, int(counts.sum())
        most = max(_FEW, _AGAIN * told)
        if self.dimensions.count > most:
            inner = math.prod(sizes[1:])
            last = int((starts + counts).max(initial=0))
            sizes = (min(sizes[0], max(-(-last // inner), 1)), *sizes[1:])
        if math.prod(sizes) > most:
            raise LimitError(f"OME-XML: image {self.name!r} has {math.prod(sizes)} planes, and tells where {told} are")
        return sizes


@dataclass
class Ome:
    """What OME-XML tells; metadata_file and metadata_uuid: the file that tells all of it, where this one has a part."""

    uuid: str | None = None
    metadata_file: str | None = None
    metadata_uuid: str | None = None
    images: list[OmeImage] = field(default_factory=list)
