"""What the operating system answers to who writes through a mapped file: flush, locks, processes, other machines."""

from __future__ import annotations

import multiprocessing
import operator
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from helper import pixels
from test_mmap_writing import CHANGING, build
from test_processes import run

import lazytiff

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="these are calls and mounts of Linux")
on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such locks")
LOCK_BYTE = (1 << 63) - 2
PIXELS = pixels((5, 12, 14), "u2", 7)


@pytest.fixture
def path(tmp_path):
    """Return the path of a stack of five pages, each of one strip."""
    path = tmp_path / "stack.tif"
    path.write_bytes(build(PIXELS, [{}]))
    return path


# ---- what the operating system may answer

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

int syncs;

static int fails_once(const char *name)
{
    const char *asked = getenv("SHIM_SYNC");
    syncs++;
    if (asked == NULL || strcmp(asked, name) != 0)
        return 0;
    unsetenv("SHIM_SYNC");
    errno = EIO;
    return 1;
}

int fsync(int descriptor) { return fails_once("fsync") ? -1 : fdatasync(descriptor); }

int msync(void *address, size_t length, int flags)
{
    int (*real)(void *, size_t, int) = dlsym(RTLD_NEXT, "msync");
    return fails_once("msync") ? -1 : real(address, length, flags);
}

int fallocate64(int descriptor, int mode, off64_t offset, off64_t length)
{
    int (*real)(int, int, off64_t, off64_t) = dlsym(RTLD_NEXT, "fallocate64");
    errno = EOPNOTSUPP;
    return getenv("SHIM_FALLOCATE") != NULL ? -1 : real(descriptor, mode, offset, length);
}

int fstatfs64(int descriptor, struct statfs64 *about)
{
    int (*real)(int, struct statfs64 *) = dlsym(RTLD_NEXT, "fstatfs64");
    int result = real(descriptor, about);
    if (getenv("SHIM_STATFS") != NULL)
        about->f_type = strtoul(getenv("SHIM_STATFS"), NULL, 16);
    return result;
}

int open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    __builtin_va_list rest;
    __builtin_va_start(rest, flags);
    const int mode = flags & (O_CREAT | __O_TMPFILE) ? __builtin_va_arg(rest, int) : 0;
    __builtin_va_end(rest);
    errno = EOPNOTSUPP;
    if ((flags & __O_TMPFILE) == __O_TMPFILE && getenv("SHIM_NO_TMPFILE") != NULL)
        return -1;
    const char *mounts = strcmp(path, "/proc/self/mountinfo") == 0 ? getenv("SHIM_MOUNTS") : NULL;
    return real(mounts != NULL ? mounts : path, flags, mode);
}
"""


def compiled_shim(folder):
    """Return what LD_PRELOAD must be for programs to get the answers that SHIM_... asks for."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler: system calls cannot be made to fail")
    (folder / "shim.c").write_text(SHIM)
    command = ["cc", "-shared", "-fPIC", "-O1", folder / "shim.c", "-o", folder / "shim.so", "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ":".join(filter(None, [str(folder / "shim.so"), os.environ.get("LD_PRELOAD")]))


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Return compiled_shim."""
    return compiled_shim(tmp_path_factory.mktemp("shim"))


REFUSED = """
import sys, lazytiff
path, mode = sys.argv[1:]
try:
    with lazytiff.open(path, mode, mmap=True) as img:
        print("mapped", img.shape)
except lazytiff.NotMappableError as error:
    print(error)
"""


@on_linux
@pytest.mark.parametrize(
    ("number", "name"),
    [("6969", "NFS"), ("517B", "SMB"), ("FF534D42", "SMB"), ("FE534D42", "SMB"), ("5346414F", "AFS")],
)
def test_files_of_other_machines(number, name, shim, path):
    """They are mapped for reading; "r+" is refused by the name of the file system."""
    text = run(REFUSED, path, "r+", LD_PRELOAD=shim, SHIM_STATFS=number)
    assert str(path) in text
    assert name in text
    assert "another machine" in text
    for mode in ("r", "c"):
        assert run(REFUSED, path, mode, LD_PRELOAD=shim, SHIM_STATFS=number) == "mapped (5, 12, 14)\n"


@on_linux
@pytest.mark.parametrize(
    ("kind", "answer"),
    [("fuse.sshfs", "sshfs"), ("fuse.gcsfuse", "gcsfuse"), ("fuse.bindfs", "mapped"), (None, "mapped")],
)
def test_fuse(kind, answer, shim, path, tmp_path):
    """FUSE is refused where /proc/self/mountinfo says that another machine is behind it, and otherwise mapped."""
    device = path.stat().st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / {tmp_path} rw,noatime - {kind} me@there: rw\n"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"20 1 0:1234 / /elsewhere rw - fuse.sshfs x rw\n{line if kind else ''}")
    environment = {"LD_PRELOAD": shim, "SHIM_STATFS": "65735546", "SHIM_MOUNTS": str(mounts)}
    assert answer in run(REFUSED, path, "r+", **environment)
    assert run(REFUSED, path, "r", **environment).startswith("mapped")


# ---- flush

FLUSH = """
import ctypes, errno, sys, lazytiff
syncs = ctypes.c_int.in_dll(ctypes.CDLL(None), "syncs")
with lazytiff.open(sys.argv[1], "r+", mmap=True) as img:
    img[0] = 1
    for called in ("at first", "again"):
        before = syncs.value
        try:
            img.flush()
        except OSError as error:
            assert error.errno == errno.EIO and error.filename == sys.argv[1], error
            print(called, syncs.value - before)
"""


@on_linux
@pytest.mark.parametrize(("call", "calls"), [("msync", 1), ("fsync", 2)])
def test_failed_flush(call, calls, shim, path):
    """A disk that fails is an OSError; later flushes fail too, without asking the system, which has forgotten."""
    printed = run(FLUSH, path, LD_PRELOAD=shim, SHIM_SYNC=call)
    assert printed == f"at first {calls}\nagain 0\n"


@pytest.mark.parametrize("mode", ["r", *CHANGING])
def test_flush(mode, path):
    """Every mode can be flushed, until the array is closed."""
    with lazytiff.open(path, mode, mmap=True) as img:
        if mode != "r":
            img[2] = 3
        assert img.flush() is None
        assert img.flush() is None
    with pytest.raises(lazytiff.ClosedError):
        img.flush()
    assert (path.read_bytes() == build(PIXELS, [{}])) == (mode != "r+")


# ---- locks

LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))
    except OSError:
        print("refused", flush=True)
    else:
        print("locked", flush=True)
    sys.stdin.read()
"""


class Locking:
    """Another process that asks for an exclusive lock, and has it until the end of the block."""

    def __init__(self, path):
        command = [sys.executable, "-P", "-c", LOCK, str(path), str(LOCK_BYTE)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self.process.stdout.readline().strip()

    def __exit__(self, *_):
        self.process.communicate(timeout=60)


@on_posix
def test_exclusive_lock_of_another_process(path):
    """While the file's structure is changed elsewhere, "r+" is refused; "r" and "c" are not."""
    with Locking(path) as answer:
        assert answer == "locked"
        with pytest.raises(lazytiff.LockedError, match=r"stack\.tif.*structure") as caught:
            lazytiff.open(path, "r+", mmap=True)
        assert isinstance(caught.value, BlockingIOError)
        for mode in ("r", "c"):
            lazytiff.open(path, mode, mmap=True).close()
    lazytiff.open(path, "r+", mmap=True).close()


@on_posix
@pytest.mark.parametrize("mode", ["r", "c"])
def test_readers_take_no_lock(mode, path):
    """Somebody may change the structure of a file that others read."""
    with lazytiff.open(path, mode, mmap=True), Locking(path) as answer:
        assert answer == "locked"


@on_posix
def test_the_lock_lasts_as_long_as_a_view(path):
    """The last view that outlives its array, or an explicit close(), gives the lock back."""
    with lazytiff.open(path, "r+", mmap=True) as img:
        view = img[1]
    part = view[3:]
    del view
    with Locking(path) as answer:
        assert answer == "refused"
    del part
    with Locking(path) as answer:
        assert answer == "locked"
    img = lazytiff.open(path, "r+", mmap=True)
    img.close()
    with Locking(path) as answer:
        assert answer == "locked"


# ---- other processes

WRITE = """
import sys, lazytiff
with lazytiff.open(sys.argv[1], "r+", mmap=True) as img:
    img[1] = 11
    img[2][...] = 22
    img[:, 5, ::2] = 33
"""


def test_two_processes(path):
    """What one writes, by assignment and by a view, the other sees at once, also in views that it had before."""
    expected = PIXELS.copy()
    expected[1], expected[2], expected[:, 5, ::2] = 11, 22, 33
    with lazytiff.open(path, mmap=True) as img, lazytiff.open(path, "r+", mmap=True) as writer:
        view = img[:, 4:7]
        run(WRITE, path)
        assert np.array_equal(view, expected[:, 4:7])
        assert np.array_equal(img, expected)
        assert np.array_equal(writer, expected)


def test_spawned_processes_fill_one_file(tmp_path):
    """Four processes each receive the array of `zeros` and fill pages of it."""
    path, spawn = tmp_path / "new.tif", multiprocessing.get_context("spawn")
    with lazytiff.zeros(path, (22, 40, 30), "u2") as img:
        workers = [spawn.Process(target=operator.setitem, args=(img, slice(k, None, 4), k + 1)) for k in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * 4
        expected = np.broadcast_to((np.arange(22) % 4 + 1)[:, None, None], img.shape)
        assert np.array_equal(img, expected)
    assert np.array_equal(tifffile.imread(path), expected)


def unpickled(data):
    """Return what was pickled."""
    return pickle.loads(data)  # noqa: S301  # by the test itself


@pytest.mark.parametrize("guard", [False, pytest.param(True, marks=on_posix)])
@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("pages", [None, 2, [4, 0, 2], slice(1, 3)], ids=str)
def test_pickling(pages, mode, guard, path):
    """An array comes back with its pages, mode and guard."""
    with (
        lazytiff.open(path, mode, mmap=True, pages=pages, guard=guard) as img,
        unpickled(pickle.dumps(img)) as copy,
    ):
        assert type(copy) is lazytiff.MmapTiff
        assert (copy.mode, copy.shape, copy._guard) == (mode, img.shape, guard)
        if mode == "r+":
            copy[0] = 5
        assert np.array_equal(copy, img)


def test_pickled_length(path):
    """A file that has grown since comes back as long as it was."""
    path.write_bytes(build(PIXELS[:3], [{}]))
    with lazytiff.open(path, mmap=True) as img:
        pickled = pickle.dumps(img)
    path.write_bytes(build(PIXELS, [{}]))
    with unpickled(pickled) as img:
        assert np.array_equal(img, PIXELS[:3])


@pytest.mark.parametrize("pixels", [PIXELS[:2], PIXELS[..., :-1], PIXELS.astype("i2")], ids=["fewer", "smaller", "int"])
def test_pickled_and_replaced(pixels, path):
    """Another file of that name is a FileChangedError, and not opened; a missing one FileNotFoundError."""
    with lazytiff.open(path, mmap=True) as img:
        pickled = pickle.dumps(img)
    path.write_bytes(build(pixels, [{}]))
    with pytest.raises(lazytiff.FileChangedError, match="another one"):
        unpickled(pickled)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        unpickled(pickled)


def test_what_cannot_be_pickled(path):
    """Changes in memory stay in their process; what is closed stays closed."""
    with lazytiff.open(path, "c", mmap=True) as img, pytest.raises(TypeError, match="mode 'c'"):
        pickle.dumps(img)
    with lazytiff.open(path, "r+", mmap=True) as img:
        pass
    with pytest.raises(lazytiff.ClosedError):
        pickle.dumps(img)
