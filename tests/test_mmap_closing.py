"""Closing a mapped file: views that are alive, garbage collection in any order, threads, fork."""

import contextlib
import gc
import itertools
import os
import pickle
import subprocess
import sys
import threading
import time

import helper
import numpy as np
import pytest

import lazytiff

on_linux = pytest.mark.skipif(
    not os.path.exists("/proc/self/maps"), reason="the system does not list its maps in /proc"
)


@pytest.fixture
def path(tmp_path):
    """Return a file of five pages."""
    (tmp_path / "stack.tif").write_bytes(helper.tiff(*map(helper.page, helper.pixels((5, 32, 48), np.uint16))))
    return tmp_path / "stack.tif"


def is_mapped(path):
    """Tell whether this process maps the file."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return any(str(path) in line for line in maps)


@on_linux
def test_with(path):
    """A with block closes the array and never raises; the last view unmaps."""
    with lazytiff.open(path, mmap=True) as img:
        first, second = img[0], img[1, 3:]
    assert img.closed
    with pytest.raises(lazytiff.ClosedError):
        img[0]
    assert first.any()
    del first
    assert is_mapped(path)
    assert second.any()
    del second
    assert not is_mapped(path)


def test_exceptions_pass_through_with(path):
    """An exception of the user's leaves a with block as it was."""
    error = KeyError("mine")
    views = []
    with pytest.raises(KeyError) as caught, lazytiff.open(path, mmap=True) as img:  # noqa: PT012  # that is the test
        views.append(img[0])
        raise error
    assert caught.value is error
    assert views[0].any()


@on_linux
def test_close_tells_how_many_views_are_alive(path):
    """close() raises BufferError and closes nothing; without views it unmaps at once, and may be called again."""
    img = lazytiff.open(path, mmap=True)
    views = [img[0], img[1:3], np.asarray(img)]
    with pytest.raises(BufferError, match="3 views"):
        img.close()
    assert not img.closed
    part = views[0][3:5, ::2]
    del views[:]
    with pytest.raises(BufferError, match="1 view of"):
        img.close()
    assert img[0].any()
    del part
    img.close()
    assert not is_mapped(path)
    assert img.closed
    img.close()


@on_linux
def test_views_in_cycles_are_not_alive(path):
    """close() collects garbage before it counts."""
    img = lazytiff.open(path, mmap=True)
    cycle = [img[0]]
    cycle.append(cycle)
    del cycle
    img.close()
    assert not is_mapped(path)


def test_copies_are_no_views(path):
    """Scalars, copies and what fancy indices give keep nothing open."""
    img = lazytiff.open(path, mmap=True)
    kept = img[0, 0, 0], img[[0, 1]], img.copy(), np.array(img), img[..., [1, 2]]
    img.close()
    assert kept[2].any()


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_every_use_after_close(mode, path):
    """Every use is a ClosedError."""
    img = lazytiff.open(path, mode, mmap=True)
    img.close()
    uses = [
        lambda: img[0],
        lambda: np.asarray(img),
        lambda: img.tile_view,
        img.copy,
        img.flush,
        img.refresh,
        lambda: img.tags["ImageWidth"],
        lambda: next(iter(img)),
    ]
    uses += [] if mode == "r" else [lambda: img.__setitem__(0, 1)]
    uses += [] if mode == "c" else [lambda: pickle.dumps(img)]
    for use in uses:
        with pytest.raises(lazytiff.ClosedError):
            use()
    assert "closed" in repr(img)
    assert "closed" in img.explain()


@on_linux
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_garbage_in_any_order(order, path):
    """The array, its views and its pages may go in any order; the last one unmaps."""
    img = lazytiff.open(path, mmap=True)
    things = [img, img[2], np.asarray(img)[1:], img.pages]
    del img
    for number in order:
        if things[1] is not None:
            assert things[1].any()
        things[number] = None
        gc.collect()
    assert not is_mapped(path)


def test_file_can_be_replaced_after_close(path):
    """After close() the file can be deleted and another one take its name, on Windows too."""
    img = lazytiff.open(path, "r+", mmap=True)
    img[0] = 1
    img.close()
    path.unlink()
    path.write_bytes(helper.tiff(helper.page(np.full((4, 4), 9, np.uint8))))
    with lazytiff.open(path, mmap=True) as img:
        assert img[0, 0] == 9


@on_linux
def test_failed_opening_leaves_nothing(tmp_path):
    """A file that is not mapped leaves no map and no descriptor behind."""
    packed = tmp_path / "packed.tif"
    packed.write_bytes(helper.tiff(helper.page(helper.pixels((32, 32), np.uint16), codec="lzw")))
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(lazytiff.NotMappableError):
            lazytiff.open(packed, "r+", mmap=True)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert not is_mapped(packed)


@on_linux
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_closing_while_others_index(mode, path):
    """Threads that index while another one closes get ClosedError, it gets BufferError meanwhile; nobody crashes."""
    for _ in range(20):
        img, unexpected = lazytiff.open(path, mode, mmap=True), []
        threads = [threading.Thread(target=use_until_closed, args=(img, mode, unexpected)) for _ in range(4)]
        for thread in threads:
            thread.start()
        while not img.closed:
            with contextlib.suppress(BufferError):
                img.close()
        for thread in threads:
            thread.join()
        assert unexpected == []
    assert not is_mapped(path)


def use_until_closed(img, mode, unexpected):
    """Index, and in mode "r+" assign, until the array is closed."""
    try:
        while True:
            img[1].sum()
            img[[0, 2]].sum()
            if mode == "r+":
                img[3] = 5
            time.sleep(1e-4)  # without a view: or closing waits, by chance for minutes, until no thread has one
    except lazytiff.ClosedError:
        pass
    except Exception as error:  # noqa: BLE001  # the main thread shall see it
        unexpected.append(error)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork(path):
    """The child of a fork, made while other threads index, uses views and array; then the parent goes on."""
    code = """
import os, sys, threading, warnings
import lazytiff
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from CPython 3.12 on
img = lazytiff.open(sys.argv[1], "r+", mmap=True)
view, done = img[1], threading.Event()
def index():
    while not done.is_set():
        img[2].sum()
threads = [threading.Thread(target=index) for _ in range(4)]
for thread in threads: thread.start()
for turn in range(20):
    pid = os.fork()
    if pid == 0:
        img[0, 0, 0] = turn
        os._exit(0 if view.any() and img[2].any() and img.closed is False else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert img[0, 0, 0] == turn
done.set()
for thread in threads: thread.join()
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
