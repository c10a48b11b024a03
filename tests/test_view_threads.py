"""Arrays, views and caches that 8 threads and forked children share: equal results, 1,000 rounds."""

from concurrent.futures import ThreadPoolExecutor

import helper
import numpy as np
import pytest
import tifffile
from test_processes import forking, run

import lazytiff

# Rounds of one thread: what each reads is drawn by its own lot, and compared with what NumPy makes of the pixels.
SHARED = """
import os, sys, threading, warnings
import numpy as np
# Now, since a child forked while a thread imports something could never import it:
import numpy.ma, numpy.random
import lazytiff

folder, rounds, children = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # which is what is tried
pixels = np.load(f"{folder}/pixels.npy")
named = pixels.reshape(3, 4, *pixels.shape[1:])
lazy = lazytiff.open(f"{folder}/stack.tif", cache_bytes=100_000)  # which holds some chunks and never all
mapped = lazytiff.open(f"{folder}/plain.tif", mmap=True)
many = lazytiff.open(f"{folder}/img_*.tif", cache_bytes=50_000)
cells = lazytiff.open(f"{folder}/cells.tif").hyperstack
scaled, product = np.sqrt(lazy * 2.0), lazytiff.map(np.multiply, many, mapped.astype("u4"))
expected = np.sqrt(pixels * 2.0)
squares = pixels * pixels.astype("u4")

def one(random):
    page, row = int(random.integers(len(pixels))), int(random.integers(pixels.shape[1]))
    pages = random.permutation(len(pixels))[:3]
    return [
        (lambda: lazy[page, row:row + 7], lambda: pixels[page, row:row + 7]),
        (lambda: scaled[page], lambda: expected[page]),
        (lambda: scaled[pages, row], lambda: expected[pages, row]),
        (lambda: scaled.max(axis=0), lambda: expected.max(axis=0)),
        (lambda: lazy.sum(axis=(1, 2)), lambda: pixels.sum(axis=(1, 2))),
        (lambda: product[::3, row], lambda: squares[::3, row]),
        (lambda: many.argmax(axis=0), lambda: pixels.argmax(axis=0)),
        (lambda: mapped[page].sum(), lambda: pixels[page].sum()),
        (lambda: cells.lazy[1:, ::-1].max(axis=0), lambda: named[1:, ::-1].max(axis=0)),
        (lambda: lazy.median(), lambda: np.median(pixels)),
    ][int(random.integers(10))]

failures = []

def work(seed, rounds):
    random = np.random.default_rng(seed)
    try:
        for number in range(rounds):
            ours, numpys = one(random)
            assert np.array_equal(ours(), numpys())
    except BaseException as error:
        failures.append(f"seed {seed}, round {number}: {error!r}")

def eight(seed, rounds):
    threads = [threading.Thread(target=work, args=(8 * seed + k, rounds // 8)) for k in range(8)]
    for thread in threads:
        thread.start()
    return threads

def child(seed, rounds):
    for thread in eight(seed, rounds):
        thread.join()
    sys.stderr.write("".join(failures))
    sys.stderr.flush()
    os._exit(bool(failures))

threads = eight(0, rounds)
for seed in range(1, children + 1):  # while the threads read
    if (number := os.fork()) == 0:
        child(seed, rounds // children)
    if os.waitpid(number, 0)[1] != 0:
        failures.append(f"child {seed}")
for thread in threads:
    thread.join()
print(failures or "equal")
"""


def write(folder):
    """Write the same pixels in several ways, without lazytiff."""
    pixels = helper.pixels((12, 60, 80), "u2")
    np.save(folder / "pixels.npy", pixels)
    coded = {"codec": "deflate", "rows_per_strip": 16}
    (folder / "stack.tif").write_bytes(helper.tiff(*(helper.page(page, **coded) for page in pixels)))
    (folder / "plain.tif").write_bytes(helper.tiff(*map(helper.page, pixels)))
    for number, page in enumerate(pixels):
        (folder / f"img_{number}.tif").write_bytes(helper.tiff(helper.page(page, **coded)))
    tifffile.imwrite(folder / "cells.tif", pixels.reshape(3, 4, 60, 80), imagej=True, metadata={"axes": "TZYX"})


@forking
@pytest.mark.parametrize("workers", ["1", "3"])
def test_threads_and_children(workers, tmp_path):
    """8 threads read for 1,000 rounds while children that are forked meanwhile do the same: all is as NumPy has it."""
    write(tmp_path)
    assert run(SHARED, tmp_path, 1000, 4, timeout=300, LAZYTIFF_NUM_THREADS=workers) == "equal\n"


def test_views_of_an_array_that_is_closed_meanwhile(tmp_path):
    """Who reads a view while another thread closes its array gets pixels or ClosedError."""
    write(tmp_path)
    pixels = np.load(tmp_path / "pixels.npy")
    for _ in range(20):
        img = lazytiff.open(tmp_path / "stack.tif")
        view = img + 1

        def read(view=view):
            try:
                np.testing.assert_array_equal(view.max(axis=0), (pixels + 1).max(axis=0))
            except lazytiff.ClosedError:
                return "closed"
            return "read"

        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(read) for _ in range(4)]
            img.close()
        assert {one.result() for one in found} <= {"closed", "read"}
