"""What views of colours do with blocks, whose pixels mean what their pages say of them: their `Tone`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._cuts import slabs
from lazytiff._functions import Elementwise, Function
from lazytiff._tones import COLOURS, MIN_IS_BLACK, RGB
from lazytiff.errors import UnsupportedTiffError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Cuts
    from lazytiff._functions import Blocks, Sources
    from lazytiff._gather import Request
    from lazytiff._tones import Tone, Tones

_LUMA = 0.299, 0.587, 0.114  # of red, green and blue: ITU-R BT.601
_FLOAT32_BITS = 24  # integers of so many bits are float32 values, so that their quotients are rounded only once


def _by_tone(block: NDArray[Any], tones: Tones, function: Callable[[NDArray[Any], Tone], NDArray[Any]]) -> NDArray[Any]:
    """Call the function for the block, or for each of its parts that have tones of their own."""
    first = tones.flat[0]
    if all(tone is first for tone in tones.flat):
        return function(block, first)
    made: NDArray[Any] | None = None
    for place, tone in np.ndenumerate(tones):
        where = tuple(
            slice(at, at + 1) if size > 1 else slice(None) for at, size in zip(place, tones.shape, strict=True)
        )
        part = function(block[where], tone)
        if made is None:
            made = np.empty(block.shape + part.shape[block.ndim :], part.dtype)
        made[where] = part
    assert made is not None  # noqa: S101  # there is a first tone
    return made


class Upright(Elementwise):
    """Min-is-white undone: the largest value less each; of floating point numbers, whose largest is 1, too."""

    name = "upright"

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Turn each page by its own bits; of several samples the first, as the others are no gray values."""
        block, tones = blocks[0], sources[0]._tones(request)
        if not sources[0].axes.endswith("S"):
            return _by_tone(block, tones, _upside_down)
        gray_ones = np.asarray(request[-1]) == 0
        made = block.astype(block.dtype.newbyteorder("="))
        made[..., gray_ones] = _by_tone(block[..., gray_ones], tones, _upside_down)
        return made

    def tones(self, request: Request, sources: Sources, /) -> Tones:
        """Return the source's: as many bits count as before."""
        return sources[0]._tones(request)

    def photometric(self, _: BaseArray) -> int:
        """Return what it is now."""
        return MIN_IS_BLACK


def _upside_down(block: NDArray[Any], tone: Tone) -> NDArray[Any]:
    kind = block.dtype.kind
    if kind in "bi":
        return np.asarray(np.invert(block))
    return np.asarray(np.subtract(1 if kind in "fc" else (1 << tone.bits) - 1, block))


class Normed(Elementwise):
    """Integers as fractions of their largest value."""

    name = "normed"

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Divide each page by its own range."""
        return _by_tone(blocks[0], sources[0]._tones(request), self._fractions)

    def _fractions(self, block: NDArray[Any], tone: Tone) -> NDArray[Any]:
        largest = 1 << (tone.bits - 1) if block.dtype.kind == "i" else (1 << tone.bits) - 1
        narrow = tone.bits <= _FLOAT32_BITS and self._dtype.itemsize <= np.dtype(np.float32).itemsize
        wide = np.float32 if narrow else np.result_type(self._dtype, np.float64)
        found = np.divide(block, np.asarray(largest, wide), dtype=wide, casting="unsafe")
        return np.asarray(found, self._dtype)


class Recoloured(Function):
    """One gray value or palette index for each pixel, as several samples along a new last axis."""

    def ask(self, request: Request, _: Sources, /) -> list[Request]:
        """Ask for the pixels."""
        return [request[:-1]]

    def cuts(self, _: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Return the source's, and all samples together."""
        return *sources[0]._cuts, range(0, COLOURS, COLOURS)

    def takes_lists(self, _: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell what the source does."""
        return sources[0]._takes_lists

    def photometric(self, _: BaseArray) -> int:
        """Return what it is now."""
        return RGB


class Repeated(Recoloured):
    """Gray as three equal samples."""

    name = "rgb"

    def make(self, request: Request, blocks: Blocks, _: Sources, /) -> NDArray[Any]:
        """Repeat each value."""
        native = np.asarray(blocks[0], blocks[0].dtype.newbyteorder("="))
        return np.repeat(native[..., np.newaxis], len(request[-1]), axis=-1)

    def tones(self, request: Request, sources: Sources, /) -> Tones:
        """Return the source's: as many bits count as before."""
        return sources[0]._tones(request[:-1])[..., np.newaxis]


class Lookup(Recoloured):
    """Palette indices as colours."""

    name = "rgb"

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Look each index up in its page's ColorMap."""
        tones = sources[0]._tones(request[:-1])
        return _by_tone(blocks[0], tones, lambda block, tone: _look_up(_colours(tone)[:, request[-1]], block))


class LookupGray(Elementwise):
    """Palette indices as the luma of their colours."""

    name = "gray"

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Look each index up in its page's ColorMap."""
        return _by_tone(blocks[0], sources[0]._tones(request), _look_up_luma)


def _look_up_luma(block: NDArray[Any], tone: Tone) -> NDArray[Any]:
    return _look_up(luma(_colours(tone)), block)


def _look_up(table: NDArray[Any], block: NDArray[Any]) -> NDArray[Any]:
    """Return the table's rows of those indices, which may be bool."""
    return np.take(table, block, axis=0)


def _colours(tone: Tone) -> NDArray[np.uint16]:
    if tone.palette is None:
        raise UnsupportedTiffError("the pixels are palette indices no more, and have no colours")
    return tone.palette


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the luma of colours along the last axis, in their dtype."""
    found = np.empty(pixels.shape[:-1], pixels.dtype.newbyteorder("="))
    for _, slab in slabs(found):
        found[slab] = _luma_of(pixels[slab])
    return found


def _luma_of(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the luma of a few colours: one product after the other, as BLAS rounds as the shape of a block may be."""
    wide = np.result_type(pixels.dtype, np.float64)
    red, green, blue = (np.multiply(pixels[..., number], weight, dtype=wide) for number, weight in enumerate(_LUMA))
    found = np.asarray(red + green + blue)
    return np.rint(found) if pixels.dtype.kind in "biu" else found


class Luma(Function):
    """Colours as their luma: the last axis is gone."""

    name = "gray"
    taken = COLOURS

    def ask(self, request: Request, _: Sources, /) -> list[Request]:
        """Ask for all colours."""
        return [(*request, range(COLOURS))]

    def make(self, _: Request, blocks: Blocks, __: Sources, /) -> NDArray[Any]:
        """Weigh them."""
        return luma(blocks[0])

    def tones(self, request: Request, sources: Sources, /) -> Tones:
        """Return the source's: as many bits count as before."""
        return sources[0]._tones((*request, range(1)))[..., 0]

    def cuts(self, _: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Return the source's."""
        return sources[0]._cuts[:-1]

    def takes_lists(self, _: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell what the source does."""
        return sources[0].ndim > 1 and sources[0]._takes_lists

    def photometric(self, _: BaseArray) -> int:
        """Return what it is now."""
        return MIN_IS_BLACK
