"""A mapped file, and the views of it that are alive.

A view is made of a lease: an object that says where pixels are (NumPy's `__array_interface__`) and has no buffer of its
own. So nothing in the user's hands spans more of the file than those pixels, and a read-only view stays read-only. A
lease keeps the map alive; the leases that are alive are counted when the map is to be closed.
"""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _binding
from lazytiff.errors import ClosedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazytiff._source import Source


class _Lease:
    """Pixels of a map, for NumPy."""

    __slots__ = ("__array_interface__", "__weakref__", "_map")

    def __init__(self, interface: dict[str, Any], owner: _binding.Map) -> None:
        self.__array_interface__ = interface
        self._map = owner


class Mapping:
    """A source's file in memory. mode: "r", "r+" or "c"; for a borrower of the source.

    older: the mapping that this one takes the place of. Its views, which other threads may still be making, count as
    this one's.
    """

    def __init__(self, source: Source, mode: str, length: int, *, guard: bool, older: Mapping | None = None) -> None:
        self._map: _binding.Map | None = _binding.Map(source.handle, mode, length, guard=guard)
        self._source = source
        self._name = source.name
        self._read_only = mode == "r"
        self._guarded = guard
        self._leases: weakref.WeakSet[_Lease] = older._leases if older else weakref.WeakSet()  # noqa: SLF001  # same class
        self.renew()
        source.after_fork(self.renew)

    def renew(self) -> None:
        """Begin with a new lock: after a fork the old one may be held by a thread that is no more."""
        self._lock = threading.Lock()

    @property
    def _open_map(self) -> _binding.Map:
        if self._map is None:
            raise ClosedError(f"{self._name} was closed; open it again")
        return self._map

    def interface(
        self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]
    ) -> dict[str, Any]:
        """Return what `lease` takes for the pixels that begin at offset in the file, strides bytes apart."""
        first = last = offset
        for size, stride in zip(shape, strides, strict=True):
            if stride < 0:
                first += (size - 1) * stride
            else:
                last += (size - 1) * stride
        owner = self._open_map
        if first < 0 or last + dtype.itemsize > owner.length:
            raise RuntimeError(f"{self._name}: a view would leave the file (please report this)")
        data = owner.address + offset, self._read_only
        return {"version": 3, "shape": shape, "strides": strides, "typestr": dtype.str, "data": data}

    def lease(self, interface: dict[str, Any]) -> NDArray[Any]:
        """Return a view of the file."""
        with self._lock:
            lease = _Lease(interface, self._open_map)
            self._leases.add(lease)
        return np.asarray(lease)

    def array(
        self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return a view of these pixels."""
        return self.lease(self.interface(offset, shape, strides, dtype))

    def check(self) -> None:
        """Raise FileChangedError when the guard has put zeros in the place of pixels."""
        if self._guarded:
            self._open_map.check()

    def holds(self, array: NDArray[Any]) -> bool:
        """Tell whether some of the array's elements may lie in the map."""
        low, high = np.lib.array_utils.byte_bounds(array)
        start = self._open_map.address
        return low < start + self._open_map.length and start < high

    def store(self, offsets: NDArray[np.uint64], length: int, data: NDArray[Any]) -> None:
        """Write pieces of length bytes, one after the other in data, to these offsets of the file."""
        self._open_map.store(offsets, length, data)

    def flush(self) -> None:
        """Wait until everything that was written is on the disk."""
        self._open_map.flush()

    def close(self) -> None:
        """Unmap when the source, which is to be closed next, has no borrowers; BufferError when views are alive."""
        if self._leases:
            gc.collect()  # views in cycles are not alive
        with self._lock:
            alive = len(self._leases)
            if alive:
                raise BufferError(
                    f"{self._name} cannot be closed: {alive} view{'s' * (alive > 1)} of its pixels "
                    f"{'are' if alive > 1 else 'is'} alive; delete them first, or make copies"
                )
            owner, self._map = self._map, None
        if owner is not None:
            self._source.at_close(owner.close)  # others may be writing, or waiting for the disk

    def retire(self) -> None:
        """Make no more views; the last one that is alive unmaps."""
        with self._lock:
            self._map = None
