"""The pages of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._binding._structs import struct_dtype
from lazytiff._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lazytiff._binding._source import Source

_ROW = struct_dtype("lzt_row")
EXTENT = struct_dtype("lzt_extent")
"""Where a page's chunks are: `offset across down plane regular`."""


_LAYOUT_BYTES = ffi.sizeof("struct lzt_layout")
_LAYOUT_MEMBERS = [name for name, _ in ffi.typeof("struct lzt_layout").fields]


def layout_members(layout: bytes) -> dict[str, int]:
    """Return the members of a struct lzt_layout."""
    struct = ffi.from_buffer("struct lzt_layout *", layout)
    return {name: getattr(struct, name) for name in _LAYOUT_MEMBERS}


class Table:
    """The pages of a source."""

    def __init__(self, handle: Any, source: Source, max_value_bytes: int) -> None:
        self._handle = handle
        self._source = source
        self._max_value_bytes = max_value_bytes

    @classmethod
    def open(
        cls,
        source: Source,
        limits: dict[str, int],
        codecs: Sequence[int] | None,
        ifds: Sequence[int] | NDArray[np.uint64] = (),
        *,
        whole: bool = False,
        lenient: bool = False,
    ) -> Table:
        """Walk the chain, or read ifds instead; whole, lenient: of struct lzt_options."""
        handle, error = ffi.new("struct lzt_table **"), ffi.new("struct lzt_error *")
        options = ffi.new("struct lzt_options *", {"size": ffi.sizeof("struct lzt_options"), **limits})
        options.whole, options.lenient = whole, lenient
        numbers = ffi.new("uint16_t[]", list(codecs or ()))
        offsets = ffi.from_buffer("uint64_t[]", np.ascontiguousarray(ifds, np.uint64))
        if codecs is not None:
            options.codecs, options.codec_count = numbers, len(codecs)
        if len(ifds):
            options.ifds, options.ifd_count = offsets, len(ifds)
        if lib.lzt_table_open(source._handle, options, handle, error) != lib.LZT_OK:
            source.fail(error)
        return cls(handle[0], source, limits["max_value_bytes"])

    def refresh(self) -> Table:
        """Return a table that begins with these pages and goes on with those that came."""
        handle, error = ffi.new("struct lzt_table **"), ffi.new("struct lzt_error *")
        if lib.lzt_table_refresh(self._handle, handle, error) != lib.LZT_OK:
            self._source.fail(error)
        return Table(handle[0], self._source, self._max_value_bytes)

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

    def layouts(self, start: int = 0) -> list[bytes]:
        """Return the bytes of each struct lzt_layout, from number start on: `layout_members` tells what they mean."""
        pointers = (lib.lzt_table_layout(self._handle, i) for i in range(start, lib.lzt_table_layouts(self._handle)))
        return [bytes(ffi.buffer(pointer, _LAYOUT_BYTES)) for pointer in pointers]

    def rows(self, member: str) -> NDArray[Any]:
        """Return one member of each page's struct lzt_row: `ifd`, `hash`, `layout` and so on."""
        if not len(self):
            return np.empty(0, _ROW[member])
        rows = np.frombuffer(ffi.buffer(lib.lzt_table_rows(self._handle), len(self) * _ROW.itemsize), _ROW)
        return rows[member].copy()

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

    def count_numbers(self, tag: int, pages: NDArray[np.uint64], most: int) -> NDArray[np.uint64]:
        """Return how many values the tag has in each of these pages, but no more than most."""
        counts = np.empty(len(pages), np.uint64)
        self._read_numbers(tag, pages, most, counts, None)
        return counts

    def numbers(self, tag: int, pages: NDArray[np.uint64], most: int, total: int) -> NDArray[np.uint64]:
        """Return the first values of the tag in these pages, total in number, one page's behind the other's."""
        values = np.empty(total, np.uint64)
        self._read_numbers(tag, pages, most, np.empty(len(pages), np.uint64), values)
        return values

    def _read_numbers(
        self,
        tag: int,
        pages: NDArray[np.uint64],
        most: int,
        counts: NDArray[np.uint64],
        values: NDArray[np.uint64] | None,
    ) -> None:
        error = ffi.new("struct lzt_error *")
        asked, found = ffi.from_buffer("uint64_t[]", pages), ffi.from_buffer("uint64_t[]", counts)
        target = ffi.NULL if values is None else ffi.from_buffer("uint64_t[]", values)
        room = 0 if values is None else len(values)
        if lib.lzt_table_numbers(self._handle, tag, asked, len(pages), most, found, target, room, error) != lib.LZT_OK:
            self._source.fail(error)

    def check_size(self) -> None:
        """Raise FileChangedError when the file became shorter."""
        if lib.lzt_table_verify(self._handle, ffi.NULL, 0, ffi.NULL) != lib.LZT_OK:
            self.verify(np.empty(0, np.uint64))  # says why

    def verify(self, pages: NDArray[np.uint64]) -> None:
        """Raise FileChangedError when the file became shorter or an IFD of these pages is another one than it was."""
        error = ffi.new("struct lzt_error *")
        if lib.lzt_table_verify(self._handle, ffi.from_buffer("uint64_t[]", pages), len(pages), error) != lib.LZT_OK:
            self._source.fail(error)

    def extents(self, pages: NDArray[np.uint64]) -> NDArray[np.void]:
        """Return a struct lzt_extent for each page; raise NotMappableError when a page has none."""
        extents, error = np.empty(len(pages), EXTENT), ffi.new("struct lzt_error *")
        buffer = ffi.from_buffer("struct lzt_extent[]", extents)
        numbers = ffi.from_buffer("uint64_t[]", pages)
        if lib.lzt_table_extents(self._handle, numbers, len(pages), buffer, error) != lib.LZT_OK:
            self._source.fail(error)
        return extents

    def chunks(self, page: int, count: int) -> NDArray[np.uint64]:
        """Return where each of the page's chunks is in the file."""
        offsets, error = np.empty(count, np.uint64), ffi.new("struct lzt_error *")
        buffer = ffi.from_buffer("uint64_t[]", offsets)
        if lib.lzt_table_chunks(self._handle, page, buffer, count, error) != lib.LZT_OK:
            self._source.fail(error)
        return offsets

    def check_apart(self, pages: NDArray[np.uint64]) -> None:
        """Raise NotMappableError when chunks of these pages overlap anything else in the file."""
        error = ffi.new("struct lzt_error *")
        numbers = ffi.from_buffer("uint64_t[]", pages)
        if lib.lzt_table_check_apart(self._handle, numbers, len(pages), error) != lib.LZT_OK:
            self._source.fail(error)

    def close(self) -> None:
        """Free the table. Its readers are closed."""
        handle, self._handle = self._handle, ffi.NULL
        lib.lzt_table_close(handle)
