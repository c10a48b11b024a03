"""A page that a killed writer began, and did not link, is begun anew in its place; nobody else's bytes are."""

from __future__ import annotations

import os

import numpy as np
import pytest
from stamped import Style
from verdict import RealFile, check

import lazytiff

STYLES = [
    Style(7, 30, "<u2", False),
    Style(7, 30, ">u2", True),
    Style(7, 30, "u1", "auto"),
    Style(60, 70, "<u4", "auto", tags=True),
]
LINKS = {False: (4,), True: (8,), "auto": (8, 4)}
PAGES = 3


def append(out, style, numbers):
    """Append pages of these numbers."""
    for number in numbers:
        out.append(style.page(number), tags=style.tags_of(number))


@pytest.fixture(params=STYLES, ids=str)
def style(request):
    """Return each style."""
    return request.param


@pytest.fixture
def whole(style, tmp_path):
    """Return a file of PAGES pages, and how long it was before each of them was written."""
    path = tmp_path / "whole.tif"
    sizes = [0]
    with lazytiff.empty(path, style.dtype, **style.options()) as out:
        for number in range(PAGES):
            append(out, style, [number])
            sizes.append(path.stat().st_size)
    return path.read_bytes(), sizes


def unlinked(data, last, style):
    """Return the file as it was before its last page was linked: the links that lead to that are 0."""
    changed = bytearray(data)
    for width in LINKS[style.bigtiff]:
        at = links(data, style, width)[last]
        changed[at : at + width] = bytes(width)
    return bytes(changed)


def links(data, style, width):
    """Return where the links of that width are, the header's first."""
    order, count, entry = ("big" if style.dtype[0] == ">" else "little"), *((8, 20) if width == 8 else (2, 12))
    found = [width]
    while ifd := int.from_bytes(data[found[-1] : found[-1] + width], order):
        found.append(ifd + count + entry * int.from_bytes(data[ifd : ifd + count], order))
    return found


def resume(path, style, numbers):
    """Go on with a file; check that it has all pages, and that they map."""
    with lazytiff.open(path, "a", dtype=style.dtype, **style.resumed(numbers[0])) as out:
        assert len(out) == numbers[0]
        append(out, style, numbers)
    file = RealFile(path)
    assert check(file, style, numbers[-1] + 1, numbers[-1] + 1)
    file.close()
    with lazytiff.open(path, mmap=True) as img:
        assert np.array_equal(img, [style.page(number) for number in range(numbers[-1] + 1)])


def test_same_place(style, whole, tmp_path):
    """However much of the page is in the file, it takes the same place again, and the stack maps as one array."""
    data, sizes = whole
    torn = unlinked(data, PAGES - 1, style)
    path = tmp_path / "torn.tif"
    block = sizes[-1] - sizes[-2] - style.page_bytes
    lengths = {0, 1, 2, 3, 7, 8, 64, block - 1, block, block + 1, block + 40, sizes[-1] - sizes[-2] - 1}
    for length in sorted(lengths | {sizes[-1] - sizes[-2]}):
        path.write_bytes(torn[: sizes[-2] + length])
        resume(path, style, [PAGES - 1])
        assert path.read_bytes() == data, length
    with lazytiff.open(path, mmap=True) as img:
        assert np.asarray(img).base is not None  # a view of the file and no copy


@pytest.mark.parametrize("place", ["within the page", "behind the page", "at its end"])
def test_bytes_of_others(place, style, whole, tmp_path):
    """What another program wrote behind the last page stays there, byte by byte."""
    data, sizes = whole
    rng = np.random.default_rng(3)
    before = unlinked(data, PAGES - 1, style)
    length = {"within the page": 40, "behind the page": sizes[-1] - sizes[-2] + 1, "at its end": 1000}[place]
    others = rng.integers(1, 256, length, dtype="u1").tobytes()
    kept = before[: sizes[-2]] + others if place != "behind the page" else before + others
    path = tmp_path / "shared.tif"
    path.write_bytes(kept)
    resume(path, style, [PAGES - 1, PAGES])
    assert path.read_bytes()[sizes[-2] : len(kept)] == kept[sizes[-2] :]


def test_another_page(style, whole, tmp_path):
    """A page with other tags, or of another stack, is not the one that was begun: it goes behind that."""
    data, sizes = whole
    path = tmp_path / "torn.tif"
    torn = unlinked(data, PAGES - 1, style)
    path.write_bytes(torn)
    with lazytiff.open(path, "a") as out:
        out.append(style.page(PAGES - 1), tags={"PageName": "another one"})
    assert path.read_bytes()[sizes[-2] : sizes[-1]] == torn[sizes[-2] :]
    with lazytiff.open(path) as img:
        assert np.array_equal(img[:], [style.page(number) for number in range(PAGES)])


def test_killed_for_good(style, whole, tmp_path):
    """A writer that is killed again and again at the same page leaves a file that does not grow."""
    data, sizes = whole
    path = tmp_path / "torn.tif"
    path.write_bytes(unlinked(data, PAGES - 1, style))
    for _ in range(3):
        resume(path, style, [PAGES - 1])
        path.write_bytes(unlinked(path.read_bytes(), PAGES - 1, style))
        assert os.path.getsize(path) == sizes[-1]
