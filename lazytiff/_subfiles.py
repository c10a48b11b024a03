"""What kinds of images IFDs are said to hold, and which SubIFDs they list: asked of many pages at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._pages import PageTable

REDUCED, MASK = 1, 4  # bits of NewSubfileType (TIFF 6.0, section 8): a reduced version of another image; a mask
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _SUBIFDS = 254, 255, 330
_OLD_REDUCED = 2  # of SubfileType, which NewSubfileType has replaced


def subfile_types(table: PageTable, pages: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which of REDUCED and MASK each page's NewSubfileType has; where it is missing, what SubfileType says."""
    there, types = _first_numbers(table, _NEW_SUBFILE_TYPE, pages)
    older = np.flatnonzero(~there)
    if len(older):
        types[older] = np.where(_first_numbers(table, _SUBFILE_TYPE, pages[older])[1] == _OLD_REDUCED, REDUCED, 0)
    return types & (REDUCED | MASK)


def _first_numbers(table: PageTable, tag: int, pages: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which pages have the tag, and the last byte of its first value; 0 for pages without."""
    asked, first = pages.astype(np.uint64), np.zeros(len(pages), np.intp)
    with table.source:
        there = table.handle.count_numbers(tag, asked, 1) > 0
        first[there] = table.handle.numbers(tag, asked, 1, int(there.sum())) & np.uint64(0xFF)
    return there, first


def count_subifds(table: PageTable, pages: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return how many SubIFDs each page lists, counting no more than most."""
    with table.source:
        return table.handle.count_numbers(_SUBIFDS, pages.astype(np.uint64), most).astype(np.intp)


def subifds(table: PageTable, pages: NDArray[np.intp], total: int) -> NDArray[np.uint64]:
    """Return the offsets of all SubIFDs of these pages, page after page; 0 for what is no offset."""
    with table.source:
        return table.handle.numbers(_SUBIFDS, pages.astype(np.uint64), total, total)
