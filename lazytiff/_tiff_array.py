"""What users see of all arrays of lazytiff: `TiffArray`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from lazytiff import _colour, _dask, _making, _protocols
from lazytiff._reduce import ReducedArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from lazytiff._dimensions import Step
    from lazytiff._functions import Function


class TiffArray(NDArrayOperatorsMixin, ReducedArray):
    """An array whose pixels are in files: it looks like a numpy.ndarray, and reads what it is asked for.

    Indexing, iteration, reductions, `copy()` and `np.asarray` compute. All else is a view: NumPy's functions of
    elements (`np.sqrt(img)`, `img + 1`, `img > 7`), `map`, `astype`, `lazy`, `rgb`, `gray`, `normed` and `channel` give
    an array that computes, when it is indexed, what the index needs. NumPy's reductions (`np.max(img, axis=0)`) are
    computed block by block; other functions of NumPy get the whole array, as `np.asarray` gives it.
    """

    _view_type: ClassVar[Callable[..., TiffArray]]  # TiffView, as `_views` says, which knows more than this room
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        """Refuse more than one element, as NumPy does."""
        if self.size == 1:
            return bool(self.copy())
        raise ValueError(f"whether {self!r} is true is ambiguous; use a.any() or a.all()")

    @property
    def sizes(self) -> dict[str, int]:
        """Elements along each axis, by its letter."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def resolution(self) -> dict[str, Step]:
        """How far apart neighbours are along each axis, as (value, unit), as far as that is known."""
        return {}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, as far as they are known."""
        return ()

    @property
    def hyperstack(self) -> TiffArray:
        """The same pixels along the axes that a file's description names: the array itself where nobody names any."""
        return self

    @property
    def missing(self) -> int:
        """How many planes a file's description tells of and are not there: of a `hyperstack`."""
        return 0

    def filled(self, value: ArrayLike = 0) -> TiffArray:
        """Return the same pixels with that value for missing planes: the array itself where none are missing.

        Raises ValueError when the dtype does not hold the value.
        """
        scalar = np.asarray(value)
        castable = not scalar.ndim and np.can_cast(np.min_scalar_type(scalar), self.dtype, "same_kind")
        if not castable or (self.dtype.kind in "bui" and scalar.astype(self.dtype) != scalar):
            raise ValueError(f"{value!r} is no value of {self.dtype}")
        return self

    def explain(self) -> str:
        """Tell in words how the pixels are stored and how they are read."""
        return repr(self)

    def __contains__(self, value: object) -> bool:
        """Tell whether any element is equal, as NumPy does."""
        return bool((self == value).any())

    def item(self) -> Any:
        """Return the only element as a Python number. Raises ValueError when there are others."""
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.copy().item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    # ---- Views

    def _viewed(self, function: Function, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str) -> TiffArray:
        """Return the view of this array alone that a function makes."""
        return self._view_type(function, (self,), shape, dtype, axes)

    @property
    def lazy(self) -> Lazy:
        """Index it for a view: `img.lazy[10:20, ::2]` reads nothing. TypeError for arrays."""
        return Lazy(self)

    def map(self, func: Callable[[NDArray[Any]], ArrayLike], dtype: DTypeLike | None = None) -> TiffArray:
        """Return a view of func of all elements.

        func gets a block of pixels, of any shape, that it may change, and returns an array of the same shape: each
        element of its own, as blocks are cut in many ways. It is called by several threads at a time. dtype: of the
        result; without it func is tried on one element that is 1, and a TypeError asks for dtype when that fails.
        """
        return _making.map_arrays(func, self, dtype=dtype)

    def astype(self, dtype: DTypeLike, casting: Any = "unsafe", *, copy: bool = False) -> TiffArray:  # noqa: ARG002
        """Return a view of the elements as another dtype; the array itself when it has that dtype.

        Raises TypeError when NumPy's rule `casting` does not allow it. copy: means nothing, as views are never copies.
        """
        return _making.cast(self, np.dtype(dtype), casting)

    def transpose(self, *axes: Any) -> TiffArray:
        """Return a view with its axes in another order, as `numpy.ndarray.transpose`: without arguments, backwards."""
        order = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)) else axes
        return _making.transposed(self, order or None)

    @property
    def T(self) -> TiffArray:  # noqa: N802  # NumPy's name
        """A view with its axes backwards."""
        return self.transpose()

    def rgb(self) -> TiffArray:
        """Return a view of the pixels as red, green and blue along a last axis of 3; of RGB without more, the array.

        Palette images become the colours of their ColorMap (uint16), gray ones three equal samples of their dtype,
        min-is-white undone. Samples beyond the colours are left out. Raises UnsupportedTiffError for other colours.
        """
        return _colour.rgb(self)

    def gray(self) -> TiffArray:
        """Return a view of the pixels as gray, of the dtype of `rgb()`: of gray ones without more, the array itself.

        Colours become 0.299 R + 0.587 G + 0.114 B, computed in float64 and rounded half to even: the luma of ITU-R
        BT.601, as Julia's Colors has it for `Gray(::RGB)`. Min-is-white is undone. Samples beyond the colours are left
        out. Raises UnsupportedTiffError for other colours than gray, RGB and palettes.
        """
        return _colour.gray(self)

    def normed(self, dtype: DTypeLike = np.float32) -> TiffArray:
        """Return a view of the pixels as fractions of the largest value: floating point numbers from 0 to 1.

        Integers of n bits are divided by 2^n - 1, signed ones by 2^(n - 1), as TiffImages.jl reads them; n is what the
        file says, as 12 bits in a uint16, and all bits of the dtype for what was computed. Floating point numbers stay
        as they are. Palette images become the colours of their ColorMap first; min-is-white is undone; samples beyond
        the colours, as alpha, are there too. Raises UnsupportedTiffError for other colours than gray, RGB and palettes,
        and for complex pixels; ValueError for a dtype that is not floating point.
        """
        return _colour.normed(self, np.dtype(dtype))

    def channel(self, number: int) -> TiffArray:
        """Return a view of one sample of each pixel; of a hyperstack without samples, of one of its channels (C).

        Raises IndexError when there are not so many.
        """
        axes = self.axes
        axis = axes.find("S") if "S" in axes else axes.find("C")
        if axis < 0:
            if operator.index(number) not in (0, -1):
                raise IndexError(f"{self!r} has one channel, and not number {number}; see hyperstack.channel")
            return self
        return self.lazy[(slice(None),) * axis + (operator.index(number),)]

    def to_dask(self, chunks: Any = "auto") -> Any:
        """Return a dask.array.Array of the same elements; nothing is read.

        chunks: as dask takes them; "auto": whole strips or tiles of the file, as many as make dask's array.chunk-size.
        Its graph holds what opens the files again, in other processes too, and no pixels; its name is the same for the
        same unchanged file. A task reads in its own thread. Raises ImportError without dask.
        """
        return _dask.to_dask(self, chunks)

    def __dask_tokenize__(self) -> Any:
        """Return what tells dask that two arrays are the same: of the same unchanged file, whoever opened it."""
        return _dask.token(*self._identity())

    # ---- NumPy

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Return a view for NumPy's functions of elements, and stream reductions."""
        return _protocols.call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Stream what NumPy's reductions ask for; give other functions the whole array, as `np.asarray` does."""
        return _protocols.call_function(func, args, kwargs)


class Lazy:
    """What `img.lazy` is: index it for a view."""

    def __init__(self, array: TiffArray) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> TiffArray:
        """Return a view of what the key selects; the array itself when that is all of it."""
        return _making.sliced(self._array, key)
