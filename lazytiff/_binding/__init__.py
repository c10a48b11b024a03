"""The only room that imports the compiled module: handles of csrc/lazytiff.h as objects, statuses as exceptions.

A handle is freed once, by its owner's close(); afterwards it is NULL here, so that no freed memory can be reached.
Nothing here checks a shape or decides a policy.
"""

from lazytiff._binding._batch import JOB, WINDOW, Batch, Reader
from lazytiff._binding._map import Map, create_zeros
from lazytiff._binding._source import Source
from lazytiff._binding._table import EXTENT, Table, layout_members
from lazytiff._binding._writer import Parcel, Writer, form_of_page
from lazytiff._ffi import ffi, lib


def version() -> str:
    """Return the version of lazytiff, which pyproject.toml says."""
    text: str = ffi.string(lib.LAZYTIFF_VERSION).decode()
    return text


def libtiff_version() -> str:
    """Return the version of the libtiff in use."""
    text: str = ffi.string(lib.lzt_libtiff_version()).decode(errors="replace")
    return text.split(maxsplit=1)[0]


def codec_available(compression: int) -> bool:
    """Return whether the libtiff in use can decode this Compression."""
    return bool(lib.lzt_codec_available(compression))


def codec_encodes(compression: int) -> bool:
    """Return whether pages can be written with this Compression."""
    return bool(lib.lzt_codec_encodes(compression))


__all__ = [
    "EXTENT",
    "JOB",
    "WINDOW",
    "Batch",
    "Map",
    "Parcel",
    "Reader",
    "Source",
    "Table",
    "Writer",
    "codec_available",
    "codec_encodes",
    "create_zeros",
    "form_of_page",
    "layout_members",
    "libtiff_version",
    "version",
]
