"""Whether a file is a valid TIFF with the pages that it must have. Knows nothing of lazytiff.

A file is anything with `read(offset, length)` and `size`: a real one, or one that might have been left behind.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from typing import TYPE_CHECKING, Protocol

from stamped import CHANNELS, TAG, TAG_VALUES, stored, tag_values

if TYPE_CHECKING:
    from stamped import Style

ORDERS = {b"II": "<", b"MM": ">"}
TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q", 7: "B", 16: "Q"}
MOST_ENTRIES = 64
COUNTED = re.compile(rb"\AImageJ=\n[^\0]*\nframes=(\d{8})\n\0\Z|\A<[^\0]* SizeT=\"(\d{8})\"><Channel [^\0]*</OME>\0\Z")


class Bytes(Protocol):
    """A file, or what might be one."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; fewer at the end."""


class Damaged(Exception):  # noqa: N818  # what it says of a file
    """The file is not what it must be."""


class RealFile:
    """A file on the disk."""

    def __init__(self, path: os.PathLike[str] | str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; fewer at the end."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def check(file: Bytes, style: Style, least: int, most: int, foreign: int = 0, *, both: bool = True) -> int:
    """Return how many pages there are, all of them whole and right, from least to most.

    foreign: so many were written by another program, whose links may lie anywhere. both: a classic file that may grow
    has as many in its BigTIFF chain; otherwise that chain, which nobody reads yet, may be shorter.
    """
    header = need(file, 0, 8)
    if header[:2] not in ORDERS:
        raise Damaged(f"the header is {header!r}")
    order = ORDERS[header[:2]]
    version = struct.unpack(order + "H", header[2:4])[0]
    allowed = {False: (42,), True: (43,), "auto": (42, 43)}[style.bigtiff]
    if version not in allowed or (version == 43 and header[4:] != struct.pack(order + "HH", 8, 0)):
        raise Damaged(f"the header is {header!r}")
    big = version != 42
    chain = _Chain(file, order, style, foreign, big=big)
    pages = chain.count(8 if big else 4, least, most)
    check_count(chain.described, style, pages, least)
    if not big and style.bigtiff == "auto":  # what one write of the header would turn the file into
        _Chain(file, order, style, foreign, big=True).count(8, least if both else 0, most)
    return pages


def check_count(described: tuple[int, bytes] | None, style: Style, pages: int, least: int) -> None:
    """Check that the description counts steps that are there, all but those of the publication that was cut off."""
    if not style.described or described is None:
        return
    place, text = described
    found = COUNTED.match(text)
    if found is None:
        raise Damaged(f"the description at {place} is {text!r}")
    group = 1 if found[1] else 2
    count, floor = int(found[group]), group - 1  # OME has one step from the beginning
    if (place + found.start(group)) % 8:
        raise Damaged(f"the count at {place + found.start(group)} is not aligned")
    if not max((least - max(style.batch, 1)) // CHANNELS, floor) <= count <= max(pages // CHANNELS, floor):
        raise Damaged(
            f"the description counts {count} steps of {CHANNELS}, where {least} pages of {pages} were acknowledged"
        )


def need(file: Bytes, offset: int, length: int) -> bytes:
    """Return bytes that must be there."""
    found = file.read(offset, length)
    if len(found) < length:
        raise Damaged(f"{length} bytes at {offset} are wanted of a file of {file.size}")
    return found


class _Chain:
    def __init__(self, file: Bytes, order: str, style: Style, foreign: int, *, big: bool) -> None:
        self.file, self.order, self.style, self.foreign = file, order, style, foreign
        self.name = "the BigTIFF chain" if big else "the classic chain"
        self.word, self.counts, self.entries = (8, "Q", "HHQ8s") if big else (4, "H", "HHI4s")
        self.offsets = "Q" if big else "I"
        self.described: tuple[int, bytes] | None = None  # where the first page's description is, and what it is

    def count(self, link: int, least: int, most: int) -> int:
        """Walk from a link to the end."""
        number = 0
        while ifd := self.number(self.offsets, link):
            if number == most:
                raise Damaged(f"{self.name} has more than the {most} pages that were written")
            link = self.page(number, ifd)
            if link % self.word and number >= self.foreign:
                raise Damaged(f"{self.name}: the link of page {number} at {link} is not aligned")
            number += 1
        if number < least:
            raise Damaged(f"{self.name} has {number} pages, and {least} were acknowledged")
        return number

    def number(self, code: str, offset: int) -> int:
        return int(struct.unpack(self.order + code, need(self.file, offset, struct.calcsize(self.order + code)))[0])

    def page(self, number: int, ifd: int) -> int:
        """Check a page; return where its link is."""
        count = self.number(self.counts, ifd)
        if not 0 < count < MOST_ENTRIES:
            raise Damaged(f"{self.name}: page {number} at {ifd} has {count} entries")
        first = ifd + struct.calcsize(self.order + self.counts)
        length = struct.calcsize(self.order + self.entries)
        entries = need(self.file, first, count * length)
        fields = {tag: value for tag, *value in struct.iter_unpack(self.order + self.entries, entries)}
        if len(fields) < count or list(fields) != sorted(fields):
            raise Damaged(f"{self.name}: the tags of page {number} are {list(fields)}")
        try:
            self.check_page(number, fields)
        except (KeyError, zlib.error) as error:
            raise Damaged(f"{self.name}: page {number}: {error!r}") from error
        return first + count * length

    def check_page(self, number: int, fields: dict[int, list]) -> None:
        style = self.style
        values = {tag: self.values(*field) for tag, field in fields.items()}  # all of them must be in the file
        if values[256] != (style.columns,) or values[257] != (style.rows,):
            raise Damaged(f"{self.name}: page {number} has {values[257]} x {values[256]} pixels")
        if style.tags and values[TAG] != tag_values(number):
            raise Damaged(f"{self.name}: the tag of page {number} is {values[TAG]}, {TAG_VALUES} were written")
        if (270 in values) != (bool(style.tags or style.described) and number == 0) and style.described != "perhaps":
            raise Damaged(f"{self.name}: page {number} and the description")
        if number == 0 and 270 in values:
            self.described = struct.unpack(self.order + self.offsets, fields[270][2])[0], bytes(values[270])
        chunks = [need(self.file, *at) for at in zip(values[273], values[279], strict=True)]
        if values[259] != (1,):
            chunks = [zlib.decompress(chunk) for chunk in chunks]
        if b"".join(chunks) != stored(style, number):
            raise Damaged(f"{self.name}: pixels of page {number} are wrong")

    def values(self, kind: int, count: int, field: bytes) -> tuple[int, ...]:
        """Return the values of an entry."""
        codes = f"{self.order}{count}{TYPES[kind]}"
        length = struct.calcsize(codes)
        if length > len(field):
            field = need(self.file, struct.unpack(self.order + self.offsets, field)[0], length)
        return struct.unpack(codes, field[:length])
