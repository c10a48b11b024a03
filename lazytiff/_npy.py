"""`np.save` of arrays that are larger than memory."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _blocks

if TYPE_CHECKING:
    from lazytiff._array import BaseArray


def save_npy(file: Any, array: BaseArray) -> None:
    """Write an array as numpy.save does, in C order, a few blocks at a time.

    file: a path, to which ".npy" is added where it is missing, or a file object open for writing bytes.
    """
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    with nullcontext(file) if hasattr(file, "write") else open(_named(file), "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for _, block in _blocks.each(array, lambda _, part: array._read([part])[0], "save", order="rows"):
            stream.write(np.ascontiguousarray(block).data)


def _named(file: Any) -> str:
    path = os.fsdecode(file)
    return path if path.endswith(".npy") else path + ".npy"
