"""ImageJ's description: `key=value` lines, the first of which is "ImageJ=" and a version, which may be empty."""

from __future__ import annotations

import math
import re

import numpy as np

from lazytiff._dimensions import MICROMETRE, Dimensions, Step

_MOST_CHARACTERS = 1 << 16  # ImageJ writes some hundred; what is behind these is not looked at
_KEYS = {"C": "channels", "Z": "slices", "T": "frames"}
_ORDERS = ("czt", "ctz", "zct", "ztc", "tcz", "tzc")  # fastest first; ImageJ's own files are czt
_DIGITS = 12  # of a number of planes that can be meant
_SECONDS = {"sec": "s", "second": "s", "seconds": "s"}
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")


def read(text: str, pages: int, samples: int) -> Dimensions | None:
    """Return the axes of that many pages; None when it is not ImageJ's, or says nothing that pages can be.

    A count beyond the pages that there are is believed as far as these go: the slowest axis ends with the last page.
    """
    fields = _fields(text)
    if fields is None or not pages:
        return None
    order = fields.get("order", "czt").lower()
    letters = (order if order in _ORDERS else "czt")[::-1].upper()
    counts = {letter: _count(fields.get(key, "1")) for letter, key in _KEYS.items()}
    if min(counts.values()) < 1:
        return None
    if samples > 1 and counts["C"] == samples and math.prod(counts.values()) > pages:
        counts["C"] = 1  # samples of colour pages, counted as channels
    if math.prod(counts.values()) == 1:
        return Dimensions("I", (pages,), None, _steps(fields))
    found = _fitted([counts[letter] for letter in letters], pages)
    return None if found is None else Dimensions(letters, *found, _steps(fields))


def unit(text: str) -> str | None:
    """Return the unit of length that ImageJ's description names; None when it names none."""
    return _unit(_fields(text) or {}, "unit")


def _unit(fields: dict[str, str], key: str) -> str | None:
    name = _unescaped(fields.get(key, "")).strip()
    if name in MICROMETRE:
        return "µm"
    return None if name in ("", "pixel", "pixels") else name


def _fields(text: str) -> dict[str, str] | None:
    if not text.startswith("ImageJ="):
        return None
    lines = text[:_MOST_CHARACTERS].splitlines()
    return {key.strip(): value.strip() for key, found, value in (line.partition("=") for line in lines) if found}


def _count(text: str) -> int:
    """Return a number of planes; 0 for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else 0


def _fitted(sizes: list[int], pages: int) -> tuple[tuple[int, ...], np.ndarray | None] | None:
    """Return sizes that pages fill, and which page is where unless all are in order; slowest axis first."""
    longest = next(number for number, size in enumerate(sizes) if size > 1)
    inner = math.prod(sizes[longest + 1 :])
    if inner > pages:
        return None
    if inner * sizes[longest] <= pages:
        return tuple(sizes), None
    sizes[longest] = -(-pages // inner)
    planes = np.arange(inner * sizes[longest])
    return tuple(sizes), np.where(planes < pages, planes, -1).reshape(sizes)


def _steps(fields: dict[str, str]) -> dict[str, Step]:
    spacing, interval, rate = (_number(fields.get(key, "")) for key in ("spacing", "finterval", "fps"))
    steps = {}
    if spacing:
        steps["Z"] = Step(abs(spacing), _unit(fields, "zunit") or _unit(fields, "unit") or "")
    if interval or rate:
        steps["T"] = Step(interval or 1 / rate, _SECONDS.get(name := _unit(fields, "tunit") or "sec", name))
    return steps


def _number(text: str) -> float:
    """Return a finite number; 0 for what is none."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) and abs(number) > 1e-300 else 0.0  # noqa: PLR2004  # its inverse is finite


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
