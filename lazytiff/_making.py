"""How views are made: of functions of elements and of basic indices, checked by NumPy's own rules before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazytiff._array import BaseArray
from lazytiff._dask import token
from lazytiff._dimensions import free_letter, lettered
from lazytiff._functions import Applied, Called, Cast, Elementwise
from lazytiff._keys import select
from lazytiff._memory import MemoryArray
from lazytiff._slicing import Slice, Transposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, DTypeLike

    from lazytiff._tiff_array import TiffArray


class Operands:
    """What a function is to be called with: arrays, and constants by their places."""

    def __init__(self, given: Sequence[Any]) -> None:
        self.given = [value if isinstance(value, BaseArray) else _plain(value) for value in given]
        arrays = [value for value in self.given if isinstance(value, BaseArray | np.ndarray)]
        self.constants = {
            place: value for place, value in enumerate(self.given) if not isinstance(value, BaseArray | np.ndarray)
        }
        self.sources = tuple(MemoryArray(value) if isinstance(value, np.ndarray) else value for value in arrays)
        self.first: Any = next(source for source in self.sources if not isinstance(source, MemoryArray))
        self.shapes = [source.shape for source in self.sources]
        try:
            self.shape = np.broadcast_shapes(*self.shapes)
        except ValueError:
            text = " ".join(map(str, self.shapes))
            raise ValueError(f"operands could not be broadcast together with shapes {text}") from None

    @property
    def axes(self) -> str:
        """The letters of the first array of files that has all axes; of the first one, if none has."""
        ndim = len(self.shape)
        files = [source for source in self.sources if not isinstance(source, MemoryArray)]
        return lettered(max(files, key=lambda source: source.ndim == ndim).axes, ndim)

    def like(self, make: Callable[[Any], Any]) -> list[Any]:
        """Return what stands for each of the given when a function is tried."""
        return [make(value) if isinstance(value, BaseArray | np.ndarray) else value for value in self.given]

    def elementwise(self, call: Callable[..., Any], name: str, dtype: np.dtype[Any]) -> TiffArray:
        """Return the view of a function that NumPy broadcasts."""
        return self.view(Called(call, name, self.constants, self.shapes), dtype)

    def view(self, function: Elementwise, dtype: np.dtype[Any]) -> TiffArray:
        """Return the view."""
        view: TiffArray = self.first._view_type(function, self.sources, self.shape, dtype, self.axes)
        return view


def _plain(value: Any) -> Any:
    """Return an operand as a numpy.ndarray, or as it is when it is the same for all elements."""
    if isinstance(value, bool | int | float | complex | np.generic):
        return value
    array = np.asarray(value)
    return array if array.ndim else array[()]


def elementwise(ufunc: np.ufunc, operands: Operands, options: dict[str, Any], out: Sequence[Any] = ()) -> Any:
    """Return the view that a ufunc gives; several where it has several results.

    NumPy is asked for the dtype, and whether it would take these operands at all, by arrays without elements.
    """
    arrays = operands.like(lambda value: np.empty(0, value.dtype))
    targets = {"out": tuple(np.empty(0, one.dtype) for one in out)} if out else {}
    found = ufunc(*arrays, **options, **targets)
    if ufunc.nout == 1:
        return operands.elementwise(_Call(ufunc, options), ufunc.__name__, found.dtype)
    return tuple(
        operands.elementwise(_Call(ufunc, options, number), ufunc.__name__, one.dtype)
        for number, one in enumerate(found)
    )


class _Call:
    """A ufunc with its options, and which of its results is wanted: something that can be pickled."""

    def __init__(self, ufunc: np.ufunc, options: dict[str, Any], number: int | None = None) -> None:
        self._ufunc, self._options, self._number = ufunc, options, number

    def __dask_tokenize__(self) -> Any:
        return token(self._ufunc, sorted(self._options.items()), self._number)

    def __call__(self, *operands: Any) -> Any:
        found = self._ufunc(*operands, **self._options)
        return found if self._number is None else found[self._number]


def map_arrays(func: Callable[..., ArrayLike], *arrays: Any, dtype: DTypeLike | None = None) -> TiffArray:
    """Return a view of func of the elements of several arrays, of which one at least is a TiffArray.

    Arrays broadcast as NumPy's do; func gets their blocks in one shape, in the order of the arguments, and returns an
    array of that shape. Numbers are handed on as they are. func may change the block of an array that is not broadcast.
    It is called by several threads at a time, with blocks of any shape. dtype: of the result; without it func is tried
    on one element of each, that is 1.

    Raises TypeError when that fails, and when no argument is a TiffArray; ValueError when shapes do not go together.
    """
    if not any(isinstance(array, BaseArray) for array in arrays):
        raise TypeError("at least one array of lazytiff.open is needed; others are for func itself")
    operands = Operands(arrays)
    known = _tried(func, operands) if dtype is None else np.dtype(dtype)
    return operands.view(Applied(func, operands.constants, known, operands.shapes), known)


def _tried(func: Callable[..., ArrayLike], operands: Operands) -> np.dtype[Any]:
    """Return the dtype that func gives for one element of each."""
    ones = (1,) * len(operands.shape)
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(func(*operands.like(lambda value: np.ones(ones, value.dtype))))
    except Exception as error:
        raise TypeError(f"{func!r} failed for one element: {error!r}; say what it returns with dtype=") from error
    if found.shape != ones:
        raise TypeError(
            f"{func!r} returned {found.shape} for a block of one element {ones}: it must return an array of its "
            "block's shape, or say what it returns with dtype="
        )
    return found.dtype


def cast(array: TiffArray, dtype: np.dtype[Any], casting: Any) -> TiffArray:
    """Return a view of another dtype; the array itself when it has it."""
    if dtype == array.dtype:
        return array
    np.empty(0, array.dtype).astype(dtype, casting=casting)  # which raises what NumPy raises
    return Operands([array]).view(Cast(dtype), dtype)


def transposed(array: TiffArray, axes: Sequence[int] | None) -> TiffArray:
    """Return a view with its axes in that order; the array itself when that is theirs."""
    order = tuple(range(array.ndim)[::-1]) if axes is None else normalize_axis_tuple(axes, array.ndim)
    if len(order) != array.ndim:
        raise ValueError("axes don't match array")
    if order == tuple(range(array.ndim)):
        return array
    shape = tuple(array.shape[axis] for axis in order)
    letters = "".join(array.axes[axis] for axis in order)
    return array._viewed(Transposed(order), shape, array.dtype, letters)


def sliced(array: TiffArray, key: Any) -> TiffArray:
    """Return a view of what a basic key selects; the array itself when that is all of it."""
    items = key if isinstance(key, tuple) else (key,)
    for item in items:
        if isinstance(item, bool) or not (
            item is None or item is Ellipsis or isinstance(item, slice | int | np.integer)
        ):
            raise TypeError("img.lazy[...] takes integers, slices, ... and None; img[...] takes arrays, and reads")
    selection = select(key, array.shape)
    function = Slice(tuple(selection.spans), _layout(items, array.ndim))
    axes = "".join("?" if axis is None else array.axes[axis] for axis in function.layout)
    while "?" in axes and free_letter(axes) != "?":
        axes = axes.replace("?", free_letter(axes), 1)
    if function.spans == tuple(map(range, array.shape)) and function.layout == tuple(range(array.ndim)):
        return array
    if isinstance(array._function, Slice):
        function, array = array._function.then(function), array.base  # type: ignore[attr-defined]  # it is a view
    return array._viewed(function, selection.shape, array.dtype, axes)


def _layout(items: Sequence[Any], ndim: int) -> tuple[int | None, ...]:
    """Return which axes a basic key leaves, None for those that it adds."""
    given = sum(item is not None and item is not Ellipsis for item in items)
    layout: list[int | None] = []
    axis = 0
    for item in items if Ellipsis in items else (*items, Ellipsis):
        if item is None:
            layout.append(None)
        elif item is Ellipsis:
            layout += range(axis, axis + ndim - given)
            axis += ndim - given
        else:
            layout += [axis] * isinstance(item, slice)
            axis += 1
    return tuple(layout)
