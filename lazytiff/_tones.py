"""What the samples of a page mean: their photometric interpretation, their bits, the colours of a palette."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lazytiff._tag_types import BYTE, DTYPES, LONG, SBYTE, SHORT, SLONG, SSHORT
from lazytiff.errors import CorruptTiffError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._pages import PageTable

    Tones: TypeAlias = "NDArray[Any]"  # of Tone, broadcast to a request: of length 1 where all are the same

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, MASK, YCBCR = 0, 1, 2, 3, 4, 6  # PhotometricInterpretation, TIFF 6.0
GRAY = frozenset({MIN_IS_WHITE, MIN_IS_BLACK, MASK})
MIXED = -1  # of arrays that were joined, and mean different things
COLOURS = 3  # red, green, blue
COLOR_MAP = 320
_INTEGERS = {BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG}  # which writers take for SHORT


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """How a page's samples are read: bits of a sample, and the colours of a palette as (index, 3) uint16."""

    bits: int
    palette: NDArray[np.uint16] | None = None


@lru_cache(maxsize=256)
def tone_of(bits: int) -> Tone:
    """Return the tone of pixels that are no palette indices."""
    return Tone(bits)


@lru_cache(maxsize=64)  # 50 MB at the most, where all are of 16 bits
def _tone_of_palette(bits: int, dtype: str, color_map: bytes) -> Tone:
    """Return the tone of a page with this ColorMap, all reds first; ValueError when it is none for so many bits."""
    values = np.frombuffer(color_map, dtype)
    if len(values) != COLOURS << bits:
        raise ValueError(f"{bits} bits need a ColorMap of {COLOURS << bits} values, and it has {len(values)}")
    palette = values.astype(np.uint16)
    if (palette != values).any():
        raise ValueError("a ColorMap has values from 0 to 65535, and it has others")
    return Tone(bits, palette.reshape(COLOURS, -1).T.copy())


def tone_of_page(table: PageTable, page: int) -> Tone:
    """Return the tone of a page; CorruptTiffError when it is one of indices and has no ColorMap for them."""
    layout = table.layout(page)
    if layout.photometric != PALETTE:
        return tone_of(layout.bits)
    where = f"{table.source.name}: page {page}"
    kind, _, values = table.tags(page).raw(COLOR_MAP) or (0, 0, b"")
    if kind not in _INTEGERS:
        raise CorruptTiffError(f"{where} has palette indices and no ColorMap")
    try:
        return _tone_of_palette(layout.bits, DTYPES[kind], values)
    except ValueError as error:
        raise CorruptTiffError(f"{where}: {error}") from None


def alike(tone: Tone, ndim: int) -> Tones:
    """Return one tone for all that is requested of an array of so many axes."""
    return np.full((1,) * ndim, tone, object)
