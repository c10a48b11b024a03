"""Statuses of csrc/lazytiff.h as exceptions."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from lazytiff import errors
from lazytiff._ffi import ffi, lib

ERRORS = {
    getattr(lib, error.status): error
    for error in (
        errors.NotTiffError,
        errors.CorruptTiffError,
        errors.DecodeError,
        errors.UnsupportedTiffError,
        errors.LimitError,
        errors.FileChangedError,
        errors.NotMappableError,
        errors.LockedError,
        errors.FileFullError,
    )
}


def fail(error: Any, name: str) -> NoReturn:
    """Raise what error says of the file called name."""
    text = ffi.string(error.text).decode(errors="replace")
    page = None if error.page < 0 else error.page
    chunk = None if error.chunk < 0 else error.chunk
    where = name + ("" if page is None else f": page {page}") + ("" if chunk is None else f", chunk {chunk}")
    if error.status == lib.LZT_SYSTEM:
        raise OSError(error.os_errno, os.strerror(error.os_errno), name)
    if error.status == lib.LZT_NO_MEMORY:
        raise MemoryError(f"{where}: {text}")
    kind = ERRORS.get(error.status)
    if kind is errors.DecodeError:
        raise errors.DecodeError(f"{where}: {text}", page, chunk)
    if kind is None:
        raise RuntimeError(f"{where}: {text} (status {error.status}; please report this)")
    raise kind(f"{where}: {text}")
