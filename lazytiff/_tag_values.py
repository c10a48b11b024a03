"""Python values as tags to be written: what a user gives as `tags={...}`, checked, with TIFF types."""

from __future__ import annotations

import difflib
import operator
import reprlib
from collections.abc import Mapping
from datetime import datetime
from numbers import Rational
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazytiff._limits import limits
from lazytiff._tag_names import NAMES, NUMBERS
from lazytiff._tag_packing import pack, packed_size
from lazytiff._tag_types import (
    ASCII,
    BYTE,
    DTYPES,
    FRACTIONS,
    IFD,
    IFD8,
    LONG8,
    RESERVED,
    SLONG8,
    STANDARD,
    TYPE_NAMES,
    TYPES,
    UNDEFINED,
)
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RESOLUTION_UNIT, _SOFTWARE, _DATE_TIME = 296, 305, 306
_UNITS = {"none": 1, "inch": 2, "centimeter": 3, "cm": 3}
_NO_NUMBERS = (*FRACTIONS, ASCII, UNDEFINED, IFD, IFD8)  # types that are something else than NumPy's numbers
_TYPE_OF_DTYPE = {DTYPES[kind]: kind for kind in TYPES.values() if kind not in _NO_NUMBERS}
_OF_BYTES = (ASCII, BYTE, UNDEFINED)
_MOST_NUMBER = 65535
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 50


class NewTag(NamedTuple):
    """A tag to be written: its values are in this machine's byte order, a fraction is two of them."""

    number: int
    type: int
    count: int  # type: ignore[assignment]  # hides a method of tuples
    data: bytes

    @property
    def needs_bigtiff(self) -> bool:
        """Whether classic TIFF has no such type."""
        return self.type in (LONG8, SLONG8, IFD8)


def new_tags(tags: Mapping[str | int, Any] | None) -> list[NewTag]:
    """Return tags in the order of their numbers.

    Keys are names or numbers. A value is a str, bytes, a number, or a tuple, list or array of numbers, stored in the
    type that the standard gives the tag; a datetime for DateTime, "inch", "cm" or "none" for ResolutionUnit. For other
    tags str is ASCII, bytes are UNDEFINED, NumPy's numbers keep their dtype, and Python's need a type: `("LONG", 5)`,
    `("RATIONAL", [0.5, 2])`. A type that is given so stands above the standard's.

    Raises ValueError for tags that are unknown, given twice or set by other means, and for values that are empty or out
    of range; TypeError for values of a wrong type; LimitError above `limits.max_value_bytes`.
    """
    if tags is None:
        return []
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags are a dict of names or numbers and values, not {_SHOWN.repr(tags)}")
    found: dict[int, NewTag] = {}
    for key, value in tags.items():
        given = _Given(_number(key), value)
        if given.number in found:
            raise given.error(ValueError, "the tag is there twice, by name and by number")
        if given.number in RESERVED:
            raise given.error(ValueError, RESERVED[given.number])
        found[given.number] = _converted(given)
    return [found[number] for number in sorted(found)]


def stamp(software: str | None, version: str) -> str:
    """Return the text of the Software tag: the user's, with lazytiff's own behind it."""
    own = f"lazytiff v{version}"
    if not software:
        return own
    return software if software.split(";")[-1] == own else f"{software};{own}"


def stamped(tags: list[NewTag], version: str) -> list[NewTag]:
    """Return the tags with a stamped Software tag, in the order of their numbers."""
    old = b"".join(tag.data for tag in tags if tag.number == _SOFTWARE)
    text = stamp(old.rstrip(b"\0").decode("utf-8", errors="surrogateescape"), version)
    data = text.encode("utf-8", errors="surrogateescape") + b"\0"
    others = [tag for tag in tags if tag.number != _SOFTWARE]
    return sorted([*others, NewTag(_SOFTWARE, ASCII, len(data), data)])


class _Given(NamedTuple):
    """What the user wants a tag to be."""

    number: int
    value: Any

    def error(self, kind: type[Exception], text: str) -> Exception:
        """Make an error that says which tag and which value."""
        name = f"{NAMES[self.number]} ({self.number})" if self.number in NAMES else str(self.number)
        return kind(f"tag {name} cannot be {' '.join(_SHOWN.repr(self.value).split())}: {text}")

    def check_size(self, size: int) -> None:
        """Raise LimitError when the value is too large to be read again."""
        if size > limits.max_value_bytes:
            text = f"it has {size} bytes or more, and lazytiff.limits.max_value_bytes is {limits.max_value_bytes}"
            raise self.error(LimitError, text)


def _number(key: Any) -> int:
    """Return a tag's number."""
    if isinstance(key, str):
        if key in NUMBERS:
            return NUMBERS[key]
        spelled = {name.lower(): name for name in NUMBERS}
        close = [spelled[name] for name in difflib.get_close_matches(key.lower(), spelled)]
        hint = f"did you mean {' or '.join(close)}?" if close else "tags without a name go by their numbers"
        raise ValueError(f"no tag is called {_SHOWN.repr(key)}; {hint}")
    try:
        number = operator.index(key)
    except TypeError:
        number = None
    if number is None or isinstance(key, bool):
        raise TypeError(f"tags go by names or numbers, not {_SHOWN.repr(key)}")
    if not 0 <= number <= _MOST_NUMBER:
        raise ValueError(f"tags have numbers from 0 to {_MOST_NUMBER}, not {_SHOWN.repr(number)}")
    return number


def _converted(given: _Given) -> NewTag:
    number, value = given
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):  # noqa: PLR2004  # (type, values)
        if value[0] in TYPES:
            return _typed(given, TYPES[value[0]], value[1])
        if not isinstance(value[1], str):
            raise given.error(TypeError, f"the types of TIFF are {', '.join(TYPES)}")
    if number == _RESOLUTION_UNIT and isinstance(value, str):
        if value not in _UNITS:
            raise given.error(ValueError, f"units are {', '.join(map(repr, _UNITS))}")
        value = _UNITS[value]
    if number == _DATE_TIME and isinstance(value, datetime):
        value = f"{value.year:04}:{value.month:02}:{value.day:02} {value:%H:%M:%S}"
    types, count = STANDARD.get(number, ((), 0))
    tag = _by_value(given, types, value)
    if count and tag.count != count:
        form = 'the standard wants "YYYY:MM:DD HH:MM:SS"' if number == _DATE_TIME else f"the tag has {count} value(s)"
        raise given.error(ValueError, form)
    return tag


def _typed(given: _Given, kind: int, value: Any) -> NewTag:
    if kind in (IFD, IFD8):
        raise given.error(ValueError, "offsets into the file are the writer's; a number that is none is a LONG")
    return _by_value(given, (kind,), value)


def _by_value(given: _Given, types: tuple[int, ...], value: Any) -> NewTag:
    """Make a tag of one of the types, or of the value's own where there are none."""
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(given, types or (UNDEFINED,), value)
    texts = value if isinstance(value, list | tuple) else [value]
    if texts and all(isinstance(text, str) for text in texts):
        return _text(given, types or (ASCII,), texts)
    numbers = _numbers(given, types, value)
    own = _TYPE_OF_DTYPE.get(numbers.dtype.str[1:])
    if own in types or (own and not types):
        return _packed(given, own, numbers)
    if not types:
        raise given.error(TypeError, "the tag has no type of its own: give one, as in ('LONG', 5) or ('DOUBLE', [0.5])")
    for kind in types[:-1]:
        try:
            return _packed(given, kind, numbers)
        except (TypeError, ValueError):
            continue
    return _packed(given, types[-1], numbers)


def _bytes(given: _Given, types: tuple[int, ...], value: bytes | bytearray | memoryview) -> NewTag:
    kind = next((kind for kind in types if kind in _OF_BYTES), None)
    if kind is None:
        raise given.error(TypeError, f"{_names(types)} takes {_taken(types)}")
    given.check_size(memoryview(value).nbytes)
    data = bytes(value)
    if kind == ASCII and not data.endswith(b"\0"):
        data += b"\0"
        given.check_size(len(data))
    if not data:
        raise given.error(ValueError, "a tag has at least one value")
    return NewTag(given.number, kind, len(data), data)


def _text(given: _Given, types: tuple[int, ...], texts: list[str] | tuple[str, ...]) -> NewTag:
    """Make a tag of texts, each of which ends with a NUL."""
    if ASCII not in types:
        raise given.error(TypeError, f"{_names(types)} takes {_taken(types)}")
    if any("\0" in text for text in texts):
        raise given.error(ValueError, "a text ends where it has a NUL; several texts are a list")
    try:
        data = "".join(f"{text}\0" for text in texts).encode()
    except UnicodeEncodeError:
        raise given.error(ValueError, "the text is not to be had in UTF-8; give bytes") from None
    given.check_size(len(data))
    return NewTag(given.number, ASCII, len(data), data)


def _numbers(given: _Given, types: tuple[int, ...], value: Any) -> NDArray[Any]:
    """Return a flat array of numbers: of their dtype when NumPy has given them one, otherwise of Python's objects."""
    values = value if isinstance(value, list | tuple | np.ndarray) else [value]
    given.check_size(values.size if isinstance(values, np.ndarray) else len(values))
    if isinstance(values, np.ndarray):
        numbers = np.asarray(values).ravel()
    elif values and all(isinstance(number, np.generic) for number in values):
        numbers = np.array(values)
    else:
        numbers = np.fromiter(values, object, len(values))
    if not numbers.size:
        raise given.error(ValueError, "a tag has at least one value")
    if numbers.dtype == object:
        numbers = np.fromiter(map(_plain, numbers), object, numbers.size)
    known = None not in numbers if numbers.dtype == object else numbers.dtype.str[1:] in _TYPE_OF_DTYPE
    if not known or np.ma.is_masked(value):
        raise given.error(TypeError, f"{_names(types) or 'a tag'} takes {_taken(types)}")
    return numbers


def _plain(number: Any) -> Any:
    """Return a number as Python's own; None for what is no real number."""
    if isinstance(number, np.generic):
        number = number.item()
    return number if isinstance(number, float | Rational) and not isinstance(number, bool) else None


def _taken(types: tuple[int, ...]) -> str:
    """Say in Python's words what the types are for; without types, what tags are for."""
    taken = ["a str"] * (not types or ASCII in types)
    taken += ["bytes"] * (not types or any(kind in types for kind in _OF_BYTES))
    if types != (ASCII,):
        taken.append("a number or several: int, float, fractions.Fraction, NumPy's of up to 64 bits")
    return ", ".join(taken)


def _names(types: tuple[int, ...]) -> str:
    return " or ".join(TYPE_NAMES[kind] for kind in types)


def _packed(given: _Given, kind: int, numbers: NDArray[Any]) -> NewTag:
    given.check_size(packed_size(kind, numbers.size))
    try:
        return NewTag(given.number, kind, numbers.size, pack(kind, numbers))
    except (TypeError, ValueError) as error:
        raise given.error(type(error), str(error)) from None
