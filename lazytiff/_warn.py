"""Warnings that point at the line of the user's program."""

from __future__ import annotations

import os
import sys
import warnings

from lazytiff.errors import TiffWarning

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def warn(text: str, category: type[Warning] = TiffWarning) -> None:
    """Warn at the nearest line outside of lazytiff."""
    level, frame = 1, sys._getframe(0)  # noqa: SLF001  # warnings.warn has skip_file_prefixes only from Python 3.12 on
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
