"""What an IFD's tags say, as Python values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._tag_names import NAMES, NUMBERS
from lazytiff._tag_types import ASCII, BYTE, DTYPES, FRACTIONS, UNDEFINED

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

    def raw(self, number: int) -> tuple[int, int, bytes] | None:
        """Return type, count and values in this machine's byte order; None when there is no such tag."""
        if number not in self._tags:
            return None
        kind, count, handle = self._tags[number]
        with self._table.source:
            return kind, count, self._table.handle.tag_value(handle)

    def __iter__(self) -> Iterator[str | int]:
        return (NAMES.get(number, number) for number in self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, key: object) -> bool:
        return (NUMBERS.get(key) if isinstance(key, str) else key) in self._tags

    def __repr__(self) -> str:
        return f"<{len(self)} tags: {', '.join(map(str, self))}>"


def _python_value(kind: int, count: int, value: bytes) -> Any:
    if kind == ASCII:
        return value.rstrip(b"\0").decode("utf-8", errors="replace")
    if kind == UNDEFINED or (kind == BYTE and count != 1):
        return value
    numbers = np.frombuffer(value, DTYPES[kind])
    if kind in FRACTIONS:
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = numbers[0::2] / numbers[1::2]
    listed = numbers.tolist()
    return listed[0] if count == 1 else tuple(listed)
