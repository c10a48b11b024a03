"""Mapped pixels are the file's own bytes, whatever the layout, and have the values that decoders read.

NAMED are stacks that are one view of their file; of SCATTERED ones only parts are views, and the rest is assembled.
"""

from __future__ import annotations

import io
import itertools
import random

import helper
import numpy as np
import pytest
import tifffile
from helper import Layout, Page, Typed, page, pixels, tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from test_indexing import keys

import lazytiff

few = settings(max_examples=max(8, settings.default.max_examples // 5))


# ---- files


def store(array, layout=None, *, byteorder="<", big=False, **options):
    """Write pages one after the other, each page's chunks before its IFD."""
    images = [page(image, layout, byteorder=byteorder, **options) for image in array]
    return tiff(*images, byteorder=byteorder, big=big)


def scatter(array, layout=None, *, order=list, gaps=(0,), byteorder="<", big=False):
    """Write the chunks of all pages before all IFDs, in that order, with these gaps before them, in turn."""
    images = [page(image, layout, byteorder=byteorder) for image in array]
    writer = helper._Writer(byteorder, big)
    where, spaces = {}, itertools.cycle(gaps)
    for number, chunk in order([(n, i) for n, image in enumerate(images) for i in range(len(image.chunks))]):
        writer.bytes += bytes(next(spaces))
        where[number, chunk] = len(writer.bytes)
        writer.bytes += images[number].chunks[chunk]
    for number, image in enumerate(images):
        offsets = tuple(where[number, chunk] for chunk in range(len(image.chunks)))
        offsets_tag, counts_tag = (324, 325) if 322 in image.tags else (273, 279)
        found = {
            offsets_tag: Typed(writer.offset_type, offsets),
            counts_tag: Typed(writer.offset_type, tuple(map(len, image.chunks))),
        }
        writer.link(writer.write(Page(image.tags | found)))
    return bytes(writer.bytes)


def by_tifffile(array, *, append=False, order="<", big=False, **options):
    """Have tifffile write an array, at once or page after page."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as out:
        for part in array if append else [array]:
            out.write(part, contiguous=False, metadata=None, **{"photometric": "minisblack"} | options)
    return file.getvalue()


def shuffled(places):
    """Put chunks into an order that has no system."""
    return random.Random(7).sample(places, len(places))


GRAY = pixels((4, 12, 10), "u2", 1)
RGB = pixels((4, 12, 10, 3), "u2", 2)
TYPES = ["u1", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
OF = {name: pixels((3, 5, 7), name, 3) for name in TYPES}
FLOATS = pixels((3, 40, 35), "f4", 5)

NAMED = {
    "single strip": (store(GRAY), GRAY),
    "single strip, big-endian": (store(GRAY, byteorder=">"), GRAY),
    "BigTIFF": (store(GRAY, big=True), GRAY),
    "big-endian BigTIFF of complex numbers": (store(OF["c16"], byteorder=">", big=True), OF["c16"]),
    "adjacent strips, the last one shorter": (store(GRAY, rows_per_strip=5), GRAY),
    "a strip for each row": (store(GRAY, rows_per_strip=1), GRAY),
    "a strip for each row, with gaps": (scatter(GRAY, Layout(rows_per_strip=1), gaps=(6,)), GRAY),
    "samples": (store(RGB), RGB),
    "samples in strips": (store(RGB, rows_per_strip=5, byteorder=">"), RGB),
    "planes": (store(RGB, planar=2), RGB),
    "planes in strips": (store(RGB, planar=2, rows_per_strip=5), RGB),
    "planes, backwards": (scatter(RGB, Layout(planar=2), order=reversed, byteorder=">"), RGB),
    "unaligned": (scatter(OF["f8"], gaps=(1, 0, 0)), OF["f8"]),
    "unaligned, at unaligned distances": (scatter(OF["c8"], gaps=(3,), byteorder=">"), OF["c8"]),
    "pages one after the other": (scatter(GRAY), GRAY),
    "pages one after the other, in strips": (scatter(GRAY, Layout(rows_per_strip=5), byteorder=">"), GRAY),
    "pages backwards": (scatter(GRAY, order=reversed, gaps=(10,)), GRAY),
    "one tile": (store(GRAY, tile=(12, 10)), GRAY),
    "one padded tile": (store(GRAY, tile=(16, 16)), GRAY),
    "one padded tile of samples": (store(RGB, tile=(16, 16), byteorder=">"), RGB),
    "one padded tile for each plane": (store(RGB, tile=(16, 16), planar=2), RGB),
    "tiles as wide as the page": (store(GRAY, tile=(5, 10)), GRAY),
    "padded tiles, one below the other": (store(GRAY, tile=(5, 16)), GRAY),
    "tiles of one column": (store(GRAY, tile=(16, 1)), GRAY),
    "one page": (store(GRAY[:1]), GRAY[:1]),
    "two pages, whatever lies between them": (scatter(GRAY[:2], gaps=(5, 101)), GRAY[:2]),
    "tifffile, at once": (by_tifffile(GRAY), GRAY),
    "tifffile, page after page": (by_tifffile(GRAY, append=True), GRAY),
    "tifffile, strips": (by_tifffile(GRAY, append=True, rowsperstrip=5, order=">"), GRAY),
    "tifffile, samples": (by_tifffile(RGB, photometric="rgb", big=True), RGB),
    "tifffile, planes": (
        by_tifffile(np.moveaxis(RGB, -1, 1), photometric="rgb", planarconfig="separate", append=True, order=">"),
        RGB,
    ),
    "tifffile, one padded tile": (by_tifffile(GRAY, tile=(16, 16)), GRAY),
} | {f"single strip of {name}": (store(array), array) for name, array in OF.items()}


def mixed():
    """Make pages of strips, tiles and planes in one file, and their array."""
    kinds = [Layout(), Layout(rows_per_strip=5), Layout(planar=2), Layout(tile=(4, 5)), Layout(tile=(5, 4), planar=2)]
    array = pixels((6, 12, 10, 3), "i4", 4)
    return tiff(*(page(image, kind) for image, kind in zip(array, itertools.cycle(kinds), strict=False))), array


SCATTERED = {
    "tiles that divide": (store(GRAY, tile=(4, 5)), GRAY),
    "tiles that do not divide": (store(GRAY, tile=(5, 4)), GRAY),
    "tiles of planes": (store(RGB, tile=(4, 5), planar=2, byteorder=">"), RGB),
    "tiles of samples": (store(RGB, tile=(5, 4), byteorder=">"), RGB),
    "strips with gaps": (scatter(GRAY, Layout(rows_per_strip=5), gaps=(8,)), GRAY),
    "strips backwards": (scatter(GRAY, Layout(rows_per_strip=4), order=reversed), GRAY),
    "strips in shuffled order": (scatter(GRAY, Layout(rows_per_strip=2), order=shuffled, byteorder=">"), GRAY),
    "tiles in shuffled order": (scatter(GRAY, Layout(tile=(4, 5)), order=shuffled), GRAY),
    "tiles of planes in shuffled order": (scatter(RGB, Layout(tile=(5, 4), planar=2), order=shuffled), RGB),
    "pages of unequal spacing": (scatter(GRAY, gaps=(1, 2, 30)), GRAY),
    "pages in shuffled order": (scatter(RGB, order=shuffled, byteorder=">"), RGB),
    "tiles on pages of unequal spacing": (scatter(GRAY, Layout(tile=(6, 5)), gaps=(*[0] * 4, 8, *[0] * 4)), GRAY),
    "pages of mixed layouts": mixed(),
    "tifffile, tiles": (by_tifffile(FLOATS, tile=(16, 16)), FLOATS),
    "tifffile, big-endian tiles": (by_tifffile(FLOATS, tile=(16, 16), append=True, order=">"), FLOATS),
}
ALL = NAMED | SCATTERED


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Write all files; return the path of each."""
    folder = tmp_path_factory.mktemp("extents")
    found = {name: folder / f"{number}.tif" for number, name in enumerate(ALL)}
    for name, path in found.items():
        path.write_bytes(ALL[name][0])
    return found


# ---- what is compared


def oracle(path):
    """Return what tifffile reads, page by page, samples last."""
    with tifffile.TiffFile(path) as tif:
        read = [(found.asarray(), found.planarconfig) for found in tif.pages]
    return np.stack([np.moveaxis(array, 0, -1) if planar == 2 and array.ndim == 3 else array for array, planar in read])


def outcome(function):
    """Say everything that must be equal about a result or an error; the order of bytes need not."""
    try:
        result = function()
    except (IndexError, ValueError) as error:
        return type(error), str(error)
    native = result.dtype.newbyteorder("=")
    return isinstance(result, np.ndarray), native, result.shape, result.astype(native).tobytes()


def address(view):
    """Return where in memory a view's first element is."""
    return view.__array_interface__["data"][0]


def bytes_of(view):
    """Return the addresses of all bytes that a view can reach."""
    steps = [np.arange(size) * stride for size, stride in zip(view.shape, view.strides, strict=True)]
    places = address(view) + sum(np.ix_(*steps, np.arange(view.itemsize)))
    return set(np.ravel(places).tolist())


def chunk_bytes(path, start):
    """Return the addresses of all bytes of strips and tiles when the file begins at start."""
    with tifffile.TiffFile(path) as tif:
        ranges = [(at, n) for found in tif.pages for at, n in zip(found.dataoffsets, found.databytecounts, strict=True)]
    return {start + at for first, count in ranges for at in range(first, first + count)}


def owners(view):
    """Yield a view and everything that it leads to."""
    while view is not None:
        yield view
        view = getattr(view, "base", getattr(view, "obj", None))


def assert_reaches_pixels_only(view, allowed):
    """Check that nothing that a view leads to spans bytes that are none of pixels, or can be asked for a buffer."""
    *arrays, lease = owners(view)
    for array in arrays:
        assert type(array) is np.ndarray
        assert bytes_of(array) <= allowed
    assert not isinstance(lease, np.ndarray)
    assert bytes_of(np.asarray(lease)) <= allowed
    with pytest.raises(TypeError):
        memoryview(lease)


# ---- one view of everything


@pytest.mark.parametrize("name", NAMED)
def test_whole_stack_is_one_view(name, paths):
    """`np.asarray(img)` is a read-only array on the file's bytes, the same ones each time, and reaches no others."""
    _, array = ALL[name]
    with lazytiff.open(paths[name], mmap=True, squeeze=False) as img:
        whole, again = np.asarray(img), np.asarray(img)
        assert (address(whole), whole.strides) == (address(again), again.strides)
        assert whole.dtype == img.dtype
        assert outcome(lambda: whole) == outcome(lambda: array)
        assert not whole.flags.writeable
        assert not whole.flags.owndata
        for view in (whole, whole[-1], img[0, ::-2], np.asarray(img[1:])):
            with pytest.raises(ValueError, match="WRITEABLE"):
                view.flags.writeable = True
        with pytest.raises(ValueError, match="read-only"):
            whole[...] = 0
        with tifffile.TiffFile(paths[name]) as tif:
            start = address(whole) - tif.pages[0].dataoffsets[0]
        allowed = chunk_bytes(paths[name], start)
        for view in (whole, img[0], img[..., 0], img[::-1, 1:3], whole[1:, ::2].T, img[0, 0]):
            assert_reaches_pixels_only(view, allowed)
        assert_reaches_pixels_only(memoryview(whole).obj, allowed)


@pytest.mark.parametrize("name", NAMED)
@few
@given(data=st.data())
def test_basic_indices_are_views(name, paths, data):
    """Every int, slice, ... and None gives the memory that NumPy's own index into the view of everything gives."""
    with lazytiff.open(paths[name], mmap=True, squeeze=False) as img:
        whole = np.asarray(img)
        key = data.draw(npst.basic_indices(whole.shape, allow_newaxis=True))
        expected, found = whole[key], img[key]
        assert type(found) is type(expected)
        if isinstance(found, np.ndarray):
            assert (address(found), found.strides, found.shape) == (address(expected), expected.strides, expected.shape)
            assert np.shares_memory(found, whole) == (found.size > 0)
            assert not found.flags.writeable


@pytest.mark.parametrize("name", ["single strip", "planes in strips", "pages backwards", "one padded tile"])
def test_chosen_pages(name, paths):
    """Pages at equal distances are one view in any order, others are assembled; a single one is as `squeeze` says."""
    _, array = ALL[name]
    for chosen in (slice(1, None), slice(None, None, -1), slice(0, 4, 3), [2], [3, 1], [3, 2, 1, 0], [2, 2, 2]):
        with lazytiff.open(paths[name], mmap=True, squeeze=False, pages=chosen) as img:
            assert outcome(lambda img=img: np.asarray(img)) == outcome(lambda chosen=chosen: array[chosen])
            assert np.shares_memory(np.asarray(img), img[0])
    with lazytiff.open(paths[name], mmap=True, pages=[0, 3, 1]) as img:
        assert outcome(lambda: img[...]) == outcome(lambda: array[[0, 3, 1]])
        assert not np.shares_memory(img[...], img[0])
        assert np.shares_memory(img[1:], img[2])
    for chosen in (2, -2):
        with lazytiff.open(paths[name], mmap=True, pages=chosen) as img:
            assert img.axes == "YXS"[: array.ndim - 1]
            assert outcome(lambda img=img: np.asarray(img)) == outcome(lambda: array[2])
            assert np.shares_memory(np.asarray(img), img[3])


@pytest.mark.parametrize("strips", [{}, {"rows_per_strip": 2}], ids=["one strip", "strips"])
def test_many_pages_are_one_array(strips, tmp_path):
    """20,000 pages with their IFDs in between are one array, whose first stride is from page to page."""
    image = page(pixels((4, 6), "u2"), **strips)
    path = tmp_path / "many.tif"
    path.write_bytes(tiff(*[image] * 20_000))
    with lazytiff.open(path, mmap=True) as img:
        whole = np.asarray(img)
        assert whole.shape == (20_000, 4, 6)
        with tifffile.TiffFile(path) as tif:
            step = tif.pages[1].dataoffsets[0] - tif.pages[0].dataoffsets[0]
        assert whole.strides == (step, 12, 2)
        assert step > 48
        assert len(img._mapping._leases) == 1
        assert np.array_equal(whole[:, 3, 5], np.full(20_000, pixels((4, 6), "u2")[3, 5]))
        assert np.shares_memory(img[:, 3, 5], whole)


# ---- equal values


@pytest.mark.parametrize("name", ALL)
def test_all_read_the_same(name, paths):
    """Mapped, lazy, loaded and read by tifffile, a file holds the array that was written."""
    _, array = ALL[name]
    expected = outcome(lambda: array)
    with (
        lazytiff.open(paths[name], mmap=True, squeeze=False) as img,
        lazytiff.open(paths[name], squeeze=False) as lazy,
        lazytiff.load(paths[name], mmap=True, squeeze=False) as loaded,
    ):
        assert type(img) is type(loaded) is lazytiff.MmapTiff
        assert (img.shape, img.axes, img.chunk_shape) == (lazy.shape, lazy.axes, lazy.chunk_shape)
        assert img.dtype.newbyteorder("=") == lazy.dtype
        with tifffile.TiffFile(paths[name]) as tif:
            assert img.dtype == array.dtype.newbyteorder(tif.byteorder)
        for found in (img.copy(), np.asarray(img), img[...], loaded[...], lazy[...], oracle(paths[name])):
            assert outcome(lambda found=found: found) == expected
        assert [outcome(lambda image=image: image) for image in img] == [
            outcome(lambda image=image: image) for image in array
        ]
        assert len(img) == len(array)
        assert outcome(lambda: np.max(img, axis=0)) == outcome(lambda: np.max(array, axis=0))
        assert outcome(lambda: np.add(img, img)[...]) == outcome(lambda: array + array)


@pytest.mark.parametrize("name", ALL)
@few
@given(data=st.data())
def test_equals_lazy_and_tifffile(name, paths, data):
    """Any index has the value, shape and type, or the error, that it has of a LazyTiff and of tifffile's array."""
    expected = oracle(paths[name])
    with lazytiff.open(paths[name], mmap=True, squeeze=False) as img, lazytiff.open(paths[name], squeeze=False) as lazy:
        for key in data.draw(st.lists(keys(img.shape), min_size=1, max_size=3)):
            found = outcome(lambda key=key: img[key])
            assert found == outcome(lambda key=key: lazy[key])
            assert found == outcome(lambda key=key: expected[key])
            if found[0] is True:
                assert img[key].dtype == img.dtype


@st.composite
def stacks(draw):
    """Draw an uncompressed file, its chunks at random places, and its array."""
    dtype = np.dtype(draw(st.sampled_from(["u2", *TYPES])))
    shape = [draw(st.integers(1, most)) for most in (4, 17, 17)] + draw(st.sampled_from([[], [], [2], [3]]))
    rows, columns = shape[1:3]
    layouts = [
        Layout(rows_per_strip=draw(st.integers(1, rows))),
        Layout(tile=(draw(st.integers(1, rows + 3)), draw(st.integers(1, columns + 3)))),
    ]
    planar = draw(st.sampled_from([1, 2])) if len(shape) == 4 else 1
    chosen = draw(st.sampled_from(layouts))
    layout = Layout(tile=chosen.tile, rows_per_strip=chosen.rows_per_strip, planar=planar)
    array = pixels(shape, dtype, draw(st.integers(0, 99)))
    where = {"byteorder": draw(st.sampled_from("<>")), "big": draw(st.booleans())}
    if draw(st.booleans()):
        return store(array, layout, **where), array
    order = draw(st.sampled_from([list, list, reversed, shuffled]))
    gaps = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    return scatter(array, layout, order=order, gaps=gaps, **where), array


@settings(max_examples=2 * settings.default.max_examples)
@given(data=st.data(), stack=stacks())
def test_equals_numpy(data, stack, tmp_path_factory):
    """Any index of any layout has NumPy's value or error; that of a basic one is read-only, a view or not."""
    file, array = stack
    path = tmp_path_factory.getbasetemp() / "stack.tif"
    path.unlink(missing_ok=True)  # a new file: the one before may still be mapped
    path.write_bytes(file)
    with lazytiff.open(path, mmap=True, squeeze=False) as img:
        for key in data.draw(st.lists(keys(array.shape), min_size=1, max_size=4)):
            assert outcome(lambda key=key: img[key]) == outcome(lambda key=key: array[key])
        box = img[data.draw(npst.basic_indices(array.shape, allow_newaxis=True))]
        assert not (isinstance(box, np.ndarray) and box.size and box.flags.writeable)
        assert outcome(img.copy) == outcome(lambda: array)


# ---- parts of what is scattered


def is_view(img, key):
    """Tell whether an index gives the same memory twice, which a copy does not."""
    first, second = img[key], img[key]
    assert not first.flags.writeable
    return np.shares_memory(first, second)


VIEWS = {
    "tiles that divide": [(..., slice(4), slice(5)), (slice(None), slice(4, 8), slice(9, 4, -2)), (2, 11, slice(5, 9))],
    "tiles that do not divide": [(..., slice(5, 10), slice(4, 8)), (..., 11, slice(8, 10)), (..., slice(1, 4), 7)],
    "tiles of planes": [(..., slice(4), slice(5), slice(None)), (..., 3, slice(5, 10), 1)],
    "strips with gaps": [(slice(None), slice(5, 10)), (1, slice(10, 12)), (slice(None), 7)],
    "strips in shuffled order": [(1, slice(2, 4)), (3, 11), (0, slice(0, 2), slice(None, None, -1))],
    "tiles in shuffled order": [(1, slice(4), slice(5)), (3, 11, slice(5, 9))],
    "tiles of planes in shuffled order": [(1, slice(5), slice(4), 2), (3, 11, slice(8, 9), 0)],
    "pages of unequal spacing": [0, 3, -1, (2, slice(None, None, -2)), slice(1, 3), (2, ..., 5)],
    "tiles on pages of unequal spacing": [(1, slice(6), slice(5)), (slice(0, 2), 11, slice(5, 9))],
    "pages of mixed layouts": [0, 1, 2, 5, (3, slice(4), slice(5)), (4, 9, slice(4, 8)), slice(0, 6, 5)],
}
ASSEMBLED = {
    "tiles that divide": [..., 0, (..., slice(3, 5), 0), (..., 0, slice(4, 6)), (slice(None), 0)],
    "tiles that do not divide": [..., (..., slice(4, 6), slice(4)), (0, 0), (..., 3)],
    "tiles of planes": [..., (0, 0), (..., slice(3, 5), 0, 0)],
    "strips with gaps": [..., 0, (..., slice(4, 6), slice(None)), (..., 3)],
    "strips in shuffled order": [..., (1, slice(1, 3)), (slice(0, 2), slice(0, 2)), (slice(None), 0, 0)],
    "tiles in shuffled order": [..., (1, 0), (slice(0, 2), 0, slice(5))],
    "tiles of planes in shuffled order": [..., (1, slice(5), slice(4)), (slice(0, 2), 0, 0, 0)],
    "pages of unequal spacing": [..., slice(3), (slice(None), 0, 0), slice(None, None, -1)],
    "tiles on pages of unequal spacing": [..., (slice(None), slice(6), slice(5)), 1],
    "pages of mixed layouts": [..., 3, 4, slice(0, 2), (slice(None), 0, 0)],
}


@pytest.mark.parametrize("name", VIEWS)
def test_parts_that_are_views(name, paths):
    """Pixels at equal distances are a view; across tiles or uneven pages they are assembled, read-only all the same."""
    with lazytiff.open(paths[name], mmap=True) as img:
        assert [key for key in VIEWS[name] if not is_view(img, key)] == []
        assert [key for key in ASSEMBLED[name] if is_view(img, key)] == []


# ---- tiles as an array of tiles


@pytest.mark.parametrize(
    ("name", "grid"),
    {
        "tiles that divide": (3, 4, 2, 5),
        "tiles of planes": (3, 4, 2, 5),
        "one tile": (1, 12, 1, 10),
        "single strip, big-endian": (1, 12, 1, 10),
        "a strip for each row, with gaps": (12, 1, 1, 10),
        "planes": (1, 12, 1, 10),
        "strips backwards": (3, 4, 1, 10),
        "one page": (1, 12, 1, 10),
    }.items(),
)
def test_tile_view(name, grid, paths):
    """`tile_view[p, i, r, j, c]` is row i * chunk rows + r, column j * chunk columns + c of page p, without a copy."""
    array = ALL[name][1]
    with lazytiff.open(paths[name], mmap=True) as img:
        tiles = img.tile_view
        assert outcome(lambda: tiles) == outcome(lambda: array.reshape(len(array), *grid, *array.shape[3:]))
        assert tiles.dtype == img.dtype
        assert not tiles.flags.writeable
        corner = img[(slice(None),) * img._has_pages + (slice(1), slice(1))]
        assert address(tiles) == address(corner)


NO_GRID = ["tiles that do not divide", "one padded tile", "tiles in shuffled order"]


@pytest.mark.parametrize(("name", "pages"), [*((name, 0) for name in NO_GRID), ("pages of unequal spacing", None)])
def test_no_tile_view(name, pages, paths):
    """Tiles that reach beyond the page, or are at unequal distances, are no such array: NotMappableError."""
    with lazytiff.open(paths[name], mmap=True, pages=pages) as img, pytest.raises(lazytiff.NotMappableError):
        _ = img.tile_view
