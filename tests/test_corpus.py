"""Files that other programs wrote are read as independent decoders read them.

The corpus is not part of the repository; without it these tests are skipped. Its manifest.json holds, page by page, the
SHA-256 of pixels that decoders of at least two families agree on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import warnings

import helper
import numpy as np
import pytest
import tifffile

import lazytiff

CORPUS = helper.corpus()
NAMES = {"adobe-deflate": "deflate", "sgilog24": "sgilog"}  # of codecs, where ours are other than the manifest's
LOSSY = {"jpeg", "old-jpeg", "webp", "lerc", "pixarlog"}
MAY_REFUSE = {  # what the linked libtiff may be unable to read; if it can, the pixels count
    "libsdl-org+libtiff/testfax3_bug54_1dnoEOL.tif": "its lines have no EOL codes, which libtiff 4.5 needs",
    "libsdl-org+libtiff/testfax3_bug_513.tiff": "libtiff 4.5 reports a buffer overflow in its first line",
}
CUT = "locationtech+geotrellis/jpeg-test-deflate-small.tif"  # its Deflate streams end before their checksums


def listed_files():
    """Give a parameter for each file of which pages are agreed; one to skip when there is no corpus."""
    if CORPUS is None:
        return [pytest.param(None, id="no corpus")]
    files = json.loads((CORPUS / "manifest.json").read_text())["files"]
    return [pytest.param(file, id=file["path"]) for file in files if agreed_pages(file) and file["path"] != CUT]


def agreed_pages(file):
    """Return the pages of which decoders agree."""
    return [page for page in file["pages"] if page.get("status") in ("agreed", "agreed-libtiff")]


def digest(array):
    """Hash pixels as the manifest does: little-endian, in C order, bits as bytes."""
    array = np.ascontiguousarray(array)
    if sys.byteorder == "big":
        array = array.byteswap()
    return hashlib.sha256(array.view(np.uint8).data if array.size else b"").hexdigest()


def find(tif, index):
    """Return page "2", or "0.1": the second of the SubIFDs of page 0."""
    first, *others = (int(number) for number in str(index).split("."))
    page = tif.pages[first]
    for number in others:
        page = page.subpages[number]
    return page


def assert_agrees(array, page, path):
    """Check the pixels by their digest; those of lossy codecs, where decoders round differently, by tifffile's."""
    reference = page["reference"]
    if digest(array) == (reference.get("sha256_hws") or reference["sha256"]):
        return
    assert page["compression"] in LOSSY, "the pixels differ"
    with tifffile.TiffFile(path) as oracle:
        expected = oracle.pages[int(page["index"])].asarray()
    expected = np.moveaxis(expected, 0, -1) if expected.shape != array.shape else expected
    assert array.shape == expected.shape
    assert np.abs(array.astype(float) - expected).max() <= 4


@pytest.mark.parametrize("file", listed_files())
def test_agreed_pages(file, corpus):
    """Each page on which decoders agree has the pixels that they agree on; two may be refused, for known reasons."""
    path = corpus / "files" / file["path"]
    may_refuse = (lazytiff.DecodeError, lazytiff.UnsupportedTiffError) if file["path"] in MAY_REFUSE else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lazytiff.TiffWarning)  # of what is wrong elsewhere in these files
        tif = lazytiff.TiffFile(path, codecs="all")
    with tif, contextlib.suppress(*may_refuse):
        for page in agreed_pages(file):
            helper.needs(NAMES.get(page["compression"], page["compression"]))
            assert_agrees(find(tif, page["index"]).copy(), page, path)


def test_cut_streams_are_refused(corpus):
    """Streams that end before their checksums are damaged, although all pixels may be there."""
    with pytest.raises(lazytiff.DecodeError, match="page 0, chunk 13"):
        lazytiff.load(corpus / "files" / CUT)


# ---- the seed's demonstration: https://tlnagy.github.io/TiffImages.jl, "Lazy TIFFs"


def test_demonstration(corpus):
    """A volume of 27 pages opens as one array; a slice, a walk across slices and a projection are tifffile's."""
    path = corpus / "files" / "tlnagy+exampletiffs" / "mri.tif"
    with tifffile.TiffFile(path) as oracle:
        expected = np.stack([page.asarray() for page in oracle.pages])
    with lazytiff.open(path) as img:
        assert img.shape == (27, 128, 128)
        assert img.axes == "IYX"
        assert img.dtype == expected.dtype
        helper.assert_same(img[1], expected[1])
        helper.assert_same(img[:, 60], expected[:, 60])
        helper.assert_same(img[...].max(axis=0), expected.max(axis=0))
        helper.assert_same(np.asarray(img), expected)
    helper.assert_same(lazytiff.load(path), expected)
    helper.assert_same(lazytiff.load(path, lazyio=True)[3:5], expected[3:5])


def test_walk_across_slices(corpus):
    """Element after element through all slices, forwards and backwards, decodes no chunk more than once."""
    path = corpus / "files" / "tlnagy+exampletiffs" / "mri.tif"
    with tifffile.TiffFile(path) as oracle:
        expected = np.stack([page.asarray() for page in oracle.pages])
        chunks = sum(len(page.dataoffsets) for page in oracle.pages)
    rng = np.random.default_rng(0)
    with lazytiff.open(path) as img:
        for row, column in rng.integers(0, 128, (25, 2)).tolist():
            for number in (*range(27), *reversed(range(27))):
                element = img[number, row, column]
                assert type(element) is type(expected[number, row, column])
                assert element == expected[number, row, column]
        info = img.cache_info()
        assert info.decoded <= chunks
        assert info.hits + info.misses == 25 * 27 * 2
        for number in range(27):
            img[number, ::2]
        assert img.cache_info().decoded <= chunks
        assert img.cache_info().currsize <= expected.nbytes


def test_projection_of_slices(corpus):
    """A projection that reads slice after slice holds one of them at a time, and decodes each once."""
    path = corpus / "files" / "tlnagy+exampletiffs" / "mri.tif"
    with lazytiff.open(path, cache_bytes=0) as img:
        projection = img[0]
        for image in img:
            np.maximum(projection, image, out=projection)
        assert img.cache_info().currsize == 0
    helper.assert_same(projection, tifffile.imread(path, key=range(27)).max(axis=0))


def test_julia(corpus):
    """The seed's picture in colour: rows, columns, samples."""
    path = corpus / "files" / "tlnagy+exampletiffs" / "julia.tif"
    expected = tifffile.imread(path)
    with pytest.warns(lazytiff.TiffWarning, match="odd offset"):
        img = lazytiff.open(path)
    with img:
        assert img.shape == expected.shape == (300, 500, 3)
        assert img.axes == "YXS"
        helper.assert_same(img[100:200, ::-7, 1:3], expected[100:200, ::-7, 1:3])
        helper.assert_same(img.copy(), expected)


# ---- mapped


def uncompressed_files():
    """Give a parameter for each file that has no compressed page; one to skip when there is no corpus."""
    if CORPUS is None:
        return [pytest.param(None, id="no corpus")]
    files = json.loads((CORPUS / "manifest.json").read_text())["files"]
    plain = [file["path"] for file in files if {page.get("compression") for page in file["pages"]} == {"none"}]
    return [pytest.param(name, id=name) for name in plain]


def map_stacks(path):
    """Yield what `lazytiff.load` reads, and the same mapped or why it is not; pages that are no stack one by one."""
    with lazytiff.TiffFile(path) as tif:
        one = len(tif.stacks) == 1
        chosen = [None] if one else [page.number for page in tif.pages]
    for pages in chosen:
        pixels = lazytiff.load(path, pages=pages)
        try:
            with lazytiff.open(path, mmap=True, pages=pages) as img:
                yield pixels, img, img.copy()
        except lazytiff.NotMappableError as error:
            yield pixels, None, str(error)


@pytest.mark.parametrize("name", uncompressed_files())
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # of what is wrong elsewhere in these files
def test_uncompressed_files_are_mapped(name, corpus):
    """Pixels that are stored as they are read map to what is loaded; for others the reason names what they are."""
    for pixels, img, found in map_stacks(corpus / "files" / name):
        if img is None:
            assert re.search(r": page \d+: (\d+-bit samples are packed|YCbCr pixels|.*FillOrder 2)", found)
            assert not re.search(r" (8|16|32|64|128)-bit", found)
        else:
            assert img.dtype.itemsize == pixels.itemsize
            helper.assert_same(found.astype(pixels.dtype), pixels)


@pytest.mark.parametrize("how", [lazytiff.open, lazytiff.load])
def test_mapped_demonstration(how, corpus, tmp_path):
    """The seed's, on flagler.tif: refuses assignment in "r"; "r+" changes the file, and changes it back."""
    original = (corpus / "files" / "tlnagy+exampletiffs" / "flagler.tif").read_bytes()
    path = tmp_path / "flagler.tif"
    path.write_bytes(original)
    with how(path, mmap=True) as img:
        assert type(img) is lazytiff.MmapTiff
        assert img.shape == (200, 541, 4)
        assert img[0, 0].tolist() == [42, 32, 41, 255]  # 0.165, 0.125, 0.161 of 255
        assert np.array_equal(img, tifffile.imread(path))
        with pytest.raises(ValueError, match=r"mode='r\+'"):
            img[0, 0] = 0
        with pytest.raises(ValueError, match="read-only"):
            img[0][0] = 0
    assert path.read_bytes() == original
    with how(path, "r+", mmap=True) as img:
        old = img[0, 0].copy()
        img[0, 0] = [1, 2, 3, 4]
        assert img[0, 0].tolist() == [1, 2, 3, 4]
        assert tifffile.imread(path)[0, 0].tolist() == [1, 2, 3, 4]
        changed = path.read_bytes()
        assert len(changed) == len(original)
        assert sum(a != b for a, b in zip(changed, original, strict=True)) == 4
        img[0, 0] = old
        img.flush()
    assert path.read_bytes() == original
