"""Micro-Manager's stacks: a summary and an index map behind the TIFF header tell which IFD is which plane.

Source: "Micro-Manager File Formats", section Image File Stack, of micro-manager.org.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._dimensions import Dimensions, Step
from lazytiff._limits import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_INDEX_HEADER, _INDEX_MAP_HEADER, _SUMMARY_HEADER = 54773648, 3453623, 2355492
_HEADER_BYTES = 40
_COLUMNS = {"C": 0, "Z": 1, "T": 2, "R": 3}  # of the index map; the last one is the IFD's offset
_OFFSET = 4
_MOST_STEP = 1e300  # JSON has whole numbers of any size
_LONGEST_NUMBER = 40  # characters of a number that is written as a text
_KEYS = {"C": "Channels", "Z": "Slices", "T": "Frames", "R": "Positions"}


@dataclass(frozen=True, eq=False)
class MicroManager:
    """What one file says. index: a row of channel, slice, frame, position and offset of the IFD for each image."""

    summary: dict[str, Any]
    index: NDArray[np.int64]

    def dimensions(self, ifds: NDArray[np.uint64]) -> Dimensions | None:
        """Return the axes, of which the page at ifds[n] is plane n; None when the summary does not tell them."""
        return merged([(self, ifds)])


def read(read: Callable[[int, int], bytes], size: int, *, big_endian: bool) -> MicroManager | None:
    """Read a file's summary and index map; None when it is not Micro-Manager's, or these are damaged.

    read: returns length bytes from an offset on; size: of the file.
    """
    word = np.dtype(">u4" if big_endian else "<u4")
    if size < _HEADER_BYTES:
        return None
    magic, index_at, *_, summary_magic, length = np.frombuffer(read(8, 32), word).tolist()
    if (magic, summary_magic) != (_INDEX_HEADER, _SUMMARY_HEADER) or length > min(
        size - _HEADER_BYTES, limits.max_value_bytes
    ):
        return None
    summary = _parsed(read(_HEADER_BYTES, length))
    if summary is None or index_at > size - 8:
        return None
    magic, count = np.frombuffer(read(index_at, 8), word).tolist()
    row = word.itemsize * (_OFFSET + 1)
    if magic != _INDEX_MAP_HEADER or not 0 < count <= min((size - index_at - 8) // row, limits.max_pages):
        return None
    index = np.frombuffer(read(index_at + 8, count * row), word).astype(np.int64)
    return MicroManager(summary, index.reshape(-1, _OFFSET + 1))


def merged(parts: Sequence[tuple[MicroManager, NDArray[np.uint64]]]) -> Dimensions | None:
    """Return the axes of a set of files, each with where its IFDs are; pages are numbered from file to file.

    Sizes are the summary's, or what the index maps have where that is more. None when the summary does not tell them.
    """
    summary = parts[0][0].summary
    if "MicroManagerVersion" not in summary or "Frames" not in summary:
        return None
    letters = ("TR" if summary.get("TimeFirst", True) else "RT") + ("ZC" if summary.get("SlicesFirst", True) else "CZ")
    index = np.concatenate([part.index for part, _ in parts])
    sizes = tuple(
        max(int(index[:, _COLUMNS[letter]].max()) + 1, _whole(summary.get(_KEYS[letter]))) for letter in letters
    )
    if math.prod(sizes) > limits.max_pages:
        return None
    planes = np.full(sizes, -1)
    pages = _pages(parts)
    there = pages >= 0  # an entry whose page never came takes no place from another one
    planes[tuple(index[there, _COLUMNS[letter]] for letter in letters)] = pages[there]
    return Dimensions(letters, sizes, planes, _steps(summary), _channels(summary))


def _pages(parts: Sequence[tuple[MicroManager, NDArray[np.uint64]]]) -> NDArray[np.intp]:
    """Return for each row of the index maps the number of its page; -1 where there is none."""
    found, before = [], 0
    for part, ifds in parts:
        pages = _numbers(part.index[:, _OFFSET].astype(np.uint64), ifds)
        found.append(np.where(pages >= 0, pages + before, -1))
        before += len(ifds)
    return np.concatenate(found)


def _numbers(offsets: NDArray[np.uint64], ifds: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return for each offset which of ifds it is; -1 where it is none of them."""
    if len(ifds) == 0:  # a part that was begun: its index map may come before its pages
        return np.full(len(offsets), -1)
    order = np.argsort(ifds)
    at = order[np.minimum(np.searchsorted(ifds, offsets, sorter=order), len(ifds) - 1)]
    return np.where(ifds[at] == offsets, at, -1)


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        summary = json.loads(text.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return None
    return summary if isinstance(summary, dict) else None


def _number(value: Any) -> float:
    """Return a number, which some versions write as a text; 0 for what is none, or is out of all proportion."""
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            value = float(value)
        except ValueError:
            return 0
    sensible = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MOST_STEP
    return value if sensible else 0


def _whole(value: Any) -> int:
    """Return a number of planes; 1 for what is none."""
    return max(1, int(_number(value)))


def _steps(summary: dict[str, Any]) -> dict[str, Step]:
    """Return distances in micrometres and seconds, where the summary has them."""
    said = {"Z": ("z-step_um", 1, "µm"), "T": ("Interval_ms", 1000, "s")}
    said |= dict.fromkeys("YX", ("PixelSize_um", 1, "µm"))
    steps = {}
    for letter, (key, divisor, unit) in said.items():
        value = _number(summary.get(key)) / divisor
        if value > 0:
            steps[letter] = Step(value, unit)
    return steps


def _channels(summary: dict[str, Any]) -> tuple[str, ...]:
    names = summary.get("ChNames")
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
