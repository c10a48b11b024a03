"""Any array as pages to be written one after the other, in bounded memory."""

from __future__ import annotations

import itertools
import math
import operator
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff import _metadata, _shapes
from lazytiff._limits import limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

_PLANES, _MOST_GUESSED = 4, 4  # of four axes without letters the last one are samples when there are no more of them
_TOGETHER_BYTES = 64 << 20  # of pages that are asked for at a time: enough to keep all workers busy


class Pieces(NamedTuple):
    """An array as pages: (row, column[, sample]) each. `axes` are those of `shape`; without an I there is one page."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    pages: Iterator[NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return math.prod(self.shape) * self.dtype.itemsize


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
    return Pieces(shape, array.dtype, letters, _pages(array, shape, letters.count("I")))


def planes_of(
    array: Any, axes: str | None, metadata: Mapping[str, Any] | None, *, imagej: bool
) -> tuple[Pieces, dict[str, Any] | None]:
    """Return the pages of an array with any of the axes T, Z and C before theirs; and the metadata with their sizes.

    The axes are those of the metadata, of `axes`, or of the array itself; a single one without a name is T. Of an array
    of a file they are those of its `hyperstack`, whose distances and channels are taken over where nobody says others.
    Pages are taken in C order, no more at a time than `pages_of` takes.
    """
    if axes is None and "axes" not in (metadata or {}):
        array = getattr(array, "hyperstack", array)
        metadata = _metadata.inherited(metadata, array, imagej=imagej)
    if isinstance(array, np.ndarray) or not _is_array(array):
        array = unmasked(array)
    shape = _shape(array)
    leading, page = _named_axes(array, shape, (metadata or {}).get("axes"), axes)
    count = len(leading)
    flat = (math.prod(shape[:count]), *shape[count:]) if count else shape
    _shapes.sizes(flat, "I" * bool(count) + page)
    _shapes.check_dtype(array.dtype)
    pieces = Pieces(shape, array.dtype, leading + page, _pages(array, shape, count))
    return pieces, _metadata.sized(metadata, leading, shape[:count])


def _named_axes(array: Any, shape: tuple[int, ...], told: Any, given: str | None) -> tuple[str, str]:
    """Return the letters of the axes before a page's, and of a page's."""
    own = getattr(array, "axes", None) if isinstance(getattr(array, "axes", None), str) else None
    guess = _shapes.default_axes(shape) if len(shape) != _PLANES or shape[-1] <= _MOST_GUESSED else None
    for letters in (told, given, own, guess):
        if not isinstance(letters, str):
            continue
        leading, page = _metadata.split_axes(letters)
        page = page or ("YX" if len(shape) - len(leading) == 2 else "YXS")  # noqa: PLR2004
        leading = "T" if len(leading) == 1 and leading not in "TZC" else leading
        if len(leading) + len(page) == len(shape):
            return leading, page
        if letters is not own:
            break
    raise ValueError(f"shape {shape}: the letters of all axes must be given, as in metadata={{'axes': 'TZCYX'}}")


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


def _pages(array: Any, shape: tuple[int, ...], leading: int) -> Iterator[NDArray[Any]]:
    """Yield the pages behind so many leading axes, in C order."""
    if not leading:
        yield _read(array[...], shape, array.dtype)
    elif isinstance(array, np.ndarray):
        yield from array if leading == 1 else (array[index] for index in np.ndindex(shape[:leading]))
    else:
        for outer in np.ndindex(shape[: leading - 1]):
            for begin, end in _spans(array, shape, leading - 1):
                key = (*outer, slice(begin, end)) if outer else slice(begin, end)
                yield from _read(array[key], (end - begin, *shape[leading:]), array.dtype)


def _read(part: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Compute a part of an array, which must be what the whole has promised."""
    pixels = unmasked(part.compute() if hasattr(part, "compute") else part)  # dask's own conversion drops masks
    if pixels.shape != shape or pixels.dtype.newbyteorder("=") != dtype.newbyteorder("="):
        raise ValueError(
            f"a part of the array should be {dtype} {shape}, and came as {pixels.dtype} {pixels.shape}: its shape or "
            "dtype does not tell the truth"
        )
    return pixels


def _spans(array: Any, shape: tuple[int, ...], axis: int) -> Iterator[tuple[int, int]]:
    """Yield ranges along an axis: pages that are taken at a time, of whole chunks, _TOGETHER_BYTES or one."""
    page_bytes = math.prod(shape[axis + 1 :]) * array.dtype.itemsize
    most = _TOGETHER_BYTES // page_bytes
    begin = end = 0
    for chunk in _chunks(array, shape, axis):
        splits = chunk > most and chunk * page_bytes > limits.implicit()  # then rather computed twice
        for length in itertools.repeat(1, chunk) if splits else (chunk,):
            if length and begin < end and end + length > begin + most:
                yield begin, end
                begin = end
            end += length
    yield begin, end


def _chunks(array: Any, shape: tuple[int, ...], axis: int) -> Iterable[int]:
    """Return how many pages the array's chunks have along an axis, one after the other; 1 where there are no chunks."""
    chunks, pages = getattr(array, "chunks", None), shape[axis]
    along = chunks[axis] if isinstance(chunks, tuple) and len(chunks) == len(array.shape) else 1
    if isinstance(along, int):  # as in h5py and zarr; dask tells the length of each
        along = (*itertools.repeat(along, pages // along), pages % along) if along > 0 else ()
    return along if sum(along) == pages else itertools.repeat(1, pages)
