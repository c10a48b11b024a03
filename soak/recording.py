"""What a run asks of the system, recorded call by call by shim.c, with what it acknowledged in between.

As a program, under the shim, it does the jobs that it reads.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stamped import Style

HERE = Path(__file__).parent
RECORD = struct.Struct("=cQQ")


class Unavailable(Exception):  # noqa: N818  # no error: there is no way to do it here
    """Why something cannot be done on this machine."""


@dataclass
class Job:
    """Pages to be written to a file, a new one or one that has `before`. stretch: first, a hole makes it so long."""

    path: str
    style: Style
    pages: int
    before: int | None = None
    stretch: int = 0


class Step(NamedTuple):
    """A record: W (write), S (sync of the file), D (of the folder), L (link), T (truncate), A (acknowledged pages)."""

    kind: str
    offset: int
    data: bytes


def compile_shim(folder: Path) -> Path:
    """Return what goes into LD_PRELOAD."""
    if sys.platform != "linux" or shutil.which("cc") is None:
        raise Unavailable("system calls are recorded on Linux only, where there is a C compiler")
    target = folder / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O1", HERE / "shim.c", "-o", target, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return target


def with_path() -> dict[str, str]:
    """Return an environment in which programs of this folder find each other, whatever else is left out of the path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))}


def under_shim(
    shim: Path, log: Path, command: list[Any], text: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python program under the shim."""
    preload = ":".join(filter(None, [str(shim), os.environ.get("LD_PRELOAD")]))
    environment = {"LD_PRELOAD": preload, "SHIM_LOG": str(log), "LAZYTIFF_NUM_THREADS": "1", **environment}
    command = [sys.executable, *map(str, command)]
    environment = with_path() | environment
    return subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)


def record(jobs: list[Job], shim: Path, folder: Path) -> list[list[Step]]:
    """Do the jobs in a process of their own, and return what each asked of the system."""
    log = folder / "calls.log"
    log.unlink(missing_ok=True)
    text = json.dumps([asdict(job) for job in jobs])
    done = under_shim(shim, log, [HERE / "recording.py"], text)
    if done.returncode:
        raise RuntimeError(done.stderr)
    runs: list[list[Step]] = []
    for step in read_log(log):
        if step.kind == "J":
            runs.append([])
        else:
            runs[-1].append(step)
    return runs


def read_log(log: Path, start: int = 0) -> list[Step]:
    """Return the records behind a place of the log."""
    data, at, steps = log.read_bytes(), start, []
    while at < len(data):
        kind, offset, length = RECORD.unpack_from(data, at)
        at += RECORD.size
        steps.append(Step(kind.decode(), offset, data[at : at + length]))
        at += length
    return steps


# ---- Under the shim


def work() -> None:
    """Do the jobs."""
    log = os.open(os.environ["SHIM_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def mark(kind: bytes, number: int) -> None:
        os.write(log, RECORD.pack(kind, number, 0))

    for number, job in enumerate(json.loads(sys.stdin.read())):
        mark(b"J", number)
        write(Job(**{**job, "style": Style(**job["style"])}), mark)


def write(job: Job, mark: Any) -> None:
    """Do one job. mark(b"A", n): n pages are acknowledged; mark(b"T", n): the file was made so long."""
    import lazytiff  # noqa: PLC0415  # what records needs none

    style = job.style
    if job.before is None:
        out = lazytiff.empty(job.path, style.dtype, **style.options())
    else:
        if job.stretch:
            os.truncate(job.path, job.stretch)
            mark(b"T", job.stretch)
        out = lazytiff.open(job.path, "a", dtype=style.dtype, **style.resumed(job.before))
    with out:
        mark(b"A", len(out))
        numbers = range(len(out), len(out) + job.pages)
        if style.batch:
            out.extend(map(style.page, numbers), batch=style.batch)
            mark(b"A", len(out))
            return
        for number in numbers:
            if out.append(style.page(number), tags=style.tags_of(number)) != number:
                raise AssertionError(number)
            mark(b"A", number + 1)


if __name__ == "__main__":
    work()
