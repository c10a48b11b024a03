"""Jobs for arrays that are reduced without being in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def maximum(path: Path) -> Any:
    """Return the maximum projection."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(path) as img:
        return img.max(axis=0)


def maximum_peer(path: Path) -> Any:
    """Do as maximum."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(path) as tif:
        found = tif.pages[0].asarray()
        for page in tif.pages[1:]:
            np.maximum(found, page.asarray(), out=found)
    return found


def deviation(path: Path) -> Any:
    """Return the standard deviation of each pixel, rounded as far as its value depends on the way it is computed."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(path) as img:
        return img.std(axis=0).astype("f4")


def deviation_peer(path: Path) -> Any:
    """Do as deviation, in one pass too: the sums of values and of squares, exactly."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(path) as tif:
        count = len(tif.pages)
        sums = np.zeros(tif.pages[0].shape, np.uint64)
        squares = sums.copy()
        for page in tif.pages:
            pixels = page.asarray().astype(np.uint64)
            sums += pixels
            squares += pixels * pixels
    return np.sqrt((squares * np.uint64(count) - sums * sums) / count**2).astype("f4")


def scaled(path: Path) -> Any:
    """Return the largest of all pixels less a background, divided by a flat field."""
    import lazytiff  # noqa: PLC0415

    flat = np.linspace(0.5, 1.5, 1024, dtype="f4")
    with lazytiff.open(path) as img:
        return ((img - np.float32(100)) / flat).max()


def scaled_peer(path: Path) -> Any:
    """Do as scaled."""
    import tifffile  # noqa: PLC0415

    flat = np.linspace(0.5, 1.5, 1024, dtype="f4")
    with tifffile.TiffFile(path) as tif:
        return max(((page.asarray() - np.float32(100)) / flat).max() for page in tif.pages)
