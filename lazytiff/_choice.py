"""Which pages form a stack."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._subfiles import MASK, subfile_types
from lazytiff.errors import EmptyStackError, FrameTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lazytiff._pages import PageTable


def choose_stack(table: PageTable, pages: int | slice | Sequence[int] | None) -> NDArray[np.intp]:
    """Return the numbers of the chosen pages, which must be of one frame type."""
    if len(table) == 0:
        raise EmptyStackError(f"{table.source.name} has no pages yet")
    numbers = table.numbers if pages is None else _choose(pages, table.numbers)
    _require_one_frame_type(table, numbers)
    return numbers


def _require_one_frame_type(table: PageTable, numbers: NDArray[np.intp]) -> None:
    first = table.layout(int(numbers[0])).frame_type
    if not any(layout.problem or layout.frame_type != first for layout in table.layouts):
        return  # whichever they are
    layouts = {number: table.layouts[number] for number in table.count_layouts(numbers)}
    odd = [number for number, layout in layouts.items() if layout.problem or layout.frame_type != first]
    if odd:
        at = int(np.flatnonzero(np.isin(table.layout_numbers[numbers], odd))[0])
        raise FrameTypeError(_describe_odd_page(table, int(numbers[0]), int(numbers[at])))


def _describe_odd_page(table: PageTable, first: int, odd: int) -> str:
    layout = table.layout(odd, readable=False)
    what = "cannot be read" if layout.problem else f"is {layout.frame_type}"
    kind = _kind_beside(table, first, odd)
    way = f"choose full images, `pages={first}` or several, and see `levels`" if kind else "choose with `pages=`"
    return (
        f"{table.source.name}: page {odd} {what}{kind}, page {first} is {table.layout(first).frame_type}; they "
        f"are no stack: {way}, or see `lazytiff.TiffFile(path).stacks`, an array for each type"
    )


def _kind_beside(table: PageTable, first: int, odd: int) -> str:
    """Return words for a page that belongs to another image, where the first page is an image of its own."""
    full, kind = subfile_types(table, np.array([first, odd]))
    if full or not kind:
        return ""
    return ", a transparency mask" if kind & MASK else ", a reduced image"


def frame_types(table: PageTable) -> list[NDArray[np.intp]]:
    """Return the numbers of the pages of each frame type, in the order of their first pages."""
    groups: dict[Any, list[NDArray[np.intp]]] = {}
    numbers = table.layout_numbers
    for number in table.count_layouts(slice(None)):
        layout = table.layouts[number]
        if not layout.problem:
            groups.setdefault(layout.frame_type, []).append(np.flatnonzero(numbers == number))
    return sorted((np.sort(np.concatenate(group)) for group in groups.values()), key=lambda group: int(group[0]))


def _choose(pages: int | slice | Sequence[int], everything: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the chosen page numbers; raise IndexError for one that is not there, ValueError when none is chosen."""
    count = len(everything)
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
