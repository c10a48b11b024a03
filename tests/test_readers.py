"""Processes that read a file while another one writes it: whatever they see is whole, and stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import chains
import pytest
from chains import CLASSIC_MOST

PROGRAM = Path(__file__).parents[1] / "soak" / "readers.py"
SECONDS = 0.7  # for each form; `./dev soak` takes longer
READERS = {
    "classic": ("lazy", "mapped", "follow", "tifffile", "links"),
    "bigtiff": ("lazy", "mapped", "follow", "tifffile", "links"),
    "promoted": ("lazy", "mapped", "follow", "tifffile"),
    "deflate": ("lazy", "follow", "tifffile"),
    "deflate promoted": ("lazy", "follow", "tifffile"),
    "big-endian tiles": ("lazy", "mapped", "follow", "tifffile"),
}


@pytest.mark.skipif(not PROGRAM.exists(), reason="the program is part of the repository only")
@pytest.mark.parametrize("form", READERS)
def test_readers_of_a_growing_file(form, tmp_path):
    """Readers of all kinds, refreshed, opened anew or following, see each page whole, in order and for good.

    All links of the file are aligned: who reads one that is being written gets the old one or the new one.
    """
    if "promoted" in form and not chains.are_sparse(tmp_path):
        pytest.skip("the file system has no holes, and this file would take 4 GiB")
    command = [sys.executable, "-P", PROGRAM, str(SECONDS), "--form", form, "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"{reader} looked" in done.stdout for reader in READERS[form])
    path = tmp_path / f"{form.replace(' ', '-')}.tif"
    promoted = path.stat().st_size > CLASSIC_MOST
    assert promoted == ("promoted" in form)
    pages = chains.check(path, both=not promoted and form not in ("classic", "bigtiff"))
    assert f"{form}: {pages} pages, all of them right" in done.stdout
    assert pages > 100
