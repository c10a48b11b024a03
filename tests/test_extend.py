"""`extend`: pages from anything that gives them, and what is in the file when something goes wrong."""

from __future__ import annotations

import inspect
import itertools
import typing

import dask.array as da
import helper
import numpy as np
import pytest

import lazytiff


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made."""
    return tmp_path / "new.tif"


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_sources_of_pages(batch, compression, path):
    """Arrays of 3 and 4 axes, of any library, and whatever gives pages one by one; the number of pages is returned."""
    pixels = helper.pixels((5, 12, 16, 3), "u1")
    lazytiff.save(path.with_name("source.tif"), pixels)
    with (
        lazytiff.open(path.with_name("source.tif")) as lazy,
        lazytiff.open(path.with_name("source.tif"), mmap=True) as mapped,
        lazytiff.empty(path, "u1", compression=compression) as out,
    ):
        sources = [pixels, lazy, mapped, da.from_array(pixels, chunks=2), memoryview(pixels), list(pixels), lazy.pages]
        for source in sources:
            assert out.extend(source, batch=batch) == 5
        assert out.extend((page for page in pixels), batch=batch) == 5
        assert out.extend(out[:2], batch=batch) == 2
        assert out.extend(out, batch=batch) == 42
        helper.assert_same(out[...], np.concatenate([*[pixels] * 8, pixels[:2]] * 2))


def test_nothing_to_extend_by(path):
    """Empty arrays and iterables are no pages, and do not say what pages are like."""
    with lazytiff.empty(path, "u1") as out:
        for nothing in ([], iter(()), np.zeros((0, 3, 4), "u1"), np.zeros((0, 3, 4, 2), "u1"), ()):
            assert out.extend(nothing) == 0
        assert out.shape == (0, 0, 0)
        out.append(np.zeros((7, 5), "u1"))


def test_arrays_that_are_no_pages(path):
    """An array that is one page, or none, is refused with the way to append it; a batch is a number from 1 on."""
    lazytiff.save(path.with_name("rgb.tif"), np.zeros((4, 5, 3), "u1"), axes="YXS")
    with lazytiff.open(path.with_name("rgb.tif")) as rgb, lazytiff.empty(path, "u1") as out:
        for odd, kind, match in (
            (np.zeros((4, 5), "u1"), lazytiff.FrameTypeError, r"\(4, 5\) is one page: append\(page\) appends it"),
            (rgb, lazytiff.FrameTypeError, r"\(4, 5, 3\) is one page: append\(page\)"),
            (np.zeros((1, 2, 3, 4, 5), "u1"), ValueError, r"\(1, 2, 3, 4, 5\)"),
            (np.zeros(4, "u1"), ValueError, r"\(4,\)"),
            (np.uint8(4), ValueError, r"\(\)"),
            (None, TypeError, "not iterable"),
            ([[1, 2], [3, 4]], lazytiff.FrameTypeError, "int64"),
        ):
            helper.assert_refused(path, lambda odd=odd: out.extend(odd), kind, match)
        out.append(rgb)
        helper.assert_refused(
            path, lambda: out.extend(np.zeros((4, 5, 3), "u1")), lazytiff.FrameTypeError, "is one page"
        )
        for batch, kind in ((0, ValueError), (-1, ValueError), (1.5, TypeError)):
            helper.assert_refused(path, lambda batch=batch: out.extend([], batch=batch), kind, "batch|float")


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_one_buffer_for_all_pages(compression, path):
    """Whoever gives pages may use the same memory for each, however late they are encoded."""
    buffer = np.zeros((256, 256), "u2")

    def camera():
        for i in range(40):
            buffer[...] = i
            yield buffer
            buffer[...] = 9999

    with lazytiff.empty(path, "u2", compression=compression) as out:
        assert out.extend(camera()) == 40
        assert (out[...] == np.arange(40, dtype="u2")[:, None, None]).all()


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("start", [0, 1])
def test_pages_that_raise(start, batch, compression, path):
    """What goes wrong goes on, or a page that is wrong; the pages before are in the file, and more can be appended."""
    pixels = helper.pixels((9, 200, 300), "u2")

    def broken(odd):
        yield from pixels[start:5]
        if odd is None:
            raise ZeroDivisionError
        yield odd

    with lazytiff.empty(path, "u2", compression=compression) as out:
        out.extend(pixels[:start])
        with pytest.raises(ZeroDivisionError):
            out.extend(broken(None), batch=batch)
        assert len(out) == 5
        with lazytiff.open(path) as other:
            helper.assert_same(other.copy(), pixels[:5])
        with pytest.raises(lazytiff.FrameTypeError, match=r"\(3, 3\)"):
            out.extend(broken(np.zeros((3, 3), "u2")), batch=batch)
        assert out.append(pixels[5]) == 10 - start
        helper.assert_same(out[...], np.concatenate([pixels[:5], pixels[start:6]]))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_first_page_that_raises(compression, path):
    """When not even the first page came, the next one says what pages are like."""

    def nothing():
        raise ZeroDivisionError
        yield

    with lazytiff.empty(path, "u2", compression=compression) as out:
        with pytest.raises(ZeroDivisionError):
            out.extend(nothing())
        assert out.shape == (0, 0, 0)
        out.append(np.zeros((2, 3), "u2"))
        assert out.shape == (1, 2, 3)


def test_batches(path):
    """Nobody sees a page of a batch before its end; what is left over is published at the end."""
    seen = []

    def pages(other):
        for i in range(7):
            seen.append((len(out), out.shape[1:], len(other) if i else None))
            yield np.full((3, 4), i, "u1")
            other.refresh()

    with lazytiff.empty(path, "u1") as out:
        out.append(np.zeros((3, 4), "u1"))
        with lazytiff.open(path, squeeze=False) as other:
            assert out.extend(pages(other), batch=3) == 7
            assert [count for count, _, _ in seen] == [1, 1, 1, 4, 4, 4, 7]
            assert [count for _, _, count in seen] == [None, 1, 1, 4, 4, 4, 7]
            assert {shape for _, shape, _ in seen} == {(3, 4)}
            assert (other.refresh(), len(out), len(other)) == (1, 8, 8)


@pytest.mark.parametrize(("batch", "counts"), [(1, [0, 1, 2, 3]), (2, [0, 0, 2, 2])])
def test_array_within_the_first_extend(batch, counts, path):
    """As soon as a page is in the file, and not before, the array has its shape, and reads it."""
    seen = []

    def pages():
        for i in range(4):
            seen.append((out.shape, [int(page[0, 0]) for page in out]))
            yield np.full((3, 4), i, "u1")

    with lazytiff.empty(path, "u1") as out:
        out.extend(pages(), batch=batch)
    assert seen == [((count, 3, 4) if count else (0, 0, 0), list(range(count))) for count in counts]


def test_appending_within_extend(path):
    """It would change the order: refused, while what extend does goes on."""

    def pages():
        yield np.full((3, 4), 1, "u1")
        with pytest.raises(RuntimeError, match="while extend"):
            out.append(np.full((3, 4), 9, "u1"))
        with pytest.raises(RuntimeError, match="while extend"):
            out.extend([np.full((3, 4), 9, "u1")])
        yield np.full((3, 4), 2, "u1")

    with lazytiff.empty(path, "u1") as out:
        assert out.extend(pages()) == 2
        assert out.append(np.full((3, 4), 3, "u1")) == 2
        assert out[:, 0, 0].tolist() == [1, 2, 3]


# ---- what type checkers and readers see


def test_types():
    """`open(path, "a")` is an AppendTiff: the first overload that takes "a" says so; a list is a MultiTiff."""
    taken = {"Literal['r']": ("r",), "Literal['a']": ("a",), "str": ("r", "a")}
    many, *kinds = [inspect.signature(overload) for overload in typing.get_overloads(lazytiff.open)]
    assert (many.parameters["file"].annotation, many.return_annotation) == (
        "list[Any] | tuple[Any, ...]",
        "MultiTiff",
    )

    def result(mode):
        return next(kind for kind in kinds if mode in taken[kind.parameters["mode"].annotation]).return_annotation

    assert (result("a"), result("r")) == ("AppendTiff", "LazyTiff")


@pytest.mark.parametrize(
    "function",
    [lazytiff.empty, lazytiff.save, lazytiff.open, lazytiff.AppendTiff.append, lazytiff.AppendTiff.extend],
)
def test_docstrings(function):
    """Every parameter is in the docstring's list, by its name."""
    listed = itertools.takewhile(lambda line: line != "Returns", inspect.getdoc(function).split("\n"))
    names = {name for line in listed if not line.startswith(" ") for name in line.split(", ")}
    assert set(inspect.signature(function).parameters) - {"self"} <= names
