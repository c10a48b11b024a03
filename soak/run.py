"""Try for a long time what the tests try for seconds: whether anything is lost when a writer is cut off.

./dev soak [NAME...] [--cycles N] [--states N] [--rounds N] [--seconds N] [--seed N] [--list]

NAME is one of those that --list tells. The exit status is 1 when anything was lost; the seed that is
printed repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING

import calls
import cuts
import faults
import kills
import readers

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    Soak = Callable[[argparse.Namespace], Counter[str]]

SOAKS: dict[str, tuple[str, Soak]] = {
    "kills": (
        "processes are killed while they append (--cycles)",
        lambda options: kills.soak(options.cycles, options.seed),
    ),
    "calls": (
        "they are killed at every system call, with strace",
        lambda options: calls.soak(options.seed),
    ),
    "faults": (
        "system calls fail, once and for good (--rounds)",
        lambda options: faults.soak(options.seed, options.rounds),
    ),
    "cuts": (
        "recorded writes are torn, and lost as by power cuts (--states)",
        lambda options: cuts.soak(options.states, options.seed),
    ),
    "readers": (
        "others read the file while it is being written (--seconds, for each form of it)",
        lambda options: readers.main(options.seconds),
    ),
}


def main() -> None:
    """Run what the command line asks for."""
    options = parse()
    if options.list or not set(options.names) <= set(SOAKS):
        print(*(f"{name:10}{about}" for name, (about, _) in SOAKS.items()), sep="\n")
        sys.exit(0 if options.list else f"there is no {' or '.join(set(options.names) - set(SOAKS))}")
    failed = False
    for name in options.names or SOAKS:
        start = time.monotonic()
        print(f"{name}, seed {options.seed}: {SOAKS[name][0]}", flush=True)
        try:
            outcome = ", ".join(f"{count} {what}" for what, count in SOAKS[name][1](options).items())
        except AssertionError as error:
            failed, outcome = True, f"LOST: {error}"
        print(f"{name}, {time.monotonic() - start:.0f} s: {outcome}", flush=True)
    sys.exit(failed)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--cycles", type=int, default=10_000, metavar="N", help="processes to be killed (10,000)")
    parser.add_argument("--states", type=int, default=200_000, metavar="N", help="files to be checked (200,000)")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="of stacks of all kinds (10)")
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="that each form is written for (60)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 20), metavar="N")
    parser.add_argument("--list", action="store_true", help="tell the names, and do nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
