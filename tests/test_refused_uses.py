"""What an array on disk refuses, in words, rather than doing something else than a NumPy array would."""

import pickle

import numpy as np
import pytest
import tifffile

import lazytiff


@pytest.fixture
def img(tmp_path):
    """Open a stack of two pages."""
    tifffile.imwrite(tmp_path / "two.tif", shape=(2, 4, 5), dtype="u1")
    with lazytiff.open(tmp_path / "two.tif") as array:
        yield array


def test_truth(img):
    """An array of several elements is neither true nor false, as in NumPy."""
    with pytest.raises(ValueError, match=r"two\.tif.*ambiguous.*any\(\)"):
        bool(img)


COMPARISONS = [lambda a: a == 1, lambda a: a != 1, lambda a: a == np.zeros((2, 4, 5)), lambda a: a == None]  # noqa: E711


@pytest.mark.parametrize("compare", COMPARISONS)
def test_comparison(img, compare):
    """A comparison compares pixels, when it is looked at; arrays can still be keys."""
    found = compare(img)
    assert isinstance(found, lazytiff.TiffView)
    np.testing.assert_array_equal(found, compare(img[...]))
    assert {img: 1}[img] == 1


def test_comparison_in_a_list(img):
    """Whether an array is in a list cannot be said where that compares pixels, as in NumPy."""
    with pytest.raises(ValueError, match="ambiguous"):
        assert img in [None, 1]


@pytest.mark.parametrize("kind", [lazytiff.TiffFile, lambda path: lazytiff.open(path, "a")], ids=["all", "append"])
def test_pickling(img, kind):
    """What is no array to be read cannot be pickled; the text says what to do instead."""
    words = r"cannot be pickled; open .*two\.tif for reading in the other process"
    with kind(img.path) as opened, pytest.raises(TypeError, match=words):
        pickle.dumps(opened)
