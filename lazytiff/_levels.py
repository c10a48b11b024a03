"""Pyramids: where the reduced versions of pages are.

They are among a page's SubIFDs (Adobe PageMaker 6.0 TIFF Technical Notes, note 1; so Bio-Formats stores the pyramids of
OME-TIFF files), or follow it in the chain of pages (TIFF 6.0, section 8, NewSubfileType; so GDAL stores overviews in
Cloud Optimized GeoTIFF files).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lazytiff._limits import limits
from lazytiff._subfiles import REDUCED, count_subifds, subfile_types, subifds
from lazytiff._warn import warn
from lazytiff.errors import CorruptTiffError, LimitError, TiffError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._file import OpenFile
    from lazytiff._pages import FrameType, PageTable


class Level(NamedTuple):
    """One reduced version of each page of an array: which pages of which table they are."""

    file: OpenFile
    pages: NDArray[np.intp]


class _Found(NamedTuple):
    """Reduced images, in the order in which a page's first one of a size counts, and the pages that they are of."""

    file: OpenFile
    images: NDArray[np.intp]
    owners: NDArray[np.intp]  # positions among the array's pages


def find_levels(file: OpenFile, pages: NDArray[np.intp]) -> list[Level]:
    """Return the levels that all these pages of one frame type have, by falling size.

    A level is of one size, has the pages' dtype, samples and photometric interpretation, and fewer rows and columns (of
    one row, say, there are no fewer). Of two images of one size and page the first counts, SubIFDs before the chain.
    A SubIFD that is broken is none, and a TiffWarning says so. Raises LimitError when the pages list more than
    `limits.max_pages` SubIFDs, or more than there can be in the file, and below `limits.max_depth`.
    """
    frame = file.table.layout(int(pages[0])).frame_type
    asked, places = _distinct(pages)
    levels: dict[tuple[int, int], Level] = {}
    for search in (_below, _behind):
        found = search(file, asked, frame)
        for size, images in _by_size(found, len(asked)).items() if found else ():
            levels.setdefault(size, Level(found.file, images if places is None else images[places]))  # type: ignore[union-attr]
    return [levels[size] for size in sorted(levels, key=lambda size: size[0] * size[1], reverse=True)]


def _distinct(pages: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp] | None]:
    """Return the pages in ascending order, each once, and where each one is found there; None: where it was."""
    if (pages[1:] > pages[:-1]).all():
        return pages, None
    return np.unique(pages, return_inverse=True)


def _below(file: OpenFile, pages: NDArray[np.intp], frame: FrameType) -> _Found | None:
    """Return the reduced images among the pages' SubIFDs."""
    counts = count_subifds(file.table, pages, limits.max_pages + 1)
    total = int(counts.sum())
    if total == 0:
        return None
    if total > limits.max_pages:
        raise LimitError(f"{file.source.name}: its pages list {total} SubIFDs or more, above limits.max_pages")
    owners = np.repeat(np.arange(len(pages)), counts)
    ranks = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    # The first SubIFDs of all pages, then the second ones: IFDs that are alike are read faster one after the other.
    order = np.argsort(ranks, kind="stable")
    listed = file.listed(subifds(file.table, pages, total)[order], str(file.source.name), lenient=True)
    owners, ranks = owners[order], ranks[order]
    _warn_of_broken(listed.table, pages[owners], ranks)
    images = _candidates(listed.table, frame)
    images = images[subfile_types(listed.table, images) == REDUCED]
    return _Found(listed, images, owners[images])


def _warn_of_broken(table: PageTable, pages: NDArray[np.intp], ranks: NDArray[np.intp]) -> None:
    problems = [number for number, layout in enumerate(table.layouts) if layout.problem]
    if not problems:
        return
    numbers = table.layout_numbers
    _, first = np.unique(numbers, return_index=True)
    broken = [number for number in problems if _is_corrupt(table, int(first[number]))]
    images = np.flatnonzero(np.isin(numbers, broken))
    if len(images):
        where = f"{table.source.name}: page {pages[images[0]]}, SubIFD {ranks[images[0]]}"
        more = f" (and {len(images) - 1} more)" if len(images) > 1 else ""
        warn(f"{where} is broken{more}; `levels` go without it, and `subpages` of the page tells why")


def _is_corrupt(table: PageTable, image: int) -> bool:
    """Return whether an image that cannot be read is damaged: not just of a kind that cannot be read."""
    try:
        table.layout(image)
    except TiffError as error:
        return isinstance(error, CorruptTiffError)
    return False


def _behind(file: OpenFile, pages: NDArray[np.intp], frame: FrameType) -> _Found | None:
    """Return the reduced images that follow the pages in the chain, each before the next full image."""
    if file.depth > 0:
        return None  # what a page lists is no chain
    images = _candidates(file.table, frame)
    if not len(images):
        return None
    types = file.subfile_types()
    begins = types == 0
    begins[pages] = True
    leaders = np.maximum.accumulate(np.where(begins, np.arange(len(types)), -1))
    images = images[(images < len(types)) & (types[images] == REDUCED)]
    owners = np.minimum(np.searchsorted(pages, leaders[images]), len(pages) - 1)
    mine = pages[owners] == leaders[images]
    return _Found(file, images[mine], owners[mine])


def _candidates(table: PageTable, frame: FrameType) -> NDArray[np.intp]:
    """Return which images of the table have the frame's colours and type, and fewer rows and columns."""
    smaller = [not layout.problem and _is_smaller(layout.frame_type, frame) for layout in table.layouts]
    return np.flatnonzero(np.array(smaller)[table.layout_numbers]) if any(smaller) else np.arange(0)


def _is_smaller(other: FrameType, frame: FrameType) -> bool:
    if other[2:] != frame[2:] or other[:2] == frame[:2]:
        return False
    return all(less < side or less == side == 1 for less, side in zip(other[:2], frame[:2], strict=True))


def _by_size(found: _Found, count: int) -> dict[tuple[int, int], NDArray[np.intp]]:
    """Return for each size that every page has an image of: the page's first one."""
    table, images = found.file.table, found.images
    sizes: dict[tuple[int, int], int] = {}
    kinds = np.array([sizes.setdefault((layout.rows, layout.columns), len(sizes)) for layout in table.layouts])
    keys = kinds[table.layout_numbers[images]] * count + found.owners
    order = np.argsort(keys, kind="stable")
    order = order[np.diff(keys[order], prepend=-1) != 0]
    ends = np.cumsum(np.bincount(keys[order] // count, minlength=len(sizes)))
    begins = np.concatenate([[0], ends])
    complete = {size: kind for size, kind in sizes.items() if ends[kind] - begins[kind] == count}
    return {size: images[order[begins[kind] : ends[kind]]] for size, kind in complete.items()}
