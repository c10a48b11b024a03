"""A writer that is cut off loses nothing that it acknowledged. `./dev soak` tries the same for longer."""

from __future__ import annotations

import calls
import cuts
import faults
import kills
import pytest
from recording import Unavailable

pytestmark = pytest.mark.slow
SEED = 4


def outcome(soak, *arguments, **options):
    """Return what was counted; skip where it cannot be done."""
    try:
        return soak(*arguments, **options)
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_kills():
    """Processes that are killed at any moment leave valid files with all that they acknowledged, for every reader."""
    count = outcome(kills.soak, 200, SEED)
    assert count["cycles"] == 200
    assert count["pages acknowledged"] >= 200 * kills.LEAST
    assert count["kills inside of a call"] >= 0.8 * 200
    assert count["files that reach 4 GiB"] > 0
    assert count["files with the right axes"] > 0
    if kills.LIBTIFF is None:
        pytest.skip("lazytiff and tifffile read all files; for libtiff to read them there is no tiffinfo")


def test_every_call():
    """The same when they are killed at each of their system calls, one after the other."""
    count = outcome(calls.soak, SEED)
    assert count["kills"] > 500
    assert count["files that outgrew 4 GiB"] > 0


def test_every_cut():
    """The same after each write, or each part of one, and with any sectors missing that no sync has seen."""
    count = outcome(cuts.soak, 5_000, SEED)
    assert count["states"] >= 5_000
    assert count["read by others and gone on with"] > 20
    assert count["runs that outgrew 4 GiB"] > 0


@pytest.mark.parametrize("temporary", [False, True])
def test_every_fault(temporary):
    """Calls that fail are OSErrors, once or for good; pages stay, and the file goes on when it is opened again."""
    count = outcome(faults.soak, SEED, 1, **({"SHIM_NO_TMPFILE": "1"} if temporary else {}))
    names = {*faults.WRITES, *faults.OTHERS} - {"linkat" if temporary else "link"}
    assert {name for name in names if not count[f"in {name}"]} == set()
