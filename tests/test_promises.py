"""Promises: order does not matter (G2), a broken page harms only itself (G3), files may change while open (G5, G6)."""

from __future__ import annotations

import itertools
import os
import re
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import helper
import numpy as np
import pytest
import streams
import tiff_bytes
from helper import assert_same
from tiff_bytes import ASCII, LONG, LONG8, SHORT, Builder

import lazytiff

STACK = tiff_bytes.frames(6, (5, 7), "u2")


# ---- G2: order does not matter


def mixed_jpeg():
    """Build pages whose strips bring tables of their own, or need those of their page, which differ."""
    pages, truth = [], []
    for number, level in enumerate((95, 30, 95, 60)):
        array = streams.photo(96, 64, seed=number)
        parts = [array[row : row + 16] for row in range(0, 96, 16)]
        tables, _ = streams.jpeg_tables(streams.jpeg_encode(parts[0], level))
        chunks = [streams.jpeg_encode(part, 15) for part in parts]
        for i in range(number % 2, len(parts), 2):
            chunks[i] = streams.jpeg_tables(streams.jpeg_encode(parts[i], level))[1]
        page = helper.page(array, rows_per_strip=16, tags={259: 7} | ({347: tables} if level else {}))
        page.chunks = chunks
        pages.append(page)
        truth.append(array)
    return helper.tiff(*pages), np.stack(truth)


def mixed_lzw():
    """Build pages of strips whose codes are in the old bit order, the new one, or both."""
    array = helper.pixels((4, 60, 31), "u1", 9)
    pages = []
    for number, pixels in enumerate(array):
        page = helper.page(pixels, codec="lzw", rows_per_strip=10)
        for i in range(len(page.chunks)):
            if number == 1 or (number in (0, 3) and i % 2 == number % 2):
                page.chunks[i] = streams.lzw_encode(pixels[10 * i : 10 * i + 10].tobytes(), old=True)
        pages.append(page)
    return helper.tiff(*pages), array


MIXED = {"jpeg": mixed_jpeg, "lzw": mixed_lzw}


def strips_alone(data, pages, height):
    """Read every strip with an array of its own, which reads nothing else."""
    result = {}
    for page in range(pages):
        with lazytiff.open(data, pages=page) as img:
            rows = img.shape[0]
        for row in range(0, rows, height):
            with lazytiff.open(data, pages=page, workers=1) as img:
                result[page, row] = img[row : row + height]
    return result


@pytest.mark.parametrize("name", MIXED)
def test_strips_in_any_order(name):
    """Strips with and without state that a decoder could keep give the same pixels in any order, whole and in part."""
    data, truth = MIXED[name]()
    height = 16 if name == "jpeg" else 10
    expected = strips_alone(data, len(truth), height)
    for (page, row), pixels in expected.items():
        difference = pixels.astype(int) - truth[page, row : row + height]
        assert np.abs(difference).mean() < (25 if name == "jpeg" else 1e-9)
    rng = np.random.default_rng(5)
    places = list(expected)
    with lazytiff.open(data, cache_bytes=0, workers=1) as img:
        for _ in range(12):
            for i in rng.permutation(len(places)):
                page, row = places[i]
                assert_same(img[page, row : row + height], expected[page, row], (page, row))
                assert_same(img[page, row + 3, 5:9], expected[page, row][3, 5:9], (page, row))
        assert_same(img[::-1].copy(), img.copy()[::-1].copy())


@pytest.mark.parametrize("cache_bytes", [0, 5000, 1 << 20])
@pytest.mark.parametrize("name", MIXED)
def test_strips_in_threads(name, cache_bytes):
    """The same from many threads at once, through any cache."""
    data, truth = MIXED[name]()
    height = 16 if name == "jpeg" else 10
    expected = strips_alone(data, len(truth), height)
    whole = np.stack(
        [
            np.concatenate([expected[page, row] for p, row in sorted(expected) if p == page])
            for page in range(len(truth))
        ]
    )
    with lazytiff.open(data, cache_bytes=cache_bytes, workers=3) as img:

        def read(seed):
            rng = np.random.default_rng(seed)
            for _ in range(40):
                page, row = rng.integers(len(truth)), int(rng.integers(truth.shape[1] - 20))
                key = (page, slice(row, row + int(rng.integers(1, 20))), slice(None, None, int(rng.integers(1, 4))))
                assert_same(img[key], whole[key], key)
            assert_same(img.copy(), whole)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(read, range(8)))


def test_chunks_larger_than_the_one_before():
    """A small chunk after a large one, and one of another codec, has no pixels of theirs."""
    large, small = helper.pixels((200, 200), "u2", 1), helper.pixels((3, 5), "u2", 2)
    pages = [
        helper.page(array, codec=codec, predictor=predictor)
        for codec, predictor in (("deflate", 2), ("lzw", 1), ("packbits", 1), ("deflate", 1))
        for array in (large, small)
    ]
    with lazytiff.TiffFile(helper.tiff(*pages), cache_bytes=0) as tif:
        for i in np.random.default_rng(3).integers(0, len(pages), 60):
            assert_same(tif.pages[int(i)].copy(), small if i % 2 else large)


# ---- G3: a broken page harms only itself


def broken_chains():
    """Yield a name, a file whose chain of pages is broken behind the third page, and what the warning says."""
    for name, target, text in [
        ("past the end", 1 << 30, "lies outside of the file"),
        ("to the last byte", None, "lies outside of the file"),
        ("into the header", 2, "no IFD|tags"),
        ("into pixels", "pixels", "tags|no IFD|outside"),
        ("into zeros", "zeros", "has no tags"),
        ("to itself", "itself", "back to an earlier page"),
        ("two back", "two back", "back to an earlier page"),
        ("to page 0", "page 0", "back to an earlier page"),
    ]:
        file = Builder()
        noise = file.put(bytes(range(5, 250)) * 3)
        zeros = file.put(bytes(100))
        at = [file.page(file.gray(pixels)) for pixels in STACK[:3]]
        places = {
            "pixels": noise,
            "zeros": zeros,
            "itself": at[2],
            "two back": at[1],
            "page 0": at[0],
            None: len(file.bytes) - 1,
        }
        file.link(places.get(target, target))
        yield name, bytes(file.bytes), text
    file = tiff_bytes.stack(STACK[:4])
    yield "IFD cut off", bytes(file.bytes)[:-20], "cut off by the end|outside"
    yield "only the link cut off", bytes(file.bytes)[:-1], "cut off by the end"
    file = tiff_bytes.stack(STACK[:3])
    file.page([])
    yield "IFD without tags", bytes(file.bytes), "has no tags"
    file = tiff_bytes.stack(STACK[:3])
    file.page(file.gray(STACK[3]), count=60000)
    yield "IFD of 60,000 tags", bytes(file.bytes), "claims 60000 tags"


BROKEN = {name: (data, text) for name, data, text in broken_chains()}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("opener", [lazytiff.open, lazytiff.load, lazytiff.TiffFile])
def test_broken_chain(name, opener, tmp_path):
    """The pages before the broken link are read, with one warning that begins with the path and points here."""
    data, text = BROKEN[name]
    path = tmp_path / "broken.tif"
    path.write_bytes(data)
    with pytest.warns(lazytiff.TiffWarning) as caught:
        found = opener(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    message = str(caught[0].message)
    assert message.startswith(f"{path}: the chain of pages ends after 3: ")
    assert re.search(text, message), message
    if opener is lazytiff.TiffFile:
        assert len(found.pages) == 3
        found = found.stacks[0]
    np.testing.assert_array_equal(found, STACK[:3])
    if opener is lazytiff.open:
        assert "warning: the chain of pages ends after 3: " in found.explain()
        found.close()


@pytest.mark.parametrize("back", [0, 1, 57, 149])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
def test_loop_after_many_pages(back, big):
    """A loop that is entered after 150 pages ends the chain there, wherever it leads to."""
    pixels = tiff_bytes.frames(150, (2, 2), "u2")
    file = Builder(big=big)
    at = [file.page(file.gray(page)) for page in pixels]
    file.link(at[back])
    with pytest.warns(lazytiff.TiffWarning, match="ends after 150: .*back to an earlier page"):
        img = lazytiff.open(bytes(file.bytes))
    np.testing.assert_array_equal(img, pixels)
    img.close()


@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_chain_in_any_direction(order):
    """Pages whose IFDs lie backwards or anywhere in the file are a chain like any other: no warning."""
    pixels = tiff_bytes.frames(40, (2, 3), "u2")
    places = list(range(40))[::-1] if order == "backwards" else np.random.default_rng(1).permutation(40).tolist()
    file = Builder()
    written = {}
    for page in places:
        at = file.ifd(file.gray(pixels[page]))
        written[page] = at, file.last_link
    file.patch(4, struct.pack("<I", written[0][0]))
    for page in range(39):
        file.patch(written[page][1], struct.pack("<I", written[page + 1][0]))
    with lazytiff.open(bytes(file.bytes)) as img:
        np.testing.assert_array_equal(img, pixels)


def test_odd_offset():
    """An IFD at an odd offset is read, with a warning."""
    file = tiff_bytes.stack(STACK[:2])
    file.put(b"x")
    entries = file.gray(STACK[2])
    file.bytes += b"x" * (1 - len(file.bytes) % 2)
    file.page(entries, align=1)
    with pytest.warns(lazytiff.TiffWarning, match="page 2: its IFD lies at an odd offset"):
        img = lazytiff.open(bytes(file.bytes))
    np.testing.assert_array_equal(img, STACK[:3])
    img.close()


def test_one_warning_for_all_that_is_wrong(tmp_path):
    """Several faults are one warning of one line; a file without faults has none."""
    file = Builder()
    for pixels in STACK:
        file.page(file.gray(pixels, file.entry(65000, 99, b"abcd"))[::-1])
    file.link(1 << 28)
    path = tmp_path / "faults.tif"
    path.write_bytes(file.bytes)
    with pytest.warns(lazytiff.TiffWarning) as caught:
        lazytiff.open(path).close()
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.count("ascending order") == message.count("unknown type") == message.count("ends after 6") == 1
    assert "\n" not in message


def test_max_pages(monkeypatch):
    """The chain ends at `lazytiff.limits.max_pages`, with a warning."""
    monkeypatch.setattr(lazytiff.limits, "max_pages", 4)
    with pytest.warns(lazytiff.TiffWarning, match="ends after 4: .*max_pages"):
        img = lazytiff.open(bytes(tiff_bytes.stack(STACK).bytes))
    np.testing.assert_array_equal(img, STACK[:4])
    img.close()


def test_max_layouts(monkeypatch):
    """So it does at `lazytiff.limits.max_layouts`."""
    monkeypatch.setattr(lazytiff.limits, "max_layouts", 3)
    file = Builder()
    for i in range(6):
        file.page(file.gray(np.zeros((2, i + 1), "u1")))
    with (
        pytest.warns(lazytiff.TiffWarning, match="ends after 3: .*max_layouts"),
        lazytiff.TiffFile(bytes(file.bytes)) as tif,
    ):
        assert [page.shape for page in tif.pages] == [(2, 1), (2, 2), (2, 3)]


@pytest.mark.parametrize(
    "replace",
    [
        (256, ASCII, b"7\0"),
        (257, LONG, (0,)),
        (258, SHORT, (0,)),
        (258, SHORT, (33,)),
        (262, SHORT, (2,)),
        (277, SHORT, (0,)),
        (278, SHORT, (0,)),
        (284, SHORT, (3,)),
        (322, SHORT, (0,)),
        (322, LONG8, (1 << 31,)),
        (339, SHORT, (5,)),
    ],
)
def test_broken_page_in_a_stack(replace):
    """Each way to break a page harms that page alone: its reason is given, the others are a stack."""
    file = Builder(big=True)
    for i, pixels in enumerate(STACK):
        file.page(file.gray(pixels, *([file.entry(*replace)] if i == 2 else [])))
    data = bytes(file.bytes)
    with pytest.raises(lazytiff.FrameTypeError, match="page 2 cannot be read"):
        lazytiff.open(data)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(lazytiff.load(data, pages=others), STACK[others])
    with lazytiff.TiffFile(data) as tif:
        np.testing.assert_array_equal(tif.stacks[0], STACK[others])
        with pytest.raises(
            (lazytiff.CorruptTiffError, lazytiff.UnsupportedTiffError, lazytiff.LimitError), match="page 2"
        ):
            tif.pages[2].copy()
        assert replace[0] in tif.pages[2].tags


# ---- G5, G6: a file that changes under an open array


@pytest.fixture(params=["none", "deflate"])
def changing(request, tmp_path):
    """Return the path of a stack, and its pixels."""
    pixels = helper.pixels((8, 50, 60), "u2", 4)
    path = tmp_path / "changing.tif"
    path.write_bytes(helper.tiff(*(helper.page(page, codec=request.param, rows_per_strip=16) for page in pixels)))
    return path, pixels


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what is mapped")
def test_never_mapped(changing):
    """The file of a LazyTiff is nowhere in the process's memory map, before, while and after it is read."""
    path, pixels = changing

    def is_mapped():
        return str(path) in Path("/proc/self/maps").read_text()

    with lazytiff.open(path, workers=2) as img:
        assert not is_mapped()
        kept = [img[2], img[3, 5:9], img.pages[1].copy()]
        np.testing.assert_array_equal(img, pixels)
        assert not is_mapped()
    assert not is_mapped()
    assert kept[0].shape == (50, 60)


@pytest.mark.parametrize("size", [0, 7, 1000, -1])
def test_file_that_shrinks(changing, size):
    """A file that became shorter is a FileChangedError at every read of anything from then on, cached or not."""
    path, _ = changing
    with lazytiff.open(path) as img:
        img[0, :5, :5], img[1]
        os.truncate(path, path.stat().st_size - 1 if size < 0 else size)
        for use in (
            img.copy,
            lambda: img[0, :3, :3],
            lambda: img[5],
            lambda: next(iter(img)),
            lambda: np.asarray(img),
            lambda: img.pages[7][3],
        ):
            with pytest.raises(lazytiff.FileChangedError, match=r"changing\.tif"):
                use()
        if size >= 0:
            with pytest.raises(lazytiff.FileChangedError):
                dict(img.tags)


def test_file_that_shrinks_while_it_is_read(changing):
    """Truncating in the middle of reads from several threads gives right pixels or FileChangedError, and no signal."""
    path, pixels = changing
    data = path.read_bytes()
    for _ in range(10):
        path.write_bytes(data)
        with lazytiff.open(path, cache_bytes=0, workers=2) as img:
            seen = []

            def read(img=img, seen=seen):
                for i in itertools.count():
                    try:
                        if not np.array_equal(img[i % 8], pixels[i % 8]):
                            seen.append("wrong")
                            return
                    except lazytiff.FileChangedError:
                        seen.append("changed")
                        return

            threads = [threading.Thread(target=read) for _ in range(3)]
            for thread in threads:
                thread.start()
            os.truncate(path, 3000)
            for thread in threads:
                thread.join()
        assert seen == ["changed"] * 3


def test_page_that_is_rewritten(changing):
    """A page whose IFD was rewritten in place is a FileChangedError when it is first touched; other pages are not."""
    path, pixels = changing
    with lazytiff.TiffFile(path) as tif:
        offset = tif.pages[5].tags["StripOffsets"][0]
    ifd = path.read_bytes().index(struct.pack("<HHI", 256, SHORT, 1), offset) - 2
    with lazytiff.open(path) as img, path.open("r+b") as file:
        file.seek(ifd + 2 + 8)
        file.write(struct.pack("<H", 30))  # ImageWidth
        file.flush()
        for use in (lambda: img[5], lambda: img[5, 3, 3], img.copy, lambda: img.pages[5].tags):
            with pytest.raises(lazytiff.FileChangedError, match="no longer the one"):
                use()
        np.testing.assert_array_equal(img[:5], pixels[:5])
        assert img.tags["ImageWidth"] == 60


def test_file_that_grows(changing):
    """A file that grew is read as before."""
    path, pixels = changing
    with lazytiff.open(path, cache_bytes=0) as img:
        with path.open("ab") as file:
            file.write(bytes(100_000))
        np.testing.assert_array_equal(img, pixels)
        assert len(img) == 8


@pytest.mark.skipif(os.name != "posix", reason="Windows does not delete open files")
def test_file_that_is_deleted_or_replaced(changing):
    """A deleted, renamed or replaced file stays readable through the array that has it open."""
    path, pixels = changing
    with lazytiff.open(path, cache_bytes=0) as img:
        path.rename(path.with_suffix(".old"))
        np.testing.assert_array_equal(img, pixels)
        path.write_bytes(b"something else")
        np.testing.assert_array_equal(img[::-1], pixels[::-1])
        path.with_suffix(".old").unlink()
        np.testing.assert_array_equal(img[3], pixels[3])
        assert img.tags["ImageWidth"] == 60


def test_a_large_file_that_shrinks_kills_nobody(tmp_path):
    """A child process reads while its file is cut: it ends by an exception, not by a signal."""
    path = tmp_path / "large.tif"
    path.write_bytes(bytes(tiff_bytes.stack(np.zeros((16, 1024, 1024), "u1")).bytes))
    program = """
import os, sys, lazytiff
with lazytiff.open(sys.argv[1], workers=2) as img:
    img.copy()
    os.truncate(sys.argv[1], 3 << 20)
    try:
        img.copy()
    except lazytiff.FileChangedError:
        print("noticed")
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "noticed\n"), done.stderr
