"""One writer, many readers: locks, forked children, threads, and what is left when an array is deleted."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import threading
import time
from collections import Counter, deque

import helper
import numpy as np
import pytest
from test_mmap_system import compiled_shim, on_linux
from test_processes import forking, run

import lazytiff
from lazytiff import _pages, _reading

PAGES = helper.pixels((6, 30, 40), "u2")
KINDS = pytest.mark.parametrize("options", [{}, {"compression": "deflate"}], ids=["as it is", "deflate"])

pytestmark = pytest.mark.skipif(
    sys.platform not in ("linux", "win32"), reason="locks within one process are those of Linux and Windows"
)


@pytest.fixture
def path(tmp_path):
    """Return the path of a stack of three pages that nobody has open."""
    path = tmp_path / "stack.tif"
    with lazytiff.empty(path, "u2") as out:
        out.extend(PAGES[:3])
    return path


def is_locked(path):
    """Tell whether a writer would be refused."""
    try:
        lazytiff.open(path, "a").close()
    except lazytiff.LockedError:
        return True
    return False


OPEN = """
import sys, lazytiff
try:
    lazytiff.open(sys.argv[1], sys.argv[2], mmap=sys.argv[2] == "r+").close()
except lazytiff.LockedError as error:
    assert isinstance(error, BlockingIOError)
    print("locked")
"""


# ---- Locks


@pytest.mark.parametrize("how", ["empty", "open"])
def test_second_writer(how, path):
    """A second writer, in this process or another, is refused at once for as long as the first one is open."""
    if how == "empty":
        path.unlink()
    out = lazytiff.empty(path, "u2") if how == "empty" else lazytiff.open(path, "a")
    out.append(PAGES[0])
    start = time.monotonic()
    with pytest.raises(lazytiff.LockedError, match="open for writing elsewhere"):
        lazytiff.open(path, "a")
    assert time.monotonic() - start < 1
    assert run(OPEN, path, "a") == "locked\n"
    out.append(PAGES[1])
    out.close()
    assert run(OPEN, path, "a") == ""
    assert not is_locked(path)


def test_maps_that_are_written_to(path):
    """Who fills pages through maps and who appends pages exclude each other; there may be many of the first."""
    with lazytiff.open(path, "r+", mmap=True), lazytiff.open(path, "r+", mmap=True):
        with pytest.raises(lazytiff.LockedError, match="open for writing elsewhere"):
            lazytiff.open(path, "a")
        assert run(OPEN, path, "a") == "locked\n"
        assert run(OPEN, path, "r+") == ""
    with lazytiff.open(path, "a") as out:
        with pytest.raises(lazytiff.LockedError, match="structure is being changed elsewhere"):
            lazytiff.open(path, "r+", mmap=True)
        assert run(OPEN, path, "r+") == "locked\n"
        assert out.append(PAGES[3]) == 3
    lazytiff.open(path, "r+", mmap=True).close()


def test_readers(path):
    """Readers of all kinds come and go while a writer, or a map that is written to, has its lock."""
    ways = ({}, {"mmap": True}, {"mmap": True, "mode": "c"})
    with lazytiff.open(path, "a") as out:
        for count in (3, 4):
            for way in ways:
                with lazytiff.open(path, **way) as img:
                    assert (np.asarray(img[...]) == PAGES[:count]).all()
            assert (lazytiff.load(path) == PAGES[:count]).all()
            assert is_locked(path)
            out.append(PAGES[count])
    with lazytiff.open(path, "r+", mmap=True):
        for way in ways:
            lazytiff.open(path, **way).close()
        assert is_locked(path)


@KINDS
def test_deleted(options, path):
    """An array that is deleted lets go of its lock, and of the file, at once."""
    path.unlink()
    gc.disable()
    try:
        out = lazytiff.empty(path, "u2", **options)
        out.extend(PAGES[:2])
        assert (out[1] == PAGES[1]).all()
        assert is_locked(path)
        del out
        assert not is_locked(path)
        out = lazytiff.open(path, "a")
        out.append(PAGES[2])
        assert (out[...] == PAGES[:3]).all()
        with pytest.raises(lazytiff.FrameTypeError):
            out.append(PAGES[0, :3])
        del out
        assert not is_locked(path)
    finally:
        gc.enable()


# ---- Forks


CHILD = """
import os, sys, numpy as np, lazytiff
pages = np.load(sys.argv[2])
path = sys.argv[1]
options = eval(sys.argv[3])

def is_locked():
    try:
        lazytiff.open(path, "a").close()
    except lazytiff.LockedError:
        return True
    return False

out = lazytiff.empty(path, "u2", **options)
out.extend(pages[:2])
go, done = os.pipe(), os.pipe()
child = os.fork()
os.close(go[1] if child == 0 else done[1])  # so that nobody waits for one who has failed
if child == 0:
    for appends in (lambda: out.append(pages[2]), lambda: out.extend(pages[2:3])):
        try:
            appends()
        except lazytiff.LockedError as error:
            assert "forked" in str(error)
        else:
            os._exit(1)
    if not (out[...] == pages[:2]).all() or not is_locked():
        os._exit(2)
    os.write(done[1], b"1")
    os.read(go[0], 1)  # the parent has appended
    if sys.argv[4] == "closes":
        out.close()
    if not is_locked():
        os._exit(3)
    os.write(done[1], b"2")
    os.read(go[0], 1)  # the parent has closed
    os._exit(4 if is_locked() else 0)
assert os.read(done[0], 1) == b"1"
assert out.append(pages[2]) == 2
os.write(go[1], b"1")
assert os.read(done[0], 1) == b"2", os.waitpid(child, 0)
assert is_locked()
assert out.append(pages[3]) == 3
assert (out[...] == pages[:4]).all()
out.close()
assert not is_locked(), "a child of the writer keeps its lock"
os.write(go[1], b"2")
assert os.waitpid(child, 0)[1] == 0
assert (lazytiff.load(path) == pages[:4]).all()
"""


@forking
@KINDS
@pytest.mark.parametrize("child", ["closes", "keeps"])
def test_forked_child(child, options, tmp_path):
    """A forked child reads and does not write; the lock is the parent's until it closes, whatever the child does."""
    np.save(tmp_path / "pages.npy", PAGES)
    run(CHILD, tmp_path / "stack.tif", tmp_path / "pages.npy", repr(options), child)


FORKS = """
import os, sys, lazytiff
out = lazytiff.open(sys.argv[1], "a")
if os.fork() == 0:
    sys.exit()  # with all that an interpreter does at its end
os.wait()
try:
    lazytiff.open(sys.argv[1], "a")
except lazytiff.LockedError:
    print("locked")
out.append(out[0])
"""


@forking
def test_end_of_a_forked_child(path):
    """A child that ends, and frees all that it has from its parent, does not free the lock."""
    assert run(FORKS, path) == "locked\n"
    assert (lazytiff.load(path) == PAGES[[0, 1, 2, 0]]).all()


SAVES = """
import os, sys, numpy as np, lazytiff

class Forks:
    shape, dtype = (2, 3, 4), np.dtype("u1")

    def __getitem__(self, key):
        child = os.fork()
        if child == 0:
            raise SystemExit  # through all that is open
        os.waitpid(child, 0)
        return np.ones((2, 3, 4), "u1")

lazytiff.save(sys.argv[1], Forks())
"""


@forking
@on_linux
def test_end_of_a_child_of_save(tmp_path):
    """A child that ends does not take away the file that its parent has not named yet, where such files have names."""
    path = tmp_path / "new.tif"
    run(SAVES, path, LD_PRELOAD=compiled_shim(tmp_path), SHIM_NO_TMPFILE="1")
    assert lazytiff.load(path).all()
    assert not list(tmp_path.glob(".lazytiff*"))


def test_killed_writer(path):
    """A writer that is killed has no lock any more."""
    program = "import sys, time, lazytiff; out = lazytiff.open(sys.argv[1], 'a'); print(1, flush=True); time.sleep(60)"
    command = [sys.executable, "-P", "-c", program, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        assert is_locked(path)
        process.kill()
    assert not is_locked(path)


# ---- Threads


def numbered(number, dtype="u4"):
    """Make the page of that number, which each of its pixels tells."""
    return np.arange(600, dtype=dtype).reshape(20, 30) * 1000 + number


def run_threads(*functions):
    """Run functions in threads of their own, and raise what one of them raised."""
    errors = []

    def call(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    threads = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@KINDS
def test_threads_that_append(options, tmp_path):
    """Eight threads append and read: numbers are consecutive, and each page is the one that was appended."""
    path = tmp_path / "stack.tif"
    count = 60
    numbers = {}
    with lazytiff.empty(path, "u4", **options) as out:

        def work(thread):
            for i in range(count):
                content = thread * count + i
                if i % 10 == 9:
                    before = len(out)
                    assert out.extend([numbered(content)]) == 1
                    assert len(out) > before
                    continue
                number = out.append(numbered(content))
                assert (out[number] == numbered(content)).all()
                assert (out[number, 3:5, -7:] == numbered(content)[3:5, -7:]).all()
                assert len(out) > number
                numbers[number] = content

        run_threads(*(lambda thread=thread: work(thread) for thread in range(8)))
        assert len(out) == 8 * count
        assert len(numbers) == 8 * count * 9 // 10
        contents = out[:, 0, 0]
        assert sorted(contents) == list(range(8 * count))
        assert all(contents[number] == content for number, content in numbers.items())
    found = lazytiff.load(path)
    for number, content in enumerate(contents):
        assert (found[number] == numbered(content)).all()


@pytest.fixture
def meanwhile():
    """Give what calls a function in another thread, and waits for its end, but not for ever: that may wait for us."""
    threads, errors = [], []

    def start(function):
        def call():
            try:
                function()
            except BaseException as error:  # noqa: BLE001  # raised below
                errors.append(error)

        threads.append(threading.Thread(target=call))
        threads[-1].start()
        threads[-1].join(0.3)
        return threads[-1]

    yield start
    for thread in threads:
        thread.join()
    assert not errors


def test_reading_while_another_thread_catches_up(tmp_path, meanwhile, monkeypatch):
    """A page that was acknowledged reads back while another thread is taking it in."""
    with lazytiff.empty(tmp_path / "new.tif", "u4", compression="deflate") as out:
        out.extend([numbered(0)])
        assert (out[0] == numbered(0)).all()
        out.append(numbered(1))
        make, found, threads = _reading.ChunkReader.of, [], []

        def make_meanwhile(reader, table):
            threads.append(meanwhile(lambda: found.append(out[1])))
            return make(reader, table)

        monkeypatch.setattr(_reading.ChunkReader, "of", make_meanwhile)
        assert (out[1] == numbered(1)).all()
        monkeypatch.undo()
        threads[0].join()
    assert (found[0] == numbered(1)).all()


def test_numbers_that_another_thread_puts_back(tmp_path, monkeypatch):
    """Who counts the pages has as many as there are, even if another thread, which saw fewer, comes after it."""
    with lazytiff.empty(tmp_path / "new.tif", "u4") as out:
        out.extend(map(numbered, range(5)))
        late = property(lambda _: np.arange(1), lambda *_: None)
        monkeypatch.setattr(lazytiff.AppendTiff, "_all_numbers", late, raising=False)
        assert (out[4] == numbered(4)).all()


@pytest.mark.parametrize("mmap", [True, False], ids=["mapped", "lazy"])
def test_two_refreshes_at_a_time(mmap, tmp_path, meanwhile, monkeypatch):
    """An array keeps the pages that it has when a refresh that began earlier ends later; each page is counted once."""
    look, counts, threads = _pages.PageTable.refresh, [], []
    with lazytiff.empty(tmp_path / "new.tif", "u4") as out:
        out.append(numbered(0))
        with lazytiff.open(out.path, mmap=mmap, squeeze=False) as img:

            def look_slowly(table):
                monkeypatch.undo()
                found = look(table)
                out.append(numbered(2))
                threads.append(meanwhile(lambda: counts.append(img.refresh())))
                return found

            out.append(numbered(1))
            monkeypatch.setattr(_pages.PageTable, "refresh", look_slowly)
            counts.append(img.refresh())
            threads[0].join()
            assert (len(img), counts) == (3, [1, 1])
            assert (img[2] == numbered(2)).all()


@KINDS
@pytest.mark.parametrize("way", ["append", "extend"])
def test_closing_while_others_append(way, options, tmp_path):
    """What was acknowledged before another thread closed the array is in the file; the rest is a ClosedError."""
    for attempt in range(10):
        path = tmp_path / f"stack{attempt}.tif"
        out = lazytiff.empty(path, "u4", **options)
        acknowledged = []
        begun = threading.Barrier(4)

        def append(content, out=out, acknowledged=acknowledged):
            if way == "append":
                acknowledged.append((out.append(numbered(content)), content))
            else:
                assert out.extend([numbered(content)] * 3, batch=2) == 3
                acknowledged.append((None, content))

        def work(thread, begun=begun, append=append):
            begun.wait()
            with pytest.raises(lazytiff.ClosedError):
                deque(map(append, itertools.count(thread * 300_000)), maxlen=0)

        def close(out=out, begun=begun, attempt=attempt):
            begun.wait()
            time.sleep(0.003 * attempt)
            out.close()

        run_threads(*(lambda thread=thread: work(thread) for thread in range(3)), close)
        with lazytiff.open(path, "a", dtype="u4") as again:
            contents = again[:, 0, 0] if len(again) else []
            for number, content in enumerate(contents):
                assert (again[number] == numbered(content)).all()
            if way == "append":
                assert dict(acknowledged) == dict(enumerate(contents))
            else:
                assert not Counter([content for _, content in acknowledged] * 3) - Counter(contents)
