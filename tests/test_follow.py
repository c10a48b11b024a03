"""`follow`: pages of a growing file, as they come, until its writer has ended."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress

import helper
import numpy as np
import pytest
import tiff_bytes
import tifffile
from test_mmap import STACK, assert_equal, rewrite

import lazytiff
from lazytiff import _follow, _source

MMAP = pytest.mark.parametrize("mmap", [True, False], ids=["mapped", "lazy"])
LOCKS = pytest.mark.skipif(sys.platform != "linux", reason="the lock is taken as Linux has it")

# A writer in another process that holds the lock: each line it is told to append a page, until its input ends.
WRITER = """
import fcntl, struct, sys
sys.path.insert(0, {tests!r})
import numpy as np, tiff_bytes
pixels = np.load({pages!r})
file = tiff_bytes.Builder()
with open({path!r}, "w+b", buffering=0) as out:
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 2**63 - 2, 1, 0)
    fcntl.fcntl(out, getattr(fcntl, "F_OFD_SETLK", 37), lock)
    out.write(file.bytes)
    print("begun", flush=True)
    for page in pixels:
        if not sys.stdin.readline():
            break
        size, link = len(file.bytes), file.link_at
        file.page(file.gray(page))
        out.seek(size)
        out.write(file.bytes[size:])
        out.seek(link)
        out.write(file.bytes[link : link + 4])
        print("appended", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path):
    """Write STACK to a file."""
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff_bytes.stack(STACK).bytes)
    return path


def append(path, image):
    """Have tifffile append a page; it makes the file when there is none."""
    tifffile.imwrite(path, image, append=path.exists(), photometric="minisblack", metadata=None)


class Writer:
    """A process that writes STACK to path, page by page as it is told, and holds the lock."""

    def __init__(self, path, tmp_path):
        np.save(tmp_path / "pages.npy", STACK)
        tests = os.path.dirname(os.path.abspath(__file__))
        code = WRITER.format(tests=tests, pages=str(tmp_path / "pages.npy"), path=str(path))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], **pipes)
        assert self.process.stdout.readline() == "begun\n"

    def append(self):
        """Have it append a page, and wait until that is there."""
        self.process.stdin.write("\n")
        assert self.process.stdout.readline() == "appended\n"

    def end(self):
        """Have it close the file."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture
def writer(tmp_path):
    """Start a writer of a file that does not exist yet."""
    writer = Writer(tmp_path / "new.tif", tmp_path)
    yield writer
    writer.end()


@contextmanager
def later(function, *arguments, after=0.1):
    """Call the function in another thread, a little later."""
    timer = threading.Timer(after, function, arguments)
    timer.start()
    yield
    timer.join()


def open_files(path):
    """Return how often this process has the file open."""
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.path.exists(link) and os.path.samefile(link, path) for link in links)


# ---- What comes


@MMAP
def test_what_is_there(mmap, path):
    """Without a writer the pages that are there come, each for itself, and then the end."""
    pages = list(lazytiff.follow(path, mmap=mmap))
    assert len(pages) == len(STACK)
    for page, expected in zip(pages, STACK, strict=True):
        assert_equal(page, expected)
    assert all(page.flags.writeable for page in pages) or mmap


def test_one_page(tmp_path):
    """A file of one page gives that page, and it may grow."""
    path = tmp_path / "one.tif"
    append(path, STACK[0])
    pages = lazytiff.follow(path)
    assert_equal(next(pages), STACK[0])
    append(path, STACK[1])
    assert_equal(next(pages), STACK[1])
    assert list(pages) == []


@MMAP
def test_pages_of_another_program(mmap, path):
    """With a timeout pages come as a program without locks appends them, and the end when none has come for long."""
    more = tiff_bytes.frames(9, (5, 7), "u2")
    pages = lazytiff.follow(path, 0.4, 0.01, mmap=mmap)
    for expected in more[:6]:
        assert_equal(next(pages), expected)
    for expected in more[6:]:
        with later(append, path, expected):
            assert_equal(next(pages), expected)
    begin = time.monotonic()
    assert next(pages, None) is None
    assert 0.3 < time.monotonic() - begin < 5


@LOCKS
@MMAP
def test_writer_in_another_process(mmap, writer, tmp_path):
    """Pages come from the first on, in the order of writing, until the writer lets go of the lock: no timeout."""
    writer.append()
    pages = lazytiff.follow(tmp_path / "new.tif", poll=0.01, mmap=mmap)
    found = [next(pages)]
    for _ in STACK[1:4]:
        with later(writer.append, after=0.03):
            found.append(next(pages))
    writer.append()
    writer.append()
    with later(writer.end):
        found += list(pages)
    assert len(found) == len(STACK)
    for page, expected in zip(found, STACK, strict=True):
        assert_equal(page, expected)


@LOCKS
def test_writer_without_a_page(writer, tmp_path):
    """A writer that ends without having written a page ends it too."""
    with later(writer.end):
        assert list(lazytiff.follow(tmp_path / "new.tif", poll=0.01)) == []


@LOCKS
def test_writer_that_is_killed(writer, tmp_path):
    """A killed writer holds no lock: the pages that it published come, then the end."""
    writer.append()
    pages = lazytiff.follow(tmp_path / "new.tif", poll=0.01)
    assert_equal(next(pages), STACK[0])
    writer.append()
    writer.process.kill()
    (last,) = pages
    assert_equal(last, STACK[1])


@LOCKS
def test_timeout_with_a_writer(writer, tmp_path):
    """A writer that writes nothing for timeout seconds ends it as well."""
    writer.append()
    assert len(list(lazytiff.follow(tmp_path / "new.tif", 0.1, 0.01))) == 1


@MMAP
def test_array(mmap, path):
    """`img.follow()` gives pages that the array does not have, start=k those from k on; the array grows with them."""
    with lazytiff.open(path, mmap=mmap) as img:
        assert list(img.follow()) == list(img.follow(6)) == []
        assert_equal(np.array(list(img.follow(4))), STACK[4:])
        new, all_of_them = img.follow(timeout=0.1, poll=0.01), img.follow(0, 0.1, 0.01)
        append(path, STACK[2])
        assert_equal(np.array(list(new)), STACK[2:3])
        assert img.shape == (7, 5, 7)
        assert len(list(all_of_them)) == 7
        del new, all_of_them


def test_time_in_the_loop_does_not_count(path):
    """The timeout is that of waiting for a page, and not of what is done with the page before."""
    pages = lazytiff.follow(path, 0.2, 0.01)
    for _ in STACK:
        next(pages)
    time.sleep(0.3)
    append(path, STACK[0])
    assert_equal(next(pages), STACK[0])


def test_pages_that_do_not_go_together(path):
    """A page of another frame type is a FrameTypeError."""
    pages = lazytiff.follow(path)
    for _ in STACK:
        next(pages)
    append(path, helper.pixels((3, 3), "u1"))
    with pytest.raises(lazytiff.FrameTypeError, match="page 6"):
        next(pages)


# ---- What is waited for


def test_file_that_is_not_there_yet(tmp_path):
    """The file, its header and its first page are waited for, whatever there is of them."""
    path = tmp_path / "new.tif"
    data = tiff_bytes.stack(STACK[:2]).bytes
    first = len(tiff_bytes.stack(STACK[:1]).bytes)
    pages = lazytiff.follow(path, 10, 0.005)

    def write():
        path.write_bytes(b"")
        for at in range(len(data)):
            time.sleep(0.001 if at < 30 or at > first - 10 else 0)
            rewrite(path, data[at : at + 1], at=at)

    with later(write, after=0.05):
        found = list(itertools.islice(pages, 2))
    assert_equal(np.array(found), STACK[:2])
    pages.close()


@pytest.mark.parametrize("before", [None, b"", b"II*"])
def test_file_that_comes_while_it_is_looked_for(before, path, tmp_path, monkeypatch):
    """Without a timeout, too, a file that was not there yet is waited for, though it is there when that is noticed."""
    new = tmp_path / "new.tif"
    if before is not None:
        new.write_bytes(before)
    look = _follow._look

    def look_too_early(*arguments):
        try:
            return look(*arguments)
        finally:
            new.write_bytes(path.read_bytes())

    monkeypatch.setattr(_follow, "_look", look_too_early)
    assert len(list(lazytiff.follow(new, poll=0.001))) == len(STACK)


def test_first_page_that_is_not_whole(tmp_path):
    """A first page that is linked, but whose pixels are not in the file, is waited for and never shown in part."""
    path = tmp_path / "new.tif"
    file = tiff_bytes.Builder()
    entries = file.gray(STACK[0])
    at = file.ifd(entries)
    file.link(at)
    whole = bytes(file.bytes)
    path.write_bytes(whole[: len(whole) - 5])
    assert list(lazytiff.follow(path, 0.05, 0.01)) == []
    pages = lazytiff.follow(path, 5, 0.01)
    with later(path.write_bytes, whole):
        assert_equal(next(pages), STACK[0])
    pages.close()


def test_no_file(tmp_path):
    """A file that does not come is a FileNotFoundError after timeout seconds; one without pages just ends."""
    with pytest.raises(FileNotFoundError):
        next(lazytiff.follow(tmp_path / "none.tif", 0.05, 0.01))
    (tmp_path / "empty.tif").write_bytes(tiff_bytes.Builder().bytes)
    assert list(lazytiff.follow(tmp_path / "empty.tif", 0.05, 0.01)) == []


@pytest.mark.parametrize("timeout", [None, 0.05])
def test_no_tiff(timeout, tmp_path):
    """What is certainly no TIFF file is an error: at once, or when the time is over."""
    (tmp_path / "text.tif").write_bytes(b"this is a text, and no TIFF file")
    for path in (tmp_path / "text.tif", tmp_path):
        with pytest.raises(lazytiff.NotTiffError):
            next(lazytiff.follow(path, timeout, 0.01))
    (tmp_path / "short.tif").write_bytes(b"II")
    with pytest.raises(lazytiff.NotTiffError):
        next(lazytiff.follow(tmp_path / "short.tif", 0.05, 0.01))


# ---- What is refused, and what is left behind


def test_arguments(path):
    """Arguments are looked at when `follow` is called, not when the first page is asked for."""
    with lazytiff.open(path) as img:
        for arguments in (
            {"timeout": -1},
            {"timeout": float("nan")},
            {"poll": 0},
            {"poll": -1},
            {"poll": float("inf")},
        ):
            with pytest.raises(ValueError, match=next(iter(arguments))):
                lazytiff.follow(path, **arguments)
            with pytest.raises(ValueError, match=next(iter(arguments))):
                img.follow(**arguments)
        with pytest.raises(ValueError, match="start"):
            img.follow(-2)
    for name, value in {"workers": 0, "cache_bytes": -1, "codecs": "none such", "guard": True}.items():
        with pytest.raises(ValueError, match=name.removesuffix("s")):
            lazytiff.follow(path, **{name: value})


@MMAP
def test_no_page_axis(mmap, tmp_path):
    """An array without a page axis cannot grow: the error names squeeze=False."""
    append(tmp_path / "one.tif", STACK[0])
    with lazytiff.open(tmp_path / "one.tif", mmap=mmap) as img, pytest.raises(ValueError, match="squeeze=False"):
        img.follow()


def test_mode_c(path):
    """An array that would lose what was changed refuses to follow."""
    with lazytiff.open(path, "c", mmap=True) as img, pytest.raises(ValueError, match="mode 'c'"):
        img.follow()


def test_without_locks(path, monkeypatch):
    """Where locks do not work, or the bytes are in no file, timeout is required, and the error says so."""
    data = path.read_bytes()
    with lazytiff.open(data) as img:
        with pytest.raises(ValueError, match="timeout is required where locks do not work"):
            img.follow()
        assert len(list(img.follow(0, 0.02, 0.01))) == 6
    monkeypatch.setattr(_source.Source, "has_writer", lambda _: None)
    with pytest.raises(ValueError, match="timeout is required"):
        next(lazytiff.follow(path))
    assert len(list(lazytiff.follow(path, 0.02, 0.01))) == 6


@MMAP
def test_closed(mmap, path):
    """Whoever follows an array that is closed meanwhile gets a ClosedError."""
    img = lazytiff.open(path, mmap=mmap)
    pages = img.follow(timeout=5, poll=0.01)
    with later(img.close), pytest.raises(lazytiff.ClosedError):
        next(pages)
    with pytest.raises(lazytiff.ClosedError):
        img.follow()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not tell which files are open")
@pytest.mark.parametrize("end", ["close", "interrupt", "end", "drop"])
@MMAP
def test_nothing_is_left_open(mmap, end, path, monkeypatch):
    """The file is closed when the generator ends, is closed, dropped or interrupted."""
    pages = lazytiff.follow(path, 0.05, 0.01, mmap=mmap)
    for _ in STACK:
        next(pages)
    assert open_files(path) > 0
    if end == "close":
        pages.close()
    elif end == "interrupt":
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                next(pages)
    elif end == "end":
        assert next(pages, None) is None
    else:
        del pages
    assert open_files(path) == 0


def test_pattern(tmp_path):
    """A pattern is no file that could be waited for; brackets may be in the name of one."""
    with pytest.raises(ValueError, match=r"follow takes one file, .* and no pattern"):
        lazytiff.follow(tmp_path / "*.tif")
    with pytest.raises(FileNotFoundError):
        list(lazytiff.follow(tmp_path / "cell[1].tif", timeout=0))
