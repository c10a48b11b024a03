"""New files: `zeros`."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _binding, _shapes
from lazytiff._file import OpenFile
from lazytiff._mmap import MmapTiff
from lazytiff._style import KINDS, bigtiff_number, is_big_endian

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_PHOTOMETRIC = {None: -1, "minisblack": 1, "rgb": 2}


def zeros(
    path: str | bytes | os.PathLike[Any],
    shape: int | Iterable[int],
    dtype: DTypeLike,
    *,
    axes: str | None = None,
    bigtiff: bool | str = "auto",
    photometric: str | None = None,
    guard: bool = False,
) -> MmapTiff:
    """Make a TIFF file of that shape, whose pixels are 0 and have their disk space, and map it in mode "r+".

    The array can be pickled: many processes fill one file together.

    Parameters
    ----------
    path
        Of the new file, which appears when it is complete.
    shape
        (row, column), (page, row, column) or (page, row, column, sample).
    dtype
        Integers and floats of 1 to 8 bytes, complex64, complex128. The file gets the byte order of the dtype.
    axes
        One letter for each axis of shape, where it is another one: "YXS" is one page of several samples.
    bigtiff
        True, False, or "auto": where the file does not fit into the 4 GiB of classic TIFF.
    photometric
        "minisblack" or "rgb". None: "rgb" for uint8 with 3 or 4 samples, otherwise "minisblack".
    guard
        As for `lazytiff.open`.

    Raises
    ------
    FileExistsError
        There is such a file: `lazytiff.open(path, mmap=True, mode="r+")` opens it.
    OSError
        The disk is full, and so on; nothing is left behind.
    FileFullError
        With `bigtiff=False`: it does not fit into 4 GiB.
    LimitError
        There are more pages than `limits.max_pages`, or more bytes than any file can have.
    ValueError, TypeError
        No TIFF file has that shape or dtype.

    """
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError("embedded null byte in path")
    lengths = tuple(map(operator.index, shape)) if isinstance(shape, Iterable) else (operator.index(shape),)
    letters = _shapes.default_axes(lengths) if axes is None else axes
    members = _members(_shapes.sizes(lengths, letters), np.dtype(dtype))
    if photometric not in list(_PHOTOMETRIC):
        raise ValueError(f"photometric must be None, 'minisblack' or 'rgb', not {photometric!r}")
    members |= {"photometric": _PHOTOMETRIC[photometric], "bigtiff": bigtiff_number(bigtiff)}
    if photometric == "rgb" and members["samples"] < 3:  # noqa: PLR2004  # red, green, blue
        raise ValueError(f"rgb takes 3 samples or more, not {members['samples']}")
    try:
        _binding.create_zeros(os.fsencode(path), name, members)
    except FileExistsError as error:
        raise FileExistsError(
            error.errno, "there is such a file; lazytiff.open(path, mmap=True, mode='r+') opens it", error.filename
        ) from None
    return _open(path, squeeze="I" not in letters, guard=guard)


def _members(size: dict[str, int], dtype: np.dtype[Any]) -> dict[str, int]:
    """Return members of struct lzt_new_stack (csrc/lazytiff.h)."""
    _shapes.check_dtype(dtype)
    if dtype.kind == "b":
        raise TypeError(f"{dtype} is not stored in TIFF as it is in memory; integers, floats and complex numbers are")
    return {
        "pages": size.get("I", 1),
        "rows": size["Y"],
        "columns": size["X"],
        "samples": size.get("S", 1),
        "kind": KINDS[dtype.kind],
        "item_size": dtype.itemsize,
        "big_endian": int(is_big_endian(dtype)),
    }


def _open(path: Any, *, squeeze: bool, guard: bool) -> MmapTiff:
    file = OpenFile.open(path, None, 0, "default", "r+")
    try:
        return MmapTiff(file, np.arange(len(file.table)), squeeze=squeeze, mode="r+", guard=guard)
    except BaseException:
        file.source.close()
        raise
