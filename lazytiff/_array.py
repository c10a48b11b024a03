"""What all arrays of lazytiff share that reads pixels; `_views` makes of it what users see."""

from __future__ import annotations

import math
import uuid
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from lazytiff import _progress
from lazytiff._cuts import count
from lazytiff._indexing import plan
from lazytiff._limits import limits
from lazytiff._tones import MIN_IS_BLACK, alike, tone_of
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from lazytiff._cuts import Cuts
    from lazytiff._functions import Function
    from lazytiff._indexing import Request
    from lazytiff._tones import Tones


MOST_VIEWS = 1000  # of views of views: who has more repeats something that can be said at once
_TOGETHER_BYTES = 64 << 20  # of blocks that are read at a time


def _groups(requests: list[Request], itemsize: int) -> Iterator[list[Request]]:
    """Yield the requests in their order, those together whose blocks do not exceed _TOGETHER_BYTES."""
    group: list[Request] = []
    room = _TOGETHER_BYTES
    for request in requests:
        size = count(request) * itemsize
        if group and size > room:
            yield group
            group, room = [], _TOGETHER_BYTES
        group.append(request)
        room -= size
    yield group


class BaseArray(ABC):
    """An array whose pixels are in a file: what indexes, iterates, reduces and copies it."""

    _in_memory: ClassVar[bool] = False  # a numpy.ndarray that a view is of, too
    _depth = 0  # how many views of each other it is
    _function: Function | None = None  # what a view does, and with which arrays
    _sources: tuple[BaseArray, ...] = ()

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
    def _takes_lists(self) -> bool:
        """Whether the first entry of a request may be an array of positions."""
        return self._plan_chunks[:1] == (1,)

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        """The chunk shape that `plan` sees: it asks for scattered indices only along a first axis of chunk size 1."""
        return self.chunk_shape

    @property
    def _cuts(self) -> tuple[Cuts, ...]:
        """Where chunks begin along each axis."""
        return tuple(range(0, size, max(chunk, 1)) for size, chunk in zip(self.shape, self.chunk_shape, strict=True))

    @property
    def _widest(self) -> int:
        """Bytes of an element in the widest array that it takes to read it."""
        return self.itemsize

    @property
    def _workers(self) -> int | None:
        """How many threads may work for one call; None: as many as the process has."""
        return None

    @property
    def _paths(self) -> set[str]:
        """Absolute paths of the files that pixels come from, those that were opened by path."""
        return set()

    def _holds(self, _: NDArray[Any], /) -> bool:
        """Tell whether elements of a numpy.ndarray may lie in what the array has mapped."""
        return False

    def _overlaps(self, target: BaseArray | NDArray[Any]) -> bool:
        """Tell whether elements may change when others are assigned to the target."""
        if isinstance(target, BaseArray):
            return bool(self._paths & target._paths)  # noqa: SLF001  # of this class
        return self._holds(target)

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
    def _photometric(self) -> int:
        """What the samples are, as PhotometricInterpretation."""
        return MIN_IS_BLACK

    def _tones(self, _: Request, /) -> Tones:
        """Return how the samples of a request are read."""
        return alike(tone_of(1 if self.dtype.kind == "b" else 8 * self.itemsize), self.ndim)

    def _peek(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        """Return an array for each request, only to be looked at: perhaps a view of what the array has mapped."""
        return self._read(requests)

    def _rank(self, _: Request, /) -> int:
        """Return a number by which requests are in the order of the files: that of the first page that is needed."""
        return 0

    def _view(self) -> NDArray[Any] | None:
        """Return all elements as a view of memory that the array has mapped; None where there is none."""
        return None

    def _identity(self) -> tuple[Any, ...]:
        """Return plain values, in any process the same ones of the same pixels of the same file.

        A file that was written to has others, as far as its size and its time of change tell. Where nothing tells, as
        here, they are others each time.
        """
        return type(self).__name__, uuid.uuid4().hex

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        """Read what NumPy's indexing selects: a new, writable array in this machine's byte order, or a scalar."""
        index = plan(key, self.shape, self._plan_chunks)
        if len(index.requests) <= 1:
            return index.finish(self._read(index.requests), self.dtype)
        total = sum(map(count, index.requests)) * self.itemsize
        with _progress.track(total, "read") as track:
            return index.finish(track.counted(self._read_each(index.requests)), self.dtype)

    def _read_each(self, requests: list[Request]) -> Iterator[NDArray[Any]]:
        """Read the requests, as many at a time as make good use of all workers and of little memory."""
        for group in _groups(requests, self.itemsize):
            yield from self._read(group)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._require_writable()

    def _require_writable(self) -> None:
        """Raise ValueError when nothing can be assigned to the array."""
        raise ValueError(
            "this array is on disk and cannot be changed in place; `a = a + 1` is a view, which computes when it is "
            "indexed, and `copy()` a changeable array in memory, of as many bytes as its pixels"
        )

    def copy(self) -> NDArray[Any]:
        """Read everything into a new numpy.ndarray."""
        pixels: NDArray[Any] = self[...] if self._view() is None else BaseArray.__getitem__(self, ...)
        return pixels

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001  # NumPy's protocol
        """Return one view of all pixels that are mapped, or read everything, for NumPy.

        Where there is no view, raise LimitError above `limits.implicit_bytes`, ValueError if copy is False.
        """
        if not copy and (dtype is None or dtype == self.dtype) and (view := self._view()) is not None:
            return view
        if copy is False:
            raise ValueError("the pixels are in a file: they cannot be had as an array without a copy")
        if self.nbytes > limits.implicit():
            raise LimitError(
                f"{self!r} has {self.nbytes} bytes, and lazytiff.limits.implicit_bytes is {limits.implicit()}; "
                "read a part of it, or all of it with `copy()`"
            )
        pixels = self.copy()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)
