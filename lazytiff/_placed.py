"""Planes that a description tells of, once it is known where each of them is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lazytiff._dimensions import Dimensions
    from lazytiff._file import OpenFile
    from lazytiff._many import MultiTiff

_DESCRIPTION = 270
_BEGINNING = 1 << 16  # bytes


@dataclass(frozen=True, eq=False)
class Placed:
    """Planes, and what their numbers are of: pages of the file itself or, where that is not None, of `open_base()`.

    why: says why a plane is not there, by its number in C order, and can be pickled. size: rows and columns of a plane,
    where it is told.
    """

    dimensions: Dimensions
    why: Callable[[int], str]
    size: tuple[int, int] | None = None
    open_base: Callable[[], MultiTiff] | None = None

    def among(self, numbers: NDArray[np.intp], total: int) -> Placed | None:
        """Return the same planes as positions among those pages of the file's total; None when one is not there."""
        everything = len(numbers) == total and bool((numbers == np.arange(total)).all())
        if self.open_base is not None:
            return self if everything else None
        planes = self.dimensions.planes
        if everything:
            return self if planes is not None or self.dimensions.count <= total else None
        positions = np.full(total + 1, -1)  # with one more, for planes that are not there
        positions[numbers] = np.arange(len(numbers))
        if planes is None or (positions[planes] < 0)[planes >= 0].any():
            return None
        return replace(self, dimensions=replace(self.dimensions, planes=positions[planes]))

    @property
    def in_order(self) -> bool:
        """Whether the planes are the first pages, in their order."""
        planes = self.dimensions.planes
        return self.open_base is None and (planes is None or bool((planes.ravel() == np.arange(planes.size)).all()))


def beginning(text: bytes) -> str:
    """Return as much of a description as tells of which kind it is; of all kinds but OME-XML that is all of it."""
    return text[:_BEGINNING].decode("utf-8", "replace")


def description(file: OpenFile) -> bytes:
    """Return the bytes of the first page's ImageDescription; none when there is no such tag."""
    raw = file.table.tags(0).raw(_DESCRIPTION) if len(file.table) else None
    return b"" if raw is None else raw[2].rstrip(b"\0")


def once(file: OpenFile, open_base: Callable[[], MultiTiff]) -> Callable[[], MultiTiff]:
    """Return what opens the files of a set, when it is first called; they close with the file that tells of them."""

    @cache
    def base() -> MultiTiff:
        opened = open_base()
        file.source.at_close(opened.close)
        return opened

    return base


def alone(file: OpenFile, dimensions: Dimensions, size: tuple[int, int] | None = None) -> Placed:
    """Return planes that are all in the file itself; what it does not have is missing."""
    name, total, planes = file.source.name, len(file.table), dimensions.planes
    if planes is not None:
        dimensions = replace(dimensions, planes=np.where(planes < total, planes, -1))
    return Placed(dimensions, partial(_why_missing, name, total), size)


def _why_missing(name: str, pages: int, _plane: int) -> str:
    return f"{name} has {pages} pages, and its description tells of others"
