"""A full disk, and a file that may not grow: what was appended stays, and the file goes on when there is room."""

from __future__ import annotations

import json
import subprocess

import pytest
from recording import with_path
from stamped import Style
from test_processes import run
from verdict import RealFile, check

import lazytiff

STYLES = [Style(90, 100, "<u2"), Style(90, 100, "<u2", bigtiff=False, compression="deflate", durability="power")]

# Appends until it is refused, and prints how many pages it was told of; then it tries once more.
APPEND = """
import errno, json, resource, sys
from stamped import Style
import lazytiff
path, style, limit = sys.argv[1], Style(**json.loads(sys.argv[2])), int(sys.argv[3])
if limit:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
with lazytiff.empty(path, style.dtype, **style.options()) as out:
    try:
        while len(out) < 1000:
            out.append(style.page(len(out)))
    except OSError as error:
        assert error.errno == (errno.EFBIG if limit else errno.ENOSPC), error
        assert not isinstance(error, lazytiff.FileFullError)  # that is about 4 GiB
    try:
        out.append(style.page(len(out)))
    except OSError as error:
        assert "an earlier append failed" in str(error), error
    else:
        raise SystemExit("it goes on")
    assert (out[-1] == style.page(len(out) - 1)).all()
    print(len(out))
"""


def look(path, style, pages):
    """Check that a file has these pages, and no more."""
    file = RealFile(path)
    assert check(file, style, pages, pages) == pages
    file.close()


def fill(path, style, limit=0):
    """Append until it is refused; return how many pages are in the file."""
    search = {"PYTHONPATH": with_path()["PYTHONPATH"]}
    pages = int(run(APPEND, path, json.dumps(style.members()), limit, **search))
    assert pages > 5
    look(path, style, pages)
    return pages


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "lazytiff-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount(8): no disk can be full")
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def go_on(path, style, pages):
    """Append to the file, now that there is room."""
    with lazytiff.open(path, "a", durability=style.durability) as out:
        out.append(style.page(pages))
    look(path, style, pages + 1)


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_full_disk(style, small_disk):
    """A full disk is an OSError, and so is everything after it; with more room the file goes on."""
    path = small_disk / "stack.tif"
    pages = fill(path, style)
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    go_on(path, style, pages)


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such limits")
@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("limit", [300_000, 300_001, 307_200])
def test_limited_file(limit, style, tmp_path):
    """A file that may not grow beyond a limit keeps its pages, also when the last write was cut short by it."""
    path = tmp_path / "stack.tif"
    go_on(path, style, fill(path, style, limit))
