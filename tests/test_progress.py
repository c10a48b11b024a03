"""`lazytiff.progress`: who asked is told how far long work has come, and may end it."""

from __future__ import annotations

import io
import sys
import threading

import helper
import numpy as np
import pytest

import lazytiff

PIXELS = helper.pixels((24, 200, 300), "u2")


def write(path, pixels=PIXELS, **options):
    """Write pages without lazytiff, and return the path."""
    options = {"codec": "deflate", "rows_per_strip": 32} | options
    path.write_bytes(helper.tiff(*(helper.page(page, **options) for page in pixels)))
    return path


@pytest.fixture
def path(tmp_path):
    """Return the path of a stack of compressed pages."""
    return write(tmp_path / "stack.tif")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Make blocks small, so that little work has many steps."""
    monkeypatch.setattr("lazytiff._blocks.BLOCK_BYTES", 2 * PIXELS[0].nbytes)


def many(folder):
    """Write files of one page; return a pattern."""
    for number, page in enumerate(PIXELS):
        write(folder / f"img_{number}.tif", page[None])
    return str(folder / "img_*.tif")


LONG = {
    "max": lambda path, _: lazytiff.open(path).max(axis=0),
    "std of a view": lambda path, _: (lazytiff.open(path) * 2.0).std(),
    "copy": lambda path, _: lazytiff.open(path).copy(),
    "copy of a view": lambda path, _: lazytiff.open(path).normed().copy(),
    "mapped copy": lambda _, tmp: lazytiff.open(write(tmp / "plain.tif", codec="none"), mmap=True).copy(),
    "index arrays": lambda path, _: lazytiff.open(path)[:, [3, 100, 190], [[5], [250]]],
    "load": lambda path, _: lazytiff.load(path, workers=2),
    "many files": lambda _, tmp: lazytiff.open(many(tmp)).copy(),
    "histogram": lambda path, _: lazytiff.open(path).histogram(),
    "median": lambda path, _: lazytiff.open(path).median(),
    "iter_blocks": lambda path, _: list(lazytiff.open(path).iter_blocks(PIXELS[0].nbytes)),
    "np.save": lambda path, _: np.save(io.BytesIO(), lazytiff.open(path)),
    "save": lambda path, tmp: lazytiff.save(tmp / "new.tif", lazytiff.open(path)),
    "save of an array": lambda _, tmp: lazytiff.save(tmp / "new.tif", PIXELS, compression="deflate"),
    "out": lambda path, _: np.add(lazytiff.open(path), 1, out=np.empty(PIXELS.shape, "u2")),
}


@pytest.mark.parametrize("job", LONG.values(), ids=LONG)
def test_steps(job, path, tmp_path):
    """Steps go from 0 to the total, in the caller's thread, and what is done within tells nothing of its own."""
    told, threads = [], set()

    def report(done, total, what):
        told.append((done, total, what))
        threads.add(threading.get_ident())

    with lazytiff.progress(report):
        job(path, tmp_path)
    done, totals, whats = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[0] == 0
    assert done[-1] == totals[0] > 0
    assert len(set(totals)) == len(set(whats)) == 1
    assert threads == {threading.get_ident()}


def test_unknown_total(tmp_path):
    """Pages of a generator have no total: it is -1."""
    told = []
    with lazytiff.progress(lambda *step: told.append(step)), lazytiff.empty(tmp_path / "new.tif", "u2") as out:
        out.extend(iter(PIXELS))
    assert told[0] == (0, -1, "write")
    assert told[-1] == (PIXELS.nbytes, -1, "write")


@pytest.mark.parametrize("job", LONG.values(), ids=LONG)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_end_by_the_caller(job, error, path, tmp_path):
    """What the function raises ends the work; the array and the file are as good as before."""

    def stop(done, *_):
        if done:
            raise error

    with lazytiff.open(path) as img:
        with pytest.raises(error), lazytiff.progress(stop):
            job(path, tmp_path)
        np.testing.assert_array_equal(img.max(axis=0), PIXELS.max(axis=0))
    assert not (tmp_path / "new.tif").exists()


def test_nesting(path):
    """The innermost block counts, and the outer one again behind it."""
    outer, inner = [], []
    with lazytiff.open(path) as img, lazytiff.progress(lambda *step: outer.append(step)):
        with lazytiff.progress(lambda *step: inner.append(step)):
            img.max()
        assert inner
        assert not outer
        img.max()
    assert outer == inner


def test_work_between_blocks(path):
    """Who works on blocks while they come is told of that work, too."""
    told = []
    with lazytiff.open(path) as img, lazytiff.progress(lambda *step: told.append(step[2])):
        for _, block in img.iter_blocks(PIXELS[0].nbytes):
            assert block.max() <= img.max()
            break
    assert told[0] == "read"
    assert "reduce" in told


def test_bar(path, capsys, monkeypatch):
    """Without a function a bar of tqdm shows percents and what is done; for what takes half a second or more."""
    pytest.importorskip("tqdm")
    with lazytiff.open(path) as img, lazytiff.progress():
        img.max()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("lazytiff._progress._QUICK_SECONDS", 0)
    with lazytiff.open(path) as img, lazytiff.progress():
        img.max()
    shown = capsys.readouterr().err
    assert "reduce: 100%" in shown


def test_without_tqdm(monkeypatch):
    """Without tqdm the bar is an ImportError that says what to do; a function needs none."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"pip install tqdm.*function"), lazytiff.progress():
        pass
    with lazytiff.progress(lambda *_: None):
        pass
