"""Where bytes come from: paths of any kind, memory, and objects of the caller's, whose errors come out unchanged."""

from __future__ import annotations

import array
import errno
import io
import os
import stat
import sys
import threading
from pathlib import Path

import helper
import numpy as np
import pytest
import tiff_bytes

import lazytiff

PIXELS = helper.pixels((6, 40, 30), "u2", 3)
DATA = helper.tiff(*(helper.page(pixels, codec="deflate", rows_per_strip=5) for pixels in PIXELS))
posix = pytest.mark.skipif(os.name != "posix", reason="about POSIX paths")


class Ranges:
    """An object with `read_ranges`: remembers what was asked for, and answers in any type."""

    def __init__(self, data, answer=bytes):
        self.data, self.answer = data, answer
        self.size = len(data)
        self.calls = []

    def read_ranges(self, ranges):
        """Answer, and remember the question."""
        self.calls.append(list(ranges))
        return [self.answer(self.data[offset : offset + length]) for offset, length in ranges]


class Trickle:
    """A file object that has `seek` and `readinto` only, and gives seven bytes at a time."""

    def __init__(self, data):
        self.file = io.BytesIO(data)

    def seek(self, offset, whence=0):
        """Go there."""
        return self.file.seek(offset, whence)

    def readinto(self, buffer):
        """Give a little."""
        return self.file.readinto(buffer[:7])


@pytest.fixture
def path(tmp_path):
    """Return the path of a file."""
    file = tmp_path / "stack.tif"
    file.write_bytes(DATA)
    return file


# ---- everything that can be opened


class PathLike:
    """A path that is neither str nor pathlib's."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize("kind", [str, Path, PathLike, os.fsencode, lambda path: PathLike(os.fsencode(path))])
def test_paths(path, kind):
    """str, bytes and PathLike are paths; the array knows the absolute one."""
    with lazytiff.open(kind(str(path))) as img:
        np.testing.assert_array_equal(img, PIXELS)
        assert img.path == str(path)
        assert repr(path.name) in repr(img)
    np.testing.assert_array_equal(lazytiff.load(kind(str(path))), PIXELS)


@pytest.mark.parametrize(
    "kind",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(bytearray(data)).cast("B", [len(data)]),
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: array.array("B", data),
        io.BytesIO,
        Trickle,
        Ranges,
        lambda data: Ranges(data, bytearray),
        lambda data: Ranges(data, memoryview),
        lambda data: Ranges(data, lambda part: np.frombuffer(part, np.uint8)),
        lambda data: Ranges(data, lambda part: np.frombuffer(part, np.int8)),
    ],
)
def test_objects(kind):
    """Memory, file objects and objects with `read_ranges` are read; they have no path. load, TiffFile and views too."""
    source = kind(DATA)
    with lazytiff.open(source) as img:
        np.testing.assert_array_equal(img, PIXELS)
        np.testing.assert_array_equal(img[::-2, 3:9, 4], PIXELS[::-2, 3:9, 4])
        assert img.path is None
        assert "\n" not in repr(img)
    np.testing.assert_array_equal(lazytiff.load(source), PIXELS)
    with lazytiff.TiffFile(source) as tif:
        assert len(tif.pages) == len(PIXELS)
        np.testing.assert_array_equal(tif.pages[3], PIXELS[3])


@pytest.mark.parametrize("buffering", [0, -1], ids=["raw", "buffered"])
def test_open_files(path, buffering):
    """A file object is read wherever it stands, and is neither closed nor taken for a path."""
    with path.open("rb", buffering=buffering) as file:
        file.seek(100)
        with lazytiff.open(file) as img:
            np.testing.assert_array_equal(img, PIXELS)
            assert img.path is None
            assert str(path) in repr(img)
        assert not file.closed
        file.seek(0)
        assert file.read(4) == DATA[:4]


def test_threads_share_a_file_object():
    """Threads that read from one file object do not move it under each other."""
    with lazytiff.open(Trickle(DATA), workers=4, cache_bytes=0) as img:
        wrong = []

        def read(seed):
            rng = np.random.default_rng(seed)
            for page in rng.integers(0, len(PIXELS), 30):
                wrong.extend([page] * (not np.array_equal(img[page], PIXELS[page])))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_ranges_are_asked_for_together():
    """Chunks are fetched many in a call, and only those that are wanted; ranges are never empty, nor out of range."""
    pixels = helper.pixels((640, 64), "u1", 4)
    source = Ranges(helper.tiff(helper.page(pixels, codec="deflate", rows_per_strip=5)))
    with lazytiff.open(source, workers=1) as img:
        source.calls.clear()
        np.testing.assert_array_equal(img, pixels)
        chunks = [(offset, length) for call in source.calls for offset, length in call]
        assert len(source.calls) <= 128 // 4
        source.calls.clear()
        np.testing.assert_array_equal(img[:20], pixels[:20])
        few = [(offset, length) for call in source.calls for offset, length in call]
    assert set(few) <= set(chunks)
    assert 4 <= len(few) < 10
    assert all(0 <= offset < offset + length <= source.size for offset, length in chunks)


def test_bytes_are_a_path_unless_they_are_a_tiff(tmp_path, monkeypatch):
    """A bytes object that begins like a TIFF file holds one; all others are a path."""
    monkeypatch.chdir(tmp_path)
    Path("II").write_bytes(DATA)
    with lazytiff.open(b"II") as img:
        assert img.path == str(tmp_path / "II")
    with lazytiff.open(DATA) as img:
        assert img.path is None
    with pytest.raises(FileNotFoundError):
        lazytiff.open(b"MM.tif")
    with pytest.raises(lazytiff.NotTiffError):
        lazytiff.open(bytearray(b"II"))


@pytest.mark.parametrize("file", [None, 3, 2.5, object(), io.StringIO("II")])
def test_objects_that_are_none(file):
    """Anything else is a TypeError that says what is needed."""
    with pytest.raises(TypeError, match=r"a path, .*read_ranges"):
        lazytiff.open(file)


def test_memory_with_gaps():
    """Memory that is not contiguous is a TypeError too."""
    with pytest.raises(TypeError):
        lazytiff.open(memoryview(DATA + DATA)[::2])


def test_memory_is_held_until_close():
    """A bytearray cannot be resized while an array reads from it, and can afterwards."""
    data = bytearray(DATA)
    img = lazytiff.open(data)
    with pytest.raises(BufferError):
        data.append(0)
    img.close()
    data.append(0)


def test_memory_is_held_without_a_reference():
    """The array keeps what it reads from."""
    img = lazytiff.open(bytes(bytearray(DATA)))
    np.testing.assert_array_equal(img, PIXELS)
    img.close()


# ---- paths


def test_relative_path(path, monkeypatch, tmp_path):
    """A relative path is meant from where the program stood when it opened the file."""
    monkeypatch.chdir(path.parent)
    img = lazytiff.open(path.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert img.path == str(path)
    np.testing.assert_array_equal(img, PIXELS)
    img.close()


@posix
def test_path_through_a_link(path, tmp_path):
    """`..` behind a symbolic link means what the system takes it for: the parent of the link's target."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    path.rename(tmp_path / "far" / "stack.tif")
    with lazytiff.open(tmp_path / "link" / ".." / "stack.tif") as img:
        np.testing.assert_array_equal(img, PIXELS)
        assert Path(img.path).samefile(tmp_path / "far" / "stack.tif")


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS allows only UTF-8 names")
def test_path_that_is_no_text(tmp_path):
    """A name of any bytes is opened, as bytes and as Python's str for it; repr and errors can be encoded."""
    name = os.fsencode(tmp_path) + b"/\xff\xfe.tif"
    Path(os.fsdecode(name)).write_bytes(DATA)
    for spelling in (name, os.fsdecode(name)):
        with lazytiff.open(spelling) as img:
            np.testing.assert_array_equal(img, PIXELS)
            assert os.fsencode(img.path) == name
            repr(img).encode(), img.explain().encode(errors="surrogateescape")
    with pytest.raises(FileNotFoundError) as caught:
        lazytiff.open(name + b"?")
    assert os.fsencode(caught.value.filename) == name + b"?"


def test_no_such_file(tmp_path):
    """FileNotFoundError with the path as it was given."""
    missing = tmp_path / "missing.tif"
    for open_it in (lazytiff.open, lazytiff.load, lazytiff.TiffFile):
        with pytest.raises(FileNotFoundError) as caught:
            open_it(missing)
        assert caught.value.filename == str(missing)
        assert caught.value.errno == errno.ENOENT


def test_empty_path():
    """An empty path is no file."""
    with pytest.raises(FileNotFoundError):
        lazytiff.open("")


@pytest.mark.parametrize("file", ["a\0b.tif", b"abcde\0.tif", Path("a\0b.tif")])
def test_nul_in_path(file):
    """A path with a NUL is a ValueError, as for `open`."""
    with pytest.raises(ValueError, match="null byte"):
        lazytiff.open(file)


@posix
def test_long_name(tmp_path):
    """A name longer than the system allows is an OSError."""
    with pytest.raises(OSError, match="too long") as caught:
        lazytiff.open(tmp_path / ("x" * 4096))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_directory(tmp_path):
    """A directory is not a TIFF file."""
    with pytest.raises(lazytiff.NotTiffError, match="director"):
        lazytiff.open(tmp_path)


@posix
def test_pipe(tmp_path):
    """A FIFO is refused without waiting for its other end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(lazytiff.NotTiffError, match="FIFO"):
        lazytiff.open(tmp_path / "pipe")


@posix
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_device(device):
    """A device is not a TIFF file."""
    if not Path(device).exists() or not stat.S_ISCHR(Path(device).stat().st_mode):
        pytest.skip(f"there is no device {device}")
    with pytest.raises(lazytiff.NotTiffError, match="device"):
        lazytiff.open(device)


@posix
def test_no_permission(path):
    """A file that may not be read is a PermissionError with its path."""
    path.chmod(0)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError) as caught:
            lazytiff.open(path)
        assert caught.value.filename == str(path)
    finally:
        if as_root:
            os.seteuid(0)


@posix
def test_very_large_file(tmp_path):
    """The largest file that there can be, mostly a hole, is opened like any other: its page may lie at its end."""
    file = tmp_path / "hole.tif"
    pixels = tiff_bytes.frames(1)[0]
    builder = tiff_bytes.Builder(big=True)
    builder.page(builder.gray(pixels))
    with file.open("wb") as raw:
        raw.write(builder.bytes)
        size = 1 << 62
        while size > 1 << 40:
            try:
                raw.truncate(size)
                break
            except OSError:
                size >>= 1
        else:
            pytest.skip("no large files here")
    with lazytiff.open(file) as img:
        np.testing.assert_array_equal(img, pixels)
    file.write_bytes(b"")
    os.truncate(file, size)
    with pytest.raises(lazytiff.NotTiffError):
        lazytiff.open(file)


# ---- errors of the caller's object


class BoomError(Exception):
    """What an object raises."""


class Failing(Ranges):
    """An object whose reads fail once `bad` is set."""

    bad = None

    def read_ranges(self, ranges):
        """Fail, or answer."""
        if self.bad is not None:
            raise self.bad
        return super().read_ranges(ranges)


@pytest.mark.parametrize(
    "error", [BoomError("boom"), OSError(errno.EIO, "gone"), KeyboardInterrupt(), SystemExit(3), MemoryError()]
)
def test_errors_come_out_unchanged(error):
    """What `read_ranges` raises comes out as the same object, when opening and when reading; then reading goes on."""
    source = Failing(DATA)
    source.bad = error
    with pytest.raises(type(error)) as caught:
        lazytiff.open(source)
    assert caught.value is error
    source.bad = None
    with lazytiff.open(source, workers=1, cache_bytes=0) as img:
        page = img.pages[2]
        source.bad = error
        for use in (img.copy, lambda: img[2, 3], lambda: page.tags, lambda: np.asarray(img)):
            with pytest.raises(type(error)) as caught:
                use()
            assert caught.value is error
        source.bad = None
        np.testing.assert_array_equal(img, PIXELS)


def test_errors_come_out_of_threads():
    """However many threads fail at once, the caller gets what one of them raised, not a substitute."""
    pixels = helper.pixels((1024, 1024), "u1")
    source = Failing(helper.tiff(helper.page(pixels, codec="deflate", rows_per_strip=16)))
    with lazytiff.open(source, workers=8, cache_bytes=0) as img:
        for i in range(60):
            source.bad = BoomError(i)
            with pytest.raises(BoomError) as caught:
                img.copy()
            assert caught.value is source.bad
        source.bad = None
        np.testing.assert_array_equal(img, pixels)


@pytest.mark.parametrize(
    "answer", [lambda part: part[:-1], lambda part: part + b"x", lambda part: part.decode("latin-1"), lambda _: None]
)
def test_wrong_answers(answer):
    """An object that gives other than the bytes it was asked for is a ValueError or TypeError, never wrong pixels."""
    source = Ranges(DATA)
    with lazytiff.open(source) as img:
        source.answer = answer
        with pytest.raises((ValueError, TypeError)):
            img.copy()


@pytest.mark.parametrize("change", [lambda parts: parts[:-1], lambda parts: [*parts, b""], lambda _: []])
def test_wrong_number_of_answers(change):
    """An object that answers for more or fewer ranges is a ValueError."""

    class Miscounting(Ranges):
        def read_ranges(self, ranges):
            return change(super().read_ranges(ranges))

    with pytest.raises(ValueError, match="ranges and gave"):
        lazytiff.open(Miscounting(DATA))


def test_file_object_that_ends_early():
    """A file object with fewer bytes than it had is an EOFError that says how many are missing."""
    file = io.BytesIO(DATA)
    with lazytiff.open(file, cache_bytes=0) as img:
        file.truncate(20)
        with pytest.raises(EOFError, match="bytes early"):
            img.copy()


def test_closed_file_object(path):
    """What a file object raises when its owner has closed it comes out."""
    file = path.open("rb")
    img = lazytiff.open(file, cache_bytes=0)
    file.close()
    with pytest.raises(ValueError, match="closed file"):
        img.copy()
    img.close()


@pytest.mark.parametrize("kind", ["path", "memory", "object"])
def test_bytes_of_a_source(path, kind):
    """Bytes of a source come as they are; FileChangedError where it has fewer, an empty range may be anywhere."""
    opened = lazytiff.open({"path": path, "memory": DATA, "object": Ranges(DATA)}[kind])
    with opened as img, img._file.source as source:
        assert source.handle.read(7, 40) == DATA[7:47]
        assert source.handle.read(0, len(DATA)) == DATA
        assert source.handle.read(len(DATA) + 9, 0) == b""
        with pytest.raises(lazytiff.FileChangedError, match="bytes were expected"):
            source.handle.read(len(DATA) - 1, 2)
