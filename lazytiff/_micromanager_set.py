"""Micro-Manager's stacks: one file, or parts of a common prefix (`run_MMStack.ome.tif`, `run_MMStack_1.ome.tif`)."""

from __future__ import annotations

import glob
import os
from functools import partial
from typing import TYPE_CHECKING

from lazytiff import _micromanager
from lazytiff._file import OpenFile
from lazytiff._many import MultiTiff
from lazytiff._paths import natural
from lazytiff._placed import Placed, alone, once
from lazytiff.errors import TiffError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lazytiff._micromanager import MicroManager

_MARK = "_MMStack"


def place(file: OpenFile) -> Placed | None:
    """Find the planes of a file, or of the set that it belongs to; None when it is not Micro-Manager's."""
    own = _read(file)
    dimensions = None if own is None else own.dimensions(file.table.ifds())
    if own is None or dimensions is None:
        return None
    has_all = dimensions.planes is not None and bool((dimensions.planes >= 0).all())
    parts = [] if has_all else _parts(file, own)
    found = [(path, part) for path in parts if (part := _look_into(path)) is not None]
    if len(found) <= 1:
        return alone(file, dimensions)
    paths, counts = [path for path, _ in found], [len(ifds) for _, (_, ifds) in found]
    return Placed(
        _micromanager.merged([part for _, part in found]) or dimensions,
        partial(_why_missing, len(paths)),
        open_base=once(file, lambda: MultiTiff(paths, counts=counts, is_set=True, **file.settings)),
    )


def _why_missing(files: int, _plane: int) -> str:
    return f"none of the {files} files of the set has it"


def _read(file: OpenFile) -> MicroManager | None:
    with file.source as source:
        return _micromanager.read(source.handle.read, file.table.file_size, big_endian=file.table.big_endian)


def _parts(file: OpenFile, own: MicroManager) -> list[str]:
    """Return the paths of all parts, in the order of their numbers."""
    if file.source.path is None:
        return []
    folder, name = os.path.split(file.source.path)
    if _MARK not in name:
        return []
    prefix = own.summary.get("Prefix")
    if not (isinstance(prefix, str) and prefix and name.startswith(prefix)):
        prefix = name.split(_MARK)[0]
    return sorted(glob.glob(os.path.join(glob.escape(folder), glob.escape(prefix) + _MARK + "*.tif*")), key=natural)


def _look_into(path: str) -> tuple[MicroManager, NDArray[np.uint64]] | None:
    """Read a part's index map, and where its IFDs are; None when it has no pages (yet), or is no part."""
    try:
        file = OpenFile.open(path, 1, 0, "default")
    except (OSError, TiffError):
        return None
    try:
        found = _read(file)
        return None if found is None or not len(file.table) else (found, file.table.ifds())
    finally:
        file.source.close()
