"""Pyramids: the reduced versions of pages, as SubIFDs and in the chain, whatever is wrong with them."""

from __future__ import annotations

import gc
import io
import time
import warnings
import weakref

import helper
import numpy as np
import pytest
import tifffile
from helper import LONG, RATIONAL, Typed

import lazytiff

REDUCED, MASK = {254: 1}, {254: 4}
FULL = helper.pixels((3, 32, 48), np.uint16)
HALVES = FULL[:, ::2, ::2]
QUARTERS = FULL[:, ::4, ::4]


def reduced(array, **options):
    """Make a page that says that it is a reduced version of another one."""
    return helper.page(array, tags=REDUCED, **options)


def with_below(array, *subpages, tags=None):
    """Make a page that lists the others as its SubIFDs."""
    page = helper.page(array, tags=tags)
    page.subpages = list(subpages)
    return page


def listing(array, *offsets, kind=LONG):
    """Make a page whose SubIFDs tag holds these values."""
    return helper.page(array, tags={330: Typed(kind, offsets)})


def pyramids():
    """Make a file of three pages, each with two reduced versions as SubIFDs."""
    pages = [with_below(f, reduced(h), reduced(q)) for f, h, q in zip(FULL, HALVES, QUARTERS, strict=True)]
    return helper.tiff(*pages)


def chained():
    """Make a file of three pages, each with two reduced versions behind it."""
    pages = [(helper.page(f), reduced(h), reduced(q)) for f, h, q in zip(FULL, HALVES, QUARTERS, strict=True)]
    return helper.tiff(*[page for group in pages for page in group])


def assert_levels(array, *expected):
    """Check that the array's levels are these pixels, the first one itself and the others lazy."""
    levels = array.levels
    assert levels[0] is array
    assert all(type(level) is lazytiff.LazyTiff for level in levels[1:])
    assert [level.shape for level in levels] == [pixels.shape for pixels in expected]
    for level, pixels in zip(levels, expected, strict=True):
        assert level.axes == array.axes
        assert level.dtype == pixels.dtype
        np.testing.assert_array_equal(level, pixels)
        np.testing.assert_array_equal(level[..., 1:, ::-1], pixels[..., 1:, ::-1])


# ---- files of other programs

WAYS = {
    "plain": ({}, {}, (5, 64, 96), np.uint16),
    "big-endian": ({"byteorder": ">"}, {}, (5, 64, 96), np.uint16),
    "BigTIFF": ({"bigtiff": True}, {}, (5, 64, 96), np.float32),
    "big-endian BigTIFF": ({"bigtiff": True, "byteorder": ">"}, {}, (5, 64, 96), np.int16),
    "tiled": ({}, {"tile": (16, 32)}, (5, 64, 96), np.uint8),
    "compressed": ({}, {"compression": "zlib", "predictor": True}, (5, 64, 96), np.uint16),
    "compressed tiles": ({}, {"tile": (32, 16), "compression": "lzw"}, (5, 64, 96), np.uint16),
    "RGB": ({}, {"photometric": "rgb"}, (5, 64, 96, 3), np.uint8),
    "one page": ({}, {}, (64, 96), np.uint16),
}


@pytest.mark.parametrize("ome", [True, False], ids=["OME", "plain"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_subifds_of_tifffile(way, ome, tmp_path):
    """Pyramids that tifffile writes as SubIFDs are those that it reads, page for page."""
    file, options, shape, dtype = way
    path = tmp_path / ("pyramid.ome.tif" if ome else "pyramid.tif")
    helper.needs("deflate", "lzw")
    options = {"photometric": "minisblack"} | options
    pixels = helper.pixels(shape, dtype)
    pages = (slice(None),) * (len(shape) > 2)
    with tifffile.TiffWriter(path, ome=ome, **file) as out:
        out.write(pixels, subifds=2, **options)
        for step in (2, 4):
            out.write(pixels[(*pages, slice(None, None, step), slice(None, None, step))], subfiletype=1, **options)
    with tifffile.TiffFile(path) as oracle, lazytiff.open(path) as img:
        expected = [level.asarray() for level in oracle.series[0].levels]
        assert len(expected) == 3
        assert_levels(img, *expected)
        if pages:
            assert_levels(img.pages[2], *[level[2] for level in expected])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_overviews_of_tifffile(way, tmp_path):
    """Overviews that follow the full page are its levels: chosen by its number, without a page axis."""
    file, options, shape, dtype = way
    path = tmp_path / "overviews.tif"
    helper.needs("deflate", "lzw")
    options = {"photometric": "minisblack", "metadata": None} | options
    page = helper.pixels(shape if len(shape) == 2 else shape[1:], dtype)
    with tifffile.TiffWriter(path, **file) as out:
        out.write(page, **options)
        for step in (2, 4):
            out.write(page[::step, ::step], subfiletype=1, **options)
    with tifffile.TiffFile(path) as oracle, lazytiff.open(path, pages=0) as img:
        expected = [level.asarray() for level in oracle.series[0].levels]
        assert len(expected) == 3
        assert_levels(img, *expected)
    with lazytiff.open(path, pages=0, squeeze=False) as img:
        assert_levels(img, *[level[None] for level in expected])


def corpus_pyramids():
    """Give a parameter for each file of the corpus in which a page has overviews; one to skip without a corpus."""
    if helper.corpus() is None:
        return [pytest.param(None, 1, id="no corpus")]
    files = {
        "cogeotiff+rio-cogeo/cog_band_tags.tif": 2,
        "cogeotiff+rio-cogeo/cog_no_offest.tif": 2,
        "cogeotiff+rio-cogeo/image_rgb_mask.tif": 1,
        "geosolutions-it+imageio-ext/external.tif.msk": 5,
        "geosolutions-it+imageio-ext/land_topo_cog_jpeg_1024.tif": 2,
        "geosolutions-it+imageio-ext/masks.tif": 5,
        "image-rs+image-tiff/usda_naip_256_webp_z3.tif": 3,
        "locationtech+geotrellis/0_0__0.tiff": 2,
        "locationtech+geotrellis/seams-16.tif": 6,
        "locationtech+geotrellis/stitch-layer__0_0__0.tiff": 2,
        "rasterio+rasterio/cogeo.tif": 7,
        "rasterio+rasterio/red.tif.ovr": 2,
    }
    return [pytest.param(name, count, id=name) for name, count in files.items()]


@pytest.mark.parametrize(("name", "count"), corpus_pyramids())
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # of what is wrong elsewhere in these files
def test_corpus(name, count, corpus):
    """Overviews that GDAL and others wrote are those that tifffile finds, pixel for pixel (JPEG: rounded elsewhere)."""
    path = corpus / "files" / name
    with tifffile.TiffFile(path) as oracle:
        levels = oracle.series[0].levels
        codecs = {page.compression for page in oracle.pages}
        if tifffile.COMPRESSION.WEBP in codecs:
            helper.needs("webp")
        expected = [level.asarray() for level in levels]
    with lazytiff.open(path, pages=0) as img:
        assert len(img.levels) == len(expected) == count
        most = 4 if codecs & {tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.WEBP} else 0
        for level, decoded in zip(img.levels, expected, strict=True):
            pixels = np.moveaxis(decoded, 0, -1) if level.shape != decoded.shape else decoded
            assert level.shape == pixels.shape
            assert np.abs(level.copy().astype(float) - pixels).max() <= most


# ---- which images are levels


@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
def test_order(byteorder, big):
    """Levels come by falling size, in whatever order a page lists them."""
    order = [(1, 0), (0, 1), (1, 0)]
    pages = []
    for number, places in enumerate(order):
        below = [helper.page(level[number], tags=REDUCED, byteorder=byteorder) for level in (HALVES, QUARTERS)]
        page = helper.page(FULL[number], byteorder=byteorder)
        page.subpages = [below[place] for place in places]
        pages.append(page)
    with lazytiff.open(helper.tiff(*pages, byteorder=byteorder, big=big)) as img:
        assert_levels(img, FULL, HALVES, QUARTERS)


def test_what_is_no_level():
    """Images that are not reduced, no smaller, of other colours or types, and masks are no levels."""
    half = HALVES[0]
    others = [
        helper.page(half),
        helper.page(half, tags=MASK),
        helper.page(half, tags={254: 5}),
        reduced(FULL[0]),
        reduced(FULL[0, :16]),
        reduced(half.astype(np.uint8)),
        reduced(np.stack([half] * 3, axis=-1)),
        helper.page(half, tags={254: 1, 262: 0}),
        helper.page(half, tags={255: 1}),
    ]
    with lazytiff.open(helper.tiff(with_below(FULL[0], *others, reduced(QUARTERS[0])))) as img:
        assert_levels(img, FULL[0], QUARTERS[0])
    with lazytiff.open(helper.tiff(with_below(FULL[0], *others))) as img:
        assert_levels(img, FULL[0])
    with lazytiff.open(helper.tiff(helper.page(FULL[0]), *others, reduced(QUARTERS[0])), pages=0) as img:
        assert_levels(img, FULL[0])  # a full image comes between
    with lazytiff.open(helper.tiff(helper.page(FULL[0]), *others[1:8], reduced(QUARTERS[0])), pages=0) as img:
        assert_levels(img, FULL[0], QUARTERS[0])


def test_one_row():
    """What has one row has one row in each level."""
    line = FULL[0, :1]
    with lazytiff.open(helper.tiff(with_below(line, reduced(line[:, ::2]), reduced(line)))) as img:
        assert_levels(img, line, line[:, ::2])
    dot = line[:, :1]
    with lazytiff.open(helper.tiff(with_below(dot, reduced(dot)))) as img:
        assert_levels(img, dot)


def test_first_of_a_size():
    """Of two reduced images of one size the first counts; SubIFDs come before those in the chain."""
    page = with_below(FULL[0], reduced(HALVES[0]), reduced(HALVES[1]))
    with lazytiff.open(helper.tiff(page, reduced(HALVES[2]), reduced(QUARTERS[0])), pages=0) as img:
        assert_levels(img, FULL[0], HALVES[0], QUARTERS[0])


def test_older_subfile_type():
    """SubfileType 2 means reduced, unless NewSubfileType says something else."""
    old = helper.page(HALVES[0], tags={255: 2})
    contradicted = helper.page(QUARTERS[0], tags={254: 0, 255: 2})
    with lazytiff.open(helper.tiff(with_below(FULL[0], old, contradicted))) as img:
        assert_levels(img, FULL[0], HALVES[0])
    with lazytiff.open(helper.tiff(helper.page(FULL[0], tags={255: 1}), old), pages=0) as img:
        assert_levels(img, FULL[0], HALVES[0])


def test_levels_that_all_pages_have():
    """A size that one page has no image of is no level; neither is any where a page has none."""
    pages = [with_below(f, reduced(h), reduced(q)) for f, h, q in zip(FULL, HALVES, QUARTERS, strict=True)]
    pages[1].subpages.pop(0)
    with lazytiff.open(helper.tiff(*pages)) as img:
        assert_levels(img, FULL, QUARTERS)
        assert_levels(img.pages[0], FULL[0], HALVES[0], QUARTERS[0])
    pages[1].subpages = []
    with lazytiff.open(helper.tiff(*pages)) as img:
        assert_levels(img, FULL)
        assert_levels(img.pages[2], FULL[2], HALVES[2], QUARTERS[2])


# ---- arrays that have levels


@pytest.mark.parametrize(("make", "step"), [(pyramids, 1), (chained, 3)], ids=["SubIFDs", "chain"])
@pytest.mark.parametrize(
    "chosen",
    [[0, 1, 2], [2, 0], [1], [0, 0, 2, 0], slice(None, None, -1)],
    ids=["all", "backwards", "one", "twice", "slice"],
)
def test_chosen_pages(make, step, chosen):
    """Levels have the pages that were chosen, in their order."""
    numbers = (np.arange(3) * step)[chosen].tolist()
    with lazytiff.open(make(), pages=numbers, squeeze=False) as img:
        assert_levels(img, FULL[chosen], HALVES[chosen], QUARTERS[chosen])


@pytest.mark.parametrize("make", [pyramids, chained], ids=["SubIFDs", "chain"])
def test_tiff_file(make):
    """Stacks and pages of a TiffFile have levels, without a page axis where they have none."""
    with lazytiff.TiffFile(make()) as tif:
        assert_levels(tif.stacks[0], FULL, HALVES, QUARTERS)
        assert_levels(tif.pages[0], FULL[0], HALVES[0], QUARTERS[0])
        if make is chained:
            assert_levels(tif.stacks[1], HALVES, QUARTERS)
            assert_levels(tif.stacks[2], QUARTERS)
            assert_levels(tif.pages[4], HALVES[1], QUARTERS[1])


def test_levels_of_levels():
    """The levels of a level are that one and the smaller ones; its pages are what it says."""
    with lazytiff.open(pyramids()) as img:
        _, half, quarter = img.levels
        assert_levels(half, HALVES, QUARTERS)
        assert half.levels[1] is quarter
        assert_levels(quarter, QUARTERS)
        np.testing.assert_array_equal(half.pages[2], HALVES[2])
        assert half.pages[2].tags["NewSubfileType"] == 1
        assert half.refresh() == 0


def test_mapped(tmp_path):
    """Levels of a mapped array are lazy ones; with mode "r+" they are read like others."""
    path = tmp_path / "pyramids.tif"
    path.write_bytes(pyramids())
    for mode in ("r", "r+", "c"):
        with lazytiff.open(path, mode, mmap=True) as img:
            assert type(img) is lazytiff.MmapTiff
            assert_levels(img, FULL, HALVES, QUARTERS)


def test_appended(tmp_path):
    """A stack that grows has its levels as long as each page has them."""
    path = tmp_path / "pyramids.tif"
    path.write_bytes(pyramids())
    with lazytiff.open(path, "a") as out:
        assert_levels(out, FULL, HALVES, QUARTERS)
        out.append(FULL[0])
        assert_levels(out, np.concatenate([FULL, FULL[:1]]))
    with lazytiff.empty(tmp_path / "new.tif", np.uint8) as out:
        (level,) = out.levels
        assert level is out


def test_refresh(tmp_path):
    """When pages have come, levels are looked up anew; those that were known stay as they are."""
    path = tmp_path / "growing.tif"
    pages = [with_below(f, reduced(h), reduced(q)) for f, h, q in zip(FULL, HALVES, QUARTERS, strict=True)]
    path.write_bytes(helper.tiff(*pages[:2]))
    with lazytiff.open(path) as img:
        before = img.levels
        with path.open("r+b") as file:
            file.write(helper.tiff(*pages))
        assert img.levels[1] is before[1]
        assert img.refresh() == 1
        assert_levels(img, FULL, HALVES, QUARTERS)
        np.testing.assert_array_equal(before[1], HALVES[:2])


class CountingReader:
    """Bytes behind `read_ranges` that count how often they are asked for."""

    def __init__(self, data):
        self.data, self.size, self.reads = data, len(data), 0

    def read_ranges(self, ranges):
        """Return the bytes of each range."""
        self.reads += 1
        return [self.data[offset : offset + length] for offset, length in ranges]


def test_looked_up_when_asked_and_once():
    """SubIFDs are read when levels are asked for; to ask a second time reads nothing."""
    file = CountingReader(pyramids())
    with lazytiff.open(file) as img:
        opening = file.reads
        levels = img.levels
        looked = file.reads
        assert looked > opening
        assert all(one is other for one, other in zip(img.levels, levels, strict=True))
        assert file.reads == looked


def test_close():
    """After `close`, of the array or of a level, levels raise ClosedError whether they were known or not."""
    img, other = lazytiff.open(pyramids()), lazytiff.open(pyramids())
    half = img.levels[1]
    half.close()
    other.close()
    for use in (lambda: img.levels, lambda: half.levels, half.copy, lambda: half[0], lambda: other.levels):
        with pytest.raises(lazytiff.ClosedError):
            use()


def test_no_circle():
    """Arrays whose levels were looked up are freed as soon as nobody uses them, and levels outlive their array."""
    img = lazytiff.open(pyramids())
    half, seen = img.levels[1], weakref.ref(img)
    gc.disable()
    try:
        del img
        assert seen() is None
    finally:
        gc.enable()
    np.testing.assert_array_equal(half, HALVES)
    half.close()


# ---- the error that leads here


def test_error_leads_to_levels():
    """A file of a page and its overviews is no stack: the error names `pages=0` and `levels`; others do not."""
    with pytest.raises(lazytiff.FrameTypeError, match=r"page 1 is .*a reduced image.*`pages=0`.*`levels`.*stacks"):
        lazytiff.open(chained())
    mask = helper.page(HALVES[0] > 0, tags={254: 4, 262: 4})
    with pytest.raises(lazytiff.FrameTypeError, match=r"a transparency mask.*`pages=0`.*`levels`"):
        lazytiff.open(helper.tiff(helper.page(FULL[0]), mask))
    with pytest.raises(lazytiff.FrameTypeError) as caught:
        lazytiff.open(helper.tiff(helper.page(FULL[0]), helper.page(HALVES[0])))
    assert "levels" not in str(caught.value)
    with pytest.raises(lazytiff.FrameTypeError) as caught:
        lazytiff.open(chained(), pages=[1, 2])  # both are reduced
    assert "levels" not in str(caught.value)


# ---- what is wrong in a file


@pytest.mark.parametrize("offset", [0, 3, 10**6, 2**32 - 1], ids=["header", "odd", "beyond", "far beyond"])
def test_broken_link(offset):
    """A level of which one page's SubIFD is nowhere is left out with a TiffWarning; the others stay."""
    pages = [with_below(f, reduced(h), reduced(q)) for f, h, q in zip(FULL, HALVES, QUARTERS, strict=True)]
    data = bytearray(helper.tiff(*pages))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as oracle:
        tag = oracle.pages[1].tags[330]
    data[tag.valueoffset : tag.valueoffset + 4] = offset.to_bytes(4, "little")
    with lazytiff.open(bytes(data)) as img:
        with pytest.warns(lazytiff.TiffWarning, match="page 1, SubIFD 0 is broken; `levels` go without it"):
            assert_levels(img, FULL, QUARTERS)
        assert_levels(img, FULL, QUARTERS)  # known by now: no second warning
        assert_levels(img.pages[2], FULL[2], HALVES[2], QUARTERS[2])
        np.testing.assert_array_equal(img, FULL)


def test_unreadable_subifds():
    """A SubIFD without a width is broken, with a warning; one of a kind that is not read is no level, without."""
    broken = reduced(HALVES[0])
    del broken.tags[256]
    data = helper.tiff(with_below(FULL[0], broken, reduced(QUARTERS[0])))
    with lazytiff.open(data) as img, pytest.warns(lazytiff.TiffWarning, match="page 0, SubIFD 0 is broken"):
        assert_levels(img, FULL[0], QUARTERS[0])
    mixed = helper.page(HALVES[0], tags={254: 1, 258: (16, 8), 277: 2})
    with lazytiff.open(helper.tiff(with_below(FULL[0], mixed, reduced(QUARTERS[0])))) as img:
        assert_levels(img, FULL[0], QUARTERS[0])


@pytest.mark.parametrize(
    ("kind", "values"),
    [(RATIONAL, (8.5, 9.5)), (9, (-8, -9)), (1, (8, 9)), (11, (8.0, 1e30))],
    ids=["fractions", "negative", "bytes", "floats"],
)
def test_values_that_are_no_offsets(kind, values):
    """SubIFDs of a type that offsets do not have are broken."""
    data = helper.tiff(listing(FULL[0], *values, kind=kind))
    with lazytiff.open(data) as img, pytest.warns(lazytiff.TiffWarning, match="page 0, SubIFD 0 is broken"):
        assert_levels(img, FULL[0])


def link_back(target):
    """Make a file whose page lists a smaller image that lists the page, or itself: `target` says which."""
    sub = helper.page(HALVES[0], tags={254: 1, 330: Typed(LONG, (0xABCDEF,))})
    data = bytearray(helper.tiff(with_below(FULL[0], sub)))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as oracle:
        places = {"page": oracle.pages[0].offset, "itself": oracle.pages[0].subifds[0]}
    mark = (0xABCDEF).to_bytes(4, "little")
    assert data.count(mark) == 1
    return bytes(data).replace(mark, places[target].to_bytes(4, "little"))


@pytest.mark.parametrize("target", ["page", "itself"])
def test_circles(target):
    """SubIFDs that lead back end where they would have to become smaller."""
    with lazytiff.open(link_back(target)) as img:
        assert_levels(img, FULL[0], HALVES[0])
        assert_levels(img.levels[1], HALVES[0])
        assert_levels(img.pages[0].subpages[0], HALVES[0])


def test_page_that_lists_itself():
    """A page among its own SubIFDs is no smaller than itself."""
    page = listing(FULL[0], 0xABCDEF)
    data = helper.tiff(page)
    with tifffile.TiffFile(io.BytesIO(data)) as oracle:
        place = oracle.pages[0].offset
    with lazytiff.open(data.replace((0xABCDEF).to_bytes(4, "little"), place.to_bytes(4, "little"))) as img:
        assert_levels(img, FULL[0])


def test_depth_is_a_limit(monkeypatch):
    """SubIFDs below `limits.max_depth` are a LimitError, as of `subpages`."""
    with lazytiff.open(pyramids()) as img:
        monkeypatch.setattr(lazytiff.limits, "max_depth", 0)
        with pytest.raises(lazytiff.LimitError, match="more than 0 deep"):
            _ = img.levels
        monkeypatch.setattr(lazytiff.limits, "max_depth", 1)
        assert_levels(img, FULL, HALVES, QUARTERS)


def test_more_subifds_than_pages_may_be(monkeypatch):
    """More SubIFDs in all pages than `limits.max_pages` are a LimitError, before one of them is read."""
    with lazytiff.open(pyramids()) as img:
        monkeypatch.setattr(lazytiff.limits, "max_pages", 5)
        with pytest.raises(lazytiff.LimitError, match=r"limits\.max_pages"):
            _ = img.levels


def test_a_million_times_the_same():
    """A list of more SubIFDs than can be in the file ends in a LimitError, in little time."""
    data = helper.tiff(reduced(HALVES[0]), listing(FULL[0], *[0xABCDEF] * 10**6))
    with tifffile.TiffFile(io.BytesIO(data)) as oracle:
        place = oracle.pages[0].offset
    data = data.replace((0xABCDEF).to_bytes(4, "little"), place.to_bytes(4, "little"))
    with lazytiff.open(data, pages=1) as img:
        start = time.perf_counter()
        with pytest.raises(lazytiff.LimitError, match="overlap"):
            _ = img.levels
        assert time.perf_counter() - start < 5
        np.testing.assert_array_equal(img, FULL[0])


def test_a_million_broken_ones():
    """A million SubIFDs that lead nowhere are one warning, in little time."""
    data = helper.tiff(listing(FULL[0], *range(2**31, 2**31 + 10**6)))
    with lazytiff.open(data) as img:
        start = time.perf_counter()
        with pytest.warns(lazytiff.TiffWarning, match=r"SubIFD 0 is broken \(and 999999 more\)") as caught:
            assert_levels(img, FULL[0])
        assert len(caught) == 1
        assert time.perf_counter() - start < 10


def test_unreadable_page():
    """A page that cannot be read raises the reason when its levels are asked for."""
    page = helper.page(FULL[0])
    del page.tags[256]
    with lazytiff.TiffFile(helper.tiff(page)) as tif, pytest.raises(lazytiff.CorruptTiffError, match="ImageWidth"):
        _ = tif.pages[0].levels


def test_many_pages():
    """Ten thousand pages with three levels each are looked up in well under two seconds, without a warning."""
    small = np.zeros((8, 8), np.uint8)
    page = with_below(small, *[reduced(small[:size, :size]) for size in (4, 2, 1)])
    with lazytiff.open(helper.tiff(*[page] * 10_000)) as img, warnings.catch_warnings():
        warnings.simplefilter("error")
        start = time.perf_counter()
        levels = img.levels
        assert time.perf_counter() - start < 2
        assert [level.shape for level in levels] == [(10_000, size, size) for size in (8, 4, 2, 1)]
