"""A numpy.ndarray among arrays of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._array import BaseArray
from lazytiff._cuts import indexed
from lazytiff._dimensions import lettered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lazytiff._cuts import Cuts
    from lazytiff._gather import Request


class MemoryArray(BaseArray):
    """A numpy.ndarray among the sources of a view."""

    _in_memory = True

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        return self._array.dtype

    @property
    def axes(self) -> str:
        """One letter per axis, which means nothing."""
        return lettered("", self.ndim)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """All of it."""
        return self.shape

    @property
    def _cuts(self) -> tuple[Cuts, ...]:
        """Anywhere: what is broadcast to it is as large as the view."""
        return tuple(map(range, self.shape))

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        return (1, *self.shape[1:])

    def _overlaps(self, target: BaseArray | NDArray[Any]) -> bool:
        if isinstance(target, BaseArray):
            return target._holds(self._array)
        return np.may_share_memory(self._array, target)

    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        return [block.copy() for block in self._peek(requests)]

    def _peek(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        return [indexed(self._array, request) for request in requests]

    def _identity(self) -> tuple[Any, ...]:
        return (self._array,)

    def __repr__(self) -> str:
        return f"<array {self.dtype} {self.shape}>"
