"""What `print(writer)` shows, in the form of TiffImages.jl."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_UNITS = ("byte", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_bytes(size: int) -> str:
    """Return a number of bytes in words, as Julia's Base.format_bytes does: 1024 of a unit are not one of the next."""
    # base/util.jl, prettyprint_getunits. With floats, as there: just above a power of 1024 they do not see the step.
    unit = min(len(_UNITS), math.ceil(math.log(size) / math.log(1024))) if size > 1 else 1
    if unit == 1:
        return f"{size} byte{'' if size == 1 else 's'}"
    return f"{size / 1024 ** (unit - 1):.3f} {_UNITS[unit - 1]}"


def block(kind: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, state: str, size: int, addressable: int) -> str:
    """Return the lines that describe a writer, without a newline at the end.

    `kind` is the name of its type, `state` one of "writable", "readonly" and "closed", `size` that of the file, and
    `addressable` the greatest offset that the file can have: 2**32 - 1, or with BigTIFF 2**64 - 1.
    """
    sizes = "\N{MULTIPLICATION SIGN}".join(map(str, shape))
    return (
        f"{addressable.bit_length()}-bit {kind} {dtype} {sizes} ({state})\n"
        f"    Current file size on disk:   {format_bytes(size)}\n"
        f"    Addressable space remaining: {format_bytes(max(addressable - size, 0))}"
    )
