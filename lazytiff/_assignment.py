"""Assignment as NumPy has it, in pieces of bytes: `array[key] = value` for an array whose pixels are in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _cuts
from lazytiff._indexing import plan
from lazytiff._tiff_array import TiffArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lazytiff._extents import Extents
    from lazytiff._indexing import Request
    from lazytiff._mapping import Mapping
    from lazytiff._mmap import MmapTiff

    Piece = tuple[NDArray[np.uint64], int, NDArray[Any]]
    """Offsets in the file, bytes at each of them, and all those bytes one after the other."""

_BLOCK_BYTES = 16 << 20  # that are prepared at a time


def pieces(array: MmapTiff, extents: Extents, mapping: Mapping, key: Any, value: Any) -> Iterator[Piece]:
    """Yield what to write where for `array[key] = value`; raise what NumPy raises for it."""
    index = plan(key, array.shape, array._plan_chunks)  # noqa: SLF001  # of the same array
    if index.is_box and isinstance(value, np.generic):
        np.empty(1, array.dtype)[...] = value  # NumPy looks whether a scalar is in range, but not with index arrays
    source = _as_source(value, array, mapping)
    shape = index.shape
    while source.ndim > len(shape) and source.shape[0] == 1:
        source = source[0]  # NumPy leaves out axes of length 1 in front
    _check_broadcast(source.shape, shape)
    if 0 in shape:
        return
    if index.is_box:
        yield from _box_pieces(array, extents, index.requests[0], shape, source)
        return
    data = np.empty(shape, array.dtype)
    data[...] = source[...]
    offsets = extents.offsets(*_positions(array, key))
    yield offsets.ravel().astype(np.uint64), array.itemsize, data.reshape(-1)


def _as_source(value: Any, array: MmapTiff, mapping: Mapping) -> Any:
    """Return the value as something with a shape, whose elements are not among those that are written to."""
    if isinstance(value, TiffArray):
        return value.copy() if value._overlaps(array) else value  # noqa: SLF001  # of this package
    if not isinstance(value, np.ndarray | np.generic):
        # straight to the dtype, as NumPy does: 300 does not become a uint8 by way of an int64
        value = np.asarray(value) if hasattr(value, "__array__") else np.array(value, array.dtype)
    value = np.asarray(value)
    return value.copy() if value.size and mapping.holds(value) else value


def _check_broadcast(source: tuple[int, ...], shape: tuple[int, ...]) -> None:
    fits = len(source) <= len(shape) and all(
        mine in (1, size) for mine, size in zip(reversed(source), reversed(shape), strict=False)
    )
    if not fits:
        raise ValueError(f"could not broadcast input array from shape {source} into shape {shape}")


def _box_pieces(
    array: MmapTiff, extents: Extents, request: Request, shape: tuple[int, ...], source: Any
) -> Iterator[Piece]:
    """Yield block after block of a box; axes that the key dropped or added have length 1 in one of the two shapes."""
    full = tuple(map(len, request))
    if isinstance(source, TiffArray) and not source.shape == shape == full:
        source = source.copy()
    values = source if isinstance(source, TiffArray) else np.broadcast_to(source, shape).reshape(full)
    rows = _cuts.group_rows(full, list(map(range, full)), _BLOCK_BYTES // array.itemsize)
    for box in _cuts.boxes(full, rows):
        spans = _cuts.within(request, box)
        data = np.empty(tuple(map(len, spans)), array.dtype)
        data[...] = values[_cuts.slices(box)]
        offsets, length = extents.runs(array._want(spans))  # noqa: SLF001  # of the same array
        yield offsets, length, data.reshape(-1)


def _positions(array: MmapTiff, key: Any) -> list[NDArray[np.intp]]:
    """Return the page, row, column and sample of each element that the key selects, for any key: NumPy tells."""
    shape = array.shape
    selected = []
    for axis, size in enumerate(shape):
        numbers = np.arange(size).reshape([-1 if other == axis else 1 for other in range(len(shape))])
        selected.append(np.broadcast_to(numbers, shape)[key])
    if array.axes[0] == "Y":
        selected.insert(0, np.zeros_like(selected[0]))
    if array.axes[-1] != "S":
        selected.append(np.zeros_like(selected[0]))
    return selected
