"""Stacks whose pages tell their numbers in every sample, and the ways of storing them that are tried."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

CHANNELS = 2  # of stacks whose description counts
LEAST_BYTES = 64  # of ImageJ's pages
TAG, TAG_VALUES = 65001, 5  # of every page, where pages have tags: numbers that follow from the page's


@dataclass(frozen=True)
class Style:
    """How a stack is stored and written. batch 0: page by page, by append.

    described: what the first page's description counts for, "imagej" or "ome"; "perhaps": it may have none yet.
    """

    rows: int
    columns: int
    dtype: str = "<u2"
    bigtiff: bool | str = "auto"
    compression: str | None = None
    tags: bool = False
    durability: str = "process"
    batch: int = 0
    described: str = ""

    @classmethod
    def draw(cls, rng: random.Random, most: int, **members: Any) -> Style:
        """Draw one by lot, of pages of up to about most bytes; members are not left to it."""
        size = int(most ** rng.random())
        drawn = {
            "rows": rng.randint(1, 1 + int(size**0.5)),
            "dtype": rng.choice(["u1", "<u2", ">u2", "<u4"]),
            "bigtiff": rng.choice([False, True, "auto", "auto"]),
            "compression": rng.choice([None, None, "deflate"]),
            "tags": rng.random() < 0.3,
            "batch": rng.choice([0, 0, 1, 3]),
        } | members
        if drawn["tags"]:
            drawn["batch"] = 0  # extend gives no page tags of its own
        itemsize = np.dtype(drawn["dtype"]).itemsize
        drawn = {
            "columns": max(1, size // drawn["rows"] // itemsize),
            "described": rng.choice(["", "imagej", "ome"]),
            **drawn,
        }
        small = drawn["rows"] * drawn["columns"] * itemsize < LEAST_BYTES
        if drawn["described"] == "imagej" and (drawn["bigtiff"] is not False or drawn["dtype"] == "<u4" or small):
            drawn["described"] = "ome"
        return cls(**drawn)

    def members(self) -> dict[str, Any]:
        """Return what makes an equal one."""
        return asdict(self)

    def options(self) -> dict[str, Any]:
        """Return the options of `lazytiff.empty`."""
        return {"bigtiff": self.bigtiff, "compression": self.compression} | self.resumed(0)

    def resumed(self, pages: int) -> dict[str, Any]:
        """Return the options of `lazytiff.open(path, "a")` for a file that has so many pages."""
        first: dict[str, Any] = {} if pages else {"compression": self.compression}
        if self.described and not pages:
            first |= {self.described: True, "metadata": {"axes": "TC", "sizes": {"C": CHANNELS}}}
        elif self.tags and not pages:
            first |= {"description": "a stack of pages\n" * 3}
        return first | {"durability": self.durability}

    def tags_of(self, number: int) -> dict[int, Any] | None:
        """Return the tags of a page."""
        return {TAG: ("LONG", list(tag_values(number)))} if self.tags else None

    @cached_property
    def _pattern(self) -> NDArray[Any]:
        dtype = np.dtype(self.dtype).newbyteorder("=")
        places = np.arange(self.rows * self.columns, dtype="u4") * np.uint32(2654435761) >> np.uint32(13)
        return places.astype(dtype).reshape(self.rows, self.columns)

    def page(self, number: int) -> NDArray[Any]:
        """Return the pixels of a page: samples of two pages differ wherever they are."""
        pixels = self._pattern + self._pattern.dtype.type(number % 251)
        return pixels if self.dtype[0] != ">" else pixels.astype(self.dtype)

    @property
    def page_bytes(self) -> int:
        """Return how many bytes the pixels of a page have."""
        return self.rows * self.columns * np.dtype(self.dtype).itemsize


def tag_values(number: int) -> tuple[int, ...]:
    """Return the values of a page's own tag."""
    return tuple(range(number, number + TAG_VALUES))


@lru_cache(4096)
def stored(style: Style, number: int) -> bytes:
    """Return the pixels of a page as an uncompressed file has them."""
    return style.page(number).astype(style.dtype).tobytes()


def foreign(style: Style, pages: int) -> bytes:
    """Build a file as other programs write them, whose links all lie across two lines of the processor's cache."""
    order, big = ">" if style.dtype[0] == ">" else "<", style.bigtiff is True
    word, count, offset, head = (8, "Q", "Q", (43, 8, 0, 0)) if big else (4, "H", "I", (42, 0))
    file = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"), *head))
    link = len(file) - word
    for number in range(pages):
        pixels = stored(style, number)
        numbers = {256: style.columns, 257: style.rows, 258: 8 * np.dtype(style.dtype).itemsize, 259: 1, 262: 1}
        numbers |= {273: len(file), 277: 1, 278: style.rows, 279: len(pixels)}
        file += pixels
        kind = 16 if big else 4  # as wide as the field, so that no byte order shifts it
        fields = [struct.pack(f"{order}HH{offset}{offset}", tag, kind, 1, value) for tag, value in numbers.items()]
        entries = b"".join(fields)
        length = struct.calcsize(f"{order}{count}") + len(entries)
        file += bytes(-(len(file) + length + word // 2) % 64)
        file[link : link + word] = struct.pack(order + offset, len(file))
        file += struct.pack(order + count, len(numbers)) + entries
        link = len(file)
        file += bytes(word)
    return bytes(file)
