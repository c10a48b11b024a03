"""Do one side of a workload in this fresh process; print seconds, CPU seconds, peak memory and a digest, as JSON.

measure.py SIDE [WORKLOAD FILE]    SIDE is ours or peer; without a workload, what importing the libraries takes
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main(side: str, name: str = "", file: str = "") -> None:
    """Measure."""
    __import__("lazytiff" if side == "ours" else "tifffile")
    from workloads import WORKLOADS  # noqa: PLC0415

    if not name:
        print(json.dumps({"peak": peak_memory()}))
        return
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    given, times, result = getattr(workload, f"prepare_{side}")(Path(file)), [], None
    for _ in range(workload.repeat):
        result = None  # before the next one is made
        start, start_cpu = time.perf_counter(), time.process_time()
        result = getattr(workload, side)(given)
        times.append((time.perf_counter() - start, time.process_time() - start_cpu))
    seconds, cpu = map(min, zip(*times, strict=True))
    report = {"seconds": seconds, "cpu": cpu, "peak": peak_memory(), "note": getattr(result, "note", "")}
    print(json.dumps({**report, "digest": digest(result)}))


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    try:
        # Linux lets a new program inherit ru_maxrss from the one that started it.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) << 10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def digest(result: Any) -> str:
    """Return what equal results have in common."""
    if isinstance(result, tuple):
        return " ".join(map(digest, result))
    if isinstance(result, np.ndarray):
        return f"{result.dtype}{result.shape}{hashlib.sha256(np.ascontiguousarray(result)).hexdigest()}"
    return repr(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
