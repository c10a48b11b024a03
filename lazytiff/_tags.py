"""What an IFD's tags say, as Python values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._tag_names import NAMES, NUMBERS

if TYPE_CHECKING:
    from lazytiff._pages import PageTable


class Tags(Mapping[str | int, Any]):
    """A page's tags by name or number: `tags["ImageDescription"]`, `tags[270]`.

    A value is a str (ASCII), bytes (UNDEFINED, or several BYTEs), a number, or a tuple of numbers; fractions become
    floats. Iterating gives names, and numbers for tags without one. Values are read when they are asked for. Raises
    KeyError for a tag that is not there or whose value lies outside of the file, LimitError for one above
    `lazytiff.limits.max_value_bytes`.
    """

    def __init__(self, table: PageTable, page: int) -> None:
        self._table = table
        with table.source:
            found = table.handle.tags(page)
        self._tags: dict[int, tuple[int, int, Any]] = {}
        for number, kind, count, handle in found:
            self._tags.setdefault(number, (kind, count, handle))  # of two tags with one number the first counts

    def __getitem__(self, key: str | int) -> Any:
        number = NUMBERS.get(key) if isinstance(key, str) else key
        if number not in self._tags:
            raise KeyError(key)
        kind, count, handle = self._tags[number]
        with self._table.source:
            value = self._table.handle.tag_value(handle)
        return _python_value(kind, count, value)

    def __iter__(self) -> Iterator[str | int]:
        return (NAMES.get(number, number) for number in self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, key: object) -> bool:
        return (NUMBERS.get(key) if isinstance(key, str) else key) in self._tags

    def __repr__(self) -> str:
        return f"<{len(self)} tags: {', '.join(map(str, self))}>"


_ASCII, _BYTE, _UNDEFINED, _RATIONAL, _SRATIONAL = 2, 1, 7, 5, 10
# Field types as NumPy sees them (TIFF 6.0, section 2; 13 IFD; 16 to 18 BigTIFF); a fraction is two numbers.
_DTYPES = {
    1: "u1",
    3: "u2",
    4: "u4",
    5: "u4",
    6: "i1",
    8: "i2",
    9: "i4",
    10: "i4",
    11: "f4",
    12: "f8",
    13: "u4",
    16: "u8",
    17: "i8",
    18: "u8",
}


def _python_value(kind: int, count: int, value: bytes) -> Any:
    if kind == _ASCII:
        return value.rstrip(b"\0").decode("utf-8", errors="replace")
    if kind == _UNDEFINED or (kind == _BYTE and count != 1):
        return value
    numbers = np.frombuffer(value, _DTYPES[kind])
    if kind in (_RATIONAL, _SRATIONAL):
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = numbers[0::2] / numbers[1::2]
    listed = numbers.tolist()
    return listed[0] if count == 1 else tuple(listed)
