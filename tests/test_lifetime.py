"""From opening to closing: who keeps a file open, and what a closed one still says."""

from __future__ import annotations

import gc
import itertools
import operator
import random
import threading
import time
import weakref
from functools import partial
from pathlib import Path

import helper
import numpy as np
import pytest
import tiff_bytes
from tiff_bytes import LONG, Builder

import lazytiff

PIXELS = helper.pixels((6, 64, 48), "u2", 11)
DATA = helper.tiff(*(helper.page(page, codec="deflate", rows_per_strip=16) for page in PIXELS))


@pytest.fixture
def path(tmp_path):
    """Return the path of a compressed stack."""
    file = tmp_path / "stack.tif"
    file.write_bytes(DATA)
    return file


def with_subpage():
    """Build a file of a page with a SubIFD."""
    file = Builder()
    below = file.ifd(file.gray(PIXELS[1]))
    file.page(file.gray(PIXELS[0], file.entry(330, LONG, (below,))))
    return bytes(file.bytes)


# ---- after close()

USES = {
    "an element": lambda img: img[0, 0, 0],
    "a page": lambda img: img[1],
    "everything": lambda img: img[...],
    "nothing": lambda img: img[0:0],
    "a mask": lambda img: img[np.zeros(img.shape, bool)],
    "index arrays": lambda img: img[[1, 2]],
    "copy": lambda img: img.copy(),
    "asarray": np.asarray,
    "iteration": list,
    "a view": lambda img: np.add(img, 1)[0],
    "a reduction": lambda img: img.max(),
    "tags": lambda img: img.tags,
    "a page's pixels": lambda img: img.pages[2][3],
    "a page's tags": lambda img: img.pages[2].tags,
    "all pages' pixels": lambda img: [page.copy() for page in img.pages],
    "subpages": lambda img: img.pages[0].subpages,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("touched", [False, True], ids=["untouched", "touched"])
def test_use_after_close(use, touched, path):
    """Whatever needs the file raises ClosedError with its name, also what is in the cache, and each time."""
    img = lazytiff.open(path)
    if touched:
        img[0, 0, 0], img[0, 0, 0], img.tags, img.pages[0].subpages
    img.close()
    for _ in range(2):
        with pytest.raises(lazytiff.ClosedError, match=r"stack\.tif was closed"):
            use(img)


def test_what_a_closed_array_still_says(path):
    """repr, shape and the like go on working, and closing again does nothing."""
    img = lazytiff.open(path)
    before = repr(img), img.shape, img.dtype, img.axes, img.chunk_shape, len(img), img.nbytes, img.path, img.mode
    for _ in range(3):
        img.close()
        assert img.closed
    assert before[0][:-1] + ", closed>" == repr(img)
    assert before[1:] == (img.shape, img.dtype, img.axes, img.chunk_shape, len(img), img.nbytes, img.path, img.mode)
    assert "closed" in img.explain()
    assert img.cache_info().decoded == 0


def test_context_manager(path):
    """`with` gives the array and closes it, whatever happens inside."""
    with lazytiff.open(path) as img:
        assert not img.closed
    assert img.closed
    with pytest.raises(ZeroDivisionError), lazytiff.open(path) as img:
        raise ZeroDivisionError
    assert img.closed
    with lazytiff.TiffFile(path) as tif:
        pages, stack = tif.pages, tif.stacks[0]
    assert tif.closed
    for use in (pages[0].copy, lambda: stack[0], lambda: tif.pages[1].tags, tif.stacks[0].copy):
        with pytest.raises(lazytiff.ClosedError):
            use()


def test_what_was_taken_before_closing(path):
    """Iterators, tags and pages that are older than close() are closed as well."""
    img = lazytiff.open(path)
    iterator, tags, page = iter(img), img.tags, img.pages[1]
    np.testing.assert_array_equal(next(iterator), PIXELS[0])
    img.close()
    for use in (
        lambda: next(iterator),
        lambda: tags["ImageWidth"],
        lambda: dict(tags),
        lambda: page[0, 0],
        lambda: page.tags,
    ):
        with pytest.raises(lazytiff.ClosedError):
            use()
    assert page.closed
    assert "ImageWidth" in tags


def test_arrays_of_one_file_share_its_life(path):
    """Closing a page, a stack or the file closes all of them; arrays that were opened by themselves stay open."""
    other = lazytiff.open(path)
    for close in (
        lambda tif: tif.pages[3].close(),
        lambda tif: tif.stacks[0].close(),
        lambda tif: tif.stacks[0].pages[1].close(),
        lambda tif: tif.close(),
    ):
        tif = lazytiff.TiffFile(path)
        page, stack = tif.pages[0], tif.stacks[0]
        close(tif)
        assert tif.closed
        assert page.closed
        assert stack.closed
    np.testing.assert_array_equal(other, PIXELS)
    other.close()


def test_subpages_share_the_life():
    """So do the pages below a page, and closing one of those."""
    with lazytiff.open(with_subpage()) as img:
        below = img.pages[0].subpages[0]
        np.testing.assert_array_equal(below, PIXELS[1])
    with pytest.raises(lazytiff.ClosedError):
        below.copy()
    img = lazytiff.open(with_subpage())
    img.pages[0].subpages[0].close()
    assert img.closed


def test_results_outlive_the_array(path):
    """What was read does not depend on the file any more."""
    with lazytiff.open(path) as img:
        parts = [img[2], img[:, 3], img[1, 2:9, ::2], np.asarray(img)]
    gc.collect()
    for part, expected in zip(parts, [PIXELS[2], PIXELS[:, 3], PIXELS[1, 2:9, ::2], PIXELS], strict=True):
        np.testing.assert_array_equal(part, expected)
        part[...] = 0


# ---- garbage


def descriptors():
    """Return how many files this process has open."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("only Linux says which files are open")
    return len(list(folder.iterdir()))


@pytest.mark.parametrize("what", ["page", "pages", "tags", "iterator", "stack", "subpages"])
def test_parts_keep_the_file_open(what, path):
    """A part of an array that nobody refers to any more is still readable."""
    parts = {
        "page": lambda: lazytiff.open(path).pages[0].copy,
        "pages": lambda: partial(operator.getitem, lazytiff.open(path).pages, 0),
        "tags": lambda: partial(operator.getitem, lazytiff.open(path).tags, "ImageLength"),
        "iterator": lambda: partial(next, iter(lazytiff.open(path))),
        "stack": lambda: lazytiff.TiffFile(path).stacks[0].copy,
        "subpages": lambda: partial(operator.getitem, lazytiff.open(with_subpage()).pages[0].subpages, 0),
    }
    expected = {"tags": PIXELS.shape[1], "stack": PIXELS, "subpages": PIXELS[1]}.get(what, PIXELS[0])
    part = parts[what]()
    gc.collect()
    np.testing.assert_array_equal(part(), expected)


def test_garbage_in_any_order(path):
    """Array, page, pages, tags and file may go in any order: all but the last work on, the last one closes the file."""
    gc.collect()
    before = descriptors()
    for seed in range(40):
        tif = lazytiff.TiffFile(path)
        img, page, tags = tif.stacks[0], tif.pages[2], tif.pages[1].tags
        iterator = iter(img.pages)
        uses = {
            "tif": lambda tif=tif: tif.pages[4].copy(),
            "img": lambda img=img: img[3, 5],
            "page": lambda page=page: page[1:5],
            "tags": lambda tags=tags: tags["ImageWidth"],
            "iterator": lambda iterator=iterator: next(iterator).copy(),
        }
        del tif, img, page, tags, iterator
        order = list(uses)
        random.Random(seed).shuffle(order)
        for name in order:
            uses[name]()
            assert descriptors() == before + 1
            del uses[name]
        assert descriptors() == before


def test_an_array_that_is_forgotten_is_freed(path):
    """Without close() the file is closed with the last reference, without waiting for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        img = lazytiff.open(path)
        img.copy(), img[0, 0, 0], img.pages[1].tags
        gone = weakref.ref(img)
        del img
        assert gone() is None
        assert descriptors() == before
    finally:
        gc.enable()


def test_no_descriptor_is_lost(path, tmp_path):
    """Opening and closing many times, and opening in vain in every way, leaves no file open."""
    bad = {}
    for name, data in {
        "empty": b"",
        "text": b"no TIFF",
        "no pages": bytes(Builder().bytes),
        "broken": bytes(Builder(first=1 << 20).bytes),
        "mixed": bytes(tiff_bytes.stack([PIXELS[0], PIXELS[0, :3]]).bytes),
    }.items():
        bad[name] = tmp_path / name
        bad[name].write_bytes(data)
    gc.collect()
    before = descriptors()
    for _ in range(50):
        with lazytiff.open(path) as img:
            img[0]
        for file in bad.values():
            with pytest.raises(lazytiff.TiffError):
                lazytiff.open(file)
        with pytest.raises(IndexError):
            lazytiff.open(path, pages=99)
        with pytest.raises(ValueError, match="workers"):
            lazytiff.open(path, workers=0)
        lazytiff.load(path)
    assert descriptors() == before


# ---- closing while others read


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
@pytest.mark.parametrize("close_by", ["page", "file"])
def test_closing_while_others_read(close_by, cache_bytes, path):
    """Each read of four threads gives right values or ClosedError, in a hundred rounds of closing in their midst."""
    wrong = []
    finished = itertools.count()
    for round_ in range(100):
        tif = lazytiff.TiffFile(path, cache_bytes=cache_bytes, workers=2)
        started = threading.Barrier(5)

        def read(seed, img=tif.stacks[0], started=started):
            rng = random.Random(seed)
            started.wait()
            try:
                while True:
                    i, row = rng.randrange(len(PIXELS)), rng.randrange(40)
                    key = rng.choice([(i,), (i, slice(row, row + 9)), (slice(None), row), (i, row, 5), (slice(None),)])
                    if not np.array_equal(img[key], PIXELS[key]):
                        wrong.append(key)
                        return
                    if rng.random() < 0.2 and img.pages[i].tags["ImageLength"] != PIXELS.shape[1]:
                        wrong.append("tags")
                        return
            except lazytiff.ClosedError:
                next(finished)

        threads = [threading.Thread(target=read, args=(4 * round_ + i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        started.wait()
        time.sleep(random.Random(round_).uniform(0, 0.004))
        if close_by == "page":
            tif.stacks[0].pages[1].close()
        else:
            tif.close()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert wrong == []
    assert next(finished) == 400


def test_closing_while_subpages_are_opened():
    """Looking for the pages below a page while another thread closes the file gives them or ClosedError."""
    data = with_subpage()
    for round_ in range(60):
        img = lazytiff.open(data)
        seen = []

        def look(img=img, seen=seen):
            try:
                while True:
                    below = img.pages[0].subpages[0]
                    img._file._below.clear()
                    if not np.array_equal(below.copy(), PIXELS[1]):
                        seen.append("wrong")
            except lazytiff.ClosedError:
                seen.append("closed")

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(random.Random(round_).uniform(0, 0.002))
        img.close()
        for thread in threads:
            thread.join(30)
        assert seen == ["closed", "closed"]


def test_closing_from_within_a_read():
    """An object that closes the array that is reading from it gets to the end of that read; the next one is refused."""

    class Closing:
        size = len(DATA)
        img = None

        def read_ranges(self, ranges):
            if self.img is not None:
                self.img.close()
            return [DATA[offset : offset + length] for offset, length in ranges]

    source = Closing()
    img = source.img = lazytiff.open(source)
    np.testing.assert_array_equal(img[2], PIXELS[2])
    with pytest.raises(lazytiff.ClosedError):
        img[2]
    source.img = None
