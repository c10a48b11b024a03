"""Colours of arrays of every kind: mapped, growing, many files, joined ones, and files that others wrote."""

from __future__ import annotations

import contextlib
import json
import pickle

import helper
import numpy as np
import pytest
import tifffile
from colours import (
    COLUMNS,
    KEYS,
    MOST_PIXELS,
    ROWS,
    WHITE,
    check,
    check_all,
    color_map,
    each_page,
    fractions,
    gray_stack,
    opened,
    palette_stack,
    some_pixels,
    thrice,
    upright,
    weighed,
)
from helper import assert_same, page, tiff

import lazytiff
from lazytiff import UnsupportedTiffError
from lazytiff._dimensions import Dimensions

# ---- Arrays of every kind


def write(path, *pages, **options):
    """Write a file of these pages and return its path."""
    path.write_bytes(tiff(*pages, **options))
    return path


@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("bits", [8, 16])
def test_mapped(bits, byteorder, tmp_path):
    """Views of mapped pages are of this machine's byte order, whatever the file's."""
    made, colours = palette_stack(bits, byteorder=byteorder)
    dtype = f"u{bits // 8}"
    gray = some_pixels((5, ROWS, COLUMNS), dtype, bits)
    rgb = some_pixels((5, ROWS, COLUMNS, 4), dtype, bits)
    paths = [
        write(tmp_path / "palette.tif", *made, byteorder=byteorder),
        write(tmp_path / "black.tif", *(page(one, byteorder=byteorder) for one in gray), byteorder=byteorder),
        write(
            tmp_path / "white.tif",
            *(page(one, byteorder=byteorder, tags={262: WHITE}) for one in gray),
            byteorder=byteorder,
        ),
        write(tmp_path / "rgb.tif", *(page(one, byteorder=byteorder) for one in rgb), byteorder=byteorder),
    ]
    with contextlib.ExitStack() as stack:
        palette, black, white, colour = (stack.enter_context(lazytiff.open(path, mmap=True)) for path in paths)
        check_all(palette.rgb(), colours, "IYXS")
        check_all(palette.gray(), weighed(colours), "IYX")
        assert black.gray() is black
        check_all(black.rgb(), thrice(gray), "IYXS")
        check_all(black.normed(), fractions(gray, bits), "IYX")
        check_all(white.gray(), upright(gray, bits), "IYX")
        check_all(white.rgb(), thrice(upright(gray, bits)), "IYXS")
        check_all(colour.gray(), weighed(rgb[..., :3]), "IYX")
        check(colour.normed(), fractions(rgb, bits), "IYXS")
        assert_same(colour.rgb()[1].astype(dtype), rgb[1, ..., :3])
        check(colour.lazy[3:5].gray(), weighed(rgb[3:5, ..., :3]))


def test_growing(tmp_path):
    """A stack that is being written has the colours of its pages so far; a view has those when it was made."""
    palette, values = color_map(8)
    stack = some_pixels((6, ROWS, COLUMNS), "u1", 8)
    with lazytiff.empty(tmp_path / "x.tif", "u1", photometric="palette", tags={"ColorMap": values}) as out:
        out.extend(stack[:5])
        view = out.rgb()
        check_all(view, palette[stack[:5]], "IYXS")
        out.append(stack[5])
        check(view, palette[stack[:5]])
        check(out.gray(), weighed(palette[stack]))
        assert_same(out.gray()[5], weighed(palette[stack[5]]))


def many_files(folder):
    """Write files with ColorMaps and with bits of their own; return their patterns, colours, and gray values."""
    made, colours = palette_stack(8)
    grays, stack = gray_stack(WHITE)
    for name, pages in (("palette", made), ("white", grays)):
        for number, bounds in enumerate([(0, 2), (2, 3), (3, 5)]):
            write(folder / f"{name}{number}.tif", *pages[slice(*bounds)])
    return str(folder / "palette*.tif"), str(folder / "white*.tif"), colours, stack


def test_many_files(tmp_path):
    """Files have ColorMaps and bits of their own."""
    palettes, whites, colours, stack = many_files(tmp_path)
    all_bits = (12, 16, 10, 12, 9)
    expected = each_page(upright, stack, all_bits)
    with lazytiff.open(palettes, check=True) as img:
        assert isinstance(img, lazytiff.MultiTiff)
        check_all(img.rgb(), colours, "IYXS")
        check_all(img.gray(), weighed(colours), "IYX")
        check(img.lazy[3:5].gray(), weighed(colours[3:5]))
        check(img.pages[3].rgb(), colours[3])
    with lazytiff.open(whites, check=True) as img:
        check_all(img.gray(), expected, "IYX")
        check_all(img.normed(), each_page(fractions, expected, all_bits), "IYX")


def test_hyperstack():
    """Along named axes each plane has the tone of its page; a channel of a hyperstack without samples is along C."""
    made, colours = palette_stack(8, 6)
    made[0].tags[270] = "ImageJ=1.11a\nimages=6\nchannels=2\nframes=3\nhyperstack=true\n"
    expected = colours.reshape(3, 2, ROWS, COLUMNS, 3)
    with opened(*made) as img:
        stack = img.hyperstack
        assert stack.axes == "TCYX"
        check(stack.rgb(), expected, "TCYXS")
        check(stack.gray(), weighed(expected), "TCYX")
        check(stack.channel(1).rgb(), expected[:, 1], "TYXS")
        check(stack.channel(-1).gray(), weighed(expected[:, 1]), "TYX")
        assert_same(stack.rgb()[[2, 0], 1, :, [3, 1]], expected[[2, 0], 1, :, [3, 1]])
        assert_same(stack.gray()[::-1, ::-1, 1:3], weighed(expected)[::-1, ::-1, 1:3])
        assert_same(stack.gray().max(axis=(0, 1)), weighed(expected).max(axis=(0, 1)))
        with pytest.raises(IndexError):
            stack.channel(2)


def test_missing_planes():
    """Planes that are not there are an error in a view too; filled ones have some page's colour of the value."""
    made, colours = palette_stack(8, 2)
    with opened(*made) as img:
        numbers = np.array([1, -1, 0])
        stack = lazytiff.HyperStack(img, Dimensions("T", (3,), numbers, {}, ()), "plane {} was not written".format)
        assert_same(stack.rgb()[::2], colours[::-1])
        with pytest.raises(lazytiff.MissingPlaneError, match="T=1"):
            stack.rgb()[1]
        assert_same(stack.filled(3).rgb()[[2, 0]], colours)
        assert np.ptp(stack.filled(3).gray()[1]) == 0


def test_closed():
    """A view of a closed array raises what the array raises."""
    made, _ = palette_stack(8)
    with opened(*made) as img:
        views = [img.rgb(), img.gray(), img.normed(), img.lazy[1].gray()]
    for view in views:
        with pytest.raises(lazytiff.ClosedError):
            view[...]


# ---- Joined


def join_parts():
    """Return two arrays of palette pages with ColorMaps of their own, and the colours of each."""
    made, colours = palette_stack(8, 6)
    return opened(*made[:3]), opened(*made[3:]), colours[:3], colours[3:]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concatenated(axis):
    """Joined along pages, rows or columns, each part has its colours."""
    first, second, ours, theirs = join_parts()
    expected = np.concatenate([ours, theirs], axis)
    with first, second:
        both = lazytiff.concatenate([first, second], axis)
        check(both.rgb(), expected, "IYXS")
        check(both.gray(), weighed(expected), "IYX")
        check(both.normed(), fractions(expected, 16))
        for key in KEYS[:4]:
            assert_same(both.rgb()[key], expected[key])
        check(both.lazy[1:, 1:, ::-1].gray(), weighed(expected[1:, 1:, ::-1]))
        assert_same(both.rgb()[[2, 0], 4, 1:], expected[[2, 0], 4, 1:])
        assert_same(both.gray().max(axis=0), weighed(expected).max(axis=0))
        check(lazytiff.concatenate([both, both], axis).gray(), weighed(np.concatenate([expected, expected], axis)))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_stacked(axis):
    """A new axis may be anywhere among the others: each pixel has the colour of its page."""
    first, second, ours, theirs = join_parts()
    with first, second:
        both = lazytiff.stack([first, second], axis)
        check(both.rgb(), np.stack([ours, theirs], axis))
        check(both.gray(), np.stack([weighed(ours), weighed(theirs)], axis))
        check(both.lazy[1, 1:].gray(), np.stack([weighed(ours), weighed(theirs)], axis)[1, 1:])
        pages = lazytiff.stack([*first.pages, *second.pages], min(axis, 2))
        check(pages.rgb(), np.stack([*ours, *theirs], min(axis, 2)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_joined_bits(axis):
    """Parts are min-is-white by their own bits, one page or many."""
    made, stack = gray_stack(WHITE, (12, 12, 16, 10))
    expected = each_page(upright, stack, (12, 12, 16, 10))
    with opened(*made[:2]) as first, opened(*made[2:]) as second:
        both = lazytiff.concatenate([first, second], axis)
        check(both.gray(), np.concatenate([expected[:2], expected[2:]], axis))
        parts = fractions(expected[:2], 12), np.stack([fractions(expected[2], 16), fractions(expected[3], 10)])
        check(both.normed(), np.concatenate(parts, axis))
        check(both.rgb().normed(), thrice(np.concatenate(parts, axis)))
        check(lazytiff.concatenate([first.gray(), second.gray()], axis).normed(), np.concatenate(parts, axis))


def test_joined_colours():
    """Parts that mean different things are no array of colours; views of them that mean the same are."""
    made, colours = palette_stack(8, 2)
    gray = some_pixels((2, ROWS, COLUMNS), "u1", 8)
    black, white = [page(one) for one in gray], [page(one, tags={262: WHITE}) for one in gray]
    with opened(*made) as palette, opened(*black) as dark, opened(*white) as bright:
        for parts in ([palette, dark], [dark, bright], [bright, palette]):
            both = lazytiff.concatenate(parts)
            assert_same(both[1], parts[0][1])
            for method in (both.rgb, both.gray, both.normed):
                with pytest.raises(UnsupportedTiffError, match="several colour models"):
                    method()
        check(lazytiff.concatenate([dark, bright.gray()]).gray(), np.concatenate([gray, upright(gray, 8)]))
        check(
            lazytiff.concatenate([palette.gray(), palette.gray()]).rgb(), thrice(weighed(np.concatenate([colours] * 2)))
        )
        check(lazytiff.stack([palette.rgb(), palette.rgb()]).gray(), np.stack([weighed(colours)] * 2))


# ---- What it takes


def test_one_page_is_decoded():
    """A page of a view decodes the chunks of that page alone, a row those that hold it."""
    rgb = some_pixels((5, 12, COLUMNS, 3), "u1", 8)
    with opened(*(page(one, codec="deflate", rows_per_strip=4) for one in rgb)) as img:
        assert_same(img.gray()[3], weighed(rgb[3]))
        assert img.cache_info().decoded == 3
        assert_same(img.gray()[1, 5], weighed(rgb[1, 5]))
        assert img.cache_info().decoded == 4
        assert_same(img.lazy[2:4, 9].normed()[0], fractions(rgb[2, 9], 8))
        assert img.cache_info().decoded == 5
    with opened(*(page(one, codec="deflate", planar=2) for one in rgb)) as img:
        assert_same(img.channel(1)[2], rgb[2, ..., 1])
        assert img.cache_info().decoded == 1


def test_reductions_decode_once():
    """A reduction of a view decodes each chunk once."""
    rgb = some_pixels((5, 12, COLUMNS, 3), "u1", 8)
    with lazytiff.open(
        tiff(*(page(one, codec="deflate", rows_per_strip=4) for one in rgb)), cache_bytes=0, workers=1
    ) as img:
        assert_same(img.gray().max(axis=0), weighed(rgb).max(axis=0))
        assert img.cache_info().decoded == 15


def test_nothing_is_read_for_a_view():
    """Views read no pixels when they are made, and none of an empty index."""
    made, _ = palette_stack(8, codec="deflate")
    with opened(*made) as img:
        for view in (img.rgb(), img.gray(), img.normed(), img.channel(0), img.lazy[1:].gray()):
            assert view[:0].size == view[:, :, 5:].size == 0
        assert img.cache_info().decoded == 0


def test_pickled(tmp_path):
    """A view can be pickled with its array, and is the same one."""
    made, colours = palette_stack(8)
    with lazytiff.open(write(tmp_path / "x.tif", *made), mmap=True) as img:
        for view, expected in ((img.rgb(), colours), (img.gray(), weighed(colours)), (img.normed(), None)):
            again = pickle.loads(pickle.dumps(view))  # noqa: S301  # which was made here
            check(again, fractions(colours, 16) if expected is None else expected)
            array = again
            while hasattr(array, "base"):
                array = array.base
            array.close()


# ---- Files that other programs wrote


def corpus_pages(kinds):
    """Give a parameter for each page of the corpus of these kinds whose pixels decoders agree on."""
    folder = helper.corpus()
    if folder is None:
        return [pytest.param(None, None, id="no corpus")]
    files = json.loads((folder / "manifest.json").read_text())["files"]
    chosen = []
    for file in files:
        pages = [
            int(one["index"])
            for one in file["pages"]
            if one.get("status") == "agreed" and one.get("photometric") in kinds and str(one["index"]).isdecimal()
            if one["width"] * one["height"] <= MOST_PIXELS
        ]
        chosen += [pytest.param(file["path"], pages[:4], id=file["path"])] if pages else []
    return chosen


def ours_or_skip(read):
    """Return what read returns; skip the test where the linked libtiff cannot decode the page."""
    try:
        return read()
    except (lazytiff.DecodeError, UnsupportedTiffError) as error:
        pytest.skip(f"the linked libtiff cannot decode it: {error}")


@contextlib.contextmanager
def corpus_page(path, number):
    """Return tifffile's page, its pixels with samples last, and ours; skip what tifffile cannot read."""
    with tifffile.TiffFile(path) as oracle, lazytiff.TiffFile(path, codecs="all") as tif:
        theirs = oracle.pages[number]
        try:
            expected = theirs.asarray()
        except Exception as error:  # noqa: BLE001  # of any kind
            pytest.skip(f"tifffile cannot read page {number}: {error!r}")
        if theirs.samplesperpixel > 1 and theirs.planarconfig == 2:
            expected = np.moveaxis(expected, 0, -1)
        yield theirs, expected[..., 0] if theirs.samplesperpixel > 1 else expected, tif.pages[number]


@pytest.mark.parametrize(("name", "numbers"), corpus_pages({"palette"}))
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # of what is wrong elsewhere in these files
def test_palettes_of_others(name, numbers, corpus):
    """Palette pages have the colours that tifffile's pixels and ColorMap give."""
    for number in numbers:
        with corpus_page(corpus / "files" / name, number) as (theirs, indices, ours):
            helper.needs(ours.compression)
            colours = np.moveaxis(np.asarray(theirs.colormap, np.uint16), 0, -1)[indices.astype(int)]
            check(ours.rgb(), colours)
            check(ours.gray(), weighed(colours))


@pytest.mark.parametrize(("name", "numbers"), corpus_pages({"minisblack", "miniswhite"}))
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # of what is wrong elsewhere in these files
def test_gray_of_others(name, numbers, corpus):
    """Gray pages have tifffile's pixels three times, those that are min-is-white turned by their bits."""
    for number in numbers:
        with corpus_page(corpus / "files" / name, number) as (theirs, stored, ours):
            helper.needs(ours.compression)
            found = ours_or_skip(ours.rgb().copy)
            expected = upright(stored, theirs.bitspersample) if theirs.photometric == WHITE else stored
            assert found.shape == (*stored.shape, 3)
            for sample in np.moveaxis(found, -1, 0):
                np.testing.assert_allclose(sample, expected, atol=4 if ours.compression in ("jpeg", "lerc") else 0)


def test_another_order_of_axes():
    """Pixels mean what they did when axes change places: bits and ColorMaps of each page, and min-is-white."""
    all_bits = (12, 16, 10, 12, 9)
    made, stack = gray_stack(WHITE, all_bits)
    with opened(*made) as img:
        for order in [(0, 2, 1), (1, 0, 2), (2, 1, 0)]:
            turned = img.transpose(*order)
            check(turned.gray(), each_page(upright, stack, all_bits).transpose(order))
            check(turned.normed(), each_page(fractions, each_page(upright, stack, all_bits), all_bits).transpose(order))
    made, colours = palette_stack()
    with opened(*made) as img:
        assert_same(img.T.rgb()[...], colours.transpose(2, 1, 0, 3))
        assert_same(img.T.lazy[:, 2].gray()[...], weighed(colours).transpose(2, 1, 0)[:, 2])
