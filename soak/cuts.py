"""Every file that a run might have left behind: whatever was written last is torn, or what no sync has seen is lost.

A kill keeps the order of writes: the file is what the first of them made, and a part of the next one. A power cut keeps
what was written before the last sync; of everything since, each sector of each write may be there or not, and the
file may have its old size, the new one, or one between. Writes of 8 bytes or less within a sector are there or not.
"""

from __future__ import annotations

import itertools
import logging
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile
from recording import Job, Step, compile_shim, record
from stamped import Style, foreign
from verdict import Damaged, RealFile, check

import lazytiff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from verdict import Bytes

SECTOR, LINE, WORD, BORDER = 512, 64, 8, 1 << 32
ZEROS = bytes(SECTOR)
SAMPLED = 24  # places of a page's pixels at which a write is torn
LINKING = 30  # times as often as others, files are read where links were being written
GENERATIONS = 3  # runs go on with what those before may have left behind
ENUMERATED = 256  # combinations of sectors: all, up to so many; otherwise so many by lot


class Disk:
    """A file in memory, with holes."""

    def __init__(self, sectors: dict[int, bytes], size: int) -> None:
        self._sectors, self.size = sectors, size

    @classmethod
    def of(cls, data: bytes) -> Disk:
        """Return one with these bytes."""
        disk = cls({}, 0)
        disk.write(0, data)
        return disk

    def copy(self) -> Disk:
        """Return another one that is alike."""
        return Disk(self._sectors.copy(), self.size)

    def write(self, offset: int, data: bytes) -> None:
        """Write, and become longer if need be."""
        for at, piece in split(offset, data):
            number, inside = divmod(at, SECTOR)
            old = self._sectors.get(number, ZEROS)
            self._sectors[number] = old[:inside] + piece + old[inside + len(piece) :]
        self.size = max(self.size, offset + len(data))

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; fewer at the end."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        first, last = offset // SECTOR, (end - 1) // SECTOR
        if first == last:
            return self._sectors.get(first, ZEROS)[offset - first * SECTOR : end - first * SECTOR]
        joined = b"".join(self._sectors.get(number, ZEROS) for number in range(first, last + 1))
        return joined[offset - first * SECTOR : end - first * SECTOR]

    def cut(self, size: int) -> None:
        """Become that long; what comes back later is zeros."""
        self._sectors = {number: data for number, data in self._sectors.items() if number * SECTOR < size}
        number, inside = divmod(size, SECTOR)
        if number in self._sectors:
            self._sectors[number] = self._sectors[number][:inside] + bytes(SECTOR - inside)
        self.size = size

    def is_like(self, file: Bytes) -> bool:
        """Whether a file has the same bytes, holes left out."""
        places = [number * SECTOR for number in self._sectors]
        return file.size == self.size and all(file.read(at, SECTOR) == self.read(at, SECTOR) for at in places)

    def store(self, path: Path) -> None:
        """Make a real file of it."""
        with path.open("wb") as file:
            for number, data in self._sectors.items():
                file.seek(number * SECTOR)
                file.write(data)
            file.truncate(self.size)


def split(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a write that lie in one sector each."""
    done = 0
    while done < len(data):
        room = SECTOR - (offset + done) % SECTOR
        yield offset + done, data[done : done + room]
        done += room


class State(NamedTuple):
    """A file that might have been left behind, and how many pages must be in it and may be."""

    disk: Disk | None  # None: there is no such file
    least: int
    most: int
    both: bool = True  # chains of IFDs must have them
    linking: bool = False  # links, and nothing else, were being written


class Run(NamedTuple):
    """A recorded run: what the file was before, and what was asked of the system."""

    job: Job
    before: Disk | None
    pages: int  # that `before` has
    foreign: int
    steps: list[Step]

    def after(self) -> Disk:
        """Return the file at its end."""
        disk = self.before.copy() if self.before else Disk({}, 0)
        for step in self.steps:
            perform(disk, step)
        return disk


def perform(disk: Disk, step: Step) -> None:
    """Do what a step did."""
    if step.kind == "W":
        disk.write(step.offset, step.data)
    elif step.kind == "T":
        disk.cut(step.offset)


# ---- Kills


def after_kills(run: Run, rng: random.Random) -> Iterator[State]:
    """Yield every file that a kill might leave behind."""
    disk, named = (run.before.copy(), True) if run.before else (Disk({}, 0), False)
    least, most = run.pages, run.pages + run.job.pages
    for step in run.steps:
        if step.kind == "A":
            least = step.offset
        if step.kind == "W" and named:
            for length in torn(step, run.job.style.page_bytes, rng):
                part = disk.copy()
                part.write(step.offset, step.data[:length])
                yield State(part, least, most)
        named |= step.kind == "L"
        perform(disk, step)
        linking = step.kind == "W" and len(step.data) <= WORD
        yield State(disk.copy() if named else None, least if named else -1, most, linking=linking)


def torn(step: Step, page_bytes: int, rng: random.Random) -> Iterable[int]:
    """Return how much of a write may be done: any byte of what is no pixels, and some of these."""
    length = len(step.data)
    if is_whole(step):
        return ()
    pixels = length - min(page_bytes, length)
    return [*range(1, min(pixels + WORD, length)), *(rng.randrange(1, length) for _ in range(min(SAMPLED, length - 1)))]


# ---- Power cuts


def after_power_cuts(run: Run, rng: random.Random) -> Iterator[State]:
    """Yield files that a power cut might leave behind."""
    safe, named = (run.before.copy(), True) if run.before else (Disk({}, 0), False)
    least, most = run.pages if named else -1, run.pages + run.job.pages
    waiting: list[Step] = []
    linked = named
    for step in [*run.steps, Step("S", 0, b"")]:
        if step.kind == "A":
            least = step.offset
        elif step.kind == "W":
            waiting.append(step)
        elif step.kind == "L":
            linked = True
        elif step.kind in "SDT":
            if linked:
                yield from lost(safe, waiting, rng, least, most)
            if not named:
                yield State(None, least, most)
            if step.kind == "D":
                named = linked
                continue
            for write in waiting:
                perform(safe, write)
            perform(safe, step)
            waiting = []


def lost(safe: Disk, waiting: list[Step], rng: random.Random, least: int, most: int) -> Iterator[State]:
    """Yield what may become of writes that no sync has seen."""
    pieces = [piece for step in waiting for piece in torn_apart(step)]
    sizes = sorted({safe.size, *(max(safe.size, step.offset + len(step.data)) for step in waiting)})
    for kept in combinations(len(pieces), ENUMERATED // len(sizes), rng):
        for size in sizes:
            disk = safe.copy()
            for (offset, data), there in zip(pieces, kept, strict=True):
                if there:
                    disk.write(offset, data)
            if disk.size != size:
                disk.cut(size)
            yield State(disk, least, most, both=False, linking=all(len(step.data) <= WORD for step in waiting))


def torn_apart(step: Step) -> list[tuple[int, bytes]]:
    """Return the parts of a write each of which may be there without the others."""
    if is_whole(step) or len(step.data) > WORD:
        return list(split(step.offset, step.data))
    return [(step.offset + i, step.data[i : i + 1]) for i in range(len(step.data))]


def is_whole(step: Step) -> bool:
    """Whether a write is done at once or not at all: a word within a line of the processor's cache."""
    return len(step.data) <= WORD and step.offset // LINE == (step.offset + len(step.data) - 1) // LINE


def combinations(count: int, most: int, rng: random.Random) -> Iterator[tuple[bool, ...]]:
    """Yield which of count things are there: every combination, or all, none, all but one, one, and some by lot."""
    if 1 << count <= most:
        yield from itertools.product([False, True], repeat=count)
        return
    for there in (False, True):
        yield (there,) * count
        for i in range(count):
            yield tuple(there != (i == j) for j in range(count))
    for _ in range(most):
        share = rng.random()
        yield tuple(rng.random() < share for _ in range(count))


# ---- Runs


class Workshop:
    """Records runs and replays them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed, self.rng = folder, seed, random.Random(seed)
        self.shim = compile_shim(folder)
        self.count: Counter[str] = Counter()
        self._names = itertools.count()

    def path(self) -> Path:
        """Return a name that is new."""
        return self.folder / f"{next(self._names)}.tif"

    def record(self, drafts: list[tuple[Style, Disk | None, int, int, int]]) -> list[Run]:
        """Record runs of (style, file before, its pages, how many of them are foreign, stretch)."""
        jobs = []
        for style, before, pages, _, stretch in drafts:
            known = None if before is None else pages
            jobs.append(Job(str(self.path()), style, self.rng.randint(2, 5), known, stretch))
            if before is not None:
                before.store(Path(jobs[-1].path))
        recorded = record(jobs, self.shim, self.folder)
        runs = [Run(job, *draft[1:4], steps) for job, draft, steps in zip(jobs, drafts, recorded, strict=True)]
        for run in runs:
            self.compare(run)
        return runs

    def compare(self, run: Run) -> None:
        """See to it that nothing escaped the record: replayed, it gives the very file."""
        path, disk = Path(run.job.path), run.after()
        self.count["runs that outgrew 4 GiB"] += run.before is not None and disk.read(2, 2) != run.before.read(2, 2)
        file = RealFile(path)
        same = disk.is_like(file)
        file.close()
        path.unlink()
        if not same:
            raise AssertionError(f"seed {self.seed}: what was recorded of {run.job} is not what it wrote")

    def drafts(self) -> list[tuple[Style, Disk | None, int, int, int]]:
        """Return new files of all kinds, and one of another program's with links that cannot be switched."""
        drafts: list[tuple[Style, Disk | None, int, int, int]] = []
        for bigtiff, durability in itertools.product([False, True, "auto"], ["process", "power"]):
            style = Style.draw(self.rng, 3000, bigtiff=bigtiff, durability=durability)
            drafts.append((style, None, 0, 0, 0))
            if bigtiff != "auto":
                plain = Style.draw(
                    self.rng, 600, bigtiff=bigtiff, durability=durability, compression=None, tags=False, described=""
                )
                pages = self.rng.randint(1, 3)
                drafts.append((plain, Disk.of(foreign(plain, pages)), pages, pages, 0))
        return drafts

    def continued(self, run: Run, state: State) -> tuple[Style, Disk | None, int, int, int] | None:
        """Return a run that goes on with a file that was left behind; sometimes it is about to outgrow 4 GiB."""
        if state.disk is None:
            return None
        pages = self.check(run, state)
        stretch = 0
        if self.rng.random() < 0.7 and run.job.style.bigtiff == "auto" and state.disk.size < BORDER >> 1:
            stretch = BORDER - self.rng.randint(0, 2 * (run.job.style.page_bytes + 500))
        return run.job.style, state.disk, pages, run.foreign, stretch

    # ---- One state

    def states(self, run: Run) -> Iterator[State]:
        """Yield the states of a run."""
        yield from after_kills(run, self.rng)
        if run.job.style.durability == "power":
            yield from after_power_cuts(run, self.rng)

    def check(self, run: Run, state: State) -> int:
        """Check a state, and return how many pages it has."""
        if state.disk is None:
            if state.least >= 0:
                raise Damaged("there is no file, which was acknowledged")
            return 0
        return check(state.disk, run.job.style, max(state.least, 0), state.most, run.foreign, both=state.both)

    def read(self, run: Run, state: State) -> None:
        """Have a state read by lazytiff and tifffile."""
        path = self.path()
        state.disk.store(path)
        style = run.job.style
        pages = self.check(run, state)
        expected = [style.page(number) for number in range(pages)]
        with lazytiff.TiffFile(path) as tif:
            found = [page[...] for page in tif.pages]
        others = read_by_tifffile(path) if pages else []
        for pixels in (found, others):
            if len(pixels) != pages or not all(map(np.array_equal, pixels, expected)):
                raise Damaged(f"{len(pixels)} pages were read, or wrong ones, where there are {pages}")
        self.go_on(run, path, pages)
        path.unlink()

    def go_on(self, run: Run, path: Path, pages: int) -> None:
        """Append to a file that was left behind."""
        style = run.job.style
        with lazytiff.open(path, "a", dtype=style.dtype, **style.resumed(pages)) as out:
            for number in range(pages, pages + 2):
                out.append(style.page(number), tags=style.tags_of(number))
        file = RealFile(path)
        try:
            check(file, style, pages + 2, pages + 2, run.foreign)
        finally:
            file.close()


class _Complaint(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise Damaged(f"tifffile: {record.getMessage()}")


def read_by_tifffile(path: Path) -> list[NDArray[Any]]:
    """Return the pages as tifffile reads them. It complains to the log alone."""
    logger, complaint = logging.getLogger("tifffile"), _Complaint()
    logger.addHandler(complaint)
    try:
        with tifffile.TiffFile(path) as tif:
            return [page.asarray() for page in tif.pages]
    finally:
        logger.removeHandler(complaint)


def replay(workshop: Workshop, run: Run, every: int) -> list[State]:
    """Check all states of a run, and every so many by reading them too; return some of them."""
    some: list[State] = []
    for number, state in enumerate(workshop.states(run)):
        try:
            workshop.check(run, state)
            if state.disk is not None and workshop.rng.random() < (LINKING if state.linking else 1) / every:
                workshop.read(run, state)
                workshop.count["read by others and gone on with"] += 1
        except Exception as error:
            raise AssertionError(f"seed {workshop.seed}, state {number} of {run.job}: {error}") from error
        workshop.count["states"] += 1
        if workshop.rng.random() < 1 / (number + 1):
            some = [state]
    return some


def soak(states: int, seed: int, every: int = 300) -> Counter[str]:
    """Record and replay until so many states were checked; raise AssertionError at the first that is wrong."""
    with tempfile.TemporaryDirectory() as name:
        workshop = Workshop(Path(name), seed)
        while workshop.count["states"] < states:
            runs = workshop.record(workshop.drafts())
            for generation in range(GENERATIONS):
                workshop.count["runs"] += len(runs)
                drafts = []
                for run in runs:
                    drafts += [workshop.continued(run, state) for state in replay(workshop, run, every)]
                drafts = [draft for draft in drafts if draft is not None]
                runs = workshop.record(drafts) if generation + 1 < GENERATIONS else []
        return workshop.count
