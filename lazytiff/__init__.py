"""TIFF stacks that are larger than memory, as arrays that look and behave like NumPy's.

`open` gives an array that decodes what is touched or, with `mmap=True`, one that is mapped into memory; `load` gives a
numpy.ndarray, `TiffFile` every page of a file with its tags; `follow` the pages of a file that grows. `empty` makes a
file that grows page by page, `save` one of an array, `zeros` one to be filled.
"""

from typing import Any

import numpy as np

from lazytiff import _binding, _codecs, errors
from lazytiff._append import AppendTiff
from lazytiff._concatenate import concatenate, stack
from lazytiff._create import zeros
from lazytiff._file_array import TiffPage
from lazytiff._follow import follow
from lazytiff._grow import empty, save
from lazytiff._hyperstack import HyperStack
from lazytiff._lazy import LazyTiff
from lazytiff._limits import limits
from lazytiff._making import map_arrays as map
from lazytiff._many import MultiTiff
from lazytiff._mmap import MmapTiff
from lazytiff._open import load, open
from lazytiff._progress import progress
from lazytiff._tiff_array import TiffArray
from lazytiff._tiff_file import TiffFile
from lazytiff._views import TiffView
from lazytiff.errors import (
    ClosedError,
    CorruptTiffError,
    DecodeError,
    EmptyStackError,
    FileChangedError,
    FileFullError,
    FrameTypeError,
    LimitError,
    LockedError,
    MissingPlaneError,
    NotMappableError,
    NotTiffError,
    TiffError,
    TiffWarning,
    UnsupportedTiffError,
)

__version__ = _binding.version()


def info() -> dict[str, Any]:
    """Tell the versions of lazytiff, the libtiff in use and NumPy, and the codecs that can be decoded and written."""
    return {
        "lazytiff": __version__,
        "libtiff": _binding.libtiff_version(),
        "numpy": np.__version__,
        "codecs": _codecs.available(),
        "writes": _codecs.all_writable(),
    }


__all__ = [
    "AppendTiff",
    "ClosedError",
    "CorruptTiffError",
    "DecodeError",
    "EmptyStackError",
    "FileChangedError",
    "FileFullError",
    "FrameTypeError",
    "HyperStack",
    "LazyTiff",
    "LimitError",
    "LockedError",
    "MissingPlaneError",
    "MmapTiff",
    "MultiTiff",
    "NotMappableError",
    "NotTiffError",
    "TiffArray",
    "TiffError",
    "TiffFile",
    "TiffPage",
    "TiffView",
    "TiffWarning",
    "UnsupportedTiffError",
    "concatenate",
    "empty",
    "errors",
    "follow",
    "info",
    "limits",
    "load",
    "map",
    "open",
    "progress",
    "save",
    "stack",
    "zeros",
]
