"""The page table: how each page is stored, which pages look alike, and what their tags say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff import _binding, _codecs
from lazytiff._extents import Extents
from lazytiff._tags import Tags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lazytiff._limits import Limits
    from lazytiff._source import Source

_KINDS = {1: "b", 2: "u", 3: "i", 4: "f", 5: "c"}  # enum lzt_kind
_TABLE_LIMITS = ("max_pages", "max_layouts", "max_tags", "max_value_bytes", "max_chunk_bytes")


class FrameType(NamedTuple):
    """What pages must have in common to form one array."""

    rows: int
    columns: int
    samples: int
    dtype: np.dtype[Any]
    photometric: int

    def __str__(self) -> str:
        size = f"{self.rows} x {self.columns}" + (f" x {self.samples}" if self.samples > 1 else "")
        return f"{size} {self.dtype}, photometric interpretation {self.photometric}"


@dataclass(frozen=True)
class Layout:
    """How a page is stored: the members of struct lzt_layout in csrc/lazytiff.h, which says what each means."""

    rows: int
    columns: int
    chunk_rows: int
    chunk_columns: int
    grid_rows: int
    grid_columns: int
    planes: int
    samples: int
    kind: int
    item_size: int
    stored_samples: int
    bits: int
    sample_format: int
    compression: int
    predictor: int
    photometric: int
    planar: int
    fill_order: int
    subsampling_across: int
    subsampling_down: int
    tiled: int
    swapped: int
    direct: int
    problem: int

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels as they are read, in this machine's byte order."""
        return np.dtype(bool) if _KINDS[self.kind] == "b" else np.dtype(f"{_KINDS[self.kind]}{self.item_size}")

    @cached_property
    def frame_type(self) -> FrameType:
        """What this page looks like when it is read."""
        return FrameType(self.rows, self.columns, self.samples, self.dtype, self.photometric)

    @property
    def codec(self) -> str:
        """Name of the compression scheme."""
        return _codecs.name_of(self.compression)

    def __str__(self) -> str:
        names = {1: "", 2: " + horizontal predictor", 3: " + floating point predictor"}
        predictor = names.get(self.predictor, f" + predictor {self.predictor}")
        chunk = "tiles" if self.tiled else "strips"
        planes = f" in {self.planes} planes" if self.planes > 1 else ""
        bits = f", {self.bits} bits a sample" if self.bits != 8 * self.item_size else ""
        return f"{self.codec}{predictor}, {chunk} of {self.chunk_rows} x {self.chunk_columns}{planes}{bits}"


@lru_cache(maxsize=1024)
def _layout_of(struct: bytes) -> Layout:
    """Return a layout, the same one for many files that are alike."""
    return Layout(**_binding.layout_members(struct))


class PageTable:
    """All pages of one file, or those that a page's SubIFDs list. Immutable, so that threads share it."""

    def __init__(
        self, source: Source, handle: _binding.Table, codecs: Sequence[int], older: PageTable | None = None
    ) -> None:
        self.source = source
        self.codecs = codecs
        self.handle = handle
        self._idle: list[_binding.Reader] = []
        self._free = _freeing(handle, self._idle)
        source.at_close(self._free)
        known = [] if older is None else older.layouts
        self.layouts: list[Layout] = known + list(map(_layout_of, handle.layouts(len(known))))
        self.warnings = handle.warnings()
        self._length = len(handle)
        self.bigtiff, self.big_endian = handle.bigtiff, handle.big_endian
        self.file_size = handle.size()
        self._numbers: NDArray[np.intp] = _count_to(self._length, None if older is None else older._numbers)  # noqa: SLF001  # same class
        self._verified: NDArray[np.bool_] | None = None if older is None else older._verified  # noqa: SLF001
        self.unverified = True

    @classmethod
    def open(
        cls,
        source: Source,
        limits: Limits,
        codecs: Sequence[int],
        ifds: Sequence[int] | NDArray[np.uint64] = (),
        *,
        whole: bool = False,
        lenient: bool = False,
    ) -> PageTable:
        """Find the pages, or those of ifds; whole: of a growing file only whole ones; lenient: a bad IFD is a page."""
        bounds = {name: getattr(limits, name) for name in _TABLE_LIMITS}
        with source:
            handle = _binding.Table.open(source.handle, bounds, codecs, ifds, whole=whole, lenient=lenient)
            return cls(source, handle, codecs)

    def refresh(self) -> PageTable:
        """Return a table that begins with these pages and goes on with those that came, or raise FileChangedError."""
        with self.source:
            return PageTable(self.source, self.handle.refresh(), self.codecs, self)

    def __len__(self) -> int:
        return self._length

    def __str__(self) -> str:
        kind = "BigTIFF" if self.bigtiff else "classic TIFF"
        return f"{kind}, {'big' if self.big_endian else 'little'}-endian, {len(self)} pages"

    @property
    def numbers(self) -> NDArray[np.intp]:
        """The numbers of all pages."""
        return self._numbers[: self._length]

    @cached_property
    def layout_numbers(self) -> NDArray[np.uint32]:
        """For each page the index of its layout in `layouts`."""
        if len(self.layouts) <= 1:
            one = np.zeros(1, np.uint32)
            return one if self._length == 1 else np.broadcast_to(one, (self._length,))
        with self.source:
            return self.handle.rows("layout")

    def count_layouts(self, pages: NDArray[np.intp] | slice) -> dict[int, int]:
        """Return the number of each layout that these pages have, and how many of them have it."""
        # np.unique would do, but its first call imports numpy.ma, which takes longer than to open most files.
        counts = np.bincount(self.layout_numbers[pages])
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}

    def layout(self, page: int, *, readable: bool = True) -> Layout:
        """Return the page's layout; raise what is wrong with the page when it is to be readable and is not."""
        number = int(self.layout_numbers[page])
        if readable and self.layouts[number].problem:
            with self.source:
                self.handle.check(number, page)
        return self.layouts[number]

    def check_size(self) -> None:
        """Raise FileChangedError when the file has become shorter; for a borrower of the source."""
        self.handle.check_size()

    def verify(self, pages: NDArray[np.intp]) -> None:
        """Raise FileChangedError when a page that is asked for the first time has another IFD; for a borrower."""
        verified = self._know_verified()
        todo = pages[~verified[pages]]
        if len(todo):
            self.handle.verify(todo.astype(np.uint64))
            verified[todo] = True
        self.unverified = not verified.all()

    def _know_verified(self) -> NDArray[np.bool_]:
        """Return which pages were verified, those of the older tables included."""
        known = self._verified
        if known is None or len(known) < self._length:
            verified = np.zeros(self._length, bool)
            if known is not None:
                verified[: len(known)] = known
            self._verified = known = verified
        return known

    def ifds(self) -> NDArray[np.uint64]:
        """Return where the IFD of each page is."""
        with self.source:
            return self.handle.rows("ifd")

    def marks(self, pages: NDArray[np.intp]) -> list[tuple[int, int]]:
        """Return where the IFDs of these pages are and a hash of each: what tells this file from another one."""
        with self.source:
            ifds, hashes = self.handle.rows("ifd"), self.handle.rows("hash")
        return list(zip(ifds[pages].tolist(), hashes[pages].tolist(), strict=True))

    def places(self, pages: NDArray[np.intp]) -> list[tuple[int, int]]:
        """Return offset and length of the only chunk of each of these pages; 0 where the table does not say."""
        with self.source:
            offsets, lengths = self.handle.rows("data"), self.handle.rows("length")
        return list(zip(offsets[pages].tolist(), lengths[pages].tolist(), strict=True))

    def extents(self, pages: NDArray[np.intp]) -> Extents:
        """Return where the pixels of these pages are; raise NotMappableError when they are not stored as read."""
        with self.source:
            found = self.handle.extents(pages.astype(np.uint64))
        return Extents(found, self.layouts, self.layout_numbers[pages], lambda at, n: self._chunks(int(pages[at]), n))

    def _chunks(self, page: int, count: int) -> NDArray[np.int64]:
        with self.source:
            return self.handle.chunks(page, count).astype(np.int64)

    def check_apart(self, pages: NDArray[np.intp]) -> None:
        """Raise NotMappableError when to write to pixels of these pages would change something else."""
        with self.source:
            self.handle.check_apart(pages.astype(np.uint64))

    def tags(self, page: int) -> Tags:
        """Read which tags the page has."""
        return Tags(self, page)

    def __del__(self) -> None:
        """Free it when nobody uses it any more: each refresh of a growing file makes a new one."""
        if hasattr(self, "_free") and self.source.forget(self._free):
            self._free()

    def take_reader(self) -> _binding.Reader:
        """Return a reader that no other thread has; for a borrower of the source."""
        try:
            return self._idle.pop()
        except IndexError:
            return _binding.Reader(self.handle)

    def give_reader(self, reader: _binding.Reader) -> None:
        """Give a reader back."""
        self._idle.append(reader)


def _count_to(count: int, older: NDArray[np.intp] | None) -> NDArray[np.intp]:
    """Return count numbers or more: those that are there or, when a file has grown, twice as many, for it goes on."""
    if older is not None and len(older) >= count:
        return older
    numbers = np.arange(count if older is None else 2 * count)
    numbers.flags.writeable = False  # arrays of pages share them
    return numbers


def _freeing(handle: _binding.Table, idle: list[_binding.Reader]) -> Callable[[], None]:
    """Return what frees a table and its readers; not a method of PageTable's, which would keep its source alive."""

    def free() -> None:
        while idle:
            idle.pop().close()
        handle.close()

    return free
