"""`np.save` of arrays that are larger than memory."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from lazytiff import _blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lazytiff._array import BaseArray


def save_npy(file: Any, array: BaseArray) -> None:
    """Write an array as numpy.save does, in C order, a few blocks at a time.

    file: a path, to which ".npy" is added where it is missing, or a file object open for writing bytes. A path is
    that of the new array when all of it is written: NumPy computes before it opens the file, and what was there may be
    what is computed with, as a map.
    """
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    with nullcontext(file) if hasattr(file, "write") else _replaced(_named(file)) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for _, block in _blocks.each(array, lambda _, part: array._read([part])[0], "save", order="rows"):
            stream.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)  # of datetimes there is no buffer


@contextmanager
def _replaced(path: str) -> Iterator[IO[bytes]]:
    """Open a new file that takes a path's place at the end, or is gone when anything fails."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe
        with open(path, "wb") as stream:
            yield stream
        return
    part = f"{path}.{uuid.uuid4().hex[:8]}.part"
    try:
        with open(part, "xb") as stream:
            yield stream
        if os.path.exists(path):
            os.chmod(part, os.stat(path).st_mode)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise


def _named(file: Any) -> str:
    path = os.fsdecode(file)
    return path if path.endswith(".npy") else path + ".npy"
