"""Which files a list of paths, or a pattern, stands for, and in which order."""

from __future__ import annotations

import errno
import glob
import os
import re
from typing import Any

from lazytiff._source import path_of

_PATTERN = re.compile(r"[*?[]")
_NUMBER = re.compile(r"(\d+)")


def paths_of(file: Any) -> list[str] | None:
    """Return the absolute paths that a sequence of paths, or a pattern, stands for; None for anything else.

    A pattern is a str, bytes or PathLike with *, ? or [ in it that is no file itself; its files come in natural order,
    in which numbers count: img_2.tif before img_10.tif. Raises FileNotFoundError when there is none, TypeError for what
    is no path, ValueError for an empty sequence.
    """
    if isinstance(file, list | tuple):
        if not file:
            raise ValueError("at least one path is needed")
        return [_absolute(path) for path in file]
    pattern = pattern_of(file)
    if pattern is None:
        return None
    found = sorted(glob.glob(pattern, recursive=True), key=natural)
    if not found:
        raise FileNotFoundError(errno.ENOENT, "no file has a name like this", pattern)
    return found


def _absolute(path: Any) -> str:
    found = path_of(path)
    if found is None:
        raise TypeError(f"a sequence of paths is needed; arrays at hand are for lazytiff.concatenate: {path!r:.80}")
    return found


def pattern_of(file: Any) -> str | None:
    """Return the pattern that a path is, as an absolute one; None for one that is a file, or no pattern."""
    if not isinstance(file, str | bytes | os.PathLike) or (isinstance(file, bytes) and b"\0" in file):
        return None
    pattern = os.fsdecode(file)
    if not _PATTERN.search(pattern) or os.path.lexists(_absolute(file)):
        return None
    if os.path.isabs(pattern):
        return pattern
    return os.path.join(glob.escape(os.getcwd()), pattern)  # the names of the folders that we are in are no patterns


def natural(path: str) -> tuple[list[Any], str]:
    """Return what sorts paths so that numbers in them count."""
    return [int(part) if part.isdecimal() else part for part in _NUMBER.split(path)], path
