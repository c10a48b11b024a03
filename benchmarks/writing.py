"""Jobs that write: pages are in memory before the clock starts, and what is written is read to compare results."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[Any]

SMALL = (64, 64)
LARGE = (2048, 2048)


class Job(NamedTuple):
    """Pages to be written, and a name for the new file."""

    pages: Iterable[Pixels]
    path: Path


class Written:
    """A file that was written; its repr, which comparing asks for, reads the pixels and removes it."""

    def __init__(self, *paths: Path, times: list[float] | None = None, raw: tuple[int, ...] = ()) -> None:
        self._paths = paths
        self._raw = raw
        self.note = "" if times is None else describe(times)

    def __repr__(self) -> str:
        import tifffile  # noqa: PLC0415  # the same reader for both sides

        total = size = 0
        for path in self._paths:
            pages = (
                np.fromfile(path, "u2") if self._raw else np.stack([p.asarray() for p in tifffile.TiffFile(path).pages])
            )
            total += int(pages.sum(dtype=np.uint64))
            size += pages.size
            path.unlink()
        return f"{size} pixels, {total} together"


def describe(times: list[float]) -> str:
    """Tell how long single appends took."""
    half, most, all_but_few = np.percentile(np.diff(times), [50, 99, 99.9]) * 1e6
    return f"an append: median {half:.1f} us, 99 % below {most:.1f} us, 99.9 % below {all_but_few:.1f} us"


def small(path: Path, count: int) -> Job:
    """Have count small pages, all the same."""
    page = (np.arange(SMALL[0] * SMALL[1]) % 251).astype(np.uint8).reshape(SMALL)
    return Job([page] * count, new_path(path))


def large(path: Path) -> Job:
    """Have 2048 x 2048 uint16."""
    page = np.random.default_rng(20240302).integers(0, 1 << 16, LARGE).astype(np.uint16)
    return Job([page] * 48, new_path(path))


def microscope(path: Path) -> Job:
    """Have the pages of a file."""
    import tifffile  # noqa: PLC0415

    return Job(list(tifffile.imread(path)), new_path(path))


def copy(path: Path) -> Job:
    """Have a copy of a file of many small pages, to which one is appended."""
    job = Job([np.zeros((16, 16), np.uint8)], new_path(path))
    shutil.copy(path, job.path)
    return job


def new_path(path: Path) -> Path:
    """Return the name of a file that is not there, beside another one."""
    return path.with_name(f"written-{os.getpid()}.tif")


def append(job: Job, *, timed: bool = False, **options: Any) -> Written:
    """Append page after page."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.empty(job.path, job.pages[0].dtype, **options) as out:  # type: ignore[index]
        return Written(job.path, times=write_each(out.append, job.pages, timed=timed))


def write_each(write: Callable[[Pixels], Any], pages: Iterable[Pixels], *, timed: bool) -> list[float] | None:
    """Write page after page; if timed, return the time after each."""
    times = []
    for page in pages:
        write(page)
        if timed:
            times.append(time.perf_counter())
    return times or None


def extend(job: Job, **options: Any) -> Written:
    """Append all pages by one call."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.empty(job.path, job.pages[0].dtype, **options) as out:  # type: ignore[index]
        out.extend(iter(job.pages))
    return Written(job.path)


def append_peer(job: Job, *, timed: bool = False, **options: Any) -> Written:
    """Write page after page, each with its IFD, as tifffile does it for whoever wants to have the pages so far."""
    import tifffile  # noqa: PLC0415

    with tifffile.TiffWriter(job.path) as out:
        times = write_each(lambda page: out.write(page, contiguous=False, **options), job.pages, timed=timed)
    return Written(job.path, times=times)


def in_parts(job: Job) -> Written:
    """Append the same pages to ten files."""
    import lazytiff  # noqa: PLC0415

    pages = list(job.pages)
    each = len(pages) // 10
    paths = [job.path.with_suffix(f".{part}.tif") for part in range(10)]
    for part, path in enumerate(paths):
        with lazytiff.empty(path, pages[0].dtype) as out:
            write_each(out.append, pages[part * each : part * each + each], timed=False)
    return Written(*paths)


def bare(job: Job) -> Written:
    """Write the bytes and nothing else."""
    descriptor = os.open(job.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    for page in job.pages:
        os.write(descriptor, page)
    os.close(descriptor)
    return Written(job.path, raw=LARGE)


def go_on(job: Job) -> Written:
    """Open a file and append one page."""
    import lazytiff  # noqa: PLC0415

    with lazytiff.open(job.path, "a") as out:
        write_each(out.append, job.pages, timed=False)
    return Written(job.path)


def go_on_peer(job: Job) -> Written:
    """Do as go_on."""
    import tifffile  # noqa: PLC0415

    for page in job.pages:
        tifffile.imwrite(job.path, page, append=True)
    return Written(job.path)
