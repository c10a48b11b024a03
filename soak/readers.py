"""Readers of a file that another process is writing: no page is torn, short, out of order or gone again.

    python soak/readers.py [SECONDS] [--form FORM ...] [--folder FOLDER]

For SECONDS (default: 60) for each form of the file, one process appends pages whose every pixel tells their number,
and others read: one refreshes a LazyTiff, one a MmapTiff (where pages can be mapped), one follows, one opens the file
with tifffile again and again, and one, where a page is one strip in one chain, stares at the last link. Each looks at
every page once it shows, and at older ones again. Files stay in FOLDER when one is given.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import lazytiff

SECONDS = 60.0
RATE = 1500  # pages that are written in a second, at the most: the readers, who look at each pixel, have to keep up
SHAPE, DTYPE = (32, 32), "u4"
FORMS = {
    "classic": {"bigtiff": False},
    "bigtiff": {"bigtiff": True},
    "promoted": {},  # it becomes BigTIFF when half of the pages are written
    "deflate": {"compression": "deflate", "predictor": 2},
    "deflate promoted": {"compression": "deflate"},
    "big-endian tiles": {"chunk_shape": (16, 16), "dtype": ">u4"},
}
READERS = {
    "lazy": tuple(FORMS),
    "mapped": tuple(form for form, options in FORMS.items() if "compression" not in options),
    "follow": tuple(FORMS),
    "tifffile": tuple(FORMS),
    "links": ("classic", "bigtiff"),
}
LONGEST = 64  # bytes of a tag's values, in files of these forms
FIRST = 5  # pages of a file that is to be promoted, before its hole
GRID = np.arange(SHAPE[0] * SHAPE[1], dtype="u4").reshape(SHAPE)


def content(number):
    """Make the page of that number: no pixel is the same on another one of the next million."""
    return GRID * np.uint32(2_654_435_761) + np.uint32(number * 40_503 % (1 << 32))


def check(page, number):
    """Assert that this is the page of that number, all of it."""
    assert page.shape == SHAPE, f"page {number} has the shape {page.shape}"
    wrong = np.argwhere(page != content(number))
    assert not len(wrong), f"page {number}: {len(wrong)} pixels are wrong, the first one is {wrong[0]}"


# ---- The writer


def write(path, form, seconds):
    """Write pages for that long, or longer where that is too fast; print how many there are."""
    options = {"dtype": DTYPE, **FORMS[form]}
    total = int(RATE * seconds)
    out = almost_full(path, options, total) if "promoted" in form else lazytiff.empty(path, **options)
    start = time.monotonic()
    while len(out) < total:
        write_some(out, min(total, int(RATE * (time.monotonic() - start))))
        time.sleep(random.choice((0, 0, 0.001, 0.01)))
    promoted, pages = str(out).startswith("64-bit"), len(out)
    out.close()
    assert promoted == ("promoted" in form or form == "bigtiff"), out
    print(json.dumps({"pages": pages}))


def almost_full(path, options, total):
    """Have a file that outgrows 4 GiB in the middle. It gets its name locked: who follows it would take it for done."""
    hidden = f"{path}.new"
    with lazytiff.empty(hidden, **options) as out:
        out.extend(content(number) for number in range(FIRST))
    per_page = (os.path.getsize(hidden) - 16) // FIRST
    os.truncate(hidden, (1 << 32) - total // 2 * per_page)
    out = lazytiff.open(hidden, "a")
    os.rename(hidden, path)
    return out


def write_some(out, end):
    """Append pages up to that number, one by one or in batches."""
    while len(out) < end:
        start = len(out)
        if random.random() < 0.1:
            out.extend((content(number) for number in range(start, min(end, start + 20))), batch=random.choice((1, 7)))
        else:
            out.append(content(start))


# ---- The readers


class Watch:
    """What a reader has seen: pages that were there must be there, and the same."""

    def __init__(self, path):
        self.done = Path(f"{path}.done")
        self.parent = os.getppid()
        self.count = self.looks = 0

    def ended(self):
        """Return how many pages the writer left, or None while it writes."""
        if os.getppid() != self.parent:
            sys.exit("the process that tells of the writer's end is gone")
        return json.loads(self.done.read_text()) if self.done.exists() else None

    def look(self, array, count):
        """Look at the pages that came, and again at some that were there."""
        assert count >= self.count, f"there were {self.count} pages, and now {count}"
        again = [random.randrange(self.count) for _ in range(3)] + [0, self.count - 1] if self.count else []
        for number in (*range(self.count, count), *again):
            check(array[number], number)
        self.count, self.looks = count, self.looks + 1

    def report(self, pages):
        """Print what was seen; all pages must have been."""
        assert self.count == pages, f"{self.count} pages of {pages} were seen"
        print(json.dumps({"looks": self.looks, "pages": self.count}))


def wait_for_pages(path, open_it):
    """Open the file once it has a page."""
    while True:
        try:
            return open_it(path)
        except (FileNotFoundError, lazytiff.EmptyStackError):
            time.sleep(0.001)


def refresh(path, *, mmap):
    """Refresh one array all the time; now and then open another one, which must have all that the first one has."""
    watch = Watch(path)
    options = {"mmap": mmap, "squeeze": False, "cache_bytes": 0}
    with wait_for_pages(path, lambda path: lazytiff.open(path, **options)) as array:
        while True:
            pages = watch.ended()
            before = len(array)
            assert array.refresh() == len(array) - before
            watch.look(array, len(array))
            if pages is not None:
                break
            if random.random() < 0.02:
                with lazytiff.open(path, **options) as other:
                    watch.look(other, len(other))
                    watch.count = len(array)  # it goes on from there
    watch.report(pages)


def follow(path):
    """Follow the file from before it is there until its writer has closed it."""
    watch = Watch(path)
    for number, page in enumerate(lazytiff.follow(path, poll=0.001)):
        check(page, number)
        watch.count, watch.looks = number + 1, watch.looks + 1
    while (pages := watch.ended()) is None:
        time.sleep(0.01)
    watch.report(pages)


def open_again(path):
    """Open the file with tifffile again and again: its chain is whole each time."""
    import tifffile  # noqa: PLC0415  # nobody else needs it

    words = Words()
    tifffile.logger().addHandler(words)
    watch = Watch(path)
    wait_for_pages(path, os.stat)
    pages = None
    while pages is None:
        pages = watch.ended()
        with tifffile.TiffFile(path) as tif:
            count = len(tif.pages)
            if count and not tif.pages[-1].dataoffsets:  # what words.check must explain; a later look sees the page
                count -= 1
            watch.look(Pages(tif), count)
            words.check(tif.filehandle.size)
    watch.report(pages)


class Words(logging.Handler):
    """What tifffile logs."""

    def __init__(self):
        super().__init__()
        self._words = []

    def emit(self, record):
        """Keep what is logged."""
        self._words.append(record.getMessage())

    def check(self, size):
        """Assert that there was nothing wrong with a file that had that size when it was opened.

        tifffile asks for the size once, perhaps while a page is being written, and says so when pages, or values of
        the last one's tags, lie behind it.
        """
        words, self._words = self._words, []
        cut = False
        for text in words:
            behind = re.search(r"invalid (?:page offset|offset to first page) (\d+)\b", text)
            value = re.search(r"invalid value offset (\d+)\b", text)
            beyond = (behind and int(behind[1]) >= size) or (value and int(value[1]) + LONGEST > size)
            cut = cut or bool(value and beyond)
            explained = text.endswith("contains no pages") or (cut and "missing data offset" in text)
            assert explained or beyond, f"{text}, of a file of {size} bytes"


class Pages:
    """Pages as tifffile reads them."""

    def __init__(self, tif):
        self._pages = tif.pages

    def __getitem__(self, number):
        return self._pages[number].asarray()


def stare(path):
    """Read the last link all the time: what it leads to is there, all of it, at the moment when the link is."""
    watch = Watch(path)
    with wait_for_pages(path, lambda path: open(path, "rb", buffering=0)) as file:
        big = file.read(4)[2] == 43  # the version of BigTIFF
        word, size, value = ("<Q", 20, 12) if big else ("<I", 12, 8)
        link, pages = 8 if big else 4, None
        while True:
            (at,) = read_numbers(file, link, word)
            if at == 0 and pages is not None:
                break
            pages = watch.ended() if at == 0 else None
            if at:
                (count,) = read_numbers(file, at, "<Q" if big else "<H")
                first = at + (8 if big else 2)
                tags = [read_numbers(file, first + i * size, "<H")[0] for i in range(count)]
                (data,) = read_numbers(file, first + tags.index(273) * size + value, word)
                check(np.array(read_numbers(file, data, f"<{GRID.size}I"), "u4").reshape(SHAPE), watch.count)
                link = first + count * size
                watch.count += 1
            watch.looks += 1
    watch.report(pages)


def read_numbers(file, at, form):
    """Read numbers from that place of the file on."""
    file.seek(at)
    return struct.unpack(form, file.read(struct.calcsize(form)))


# ---- All of them


def run(form, path, seconds):
    """Have one process write and the others read; return what each of them says. AssertionError when one fails."""
    readers = [name for name, forms in READERS.items() if form in forms]
    with ExitStack() as stack:
        processes = {name: stack.enter_context(start(name, form, path, seconds)) for name in (*readers, "writer")}
        stack.callback(stop, processes)
        words, _ = processes["writer"].communicate()
        pages = json.loads(words or "{}").get("pages", 0)
        write_done(path, pages)
        says = {"writer": words}
        for name in readers:
            says[name], _ = processes[name].communicate(timeout=600)
        failed = [name for name, process in processes.items() if process.returncode]
        assert not failed, f"{form}: {', '.join(failed)} failed"
    return {name: json.loads(words) for name, words in says.items()}


def write_done(path, pages):
    """Tell the readers, at once, that the writer has ended."""
    Path(f"{path}.new").write_text(json.dumps(pages))
    os.replace(f"{path}.new", f"{path}.done")


def start(name, form, path, seconds):
    """Start a process for one of the parts."""
    command = [sys.executable, "-P", __file__, str(seconds), "--form", form, "--as", name, "--path", path]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stop(processes):
    """End those that have not ended."""
    for process in processes.values():
        if process.poll() is None:
            process.kill()


def play(part, form, path, seconds):
    """Do what one of the processes does; a warning of lazytiff's is a failure."""
    warnings.simplefilter("error")
    if part == "writer":
        write(path, form, seconds)
    elif part == "follow":
        follow(path)
    elif part == "tifffile":
        open_again(path)
    elif part == "links":
        stare(path)
    else:
        refresh(path, mmap=part == "mapped")


def main(seconds=SECONDS, forms=tuple(FORMS), folder=None):
    """Run all forms, each for so many seconds; print and count what was seen. AssertionError if anything was wrong."""
    count = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        for form in forms:
            path = os.path.join(folder or temporary, f"{form.replace(' ', '-')}.tif")
            says = run(form, path, seconds)
            looks = ", ".join(f"{name} looked {said['looks']} times" for name, said in says.items() if "looks" in said)
            print(f"{form}: {says['writer']['pages']} pages, all of them right; {looks}", flush=True)
            count["pages"] += says["writer"]["pages"]
            count["looks"] += sum(said.get("looks", 0) for said in says.values())
            if folder is None:
                os.unlink(path)
    return count


def parse():
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seconds", nargs="?", type=float, default=SECONDS)
    parser.add_argument("--form", action="append", choices=FORMS)
    parser.add_argument("--folder")
    parser.add_argument("--as", dest="part", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    if arguments.part:
        play(arguments.part, arguments.form[0], arguments.path, arguments.seconds)
    else:
        main(arguments.seconds, arguments.form or tuple(FORMS), arguments.folder)
