"""`bigtiff=False`: the file ends below 4 GiB; a page that does not fit is refused before its first byte is written."""

from __future__ import annotations

import os

import chains
import helper
import numpy as np
import pytest
import tiff_bytes
import tifffile
from chains import CLASSIC_MOST

import lazytiff

PAGES = helper.pixels((7, 40, 8), "u1")  # of a multiple of 64 bytes: some end at 4 GiB exactly, which is too far
TAGGED = {"tags": {"DateTime": "2026:01:02 03:04:05"}}
TAIL = 16 << 10  # of the file, that is compared


@pytest.fixture
def path(sparse_path):
    """Return the path of the file to be made."""
    return sparse_path


class Template:
    """A stack of three pages at the beginning of a file that ends below 4 GiB, again and again."""

    def __init__(self, path, dtype="u1", **options):
        self.path, self.pages = path, PAGES.astype(dtype)
        with lazytiff.empty(path, dtype, **options) as out:
            out.extend(self.pages[:3])
        self.bytes = path.read_bytes()

    def end(self, slack):
        """Let the file end that many bytes below the limit, and have nothing but the three pages."""
        os.truncate(self.path, 0)
        with open(self.path, "r+b") as file:
            file.write(self.bytes)
        chains.lengthen(self.path, CLASSIC_MOST - slack)

    def look(self):
        """Return what the file is: its size, the space that it takes, its beginning and its end."""
        about = os.stat(self.path)
        with open(self.path, "rb") as file:
            head = file.read(len(self.bytes) + TAIL)
            file.seek(-TAIL, os.SEEK_END)
            return about.st_size, getattr(about, "st_blocks", 0), head, file.read()

    def check(self, count):
        """Assert that all readers find that many pages, the first ones."""
        with lazytiff.open(self.path, squeeze=False) as img, tifffile.TiffFile(self.path) as tif:
            assert img.shape[0] == len(tif.pages) == count
            assert (img[...] == self.pages[:count]).all()
            assert (tif.pages[count - 1].asarray() == self.pages[count - 1]).all()


def try_all(template, slacks, **page):
    """For each slack append the fourth page, or see it refused; return the slacks with which it fits."""
    fits = []
    for slack in slacks:
        template.end(slack)
        before = template.look()
        with lazytiff.open(template.path, "a") as out:
            try:
                assert out.append(template.pages[3], **page) == 3
                fits.append(slack)
            except lazytiff.FileFullError:
                assert template.look() == before
            count = 3 + (slack in fits)
            assert (out[...] == template.pages[:count]).all()
            assert str(out).startswith("32-bit")
        assert os.path.getsize(template.path) <= CLASSIC_MOST
        template.check(count)
    return fits


FORMS = {
    "as it is": ({}, {}),
    "tags": ({"description": "of the stack"}, TAGGED),
    "strips": ({"chunk_shape": 3, "dtype": ">u2"}, {}),
    "tiles": ({"chunk_shape": (16, 16), "compression": "packbits"}, {}),
    "deflate": ({"compression": "deflate"}, TAGGED),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_slack(form, path):
    """With 0 to 2,000 bytes left a page either fits, and is right, or the file is as before: fitting begins once."""
    options, page = FORMS[form]
    template = Template(path, bigtiff=False, **options)
    slacks = range(2001) if form == "as it is" else [*range(0, 2001, 19), *range(4000, 4100, 19), 20_000]
    fits = try_all(template, slacks, **page)
    assert fits == [slack for slack in slacks if slack >= fits[0]]
    template.end(fits[0])
    with lazytiff.open(template.path, "a") as out:
        out.append(template.pages[3], **page)
    assert (
        CLASSIC_MOST - os.path.getsize(template.path) < 64
    )  # a page begins at a multiple of 64, and otherwise nothing is wasted
    chains.check(template.path)


@pytest.mark.parametrize("form", FORMS)
def test_every_slack_of_auto(form, path):
    """With bigtiff="auto" each page fits: it is in both chains if it ends below 4 GiB, and otherwise in one."""
    options, page = FORMS[form]
    template = Template(path, **options)
    ends = []
    for slack in [*range(0, 2001, 23), *range(2001, 5000, 97)]:
        template.end(slack)
        with lazytiff.open(template.path, "a") as out:
            for number in range(3, 5):
                out.append(template.pages[number], **page)
                template.check(number + 1)
                size = os.path.getsize(template.path)
                assert str(out).startswith("64-bit" if size > CLASSIC_MOST else "32-bit")
                assert chains.check(template.path, both=size <= CLASSIC_MOST) == number + 1
                ends.append(size - CLASSIC_MOST)
            assert (out[...] == template.pages[:5]).all()
    assert min(ends) < 0 < max(ends)


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("form", ["as it is", "deflate"])
def test_extend(form, batch, path):
    """Of many pages those that fit are published, and the error comes then; what was there is there."""
    options, _ = FORMS[form]
    template = Template(path, bigtiff=False, **options)
    distance = chains.chains(template.path)[0][-1].chunks[0][0] - chains.chains(template.path)[0][-2].chunks[0][0]
    template.end(3 * distance + 70)
    with lazytiff.open(template.path, "a") as out:
        with pytest.raises(lazytiff.FileFullError, match="BigTIFF goes on"):
            out.extend(template.pages[3:], batch=batch)
        count = len(out)
        assert 5 <= count < 7
        with pytest.raises(lazytiff.FileFullError):
            out.append(template.pages[count])
        assert (out[...] == template.pages[:count]).all()
    template.check(count)
    with lazytiff.open(template.path, "a") as out, pytest.raises(lazytiff.FileFullError):
        out.append(template.pages[count])


def test_small_page_after_a_large_one(path):
    """After a page that does not fit one that is smaller, since it is compressed, does."""
    noise, zeros = np.random.default_rng(3).integers(0, 256, (64, 64), "u1"), np.zeros((64, 64), "u1")
    with lazytiff.empty(path, "u1", bigtiff=False, compression="deflate") as out:
        out.append(zeros)
    chains.lengthen(path, CLASSIC_MOST - 2000)
    with lazytiff.open(path, "a") as out:
        for _ in range(2):
            with pytest.raises(lazytiff.FileFullError):
                out.append(noise)
            out.append(zeros)
        assert (out[...] == 0).all()
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 3


def test_file_of_another_program(path):
    """A file whose last link lies across a line of the cache is not touched either when the page does not fit."""
    file = tiff_bytes.Builder()
    for page in PAGES[:3]:
        entries = file.gray(page)
        file.bytes += bytes(-(len(file.bytes) + 2 + 12 * len(entries) + 2) % 64)
        file.page(entries)
    assert file.last_link % 64 == 62
    for slack in (0, 3, 200, 600):
        path.write_bytes(file.bytes)
        chains.lengthen(path, CLASSIC_MOST - slack)
        with lazytiff.open(path, "a") as out:
            with pytest.raises(lazytiff.FileFullError):
                out.append(PAGES[3])
            assert os.path.getsize(path) == CLASSIC_MOST - slack
            with path.open("rb") as found:
                assert found.read(len(file.bytes)) == file.bytes
            assert (out[...] == PAGES[:3]).all()
    path.write_bytes(file.bytes)
    with lazytiff.open(path, "a") as out:
        assert out.append(PAGES[3]) == 3
        assert (out[...] == PAGES[:4]).all()
