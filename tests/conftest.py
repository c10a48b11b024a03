"""Fixtures for all tests, and how many examples Hypothesis makes.

HYPOTHESIS_PROFILE=quick makes fewer of them, thorough many, and other ones each time.
"""

from __future__ import annotations

import os

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
