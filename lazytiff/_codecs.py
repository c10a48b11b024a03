"""Compression schemes by name, and which of them are used when nobody says."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from lazytiff import _binding
from lazytiff.errors import UnsupportedTiffError

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBERS = {
    "none": (1,),
    "ccitt-rle": (2, 32771),
    "ccitt-g3": (3,),
    "ccitt-g4": (4,),
    "lzw": (5,),
    "jpeg": (7,),
    "deflate": (8, 32946),
    "packbits": (32773,),
    "jbig": (34661,),
    "lerc": (34887,),
    "lzma": (34925,),
    "zstd": (50000,),
    "webp": (50001,),
    "old-jpeg": (6,),
    "next": (32766,),
    "thunderscan": (32809,),
    "pixarlog": (32909,),
    "sgilog": (34676, 34677),
}
"""Values of the Compression tag for each name (TIFF 6.0 and libtiff's tiff.h)."""

LEGACY = ("old-jpeg", "next", "thunderscan", "pixarlog", "sgilog")
"""Read only when asked for: few files use them, and few people look for faults in their decoders."""

_NAMES = {number: name for name, numbers in NUMBERS.items() for number in numbers}


def name_of(compression: int) -> str:
    """Return the name of a Compression value, or the value itself as text."""
    return _NAMES.get(compression, str(compression))


@lru_cache(maxsize=64)
def numbers_of(codecs: str | tuple[str, ...]) -> tuple[int, ...]:
    """Return the Compression values that "default", "all", a name or several names stand for."""
    names = (codecs,) if isinstance(codecs, str) else codecs
    return tuple(number for name in names for number in _numbers(name))


def _numbers(name: str) -> Iterable[int]:
    if name in ("default", "all"):
        return [number for each in NUMBERS if name == "all" or each not in LEGACY for number in NUMBERS[each]]
    try:
        return NUMBERS[name]
    except KeyError:
        raise ValueError(f"there is no codec {name!r}; there are: default, all, {', '.join(NUMBERS)}") from None


def writable(name: str) -> int:
    """Return the Compression value of a codec that pages can be written with."""
    if not isinstance(name, str) or name not in NUMBERS:
        raise ValueError(f"there is no compression {name!r}; there are: {', '.join(all_writable())}")
    if not _binding.codec_encodes(NUMBERS[name][0]):
        raise UnsupportedTiffError(f"{name} cannot be written here; what can is: {', '.join(all_writable())}")
    return NUMBERS[name][0]


def all_writable() -> list[str]:
    """Return the names of the codecs that pages can be written with."""
    return [name for name in NUMBERS if _binding.codec_encodes(NUMBERS[name][0])]


def available() -> list[str]:
    """Return the names of the codecs that the libtiff in use can decode."""
    return [name for name, numbers in NUMBERS.items() if all(map(_binding.codec_available, numbers))]
