"""Lazy operations where something goes wrong: threads that wait for each other, forks, interrupted work, half files."""

import gc
import os
import threading
import weakref
from contextlib import suppress

import helper
import numpy as np
import pytest
from test_processes import forking, run

import lazytiff
from lazytiff import _blocks

PAGES = helper.pixels((12, 64, 64), "u2")


@pytest.fixture
def img(monkeypatch):
    """Return a stack that is reduced in several blocks."""
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 1 << 14)
    data = helper.tiff(*(helper.page(page, codec="deflate", rows_per_strip=16) for page in PAGES))
    with lazytiff.open(data) as array:
        yield array


def fail(block):
    """Fail where the last page is."""
    if (block == PAGES[-1, -1, -1]).any():
        raise ZeroDivisionError
    return block


THREADS_IN_MAP = """
import sys, threading, numpy as np, lazytiff
from lazytiff import _blocks
_blocks.BLOCK_BYTES = 1 << 18
with lazytiff.open(sys.argv[1]) as img, lazytiff.open(sys.argv[1]) as other:
    def func(block):
        found = []
        thread = threading.Thread(target=lambda: found.append(other.max()))
        thread.start()
        thread.join()
        return block // found[0]
    print((img.lazy[:2].map(func, np.uint16)).max())
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_threads_that_functions_begin(workers, tmp_path):
    """All threads of the pool wait for threads of a function of the user's, which reduce: they do it themselves."""
    lazytiff.save(tmp_path / "stack.tif", helper.pixels((4, 512, 512), "u2"), compression="deflate")
    assert run(THREADS_IN_MAP, tmp_path / "stack.tif", timeout=60, LAZYTIFF_NUM_THREADS=str(workers)).split() == ["1"]


FORK_BETWEEN_BLOCKS = """
import os, signal, sys, warnings, lazytiff
warnings.simplefilter("ignore", DeprecationWarning)
with lazytiff.open(sys.argv[1]) as img:
    blocks = img.iter_blocks(1 << 19)
    next(blocks)
    if (child := os.fork()) == 0:
        signal.alarm(30)
        pixels = img.copy()
        good = [bool((block == pixels[index]).all()) for index, block in blocks]
        os._exit(len(good) if all(good) else 99)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sum(1 for _ in blocks))
"""


@forking
@pytest.mark.parametrize("workers", [1, 3])
def test_fork_between_blocks(workers, tmp_path):
    """A child that is forked while blocks are read ahead reads those itself; the parent goes on."""
    lazytiff.save(tmp_path / "stack.tif", helper.pixels((20, 512, 512), "u2"), compression="deflate")
    assert run(FORK_BETWEEN_BLOCKS, tmp_path / "stack.tif", LAZYTIFF_NUM_THREADS=str(workers)).split() == ["19", "19"]


def leave_early(array):
    """Leave the loop over its blocks."""
    for _ in array.iter_blocks(8192):
        break


def fail_midway(array):
    """Reduce what fails."""
    with suppress(ZeroDivisionError):  # pytest.raises would hold the frames
        array.map(fail, np.uint16).sum()


@pytest.mark.parametrize("work", [leave_early, fail_midway])
def test_nothing_stays(work, tmp_path):
    """After work that did not come to its end an array is gone when it is let go, without garbage collection."""
    lazytiff.save(tmp_path / "stack.tif", PAGES, compression="deflate", chunk_shape=16)
    array = lazytiff.open(tmp_path / "stack.tif", workers=3)
    gone = threading.Event()
    weakref.finalize(array, gone.set)
    gc.disable()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_blocks, "BLOCK_BYTES", 1 << 14)
            work(array)
        del array
        assert gone.wait(10)  # threads of the pool may be at it for a moment
    finally:
        gc.enable()


# ---- np.save


def test_save_that_fails(img, tmp_path):
    """What np.save did not write to its end is not there; what was there before stays."""
    for path in (tmp_path / "new.npy", tmp_path / "old.npy"):
        if path.stem == "old":
            np.save(path, np.arange(3))
        with pytest.raises(ZeroDivisionError):
            np.save(path, img.map(fail, np.uint16))
    assert [path.name for path in tmp_path.iterdir()] == ["old.npy"]
    helper.assert_same(np.load(tmp_path / "old.npy"), np.arange(3))


def test_save_where_it_is_mapped(img, tmp_path):
    """np.save into the file that the view is computed with, by a map; the file's mode stays."""
    path = tmp_path / "dark.npy"
    np.save(path, PAGES[0])
    path.chmod(0o640)
    np.save(path, img ^ np.load(path, mmap_mode="r"))
    helper.assert_same(np.load(path), PAGES ^ PAGES[0])
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_save_through_a_link(img, tmp_path):
    """np.save writes the file that a link leads to, as NumPy does."""
    (tmp_path / "link.npy").symlink_to(tmp_path / "file.npy")
    np.save(tmp_path / "link.npy", img)
    assert (tmp_path / "link.npy").is_symlink()
    helper.assert_same(np.load(tmp_path / "file.npy"), PAGES)


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[ms]", "U5", ">u4", "f2", "c8", object])
def test_save_of_other_dtypes(dtype, img, tmp_path):
    """np.save of views of any dtype, also those of which there is no buffer, and objects; by keywords too."""
    view = (img % 1000).map(lambda block: block.astype(dtype), dtype)
    np.save(file=tmp_path / "it", arr=view)
    found = np.load(tmp_path / "it.npy", allow_pickle=True)
    assert found.dtype == np.dtype(dtype)
    assert (found == (PAGES % 1000).astype(dtype)).all()


@pytest.mark.parametrize(
    "use", [lambda view: view.max(), lambda view: view[...], lambda view: list(view.iter_blocks(1))]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_that_stops_iteration(tmp_path, use, workers):
    """A StopIteration of a function ends no loop of ours: it is an error."""
    pages = helper.pixels((5, 20, 30), "u2")
    (tmp_path / "stack.tif").write_bytes(helper.tiff(*map(helper.page, pages)))
    with lazytiff.open(tmp_path / "stack.tif", workers=workers) as img:
        view = img.map(lambda _: next(iter(())), dtype="u2")
        with pytest.raises((RuntimeError, StopIteration)):
            use(view)
