"""Threads, forks and Ctrl-C: programs of their own, since they would disturb the other tests.

They run with -P, without which they would import lazytiff from the folder that the tests are started in.
"""

from __future__ import annotations

import lzma
import os
import signal
import subprocess
import sys
import threading
import time

import helper
import numpy as np
import pytest

import lazytiff

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
SEEN_WITHIN = 1.0  # seconds; the aim is 0.2, which a machine with other work may miss


def run(program, *arguments, timeout=120, **environment):
    """Run a program that must succeed, and return what it prints."""
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def path(tmp_path):
    """Return the path of a stack that is worth several threads."""
    pixels = helper.pixels((10, 512, 512), "u2")
    file = tmp_path / "stack.tif"
    file.write_bytes(helper.tiff(*(helper.page(page, codec="deflate", rows_per_strip=64) for page in pixels)))
    return file


# ---- threads

COUNT_THREADS = """
import sys, threading, lazytiff
with lazytiff.open(sys.argv[1]) as img:
    for _ in range(3):
        img.copy()
print(sum(thread.name.startswith("lazytiff") for thread in threading.enumerate()))
"""


@pytest.mark.parametrize("number", [1, 2, 5])
def test_number_of_threads(number, path):
    """LAZYTIFF_NUM_THREADS is the number of threads of the whole process, made when first needed."""
    assert int(run(COUNT_THREADS, path, LAZYTIFF_NUM_THREADS=str(number))) == number


@pytest.mark.parametrize("number", ["", "0", "-1", "many", "2.5"])
def test_number_of_threads_that_is_none(number, path):
    """Anything but a positive whole number counts as not set: as many threads as CPUs that the process may use."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= int(run(COUNT_THREADS, path, LAZYTIFF_NUM_THREADS=number)) <= most


def test_no_thread_without_work(path):
    """Importing, opening, and reading little starts no thread."""
    program = """
import sys, threading, lazytiff
with lazytiff.open(sys.argv[1]) as img:
    img[0, 5, :7], img[3, 9], img.tags["ImageWidth"]
assert threading.active_count() == 1
"""
    run(program, path)


def test_reading_at_exit(path):
    """What is registered with atexit can read: then in one thread, since none can be started any more."""
    program = """
import atexit, sys, lazytiff
img = lazytiff.open(sys.argv[1], cache_bytes=0)
total = int(img.copy().sum())
atexit.register(lambda: print("read" if int(img.copy().sum()) == total else "wrong"))
"""
    assert run(program, path) == "read\n"


AFTER_THE_MAIN_THREAD = """
import sys, threading, time
import numpy as np, lazytiff
from lazytiff import _pool
img = lazytiff.open(sys.argv[1], cache_bytes=0)
total = int(img.copy().sum())
busy = threading.Event()
_pool.start(lambda: (busy.set(), time.sleep(2)), 1, lambda: None)  # which Python waits for before it ends
busy.wait()
def work():
    time.sleep(0.5)
    assert threading.main_thread().is_alive(), "too late to see anything"
    with lazytiff.empty(sys.argv[1] + ".new", "u2", compression="deflate") as out:
        assert out.append(np.zeros((400, 400), "u2")) == 0
    print("done" if int(img.copy().sum()) == total else "wrong")
threading.Thread(target=work).start()
"""


def test_thread_that_goes_on_when_the_main_thread_has_ended(path):
    """It reads and appends, by itself when the pool takes no more work, as when Python waits for its threads."""
    helper.needs_to_write("deflate")
    assert run(AFTER_THE_MAIN_THREAD, path) == "done\n"


def test_no_thread_to_be_had(path):
    """Where the system gives no more threads, the caller does the work, once; there is no trace of it later."""
    program = """
import sys, threading, lazytiff
from lazytiff import _pool
def refuse(thread):
    raise RuntimeError("can't start new thread")
really, threading.Thread.start = threading.Thread.start, refuse
done = []
_pool.run(lambda: done.append(threading.current_thread()), 3, lambda: None)
with lazytiff.open(sys.argv[1], cache_bytes=0) as img:
    alone = img.copy()
    threading.Thread.start = really
    assert (img.copy() == alone).all() and threading.active_count() > 1
_pool.run(lambda: None, 1, lambda: None)
assert done == [threading.main_thread()]
print(alone.sum())
"""
    assert int(run(program, path)) == lazytiff.load(path).sum()


def test_reading_from_within_the_pool():
    """A source that reads from another array, in a thread of the pool, gets its bytes: nobody waits for himself."""
    outer_pixels = helper.pixels((4, 600, 700), "u2", 1)
    outer_data = helper.tiff(*(helper.page(page, codec="deflate", rows_per_strip=50) for page in outer_pixels))
    padded = np.frombuffer(outer_data.ljust(-len(outer_data) % 4096 + len(outer_data), b"\0"), "u1").reshape(-1, 4096)
    inner_data = helper.tiff(helper.page(padded, codec="deflate", rows_per_strip=100))
    seen = set()

    class Nested:
        """A file whose bytes are the pixels of another one."""

        size = len(outer_data)

        def __init__(self, inner):
            self.inner = inner

        def read_ranges(self, ranges):
            seen.add(threading.current_thread().name.split("_")[0])
            return [self.inner.copy().ravel()[offset : offset + length] for offset, length in ranges]

    done = []

    def read():
        with (
            lazytiff.open(inner_data, cache_bytes=0) as inner,
            lazytiff.open(Nested(inner), workers=8, cache_bytes=0) as img,
        ):
            done.append(np.array_equal(img.copy(), outer_pixels))

    readers = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert done == [True] * 3
    assert "lazytiff" in seen


def test_many_threads_one_array(path):
    """Eight threads read one array whole and in parts: right values each time."""
    expected = lazytiff.load(path)
    wrong = []
    with lazytiff.open(path, cache_bytes=300_000) as img:

        def read(seed):
            rng = np.random.default_rng(seed)
            for _ in range(5):
                page, row, column = rng.integers(10), rng.integers(500), rng.integers(500)
                keys = [
                    (page,),
                    (slice(None), row),
                    (slice(None, None, 2), slice(row, None, 5), column),
                    (rng.permutation(10),),
                ]
                wrong.extend(key for key in keys if not np.array_equal(img[key], expected[key]))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# ---- fork

FORK = """
import os, signal, sys, threading, warnings
import numpy as np
import lazytiff

warnings.simplefilter("ignore", DeprecationWarning)  # CPython 3.12 warns of every fork of a process with threads
img = lazytiff.open(sys.argv[1], workers=2, cache_bytes=1 << 20)
expected = img.copy()
stop = False

def same(array, key):
    return np.array_equal(array[key], expected[key])

def read(seed):
    rng = np.random.default_rng(seed)
    while not stop:
        page, row = int(rng.integers(10)), int(rng.integers(400))
        assert same(img, (page, slice(row, row + 20))) and same(img, (slice(None), row)) and same(img, page)

def child():
    signal.alarm(60)  # a child that hangs is killed
    with lazytiff.open(sys.argv[1]) as fresh:
        keys = (..., 3, (slice(1, 5), 7), (2, slice(5, 9), 3))
        good = all(same(array, key) for array in (img, fresh) for key in keys)
    good = good and np.array_equal(lazytiff.load(sys.argv[1]), expected) and img.tags["ImageWidth"] == 512
    img.close()
    return good and not same_after_close()

def same_after_close():
    try:
        return same(img, 0)
    except lazytiff.ClosedError:
        return False

threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
for thread in threads:
    thread.start()
for i in range(12):
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = 0 if child() else 1
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, (i, status)
    assert same(img, ...)
stop = True
for thread in threads:
    thread.join()
assert same(img, ...)
print("fine")
"""


@forking
def test_fork(path):
    """A child that is forked while threads read goes on with the same arrays, as does its parent."""
    assert run(FORK, path) == "fine\n"


@forking
def test_child_that_ends_as_python_does(path):
    """A child that ends by sys.exit, not by os._exit, ends: it does not wait for threads that it never had."""
    program = """
import os, sys, warnings, lazytiff
warnings.simplefilter("ignore", DeprecationWarning)
img = lazytiff.open(sys.argv[1])
total = int(img.copy().sum())
pid = os.fork()
if pid == 0:
    sys.exit(0 if int(img.copy().sum()) == total else 1)
assert os.waitpid(pid, 0)[1] == 0
assert int(img.copy().sum()) == total
"""
    run(program, path, timeout=60)


@forking
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method, path):
    """Processes of multiprocessing read by path, whether forked from a process that has read or started anew."""
    program = """
import multiprocessing, sys, warnings, lazytiff

def total(arguments):
    path, page = arguments
    return int(lazytiff.load(path, pages=page).sum())

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    expected = [int(page.sum()) for page in lazytiff.load(sys.argv[1])]
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        assert pool.map(total, [(sys.argv[1], page) for page in range(10)]) == expected
"""
    script = path.with_name("script.py")
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, script, path, method], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


# ---- Ctrl-C

INTERRUPT = """
import sys, time
import numpy as np
import lazytiff

path, what = sys.argv[1:]
tile = np.load(path + ".npy")

class Slow:
    '''A source that takes a while, wherever it is called.'''
    def __init__(self):
        self.data = open(path, "rb").read()
        self.size = len(self.data)
        self.slow = False
    def read_ranges(self, ranges):
        if self.slow:
            time.sleep(0.05)
        return [self.data[offset : offset + length] for offset, length in ranges]

source = Slow() if what.startswith("object") else path
workers = 1 if what == "one worker" else None
img = lazytiff.open(source, workers=workers, cache_bytes=0)
reads = {
    "copy": lambda: img[:400, ::8].copy(),
    "one worker": lambda: img[:400, ::8].copy(),
    "load": lambda: lazytiff.load(path, pages=range(400)),
    "pixels": lambda: img[np.arange(len(img)), 5, 5],
    "object": lambda: img[:400, ::8],
    "object, inline": lambda: [img[i, 3, 3] for i in range(len(img))],
}
assert np.array_equal(img[7], tile)
if what.startswith("object"):
    source.slow = True
print("reading", flush=True)
try:
    reads[what]()
    print("it took less than expected", flush=True)
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
if what.startswith("object"):
    source.slow = False
assert not img.closed
for page in (0, 7, len(img) - 1):
    assert np.array_equal(img[page], tile)
assert np.array_equal(lazytiff.load(path, pages=[1, 2]), [tile, tile])
img.close()
print("usable", flush=True)
"""


@pytest.fixture(scope="module")
def slow_path(tmp_path_factory):
    """Return the path of a small file: many large pages that are all one strip, which takes long to decode."""
    tile = np.random.default_rng(1).integers(0, 100, (512, 512), dtype=np.uint8)  # what LZMA decodes most slowly
    page = helper.page(tile, tags={259: 34925})
    page.chunks = [lzma.compress(tile.tobytes(), preset=0)]
    first = helper.tiff(page)
    with lazytiff.open(first) as img:
        offset, count = img.tags["StripOffsets"], img.tags["StripByteCounts"]
    again = helper.Page(
        {**page.tags, 273: helper.Typed(helper.LONG, (offset,)), 279: helper.Typed(helper.LONG, (count,))}
    )
    path = tmp_path_factory.mktemp("slow") / "slow.tif"
    path.write_bytes(helper.tiff(page, *[again] * 2999))
    np.save(f"{path}.npy", tile)
    return path


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to all processes of a console")
@pytest.mark.parametrize("what", ["copy", "one worker", "load", "pixels", "object", "object, inline"])
def test_interrupt(what, slow_path):
    """Ctrl-C during a long read raises KeyboardInterrupt within 200 ms, and the array can be read afterwards."""
    helper.needs("lzma")
    command = [sys.executable, "-P", "-c", INTERRUPT, slow_path, what]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "reading\n"
        time.sleep(0.3)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, out + err
    seen, usable = out.splitlines()
    print(f"{what}: Ctrl-C was seen after {1000 * (float(seen) - sent):.0f} ms")  # noqa: T201  # pytest -rP shows it
    assert usable == "usable"
    assert float(seen) - sent < SEEN_WITHIN
    assert err == ""
