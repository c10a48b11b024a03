"""Files and uses that once crashed lazytiff, hung it, took its memory or gave wrong pixels: what happens now."""

from __future__ import annotations

import contextlib
import gc
import io
import lzma
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import helper
import imagecodecs
import numpy as np
import pytest
import streams

import lazytiff
from lazytiff import _pool

BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def jbig_page(columns, rows, planes=1):
    """Make a file of 24 x 16 white pixels, whose JBIG stream says that it holds columns x rows."""
    header = struct.pack(">BBBBIIIBBBB", 0, 0, planes, 0, columns, rows, min(rows, 1000), 8, 0, 3, 0x40)
    stream = (header + bytes(40) + b"\xff\x02").translate(BITS_REVERSED)  # libtiff's reading of FillOrder 1
    return helper.tiff(streams.one_strip(np.zeros((16, 24), bool), stream, t259=34661))


def test_jbig_of_the_right_size():
    """A JBIG stream whose header agrees with the page is decoded (or the next test would say nothing)."""
    helper.needs("jbig")
    assert lazytiff.load(jbig_page(24, 16)).shape == (16, 24)


@pytest.mark.parametrize("size", [(0xFFFFFFF0, 0xFFFFFFF0), (200_000, 200_000), (16, 24), (24, 16, 2)], ids=str)
def test_jbig_that_contradicts_its_page(size):
    """A JBIG stream of another size is a DecodeError, even with as many bytes; huge ones abort inside libjbig."""
    helper.needs("jbig")
    with pytest.raises(lazytiff.DecodeError, match="JBIG stream"):
        lazytiff.load(jbig_page(*size))


@pytest.mark.parametrize("codec", ["lzw", "deflate"])
def test_predictor_of_subsampled_ycbcr(codec):
    """Subsampled YCbCr pixels with a predictor are refused: undoing it wrote beyond the chunk's memory."""
    page = helper.page(np.zeros((64, 64, 3), "u1"), codec=codec, tags={262: 6, 317: 2, 530: (2, 2)})
    with pytest.raises(lazytiff.UnsupportedTiffError, match="predictor"):
        lazytiff.load(helper.tiff(page))


def damaged_scan(stream):
    """Put a byte between two segments of a JPEG stream and end its scan after a third."""
    second = [begin for _, begin, _ in streams.jpeg_segments(stream)][1]
    scan = max(end for _, _, end in streams.jpeg_segments(stream))
    return stream[:second] + b"\x55" + stream[second : scan + (len(stream) - scan) // 3] + b"\xff\xd9"


@pytest.mark.parametrize("name", ["jpeg", "jpeg-ycbcr"])
def test_second_warning_of_libjpeg(name):
    """A JPEG stream that ends early is a DecodeError though libjpeg warned before: it tells one warning only."""
    streams.needs(name)
    page = streams.page_of(name)
    page.chunks = [damaged_scan(page.chunks[0])]
    with pytest.raises(lazytiff.DecodeError, match="Corrupt JPEG data"):
        lazytiff.load(helper.tiff(page))


@pytest.mark.parametrize("samples", [1, 3])
def test_jpeg_tables_behind_the_pixels(samples):
    """Tables behind a strip's pixels change nothing in the next strip, which takes those of JPEGTables."""
    streams.needs("jpeg")
    stream = streams.jpeg_encode(streams.photo(24, 40, samples))
    tables, abbreviated = streams.jpeg_tables(stream)
    foreign = b"".join(
        stream[begin : begin + 5] + b"\xff" * (end - begin - 5)
        for marker, begin, end in streams.jpeg_segments(stream)
        if marker == 0xDB
    )
    tags = {259: 7, 278: 24, 347: tables} | ({262: 6, 530: (2, 2)} if samples == 3 else {})
    pages = []
    for first in (abbreviated, abbreviated[:-2] + foreign + b"\xff\xd9"):
        page = helper.page(streams.photo(48, 40, samples), tags=tags)
        page.chunks = [first, abbreviated]
        pages.append(lazytiff.load(helper.tiff(page), workers=1))
    helper.assert_same(pages[1], pages[0])


@pytest.mark.parametrize("compression", [2, 3, 4])
def test_wide_ccitt_row(compression):
    """A row of 2^29 pixels is refused before libtiff takes 8 GiB for its runs."""
    helper.needs({2: "ccitt-rle", 3: "ccitt-g3", 4: "ccitt-g4"}[compression])
    page = streams.one_strip(np.zeros((1, 8), bool), b"\x00\x10\x01" + bytes(30), t259=compression, t256=(1 << 29) - 64)
    with (
        lazytiff.TiffFile(helper.tiff(page)) as tif,
        pytest.raises(lazytiff.DecodeError, match="Memory allocation"),
    ):
        tif.pages[0][0, :8]


@pytest.mark.parametrize("codec", ["deflate", "lzma"])
def test_stream_without_end(codec):
    """A stream that goes on for 100 MiB behind its chunk of 100 bytes is a LimitError."""
    helper.needs(codec)
    compressor = zlib.compressobj(1) if codec == "deflate" else lzma.LZMACompressor(preset=0)
    stream = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(100)) + compressor.flush()
    page = streams.one_strip(np.zeros((10, 10), "u1"), stream, t259=8 if codec == "deflate" else 34925)
    with pytest.raises(lazytiff.LimitError, match="decode to more than"):
        lazytiff.load(helper.tiff(page))


def test_sparse_complex_page():
    """A chunk of complex numbers that the file leaves out is 0."""
    page = helper.page(np.ones((4, 5), "c16"))
    page.chunks = [None]
    helper.assert_same(lazytiff.load(helper.tiff(page)), np.zeros((4, 5), "c16"))


def overlapping_ifds(pages, tags):
    """Build a file of pages whose IFDs of that many tags lie 12 bytes apart: each entry is also another IFD's link."""
    first = 3 << 16  # an offset that, as an entry, is a SHORT tag
    slots = pages + tags + 2
    file = bytearray(struct.pack("<4sI", b"II*\0", first).ljust(first + 12 * slots + 16, b"\0"))
    file[first : first + 2] = struct.pack("<H", tags)
    for slot in range(slots):
        page = slot - tags  # whose link this is
        link = first + 12 * (page + 1) if 0 <= page < pages - 1 else 0 if page == pages - 1 else first + 257
        struct.pack_into("<IIHH", file, first + 2 + 12 * slot, link, 1, 7, tags)
    return bytes(file)


def test_overlapping_ifds():
    """IFDs that lie in one another end the chain before the time spent on them leaves all proportion to the file."""
    with (
        pytest.warns(lazytiff.TiffWarning, match="ascending"),
        lazytiff.TiffFile(overlapping_ifds(5, 4)) as tif,
    ):
        assert len(tif.pages) == 5
    with (
        pytest.warns(lazytiff.TiffWarning, match="overlap"),
        lazytiff.TiffFile(overlapping_ifds(4000, 4000)) as tif,
    ):
        assert 300 < len(tif.pages) < 1000


def test_jpeg_of_12_bits_with_odd_rows():
    """12-bit JPEG of an odd number of samples a row is refused: libtiff 4.7 leaves the last one 0, 4.5 refuses all."""
    helper.needs("jpeg")
    stream = imagecodecs.jpeg_encode(np.full((24, 41), 3000, "u2"), level=98, bitspersample=12)
    with pytest.raises((lazytiff.UnsupportedTiffError, lazytiff.DecodeError)):
        lazytiff.load(helper.tiff(streams.one_strip(np.zeros((24, 41), "u2"), stream, t259=7, t258=12)))


# ---- what lazytiff holds on to


def test_files_that_nobody_closes(tmp_path):
    """An array that is dropped frees its file at once, without the garbage collector; a warning as error too."""
    path = tmp_path / "stack.tif"
    path.write_bytes(helper.tiff(helper.page(np.zeros((4, 5), "u1"))))
    odd = tmp_path / "odd.tif"
    odd.write_bytes(path.read_bytes()[:-4] + b"\xf0\xff\0\0")  # the next page is outside of the file
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("nothing here tells the open descriptors")
    gc.collect()
    gc.disable()
    try:
        before = len(list(descriptors.iterdir()))
        for _ in range(20):
            lazytiff.open(path)[1]
            lazytiff.TiffFile(path).pages[0].tags["ImageWidth"]
            with pytest.raises(lazytiff.TiffWarning, match="outside"):
                lazytiff.open(odd)
        assert len(list(descriptors.iterdir())) <= before + 1
    finally:
        gc.enable()


def test_failed_reads_hold_no_memory():
    """What a failed read had read is freed with its error, without the garbage collector."""
    pages = [helper.page(page, codec="deflate", rows_per_strip=256) for page in np.zeros((4, 1024, 1024), "u2")]
    pages[2].chunks[1] = pages[2].chunks[1][:-4]
    with lazytiff.open(helper.tiff(*pages), workers=2) as img:
        with pytest.raises(lazytiff.DecodeError):
            img.copy()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(5):
                with contextlib.suppress(lazytiff.DecodeError):
                    img.copy()
            time.sleep(0.2)  # the threads forget their last task a little later
            assert tracemalloc.get_traced_memory()[0] - before < 12 << 20  # one read has 8 MiB
        finally:
            tracemalloc.stop()
            gc.enable()


# ---- Ctrl-C and close() at a bad moment


class Interrupter:
    """Raises KeyboardInterrupt at the n-th call that this thread makes: there Python looks for signals.

    Not while work is handed to the pool, which takes a few microseconds: ThreadPoolExecutor does not stand that.
    """

    def __init__(self, call):
        self.left = call
        self.submit = None  # the frame that hands work to the pool

    def __call__(self, frame, event, _argument):
        """Count calls."""
        if event == "return":
            self.submit = None
        elif frame.f_code.co_name == "submit" and self.submit is None:
            self.submit = frame
            return self
        elif event == "call" and self.submit is None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return None


def interrupted(read, call):
    """Read, interrupted at that call; say whether it came so far."""
    tracer, before = Interrupter(call), sys.gettrace()
    sys.settrace(tracer)
    try:
        read()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return tracer.left <= 0


def all_threads_work(number):
    """Say whether that many threads of the pool do their work at the same time."""
    barrier = threading.Barrier(number)
    failed = []

    def run():
        try:
            _pool.run(lambda: barrier.wait(10), number, lambda: None)
        except threading.BrokenBarrierError as error:
            failed.append(error)

    asker = threading.Thread(target=run, daemon=True)
    asker.start()
    asker.join(15)
    return not asker.is_alive() and not failed


# an exception in a destructor cannot go further
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupt_at_any_call():
    """Wherever Ctrl-C strikes, no lock stays locked and no thread is lost: the next reads are whole."""
    pixels = helper.pixels((2, 512, 512), "u2")
    data = helper.tiff(*(helper.page(page, codec="deflate", rows_per_strip=128) for page in pixels))
    with lazytiff.open(data, workers=2, cache_bytes=0) as img:
        call = 1
        while interrupted(img.copy, call):
            call += 1
        assert call > 50
        assert all_threads_work(_pool.default_workers())
        np.testing.assert_array_equal(img.copy(), pixels)


class Closing:
    """A source that closes its own array when it is read."""

    def __init__(self, data):
        self.data, self.size, self.array = data, len(data), None

    def read_ranges(self, ranges):
        """Close, then answer."""
        if self.array is not None:
            self.array.close()
        return [self.data[offset : offset + length] for offset, length in ranges]


def test_close_during_a_read():
    """A read that is under way when the file is closed ends as if it were open, in all its threads."""
    pixels = helper.pixels((6, 512, 512), "u2")
    source = Closing(helper.tiff(*(helper.page(page, codec="deflate", rows_per_strip=64) for page in pixels)))
    for _ in range(20):
        source.array = None
        source.array = lazytiff.open(source, workers=4)
        np.testing.assert_array_equal(source.array.copy(), pixels)
        assert source.array.closed
        with pytest.raises(lazytiff.ClosedError):
            source.array[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_file_object_after_a_fork(tmp_path):
    """A child refuses to move the position of a descriptor that it shares with its parent; memory has none."""
    path = tmp_path / "stack.tif"
    pixels = helper.pixels((2, 30, 40), "u1")
    path.write_bytes(helper.tiff(*map(helper.page, pixels)))
    program = """
import io, os, sys, lazytiff
with open(sys.argv[1], "rb") as file, lazytiff.open(io.BytesIO(file.read())) as memory, lazytiff.open(file) as img:
    child = os.fork()
    if child == 0:
        try:
            img.copy()
        except lazytiff.ClosedError as error:
            os._exit(int("fork" not in str(error) or memory.copy().sum() == 0))
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    print(img.copy().sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (f"{pixels.sum()}\n", "")


# ---- errors and texts


@pytest.mark.parametrize(
    "error",
    [lazytiff.FileChangedError("shorter"), lazytiff.DecodeError("bad", 3, 4), lazytiff.LimitError("large")],
    ids=repr,
)
def test_errors_travel(error):
    """Errors pickle, so that one in a worker process reaches its parent, and keep all they say."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert type(error).__new__(type(error), *error.args)  # as tblib unpickles, which dask's cluster uses


def test_default_codecs_and_others():
    """What is decoded by default can be named together with more."""
    data = helper.tiff(helper.page(np.ones((4, 5), "u1"), codec="lzw"))
    assert lazytiff.load(data, codecs=["default", "pixarlog"]).sum() == 20
    assert lazytiff.load(data, codecs=["thunderscan", "all"]).sum() == 20
    with pytest.raises(lazytiff.UnsupportedTiffError):
        lazytiff.load(data, codecs=["thunderscan"])


def test_texts_without_the_file():
    """What cannot be mapped is named in the error and in the warning; its bytes are not printed."""
    data = helper.tiff(helper.page(np.ones((40, 50), "u1")))
    with pytest.raises(lazytiff.NotMappableError) as caught:
        lazytiff.open(data, mmap=True)
    assert len(str(caught.value)) < 200
    with pytest.warns(lazytiff.TiffWarning) as warned:
        lazytiff.load(data, mmap=True).close()
    assert len(str(warned[0].message)) < 200


def test_explaining_a_page_of_unknown_predictor():
    """A page that cannot be read can be explained."""
    data = helper.tiff(helper.page(np.ones((4, 5), "u1"), codec="lzw", tags={317: 99}))
    with lazytiff.TiffFile(data) as tif:
        with pytest.raises(lazytiff.TiffError):
            tif.pages[0].copy()
        assert "predictor 99" in tif.pages[0].explain()


def test_limits_that_are_none():
    """A misspelt limit is an AttributeError: nobody is to believe himself protected."""
    with pytest.raises(AttributeError):
        lazytiff.limits.max_page = 3


def test_readinto_that_claims_too_much():
    """A file object that says it filled more than there was room for is a ValueError, and negative numbers too."""

    class Boasting(io.BytesIO):
        claim = None

        def readinto(self, buffer):
            return super().readinto(buffer) if self.claim is None else self.claim

    file = Boasting(helper.tiff(helper.page(np.ones((40, 50), "u1"))))
    with lazytiff.open(file) as img:
        for file.claim in (-1, 1 << 40):
            with pytest.raises(ValueError, match="bytes of room"):
                img.copy()
