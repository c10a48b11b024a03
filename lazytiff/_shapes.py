"""Which arrays are stacks of pages: shapes, axes and dtypes that TIFF files have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazytiff._limits import limits
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    import numpy as np

_AXES = {2: "YX", 3: "IYX", 4: "IYXS"}
_SIZES = {"b": (1,), "u": (1, 2, 4, 8), "i": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}  # bytes of a sample


def default_axes(shape: tuple[int, ...]) -> str:
    """Return the axes that a shape has when nobody says otherwise; none at all when no file has so many."""
    return _AXES.get(len(shape), "")


def sizes(shape: tuple[int, ...], axes: str) -> dict[str, int]:
    """Return the size of each axis: I page, Y row, X column, S sample. Raise ValueError when no file has that shape."""
    if axes not in ("YX", "YXS", "IYX", "IYXS") or len(axes) != len(shape):
        raise ValueError(
            f"shape {shape} with axes {axes!r}: axes are (row, column), (page, row, column) or (page, row, column, "
            "sample); one page of several samples takes axes='YXS'"
        )
    size = dict(zip(axes, shape, strict=True))
    if min(shape) < 1:
        raise ValueError(f"shape {shape}: a TIFF file has at least one page, and its pages at least one pixel")
    if size.get("S") == 1:
        raise ValueError(f"shape {shape}: in TIFF a single sample is no axis; leave it out")
    if max(size["Y"], size["X"]) >= 1 << 32 or size.get("S", 1) >= 1 << 16:
        raise ValueError(f"shape {shape}: TIFF has pages of up to 2^32 - 1 rows and columns and 65,535 samples")
    if size.get("I", 1) > limits.max_pages:
        raise LimitError(f"shape {shape}: lazytiff.limits.max_pages is {limits.max_pages}")
    return size


def check_page(shape: tuple[int, ...]) -> None:
    """Raise ValueError when no page has that shape: (row, column[, sample])."""
    if len(shape) not in (2, 3):
        raise ValueError(
            f"shape {shape}: a page is (row, column) or (row, column, sample); extend(pages) appends several"
        )
    sizes(shape, "YX" if len(shape) == 2 else "YXS")  # noqa: PLR2004


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Raise TypeError when TIFF has no samples of that type, in whatever byte order."""
    if dtype.itemsize not in _SIZES.get(dtype.kind, ()):
        raise TypeError(f"TIFF has no samples of dtype {dtype}; it has bool, integers, floats and complex numbers")
