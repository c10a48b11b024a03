"""What a key of NumPy's indexing selects, axis by axis.

What NumPy would refuse is refused by NumPy itself, and so in its own words: the key is applied to an array that has the
shape but takes no memory. (NumPy cannot do all the work in this way: for an index array it allocates the result.)
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from types import EllipsisType
    from typing import TypeAlias

    from numpy.typing import NDArray

    # An entry of a key, converted: a bool is a mask without dimensions, an array is a mask or holds integers.
    Token: TypeAlias = int | slice | bool | EllipsisType | NDArray[Any] | None

_MAX_NDIM = 64  # NPY_MAXDIMS of NumPy 2, which NumPy does not export


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The elements that a key selects.

    Attributes
    ----------
    shape
        Shape of the result; nothing else is meaningful when it has no elements.
    spans
        The indices along each axis, empty where `arrays` has the axis.
    arrays
        Index arrays by axis, not broadcast, without negative entries, within bounds.
    mask
        Instead of `arrays`: the only array of the key if it is a mask that begins at axis 0, as it may be very large.
    split
        The axis before which the dimensions of the index arrays are in the result.
    scalar
        Whether NumPy gives a scalar rather than an array.

    """

    shape: tuple[int, ...]
    spans: list[range] = field(default_factory=list)
    arrays: dict[int, NDArray[np.intp]] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None
    split: int = 0
    scalar: bool = False


def select(key: object, shape: tuple[int, ...]) -> Selection:
    """Understand a key for an array of this shape, or raise what NumPy raises."""
    try:
        tokens = _tokens(key, len(shape))
        walk = _Walk(shape, alone=sum(isinstance(token, np.ndarray) for token in tokens) == 1)
        for token in tokens:
            walk.take(token)
        selection = walk.selection(scalar=all(type(token) is int for token in tokens))
    except Exception as error:  # noqa: BLE001 (whatever it is, NumPy says it better)
        return Selection(_ask_numpy(key, shape, error))
    try:
        return replace(selection, arrays=walk.wrapped_arrays())
    except IndexError as error:
        _ask_numpy(tuple(walk.short), shape, error)
        return Selection(selection.shape)


def _ask_numpy(key: object, shape: tuple[int, ...], error: Exception) -> tuple[int, ...]:
    """Let NumPy raise its own error for a key that was not understood.

    NumPy takes more when nothing is selected: an empty list, which has no integer type; a mask of another shape that
    has no elements; in 2.0, indices out of bounds beside an empty slice. Then give the shape of its result.
    """
    result = np.broadcast_to(np.zeros((), np.uint8), shape)[key]  # type: ignore[call-overload]
    if result.size:
        raise error
    return tuple(result.shape)


def index_span(index: int, size: int) -> range:
    """Give an index that is within bounds as a range."""
    start = index if index >= 0 else index + size
    return range(start, start + 1)


def slice_span(item: slice, size: int) -> range:
    """Give the indices of a slice; a single one gets step 1, for its own step may exceed every C integer."""
    span = range(size)[item]
    return span if len(span) != 1 else range(span[0], span[0] + 1)


def _tokens(key: object, ndim: int) -> list[Token]:
    """Convert the entries of a key, and add the slices that its ellipsis stands for."""
    tokens = [_token(item) for item in (key if isinstance(key, tuple) else (key,))]
    missing = ndim - sum(map(_width, tokens))
    ellipses = [place for place, token in enumerate(tokens) if token is Ellipsis]
    if missing < 0 or len(ellipses) > 1:
        raise IndexError
    end = ellipses[0] + 1 if ellipses else len(tokens)
    return [*tokens[:end], *[slice(None)] * missing, *tokens[end:]]


def _token(item: object) -> Token:
    """Convert one entry of a key, trying things in NumPy's order."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if not isinstance(item, (bool, np.bool_, np.ndarray)):
        try:
            return int(operator.index(item))  # type: ignore[arg-type]
        except TypeError:
            pass
    array = np.asarray(item)
    if array.dtype.kind not in "biu":
        raise IndexError
    return array if array.ndim else array.item()


def _width(token: Token) -> int:
    """Count the axes that an entry of a key takes."""
    if isinstance(token, np.ndarray):
        return token.ndim if token.dtype == np.bool_ else 1
    return int(isinstance(token, (int, slice)) and not isinstance(token, bool))


@dataclass(slots=True, eq=False)
class _Walk:
    """What the entries of a key say, one after the other."""

    shape: tuple[int, ...]
    alone: bool  # there is but one array in the key
    spans: list[range] = field(default_factory=list)
    arrays: dict[int, NDArray[np.intp]] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None
    points: list[tuple[int, ...]] = field(default_factory=list)  # what broadcasts to the shape of the points
    sizes: list[int] = field(default_factory=list)  # dimensions of the result from slices and None
    runs: list[tuple[int, int]] = field(default_factory=list)  # lengths of sizes and spans where arrays in a row begin
    in_run: bool = False
    short: list[Token] = field(default_factory=list)  # a key of the same arrays that selects little beside them

    def take(self, token: Token) -> None:
        """Take the next entry. An integer in a row with arrays counts as one, an ellipsis ends a row even if empty."""
        gathers = isinstance(token, (int, np.ndarray))
        if gathers and not self.in_run:
            self.runs.append((len(self.sizes), len(self.spans)))
        self.in_run = gathers
        self.short.append(token)
        match token:
            case None:
                self.sizes.append(1)
            case bool():
                self.points.append((int(token),))
            case int():
                self._take_index(token)
            case slice():
                self._take_slice(token)
            case np.ndarray():
                self._take_array(token)

    def _take_slice(self, item: slice) -> None:
        span = slice_span(item, self.shape[len(self.spans)])
        self.spans.append(span)
        self.sizes.append(len(span))
        # NumPy tells that an index is out of bounds only after it has allocated the result, which may be terabytes.
        self.short[-1] = slice(0, min(1, len(span)))

    def _take_index(self, index: int) -> None:
        size = self.shape[len(self.spans)]
        if not -size <= index < size:
            raise IndexError
        self.spans.append(index_span(index, size))

    def _take_array(self, array: NDArray[Any]) -> None:
        axis = len(self.spans)
        if array.dtype != np.bool_:
            self._take_indices(array.astype(np.intp, copy=False))
        elif array.shape != self.shape[axis : axis + array.ndim]:
            raise IndexError
        elif self.alone and not axis:
            self.mask = array
            self.points.append((int(np.count_nonzero(array)),))
            self.spans.extend([range(0)] * array.ndim)
        else:
            for indices in array.nonzero():
                self._take_indices(indices)

    def _take_indices(self, indices: NDArray[np.intp]) -> None:
        self.arrays[len(self.spans)] = indices
        self.points.append(indices.shape)
        self.spans.append(range(0))

    def selection(self, *, scalar: bool) -> Selection:
        """Put together what the entries said; negative indices are still in the arrays."""
        before, split = self.runs[0] if len(self.runs) == 1 else (0, 0)
        shape = (*self.sizes[:before], *np.broadcast_shapes(*self.points), *self.sizes[before:])
        if len(shape) > _MAX_NDIM:
            raise IndexError
        return Selection(shape, self.spans, self.arrays, self.mask, split, scalar)

    def wrapped_arrays(self) -> dict[int, NDArray[np.intp]]:
        """Give the index arrays without negative entries; raise IndexError if one is out of bounds."""
        if 0 in np.broadcast_shapes(*self.points):
            return {}  # NumPy does not look at indices that were broadcast away
        return {axis: _wrapped(array, self.shape[axis]) for axis, array in self.arrays.items()}


def _wrapped(indices: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Count negative indices from the end."""
    low, high = int(indices.min()), int(indices.max())
    if low < -size or high >= size:
        raise IndexError
    return np.where(indices < 0, indices + size, indices) if low < 0 else indices
