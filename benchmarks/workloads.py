"""What is measured. A new workload is an entry of WORKLOADS: how its file is written and what each side does with it.

`ours` and `peer` run in processes of their own, so they import what they need. What they return must be equal. They get
the path, or what their `prepare_` made of it before the clock was started.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import files
import lazily
import many
import mapped
import writing

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Workload:
    """One job, done by lazytiff and by the library that it is compared with.

    Where the files of a workload are mapped, `repeat` also says which touch is measured: the operating system gives a
    process each part of a map when it is touched first, which counts when `repeat` is 1, and not otherwise.
    """

    name: str
    about: str
    file: str  # its name in the folder of the cache
    write: Callable[[Path], None]
    ours: Callable[[Any], Any]
    peer: Callable[[Any], Any]
    prepare_ours: Callable[[Path], Any] = Path
    prepare_peer: Callable[[Path], Any] = Path
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


def map_beside_numpy(
    name: str, about: str, job: Callable[[Any], Any], repeat: int = 5, faster: float | None = 0.9
) -> Workload:
    """Measure a job on mapped pixels beside numpy.memmap; both are open."""
    return Workload(
        name,
        f"{about}, 200 contiguous pages of 1024 x 1024 uint16, peer numpy.memmap, {touch(repeat)}",
        "microscope-none-200.tif",
        partial(files.microscope, compression=None, count=200),
        job,
        job,
        mapped.open_map,
        mapped.open_memmap,
        faster=faster,
        repeat=repeat,
    )


def trace_beside_pages(name: str, repeat: int, faster: float | None = None) -> Workload:
    """Measure a trace through many pages beside a loop over them; both are open, and all IFDs have been read."""
    return Workload(
        name,
        f"img[:, y, x] of 20,000 pages of 64 x 64 uint16, each behind its IFD, {touch(repeat)}",
        *INTERLEAVED,
        mapped.trace,
        mapped.trace_peer,
        mapped.open_map,
        mapped.open_pages,
        faster=faster,
        repeat=repeat,
    )


def append_small(
    name: str, about: str, count: int, peer: Callable[[Any], Any], faster: float, *, timed: bool
) -> Workload:
    """Measure how fast small pages are appended."""
    prepare = partial(writing.small, count=count)
    return Workload(
        name,
        about,
        "pages-100000.tif",
        partial(files.many_pages, count=100_000, side=16),
        partial(writing.append, timed=timed),
        peer,
        prepare,
        prepare,
        faster=faster,
    )


def append_encoded(codec: str, job: Callable[..., Any], *, predictor: bool) -> Workload:
    """Measure how fast pages are encoded and appended, both sides at their defaults."""
    stored = codec + ("-predictor" if predictor else "")
    return Workload(
        f"{job.__name__}-{stored}",
        f"{job.__name__} 50 pages of 1024 x 1024 microscope-like uint16, {stored}, defaults of both sides",
        "microscope-none.tif",
        partial(files.microscope, compression=None),
        partial(job, compression=codec, predictor=predictor),
        partial(writing.append_peer, compression=codec, predictor=predictor),
        writing.microscope,
        writing.microscope,
        faster=1.5,
    )


def reduce(name: str, about: str, ours: Callable[[Path], Any], peer: Callable[[Path], Any], faster: float) -> Workload:
    """Measure a reduction beside a loop over the pages, both at their defaults."""
    return Workload(
        name,
        f"{about} of 200 pages of 1024 x 1024 microscope-like uint16, Deflate with predictor; peer: page by page",
        "microscope-deflate-predictor-200.tif",
        partial(files.microscope, compression="deflate", predictor=True, count=200),
        ours,
        peer,
        faster=faster,
        megabytes=110,
    )


def touch(repeat: int) -> str:
    """Say which touch of the pixels is measured."""
    return "first touch" if repeat == 1 else f"touched before: best of {repeat}"


INTERLEAVED = (
    "pages-20000-uint16.tif",
    partial(files.many_pages, count=20_000, side=64, dtype="<u2"),
)

FILES = ("files-50000", partial(many.write, count=50_000))

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
    map_beside_numpy("mapped-max", "np.asarray(img).max(axis=0)", mapped.maximum),
    map_beside_numpy("mapped-pages", "img[k].sum() for all k", mapped.page_sums),
    map_beside_numpy("mapped-trace", "img[:, y, x].sum() at 200 places", mapped.trace_sums),
    # How long a first touch takes depends on how the page cache holds the file, so it is told but has no target.
    map_beside_numpy(
        "mapped-trace-first", "img[:, y, x].sum() at 200 places", mapped.trace_sums, repeat=1, faster=None
    ),
    trace_beside_pages("trace-20k", repeat=5, faster=500),
    trace_beside_pages("trace-20k-first", repeat=1),
    Workload(
        "view-20k",
        "open and view all of 20,000 pages, no pixel being read, beside opening and img[:, y, x] page by page",
        *INTERLEAVED,
        mapped.view,
        mapped.view_peer,
        faster=50,
    ),
    Workload(
        "files-open",
        "number and middle page of 50,000 files of one page of 64 x 64 uint16",
        *FILES,
        many.open_middle,
        many.open_middle_peer,
    ),
    Workload("files-max", "the maximum of all pages of these files", *FILES, many.maximum, many.maximum_peer),
    reduce("project-max", "maximum projection", lazily.maximum, lazily.maximum_peer, 2.5),
    Workload(
        "project-max-2000",
        "maximum projection of ten times as many pages, 2,000: the memory is the same",
        "microscope-deflate-predictor-2000.tif",
        partial(files.microscope, compression="deflate", predictor=True, count=200, rounds=10),
        lazily.maximum,
        lazily.maximum_peer,
        faster=2.5,
        megabytes=110,
    ),
    reduce("project-std", "standard deviation along the pages", lazily.deviation, lazily.deviation_peer, 2.5),
    reduce("scaled-max", "maximum of a view in float32", lazily.scaled, lazily.scaled_peer, 2),
    append_small(
        "append-small",
        "append 20,000 pages of 64 x 64 uint8, each behind its IFD",
        20_000,
        partial(writing.append_peer, timed=True),
        8,
        timed=True,
    ),
    append_small(
        "append-flat",
        "append 200,000 pages of 64 x 64 uint8 to one file; peer: to ten files, one after the other",
        200_000,
        writing.in_parts,
        0.9,
        timed=False,
    ),
    Workload(
        "append-large",
        "append 48 pages of 2048 x 2048 uint16; peer: os.write of the same bytes",
        "pages-100000.tif",
        partial(files.many_pages, count=100_000, side=16),
        writing.append,
        writing.bare,
        writing.large,
        writing.large,
        faster=0.9,
    ),
    *(
        append_encoded(codec, job, predictor=predictor)
        for codec in ("deflate", "zstd")
        for predictor in (False, True)
        for job in (writing.append, writing.extend)
    ),
    Workload(
        "reopen-100k",
        "open a file of 100,000 pages and append one",
        "pages-100000.tif",
        partial(files.many_pages, count=100_000, side=16),
        writing.go_on,
        writing.go_on_peer,
        writing.copy,
        writing.copy,
        faster=60,
    ),
]
