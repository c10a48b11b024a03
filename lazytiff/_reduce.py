"""Reductions of arrays that are larger than memory, as methods."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from lazytiff import _blocks, _cuts, _statistics
from lazytiff._array import BaseArray
from lazytiff._folds import Count, Mean, Place, Span, mean_dtype, reduced
from lazytiff._stream import (
    NOTHING,
    at_once,
    axes_of,
    is_streamed,
    read_mask,
    require_array,
    stream,
    ufunc_reduce,
)
from lazytiff._variance import Variance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray


class ReducedArray(BaseArray):
    """An array that is reduced as NumPy's are, by methods with NumPy's arguments.

    Each chunk is read once, by all workers, some 64 MiB at a time beside the result. Integers, booleans, minima, maxima
    and places are NumPy's bit for bit. Sums, means and variances of floating point numbers are accumulated in float64
    (complex128) and then have NumPy's dtype; blocks are put together in the array's order, so that the value does not
    depend on the number of workers. `out` may be any numpy.ndarray, `where` an array of any kind that broadcasts.
    """

    def max(
        self, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = NOTHING, where: Any = True
    ) -> Any:
        """Return the largest elements; NaN where there is one. Raises ValueError when there are none."""
        return ufunc_reduce(self, np.maximum, axis, None, out, keepdims, initial, where)

    def min(
        self, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = NOTHING, where: Any = True
    ) -> Any:
        """Return the smallest elements; NaN where there is one. Raises ValueError when there are none."""
        return ufunc_reduce(self, np.minimum, axis, None, out, keepdims, initial, where)

    def sum(
        self,
        axis: Any = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = NOTHING,
        where: Any = True,
    ) -> Any:
        """Return the sums: of integers as 64-bit integers, which wrap around as NumPy's do."""
        return ufunc_reduce(self, np.add, axis, dtype, out, keepdims, initial, where)

    def prod(
        self,
        axis: Any = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = NOTHING,
        where: Any = True,
    ) -> Any:
        """Return the products: of integers as 64-bit integers, which wrap around as NumPy's do."""
        return ufunc_reduce(self, np.multiply, axis, dtype, out, keepdims, initial, where)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
        """Return whether any element is not zero; of the whole array, no more is read than it takes to know."""
        return self._truth(np.logical_or, axis, out, keepdims, where)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
        """Return whether no element is zero; of the whole array, no more is read than it takes to know."""
        return self._truth(np.logical_and, axis, out, keepdims, where)

    def _truth(self, ufunc: np.ufunc, axis: Any, out: Any, keepdims: bool, where: Any) -> Any:
        return ufunc_reduce(self, ufunc, axis, bool, out, keepdims, NOTHING, where)

    def mean(
        self,
        axis: Any = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: bool = False,
        *,
        where: Any = True,
    ) -> Any:
        """Return the means: of integers as float64. Where there is nothing to average, NaN and a RuntimeWarning."""
        if not is_streamed(self):
            return np.mean(at_once(self), axis, dtype, out, keepdims, **read_mask(where))
        require_array(out)
        made = Mean(mean_dtype(self.dtype, dtype, out))
        return stream(self, made, axis, out, keepdims=keepdims, where=where)

    def var(
        self,
        axis: Any = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        correction: Any = NOTHING,
    ) -> Any:
        """Return the mean squares of the distances from the mean; ddof (or correction) is taken off the count."""
        return self._variance(axis, dtype, out, ddof, keepdims, where, correction, root=False)

    def std(
        self,
        axis: Any = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        correction: Any = NOTHING,
    ) -> Any:
        """Return the standard deviations: the roots of `var`."""
        return self._variance(axis, dtype, out, ddof, keepdims, where, correction, root=True)

    def _variance(
        self, axis: Any, dtype: Any, out: Any, ddof: float, keepdims: bool, where: Any, correction: Any, *, root: bool
    ) -> Any:
        if correction is not NOTHING and ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        off = ddof if correction is NOTHING else correction
        if not is_streamed(self):
            return (np.std if root else np.var)(at_once(self), axis, dtype, out, off, keepdims, **read_mask(where))
        require_array(out)
        result = mean_dtype(np.empty(0, self.dtype).real.dtype, dtype, out)
        total = reduced(self.shape, axes_of(axis, self.ndim))
        made = Variance(self.dtype, result, total, off, root=root)
        return stream(self, made, axis, out, keepdims=keepdims, where=where)

    def argmax(self, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        """Return where the first of the largest elements is: along an axis, or in the flat array (C order)."""
        return self._place(axis, out, keepdims, largest=True)

    def argmin(self, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        """Return where the first of the smallest elements is: along an axis, or in the flat array (C order)."""
        return self._place(axis, out, keepdims, largest=False)

    def _place(self, axis: int | None, out: Any, keepdims: bool, *, largest: bool) -> Any:
        if axis is not None:
            axis = normalize_axis_index(operator.index(axis), self.ndim)
        if not is_streamed(self):
            return (np.argmax if largest else np.argmin)(at_once(self), axis, out, keepdims=keepdims)
        require_array(out)
        if out is not None and not np.can_cast(out.dtype, np.intp):
            raise TypeError(f"out must hold places, which are of {np.dtype(np.intp)}, not of {out.dtype}")
        return stream(self, Place(self.shape, axis, largest=largest), axis, out, keepdims=keepdims)

    def ptp(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Return the largest elements less the smallest, in the array's dtype, as NumPy does."""
        if not is_streamed(self):
            return np.ptp(at_once(self), axis, out, keepdims)
        return stream(self, Span(), axis, out, keepdims=keepdims)

    def count_nonzero(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return how many elements are not zero, as `numpy.count_nonzero`."""
        if not is_streamed(self):
            return np.count_nonzero(at_once(self), axis, keepdims=keepdims)
        found = stream(self, Count(), axis, None, keepdims=keepdims)
        scalar = type(np.count_nonzero(()))  # int before NumPy 2.3
        return scalar(found) if axis is None and not keepdims else found

    def histogram(
        self, bins: Any = 10, range: tuple[float, float] | None = None, density: bool | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return how many elements are in each bin, and the edges of the bins, as `numpy.histogram`.

        Integers of at most 16 bits are read once, whatever the bins; others twice when no range is given. bins as a
        word (a rule of NumPy's) reads the whole array, as `np.asarray` does.
        """
        return _statistics.histogram(self, bins, range, density=density)

    def quantile(self, q: Any) -> Any:
        """Return the quantiles q (from 0 to 1) of all elements, interpolated as `numpy.quantile` does by default.

        Integers of at most 16 bits are counted, exactly and in little memory; of others the whole array is read, as
        `np.asarray` does.
        """
        if not _statistics.is_countable(self):
            return np.quantile(np.asarray(self), q)
        return _statistics.quantile(self, q)

    def percentile(self, q: Any) -> Any:
        """Return the percentiles q (from 0 to 100) of all elements, as `numpy.percentile`; memory: see `quantile`."""
        if not _statistics.is_countable(self):
            return np.percentile(np.asarray(self), q)
        return _statistics.quantile(self, np.true_divide(q, 100))

    def median(self) -> Any:
        """Return the median of all elements, as `numpy.median`; as for memory, see `quantile`."""
        if not _statistics.is_countable(self):
            return np.median(np.asarray(self))
        return _statistics.median(self)

    def iter_blocks(self, nbytes: int = 16 << 20) -> Iterator[tuple[tuple[slice, ...], NDArray[Any]]]:
        """Yield (index, array) for all of the array, in the order of pages in the files: `self[index]` is that array.

        nbytes: of an array, at the most; it is made of whole strips or tiles, of one at least. The next ones are read
        ahead by all workers, as many as make 64 MiB or one. Raises ValueError when nbytes is not positive.
        """
        if operator.index(nbytes) < 1:
            raise ValueError(f"nbytes must be positive, not {nbytes}")
        return self._iter_blocks(nbytes)

    def _iter_blocks(self, nbytes: int) -> Iterator[tuple[tuple[slice, ...], NDArray[Any]]]:
        if self.size:
            found = _blocks.each(
                self, lambda _, part: self._read([part])[0], "read", nbytes=nbytes, order="files", least=1
            )
            for box, block in found:
                yield _cuts.slices(box), block
