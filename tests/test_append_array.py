"""A stack that grows is an array: what was appended reads back, as NumPy would have it, until it is closed."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import helper
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from test_processes import SEEN_WITHIN, run

import lazytiff

STYLES = [
    {},
    {"compression": "deflate", "predictor": 2, "chunk_shape": 3},
    {"compression": "lzw", "chunk_shape": (16, 16)},
]


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made."""
    return tmp_path / "new.tif"


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_indexing_between_appends(style, data, tmp_path_factory):
    """After each append, any index gives what it gives of the stack of the pages so far: value, shape, dtype."""
    shape = data.draw(st.sampled_from([(7, 5), (20, 18), (4, 6, 3)]))
    path = tmp_path_factory.mktemp("stack") / "new.tif"
    pixels = helper.pixels((6, *shape), "u2")
    with lazytiff.empty(path, "u2", **style) as out:
        count = 0
        while count < len(pixels):
            count += out.extend(pixels[count : count + data.draw(st.integers(1, 3))])
            for _ in range(data.draw(st.integers(0, 2))):
                key = data.draw(npst.basic_indices((count, *shape), allow_newaxis=True, allow_ellipsis=True))
                assert_equal(out[key], pixels[:count][key])
            pages = data.draw(st.lists(st.integers(-count, count - 1), max_size=4))
            assert_equal(out[pages], pixels[:count][pages])
            mask = pixels[:count, ..., 0] > data.draw(st.integers(0, 1 << 16))
            assert_equal(out[mask], pixels[:count][mask])


def assert_equal(found, expected):
    """Check value, shape and dtype of an array or a scalar."""
    helper.assert_same(np.asarray(found), np.array(expected))


@pytest.mark.parametrize("style", STYLES)
def test_array(style, path):
    """Iteration, copy, np.asarray, pages and the cache are those of the pages so far, which the owner may change."""
    pixels = helper.pixels((3, 20, 18), "u2")
    with lazytiff.empty(path, "u2", **style) as out:
        for count, page in enumerate(pixels, 1):
            mine = page.copy()
            out.append(mine)
            mine[...] = 0
            helper.assert_same(out[-1], page)
            found = out[-1]
            found[...] = 0
            helper.assert_same(out[-1], page)
            helper.assert_same(np.asarray(out), pixels[:count])
            helper.assert_same(np.stack(list(out)), pixels[:count])
            helper.assert_same(out.copy(), pixels[:count])
            assert len(out.pages) == count
            helper.assert_same(out.pages[-1].copy(), page)
            assert out.pages[-1].tags["ImageLength"] == 20
            assert repr(out).startswith(f"<AppendTiff 'new.tif' uint16 ({count}, 20, 18) IYX, ")
            assert f"{count} of {count} pages" in out.explain()
            assert out.refresh() == 0
        first = out.pages[0]
        out.extend(pixels)
        helper.assert_same(first.copy(), pixels[0])
        if style:
            out[0, 0, 0], out[0, 0, 0]
            assert out.cache_info().hits > 0
        with pytest.raises(ValueError, match=r"cannot be changed in place; .*`copy\(\)`"):
            out[0] = 1
        with pytest.raises(ValueError, match="without a copy"):
            np.array(out, copy=False)
        with pytest.raises(IndexError):
            out[6]


@pytest.mark.parametrize("look", [repr, str, lambda out: out.tags, lambda out: out.explain(), lambda out: out.pages[0]])
def test_first_look(look, path):
    """Whatever is asked for first after an append finds the page, the first one as any other."""
    with lazytiff.empty(path, "u1") as out:
        for _ in range(3):
            out.append(np.zeros((4, 5), "u1"))
            look(out)


@pytest.mark.parametrize("read", [True, False])
def test_close(read, path):
    """Afterwards everything raises ClosedError, but for what tells what it was; the file is complete."""
    pixels = helper.pixels((3, 6, 5), "u1")
    out = lazytiff.empty(path, "u1", compression="lzw")
    with out as same:
        assert same is out
        out.extend(pixels)
        page = out.pages[0] if read else None
        assert not out.closed
    out.close()
    assert out.closed
    assert (out.shape, out.dtype, len(out)) == ((3, 6, 5), np.dtype("u1"), 3)
    assert repr(out) == "<AppendTiff 'new.tif' uint8 (3, 6, 5) IYX, lzw, closed>"
    assert "(closed)" in str(out)
    uses = [
        lambda: out.append(pixels[0]),
        lambda: out.extend(pixels),
        lambda: out[0],
        out.copy,
        lambda: np.asarray(out),
        lambda: list(out),
        lambda: out.tags,
        lambda: out.pages[0].copy(),  # noqa: PLW0108  # `pages` raises, too
        out.refresh,
        lambda: list(out.follow()),
    ]
    for use in uses + ([page.copy] if read else []):
        with pytest.raises(lazytiff.ClosedError, match="was closed; open it again"):
            use()
    helper.assert_same(lazytiff.load(path), pixels)
    path.unlink()
    assert "(closed)" in str(out)


def test_file_without_its_name(path):
    """Whoever removes the file takes its name; the array goes on."""
    if os.name != "posix":
        pytest.skip("Windows removes no open files")
    with lazytiff.empty(path, "u1") as out:
        out.append(np.zeros((4, 5), "u1"))
        path.unlink()
        assert out.append(np.ones((4, 5), "u1")) == 1
        assert out[:, 0, 0].tolist() == [0, 1]
        assert "2\N{MULTIPLICATION SIGN}4" in str(out)


INTERRUPT = """
import os, signal, sys, threading, time
import numpy as np, lazytiff
rng = np.random.default_rng(1)
page = rng.integers(0, 1 << 12, (2048, 2048), "u2")
out = lazytiff.empty(sys.argv[1], "u2", compression="zstd", level=9)
acknowledged = 0
try:
    print("writing", flush=True)
    while True:
        if sys.argv[2] == "append":
            out.append(page)
            acknowledged += 1
        else:
            out.extend(page for _ in range(1000))
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
before = len(out)
assert acknowledged <= before <= acknowledged + 1 or sys.argv[2] == "extend", (acknowledged, before)
assert out.append(page) == before
assert (out[-1] == page).all() and len(out) == before + 1
out.close()
print(before + 1, len(lazytiff.open(sys.argv[1], squeeze=False)))
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to all processes of a console")
@pytest.mark.parametrize("method", ["append", "extend"])
def test_interrupt(method, path):
    """Ctrl-C is seen at once; what was acknowledged is in the file, and the next page comes right behind it."""
    helper.needs_to_write("zstd")
    command = [sys.executable, "-P", "-c", INTERRUPT, path, method]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "writing\n"
        time.sleep(1)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        text, errors = child.communicate(timeout=120)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0, errors
    seen, known, there = text.split()
    assert float(seen) - sent < SEEN_WITHIN
    assert known == there


AT_EXIT = """
import sys
import numpy as np, lazytiff
page = np.ones((40, 50), "u2")
class Recorder:
    def __init__(self, out):
        self.out = out
    def __del__(self):
        self.out.append(page)
        self.out.close()
out = lazytiff.empty(sys.argv[1], "u2", compression=sys.argv[2])
out.append(page)
recorder = Recorder(out)
"""


@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_page_of_a_finalizer(compression, path):
    """What is left for Python's end to throw away may append its last page then: nothing under it is gone by then."""
    helper.needs_to_write(compression)
    run(AT_EXIT, path, compression, MALLOC_PERTURB_="165")
    assert len(lazytiff.load(path)) == 2


MEMORY = """
import resource, sys
import numpy as np, lazytiff
page = np.random.default_rng(1).integers(0, 1 << 12, (2048, 2048), "u2")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
with lazytiff.empty(sys.argv[1], "u2", compression="lzw") as out:
    out.append(page)
    before = peak()
    out.extend((page for _ in range(50)))
    print(peak() - before)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no getrusage here")
def test_memory(path):
    """A generator that is faster than the disk waits: of 400 MiB no more than 64 are on their way, and encoded."""
    helper.needs_to_write("lzw")
    assert int(run(MEMORY, path)) < 250 << 20


def test_follow_while_others_append(tmp_path):
    """follow() of the array itself gives what another thread appends, and ends when the array is closed."""
    out = lazytiff.empty(tmp_path / "stack.tif", "u2")
    out.append(np.zeros((3, 4), "u2"))
    seen, three = [], threading.Event()

    def look():
        for page in out.follow(start=0, poll=0.001):
            seen.append(int(page[0, 0]))
            if len(seen) == 3:
                three.set()

    thread = threading.Thread(target=look)
    thread.start()
    for number in (1, 2):
        out.append(np.full((3, 4), number, "u2"))
    assert three.wait(30)
    out.close()
    thread.join(30)
    assert not thread.is_alive()
    assert seen == [0, 1, 2]


def test_closing_ends_extend(tmp_path):
    """When another thread closes the array, an extend that would never end does, and what it took is in the file."""
    path = tmp_path / "stack.tif"
    out = lazytiff.empty(path, "u2")

    def endless():
        for number in itertools.count():
            if number == 5:
                out.close()
            yield np.full((3, 4), number, "u2")

    with pytest.raises(lazytiff.ClosedError, match="while extend"):
        out.extend(endless())
    with lazytiff.open(path, "a") as again:
        assert again[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
