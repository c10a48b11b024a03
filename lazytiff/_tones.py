"""What the samples of a page mean: their photometric interpretation, their bits, the colours of a palette."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lazytiff.errors import CorruptTiffError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._pages import PageTable

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, MASK, YCBCR = 0, 1, 2, 3, 4, 6  # PhotometricInterpretation, TIFF 6.0
COLOURS = 3  # red, green, blue


class Tone(NamedTuple):
    """How a page's samples are read: bits of a sample, and the colours of a palette as (index, 3) uint16."""

    bits: int
    palette: NDArray[np.uint16] | None = None


@lru_cache(maxsize=256)
def tone_of(bits: int, color_map: tuple[int, ...] | None = None) -> Tone:
    """Return the tone of a page; color_map: its ColorMap, all reds first. CorruptTiffError when that is not one."""
    if color_map is None:
        return Tone(bits)
    if len(color_map) != COLOURS << bits:
        raise CorruptTiffError(f"a ColorMap of {bits} bits has {COLOURS << bits} values, and not {len(color_map)}")
    return Tone(bits, np.array(color_map, np.uint16).reshape(COLOURS, -1).T.copy())


def tone_of_page(table: PageTable, page: int) -> Tone:
    """Return the tone of a page; CorruptTiffError when it is one of indices and has no ColorMap for them."""
    layout = table.layout(page)
    if layout.photometric != PALETTE:
        return tone_of(layout.bits)
    found = table.tags(page).get("ColorMap")
    if not isinstance(found, tuple):
        raise CorruptTiffError(f"{table.source.name}: page {page} has palette indices and no ColorMap")
    return tone_of(layout.bits, found)


def spread(tones: list[Tone], count: int) -> list[Tone]:
    """Return one tone for each of so many planes."""
    return tones * count if len(tones) == 1 else tones
