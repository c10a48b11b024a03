"""`open(path, "a")` of damaged stacks: what can be read stays so, or the file is refused and stays as it is."""

from __future__ import annotations

import itertools

import helper
import pytest
import tifffile
from test_append_resume import pages_of, write_pages

import lazytiff

PIXELS = helper.pixels((3, 4, 6), "u2")
pytestmark = pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")


def try_numbers_of_tags(path):
    """Flip each bit of the low byte of each page's number of tags, and append; return how many links were refused."""
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as tif:
        lowest = [page.offset + (1 if tif.byteorder == ">" else 0) for page in tif.pages]
    refused = 0
    for place, bit in itertools.product(lowest, range(8)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            before = pages_of(path)
            with lazytiff.open(path, "a") as out:
                new = out.append(PIXELS[0].astype(out.dtype))
        except lazytiff.TiffError as error:
            refused += "spoil" in str(error)
            assert path.read_bytes() == damaged
            continue
        after = pages_of(path)
        assert after[new] == ((4, 6), PIXELS[0].tobytes())
        assert all(page in (found, lazytiff.CorruptTiffError) for page, found in zip(before, after, strict=False))
    return refused


@pytest.mark.parametrize("bigtiff", ["auto", False, True])
@pytest.mark.parametrize("compression", ["none", "lzw"])
def test_our_own_stacks(compression, bigtiff, tmp_path):
    """No link is written into pixels that can be read, nor into the page that it leads to."""
    helper.needs_to_write(compression)
    path = tmp_path / "stack.tif"
    with lazytiff.empty(path, "u2", bigtiff=bigtiff, compression=compression, description="mine") as out:
        out.extend(PIXELS)
    # with "auto" the other chain lies between a link and the pixels
    assert try_numbers_of_tags(path) or bigtiff == "auto"


@pytest.mark.parametrize("byteorder", "<>")
def test_values_behind_the_tags(byteorder, tmp_path):
    """No link is written into the values of tags, such as where the strips are."""
    path = tmp_path / "stack.tif"
    write_pages(path, PIXELS, byteorder=byteorder, rowsperstrip=1)
    assert try_numbers_of_tags(path)
