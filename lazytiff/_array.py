"""What all arrays of lazytiff share: `TiffArray`."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._indexing import plan
from lazytiff._limits import limits
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from lazytiff._dimensions import Step
    from lazytiff._indexing import Request


_TOGETHER_BYTES = 64 << 20  # of blocks that are read at a time


def _groups(requests: list[Request], itemsize: int) -> Iterator[list[Request]]:
    """Yield the requests in their order, those together whose blocks do not exceed _TOGETHER_BYTES."""
    group: list[Request] = []
    room = _TOGETHER_BYTES
    for request in requests:
        size = math.prod(map(len, request)) * itemsize
        if group and size > room:
            yield group
            group, room = [], _TOGETHER_BYTES
        group.append(request)
        room -= size
    yield group


class TiffArray(ABC):
    """An array whose pixels are in a file: it looks like a numpy.ndarray, and indexing it reads what the index needs.

    Indexing, iteration, `copy()` and `np.asarray` read; everything else only looks at the file's structure.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""

    @property
    @abstractmethod
    def axes(self) -> str:
        """One letter per axis: I page, Y row, X column, S sample."""

    @property
    @abstractmethod
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis that are decoded together: a strip or a tile of one page."""

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        """The chunk shape that `plan` sees: it asks for scattered indices only along a first axis of chunk size 1."""
        return self.chunk_shape

    @abstractmethod
    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        """Return a new array for each request: a range along every axis; along the first one perhaps an index array."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, once they are read."""
        return self.size * self.itemsize

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

    def _view(self) -> NDArray[Any] | None:
        """Return all elements as a view of memory that the array has mapped; None where there is none."""
        return None

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        """Refuse, as NumPy does for more than one element."""
        raise ValueError(f"whether {self!r} is true is ambiguous; read it with `copy()` and use a.any() or a.all()")

    def __eq__(self, other: object) -> bool:
        """Refuse: to say False, as objects do, would pass for a comparison of pixels."""
        raise TypeError(
            f"{self!r} is compared with others once it is read: `img[...] == other`; `is` tells two arrays apart"
        )

    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        """Read what NumPy's indexing selects: a new, writable array in this machine's byte order, or a scalar."""
        index = plan(key, self.shape, self._plan_chunks)
        return index.finish(self._blocks(index.requests), self.dtype)

    def _blocks(self, requests: list[Request]) -> Iterable[NDArray[Any]]:
        """Read the requests, as many at a time as make good use of all workers and of little memory."""
        if len(requests) <= 1:
            return self._read(requests)
        return itertools.chain.from_iterable(self._read(group) for group in _groups(requests, self.itemsize))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise ValueError(
            "this array is on disk and cannot be changed in place; make a changeable array in memory with `copy()`, "
            "which for a large file takes as much memory as its pixels"
        )

    def copy(self) -> NDArray[Any]:
        """Read everything into a new numpy.ndarray."""
        pixels: NDArray[Any] = self[...]
        return pixels

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001  # NumPy's protocol
        """Read everything, for NumPy. Raise LimitError above `limits.implicit_bytes`, ValueError if copy is False."""
        if copy is False:
            raise ValueError("the pixels are in a file: they cannot be had as an array without a copy")
        if self.nbytes > limits.implicit():
            raise LimitError(
                f"{self!r} has {self.nbytes} bytes, and lazytiff.limits.implicit_bytes is {limits.implicit()}; "
                "read a part of it, or all of it with `copy()`"
            )
        pixels = self.copy()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)
