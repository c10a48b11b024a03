"""Arrays at hand as one: `concatenate` along an axis that they have, `stack` along one that they get."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from lazytiff._joined import JoinedArrays
from lazytiff._tiff_array import TiffArray
from lazytiff.errors import FrameTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def concatenate(arrays: Iterable[TiffArray], axis: int = 0) -> JoinedArrays:
    """Return arrays as one, one after the other along an axis that they have; nothing is read.

    arrays: of one dtype (in either byte order) and of one shape but for that axis: of files, or themselves joined.
    The result reads from them, and is usable for as long as they are. Raises ValueError for no arrays and for an axis
    that there is not, TypeError for what is no TiffArray, FrameTypeError for one that does not go with the first,
    LimitError when more than 50 are joined one within the other.
    """
    found = _checked(arrays)
    axis = _axis_of(axis, found[0].ndim)
    _require_alike(found, lambda array: (*array.shape[:axis], *array.shape[axis + 1 :]))
    return JoinedArrays(found, axis, is_new=False)


def stack(arrays: Iterable[TiffArray], axis: int = 0) -> JoinedArrays:
    """Return arrays of one shape and dtype as one, each an element of a new axis; nothing is read.

    Errors are those of `concatenate`.
    """
    found = _checked(arrays)
    axis = _axis_of(axis, found[0].ndim + 1)
    _require_alike(found, lambda array: array.shape)
    return JoinedArrays(found, axis, is_new=True)


def _checked(arrays: Iterable[TiffArray]) -> list[TiffArray]:
    found = list(arrays)
    if not found:
        raise ValueError("at least one array is needed")
    for array in found:
        if not isinstance(array, TiffArray):
            raise TypeError(
                f"arrays of lazytiff.open are joined, not {type(array).__name__}; paths are for lazytiff.open, and "
                "NumPy's arrays for numpy.concatenate"
            )
    return found


def _axis_of(axis: int, ndim: int) -> int:
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    return number % ndim


def _require_alike(arrays: list[TiffArray], shape_of: Callable[[TiffArray], tuple[int, ...]]) -> None:
    first = arrays[0]
    for number, array in enumerate(arrays):
        same = array.ndim == first.ndim and shape_of(array) == shape_of(first)
        if not same or array.dtype.newbyteorder("=") != first.dtype.newbyteorder("="):
            raise FrameTypeError(f"array {number}, {array!r}, does not go with the first one, {first!r}")
