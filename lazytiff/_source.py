"""Handles and lifetime: an open file, and who is using it.

`close()` ends new uses at once and frees the handles when the last borrower has gone, so that closing in one thread
while another reads is safe. After a fork the child starts with new locks and without borrowers: the threads that were
reading are not in it.
"""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lazytiff import _binding
from lazytiff.errors import ClosedError, UnsupportedTiffError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

_MAGIC_BYTES = 4  # every TIFF header has a NUL in its first four bytes, and no path has one anywhere


@runtime_checkable
class RangeReader(Protocol):
    """An object that fetches many ranges of bytes in one call; `size` is the number of bytes that there are."""

    size: int

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> Sequence[Any]:
        """Return for each (offset, length) an object with the buffer protocol of that length."""


@runtime_checkable
class BinaryFile(Protocol):
    """A binary file object, such as `open(path, "rb")` gives."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to offset."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill buffer as far as bytes come."""


class Source:
    """An open file: `handle` is for the one who borrowed it.

    file: a path (str, bytes or PathLike), an object with the buffer protocol, a RangeReader or a BinaryFile. bytes
    are a path unless they begin like a TIFF file. Raises what opening a file raises, NotTiffError when it is no
    regular file, TypeError for any other object. access: "r"; of paths also "r+", to write too, "a", to be its only
    writer, and "x", for a new file, which is gone when it is closed before `handle.publish`.
    """

    def __init__(self, file: Any, access: str = "r") -> None:
        self._at_close: list[Callable[[], None]] = []
        self._after_fork: list[Callable[[], None]] = []
        self.path = path_of(file)
        self.handle = _open(file, self.path, self._after_fork, access)
        self.access = access
        self.name = self.handle.name
        self._closed = False
        self._renew()
        _sources.add(self)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._borrowers = 0

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def at_close(self, action: Callable[[], None]) -> None:
        """Have action called before the handle is freed, at once if it is; the last one that was given comes first."""
        with self._lock:
            freed = self._closed and self._borrowers == 0
            if not freed:
                self._at_close.append(action)
        if freed:
            action()

    def forget(self, action: Callable[[], None]) -> bool:
        """Take back what was given to `at_close`; return whether it was still to be called."""
        try:
            self._at_close.remove(action)
        except ValueError:
            return False
        return True

    def after_fork(self, action: Callable[[], None]) -> None:
        """Have action, a method, called in the child of a fork for as long as its object lives."""
        self._after_fork.append(_weakly(action))

    def __enter__(self) -> Self:
        """Borrow the handles: they stay until __exit__."""
        self._borrow(refuse=self._closed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def has_writer(self) -> bool | None:
        """Tell whether a writer, which this source may be, holds its lock on the file; None where nobody can tell."""
        if self.access in ("a", "x") and not self._closed:
            return True
        try:
            with self:
                return self.handle.has_writer()
        except UnsupportedTiffError:
            return None

    def join(self) -> None:
        """Borrow on behalf of a borrower, until `leave`: what he began before close() may go on."""
        self._borrow(refuse=False)

    def _borrow(self, *, refuse: bool) -> None:
        with self._lock:
            if refuse or (self._closed and self._borrowers == 0):
                raise ClosedError(f"{self.name} was closed; open it again to read from it")
            self._borrowers += 1

    def leave(self) -> None:
        """Give back what `join` borrowed."""
        with self._lock:
            self._borrowers -= 1
            last = self._closed and self._borrowers == 0
        if last:
            self._free()

    def close(self) -> None:
        """Refuse new borrowers, and free the handles when the last one has gone. May be called again."""
        with self._lock:
            first, self._closed = not self._closed, True
            last = first and self._borrowers == 0
        if last:
            self._free()

    def _free(self) -> None:
        while self._at_close:
            self._at_close.pop()()
        self.handle.close()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):  # otherwise opening it failed
            self._closed = True
            self._free()  # nobody has borrowed, or it would not be deleted; Ctrl-C may have spoilt the count


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return what calls the method for as long as its object lives: the source shall not keep that alive."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if (found := reference()) is not None:
            found()

    return call


_sources: weakref.WeakSet[Source] = weakref.WeakSet()


def _after_fork() -> None:
    for source in _sources:
        source._renew()  # noqa: SLF001  # same room
        for action in source._after_fork:  # noqa: SLF001
            action()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def path_of(file: Any) -> str | None:
    """Return the absolute path that file is, or None when it is an object with bytes."""
    if isinstance(file, bytes) and b"\0" in file[:_MAGIC_BYTES]:
        return None
    if isinstance(file, str | bytes | os.PathLike):
        path = os.fsdecode(file)
        if "\0" in path:
            raise ValueError("embedded null byte in path")
        if os.path.isabs(path) and os.path.normpath(path) == path:
            return path  # as many files' paths are: what follows takes a while
        return str(Path(path).absolute())  # keeps "..", which behind a symbolic link only the system understands
    return None


def _open(file: Any, path: str | None, after_fork: list[Callable[[], None]], access: str) -> _binding.Source:
    if path is not None:
        return _binding.Source.open_path(os.fsencode(file), os.fsdecode(file), access)
    if access in ("a", "x"):
        raise TypeError(f"only files can be written to: a path is needed, not {type(file).__name__}")
    if isinstance(file, RangeReader):
        return _open_ranges(file)
    if isinstance(file, BinaryFile):
        position = _Position(file)
        after_fork.append(position.renew)
        return _binding.Source.open_object(position.read_ranges, file.seek(0, os.SEEK_END), position.name)
    try:
        data = memoryview(file).cast("B")
    except TypeError:
        raise TypeError(
            "a path, an object with the buffer protocol, or one with `read_ranges` and `size` or `seek` and `readinto` "
            f"is needed, not {type(file).__name__}"
        ) from None
    return _binding.Source.open_memory(data, f"<{type(file).__name__} of {data.nbytes} bytes>")


def _name_of(file: Any) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else f"<{type(file).__name__}>"


def _open_ranges(file: RangeReader) -> _binding.Source:
    def read_ranges(wanted: Sequence[tuple[int, memoryview]]) -> None:
        parts = list(file.read_ranges([(offset, len(buffer)) for offset, buffer in wanted]))
        if len(parts) != len(wanted):
            raise ValueError(f"{_name_of(file)}: read_ranges was asked for {len(wanted)} ranges and gave {len(parts)}")
        for (offset, buffer), part in zip(wanted, parts, strict=True):
            data = memoryview(part).cast("B")
            if len(data) != len(buffer):
                raise ValueError(
                    f"{_name_of(file)}: read_ranges was asked for {len(buffer)} bytes at {offset} and gave {len(data)}"
                )
            buffer[:] = data

    return _binding.Source.open_object(read_ranges, file.size, _name_of(file))


class _Position:
    """The one position of a file object, which one thread at a time may move.

    If it is that of a file descriptor, a forked child shares it with its parent: neither could know what it reads. So
    the child may not.
    """

    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._lost = False
        self.name = _name_of(file)

    def renew(self) -> None:
        """Begin anew in the child of a fork, where the lock may be held by a thread that is no more."""
        self._lock = threading.Lock()
        self._lost = _has_descriptor(self._file)

    def read_ranges(self, wanted: Sequence[tuple[int, memoryview]]) -> None:
        """Fill each buffer with the bytes from its offset on."""
        if self._lost:
            raise ClosedError(f"{self.name} was opened before a fork, and the parent process moves it; open it again")
        with self._lock:
            for offset, buffer in wanted:
                self._file.seek(offset)
                self._fill(buffer)

    def _fill(self, buffer: memoryview) -> None:
        while len(buffer) > 0:
            count = self._file.readinto(buffer)
            if not count:
                raise EOFError(f"{self.name} ended {len(buffer)} bytes early")
            if not 0 < count <= len(buffer):
                raise ValueError(f"{self.name}: readinto was given {len(buffer)} bytes of room and filled {count}")
            buffer = buffer[count:]


def _has_descriptor(file: Any) -> bool:
    try:
        file.fileno()
    except (AttributeError, OSError, ValueError):  # in memory, or closed
        return False
    return True
