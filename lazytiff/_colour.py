"""Pixels as colours, gray values and fractions: the views `rgb`, `gray` and `normed`.

What a pixel means may differ from page to page (bits, ColorMap): its `Tone`. Luma is that of ITU-R BT.601, which
Julia's Colors.jl takes for `Gray(::RGB)` (src/conversions.jl).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._cuts import slabs
from lazytiff._functions import Elementwise, Function
from lazytiff._tones import COLOURS, MASK, MIN_IS_BLACK, MIN_IS_WHITE, PALETTE, RGB
from lazytiff.errors import UnsupportedTiffError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Cuts
    from lazytiff._functions import Blocks, Sources
    from lazytiff._gather import Request
    from lazytiff._tiff_array import TiffArray
    from lazytiff._tones import Tone

_LUMA = 0.299, 0.587, 0.114
_GRAY = {MIN_IS_WHITE, MIN_IS_BLACK, MASK}
_FLOAT32_BITS = 24  # integers of so many bits are float32 values, so that their quotients are rounded only once


def rgb(array: TiffArray) -> TiffArray:
    """Return the view as colours."""
    array, photometric = _without_more(array)
    if photometric == RGB:
        return array
    if photometric == PALETTE:
        return _view(array, Lookup(), (*array.shape, COLOURS), np.dtype(np.uint16), array.axes + "S")
    return _view(_upright(array), Repeated(), (*array.shape, COLOURS), array.dtype, array.axes + "S")


def gray(array: TiffArray) -> TiffArray:
    """Return the view as gray."""
    array, photometric = _without_more(array)
    if photometric == RGB:
        return _view(array, Luma(), array.shape[:-1], array.dtype.newbyteorder("="), array.axes[:-1])
    if photometric == PALETTE:
        return _view(array, LookupGray(), array.shape, np.dtype(np.uint16), array.axes)
    return _upright(array)


def normed(array: TiffArray, dtype: np.dtype[Any]) -> TiffArray:
    """Return the view as fractions."""
    if dtype.kind != "f":
        raise ValueError(f"fractions are floating point numbers, and {dtype} is not")
    photometric = _checked(array)
    if array.dtype.kind == "c":
        raise UnsupportedTiffError(f"{array!r}: complex numbers are no fractions of anything")
    if photometric == PALETTE:
        array = rgb(array)
    elif photometric == MIN_IS_WHITE:
        array = _upright(array)
    return (
        array.astype(dtype) if array.dtype.kind == "f" else _view(array, Normed(dtype), array.shape, dtype, array.axes)
    )


def _without_more(array: TiffArray) -> tuple[TiffArray, int]:
    """Return the array without samples beyond its colours, and what they are."""
    photometric = _checked(array)
    if "S" not in array.axes:
        return array, photometric
    return array.lazy[..., :COLOURS] if photometric == RGB else array.lazy[..., 0], photometric


def _checked(array: TiffArray) -> int:
    """Return the photometric interpretation, one of those that are known; UnsupportedTiffError for others."""
    found = array._photometric
    has_samples = array.axes.endswith("S")
    if found == RGB and (not has_samples or array.shape[-1] < COLOURS):
        raise UnsupportedTiffError(f"{array!r}: red, green and blue are not all there")
    if found in {*_GRAY, RGB, PALETTE} and has_samples == ("S" in array.axes):
        return found
    names = {5: "CMYK", 6: "YCbCr in separate planes", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*"}
    name = names.get(found, f"photometric interpretation {found}")
    raise UnsupportedTiffError(
        f"{array!r}: {name} is not converted; index the array for the samples as they are stored"
    )


def _upright(array: TiffArray) -> TiffArray:
    """Return the view with large values for bright pixels."""
    if array._photometric != MIN_IS_WHITE:
        return array
    return _view(array, Upright(), array.shape, array.dtype.newbyteorder("="), array.axes)


def _view(array: TiffArray, function: Function, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str) -> TiffArray:
    return array._view_type(function, (array,), shape, dtype, axes)


def _by_tone(
    block: NDArray[Any], tones: Sequence[Tone], function: Callable[[NDArray[Any], Tone], NDArray[Any]]
) -> NDArray[Any]:
    """Call the function for the block, or for each plane when they have tones of their own."""
    if all(tone is tones[0] for tone in tones):
        return function(block, tones[0])
    planes = block.reshape(len(tones), -1)
    made = np.stack([function(plane, tone) for plane, tone in zip(planes, tones, strict=True)])
    return made.reshape(block.shape + made.shape[2:])


class Upright(Elementwise):
    """Min-is-white undone: the largest value less each; of floating point numbers, whose largest is 1, too."""

    name = "upright"

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Turn each page by its own bits."""
        return _by_tone(blocks[0], sources[0]._tones(request), _upside_down)

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
        return sources[0]._plan_chunks[:1] == (1,)

    def photometric(self, _: BaseArray) -> int:
        """Return what it is now."""
        return RGB


class Repeated(Recoloured):
    """Gray as three equal samples."""

    name = "rgb"

    def make(self, request: Request, blocks: Blocks, _: Sources, /) -> NDArray[Any]:
        """Repeat each value."""
        return np.repeat(blocks[0][..., np.newaxis], len(request[-1]), axis=-1)


class Lookup(Recoloured):
    """Palette indices as colours."""

    name = "rgb"

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Look each index up in its page's ColorMap."""
        tones = sources[0]._tones(request[:-1])
        return _by_tone(blocks[0], tones, lambda block, tone: _colours(tone)[:, np.asarray(request[-1])][block])


class LookupGray(Elementwise):
    """Palette indices as the luma of their colours."""

    name = "gray"

    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Look each index up in its page's ColorMap."""
        return _by_tone(blocks[0], sources[0]._tones(request), _look_up_luma)


def _look_up_luma(block: NDArray[Any], tone: Tone) -> NDArray[Any]:
    return np.asarray(luma(_colours(tone))[block])


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
    """Return the luma of a few colours: product by product, since BLAS rounds as the shape of a block may be."""
    wide = np.result_type(pixels.dtype, np.float64)
    red, green, blue = (np.multiply(pixels[..., n], weight, dtype=wide) for n, weight in enumerate(_LUMA))
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

    def cuts(self, _: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Return the source's."""
        return sources[0]._cuts[:-1]

    def takes_lists(self, _: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell what the source does."""
        return len(sources[0]._plan_chunks) > 1 and sources[0]._plan_chunks[0] == 1

    def photometric(self, _: BaseArray) -> int:
        """Return what it is now."""
        return MIN_IS_BLACK
