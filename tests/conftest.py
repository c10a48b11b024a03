"""Fixtures for all tests, and how many examples Hypothesis makes.

HYPOTHESIS_PROFILE=quick makes fewer of them, thorough many, and other ones each time.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import chains
import helper
import pytest
from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=15)
settings.register_profile("thorough", deadline=None, database=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def corpus():
    """Return the folder of files that other programs wrote; skip where it is not."""
    folder = helper.corpus()
    if folder is None:
        pytest.skip("no corpus of real files: set LAZYTIFF_CORPUS to its folder")
    return folder


@pytest.fixture
def sparse_path(tmp_path):
    """Return the path of a file to be made that may be longer than 4 GiB; skip where holes take space.

    In memory where the system has such a folder with room: what is written there never waits for a disk.
    """
    memory = "/dev/shm"  # noqa: S108  # the file is in a folder of its own
    has_room = os.path.isdir(memory) and os.statvfs(memory).f_bavail * os.statvfs(memory).f_frsize > 1 << 30
    with tempfile.TemporaryDirectory(dir=memory if has_room else tmp_path) as folder:
        if not chains.are_sparse(folder):
            pytest.skip("the file system has no holes, and this file would take 4 GiB")
        yield Path(folder) / "stack.tif"
