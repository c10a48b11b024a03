"""Measure lazytiff beside tifffile, or beside the peer that a workload names.

./dev bench [NAME...] [--rounds N] [--json FILE] [--cache FOLDER] [--list]

NAME is a workload or the beginning of some. In each round both sides do the job once, each in a fresh process, in turns
first and second; a run that does not count goes before. A ratio is that of one round; printed are the median and the
extremes. Memory is the peak of the process less the peak of one that only imports NumPy and the library. The exit
status is 1 when results differ or a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from workloads import WORKLOADS

if TYPE_CHECKING:
    from workloads import Workload

HERE = Path(__file__).parent
SIDES = ("ours", "peer")


def main() -> None:
    """Run what the command line asks for."""
    options = parse()
    chosen = [w for w in WORKLOADS if not options.names or w.name.startswith(tuple(options.names))]
    if options.list or not chosen:
        print(*(f"{workload.name:30}{workload.about}" for workload in WORKLOADS), sep="\n")
        sys.exit(0 if chosen else f"there is no workload {' or '.join(options.names)}")
    options.cache.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"machine": machine(), "workloads": []}
    print(", ".join(f"{name} {value}" for name, value in report["machine"].items()), HEADER, sep="\n\n", flush=True)
    for workload in chosen:
        outcome = compare(workload, options.cache, options.rounds)
        report["workloads"].append(outcome)
        print(line(workload, outcome), flush=True)
        for side, note in outcome["notes"].items():
            if note:
                print(f"    {side}: {note}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    sys.exit(not all(outcome["equal"] and outcome["met"] for outcome in report["workloads"]))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", default=HERE / "cache", help="where the files are kept")
    parser.add_argument("--list", action="store_true", help="tell the workloads, and do nothing")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    versions = {name: version(name) for name in ("lazytiff", "tifffile", "imagecodecs", "numpy")}
    return {"python": platform.python_version(), **versions, "system": platform.platform(), "cpus": os.cpu_count()}


def compare(workload: Workload, cache: Path, rounds: int) -> dict[str, Any]:
    """Let both sides do the job in turns."""
    path = provide(workload, cache)
    for side in SIDES:
        measure(side, workload.name, str(path))  # so that the file is in the system's cache
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            runs[side].append(measure(side, workload.name, str(path)))
    ratios = [peer["seconds"] / ours["seconds"] for ours, peer in zip(runs["ours"], runs["peer"], strict=True)]
    memory = {side: median(run["peak"] for run in runs[side]) - base_memory(side) for side in SIDES}
    return {
        "name": workload.name,
        "equal": len({run["digest"] for side in SIDES for run in runs[side]}) == 1,
        **{key: {side: [run[key] for run in runs[side]] for side in SIDES} for key in ("seconds", "cpu")},
        "notes": {side: runs[side][-1]["note"] for side in SIDES},
        "ratios": ratios,
        "memory": memory,
        "met": (workload.faster is None or median(ratios) >= workload.faster)
        and (workload.megabytes is None or memory["ours"] <= workload.megabytes * 1e6),
    }


def provide(workload: Workload, cache: Path) -> Path:
    """Return the workload's file, written if it is not there."""
    path = cache / workload.file
    if not path.exists():
        part = path.with_suffix(".part.tif")
        workload.write(part)
        part.rename(path)
    return path


def measure(*arguments: str) -> dict[str, Any]:
    """Run measure.py with these arguments."""
    command = [sys.executable, str(HERE / "measure.py"), *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603


def base_memory(side: str) -> float:
    """Return the peak of a process that only imports."""
    return median(measure(side)["peak"] for _ in range(3))


HEADER = f"{'':30}{'lazytiff':>11}{'peer':>11}{'times as fast':>22}{'target':>8}{'memory, MB':>16}{'target':>8}"


def line(workload: Workload, outcome: dict[str, Any]) -> str:
    """Say the outcome in one line."""
    ours, peer = (f"{1e3 * median(outcome['seconds'][side]):.1f} ms" for side in SIDES)
    ratios = sorted(outcome["ratios"])
    digits = 0 if ratios[-1] >= 100 else 2  # noqa: PLR2004
    ratio = f"{median(ratios):.{digits}f} ({ratios[0]:.{digits}f}-{ratios[-1]:.{digits}f})"
    memory = " / ".join(f"{outcome['memory'][side] / 1e6:.1f}" for side in SIDES)
    faster = f">= {workload.faster:g}" if workload.faster else ""
    smaller = f"<= {workload.megabytes:g}" if workload.megabytes else ""
    verdict = ("met" if outcome["met"] else "MISSED") if faster or smaller else ""
    return (
        f"{workload.name:30}{ours:>11}{peer:>11}{ratio:>22}{faster:>8}{memory:>16}{smaller:>8}"
        f"  {verdict}{'' if outcome['equal'] else ' RESULTS DIFFER'}"
    ).rstrip()


if __name__ == "__main__":
    main()
