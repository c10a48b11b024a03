"""Where bytes come from, and the way back from C into Python objects that are asked for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NoReturn

from lazytiff._binding._errors import fail as raise_error
from lazytiff._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    ReadRanges = Callable[[Sequence[tuple[int, memoryview]]], None]
    """Fills each buffer with the bytes from its offset on."""


_OPENERS = {
    "r": lib.lzt_source_open,
    "r+": lib.lzt_source_open_writable,
    "a": lib.lzt_source_open_locked,
    "x": lib.lzt_source_create,
}


class Source:
    """Where bytes come from; `name` is for errors."""

    def __init__(self, handle: Any, name: str, keep: object = None) -> None:
        self._handle = handle
        self._keep = keep  # what the handle borrows
        self.name = name

    @classmethod
    def open_path(cls, path: bytes, name: str, access: str) -> Source:
        """Open the file at path to read, "r+" to write too, "a" as its only writer; "x": make one without a name."""
        return cls._make(name, None, _OPENERS[access], ffi.new("char[]", path))

    @classmethod
    def open_memory(cls, data: Any, name: str) -> Source:
        """Read from an object with the buffer protocol."""
        buffer = ffi.from_buffer("uint8_t[]", data)
        return cls._make(name, buffer, lib.lzt_source_open_memory, buffer, len(buffer))

    @classmethod
    def open_object(cls, read_ranges: ReadRanges, size: int, name: str) -> Source:
        """Read size bytes by calling read_ranges."""
        context = _Callback(read_ranges)
        pointer = ffi.new_handle(context)
        keep = (context, pointer)
        return cls._make(name, keep, lib.lzt_source_open_callback, lib.lzt_python_read_ranges, pointer, size)

    @classmethod
    def _make(cls, name: str, keep: object, function: Any, *arguments: Any) -> Source:
        handle, error = ffi.new("struct lzt_source **"), ffi.new("struct lzt_error *")
        if function(*arguments, handle, error) != lib.LZT_OK:
            raise_error(error, name)
        return cls(handle[0], name, keep)

    def begin(self, *, bigtiff: int, big_endian: bool) -> None:
        """Begin a TIFF file without pages in a new file; bigtiff: 1, 0, or -1 for both."""
        error = ffi.new("struct lzt_error *")
        if lib.lzt_create_empty(lib.lzt_source_file(self._handle), bigtiff, big_endian, error) != lib.LZT_OK:
            self.fail(error)

    def publish(self, *, durable: bool) -> None:
        """Give a new file its name."""
        error = ffi.new("struct lzt_error *")
        if lib.lzt_source_publish(self._handle, durable, error) != lib.LZT_OK:
            self.fail(error)

    def size(self) -> int:
        """Return the number of bytes there are now."""
        size, error = ffi.new("uint64_t *"), ffi.new("struct lzt_error *")
        if lib.lzt_source_size(self._handle, size, error) != lib.LZT_OK:
            self.fail(error)
        return int(size[0])

    def modified(self) -> int:
        """Return when the file was last written to, in nanoseconds since 1970; UnsupportedTiffError of what is none."""
        when, error = ffi.new("int64_t *"), ffi.new("struct lzt_error *")
        if lib.lzt_source_modified(self._handle, when, error) != lib.LZT_OK:
            self.fail(error)
        return int(when[0])

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes that are there; FileChangedError when the file has fewer."""
        buffer, error = ffi.new("uint8_t[]", length), ffi.new("struct lzt_error *")
        wanted = ffi.new("struct lzt_range *", {"offset": offset, "length": length, "buffer": buffer})
        if lib.lzt_source_read(self._handle, wanted, 1, error) != lib.LZT_OK:
            self.fail(error)
        return bytes(ffi.buffer(buffer))

    def has_writer(self) -> bool:
        """Return whether another handle holds a writer's lock; raise UnsupportedTiffError where nobody can tell."""
        held, error = ffi.new("int *"), ffi.new("struct lzt_error *")
        if lib.lzt_source_has_writer(self._handle, held, error) != lib.LZT_OK:
            self.fail(error)
        return bool(held[0])

    def fail(self, error: Any) -> NoReturn:
        """Raise what error says, or what the caller's own object raised."""
        if error.status == lib.LZT_CALLBACK and isinstance(self._keep, tuple):
            raise take(thread.raised)
        raise_error(error, self.name)

    def close(self) -> None:
        """Free the handle. Whoever reads from this source has ended."""
        handle, self._handle = self._handle, ffi.NULL
        lib.lzt_source_close(handle)
        self._keep = None


class _Callback:
    """A Python object that C asks for bytes."""

    def __init__(self, read_ranges: ReadRanges) -> None:
        self.read_ranges = read_ranges

    def read(self, ranges: Any, count: int) -> int:
        wanted = [(ranges[i].offset, memoryview(ffi.buffer(ranges[i].buffer, ranges[i].length))) for i in range(count)]
        try:
            self.read_ranges(wanted)
        except BaseException as error:  # noqa: BLE001  # it must not be lost in C; fail() raises it again
            thread.raised.append(error)
            return 1
        return 0


class _Thread(threading.local):
    """What callers' objects raised during the call into C that this thread is in."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []


thread = _Thread()


def take(raised: list[BaseException]) -> BaseException:
    return raised.pop() if raised else OSError("the source could not be read")


def _keep_error(_kind: type[BaseException], error: BaseException, _trace: object) -> None:
    """Keep what was raised outside of `_Callback.read`'s care, such as Ctrl-C on the way; cffi would only print it."""
    thread.raised.append(error)


@ffi.def_extern(error=1, onerror=_keep_error)  # type: ignore[untyped-decorator]
def lzt_python_read_ranges(context: Any, ranges: Any, count: int) -> int:
    """Hand a call of csrc/source.c on to the object that it is for."""
    return int(ffi.from_handle(context).read(ranges, count))
