"""A program that appends is killed at each of its system calls, one after the other (strace)."""

from __future__ import annotations

import itertools
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from recording import HERE, Unavailable
from stamped import Style
from verdict import RealFile, check

import lazytiff

ROOT = HERE.parent
STYLE = {"rows": 6, "columns": 50, "dtype": "u1"}  # as calls.c has it
PAGES, BATCH, BORDER = 4, 2, 1 << 32
KILLED = 128 + 9, -9  # how strace tells that its program was killed
ASKING = (
    "fstat",
    "newfstatat",
    "statx",
)  # for the size of the file, which a writer does not do before each of many appends


class Case(NamedTuple):
    """What the program does. before: pages of the file that it goes on with; hole: how far before 4 GiB that ends."""

    bigtiff: bool | str
    durable: bool
    batch: int
    before: int | None = None
    hole: int | None = None
    counts: bool = False  # in the first page's description, which a file that goes on gets anew

    @property
    def style(self) -> Style:
        """Return how its pages are stored."""
        return Style(**STYLE, bigtiff=self.bigtiff, batch=self.batch, described="perhaps" if self.counts else "")


def cases(rng: random.Random) -> list[Case]:
    """Return new files and old ones, of every kind, and those that are about to outgrow 4 GiB."""
    found = []
    for bigtiff, durable, batch in itertools.product([False, True, "auto"], [False, True], [1, BATCH]):
        found += [Case(bigtiff, durable, batch), Case(bigtiff, durable, batch, rng.randint(0, 3))]
        if bigtiff == "auto":
            found.append(Case(bigtiff, durable, batch, rng.randint(1, 3), rng.randint(0, 3 * 1000)))
        roomy = [case if case.hole is None else case._replace(hole=case.hole + 1000) for case in found[-2:]]
        found += [case._replace(counts=True) for case in roomy]  # with room for another description
    return found


def compile_program(folder: Path) -> Path:
    """Build calls.c with csrc."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if sys.platform != "linux" or not shutil.which("strace") or not shutil.which(compiler[0]):
        raise Unavailable("to be killed at each system call takes Linux, strace and a C compiler")

    def flags(option: str) -> list[str]:
        return shlex.split(subprocess.check_output([sys.executable, ROOT / "build_ffi.py", option], text=True))

    sources = [file for file in (ROOT / "csrc").glob("*.c") if not file.name.startswith("os_win32")]
    program = folder / "calls"
    command = [*compiler, "-std=gnu11", "-O1", "-I", ROOT / "csrc", *flags("--cflags"), HERE / "calls.c", *sources]
    subprocess.run([*command, *flags("--libs"), "-o", program], check=True)
    return program


class Killer:
    """Runs the program under strace."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.program = compile_program(folder)
        self.names = itertools.count()
        self.count: Counter[str] = Counter()

    def prepare(self, case: Case) -> Path:
        """Return the path that the program is to write to, with the file that it goes on with."""
        path = self.folder / f"{next(self.names)}.tif"
        if case.before is None:
            return path
        with lazytiff.empty(path, case.style.dtype, bigtiff=case.bigtiff) as out:
            out.extend(map(case.style.page, range(case.before)))
        if case.hole is not None:
            os.truncate(path, BORDER - case.hole)
        return path

    def run(self, case: Case, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the program under strace."""
        kind = {False: 0, True: 1, "auto": -1}[case.bigtiff] if case.before is None else 2
        command = ["strace", *options, self.program, path, kind, PAGES, case.batch, int(case.durable), int(case.counts)]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)

    def calls(self, case: Case) -> list[tuple[str, int]]:
        """Return the program's calls, each with how many of that name there were by then."""
        path, log = self.prepare(case), self.folder / "strace.log"
        done = self.run(case, path, "-o", str(log))
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.count["files that outgrew 4 GiB"] += case.bigtiff == "auto" and is_bigtiff(path)
        path.unlink()
        counts: Counter[str] = Counter()
        found = []
        for name in re.findall(r"^(\w+)\(", log.read_text(), re.MULTILINE):
            counts[name] += 1
            found.append((name, counts[name]))
        return found[found.index(("getppid", 1)) + 1 :]

    def kill(self, case: Case, call: tuple[str, int]) -> None:
        """Kill the program as it enters that call, and look at what it left behind."""
        path = self.prepare(case)
        inject = f"inject={call[0]}:signal=KILL:when={call[1]}"
        done = self.run(case, path, "-o", os.devnull, "-e", inject)
        try:
            if done.returncode or call[0] not in ASKING:
                self.look(case, path, done)
            else:
                self.count["calls that were not made this time"] += 1
        except Exception as error:
            name, number = call
            raise AssertionError(f"seed {self.seed}: killed at {name} number {number} of {case}: {error}") from error
        path.unlink(missing_ok=True)

    def look(self, case: Case, path: Path, done: subprocess.CompletedProcess[str]) -> None:
        """Check the file, and go on with it."""
        acknowledged = [int(line) for line in done.stdout.split()]
        if done.returncode not in KILLED:
            raise AssertionError(f"it was not killed: {done.returncode} {done.stderr}")
        left = [name for name in os.listdir(self.folder) if name.startswith(".")]
        if left:
            raise AssertionError(f"it left {left}")
        if case.before is None and not acknowledged and not path.exists():
            return
        least = max([case.before or 0, *acknowledged])
        pages = see(case, path, least, least + case.batch)
        with lazytiff.open(path, "a", dtype=case.style.dtype) as out:
            out.append(case.style.page(pages))
            if not np.array_equal(out[:], [case.style.page(i) for i in range(pages + 1)]):
                raise AssertionError("what is read of the file that goes on is wrong")
        see(case, path, pages + 1, pages + 1)


def is_bigtiff(path: Path) -> bool:
    """Return what the header says."""
    with path.open("rb") as file:
        return file.read(3)[2] == 43


def see(case: Case, path: Path, least: int, most: int) -> int:
    """Check the file; return how many pages it has."""
    file = RealFile(path)
    try:
        return check(file, case.style, least, most)
    finally:
        file.close()


def soak(seed: int) -> Counter[str]:
    """Kill the program at every call in every case; raise AssertionError where something was lost."""
    with tempfile.TemporaryDirectory() as folder:
        killer = Killer(Path(folder), seed)
        for case in cases(random.Random(seed)):
            found = killer.calls(case)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda call, case=case: killer.kill(case, call), found))
            killer.count["kills"] += len(found)
            killer.count["cases"] += 1
        return killer.count
