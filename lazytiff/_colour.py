"""Pixels as colours, gray values and fractions: the views `rgb`, `gray` and `normed`.

What a pixel means may differ from page to page (bits, ColorMap): its `Tone`. Luma is that of ITU-R BT.601, which
Julia's Colors.jl takes for `Gray(::RGB)` (src/conversions.jl).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._tonal import Lookup, LookupGray, Luma, Normed, Repeated, Upright
from lazytiff._tones import COLOURS, GRAY, MIN_IS_WHITE, MIXED, PALETTE, RGB
from lazytiff.errors import UnsupportedTiffError

if TYPE_CHECKING:
    from lazytiff._tiff_array import TiffArray

_OTHERS = {
    MIXED: "an array of several colour models",
    5: "CMYK",
    6: "YCbCr in separate planes",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
}


def rgb(array: TiffArray) -> TiffArray:
    """Return the view as colours."""
    array, photometric = _without_more(array)
    if photometric == RGB:
        return array
    if photometric == PALETTE:
        return array._viewed(Lookup(), (*array.shape, COLOURS), np.dtype(np.uint16), array.axes + "S")
    dtype = array.dtype.newbyteorder("=")
    return _upright(array)._viewed(Repeated(), (*array.shape, COLOURS), dtype, array.axes + "S")


def gray(array: TiffArray) -> TiffArray:
    """Return the view as gray."""
    array, photometric = _without_more(array)
    if photometric == RGB:
        return array._viewed(Luma(), array.shape[:-1], array.dtype.newbyteorder("="), array.axes[:-1])
    if photometric == PALETTE:
        return array._viewed(LookupGray(), array.shape, np.dtype(np.uint16), array.axes)
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
        array.astype(dtype) if array.dtype.kind == "f" else array._viewed(Normed(dtype), array.shape, dtype, array.axes)
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
    if found == PALETTE and array.dtype.kind not in "bui":
        raise UnsupportedTiffError(f"{array!r}: palette indices are integers, and {array.dtype} is none")
    if found in {*GRAY, RGB, PALETTE} and has_samples == ("S" in array.axes):
        return found
    name = _OTHERS.get(found, f"photometric interpretation {found}")
    raise UnsupportedTiffError(
        f"{array!r}: {name} is not converted; index the array for the samples as they are stored"
    )


def _upright(array: TiffArray) -> TiffArray:
    """Return the view with large values for bright pixels."""
    if array._photometric != MIN_IS_WHITE:
        return array
    return array._viewed(Upright(), array.shape, array.dtype.newbyteorder("="), array.axes)
