"""Jobs for mapped files: what is done with an open array, and how each side opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

PLACES = np.random.default_rng(20240301).integers(0, 1024, (200, 2)).tolist()
ROW, COLUMN = 31, 17  # of a trace through all pages


def open_map(path: Path) -> Any:
    """Open a mapped array."""
    import lazytiff  # noqa: PLC0415

    return lazytiff.open(path, mmap=True)


def open_memmap(path: Path) -> Any:
    """Map the same pixels of a contiguous file with NumPy alone."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(path) as tif:
        pages = tif.series[0]
        return np.memmap(path, pages.dtype, "r", pages.dataoffset, pages.shape)


def open_pages(path: Path) -> Any:
    """Open the pages, all of whose IFDs have been read, as those of a mapped array have."""
    import tifffile  # noqa: PLC0415

    return list(tifffile.TiffFile(path).pages)


def maximum(img: Any) -> Any:
    """Return the maximum of all pages."""
    return np.asarray(img).max(axis=0)


def page_sums(img: Any) -> Any:
    """Return the sum of each page, one index each."""
    return np.array([img[page].sum() for page in range(len(img))])


def trace_sums(img: Any) -> Any:
    """Return the sums along the page axis at some places, one index each."""
    return np.array([img[:, row, column].sum() for row, column in PLACES])


def trace(img: Any) -> Any:
    """Return one pixel of each page, read into memory."""
    return img[:, ROW, COLUMN].copy()


def trace_peer(pages: Any) -> Any:
    """Do as trace, page by page."""
    return np.array([page.asarray()[ROW, COLUMN] for page in pages])


def view(path: Path) -> Any:
    """Open the file and return a trace from one view of all its pixels, which is read when results are compared."""
    return np.asarray(open_map(path))[:, ROW, COLUMN]


def view_peer(path: Path) -> Any:
    """Return the trace, page by page: no view of these pages is to be had."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(path) as tif:
        return trace_peer(tif.pages)
