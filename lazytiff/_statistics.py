"""Histograms, quantiles and medians of arrays that are larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _blocks
from lazytiff._cuts import slabs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Box
    from lazytiff._gather import Request
    from lazytiff._reduce import ReducedArray


_COUNTED_BYTES = 256 << 10  # of a block, counted at a time


def is_countable(array: BaseArray) -> bool:
    """Tell whether there are elements, of a dtype that has so few values that each can be counted."""
    return array.size > 0 and array.dtype.kind in "bui" and array.dtype.itemsize <= np.dtype(np.int16).itemsize


def counts(array: BaseArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return all values of a countable dtype, ascending, and how often each occurs."""
    dtype = array.dtype.newbyteorder("=")
    first = 0 if dtype.kind in "bu" else int(np.iinfo(dtype).min)
    length = 2 if dtype.kind == "b" else 1 << (8 * dtype.itemsize)
    total = np.zeros(length, np.int64)

    def work(_: Box, request: Request) -> NDArray[np.int64]:
        (block,) = array._peek([request])
        found = np.zeros(length, np.int64)
        for _axis, slab in slabs(block, _COUNTED_BYTES):  # NumPy counts nothing but a copy as intp
            found += np.bincount(block[slab].ravel().astype(np.intp) - first, minlength=length)
        return found

    for _, found in _blocks.each(array, work, "count"):
        total += found
    return np.arange(first, first + length).astype(dtype), total


def histogram(
    array: ReducedArray, bins: Any, limits: tuple[float, float] | None, *, density: bool | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return how many elements are in each bin, and the edges of the bins, as numpy.histogram."""
    if not array.size:
        return np.histogram(np.empty(0, array.dtype), bins, limits, density)
    if is_countable(array) and array.dtype.kind != "b" and not isinstance(bins, str):
        values, number = counts(array)
        there = number > 0
        return np.histogram(values[there], bins, limits, density, weights=number[there])
    if isinstance(bins, str) or array.dtype.kind == "b":
        return np.histogram(np.asarray(array), bins, limits, density)
    if np.ndim(bins) == 0 and limits is None:
        limits = array.min(), array.max()
    found, edges = np.histogram(np.empty(0, array.dtype), bins, limits)

    def work(_: Box, request: Request) -> NDArray[np.intp]:
        (block,) = array._peek([request])
        return np.histogram(block, bins, limits)[0]

    for _, more in _blocks.each(array, work, "count"):
        found += more
    return (found / np.diff(edges) / found.sum(), edges) if density else (found, edges)


def quantile(array: BaseArray, fractions: Any) -> Any:
    """Return quantiles of all elements of a countable dtype, interpolated as numpy.quantile does by default.

    Of the sorted elements, the one at (n - 1) q: NumPy interpolates between the two neighbours, and is asked to.
    """
    np.quantile(np.zeros(1, array.dtype), fractions)  # which raises what is wrong with them
    asked = np.asarray(fractions)  # of any dtype: NumPy's results depend on it
    values, number = counts(array)
    last = np.cumsum(number)
    places = np.asarray((int(last[-1]) - 1) * asked)
    below = np.floor(places)
    pairs = _sorted_at(values, last, [below, np.ceil(places)])
    shares = np.asarray(places - below).reshape(-1, *[1] * (asked.ndim > 0))  # NumPy warns where scalars overflow
    found = [np.quantile(pair, share) for pair, share in zip(pairs.reshape(2, -1).T, shares, strict=True)]
    return np.array(found).reshape(asked.shape)[()]


def median(array: BaseArray) -> Any:
    """Return the median of all elements of a countable dtype, as numpy.median: the mean of the two in the middle."""
    values, number = counts(array)
    last = np.cumsum(number)
    total = int(last[-1])
    return np.median(_sorted_at(values, last, [(total - 1) // 2, total // 2]))


def _sorted_at(values: NDArray[Any], last: NDArray[np.int64], places: Any) -> NDArray[Any]:
    """Return the sorted elements at these places; `last`: how many elements are not above each value."""
    return np.asarray(values[np.searchsorted(last, places, side="right")])
