"""Jobs for many small files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

TOGETHER = 1000  # pages that are read at a time


def write(folder: Path, count: int, side: int = 64) -> None:
    """Write count files of one page of side x side uint16 each."""
    import tifffile  # noqa: PLC0415

    folder.mkdir()
    page = np.arange(side * side, dtype="u2").reshape(side, side)
    first = folder / "img_0.tif"
    tifffile.imwrite(first, page, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(first) as tif:
        start = tif.pages[0].dataoffsets[0]
    head = first.read_bytes()[:start]
    for number in range(count):
        pixels = (page * np.uint16(7 + number % 11) + np.uint16(number)) % np.uint16(65521)
        (folder / f"img_{number}.tif").write_bytes(head + pixels.tobytes())


def open_middle(folder: Path) -> Any:
    """Return the number of files and the middle page."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(str(folder / "*.tif")) as img:
        return len(img), img[len(img) // 2]


def open_middle_peer(folder: Path) -> Any:
    """Do as open_middle."""
    import tifffile  # noqa: PLC0415

    files = tifffile.TiffSequence(str(folder / "*.tif"))
    return len(files), tifffile.imread(files[len(files) // 2])


def maximum(folder: Path) -> Any:
    """Return the maximum of all pages."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(str(folder / "*.tif")) as img:
        parts = [img[begin : begin + TOGETHER].max(axis=0) for begin in range(0, len(img), TOGETHER)]
    return np.max(parts, axis=0)


def maximum_peer(folder: Path) -> Any:
    """Do as maximum."""
    import tifffile  # noqa: PLC0415

    found = None
    for path in tifffile.TiffSequence(str(folder / "*.tif")):
        page = tifffile.imread(path)
        found = page if found is None else np.maximum(found, page)
    return found
