"""Indexing a file is indexing the array that it holds: any shape, type, layout and index, in any thread."""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import helper
import numpy as np
import pytest
import test_legacy
import test_lossy
import test_samples
import tifffile
from helper import Layout, assert_same, page, pixels, tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from test_indexing import keys

import lazytiff
from lazytiff import _reading

DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
CODECS = [codec for codec in helper.COMPRESSIONS if codec.removesuffix("-old") in lazytiff.info()["codecs"]]


# ---- files


@st.composite
def layouts(draw, dtype, rows, columns, samples):
    """Draw one of the ways in which a page can be stored."""
    codec = draw(st.sampled_from(CODECS))
    predictors = [1]
    if codec in helper.PREDICTED and dtype.kind not in "bc":
        predictors += [2, 3] if dtype.kind == "f" else [2]
    chunks = draw(st.sampled_from(["strips", "strip", "tiles"]))
    return Layout(
        codec,
        draw(st.sampled_from(predictors)),
        tile=(draw(st.integers(1, rows + 4)), draw(st.integers(1, columns + 4))) if chunks == "tiles" else None,
        rows_per_strip=draw(st.integers(1, rows + 1)) if chunks == "strips" else None,
        planar=draw(st.sampled_from([1, 2])) if samples > 1 else 1,
        fill_order=draw(st.sampled_from([1, 1, 1, 2])),
    )


@st.composite
def stacks(draw):
    """Draw a file of pages of one frame type, each perhaps in a layout of its own, and the array that it holds."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    count, rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    samples = draw(st.sampled_from([1, 1, 2, 3, 5]))
    array = pixels((count, rows, columns, samples), dtype, draw(st.integers(0, 99)))
    array = array[..., 0] if samples == 1 else array
    same = draw(st.booleans())
    byteorder, big = draw(st.sampled_from("<>")), draw(st.booleans())
    few = [draw(layouts(dtype, rows, columns, samples)) for _ in range(1 if same else count)]
    pages = [
        page(image, layout, byteorder=byteorder) for image, layout in zip(array, itertools.cycle(few), strict=False)
    ]
    return tiff(*pages, byteorder=byteorder, big=big), array


@contextlib.contextmanager
def always_in_the_pool(really):
    """Have work that is too small for it done by the pool."""
    sizes = {"_INLINE_BYTES": 0, "_ALONE_BYTES": 0, "_SLICE_MILLISECONDS": 1} if really else {}
    with contextlib.ExitStack() as patches:
        for name, size in sizes.items():
            patches.enter_context(mock.patch.object(_reading, name, size))
        yield


def outcome(function):
    """Say everything that must be equal about a result or an error."""
    try:
        result = function()
    except (IndexError, ValueError) as error:
        return type(error), str(error)
    return type(result), result.dtype, result.shape, result.tobytes()


OPTIONS = st.fixed_dictionaries(
    {"cache_bytes": st.sampled_from([0, 50, 400, 1 << 20]), "workers": st.sampled_from([None, 1, 3])}
)


# ---- properties


@settings(max_examples=3 * settings.default.max_examples)
@given(st.data(), stacks(), OPTIONS, st.booleans())
def test_equals_numpy(data, stack, options, pooled):
    """Value, shape, dtype and type are NumPy's, or its error is; whatever was read before."""
    file, array = stack
    with lazytiff.open(file, squeeze=False, **options) as img, always_in_the_pool(pooled):
        assert (img.shape, img.dtype) == (array.shape, array.dtype)
        for key in data.draw(st.lists(keys(array.shape), min_size=1, max_size=4)):
            assert outcome(lambda key=key: img[key]) == outcome(lambda key=key: array[key])
        assert_same(img.copy(), array)


@given(st.data(), stacks())
def test_pages_and_squeezed(data, stack):
    """A page, and a stack of one page, have no page axis; `pages` chooses and orders."""
    file, array = stack
    with lazytiff.open(file) as img:
        assert_same(np.asarray(img), array if len(array) > 1 else array[0])
        number = data.draw(st.integers(-len(array), len(array) - 1))
        key = data.draw(keys(array.shape[1:]))
        assert outcome(lambda: img.pages[number][key]) == outcome(lambda: array[number][key])
    chosen = data.draw(st.lists(st.integers(-len(array), len(array) - 1), min_size=1, max_size=5))
    assert_same(lazytiff.load(file, pages=chosen, squeeze=False), array[chosen])


@given(st.data(), stacks(), st.sampled_from([60, 1 << 20]))
def test_results_are_the_callers(data, stack, cache_bytes):
    """A result is writable and nobody else's: changing it changes nothing that is read afterwards."""
    file, array = stack
    with lazytiff.open(file, squeeze=False, cache_bytes=cache_bytes) as img:
        for key in data.draw(st.lists(keys(array.shape), min_size=1, max_size=3)):
            if outcome(lambda key=key: array[key])[0] is not np.ndarray:
                continue  # an error, or a scalar
            first, second = img[key], img[key]
            assert first.flags.writeable
            assert not any(np.shares_memory(first, chunk) for chunk in img._file.cache._kept.values())
            first[...] = 0
            assert_same(second, array[key])
        assert_same(img.copy(), array)


@given(st.data(), stacks(), OPTIONS, st.sampled_from([2, 8]), st.booleans())
def test_threads_share_an_array(data, stack, options, threads, pooled):
    """From several threads at once, on one array, each result is the one that a single thread gets."""
    file, array = stack
    wanted = data.draw(st.lists(keys(array.shape), min_size=2, max_size=5))
    expected = [outcome(lambda key=key: array[key]) for key in wanted]
    with lazytiff.open(file, squeeze=False, **options) as img, always_in_the_pool(pooled):
        start = threading.Barrier(threads)

        def read(seed):
            order = random.Random(seed).sample(range(len(wanted)), len(wanted)) * 2
            start.wait()
            return [(k, outcome(lambda k=k: img[wanted[k]])) for k in order]

        with ThreadPoolExecutor(threads) as pool:
            for results in pool.map(read, range(threads)):
                assert all(result == expected[k] for k, result in results)


def special_pages():
    """Make pages that are converted, unpacked or left out in part on their way, and those of codecs with a loss."""
    chroma = test_samples.ycbcr_pixels(29, 35, 2, 2)
    yield "ycbcr tiles", test_samples.ycbcr_page(*chroma, 2, 2, tile=(16, 16))
    yield "ycbcr strips", test_samples.ycbcr_page(*chroma, 2, 2, rows_per_strip=8, codec="none")
    packed = test_samples.packed_pixels((23, 19, 3), 12, "u")
    yield "12 bits in strips", page(packed, rows_per_strip=5, bits=12)
    yield "12 bits in planes", page(packed, Layout("lzw", tile=(16, 16), planar=2, bits=12))
    yield "24 bits", page(pixels((23, 19), "i2").astype("f4"), Layout("deflate", 3, rows_per_strip=4, bits=24))
    for name, layout in {"planes": Layout(planar=2, rows_per_strip=3), "tiles": Layout("lzw", 2, tile=(8, 8))}.items():
        sparse = page(pixels((23, 19, 2), "i2"), layout, tags={42113: "-7"})
        sparse.chunks[1::2] = [None] * len(sparse.chunks[1::2])
        yield f"sparse {name}", sparse
    for name, layout in {"tiles": Layout(tile=(16, 32)), "strips": Layout(rows_per_strip=16)}.items():
        yield f"jpeg {name}", test_lossy.jpeg_page(test_lossy.photo(40, 45), layout)
        yield f"fax {name}", test_legacy.fax_page(test_legacy.drawing(40, 45), "g4", layout)


@pytest.mark.parametrize("special", [pytest.param(found, id=name) for name, found in special_pages()])
@given(data=st.data(), options=OPTIONS)
def test_special_layouts(special, data, options):
    """A part of a page is that part of what is decoded as a whole."""
    helper.needs("jpeg", "ccitt-g4")
    file = tiff(special, special)
    array = lazytiff.load(file)
    with lazytiff.open(file, **options) as img:
        for key in data.draw(st.lists(keys(array.shape), min_size=1, max_size=3)):
            assert outcome(lambda key=key: img[key]) == outcome(lambda key=key: array[key])


# ---- named cases


@pytest.mark.parametrize("key", [[0, 2, 1], [3, 3], [0, 2, 3], np.arange(6) % 4 == 0, ([5, 0, 5], [1, 1, 0])], ids=str)
@pytest.mark.parametrize("codec", ["none", "lzw"])
def test_scattered_rows_of_a_page(codec, key):
    """Strips of one row, in a page without a page axis: its rows are no pages, and can be read in any order."""
    array = pixels((6, 5), "u2")
    data = tiff(page(array, codec=codec, rows_per_strip=1))
    with lazytiff.open(data) as img, lazytiff.TiffFile(data) as tif:
        assert_same(img[key], array[key])
        assert_same(tif.pages[0][key], array[key])


def mixed_stack():
    """Make a stack of LZW tiles, one-strip raw pages and Deflate strips in both predictors, and its array."""
    kinds = [
        Layout("lzw", tile=(32, 48)),
        Layout(),
        Layout("deflate", 2, rows_per_strip=9),
        Layout("deflate", 3, rows_per_strip=16),
        Layout("lzw", 3, tile=(16, 16), planar=2),
        Layout("deflate", 1, rows_per_strip=70),
    ]
    array = pixels((12, 70, 90, 3), "f4")
    return tiff(*(page(image, layout) for image, layout in zip(array, itertools.cycle(kinds), strict=False))), array


def test_pages_of_different_layouts_are_one_stack(tmp_path):
    """LZW tiles, raw pages of one strip, and Deflate strips in both predictors: one array, equal to tifffile's."""
    data, array = mixed_stack()
    path = tmp_path / "mixed.tif"
    path.write_bytes(data)
    with tifffile.TiffFile(path) as oracle:
        pages = [found.asarray() for found in oracle.pages]
    expected = np.stack([found if found.shape[-1] == 3 else np.moveaxis(found, 0, -1) for found in pages])
    assert np.array_equal(expected, array)
    for options in ({}, {"workers": 1}, {"cache_bytes": 0}):
        with lazytiff.open(path, **options) as img:
            assert_same(img[1::2, 8:60:3, ::-1, 1], expected[1::2, 8:60:3, ::-1, 1])
            assert_same(img[[5, 0, 5, 11], :, [3, 4, 80, 0]], expected[[5, 0, 5, 11], :, [3, 4, 80, 0]])
            assert_same(img.copy(), expected)
            assert len(lazytiff.TiffFile(path).stacks) == 1


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("options", [{"cache_bytes": 30_000}, {}, {"cache_bytes": 0}, {"workers": 1}], ids=str)
def test_threads_on_a_mixed_stack(threads, options):
    """Chunks large enough for the pool, caches for one or all of them, threads that want the same or others."""
    data, array = mixed_stack()
    rng = np.random.default_rng(threads)
    boxes = [tuple(slice(*sorted(rng.integers(0, size + 1, 2))) for size in array.shape) for _ in range(12)]
    boxes += [slice(None), (slice(None), 40), (slice(None), slice(None), 7, 1), (slice(None, None, -5),)]
    with lazytiff.open(data, **options) as img:

        def read(seed):
            for k in random.Random(seed % 4).sample(range(len(boxes)), len(boxes)):
                assert_same(img[boxes[k]], np.ascontiguousarray(array[boxes[k]]))

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(read, range(threads)))
        assert img.cache_info().currsize <= img.cache_info().maxsize


def test_nothing_is_left_uninitialised():
    """Every pixel of a result is written: memory that held something else before does not show through."""
    data, array = mixed_stack()
    real = np.empty

    def poisoned(*args, **kwargs):
        result = real(*args, **kwargs)
        result.view(np.uint8)[...] = 0xA5
        return result

    with mock.patch.object(_reading.np, "empty", poisoned), lazytiff.open(data, cache_bytes=20_000) as img:
        for key in (
            slice(None),
            (slice(None), slice(3, 60, 7)),
            (3, ..., 2),
            (slice(None, None, -3), 5, slice(80, 2, -9)),
        ):
            assert_same(img[key], np.ascontiguousarray(array[key]))


def test_results_outlive_the_file():
    """What was read stays when the array is closed and gone."""
    data, array = mixed_stack()
    img = lazytiff.open(data)
    result, view = img[2:4], img[5, ::2, 3]
    img.close()
    del img
    gc.collect()
    assert_same(result, array[2:4])
    assert_same(view, array[5, ::2, 3])
