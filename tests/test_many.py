"""Many files as one array: MultiTiff."""

import dis
import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helper import assert_same

import lazytiff
from lazytiff import _shelf


def write(path, array, **options):
    """Write a file by tifffile, and return its path."""
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None, **options)
    return path


def pages(count, seed=0, shape=(6, 5), dtype="u2"):
    """Return pages of which no two are alike."""
    return np.random.default_rng(seed).integers(0, 1 << 12, (count, *shape)).astype(dtype)


@pytest.fixture
def run(tmp_path):
    """Return a folder of 12 one-page files in which numbers tell the order, and their pixels."""
    stack = pages(12)
    for number, page in enumerate(stack):
        write(tmp_path / f"img_{number}.tif", page)
    return tmp_path, stack


def descriptors():
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")


# ---- Which files


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_pattern(run, kind):
    """A pattern gives its files in natural order, whatever kind of path it is."""
    folder, stack = run
    with lazytiff.open(kind(str(folder / "img_*.tif"))) as img:
        assert isinstance(img, lazytiff.MultiTiff)
        assert_same(img[...], stack)
        assert [os.path.basename(path) for path in img.paths] == [f"img_{number}.tif" for number in range(12)]


@pytest.mark.parametrize("make", [list, tuple])
def test_sequence(run, make):
    """A list or tuple of paths keeps its order, and may name a file twice."""
    folder, stack = run
    order = [3, 11, 0, 3]
    with lazytiff.open(make(folder / f"img_{number}.tif" for number in order)) as img:
        assert_same(img.copy(), stack[order])
        assert img.shape == (4, 6, 5)
        assert img.axes == "IYX"
        assert img.mode == "r"


def test_one_file_keeps_its_page_axis(run):
    """A list, or a pattern, of one file gives an array with a page axis: programs need no special case."""
    folder, stack = run
    for what in ([folder / "img_0.tif"], str(folder / "*_0.tif")):
        with lazytiff.open(what) as img:
            assert_same(img.copy(), stack[:1])


def test_name_with_brackets(tmp_path):
    """A file whose name looks like a pattern is that file."""
    page = pages(1)[0]
    path = write(tmp_path / "cell[1].tif", page)
    write(tmp_path / "cell1.tif", page + 1)
    with lazytiff.open(str(path)) as img:
        assert_same(img.copy(), page)


def test_folders(run):
    """Two stars stand for any folders, and numbers in the names of folders count too."""
    folder, stack = run
    for number in (2, 10):
        (folder / f"run{number}").mkdir()
        write(folder / f"run{number}" / "a.tif", stack[number])
    with lazytiff.open(str(folder / "**" / "a.tif")) as img:
        assert_same(img.copy(), stack[[2, 10]])


def test_relative_paths(run, monkeypatch):
    """Relative paths are those of the moment when the array was made."""
    folder, stack = run
    monkeypatch.chdir(folder)
    with lazytiff.open("*.tif") as img, lazytiff.open(["img_1.tif", "img_2.tif"]) as listed:
        monkeypatch.chdir("/")
        assert_same(img[5], stack[5])
        assert_same(listed[1], stack[2])


def test_relative_pattern_in_folder_with_brackets(run, monkeypatch):
    """The name of the working folder is no pattern."""
    folder, stack = run
    (folder / "run [1]").mkdir()
    write(folder / "run [1]" / "a.tif", stack[7])
    monkeypatch.chdir(folder / "run [1]")
    with lazytiff.open("*.tif") as img:
        assert_same(img.copy(), stack[7:8])


def test_nothing_there(tmp_path):
    """No path, no match, and what is no path are said so."""
    with pytest.raises(FileNotFoundError, match="no file has a name like this"):
        lazytiff.open(str(tmp_path / "*.tif"))
    with pytest.raises(ValueError, match="at least one path"):
        lazytiff.open([])
    for wrong in (np.zeros(3), b"II*\0", None, [tmp_path]):
        with pytest.raises(TypeError, match="a sequence of paths is needed"):
            lazytiff.open([tmp_path / "a", wrong])
    with pytest.raises(FileNotFoundError):
        lazytiff.open([tmp_path / "gone.tif"])


@pytest.mark.parametrize(
    "options",
    [{"mmap": True}, {"guard": True}, {"pages": 0}, {"squeeze": False}, {"mode": "r+"}, {"dtype": "u1"}, {"level": 3}],
)
def test_options_for_one_file(run, options):
    """What is for one file only is refused for many."""
    folder, _ = run
    with pytest.raises(ValueError, match="is for one file; many files are read"):
        lazytiff.open(str(folder / "*.tif"), **options)


def test_check_is_for_many(run):
    """check=True means nothing for one file."""
    with pytest.raises(ValueError, match="check=True is for many files"):
        lazytiff.open(run[0] / "img_0.tif", check=True)


def test_load(run):
    """`load` reads many files, and gives the lazy array where it is asked to."""
    folder, stack = run
    loaded = lazytiff.load(str(folder / "*.tif"), check=True)
    assert type(loaded) is np.ndarray
    assert_same(loaded, stack)
    with lazytiff.load([folder / "img_4.tif"], lazyio=True) as img:
        assert_same(img[0], stack[4])


# ---- When they are opened


@needs_proc
def test_descriptors_are_bounded(tmp_path):
    """At most 64 files are open at a time, while threads read all over 200 of them, and none afterwards."""
    stack = pages(200)
    for number, page in enumerate(stack):
        write(tmp_path / f"{number}.tif", page)
    before = descriptors()
    most = 0
    failures = []
    with lazytiff.open(str(tmp_path / "*.tif")) as img:
        assert descriptors() == before + 1

        def read(seed):
            numbers = np.random.default_rng(seed).integers(0, 200, 300).tolist()
            failures.extend(number for number in numbers if not np.array_equal(img[number], stack[number]))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, descriptors())
            time.sleep(0.001)
        assert_same(img.copy(), stack)
        most = max(most, descriptors())
    assert not failures
    assert before + 60 < most <= before + 64
    assert descriptors() == before


def test_bound_with_all_lent(run, monkeypatch):
    """When all files that may be open are in use, a thread waits until one comes back."""
    folder, stack = run
    monkeypatch.setattr(_shelf, "MOST_OPEN", 1)
    with lazytiff.open(str(folder / "*.tif")) as img:
        with img._borrow(1) as busy:
            other = threading.Thread(target=img.__getitem__, args=(2,))
            other.start()
            other.join(0.3)
            assert other.is_alive()
            assert_same(busy[0], stack[1])
        other.join(10)
        assert not other.is_alive()


@needs_proc
def test_files_close_with_the_array(run):
    """An array that nobody closes closes its files when it goes, at once: it is no part of a circle."""
    folder, _ = run
    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        img = lazytiff.open(str(folder / "img_*.tif"))
        img.copy()
        page = img.pages[3]
        del img
        assert descriptors() == before + 1
        page.copy()
        del page
        assert descriptors() == before
    finally:
        gc.enable()


def test_bound_with_busy_workers(tmp_path, monkeypatch):
    """Workers that wait for a file never keep its borrower from ending, who waits for workers."""
    monkeypatch.setattr(_shelf, "MOST_OPEN", 1)
    stack = pages(16, shape=(512, 600))
    for number, page in enumerate(stack):
        write(tmp_path / f"img_{number}.tif", page, compression="zlib", rowsperstrip=32)
    with lazytiff.open(str(tmp_path / "*.tif"), workers=2) as img:

        def read(key):
            for _ in range(8):
                assert (img[key] == stack[key]).all()

        threads = [threading.Thread(target=read, args=(key,), daemon=True) for key in [slice(None), 3, 9, slice(2, 9)]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("cold", [True, False])
def test_interrupted_anywhere(run, monkeypatch, cold):
    """Wherever Ctrl-C meets the shelf, the array can be used afterwards, by this thread and by others."""
    monkeypatch.setattr(_shelf, "MOST_OPEN", 2)
    folder, stack = run
    moment = 0
    while moment is not None:
        with lazytiff.open(str(folder / "img_*.tif")) as img:
            if not cold:
                img[3]
            moment = _interrupt_after(moment, lambda: img[3])
            found = []
            other = threading.Thread(target=lambda: found.append(img[2:6]), daemon=True)  # noqa: B023
            other.start()
            other.join(10)
            assert found, f"the array hangs after moment {moment}"
            assert_same(found[0], stack[2:6])


def _interrupt_after(moment, action):
    """Raise KeyboardInterrupt at that moment within the shelf; return the next moment, None when there is no more.

    Moments are those in which the interpreter looks for signals: when a function begins, a call ends, a loop repeats.
    """
    seen, before = 0, {}

    def trace(frame, event, _):
        nonlocal seen
        if frame.f_code.co_filename != _shelf.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            last, before[frame] = before.get(frame, "RESUME"), dis.opname[frame.f_code.co_code[frame.f_lasti]]
            seen += last.startswith(("RESUME", "CALL", "JUMP_BACKWARD"))
            if seen == moment + 1:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return moment + 1
    finally:
        sys.settrace(None)
        before.clear()
    return None


def test_opened_when_touched(run):
    """Files are looked at when their pages are touched, not before."""
    folder, stack = run
    with lazytiff.open(str(folder / "*.tif")) as img:
        (folder / "img_7.tif").unlink()
        assert_same(img[:7], stack[:7])
        with pytest.raises(FileNotFoundError, match=r"img_7\.tif"):
            img[7]
        shutil.copy(folder / "img_0.tif", folder / "img_7.tif")
        assert_same(img[7], stack[0])


# ---- What goes together


@pytest.mark.parametrize("odd", [pages(1, shape=(6, 6)), pages(1, dtype="u1"), pages(1, dtype="i2")])
def test_another_frame_type(run, odd):
    """A file of another frame type raises when it is touched, naming it, and with check=True at once."""
    folder, stack = run
    write(folder / "img_5.tif", odd[0])
    with lazytiff.open(str(folder / "*.tif")) as img:
        assert_same(img[4], stack[4])
        for key in (5, slice(3, 8), ...):
            with pytest.raises(
                lazytiff.FrameTypeError, match=r"img_5\.tif: its pages are .* and those of .*img_0\.tif"
            ):
                img[key]
        assert_same(img[6], stack[6])
    with pytest.raises(lazytiff.FrameTypeError, match=r"img_5\.tif"):
        lazytiff.open(str(folder / "*.tif"), check=True)


def test_layouts_may_differ(tmp_path):
    """Compression, byte order and strips may differ from file to file."""
    stack = pages(4, shape=(40, 30))
    ways = [{"compression": "zlib"}, {"byteorder": ">"}, {"tile": (16, 16)}, {"rowsperstrip": 7, "bigtiff": True}]
    for number, options in enumerate(ways):
        write(tmp_path / f"{number}.tif", stack[number], **options)
    with lazytiff.open(str(tmp_path / "*")) as img:
        assert_same(img.copy(), stack)
        assert_same(img[::-1, 3:33:2, ::-1], stack[::-1, 3:33:2, ::-1])
        assert_same(img[[3, 0, 0, 2], 5], stack[[3, 0, 0, 2], 5])


def test_different_page_counts(tmp_path):
    """Files of several pages are counted when the array is made; each may have another number of them."""
    stack = pages(12)
    for name, part in {"a": stack[:5], "b": stack[5:6], "c": stack[6:]}.items():
        write(tmp_path / name, part)
    with lazytiff.open(str(tmp_path / "*")) as img:
        assert img.shape == stack.shape
        assert_same(img.copy(), stack)
        assert_same(img[3:9:2], stack[3:9:2])
        assert_same(img[9:2:-3], stack[9:2:-3])


def test_one_page_first(tmp_path):
    """Where the first file has one page, another number elsewhere raises when touched, and check=True counts."""
    stack = pages(6)
    for name, part in {"a": stack[:1], "b": stack[1:3], "c": stack[3:]}.items():
        write(tmp_path / name, part)
    with lazytiff.open(str(tmp_path / "*")) as img:
        assert len(img) == 3
        assert_same(img[0], stack[0])
        with pytest.raises(lazytiff.FrameTypeError, match=r"b: it has 2 pages, and 1 were expected; .*check=True"):
            img[1]
    with lazytiff.open(str(tmp_path / "*"), check=True) as img:
        assert_same(img.copy(), stack)


def test_broken_file(run):
    """A file that is no TIFF, or is empty, raises its own error when it is touched, and harms no other."""
    folder, stack = run
    (folder / "img_3.tif").write_bytes(b"nothing")
    (folder / "img_4.tif").write_bytes(b"II*\0\0\0\0\0")
    with lazytiff.open(str(folder / "*.tif")) as img:
        with pytest.raises(lazytiff.NotTiffError, match=r"img_3\.tif"):
            img[3]
        with pytest.raises(lazytiff.EmptyStackError, match=r"img_4\.tif"):
            img[4]
        assert_same(img[5], stack[5])


def test_replaced_file(run, monkeypatch):
    """A file that was closed for another one and is opened again must be the same."""
    folder, stack = run
    monkeypatch.setattr(_shelf, "MOST_OPEN", 1)
    with lazytiff.open(str(folder / "*.tif")) as img:
        assert_same(img[3], stack[3])
        img[4]
        write(folder / "img_3.tif", stack[3] + 1, rowsperstrip=2)
        with pytest.raises(lazytiff.FileChangedError, match=r"img_3\.tif: the file is another one"):
            img[3]


def test_rewritten_file_and_the_cache(tmp_path, monkeypatch):
    """Of a file that was rewritten, and whose IFD does not show it, no pixels come from the cache."""
    monkeypatch.setattr(_shelf, "MOST_OPEN", 1)
    stack = pages(4, shape=(64, 50))
    for number, page in enumerate(stack[:3]):
        write(tmp_path / f"img_{number}.tif", page, compression="zlib", rowsperstrip=8)
    with lazytiff.open(str(tmp_path / "*.tif")) as img:
        assert_same(img[1, 3], stack[1, 3])
        assert_same(img[2, 3], stack[2, 3])
        write(tmp_path / "img_1.tif", stack[3], compression="zlib", rowsperstrip=8)
        assert_same(img[1, 3:5], stack[3, 3:5])


def test_file_that_grows(tmp_path, monkeypatch):
    """A file that has grown since it was counted keeps the pages that were counted."""
    stack = pages(6)
    monkeypatch.setattr(_shelf, "MOST_OPEN", 1)
    lazytiff.save(tmp_path / "a", stack[:3])
    lazytiff.save(tmp_path / "b", stack[3:5])
    with lazytiff.open([tmp_path / "a", tmp_path / "b"]) as img:
        with lazytiff.open(tmp_path / "a", "a") as out:
            out.append(stack[5])
        assert_same(img.copy(), stack[:5])
        assert_same(img[2:4], stack[2:4])


# ---- As an array


def test_pages_and_tags(tmp_path):
    """Each page is an array with its own tags; one that is kept stays usable while others are read."""
    stack = pages(70)
    for number, page in enumerate(stack):
        write(tmp_path / f"{number}.tif", page, description=f"page {number}")
    with lazytiff.open(str(tmp_path / "*")) as img:
        page = img.pages[-1]
        assert page.tags["ImageDescription"] == "page 69"
        assert img.tags["ImageDescription"] == "page 0"
        img.copy()
        assert_same(page[...], stack[69])
        assert [page.tags[270] for page in img.pages[3:5]] == ["page 3", "page 4"]
        assert len(img.pages) == 70
        with pytest.raises(IndexError):
            img.pages[70]


def test_one_cache(tmp_path, monkeypatch):
    """One cache serves all files, and still holds a file's chunks when it was closed and opened again."""
    monkeypatch.setattr(_shelf, "MOST_OPEN", 1)
    stack = pages(3, shape=(64, 64))
    for number, page in enumerate(stack):
        write(tmp_path / f"{number}.tif", page, compression="zlib")
    with lazytiff.open(str(tmp_path / "*"), cache_bytes=1 << 20) as img:
        for _ in range(2):
            for number in range(3):
                assert_same(img[number, 5], stack[number, 5])
        info = img.cache_info()
    assert (info.decoded, info.maxsize) == (3, 1 << 20)
    assert info.hits == 3


def test_settings(run):
    """workers, cache_bytes and codecs are checked at once, and count for every file."""
    folder, stack = run
    pattern = str(folder / "*.tif")
    for wrong in ({"workers": 0}, {"cache_bytes": -1}, {"codecs": "telepathy"}):
        with pytest.raises(ValueError, match=next(iter(wrong)) if "codecs" not in wrong else "telepathy"):
            lazytiff.open(pattern, **wrong)
    with lazytiff.open(pattern, workers=1, cache_bytes=0) as img:
        assert_same(img.copy(), stack)


def test_closing(run):
    """close() may be called again; afterwards every read raises, and repr says so."""
    folder, _ = run
    img = lazytiff.open(str(folder / "*.tif"))
    img[3]
    assert not img.closed
    img.close()
    img.close()
    assert img.closed
    assert "closed" in repr(img)
    assert img.shape == (12, 6, 5)
    for use in (lambda: img[3], lambda: img[4], lambda: img.pages[0], lambda: img.tags["ImageWidth"]):
        with pytest.raises(lazytiff.ClosedError):
            use()


def test_words(run):
    """Repr tells how many files there are, and what they give."""
    with lazytiff.open(str(run[0] / "*.tif")) as img:
        assert repr(img) == "<MultiTiff 12 files from 'img_0.tif' on, uint16 (12, 6, 5) IYX>"


def test_joins_with_others(run):
    """A MultiTiff is an array as any other: it joins with those of single files."""
    folder, stack = run
    with lazytiff.open(str(folder / "*.tif")) as img, lazytiff.open(folder / "img_3.tif", squeeze=False) as one:
        assert_same(lazytiff.concatenate([img, one]).copy(), np.concatenate([stack, stack[3:4]]))


def test_large_pages_on_all_workers(tmp_path):
    """Many large compressed pages are decoded by all workers, and an error in one of them is raised."""
    stack = pages(8, shape=(512, 512))
    for number, page in enumerate(stack):
        write(tmp_path / f"{number}.tif", page, compression="zlib")
    with lazytiff.open(str(tmp_path / "*"), workers=2) as img:
        assert_same(img.copy(), stack)
        damaged = bytearray((tmp_path / "6.tif").read_bytes())
        damaged[len(damaged) // 2] ^= 255
    (tmp_path / "6.tif").write_bytes(damaged)
    with lazytiff.open(str(tmp_path / "*"), workers=2) as img:
        with pytest.raises(lazytiff.DecodeError):
            img[...]
        assert_same(img[:6], stack[:6])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork(run):
    """After a fork both processes go on, even if a thread was reading at that moment."""
    folder, _ = run
    program = f"""
import os, threading, numpy as np, lazytiff
img = lazytiff.open({str(folder / "*.tif")!r})
expected = img.copy()
stop = False
def read():
    while not stop:
        img[np.random.randint(12)]
threads = [threading.Thread(target=read) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(20):
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(img.copy(), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
stop = True
for thread in threads: thread.join()
"""
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", program], check=True, timeout=60)


@pytest.mark.slow
@needs_proc
def test_fifty_thousand_files(tmp_path):
    """An array over 50,000 files costs little more than their names, and reads of it few descriptors."""
    first = write(tmp_path / "source", pages(1)[0])
    for number in range(50_000):
        os.link(first, tmp_path / f"{number}.tif") if number % 1000 else shutil.copy(first, tmp_path / f"{number}.tif")
    before = descriptors()
    started = time.perf_counter()
    names = sorted(os.listdir(tmp_path))
    listing = time.perf_counter() - started
    started = time.perf_counter()
    with lazytiff.open(str(tmp_path / "*.tif")) as img:
        taken = time.perf_counter() - started
        assert img.shape == (50_000, 6, 5)
        assert_same(img[49_000:49_100].max(axis=0), pages(1)[0])
        assert descriptors() <= before + 64
    assert len(names) == 50_001
    assert taken < 1 + 20 * listing
