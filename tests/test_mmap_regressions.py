"""Faults that attempts to break mapped arrays have found."""

from __future__ import annotations

import os
import pickle
from unittest import mock

import numpy as np
import pytest
import tiff_bytes
from helper import pixels

import lazytiff
from lazytiff import _binding, _mapping

STACK = pixels((4, 5, 7), "u2", 1)


@pytest.fixture
def path(tmp_path):
    """Write STACK to a file."""
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff_bytes.stack(STACK).bytes)
    return path


@pytest.mark.parametrize("name", ["store", "flush", "check"])
def test_close_waits_for_those_who_use_the_map(name, path):
    """What another thread has begun ends before the file is unmapped, which it is then."""
    method, maps = getattr(_binding.Map, name), []
    img = lazytiff.open(path, "r+", mmap=True, guard=True)

    def close_before(used, *arguments):
        maps.append(used)
        img.close()
        assert used._handle  # otherwise what follows would crash
        method(used, *arguments)

    with mock.patch.object(_binding.Map, name, close_before):
        if name == "flush":
            img.flush()
        else:
            with pytest.raises(lazytiff.ClosedError):  # by the check that follows
                img[1] = 9
    assert img.closed
    assert not maps[0]._handle
    assert (lazytiff.load(path)[1] == 9).all() == (name == "store")


def test_close_after_a_page_closed_the_file(path):
    """The file is unmapped, though it is closed already."""
    img = lazytiff.open(path, mmap=True)
    mapped = img._mapping._map
    img.pages[0].close()
    img.close()
    assert not mapped._handle


def test_a_pickled_array_knows_how_its_pages_were_chosen(path):
    """`refresh` adds to a slice what goes with it, and to a list nothing."""
    choices = [[2, 0], slice(1, None), None]
    arrays = []
    for pages in choices:
        with lazytiff.open(path, mmap=True, pages=pages) as img:
            arrays.append(pickle.loads(pickle.dumps(img)))  # noqa: S301  # its own
    more = pixels((6, 5, 7), "u2", 1)
    more[:4] = STACK
    with path.open("r+b") as file:  # in place, as a writer would
        file.write(tiff_bytes.stack(more).bytes)
    assert [array.refresh() for array in arrays] == [0, 2, 2]
    for array, pages in zip(arrays, choices, strict=True):
        assert np.array_equal(array, more[pages] if pages else more)
        array.close()


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("length", [0, 7, 8, 100])
def test_refresh_of_a_file_without_its_first_page(length, mmap, path):
    """A file that became shorter is a changed file, wherever it ends now."""
    with lazytiff.open(path, mmap=mmap) as img:
        os.truncate(path, length)
        with pytest.raises(lazytiff.FileChangedError, match=r"stack\.tif"):
            img.refresh()


@pytest.mark.parametrize("guard", [np.True_, np.False_, None, 0])
def test_guard_is_true_or_false_in_any_form(guard, path, tmp_path):
    """Comparisons of NumPy's give such values; `zeros` leaves no file behind that it cannot open."""
    with lazytiff.open(path, mmap=True, guard=guard) as img:
        assert np.array_equal(img, STACK)
    lazytiff.zeros(tmp_path / "new.tif", (2, 3), "u1", guard=guard).close()


def test_zeros_refuses_null_bytes_in_paths(tmp_path):
    """ValueError, and no file of the name before the null byte."""
    with pytest.raises(ValueError, match="null byte"):
        lazytiff.zeros(tmp_path / "new\0.tif", (2, 3), "u1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pages", [11, 1 << 64, 1 << 80])
def test_zeros_refuses_more_pages_than_it_could_open(pages, tmp_path, monkeypatch):
    """LimitError names the limit, and there is no file."""
    monkeypatch.setattr(lazytiff.limits, "max_pages", 10)
    with pytest.raises(lazytiff.LimitError, match="max_pages is 10"):
        lazytiff.zeros(tmp_path / "new.tif", (pages, 2, 3), "u1")
    assert not list(tmp_path.iterdir())


def test_refresh_while_others_read(path):
    """A view that another thread makes in the middle of a refresh is of a mapping that lives, and is counted."""
    more = pixels((6, 5, 7), "u2", 1)
    more[:4] = STACK
    made, refreshing = [], _mapping.Mapping.__init__

    def read_meanwhile(mapping, *arguments, **options):
        refreshing(mapping, *arguments, **options)
        made.append(img[...])

    img = lazytiff.open(path, mmap=True)
    older, whole = img._mapping, img._whole  # as a thread has them that is about to read
    with path.open("r+b") as file:
        file.write(tiff_bytes.stack(more).bytes)
    with mock.patch.object(_mapping.Mapping, "__init__", read_meanwhile):
        assert img.refresh() == 2
    made.append(whole())
    assert older is not img._mapping
    for view in made:
        assert np.array_equal(view, STACK)
    del view
    with pytest.raises(BufferError, match="2 views"):
        img.close()
    made.clear()
    img.close()


def test_scalars_out_of_range(tmp_path):
    """NumPy's scalars are checked for their range where NumPy checks them: with basic indices of some dtypes."""
    path = tmp_path / "stack.tif"
    lazytiff.save(path, np.zeros((2, 4, 5), np.int8))
    for key in ((), ..., 0, slice(None, None, -2), [0, 1]):
        expected, raised = np.zeros((2, 4, 5), np.int8), []
        with lazytiff.open(path, "c", mmap=True) as img:
            for array in (expected, img):
                try:
                    array[key] = np.uint8(200)
                except OverflowError:
                    raised.append(array)
            assert len(raised) in (0, 2), key
            assert np.array_equal(img.copy(), expected)
