"""What is measured. A new workload is an entry of WORKLOADS: how its file is written and what each side does with it.

`ours` and `peer` run in processes of their own, so they import what they need. What they return must be equal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Workload:
    """One job, done by lazytiff and by the library that it is compared with."""

    name: str
    about: str
    file: str  # its name in the folder of the cache
    write: Callable[[Path], None]
    ours: Callable[[Path], Any]
    peer: Callable[[Path], Any]
    faster: float | None = None  # target: how many times as fast as the peer, or more
    megabytes: float | None = None  # target: by how much it raises the peak memory of a process, or less
    repeat: int = 1  # runs in one process, of which the fastest counts


def open_middle(path: Path) -> Any:
    """Return the shape and the middle page."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(path) as img:
        return img.shape, img[len(img) // 2]


def open_middle_peer(path: Path) -> Any:
    """Do as open_middle."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(path) as tif:
        return tif.series[0].shape, tif.pages[len(tif.pages) // 2].asarray()


def last_page(path: Path) -> Any:
    """Return the number of pages and the last of them."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(path) as img:
        return len(img), img[-1]


def last_page_peer(path: Path) -> Any:
    """Do as last_page."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(path) as tif:
        return len(tif.pages), tif.pages[-1].asarray()


def load(path: Path, workers: int) -> Any:
    """Return all pixels."""
    import lazytiff  # noqa: PLC0415

    return lazytiff.load(path, workers=workers)


def load_peer(path: Path, workers: int) -> Any:
    """Do as load."""
    import tifffile  # noqa: PLC0415

    return tifffile.imread(path, maxworkers=workers)


def decode(codec: str | None, *, predictor: bool, every_cpu: bool) -> Workload:
    """Measure how fast one codec is decoded."""
    workers = (os.cpu_count() or 1) if every_cpu else 1
    stored = (codec or "none") + ("-predictor" if predictor else "")
    return Workload(
        f"decode-{stored}-{'all' if every_cpu else '1'}",
        f"105 MB of microscope-like uint16, {stored}, {workers} worker{'s' * (workers > 1)}",
        f"microscope-{stored}.tif",
        partial(files.microscope, compression=codec, predictor=predictor),
        partial(load, workers=workers),
        partial(load_peer, workers=workers),
        repeat=3,
    )


WORKLOADS = [
    Workload(
        "open-100k",
        "shape and middle page of 100,000 pages of 16 x 16, each behind its IFD",
        "pages-100000.tif",
        partial(files.many_pages, count=100_000, side=16),
        open_middle,
        open_middle_peer,
        faster=50,
        megabytes=16,
    ),
    Workload(
        "open-30k-apart",
        "shape and middle page of 30,000 pages that lie 128 KiB apart",
        "pages-30000-apart.tif",
        partial(files.many_pages, count=30_000, side=16, gap=128 << 10),
        open_middle,
        open_middle_peer,
    ),
    Workload(
        "last-of-1100k",
        "number of pages, and the last page, of 1,100,000 pages of 8 x 8",
        "pages-1100000.tif",
        partial(files.many_pages, count=1_100_000, side=8),
        last_page,
        last_page_peer,
        faster=3,
        megabytes=96,
    ),
    *(
        decode(codec, predictor=predictor, every_cpu=every_cpu)
        for codec, predictor in [
            (None, False),
            ("lzw", False),
            ("lzw", True),
            ("deflate", False),
            ("deflate", True),
            ("zstd", False),
            ("zstd", True),
        ]
        for every_cpu in (False, True)
    ),
]
