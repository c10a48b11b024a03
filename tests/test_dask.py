"""Arrays handed on to dask, dask.distributed and xarray."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import helper
import numpy as np
import pytest

import lazytiff

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

PIXELS = helper.pixels((12, 40, 48), "u2")


def xr_array(values):
    """Return an xarray.DataArray, if possible."""
    return pytest.importorskip("xarray").DataArray(values)


def write(path, pixels=PIXELS, **options):
    """Write pages without lazytiff, and return the path."""
    pages = [helper.page(page, **({"codec": "deflate", "rows_per_strip": 16} | options)) for page in pixels]
    path.write_bytes(helper.tiff(*pages))
    return path


@pytest.fixture
def img(tmp_path):
    """Open a stack of compressed pages."""
    with lazytiff.open(write(tmp_path / "stack.tif")) as array:
        yield array


def test_to_dask(img):
    """The dask array has the elements, shape and dtype of the array, and of its views."""
    found = img.to_dask()
    assert isinstance(found, da.Array)
    assert (found.shape, found.dtype) == (img.shape, img.dtype)
    np.testing.assert_array_equal(found, PIXELS)
    np.testing.assert_array_equal(img.normed().to_dask().max(axis=0), (PIXELS / np.float32(65535)).max(axis=0))
    np.testing.assert_array_equal(img.to_dask(chunks=(5, 7, -1))[3:9, ::-2].compute(), PIXELS[3:9, ::-2])


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_from_array(img, scheduler):
    """dask.array.from_array takes an array as it takes NumPy's."""
    found = da.from_array(img, chunks=(4, 40, 48)).sum(axis=(1, 2))
    np.testing.assert_array_equal(found.compute(scheduler=scheduler), PIXELS.sum(axis=(1, 2)))


@pytest.mark.parametrize(
    ("nbytes", "expected"),
    [(1, (1, 16, 48)), (2 * 16 * 48 * 2, (1, 32, 48)), (3 * 40 * 48 * 2, (3, 40, 48)), (1 << 30, (12, 40, 48))],
)
def test_chunks_are_whole_chunks_of_the_file(img, nbytes, expected):
    """chunks="auto" takes whole strips, as many as dask's chunk size allows: each is decoded once."""
    with dask.config.set({"array.chunk-size": nbytes}):
        found = img.to_dask()
        assert found.chunksize == expected
        np.testing.assert_array_equal(found.compute(scheduler="synchronous"), PIXELS)
    assert img.cache_info().decoded == 12 * 3


def test_a_graph_without_pixels(img):
    """What a graph holds opens the file again; pixels are not in it."""
    big = img.to_dask(chunks=(1, 40, 48)).map_blocks(np.sqrt)
    assert len(pickle.dumps(dict(big.dask))) < PIXELS.nbytes // 2


def test_a_task_reads_in_its_own_thread(tmp_path):
    """Threads of dask decode themselves: the pool of lazytiff stays idle."""
    pixels = helper.pixels((4, 512, 512), "u2")
    program = (
        "import sys, threading, lazytiff, numpy as np\n"
        "img = lazytiff.open(sys.argv[1]).to_dask(chunks=(4, 512, 512))\n"
        "img.compute(scheduler='threads')\n"
        "print(sum(thread.name.startswith('lazytiff') for thread in threading.enumerate()))"
    )
    assert run(program, write(tmp_path / "large.tif", pixels)) == "0\n"


def test_tokens(img, tmp_path):
    """A dask array of the same unchanged file has the same name, whoever opened it; of a changed one, another."""
    program = "import sys, lazytiff; print((lazytiff.open(sys.argv[1]) + 1).to_dask().name)"
    name = (img + 1).to_dask().name
    assert run(program, img.path) == f"{name}\n"
    assert (img + 2).to_dask().name != name
    assert img.to_dask().name != name
    os.utime(tmp_path / "stack.tif", ns=(0, 0))
    assert run(program, img.path) != f"{name}\n"


def test_operands(img):
    """An operator with a dask array gives a dask array."""
    other = da.ones((40, 48), chunks=20)
    for found, expected in [(img + other, PIXELS + 1.0), (other - img, 1.0 - PIXELS)]:
        assert isinstance(found, da.Array)
        np.testing.assert_array_equal(found.compute(), expected)
    assert isinstance(np.maximum(img, other), da.Array)
    for values in (other, xr_array(np.ones((40, 48)))):
        with pytest.raises(ValueError, match=r"a = a \+ 1"):
            img += values


def test_operands_in_place(tmp_path):
    """What is computed in place goes into the file, whatever the operands are."""
    path = write(tmp_path / "plain.tif", codec="none")
    with lazytiff.open(path, "r+", mmap=True) as img:
        img += da.ones((40, 48), dtype="u2", chunks=20)  # noqa: PLW2901  # which is what is tried
        img += xr_array(np.ones((40, 48), "u2"))  # noqa: PLW2901
    np.testing.assert_array_equal(lazytiff.load(path), PIXELS + np.uint16(2))


def test_without_dask(img, monkeypatch):
    """Without dask to_dask is an ImportError, and all else works."""
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ImportError):
        img.to_dask()


def test_xarray(img):
    """An xarray.DataArray of an array stays lazy; what it computes is right."""
    xr = pytest.importorskip("xarray")
    found = xr.DataArray(img, dims=("page", "row", "column"))
    assert img.cache_info().decoded == 0
    assert found.shape == PIXELS.shape
    np.testing.assert_array_equal(found.max("page"), PIXELS.max(axis=0))
    np.testing.assert_array_equal(found.isel(page=3, row=slice(2, 9)), PIXELS[3, 2:9])
    np.testing.assert_array_equal(found.mean(), PIXELS.mean())
    np.testing.assert_array_equal((found * 2 + 1).sum("column"), (PIXELS * 2 + 1).sum(axis=2))
    np.testing.assert_array_equal(found.transpose("column", "page", "row"), PIXELS.transpose(2, 0, 1))
    np.testing.assert_allclose((found.mean("page") - found).transpose("page", ...), PIXELS.mean(axis=0) - PIXELS)
    assert xr.DataArray(np.ones(48), dims="column").dot(found).shape == (12, 40)
    repr(found)


def run(program, *arguments, **options):
    """Run a program that must succeed, and return what it prints."""
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- dask.distributed

# Workers are processes that start in another folder than the one from which the files were opened by relative paths.
CLUSTER = """
import os, signal, sys, time
import dask, numpy as np, lazytiff
from dask.distributed import Client, LocalCluster

def slow(block):
    time.sleep(0.3)
    return block

def main():
    os.chdir(sys.argv[1])
    img = lazytiff.open("run/img_*.tif")
    expected = img.normed().max(axis=0)
    os.chdir(sys.argv[2])
    dask.config.set({"distributed.scheduler.allowed-failures": 10})
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        folders = client.run(os.getcwd)
        assert set(map(os.path.realpath, folders.values())) == {os.path.realpath(sys.argv[2])}
        lazily = img.normed().map(slow, dtype="f4").to_dask(chunks=(1, -1, -1)).max(axis=0, split_every=4)
        plain = img.normed().to_dask(chunks=(1, -1, -1)).max(axis=0)
        assert np.array_equal(plain.compute(), expected)
        print("projection")
        before = client.run(os.getpid)
        future = client.compute(lazily)
        time.sleep(0.5)
        assert not future.done()
        os.kill(next(iter(before.values())), signal.SIGKILL)
        assert np.array_equal(future.result(timeout=100), expected)
        client.wait_for_workers(2)
        assert set(client.run(os.getpid).values()) - set(before.values())
        print("killed")
        again = img.to_dask(chunks=(1, -1, -1)).sum()
        os.chdir(sys.argv[1])
        os.replace("other.tif", "run/img_0.tif")
        client.restart()
        try:
            again.compute()
        except lazytiff.FileChangedError as error:
            assert "img_0.tif" in str(error)
            print("changed")

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_distributed(tmp_path):
    """Workers elsewhere project a stack of many files, also when one is killed; a file that was replaced is noticed."""
    pytest.importorskip("distributed")
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for number in range(12):
        write(tmp_path / "run" / f"img_{number}.tif", PIXELS[number : number + 1])
    write(tmp_path / "other.tif", PIXELS[:1, :, ::-1], rows_per_strip=8)
    (tmp_path / "program.py").write_text(CLUSTER)
    command = [sys.executable, "-P", tmp_path / "program.py", tmp_path, tmp_path / "elsewhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["projection", "killed", "changed"]


def test_threads_of_dask_share_an_array(img):
    """Many threads of dask's read one array at a time, and lazytiff's progress tells nothing of theirs."""
    told = []
    with lazytiff.progress(lambda *step: told.append(step)):
        threads = [threading.Thread(target=lambda: img.to_dask().sum().compute()) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told == []
