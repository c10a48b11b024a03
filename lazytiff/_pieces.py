"""Any array as pages to be written one after the other, in bounded memory."""

from __future__ import annotations

import itertools
import math
import operator
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff import _shapes
from lazytiff._limits import limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_TOGETHER_BYTES = 64 << 20  # of pages that are asked for at a time: enough to keep all workers busy


class Pieces(NamedTuple):
    """An array as pages: (row, column[, sample]) each. `axes` are those of `shape`; without an I there is one page."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    pages: Iterator[NDArray[Any]]


def pages_of(array: Any, axes: str | None = None) -> Pieces:
    """Return the pages of anything that is like an array; what is no array becomes one first, all at once.

    The axes are the array's own `axes` where it has such, otherwise (row, column), (page, row, column) or (page, row,
    column, sample), unless `axes` says another of "YX", "YXS", "IYX", "IYXS". A numpy.ndarray is not copied. Of others
    as many pages are taken at a time as make 64 MiB; where they come in chunks, those of whole chunks, unless not even
    `limits.implicit_bytes` hold one, so that nothing is computed or decoded twice.

    Raises ValueError for shapes and axes that no file has, and for masked values, here or when a page is asked for;
    TypeError for a dtype that TIFF does not have.
    """
    if isinstance(array, np.ndarray) or not _is_array(array):
        array = unmasked(array)
    shape = _shape(array)
    letters = _own_axes(array, shape) if axes is None else axes
    _shapes.sizes(shape, letters)
    _shapes.check_dtype(array.dtype)
    return Pieces(shape, array.dtype, letters, _pages(array, shape, letters))


def _is_array(array: Any) -> bool:
    """Tell whether something has a shape, NumPy's dtype, and indexing."""
    indexed = hasattr(array, "shape") and hasattr(array, "__getitem__")
    return indexed and isinstance(getattr(array, "dtype", None), np.dtype)


def unmasked(array: Any) -> NDArray[Any]:
    """Return something as a plain numpy.ndarray, if possible without a copy; ValueError for masked values."""
    if type(array) is np.ndarray:
        return array
    array = np.asanyarray(array)
    if np.ma.is_masked(array):
        raise ValueError("the array has masked values, and TIFF no mask: fill them, as with array.filled(0)")
    return np.asarray(array)


def _shape(array: Any) -> tuple[int, ...]:
    try:
        return tuple(map(operator.index, array.shape))
    except TypeError:  # dask says nan
        raise ValueError(f"shape {array.shape}: how many pages and pixels there are must be known beforehand") from None


def _own_axes(array: Any, shape: tuple[int, ...]) -> str:
    """Return the letters that the array gives its axes; the first of a stack may be of any kind, as T or Z."""
    own = getattr(array, "axes", None)
    if isinstance(own, str) and len(own) == len(shape):
        return re.sub("^[A-RT-WZ](?=YXS?$)", "I", own)
    return _shapes.default_axes(shape)


def _pages(array: Any, shape: tuple[int, ...], axes: str) -> Iterator[NDArray[Any]]:
    if axes[0] != "I":
        yield _read(array[...], shape, array.dtype)
    elif isinstance(array, np.ndarray):
        yield from array
    else:
        for begin, end in _spans(array, shape):
            yield from _read(array[begin:end], (end - begin, *shape[1:]), array.dtype)


def _read(part: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Compute a part of an array, which must be what the whole has promised."""
    pixels = unmasked(part.compute() if hasattr(part, "compute") else part)  # dask's own conversion drops masks
    if pixels.shape != shape or pixels.dtype.newbyteorder("=") != dtype.newbyteorder("="):
        raise ValueError(
            f"a part of the array should be {dtype} {shape}, and came as {pixels.dtype} {pixels.shape}: its shape or "
            "dtype does not tell the truth"
        )
    return pixels


def _spans(array: Any, shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield ranges of pages that are taken at a time: whole chunks, as many as make _TOGETHER_BYTES, or one."""
    page_bytes = math.prod(shape[1:]) * array.dtype.itemsize
    most = _TOGETHER_BYTES // page_bytes
    begin = end = 0
    for chunk in _chunks(array, shape[0]):
        splits = chunk > most and chunk * page_bytes > limits.implicit()  # then rather computed twice
        for length in itertools.repeat(1, chunk) if splits else (chunk,):
            if length and begin < end and end + length > begin + most:
                yield begin, end
                begin = end
            end += length
    yield begin, end


def _chunks(array: Any, pages: int) -> Iterable[int]:
    """Return how many pages the array's chunks have, one after the other; 1 where there are no chunks."""
    chunks = getattr(array, "chunks", None)
    along = chunks[0] if isinstance(chunks, tuple) and len(chunks) == len(array.shape) else 1
    if isinstance(along, int):  # as in h5py and zarr; dask tells the length of each
        along = (*itertools.repeat(along, pages // along), pages % along) if along > 0 else ()
    return along if sum(along) == pages else itertools.repeat(1, pages)
