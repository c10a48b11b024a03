"""Growing files, and pages on their way into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazytiff._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from numpy.typing import NDArray

    from lazytiff._binding._table import Table

    Tag = tuple[int, int, int, bytes]  # number, type, count, values in this machine's byte order


class _Tags:
    """Tags as an array of struct lzt_new_tag, which keeps their values alive."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        self._values = [ffi.from_buffer(data) for _, _, _, data in tags]
        members = [
            (number, kind, count, values) for (number, kind, count, _), values in zip(tags, self._values, strict=True)
        ]
        self.handle = ffi.new("struct lzt_new_tag[]", members)
        self.count = len(members)


_NO_TAGS = _Tags(())


def _pixels(array: NDArray[Any]) -> Any:
    """Return a struct lzt_pixels for an array of (row, column[, sample]); the array must outlive it."""
    interface = array.__array_interface__
    strides = (*array.strides, 0)
    return ffi.new(
        "struct lzt_pixels *",
        (ffi.cast("void *", interface["data"][0]), *strides[:3], not array.dtype.isnative),
    )


class Parcel:
    """A page whose chunks are being encoded. It keeps the array alive that it reads, even when nobody waits."""

    def __init__(self, writer: Writer, array: NDArray[Any]) -> None:
        handle, error = ffi.new("struct lzt_parcel **"), ffi.new("struct lzt_error *")
        self._keep = (writer, array)
        if lib.lzt_parcel_open(writer._handle, _pixels(array), handle, error) != lib.LZT_OK:
            writer._fail(error)
        self._handle = ffi.gc(handle[0], lib.lzt_parcel_close)

    def encode(self, milliseconds: int) -> bool:
        """Encode chunks for about that long, together with all other threads that do. Return whether any are left."""
        error = ffi.new("struct lzt_error *")
        status = lib.lzt_parcel_encode(self._handle, milliseconds, error)
        if status == lib.LZT_AGAIN:
            return True
        if status not in (lib.LZT_OK, lib.LZT_CANCELLED):
            self._keep[0]._fail(error)
        return False

    def cancel(self) -> None:
        """Make every encode end soon."""
        lib.lzt_parcel_cancel(self._handle)


class Writer:
    """Goes on behind the last page of a table, whose source is locked for it. For one thread at a time."""

    def __init__(self, table: Table, *, durable: bool) -> None:
        handle, error = ffi.new("struct lzt_writer **"), ffi.new("struct lzt_error *")
        self._fail = table._source.fail
        if lib.lzt_writer_open(table._handle, durable, handle, error) != lib.LZT_OK:
            self._fail(error)
        self._handle = handle[0]  # freed with its source and not by ffi.gc: in garbage that may come before finalizers
        self._error = error
        self._page = ffi.new("uint64_t *")
        self._plain: Any = None  # of pages that lie in memory without gaps, in this machine's byte order
        self._bigtiff = False
        self.encodes = False  # whether pages are encoded before they are written

    def set_form(self, members: dict[str, Any], tags: Sequence[Tag]) -> dict[str, Any]:
        """Say how pages are stored, in members of struct lzt_form; return them with their defaults filled in."""
        own = _Tags(tags)
        form = ffi.new("struct lzt_form *", {"size": ffi.sizeof("struct lzt_form"), **members})
        form.tags, form.tag_count = own.handle, own.count
        if lib.lzt_writer_set_form(self._handle, form, self._error) != lib.LZT_OK:
            self._refuse()
        chosen = lib.lzt_writer_form(self._handle)
        self.encodes = bool(lib.lzt_writer_encodes(self._handle))
        pixel = chosen.samples * chosen.item_size
        self._plain = ffi.new("struct lzt_pixels *", (ffi.NULL, chosen.columns * pixel, pixel, chosen.item_size, 0))
        return {name: getattr(chosen, name) for name in members}

    def _refuse(self) -> NoReturn:
        """Raise what the last error says. What is no use to C is what a user has asked for: a form, or a tag."""
        if self._error.status == lib.LZT_USAGE:
            raise ValueError(ffi.string(self._error.text).decode(errors="replace"))
        self._fail(self._error)

    def append(self, array: NDArray[Any], tags: Sequence[Tag] = ()) -> int:
        """Write a page and publish it; return its number."""
        own = _Tags(tags) if tags else _NO_TAGS
        pixels = self._pixels(array)
        status = lib.lzt_writer_append(self._handle, pixels, own.handle, own.count, self._page, self._error)
        if status != lib.LZT_OK:
            self._refuse()
        page: int = self._page[0]
        return page

    def _pixels(self, array: NDArray[Any]) -> Any:
        """Return a struct lzt_pixels; for most arrays the one that is at hand, which takes a tenth of the time."""
        if not array.flags.c_contiguous or not array.dtype.isnative:
            return _pixels(array)
        self._plain.data = ffi.from_buffer(array)
        return self._plain

    def write(self, page: Parcel | NDArray[Any], tags: Sequence[Tag] = ()) -> None:
        """Write a page without publishing it: a complete parcel, or an array, which this thread encodes if need be."""
        own = _Tags(tags)
        parcel, pixels = (page._handle, ffi.NULL) if isinstance(page, Parcel) else (ffi.NULL, self._pixels(page))
        if lib.lzt_writer_write(self._handle, parcel, pixels, own.handle, own.count, self._error) != lib.LZT_OK:
            self._refuse()

    def publish(self) -> None:
        """Publish all pages that were written."""
        if lib.lzt_writer_publish(self._handle, self._error) != lib.LZT_OK:
            self._fail(self._error)

    def set_counter(self, inside: int, per: int, least: int) -> None:
        """Have eight digits at that byte of the first page's description count steps of so many pages."""
        if lib.lzt_writer_set_counter(self._handle, inside, per, least, self._error) != lib.LZT_OK:
            self._refuse()

    def redescribe(self, text: bytes) -> None:
        """Give the first page another description, which ends with a NUL."""
        if lib.lzt_writer_redescribe(self._handle, text, len(text), self._error) != lib.LZT_OK:
            self._fail(self._error)

    def stay_classic(self) -> None:
        """Have a classic file end at 4 GiB that would become BigTIFF there."""
        if lib.lzt_writer_stay_classic(self._handle, self._error) != lib.LZT_OK:
            self._fail(self._error)

    def flush(self) -> None:
        """Wait until all pages that are published are on the disk."""
        if lib.lzt_writer_flush(self._handle, self._error) != lib.LZT_OK:
            self._fail(self._error)

    @property
    def pages(self) -> int:
        """Pages that are published."""
        return int(lib.lzt_writer_pages(self._handle))

    @property
    def bigtiff(self) -> bool:
        """Whether readers find a BigTIFF file by now."""
        if self._handle:
            self._bigtiff = bool(lib.lzt_writer_is_bigtiff(self._handle))
        return self._bigtiff

    def close(self) -> None:
        """Free the writer. Nobody uses it any more."""
        self._bigtiff = self.bigtiff
        handle, self._handle = self._handle, ffi.NULL
        lib.lzt_writer_close(handle)


def form_of_page(table: Table, page: int) -> dict[str, Any]:
    """Return members of struct lzt_form for pages that are stored like that one."""
    form, error = ffi.new("struct lzt_form *"), ffi.new("struct lzt_error *")
    if lib.lzt_form_of_page(table._handle, page, form, error) != lib.LZT_OK:
        table._source.fail(error)
    names = [name for name, _ in ffi.typeof("struct lzt_form").fields if name not in ("size", "tags", "tag_count")]
    return {name: getattr(form, name) for name in names}
