"""A program that appends is killed at a moment drawn by lot, thousands of times: its file has all that it acknowledged.

A child process appends; memory that it shares with its parent says what is acknowledged and whether it is inside of a
call, also after its end. The next child goes on with the same file, or makes another one.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from recording import Unavailable, with_path
from stamped import CHANNELS, TAG, Style
from verdict import Damaged, RealFile, check

import lazytiff

if TYPE_CHECKING:
    from typing import NoReturn

LEAST = 20  # pages that are acknowledged before a kill
LATEST = 0.004  # seconds after these
PATIENCE = 60.0  # seconds for them
MOST_PAGES = 300  # then the next file begins
MOST_BYTES = 300_000  # of a page
EXTENDED = 12  # pages in a call of extend
BORDER = 1 << 32
LIBTIFF = shutil.which("tiffinfo")
EXPECTED = f"Warning, Unknown field with tag {TAG} "  # of tiffinfo: it knows no private tags


class Cycles:
    """One process after the other, each killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed, self.rng = folder, seed, random.Random(seed)
        self.shared = mmap.mmap(-1, mmap.PAGESIZE)
        self.words = memoryview(self.shared).cast("Q")  # 1: inside of a call; pages acknowledged; pages begun
        self.count: Counter[str] = Counter()
        self.path = folder / "none.tif"
        self.pages = 0

    def cycle(self, number: int) -> None:
        """Let a process append, kill it, and look at what it left behind."""
        if self.pages == 0 or self.pages > MOST_PAGES or self.rng.random() < 0.15:
            self._begin(number)
        before = self.pages
        acknowledged, begun = self._kill()
        try:
            self.pages = self._check(acknowledged, begun)
        except Exception as error:
            about = f"seed {self.seed}, cycle {number}: {self.path.name}, {self.style}"
            raise AssertionError(f"{about}: {error}") from error
        self.count["cycles"] += 1
        self.count["pages acknowledged"] += acknowledged - before
        self.count["pages there that were not"] += self.pages - acknowledged

    def _begin(self, number: int) -> None:
        """Make a new file; sometimes it is about to outgrow 4 GiB."""
        self.path.unlink(missing_ok=True)
        self.path, self.pages = self.folder / f"{number}.tif", 0
        self.style = Style.draw(self.rng, MOST_BYTES)
        if self.style.bigtiff != "auto" or self.rng.random() < 0.5:
            return
        with lazytiff.empty(self.path, self.style.dtype, **self.style.options(), workers=1) as out:
            for page in range(3):
                out.append(self.style.page(page), tags=self.style.tags_of(page))
        os.truncate(self.path, BORDER - self.rng.randrange(60 * (self.style.page_bytes + 600)))
        self.pages = 3
        self.count["files that reach 4 GiB"] += 1

    def _kill(self) -> tuple[int, int]:
        """Return how many pages a process acknowledged before it was killed, and how many it began."""
        self.words[0], self.words[1], self.words[2] = 0, self.pages, self.pages
        child = os.fork()
        if child == 0:
            self._append()
        deadline = time.monotonic() + PATIENCE
        while self.words[1] < self.pages + LEAST and time.monotonic() < deadline:
            time.sleep(0.0003)
        time.sleep(self.rng.random() * LATEST)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL or self.words[1] < self.pages + LEAST:
            outcome = f"the process ended with {status} and {self.words[1]} pages"
            raise AssertionError(f"seed {self.seed}: {outcome}, {self.style}")
        self.count["kills inside of a call"] += self.words[0]
        return self.words[1], self.words[2]

    def _append(self) -> NoReturn:
        """Append until killed."""
        try:
            out = self._open()
            while True:
                self._extend(out) if self.style.batch else self._append_page(out)
        except BaseException:  # noqa: BLE001  # this process is not to come back from here
            traceback.print_exc()
        os._exit(1)

    def _open(self) -> lazytiff.AppendTiff:
        style = self.style
        if not self.path.exists():
            return lazytiff.empty(self.path, style.dtype, **style.options(), workers=2)
        return lazytiff.open(self.path, "a", dtype=style.dtype, **style.resumed(self.pages), workers=2)

    def _append_page(self, out: lazytiff.AppendTiff) -> None:
        number = self.words[1]
        page, tags = self.style.page(number), self.style.tags_of(number)
        self.words[2] = number + 1
        self.words[0] = 1
        page_number = out.append(page, tags=tags)
        self.words[0] = 0
        self.words[1] = page_number + 1

    def _extend(self, out: lazytiff.AppendTiff) -> None:
        number = self.words[1]
        pages = [self.style.page(i) for i in range(number, number + EXTENDED)]
        self.words[2] = number + EXTENDED
        self.words[0] = 1
        added = out.extend(pages, batch=self.style.batch)
        self.words[0] = 0
        self.words[1] = number + added

    # ---- What was left behind

    def _check(self, acknowledged: int, begun: int) -> int:
        """Have everybody read the file; return how many pages it has."""
        file = RealFile(self.path)
        try:
            pages = check(file, self.style, acknowledged, begun)
        finally:
            file.close()
        self._check_lazytiff(pages)
        self._check_tifffile(pages)
        if LIBTIFF:
            self._check_libtiff(pages)
        return pages

    def _check_lazytiff(self, pages: int) -> None:
        with lazytiff.open(self.path, squeeze=False, workers=1) as img:
            if len(img) != pages or not all(np.array_equal(img[i], self.style.page(i)) for i in range(pages)):
                raise Damaged(f"lazytiff reads {len(img)} pages, or wrong ones, where there are {pages}")

    def _check_tifffile(self, pages: int) -> None:
        some = {0, pages - 1, self.rng.randrange(pages), self.rng.randrange(pages)}
        with tifffile.TiffFile(self.path) as tif:
            right = all(np.array_equal(tif.pages[i].asarray(), self.style.page(i)) for i in some)
            if len(tif.pages) != pages or not right:
                raise Damaged(f"tifffile reads {len(tif.pages)} pages, or wrong ones, where there are {pages}")
            counted = (
                re.search(r'(?:frames=|SizeT=")(\d{8})', tif.pages[0].description) if self.style.described else None
            )
            if counted and int(counted[1]) * CHANNELS == pages:  # otherwise it complains of pages beyond
                self._check_axes(tif, pages)

    def _check_axes(self, tif: tifffile.TiffFile, pages: int) -> None:
        series = tif.series[0]
        shape = (pages // CHANNELS, CHANNELS, self.style.rows, self.style.columns)
        if (series.kind, series.axes, series.shape) != (self.style.described, "TCYX", shape):
            raise Damaged(f"tifffile sees {series.kind} {series.axes} {series.shape} where there are {pages} pages")
        self.count["files with the right axes"] += 1

    def _check_libtiff(self, pages: int) -> None:
        done = subprocess.run([LIBTIFF, "-D", self.path], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if EXPECTED not in line]
        found = done.stdout.count("TIFF Directory at offset")
        if done.returncode or complaints or found != pages:
            raise Damaged(f"libtiff reads {found} pages where there are {pages}, and says {complaints}")


class _Complaint(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise Damaged(f"tifffile: {record.getMessage()}")


def soak(cycles: int, seed: int, workers: int | None = None) -> Counter[str]:
    """Kill so many processes, some at a time; raise AssertionError where something was lost."""
    if not hasattr(os, "fork"):
        raise Unavailable("processes are forked and killed on POSIX systems only")
    workers = workers or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        running: list[subprocess.Popen[str]] = []
        how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": with_path()}
        for number in range(workers):
            share = cycles // workers + (number < cycles % workers)
            own = Path(folder) / str(number)
            own.mkdir()
            command: list[Any] = [sys.executable, __file__, own, seed * 1000 + number, share]
            running.append(subprocess.Popen(list(map(str, command)), **how))
        outputs = [process.communicate() for process in running]
    total: Counter[str] = Counter()
    for process, (output, complaint) in zip(running, outputs, strict=True):
        if process.returncode:
            raise AssertionError(complaint)
        total.update(json.loads(output))
    return total


def main(folder: str, seed: str, cycles: str) -> None:
    """Do one worker's share."""
    logging.getLogger("tifffile").addHandler(_Complaint())
    work = Cycles(Path(folder), int(seed))
    for number in range(int(cycles)):
        work.cycle(number)
    json.dump(work.count, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
