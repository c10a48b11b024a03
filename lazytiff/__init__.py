"""TIFF stacks that are larger than memory, as arrays that look and behave like NumPy's.

`open` gives an array that decodes what is touched, `load` a numpy.ndarray, `TiffFile` every page of a file with its
tags.
"""

from importlib.metadata import version as _version
from typing import Any

import numpy as np

from lazytiff import _binding, _codecs, errors
from lazytiff._array import TiffArray
from lazytiff._file import TiffFile
from lazytiff._lazy import LazyTiff, TiffPage
from lazytiff._limits import limits
from lazytiff._open import load, open
from lazytiff.errors import (
    ClosedError,
    CorruptTiffError,
    DecodeError,
    EmptyStackError,
    FileChangedError,
    FrameTypeError,
    LimitError,
    NotMappableError,
    NotTiffError,
    TiffError,
    TiffWarning,
    UnsupportedTiffError,
)

__version__ = _version("lazytiff")


def info() -> dict[str, Any]:
    """Tell the versions of lazytiff, the libtiff in use and NumPy, and the codecs that this libtiff can decode."""
    return {
        "lazytiff": __version__,
        "libtiff": _binding.libtiff_version(),
        "numpy": np.__version__,
        "codecs": _codecs.available(),
    }


__all__ = [
    "ClosedError",
    "CorruptTiffError",
    "DecodeError",
    "EmptyStackError",
    "FileChangedError",
    "FrameTypeError",
    "LazyTiff",
    "LimitError",
    "NotMappableError",
    "NotTiffError",
    "TiffArray",
    "TiffError",
    "TiffFile",
    "TiffPage",
    "TiffWarning",
    "UnsupportedTiffError",
    "errors",
    "info",
    "limits",
    "load",
    "open",
]
