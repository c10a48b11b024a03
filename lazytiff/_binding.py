"""The only importer of the compiled module: handles of csrc/lazytiff.h as objects, statuses as exceptions.

A handle is freed once, by its owner's close(); afterwards it is NULL here, so that no freed memory can be reached.
Nothing here checks a shape or decides a policy.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lazytiff import errors
from lazytiff._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    ReadRanges = Callable[[Sequence[tuple[int, memoryview]]], None]
    """Fills each buffer with the bytes from its offset on."""

_ERRORS = {
    getattr(lib, error.status): error
    for error in (
        errors.NotTiffError,
        errors.CorruptTiffError,
        errors.DecodeError,
        errors.UnsupportedTiffError,
        errors.LimitError,
        errors.FileChangedError,
    )
}


def _fail(error: Any, name: str) -> NoReturn:
    """Raise what error says of the file called name."""
    text = ffi.string(error.text).decode(errors="replace")
    page = None if error.page < 0 else error.page
    chunk = None if error.chunk < 0 else error.chunk
    where = name + ("" if page is None else f": page {page}") + ("" if chunk is None else f", chunk {chunk}")
    if error.status == lib.LZT_SYSTEM:
        raise OSError(error.os_errno, os.strerror(error.os_errno), name)
    if error.status == lib.LZT_NO_MEMORY:
        raise MemoryError(f"{where}: {text}")
    kind = _ERRORS.get(error.status)
    if kind is errors.DecodeError:
        raise errors.DecodeError(f"{where}: {text}", page, chunk)
    if kind is None:
        raise RuntimeError(f"{where}: {text} (status {error.status}; please report this)")
    raise kind(f"{where}: {text}")


def _struct_dtype(name: str) -> np.dtype[np.void]:
    """Return the NumPy dtype that lies in memory as the C struct of that name, whose members are whole numbers."""
    names, formats, offsets = [], [], []
    for path, kind, offset in _members(ffi.typeof(f"struct {name}"), "", 0):
        names.append(path)
        formats.append(np.dtype(f"{'i' if kind.cname.startswith('int') else 'u'}{ffi.sizeof(kind)}"))
        offsets.append(offset)
    layout = {"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(f"struct {name}")}
    return np.dtype(layout)  # type: ignore[call-overload]


def _members(kind: Any, prefix: str, base: int) -> Iterator[tuple[str, Any, int]]:
    for name, member in kind.fields:
        if member.type.kind == "struct":
            yield from _members(member.type, f"{prefix}{name}.", base + member.offset)
        else:
            yield prefix + name, member.type, base + member.offset


JOB = _struct_dtype("lzt_job")
"""One record a chunk that is to be read: `page chunk window target keep`; the last two are addresses."""
WINDOW = _struct_dtype("lzt_window")
"""The wanted pixels: `rows.first rows.step rows.count`, the same of columns and samples; `row_stride` and so on."""


class Source:
    """Where bytes come from; `name` is for errors."""

    def __init__(self, handle: Any, name: str, keep: object = None) -> None:
        self._handle = handle
        self._keep = keep  # what the handle borrows
        self.name = name

    @classmethod
    def open_path(cls, path: bytes, name: str) -> Source:
        """Open the regular file at path."""
        return cls._make(name, None, lib.lzt_source_open, ffi.new("char[]", path))

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
            _fail(error, name)
        return cls(handle[0], name, keep)

    def size(self) -> int:
        """Return the number of bytes there are now."""
        size, error = ffi.new("uint64_t *"), ffi.new("struct lzt_error *")
        if lib.lzt_source_size(self._handle, size, error) != lib.LZT_OK:
            self.fail(error)
        return int(size[0])

    def fail(self, error: Any) -> NoReturn:
        """Raise what error says, or what the caller's own object raised."""
        if error.status == lib.LZT_CALLBACK and isinstance(self._keep, tuple):
            raise _take(_thread.raised)
        _fail(error, self.name)

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
            _thread.raised.append(error)
            return 1
        return 0


class _Thread(threading.local):
    """What callers' objects raised during the call into C that this thread is in."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []


_thread = _Thread()


def _take(raised: list[BaseException]) -> BaseException:
    return raised.pop() if raised else OSError("the source could not be read")


def _keep_error(_kind: type[BaseException], error: BaseException, _trace: object) -> None:
    """Keep what was raised outside of `_Callback.read`'s care, such as Ctrl-C on the way; cffi would only print it."""
    _thread.raised.append(error)


@ffi.def_extern(error=1, onerror=_keep_error)  # type: ignore[untyped-decorator]
def lzt_python_read_ranges(context: Any, ranges: Any, count: int) -> int:
    """Hand a call of csrc/source.c on to the object that it is for."""
    return int(ffi.from_handle(context).read(ranges, count))


class Table:
    """The pages of a source."""

    def __init__(
        self, source: Source, limits: dict[str, int], codecs: Sequence[int] | None, ifds: Sequence[int] = ()
    ) -> None:
        handle, error = ffi.new("struct lzt_table **"), ffi.new("struct lzt_error *")
        options = ffi.new("struct lzt_options *", {"size": ffi.sizeof("struct lzt_options"), **limits})
        numbers = ffi.new("uint16_t[]", list(codecs or ()))
        offsets = ffi.new("uint64_t[]", list(ifds))
        if codecs is not None:
            options.codecs, options.codec_count = numbers, len(codecs)
        if ifds:
            options.ifds, options.ifd_count = offsets, len(ifds)
        if lib.lzt_table_open(source._handle, options, handle, error) != lib.LZT_OK:
            source.fail(error)
        self._handle = handle[0]
        self._source = source
        self._max_value_bytes = limits["max_value_bytes"]

    def __len__(self) -> int:
        return int(lib.lzt_table_pages(self._handle))

    @property
    def bigtiff(self) -> bool:
        """Whether offsets have 64 bits."""
        return bool(lib.lzt_table_is_bigtiff(self._handle))

    @property
    def big_endian(self) -> bool:
        """Whether numbers begin with their most significant byte."""
        return bool(lib.lzt_table_is_big_endian(self._handle))

    def size(self) -> int:
        """Return the source's size when its pages were found."""
        return int(lib.lzt_table_size(self._handle))

    def warnings(self) -> list[str]:
        """Return what is wrong with the chain of pages."""
        found: list[str] = []
        while (text := lib.lzt_table_warning(self._handle, len(found))) != ffi.NULL:
            found.append(ffi.string(text).decode(errors="replace"))
        return found

    def layouts(self) -> list[dict[str, int]]:
        """Return the members of each struct lzt_layout."""
        count = lib.lzt_table_layouts(self._handle)
        names = [name for name, _ in ffi.typeof("struct lzt_layout").fields]
        layouts = [lib.lzt_table_layout(self._handle, i) for i in range(count)]
        return [{name: getattr(layout, name) for name in names} for layout in layouts]

    def layout_numbers(self) -> NDArray[np.uint32]:
        """Return the number of each page's layout."""
        size = ffi.sizeof("struct lzt_row")
        rows = (
            np.frombuffer(ffi.buffer(lib.lzt_table_rows(self._handle), len(self) * size), np.uint8)
            if len(self)
            else np.empty(0, np.uint8)
        )
        at = ffi.offsetof("struct lzt_row", "layout")
        return np.ascontiguousarray(rows.reshape(-1, size)[:, at : at + 4]).view(np.uint32).ravel()

    def check(self, layout: int, page: int) -> None:
        """Raise the reason why pages of that layout cannot be read, if there is one."""
        error = ffi.new("struct lzt_error *")
        if lib.lzt_layout_problem(lib.lzt_table_layout(self._handle, layout), error) != lib.LZT_OK:
            error.page = page
            self._source.fail(error)

    def tags(self, page: int) -> list[tuple[int, int, int, Any]]:
        """Return number, type, count and a handle for `tag_value` of each tag whose value can be read."""
        room = lib.lzt_table_rows(self._handle)[page].tags
        tags, count, error = ffi.new("struct lzt_tag[]", room), ffi.new("size_t *"), ffi.new("struct lzt_error *")
        if lib.lzt_tags_read(self._handle, page, tags, room, count, error) != lib.LZT_OK:
            self._source.fail(error)
        # each handle keeps all of tags alive
        return [
            (tag.tag, tag.type, tag.count, (tags, i)) for i, tag in enumerate(tags[0 : count[0]]) if not tag.problem
        ]

    def tag_value(self, handle: Any) -> bytes:
        """Return the tag's values in this machine's byte order."""
        tag, error = handle[0] + handle[1], ffi.new("struct lzt_error *")
        # a value above the limit is refused before the buffer is touched
        value = bytearray(min(tag.bytes, self._max_value_bytes))
        if lib.lzt_tag_value(self._handle, tag, ffi.from_buffer(value), error) != lib.LZT_OK:
            self._source.fail(error)
        return bytes(value)

    def close(self) -> None:
        """Free the table. Its readers are closed."""
        handle, self._handle = self._handle, ffi.NULL
        lib.lzt_table_close(handle)


class Reader:
    """What one thread needs to read pages of a table."""

    def __init__(self, table: Table) -> None:
        handle, error = ffi.new("struct lzt_reader **"), ffi.new("struct lzt_error *")
        if lib.lzt_reader_open(table._handle, handle, error) != lib.LZT_OK:
            table._source.fail(error)
        self._handle = handle[0]

    def close(self) -> None:
        """Free the reader."""
        handle, self._handle = self._handle, ffi.NULL
        lib.lzt_reader_close(handle)


class Batch:
    """Chunks to be read. It keeps the arrays alive that it reads into, even when its caller no longer waits."""

    def __init__(self, table: Table, windows: NDArray[np.void], jobs: NDArray[np.void], arrays: object) -> None:
        handle, error = ffi.new("struct lzt_batch **"), ffi.new("struct lzt_error *")
        window_buffer = ffi.from_buffer("struct lzt_window[]", windows)
        job_buffer = ffi.from_buffer("struct lzt_job[]", jobs)
        self._keep = (window_buffer, job_buffer, arrays)
        self._source = table._source
        self._raised: list[BaseException] = []  # by the caller's object, in any thread that works on the batch
        arguments = (table._handle, window_buffer, len(windows), job_buffer, len(jobs), handle, error)
        if lib.lzt_batch_open(*arguments) != lib.LZT_OK:
            self._source.fail(error)
        self._handle = ffi.gc(handle[0], lib.lzt_batch_close)

    def run(self, reader: Reader, milliseconds: int) -> bool:
        """Work for about that long. Return whether work is left; raise the failure of the first chunk that failed."""
        error = ffi.new("struct lzt_error *")
        before, _thread.raised = _thread.raised, self._raised
        try:
            status = lib.lzt_batch_run(self._handle, reader._handle, milliseconds, error)
        finally:
            _thread.raised = before
        if status == lib.LZT_AGAIN:
            return True
        if status == lib.LZT_CALLBACK:  # in this thread or in another: each of them tells
            raise _take(self._raised[:1])
        if status not in (lib.LZT_OK, lib.LZT_CANCELLED):
            self._source.fail(error)
        return False

    def cancel(self) -> None:
        """Make every run end soon."""
        lib.lzt_batch_cancel(self._handle)


def libtiff_version() -> str:
    """Return the version of the libtiff in use."""
    text: str = ffi.string(lib.lzt_libtiff_version()).decode(errors="replace")
    return text.split(maxsplit=1)[0]


def codec_available(compression: int) -> bool:
    """Return whether the libtiff in use can decode this Compression."""
    return bool(lib.lzt_codec_available(compression))
