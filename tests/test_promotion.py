"""Stacks that grow past 4 GiB: classic TIFF becomes BigTIFF by one write, and every reader reads both.

The files are as long as they say. Nearly all of them is a hole, so that they take no space.
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import sys
import time
from contextlib import ExitStack

import chains
import helper
import libtiff_reader
import numpy as np
import pytest
import tifffile
from chains import CLASSIC_MOST
from PIL import Image

import lazytiff

ROWS, COLUMNS = 37, 50
BEFORE, AROUND = 3, 6  # pages at the file's beginning; pages that are appended near 4 GiB, of which half fit

# How pages may be stored, by name: dtype, samples, options of `empty`.
FORMS = {
    "gray": ("u1", 1, {}),
    "big-endian": (">u2", 1, {"description": "of the whole stack"}),
    "float": ("<f4", 1, {"chunk_shape": 5}),
    "big-endian strips": (">u4", 1, {"chunk_shape": 8}),
    "rgb": ("u1", 3, {"tags": {"XResolution": 2.5}}),
    "tiles": ("<u2", 1, {"chunk_shape": (16, 32)}),
    "deflate": ("u1", 1, {"compression": "deflate", "predictor": 2, "chunk_shape": 9}),
    "big-endian lzw": (">i2", 1, {"compression": "lzw"}),
    "zstd tiles": ("u1", 3, {"compression": "zstd", "chunk_shape": (32, 16)}),
    "bool": ("bool", 1, {"compression": "ccitt-g4"}),
}


@pytest.fixture
def path(sparse_path):
    """Return the path of the file to be made."""
    return sparse_path


def make_pages(form, count=BEFORE + AROUND):
    """Make pages of which no two are alike."""
    dtype, samples, options = FORMS[form]
    helper.needs(options.get("compression", "none"))
    return helper.pixels((count, ROWS, COLUMNS, *[samples] * (samples > 1)), np.dtype(dtype))


def spacing(path):
    """Return the distance of the last two pages."""
    ends = [ifd.chunks[0][0] for ifd in chains.chains(path)[0][-2:]]
    return ends[1] - ends[0]


def begin(path, form, pages, **options):
    """Make a stack whose file ends where half of AROUND pages still fit below 4 GiB."""
    with lazytiff.empty(path, FORMS[form][0], **FORMS[form][2], **options) as out:
        out.extend(pages[:BEFORE])
    room = CLASSIC_MOST - (AROUND // 2) * spacing(path) - spacing(path) // 2
    chains.lengthen(path, room - room % 64 + 5)  # no writer may rely on where a file ends


# ---- Readers


def read_lazy(path):
    """Read with LazyTiff."""
    with lazytiff.open(path, squeeze=False) as img:
        return img[...]


def read_mapped(path):
    """Read with MmapTiff where pages can be mapped."""
    try:
        with lazytiff.open(path, mmap=True, squeeze=False) as img:
            return np.array(img[...])
    except lazytiff.NotMappableError:
        return read_lazy(path)


def read_tifffile(path):
    """Read with tifffile."""
    with tifffile.TiffFile(path) as tif:
        return np.array([page.asarray() for page in tif.pages])


def read_pillow(path):
    """Read with Pillow's own decoders where it has one."""
    with Image.open(path) as image:
        pages = []
        for number in range(image.n_frames):
            image.seek(number)
            pages.append(np.array(image))
        return np.array(pages)


def read_libtiff(path, form, shape):
    """Read with the libtiff that lazytiff is linked with."""
    dtype, _, options = FORMS[form]
    tile = options.get("chunk_shape")
    return libtiff_reader.read(path, shape, dtype, tile if isinstance(tile, tuple) else None)


def pillow_can(path, form):
    """Tell whether Pillow has such pixels, and can find them.

    It knows no big-endian BigTIFF, and what it has libtiff decode it names by offsets of 32 bits.
    """
    dtype, _, options = FORMS[form]
    if b"*" in chains.header(path)[:4]:
        return dtype in ("u1", ">u2", "<f4", "bool")
    return dtype in ("u1", "<f4") and "compression" not in options


def check_readers(path, form, expected):
    """Assert that all readers find these pages and their pixels."""
    found = {read.__name__: read(path) for read in (read_lazy, read_mapped, read_tifffile)}
    found["libtiff"] = read_libtiff(path, form, expected.shape[1:])
    if pillow_can(path, form):
        found["Pillow"] = read_pillow(path)
    for reader, pages in found.items():
        assert pages.shape == expected.shape, reader
        assert (pages == expected).all(), reader


# ---- Before, at and after the border


@pytest.mark.parametrize("form", FORMS)
def test_border(form, path):
    """Pages below 4 GiB are in both chains, the one that crosses makes the file BigTIFF; all readers read all pages."""
    pages = make_pages(form)
    begin(path, form, pages)
    order = ">" if FORMS[form][0].startswith(">") else "<"
    before = chains.header(path)
    assert before[:4] == (b"MM\0*" if order == ">" else b"II*\0")
    after = before[:2] + struct.pack(order + "HHH", 43, 8, 0) + before[8:]
    count, promoted = BEFORE, False
    with lazytiff.open(path, "a") as out:
        for page in pages[BEFORE:]:
            assert out.append(page) == count
            count += 1
            promoted = os.path.getsize(path) > CLASSIC_MOST
            assert chains.header(path) == (after if promoted else before)
            assert chains.check(path, both=not promoted) == count
            assert str(out).startswith("64-bit" if promoted else "32-bit")
            assert ("16384.000 PiB" in str(out)) == promoted
            assert (out[...] == pages[:count]).all()
            check_readers(path, form, pages[:count])
    assert promoted
    assert "16384.000 PiB" in str(out)


@pytest.mark.parametrize("form", ["big-endian", "deflate"])
def test_bigtiff_from_the_start(form, path):
    """With bigtiff=True nothing changes at 4 GiB but the size of the file."""
    pages = make_pages(form)
    begin(path, form, pages, bigtiff=True)
    before = chains.header(path)
    with lazytiff.open(path, "a") as out:
        for page in pages[BEFORE:]:
            assert "16384.000 PiB" in str(out)
            out.append(page)
            assert chains.header(path) == before
            check_readers(path, form, pages[: len(out)])
    assert chains.check(path) == len(pages)
    assert os.path.getsize(path) > CLASSIC_MOST


@pytest.mark.parametrize("form", ["gray", "big-endian strips", "zstd tiles"])
@pytest.mark.parametrize("length", [2000, CLASSIC_MOST - 2000, 1 << 33])
def test_first_page(form, length, path):
    """The first page may end above 4 GiB, or wholly be there: the file is BigTIFF when it is published."""
    pages = make_pages(form, 3)
    lazytiff.empty(path, FORMS[form][0], **FORMS[form][2]).close()
    chains.lengthen(path, length)
    with lazytiff.open(path, "a", dtype=FORMS[form][0], **FORMS[form][2]) as out:
        out.append(pages[0])
        assert str(out).startswith("64-bit" if length > 2000 else "32-bit")
        check_readers(path, form, pages[:1])
        out.extend(pages[1:], batch=2)
        assert (out[...] == pages).all()
    check_readers(path, form, pages)


@pytest.mark.parametrize("form", ["gray", "deflate"])
@pytest.mark.parametrize("batch", [2, 100])
def test_batch(batch, form, path):
    """Pages of one batch may lie on both sides: all of them appear at once."""
    pages = make_pages(form)
    begin(path, form, pages)
    with lazytiff.open(path, squeeze=False) as img, lazytiff.open(path, "a") as out:

        def watched():
            for number, page in enumerate(pages[BEFORE:]):
                img.refresh()
                assert len(img) in (BEFORE + number - number % batch, BEFORE)  # what is encoded may be late
                yield page

        assert out.extend(watched(), batch=batch) == AROUND
        assert img.refresh() > 0
        assert (img[...] == pages).all()
    check_readers(path, form, pages)


def test_tags_of_pages(path):
    """Pages on both sides may have tags of their own; after the border they may have 8-byte numbers only in BigTIFF."""
    pages = make_pages("gray")
    begin(path, "gray", pages, description="of all", tags={"Artist": "Ada Lovelace"})
    with lazytiff.open(path, "a") as out:
        for number in range(BEFORE, len(pages)):
            out.append(pages[number], tags={"DateTime": f"2026:01:02 03:04:{number:02}", "Artist": f"page {number}"})
    with lazytiff.open(path) as img, tifffile.TiffFile(path) as tif:
        assert img.tags["ImageDescription"] == tif.pages[0].tags["ImageDescription"].value == "of all"
        for number in range(len(pages)):
            artist = f"page {number}" if number >= BEFORE else "Ada Lovelace"
            assert img.pages[number].tags["Artist"] == tif.pages[number].tags["Artist"].value == artist
    check_readers(path, "gray", pages)


@pytest.mark.parametrize("form", ["gray", "float", "deflate"])
def test_going_on_again_and_again(form, path):
    """A stack that is opened for each page becomes BigTIFF like one that stays open."""
    pages = make_pages(form)
    begin(path, form, pages)
    for number in range(BEFORE, len(pages)):
        with lazytiff.open(path, "a") as out:
            assert out.append(pages[number]) == number
            assert (out[-2:] == pages[number - 1 : number + 1]).all()
        chains.check(path, both=os.path.getsize(path) <= CLASSIC_MOST)
    check_readers(path, form, pages)


def test_distance_of_pages_with_many_strips(path):
    """Where the lists of strips are longer than the pixels, pages still lie at equal distances across the border."""
    pages = helper.pixels((9, 2000, 16), "u1")
    with lazytiff.empty(path, "u1", chunk_shape=1) as out:
        out.extend(pages[:3])
    distance = spacing(path)
    chains.lengthen(path, CLASSIC_MOST - CLASSIC_MOST % 64 - 3 * distance)
    with lazytiff.open(path, "a") as out:
        out.extend(pages[3:])
    places = [ifd.chunks[0][0] for ifd in chains.chains(path)[0]]
    assert places[3] < CLASSIC_MOST < places[-1]
    assert set(np.diff(places[3:])) == {distance}
    assert (read_libtiff(path, "gray", pages.shape[1:]) == pages).all()
    with lazytiff.open(path, mmap=True, pages=slice(3, None)) as img:
        assert (np.asarray(img) == pages[3:]).all()
        assert "mapped as one array over all pages" in img.explain()


# ---- Readers that opened the file before


@pytest.mark.parametrize("form", ["gray", "big-endian", "rgb", "deflate"])
@pytest.mark.parametrize("often", [True, False])
def test_readers_from_before(often, form, path):
    """Arrays that were opened before keep what they have, and `refresh` shows the rest, whenever it is called."""
    pages = make_pages(form)
    begin(path, form, pages)
    with ExitStack() as stack:
        out = stack.enter_context(lazytiff.open(path, "a"))
        kinds = [False, True] if form != "deflate" else [False]
        frozen = [stack.enter_context(lazytiff.open(path, mmap=mmap)) for mmap in kinds]
        arrays = [stack.enter_context(lazytiff.open(path, mmap=mmap, cache_bytes=0)) for mmap in kinds]
        views = [array[1:] for array in arrays]
        seen = BEFORE
        for page in pages[BEFORE:]:
            out.append(page)
            for array in arrays if often else ():
                assert array.refresh() == 1
                assert (array[...] == pages[: len(out)]).all()
                seen = len(out)
            for array in frozen:
                assert (np.asarray(array[...]) == pages[:BEFORE]).all()
        for array, view in zip(arrays, views, strict=True):
            assert array.refresh() == len(pages) - seen
            assert (array[...] == pages).all()
            assert (view == pages[1:BEFORE]).all()
            assert array.pages[len(pages) - 1].tags["ImageWidth"] == COLUMNS
            with pytest.raises(IndexError):
                array[len(pages)]
        del view, views, array


FOLLOWER = """
import sys, lazytiff
for page in lazytiff.follow(sys.argv[1], poll=0.001, mmap=sys.argv[2] == "mapped"):
    print(page.tobytes().hex(), flush=True)
"""


@pytest.mark.parametrize("way", ["lazy", "mapped"])
def test_followed_by_another_process(way, path):
    """Who follows gets every page, through the border, and the end when the writer has closed."""
    pages = make_pages("big-endian")
    begin(path, "big-endian", pages)
    with lazytiff.open(path, "a") as out:
        command = [sys.executable, "-P", "-c", FOLLOWER, path, way]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for number, page in enumerate(pages):
                if number >= BEFORE:
                    out.append(page)
                found = np.frombuffer(bytes.fromhex(process.stdout.readline()), page.dtype if way == "lazy" else ">u2")
                assert (found.reshape(page.shape) == page).all()
            out.close()
            assert process.stdout.read() == ""
            assert process.wait(60) == 0


# ---- Pages at equal distances

LARGE, LARGE_ROWS = 1 << 26, 4096  # bytes of a page, and its rows
SOME = {"description": "A stack. " * 30}
LONG = {"description": "A stack. " * 3000, "dtype": ">u2"}
STRIPS = {"chunk_shape": 64, "dtype": ">u4", "tags": {65000: "a private tag of all"}}


@pytest.mark.parametrize(
    ("options", "resumed", "tagged"),
    [
        pytest.param(SOME, True, False, id="description, resumed"),
        pytest.param(LONG, False, True, id="long description, tags"),
        pytest.param(STRIPS, True, False, id="strips, resumed"),
        pytest.param(SOME, False, False, id="description", marks=pytest.mark.slow),
        pytest.param(LONG, True, False, id="long description, resumed", marks=pytest.mark.slow),
        pytest.param(STRIPS, False, True, id="strips, tags", marks=pytest.mark.slow),
        pytest.param({"bigtiff": True, **SOME}, True, False, id="bigtiff, resumed", marks=pytest.mark.slow),
    ],
)
def test_one_strided_array(options, resumed, tagged, path):
    """Pages that are stored as they are lie at equal distances below and above 4 GiB: one array without a copy."""
    options = {"dtype": "u1", **options}
    count = (1 << 32) // LARGE + 3
    page = np.zeros(LARGE, "u1").view(options["dtype"]).reshape(LARGE_ROWS, -1)
    out = lazytiff.empty(path, **options)
    for number in range(count):
        if resumed and number in (1, 2, 3, count // 2, count - 4, count - 3, count - 2):
            out.close()
            out = lazytiff.open(path, "a")
        page[0], page[-1] = number, number + 100
        tags = {"DateTime": f"2026:01:02 03:04:{number % 60:02}"} if tagged and number > 0 else None
        assert out.append(page, tags=tags) == number
        chains.hollow(path, os.path.getsize(path), LARGE)
    expected = np.arange(count)
    assert (out[:, 0, 5] == expected).all()
    out.close()
    assert os.path.getsize(path) > CLASSIC_MOST + LARGE
    with lazytiff.open(path, mmap=True) as img:
        array = np.asarray(img)
        assert (array.shape, array.dtype) == ((count, *page.shape), page.dtype)
        assert LARGE < array.strides[0] < LARGE + LARGE // 8
        assert not array.flags.owndata
        assert "mapped as one array over all pages" in img.explain()
        for column in (0, 77, -1):
            assert (array[:, 0, column] == expected).all()
            assert (array[:, -1, column] == expected + 100).all()
        assert not array[-1, 1:-1].any()
        del array
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == count
        assert (tif.pages[count - 1].asarray()[[0, -1], 9] == [count - 1, count + 99]).all()
    assert chains.check(path) == count


@pytest.mark.slow
def test_page_of_more_than_4_gib(tmp_path):
    """One page, of one strip, may be longer than classic TIFF has offsets for."""
    path, shape = tmp_path / "stack.tif", (65_600, 65_536)
    if shutil.disk_usage(tmp_path).free < 8 << 30:
        pytest.skip("there are no 8 GiB of disk space")
    page = np.zeros(shape, "u1")
    page[0, :9], page[-1, -9:] = 1, 2
    with lazytiff.empty(path, "u1", bigtiff=False) as out, pytest.raises(lazytiff.FileFullError):
        out.append(page)
    assert os.path.getsize(path) == 8
    path.unlink()
    try:
        with lazytiff.empty(path, "u1") as out:
            for number in range(2):
                assert out.append(page) == number
                chains.hollow(path, os.path.getsize(path), page.nbytes)
                assert out[number, 0, 8:10].tolist() == [1, 0]
                assert out[number, -1, -10:-8].tolist() == [0, 2]
        with lazytiff.open(path, mmap=True) as img, tifffile.TiffFile(path) as tif:
            assert img.shape == (2, *shape)
            assert img[1, -1, -9:].tolist() == [2] * 9
            assert [page.shape for page in tif.pages] == [shape] * 2
            assert tif.pages[1].databytecounts == (page.nbytes,)
    finally:
        path.unlink()


# ---- No stall


@pytest.mark.slow
def test_million_pages(path):
    """The page that crosses 4 GiB behind a million others is appended about as fast as any other."""
    page = np.full((8, 8), 7, "u1")
    with lazytiff.empty(path, "u1") as out:
        out.extend((page for _ in range(1_000_000)), batch=1000)
    distance = spacing(path)
    chains.lengthen(path, CLASSIC_MOST - 2000 * distance)
    times = {False: [], True: []}
    with lazytiff.open(path, "a") as out:
        for _ in range(4000):
            below = os.path.getsize(path) + distance <= CLASSIC_MOST - 64
            start = time.perf_counter()
            out.append(page)
            times[below].append(time.perf_counter() - start)
    assert 1900 < len(times[True]) < 2100
    assert times[False][0] < 500 * statistics.median(times[True])
    assert statistics.median(times[False]) < 3 * statistics.median(times[True])
    with lazytiff.open(path) as img:
        assert img.shape == (1_004_000, 8, 8)
        assert (img[::4321] == page).all()
