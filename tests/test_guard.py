"""The page-fault guard: files that become shorter under live views. Each case in a process that has to live."""

import os
import signal
import subprocess
import sys

import helper
import numpy as np
import pytest

import lazytiff

TRUNCATIONS = int(os.environ.get("LAZYTIFF_TRUNCATIONS", "40"))  # 500 for the long form
ROUNDS = 20  # in one process
PAGES, SIDE = 200, 64

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the page-fault guard is for POSIX systems")

PRELUDE = """
import faulthandler, os, random, sys, threading, time
import numpy as np
import lazytiff

path, seed, rounds, pages, side = sys.argv[1], *map(int, sys.argv[2:6])
whole = open(path, "rb").read()
chance = random.Random(seed)

def restore():
    with open(path, "r+b") as file:  # the same inode
        file.write(whole)

def truncate():
    time.sleep(chance.random() / 500)
    os.truncate(path, chance.randrange(len(whole)))

def touch(view, seconds=0.02):
    end = time.monotonic() + seconds
    numbers = np.random.default_rng(seed)
    while time.monotonic() < end:
        view[numbers.integers(0, len(view), 100), numbers.integers(0, side, 100), 5].sum()
"""


@pytest.fixture
def path(tmp_path):
    """Return a file of pages behind their IFDs, 1.7 MB."""
    pages = helper.pixels((PAGES, SIDE, SIDE), np.uint16)
    (tmp_path / "stack.tif").write_bytes(helper.tiff(*map(helper.page, pages)))
    return tmp_path / "stack.tif"


def child(path, code, *options, seed=0, rounds=1):
    """Run code after PRELUDE in a process of its own."""
    arguments = [str(number) for number in (seed, rounds, PAGES, SIDE)]
    command = [sys.executable, "-P", *options, "-c", PRELUDE + code, str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


TRUNCATED = """
for turn in range(rounds):
    restore()
    img = lazytiff.open(path, chance.choice(["r", "r+", "c"]), mmap=True, guard=True)
    views = [np.asarray(img), img[3:], img[::-1]]
    threads = [threading.Thread(target=touch, args=(chance.choice(views),)) for _ in range(workers)]
    threads.append(threading.Thread(target=truncate))
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    try:
        img[0]
    except lazytiff.FileChangedError:
        pass
    else:
        sys.exit(f"turn {turn}: no FileChangedError")
    del views, threads
    img.close()
    restore()
"""


@pytest.mark.parametrize("options", [[], ["-X", "faulthandler"]], ids=["plain", "faulthandler"])
def test_truncations(options, path):
    """A file that is cut at any moment under live views is a FileChangedError, never a signal."""
    for seed in range(-(-TRUNCATIONS // ROUNDS // 2)):
        done = child(path, "workers = 1" + TRUNCATED, *options, seed=seed, rounds=ROUNDS)
        assert (done.returncode, done.stderr) == (0, "")


def test_threads(path):
    """So it is when 8 threads touch pixels."""
    done = child(path, "workers = 8" + TRUNCATED, rounds=10)
    assert (done.returncode, done.stderr) == (0, "")


def test_faulthandler_enabled_afterwards(path):
    """Python's faulthandler then sees the signal first, prints its report, and the process goes on."""
    code = """
img = lazytiff.open(path, mmap=True, guard=True)
view = np.asarray(img)
faulthandler.enable()
os.truncate(path, 5000)
view[:, 0, 0].sum()
view[100:].sum()
try:
    img[0]
except lazytiff.FileChangedError:
    print("alive")
"""
    done = child(path, code)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
    assert "Bus error" in done.stderr


def test_what_a_poisoned_array_does(path):
    """Zeros in the place of what is gone; every further use, flush and copy included, is a FileChangedError."""
    code = """
other = lazytiff.open(sys.argv[6], mmap=True, guard=True)
img = lazytiff.open(path, "r+", mmap=True, guard=True)
view = np.asarray(img)
os.truncate(path, 100_000)
assert view[-1].sum() == 0
restore()
uses = [lambda: img[0], lambda: img.copy(), lambda: np.asarray(img), img.flush, lambda: img.__setitem__(0, 1)]
for number, use in enumerate(uses):
    try:
        use()
    except lazytiff.FileChangedError as error:
        assert "stack.tif" in str(error)
    else:
        sys.exit(f"use {number} went on")
view[-1] = 7  # to nowhere
assert other[0].shape == (side, side)
"""
    other = path.with_name("other.tif")
    other.write_bytes(path.read_bytes())
    arguments = [str(path), "0", "1", str(PAGES), str(SIDE), str(other)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PRELUDE + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert lazytiff.load(path)[-1].any()


def test_random_access_everywhere(tmp_path):
    """A file of many memory pages that is cut to nothing is patched once, not page by page."""
    path = tmp_path / "large.tif"
    lazytiff.zeros(path, (100, 2048, 2048), np.uint8).close()
    code = """
img = lazytiff.open(path, mmap=True, guard=True)
view = np.asarray(img).reshape(-1)
os.truncate(path, 0)
at = np.random.default_rng(0).integers(0, view.size, 1_000_000)
assert view[at].sum() == 0
"""
    done = child(path, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_guard(path):
    """To touch what is gone kills the process, as the documentation says."""
    code = """
view = np.asarray(lazytiff.open(path, mmap=True))
os.truncate(path, 100)
view.sum()
"""
    assert child(path, code).returncode == -signal.SIGBUS


@pytest.mark.parametrize("guarded", [True, False])
def test_signals_that_are_not_ours(guarded, path):
    """A fault in somebody else's map kills the process as it did before, guard or not."""
    code = f"""
import mmap
img = lazytiff.open(path, mmap=True, guard={guarded})
with open(sys.argv[1] + ".other", "w+b") as file:
    file.truncate(1 << 16)
    foreign = mmap.mmap(file.fileno(), 0)
    file.truncate(0)
foreign[5000]
"""
    assert child(path, code).returncode == -signal.SIGBUS


def test_signals_that_are_sent(path):
    """A SIGBUS from another process is delivered; Python's own handler is called when there was one."""
    code = """
import signal
signal.signal(signal.SIGBUS, lambda *_: print("called", flush=True))
img = lazytiff.open(path, mmap=True, guard=True)
if os.fork() == 0:
    os.kill(os.getppid(), signal.SIGBUS)
    os._exit(0)
os.wait()
time.sleep(0.1)
"""
    done = child(path, code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "called\n", "")


def test_after_a_fork(path):
    """The child of a fork is guarded too, and its poisoned map is its own."""
    code = """
img = lazytiff.open(path, mmap=True, guard=True)
view = np.asarray(img)
if (pid := os.fork()) == 0:
    os.truncate(path, 9000)
    os._exit(int(view[-1].sum()))
assert os.waitpid(pid, 0)[1] == 0
assert view[-1].sum() == 0
"""
    done = child(path, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_guard_is_for_maps(path):
    """guard=True without mmap=True is refused in words."""
    with pytest.raises(ValueError, match="mmap=True"):
        lazytiff.open(path, guard=True)
