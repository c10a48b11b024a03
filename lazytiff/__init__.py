"""TIFF stacks that are larger than memory, as arrays that look and behave like NumPy's.

`open` gives an array that decodes what is touched or, with `mmap=True`, one that is mapped into memory; `load` gives a
numpy.ndarray, `TiffFile` every page of a file with its tags; `zeros` makes a new file to be filled.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _binding, _codecs, errors
from lazytiff._array import TiffArray
from lazytiff._create import zeros
from lazytiff._file_array import TiffPage
from lazytiff._lazy import LazyTiff
from lazytiff._limits import limits
from lazytiff._mmap import MmapTiff
from lazytiff._open import TiffFile, load, open
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
    NotMappableError,
    NotTiffError,
    TiffError,
    TiffWarning,
    UnsupportedTiffError,
)

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Look up `__version__` when it is asked for: importlib.metadata takes as long to import as all the rest."""
        if name == "__version__":
            return _version()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415  # see __getattr__

    return version("lazytiff")


def info() -> dict[str, Any]:
    """Tell the versions of lazytiff, the libtiff in use and NumPy, and the codecs that this libtiff can decode."""
    return {
        "lazytiff": _version(),
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
    "FileFullError",
    "FrameTypeError",
    "LazyTiff",
    "LimitError",
    "LockedError",
    "MmapTiff",
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
    "zeros",
]
