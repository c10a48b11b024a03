"""What a user says of a stack's axes: `imagej`, `ome` and `metadata`, checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazytiff._dimensions import MICROMETRE

KEYS = ("axes", "sizes", "spacing", "unit", "pixel_size", "interval", "channels", "name")
_LETTERS = "TZC"
_MOST = 1 << 24  # planes along an axis
_MOST_CHANNELS = 1 << 16  # OME-XML tells of each, and readers parse it
_MOST_PER = (1 << 31) - 1  # planes of a step: Java's int
_MOST_TEXT = 1 << 10  # characters: readers look at so many bytes of a description, and no further
# Of lengths, as OME has them (UnitsLength), and what else people write.
_PREFIXES = ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "", "d", "c", "m", "µ", "n", "p", "f", "a", "z", "y")
UNITS = (*(f"{prefix}m" for prefix in _PREFIXES), "Å", "thou", "li", "in", "ft", "yd", "mi", "pixel")
_SPELLED = dict.fromkeys(MICROMETRE, "µm")
_SECONDS = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}
_SPELLED |= {"\N{ANGSTROM SIGN}": "Å", "inch": "in"}


@dataclass(frozen=True)
class Metadata:
    """The axes of a stack's pages, slowest first, and what is known of them; 0, "" and (): nothing."""

    kind: str  # "imagej" or "ome"
    letters: str = "T"
    page_letters: str = ""  # YX or YXS, where they were given
    sizes: dict[str, int] = field(default_factory=dict)  # of all but the slowest
    spacing: float = 0.0
    unit: str = "µm"
    pixel_size: tuple[float, float] | None = None  # row, column
    interval: float = 0.0
    channels: tuple[str, ...] = ()
    name: str = ""

    @property
    def per(self) -> int:
        """Pages of a step of the slowest axis."""
        return math.prod(self.sizes.values())

    @property
    def least(self) -> int:
        """The least count that there may be: OME has no axes of length 0, and takes planes for missing."""
        return 0 if self.kind == "imagej" else 1

    def check_samples(self, samples: int) -> None:
        """Raise ValueError for pages of so many samples when the axes say otherwise."""
        if self.page_letters and (self.page_letters == "YXS") != (samples > 1):
            raise ValueError(f"metadata: axes end with {self.page_letters}, and the pages have {samples} sample(s)")


def metadata_of(given: Mapping[str, Any] | None, *, imagej: bool, ome: bool) -> Metadata | None:
    """Check what is said; None when nothing is. Raises ValueError and TypeError."""
    if imagej and ome:
        raise ValueError("a file is ImageJ's or OME's: `imagej` and `ome` do not go together")
    if not imagej and not ome and given is None:
        return None
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise TypeError(f"metadata must be a dict, not {given!r}")
    unknown = [key for key in given if key not in KEYS]
    if unknown:
        raise ValueError(f"metadata knows no {unknown[0]!r}; it knows {', '.join(KEYS)}")
    kind = "imagej" if imagej else "ome"
    letters, page = _axes(given.get("axes", "T"), kind)
    sizes = _sizes(given.get("sizes", {}), letters)
    return Metadata(
        kind,
        letters,
        page,
        sizes,
        spacing=_positive("spacing", given["spacing"]) if "spacing" in given else 0.0,
        unit=_unit(given.get("unit", "µm"), kind),
        pixel_size=_pixel_size(given["pixel_size"]) if "pixel_size" in given else None,
        interval=_positive("interval", given["interval"]) if "interval" in given else 0.0,
        channels=_channels(given.get("channels", ()), kind, sizes, letters),
        name=_text("name", given.get("name", "")),
    )


def split_axes(axes: str) -> tuple[str, str]:
    """Return the letters of a stack's axes and those of its pages; the latter are empty where none are given."""
    for page in ("YXS", "YX"):
        if axes.endswith(page):
            return axes.removesuffix(page), page
    return axes, ""


def sized(given: Mapping[str, Any] | None, letters: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return metadata for an array whose leading axes are these: with their sizes, but for the slowest one's.

    Channels that nothing else would be slower than get an axis of length 1 before them: then they are all known.
    """
    metadata = dict(given or {})
    known = dict(zip(letters, shape, strict=True))
    own = metadata.get("sizes", {})
    wrong = [letter for letter in own if known.get(letter) != own[letter]] if isinstance(own, Mapping) else []
    if wrong:
        raise ValueError(f"metadata: sizes says {wrong[0]!r}: {own[wrong[0]]!r}, and the array has {known}")
    if letters.startswith("C") and len(letters) < len(_LETTERS):
        letters = next(letter for letter in _LETTERS if letter not in letters) + letters
    page = split_axes(metadata.get("axes", ""))[1]
    letters = letters or "T"
    return metadata | {"axes": letters + page, "sizes": {letter: known[letter] for letter in letters[1:]}}


def inherited(given: Mapping[str, Any] | None, array: Any, *, imagej: bool) -> Mapping[str, Any] | None:
    """Return metadata with what an array of a file says of its distances and channels, where nothing else is given."""
    steps = getattr(array, "resolution", None)
    if not isinstance(steps, Mapping) or not isinstance(given, Mapping | None):
        return given
    found: dict[str, Any] = {}
    if not {"pixel_size", "spacing", "unit"} & set(given or ()):
        found |= _lengths(steps)
    if "T" in steps and steps["T"].unit in _SECONDS:
        found["interval"] = steps["T"].value * _SECONDS[steps["T"].unit]
    channels, letters = getattr(array, "channels", ()), split_axes(array.axes)[0]
    if channels and not imagej and len(channels) == array.sizes.get("C", 1) and letters != "C":
        found["channels"] = channels
    return {**found, **(given or {})} if found else given


def _lengths(steps: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of pixels and the distance of planes that are in one unit, and one that OME has."""
    unit = next((steps[letter].unit for letter in "XZ" if letter in steps), "")
    same = {letter: steps[letter].value for letter in "YXZ" if letter in steps and steps[letter].unit == unit}
    if _SPELLED.get(unit, unit) not in UNITS:
        return {}
    found = {"unit": unit}
    found |= {"pixel_size": (same["Y"], same["X"])} if {"Y", "X"} <= set(same) else {}
    return found | ({"spacing": same["Z"]} if "Z" in same else {})


# ---- Keys


def _axes(axes: Any, kind: str) -> tuple[str, str]:
    if not isinstance(axes, str):
        raise TypeError(f"metadata: axes must be a str, not {axes!r}")
    letters, page = split_axes(axes)
    ordered = "".join(letter for letter in _LETTERS if letter in letters)
    if not letters or sorted(letters) != sorted(ordered):
        raise ValueError(f"metadata: axes are those of all pages, each one of T, Z and C once, not {axes!r}")
    if kind == "imagej" and letters != ordered:
        raise ValueError(f"metadata: ImageJ has its pages in the order T, Z, C, the slowest first, not {letters!r}")
    return letters, page


def _sizes(sizes: Any, letters: str) -> dict[str, int]:
    """Return the size of every axis but the slowest, fastest last."""
    if not isinstance(sizes, Mapping):
        raise TypeError(f"metadata: sizes must be a dict, not {sizes!r}")
    if set(sizes) != set(letters[1:]):
        raise ValueError(
            f"metadata: sizes takes the length of every axis but the slowest, which grows: of {list(letters[1:])}, "
            f"not of {list(sizes)}"
        )
    found = {letter: operator.index(sizes[letter]) for letter in letters[1:]}
    if not all(1 <= size <= _MOST for size in found.values()):
        raise ValueError(f"metadata: sizes are from 1 to {_MOST}, not {sizes!r}")
    if found.get("C", 1) > _MOST_CHANNELS or math.prod(found.values()) > _MOST_PER:
        raise ValueError(
            f"metadata: there are {_MOST_CHANNELS} channels and {_MOST_PER} planes a step at most, not {sizes!r}"
        )
    return found


def _positive(key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"metadata: {key} must be a number, not {value!r}") from None
    except OverflowError:  # of whole numbers
        number = math.inf
    if isinstance(value, str | bytes | bytearray | bool | np.bool_) or not 0 < number < math.inf:
        raise ValueError(f"metadata: {key} must be a positive number, not {value!r}")
    return number


def _pixel_size(size: Any) -> tuple[float, float]:
    sizes = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sizes) != 2:  # noqa: PLR2004
        raise ValueError(f"metadata: pixel_size is a number, or (y, x), not {size!r}")
    return _positive("pixel_size", sizes[0]), _positive("pixel_size", sizes[1])


def _unit(unit: Any, kind: str) -> str:
    text = _text("unit", unit)
    text = _SPELLED.get(text, text)
    if not text or (kind == "ome" and text not in UNITS):
        raise ValueError(f"metadata: unit is one of {', '.join(UNITS)}, not {unit!r}")
    return text


def _channels(names: Any, kind: str, sizes: dict[str, int], letters: str) -> tuple[str, ...]:
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(f"metadata: channels are a list of names, not {names!r}")
    found = tuple(_text("channels", name) for name in names)
    if found and kind == "imagej":
        raise ValueError("metadata: ImageJ's files keep no names of channels; those of OME do")
    if found and letters[0] == "C":
        raise ValueError("metadata: channels cannot have names where their number grows")
    if found and len(found) != sizes.get("C", 1):
        raise ValueError(f"metadata: {len(found)} names for {sizes.get('C', 1)} channel(s)")
    return found


def _text(key: str, text: Any) -> str:
    """Return a text that XML and a line can hold."""
    if not isinstance(text, str):
        raise TypeError(f"metadata: {key} must be a str, not {text!r}")
    if not text.isprintable():
        raise ValueError(f"metadata: {key} has characters that cannot be printed: {text!r}")
    if len(text) > _MOST_TEXT:
        raise ValueError(f"metadata: {key} has {len(text)} characters, and {_MOST_TEXT} are the most")
    return text
