"""Mapped files, and new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazytiff import errors
from lazytiff._binding._errors import fail
from lazytiff._ffi import ffi, lib

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lazytiff._binding._source import Source

_MODES = {"r": lib.LZT_MAP_READ, "r+": lib.LZT_MAP_WRITE, "c": lib.LZT_MAP_COPY}


class Map:
    """The first length bytes of a source's file in memory, until close() or the last reference."""

    def __init__(self, source: Source, mode: str, length: int, *, guard: bool) -> None:
        file = lib.lzt_source_file(source._handle)
        if file == ffi.NULL:
            raise errors.NotMappableError(f"{source.name}: its bytes come from an object; only files can be mapped")
        handle, error = ffi.new("struct lzt_map **"), ffi.new("struct lzt_error *")
        if lib.lzt_map_open(file, _MODES[mode], length, guard, handle, error) != lib.LZT_OK:
            source.fail(error)
        self._handle = ffi.gc(handle[0], lib.lzt_map_close)
        self._name = source.name
        self.length = length
        self.address = int(ffi.cast("uintptr_t", lib.lzt_map_bytes(handle[0])))

    def check(self) -> None:
        """Raise FileChangedError when the guard has put zeros into the map."""
        self._call(lib.lzt_map_check)

    def store(self, offsets: NDArray[np.uint64], length: int, data: NDArray[Any]) -> None:
        """Write pieces of length bytes, one after the other in data, to these offsets."""
        numbers = ffi.from_buffer("uint64_t[]", offsets)
        self._call(lib.lzt_map_store, numbers, len(offsets), length, ffi.from_buffer(data))

    def flush(self) -> None:
        """Wait until everything that was written is on the disk."""
        self._call(lib.lzt_map_flush)

    def _call(self, function: Any, *arguments: Any) -> None:
        error = ffi.new("struct lzt_error *")
        if function(self._handle, *arguments, error) != lib.LZT_OK:
            fail(error, self._name)

    def close(self) -> None:
        """Unmap."""
        ffi.release(self._handle)
        self._handle = ffi.NULL


def create_zeros(path: bytes, name: str, members: dict[str, int]) -> None:
    """Make a file of zeros; members: those of struct lzt_new_stack but for its size."""
    stack = ffi.new("struct lzt_new_stack *", {"size": ffi.sizeof("struct lzt_new_stack"), **members})
    error = ffi.new("struct lzt_error *")
    if lib.lzt_create_zeros(ffi.new("char[]", path), stack, error) != lib.LZT_OK:
        fail(error, name)
