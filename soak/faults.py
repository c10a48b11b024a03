"""Every system call fails once, and from some moment on for good: what was acknowledged stays, and the file goes on.

As a program, under shim.c, it lets the calls of its own process fail.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from recording import HERE, compile_shim, read_log, under_shim
from stamped import Style, foreign
from verdict import RealFile, check

import lazytiff

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES = ("pwrite", "pwritev", "fdatasync", "fsync", "linkat")
OTHERS = ("pread", "fstat", "open", "lock", "link")  # some of which have something else to fall back on
CONTINUED = ("pwrite", "pwritev", "pread", "fdatasync", "fsync", "lock")  # what a signal may interrupt
HALVED = ("pwrite", "pwritev", "pread")
ALWAYS, BORDER, PAGES = 1 << 20, 1 << 32, 3


class Fault(NamedTuple):
    """The calls of that name that fail, from the number-th on, as many as `times`; why 0: they do half."""

    name: str
    why: int
    times: int

    @property
    def is_harmless(self) -> bool:
        """Whether it is none to the caller."""
        return self.why in (0, errno.EINTR)


FAULTS = [
    *(Fault(*at) for at in itertools.product(WRITES, (errno.ENOSPC, errno.EIO), (1, ALWAYS))),
    *(Fault(*at) for at in itertools.product(OTHERS, (errno.EIO,), (1, ALWAYS))),
    *(Fault(name, errno.EINTR, 2) for name in CONTINUED),
    *(Fault(name, 0, 2) for name in HALVED),
]


class Trial:
    """A file, and what happens to it under a fault."""

    def __init__(self, folder: Path, style: Style) -> None:
        self.folder, self.style = folder, style
        self.path = folder / "stack.tif"
        self.least = self.most = self.foreign = 0
        self.log = Path(os.environ["SHIM_LOG"])

    def append(self, out: lazytiff.AppendTiff, pages: int) -> None:
        """Append pages, each with what belongs to it."""
        if self.style.batch:
            self.most += pages
            out.extend(map(self.style.page, range(len(out), len(out) + pages)), batch=self.style.batch)
            self.least = len(out)
            return
        for number in range(len(out), len(out) + pages):
            self.most = number + 1
            self.least = 1 + out.append(self.style.page(number), tags=self.style.tags_of(number))

    def open(self) -> lazytiff.AppendTiff:
        """Open the file to append."""
        return lazytiff.open(self.path, "a", dtype=self.style.dtype, **self.style.resumed(self.least))

    def has(self, least: int, most: int) -> int:
        """Check the file."""
        file = RealFile(self.path)
        try:
            return check(file, self.style, least, most, self.foreign, both=False)
        finally:
            file.close()

    # ---- What is done before the fault, and under it

    def begin_new(self) -> None:
        """Nothing is there."""

    def create(self) -> None:
        """Make a file."""
        lazytiff.empty(self.path, self.style.dtype, **self.style.options()).close()

    def begin_old(self) -> None:
        """Make a file with pages, and let go of it."""
        with lazytiff.empty(self.path, self.style.dtype, **self.style.options()) as out:
            self.append(out, 2)

    def begin_foreign(self) -> None:
        """Take another program's file, whose links must not be written to."""
        self.path.write_bytes(foreign(self.style, 2))
        self.foreign = self.least = self.most = 2

    def begin_border(self) -> None:
        """Make a file that is about to outgrow 4 GiB."""
        self.begin_old()
        os.truncate(self.path, BORDER - self.style.page_bytes - 1000)

    def resume(self) -> None:
        """Go on with it."""
        self.out = self.open()
        self.append(self.out, PAGES)

    def begin_open(self) -> None:
        """Make a file with pages, and keep it open."""
        self.begin_old()
        self.out = self.open()

    def go_on(self) -> None:
        """Append to the open file."""
        self.append(self.out, PAGES)

    # ---- Afterwards

    def look(self, error: OSError | None, fault: Fault) -> None:
        """See to it that the file is as it should be after the fault."""
        if error is None and fault.name in WRITES and not fault.is_harmless:
            raise AssertionError("nobody was told")
        if error is not None and fault.is_harmless:
            raise AssertionError("it could have been done") from error
        if error is not None and hasattr(self, "out"):
            self.look_at_writer()
        if error is not None and self.most == 0:
            left = os.listdir(self.folder)
            if left:
                raise AssertionError(f"{left} was left behind") from error
            return
        pages = self.has(self.least, self.most)
        self.least = self.most = pages
        if hasattr(self, "out"):
            self.out.close()
        with self.open() as out:
            self.append(out, 2)
            expected = [self.style.page(number) for number in range(self.least)]
            if not np.array_equal(out[:], expected):
                raise AssertionError("what is read of the file that goes on is wrong")
        self.has(self.least, self.least)

    def look_at_writer(self) -> None:
        """See to it that the writer takes no page any more, asks nothing of the disk, and reads what it had."""
        before, acknowledged = self.log.stat().st_size, len(self.out)
        for _ in range(2):
            try:
                self.out.append(self.style.page(acknowledged))
            except OSError as refusal:
                if "lazytiff.open(path, 'a')" not in str(refusal):
                    raise
            else:
                raise AssertionError("the writer goes on after a failure")
        if len(self.out) < self.least or (
            acknowledged and not np.array_equal(self.out[:], list(map(self.style.page, range(acknowledged))))
        ):
            raise AssertionError("what is read from the writer is wrong")
        self.out.close()
        if self.log.stat().st_size != before:
            raise AssertionError(f"after a failure it asked for {read_log(self.log, before)}")


Way = tuple[Callable[[Trial], None], Callable[[Trial], None]]
WAYS: dict[str, Way] = {
    "new": (Trial.begin_new, Trial.create),
    "open": (Trial.begin_open, Trial.go_on),
    "old": (Trial.begin_old, Trial.resume),
    "foreign": (Trial.begin_foreign, Trial.resume),
    "border": (Trial.begin_border, Trial.resume),
}


def ways(style: Style) -> Iterator[str]:
    """Yield what can be done with files of that style."""
    yield from ("new", "open", "old")
    if style.compression is None and not style.tags and style.bigtiff != "auto":
        yield "foreign"
    if style.bigtiff == "auto":
        yield "border"


def attempt(way: str, style: Style, fault: Fault, number: int) -> bool:
    """Let the number-th call fail, and look at the outcome; return whether there was such a call."""
    with tempfile.TemporaryDirectory() as folder:
        trial, error = Trial(Path(folder), style), None
        begin, act = WAYS[way]
        begin(trial)
        before = trial.log.stat().st_size if trial.log.exists() else 0
        os.environ["SHIM_FAULT"] = f"{fault.name} {number} {fault.why} {fault.times}"
        try:
            act(trial)
        except OSError as raised:
            error = raised
        finally:
            del os.environ["SHIM_FAULT"]
        steps = read_log(trial.log, before) if trial.log.exists() else []
        if not any(step.kind in "Ff" for step in steps):
            if error is not None:
                raise AssertionError("it failed by itself") from error
            return False
        trial.look(error, fault)
        return True


def try_all(styles: list[Style]) -> Counter[str]:
    """Let every call fail in every way."""
    count: Counter[str] = Counter()
    for style in styles:
        for way, fault in itertools.product(ways(style), FAULTS):
            for number in itertools.count(1):
                try:
                    if not attempt(way, style, fault, number):
                        break
                except Exception as error:
                    about = f"{way}, {fault}, call {number}, {style}"
                    raise AssertionError(f"{about}: {error!r}, because of {error.__cause__!r}") from error
                count["faults"] += 1
                count[f"in {fault.name}"] += 1
    return count


def styles(rng: random.Random, rounds: int) -> list[Style]:
    """Draw styles of all kinds."""
    found = []
    for _, bigtiff, durability in itertools.product(range(rounds), [False, True, "auto"], ["process", "power"]):
        found.append(Style.draw(rng, 3000, bigtiff=bigtiff, durability=durability))
        if bigtiff != "auto":
            plain = {"compression": None, "tags": False, "described": ""}
            found.append(Style.draw(rng, 500, bigtiff=bigtiff, durability=durability, **plain))
    return found


def soak(seed: int, rounds: int = 5, **environment: str) -> Counter[str]:
    """Let calls fail in a process of their own; raise AssertionError where that did harm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = [style.members() for style in styles(random.Random(seed), rounds)]
        shim, program = compile_shim(folder), HERE / "faults.py"
        done = under_shim(shim, folder / "calls.log", [program], json.dumps(drawn), **environment)
        if done.returncode:
            raise AssertionError(f"seed {seed}: {done.stderr}")
        return Counter(json.loads(done.stdout))


def main() -> Any:
    """Try the styles that stand in the input."""
    json.dump(try_all([Style(**members) for members in json.load(sys.stdin)]), sys.stdout)


if __name__ == "__main__":
    main()
