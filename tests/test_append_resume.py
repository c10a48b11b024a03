"""`open(path, "a")`: stacks of ours and of other programs go on, and nothing of what they were is touched."""

from __future__ import annotations

import contextlib
import json
import os
import struct

import helper
import numpy as np
import pytest
import tifffile
from PIL import Image
from test_processes import run

import lazytiff

CORPUS = helper.corpus()
PIXELS = helper.pixels((3, 40, 50), "u2")
RGB = helper.pixels((3, 40, 50, 3), "u1")
TIFFFILE = {
    "plain": (PIXELS, {}),
    "contiguous": (PIXELS, {"photometric": "minisblack", "contiguous": True}),
    "ImageJ": (PIXELS, {"imagej": True, "compression": "zlib"}),
    "LZW": (PIXELS, {"compression": "lzw"}),
    "deflate, predicted": (PIXELS, {"compression": "zlib", "predictor": True}),
    "zstd tiles": (PIXELS, {"compression": "zstd", "tile": (16, 32)}),
    "strips": (PIXELS, {"rowsperstrip": 7}),
    "BigTIFF": (PIXELS, {"bigtiff": True}),
    "big-endian": (PIXELS, {"byteorder": ">"}),
    "big-endian BigTIFF": (PIXELS, {"byteorder": ">", "bigtiff": True, "compression": "lzw"}),
    "floats": (helper.pixels((2, 40, 50), "f4"), {"compression": "zlib", "predictor": 3}),
    "bits": (helper.pixels((2, 40, 50), "?"), {}),
    "RGB": (RGB, {"photometric": "rgb"}),
    "RGB, lzw": (RGB, {"photometric": "rgb", "compression": "lzw", "predictor": True}),
    "planar": (np.moveaxis(RGB, -1, 1), {"photometric": "rgb", "planarconfig": "separate"}),
    "min-is-white": (PIXELS, {"photometric": "miniswhite"}),
    "resolution": (PIXELS, {"resolution": (300.5, 200), "resolutionunit": "CENTIMETER"}),
    "palette": (PIXELS.astype("u1"), {"photometric": "palette", "colormap": helper.pixels((3, 256), "u2")}),
}


@pytest.fixture
def path(tmp_path):
    """Return the path of a file."""
    return tmp_path / "old.tif"


def write_pages(path, pixels, *, bigtiff=False, byteorder="<", imagej=False, **options):
    """Have tifffile write each page on its own, as a program that acquires them does."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder, imagej=imagej) as writer:
        for page in [pixels] if imagej or options.get("contiguous") else pixels:
            writer.write(page, **options)


def words_changed(before, after):
    """Return where numbers of up to 8 bytes were changed in what was there."""
    places = np.flatnonzero(np.frombuffer(before, "u1") != np.frombuffer(after[: len(before)], "u1"))
    return [place for i, place in enumerate(places) if i == 0 or place - places[i - 1] >= 8]


def links_of(data):
    """Return where the header's link and those of the IFDs are, as far as they lead to new ones."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    number, count, entry, at = ("Q", 8, 20, 8) if big else ("I", 2, 12, 4)
    places = []
    while at not in places:
        places.append(at)
        (ifd,) = struct.unpack_from(order + number, data, at)
        if not 0 < ifd < len(data) - count:
            break
        (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, ifd)
        at = ifd + count + entry * entries
    return places


def assert_only_links_changed(before, after):
    """Check that nothing before the old end is other than it was but the one word that leads on.

    Where that word lies across a line of the cache, copies of IFDs take the place of the last ones: then it is the link
    before those, and the old last one for those who have the file open.
    """
    changed = words_changed(before, after)
    links = links_of(before)
    assert len(after) > len(before)
    assert 1 <= len(changed) <= 2
    assert all(any(link <= place < link + 8 for link in links) for place in changed)
    if len(changed) == 2:
        width = 4 if before[2:4] in (b"*\0", b"\0*") else 8
        assert links[-1] // 64 != (links[-1] + width - 1) // 64


def read_all(path):
    """Return all pages by tifffile."""
    with tifffile.TiffFile(path) as oracle:
        return np.stack([page.asarray() for page in oracle.pages])


# ---- what other programs wrote


@pytest.mark.filterwarnings("ignore:.*its description tells ImageJ of 3 pages")
@pytest.mark.parametrize("name", TIFFFILE)
def test_files_of_tifffile(name, path):
    """All pages of before are there, and the new ones, stored as the last one was; only a link was changed."""
    pixels, options = TIFFFILE[name]
    write_pages(path, pixels, **options)
    before, old = path.read_bytes(), read_all(path)
    with tifffile.TiffFile(path) as oracle:
        last = oracle.pages[-1]
        stored = {n: last.tags[n].value for n in (259, 262, 278, 282, 283, 296, 317, 322, 323) if n in last.tags}
    page = np.moveaxis(pixels[0], 0, -1) if name == "planar" else pixels[0]
    with lazytiff.open(path, "a") as out:
        assert (len(out), out.mode) == (len(pixels), "a")
        assert out.append(page[::-1]) == len(pixels)
        assert out.extend([page, page]) == 2
        helper.assert_same(out[-3:], np.stack([page[::-1], page, page]))
    assert_only_links_changed(before, path.read_bytes())
    with lazytiff.TiffFile(path) as tif:
        for found, expected in zip(tif.pages, [*pixels, pixels[0][..., ::-1, :], pixels[0], pixels[0]], strict=True):
            if name == "planar":
                expected = np.moveaxis(expected, 0, -1)  # noqa: PLW2901
            elif found.ndim == 3 and found.number == len(pixels):
                expected = pixels[0][::-1]  # noqa: PLW2901
            helper.assert_same(found.copy(), np.ascontiguousarray(expected))
    with tifffile.TiffFile(path) as oracle:
        assert len(oracle.pages) == len(old) + 3
        for i, expected in enumerate(old):
            assert np.array_equal(oracle.pages[i].asarray(), expected)
        new = oracle.pages[-1]
        assert np.array_equal(new.asarray(), page)
        for number, value in stored.items():
            assert new.tags[number].value == value, number
        assert new.tags[305].value == f"lazytiff v{lazytiff.__version__}"
        if name == "palette":
            assert np.array_equal(new.colormap, options["colormap"])


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_description_of_a_shaped_series(compression, path):
    """Its description goes on telling how many pages it wrote; all of them are there, for tifffile too."""
    tifffile.imwrite(path, PIXELS, compression=compression, photometric="minisblack", metadata={"axes": "ZYX"})
    with lazytiff.open(path, "a") as out:
        out.append(PIXELS[0])
        assert '"shape": [3, 40, 50]' in out.tags["ImageDescription"]
        assert "ImageDescription" not in out.pages[-1].tags
    helper.assert_same(lazytiff.load(path), np.concatenate([PIXELS, PIXELS[:1]]))
    with tifffile.TiffFile(path) as oracle:
        assert len(oracle.pages) == 4
        assert oracle.series[0].shape == (4, 40, 50)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("count", [1, 3])
def test_files_of_pillow(count, compression, path):
    """Files of Pillow's own writer and of libtiff, one strip or several, go on, and Pillow reads all of them."""
    images = [Image.fromarray(page) for page in helper.pixels((count, 90, 70), "u1")]
    images[0].save(path, save_all=True, append_images=images[1:], compression=compression)
    before = path.read_bytes()
    old = lazytiff.load(path, pages=slice(None), squeeze=False)
    with lazytiff.open(path, "a") as out:
        assert out.append(old[0][:, ::-1]) == count
        assert {page.compression for page in out.pages} == {out.pages[0].compression}
        helper.assert_same(out[:count], old)
    assert_only_links_changed(before, path.read_bytes())
    with Image.open(path) as image:
        assert image.n_frames == count + 1
        image.seek(count)
        found = np.asarray(image)
    assert np.abs(found.astype(int) - old[0][:, ::-1]).max() <= (40 if compression == "jpeg" else 0)


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
def test_palettes_of_few_bits(bits, path):
    """Pages go on with 8 bits, and the ColorMap with 256 colours, the first of which are those that there were."""
    colours = helper.pixels((3, 1 << bits), "u2")
    page = (PIXELS[0] % (1 << bits)).astype("?" if bits == 1 else "u1")
    tags = {262: 3, 320: helper.Typed(helper.SHORT, tuple(colours.ravel().tolist()))}
    path.write_bytes(helper.tiff(helper.page(page, bits=bits, tags=tags)))
    with lazytiff.open(path, "a") as out:
        out.append(page[::-1])
        helper.assert_same(out[...], np.stack([page, page[::-1]]))
    with tifffile.TiffFile(path) as oracle:
        new = oracle.pages[1]
        assert new.bitspersample == (1 if bits == 1 else 8)
        assert new.colormap.shape == (3, 1 << new.bitspersample)
        assert np.array_equal(new.colormap[:, : 1 << bits], colours)
        assert not new.colormap[:, 1 << bits :].any()


@pytest.mark.parametrize("predictor", [1, 2])
def test_old_deflate(predictor, path):
    """The old number for Deflate stands for the same streams: pages go on with the new one."""
    pages = [helper.page(page, codec="deflate-old", predictor=predictor) for page in PIXELS]
    path.write_bytes(helper.tiff(*pages))
    with lazytiff.open(path, "a") as out:
        out.append(PIXELS[0])
        helper.assert_same(out[...], np.concatenate([PIXELS, PIXELS[:1]]))
    with tifffile.TiffFile(path) as oracle:
        assert [page.compression for page in oracle.pages] == [32946] * 3 + [8]
        assert [page.predictor for page in oracle.pages] == [predictor] * 4


# ---- options


def test_options_stand_above_the_last_page(path):
    """What is said is so from now on: compression, predictor, chunks and tags; what is not said is as it was."""
    write_pages(path, PIXELS, compression="zlib", predictor=True, rowsperstrip=8, resolution=(2, 3))
    with lazytiff.open(path, "a", chunk_shape=(16, 16), tags={"XResolution": 7, "Artist": "me"}) as out:
        out.append(PIXELS[0])
    with lazytiff.open(path, "a", compression="lzw") as out:
        out.append(PIXELS[1])
    with lazytiff.open(path, "a", compression="none", chunk_shape=40) as out:
        out.append(PIXELS[2], tags={"ImageDescription": "the last one"})
    helper.assert_same(lazytiff.load(path), np.concatenate([PIXELS, PIXELS]))
    with tifffile.TiffFile(path) as oracle:
        first, second, third = oracle.pages[3:]
        assert (first.compression, first.predictor, first.tilelength) == (8, 2, 16)
        assert (first.tags[282].value, first.tags[283].value, first.tags[315].value) == ((7, 1), (3, 1), "me")
        assert (second.compression, second.predictor, second.tilelength, 315 in second.tags) == (5, 1, 16, False)
        assert (third.compression, third.rowsperstrip, third.is_tiled) == (1, 40, False)
        assert third.tags[270].value == "the last one"


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"bigtiff": True}, TypeError, r"open\(\) got an unexpected keyword argument 'bigtiff'"),
        ({"nothing": 1}, TypeError, "unexpected keyword argument 'nothing'"),
        ({"mmap": True}, ValueError, "without mmap"),
        ({"guard": True}, ValueError, "neither guard nor pages"),
        ({"pages": slice(None)}, ValueError, "neither guard nor pages"),
        ({"dtype": "u1"}, lazytiff.FrameTypeError, "its pages are uint16, not uint8"),
        ({"dtype": object}, TypeError, "no samples of dtype object"),
        ({"photometric": "miniswhite"}, lazytiff.FrameTypeError, "photometric says something else"),
        ({"description": "x"}, ValueError, "`description` is for the first one"),
        ({"predictor": 2}, ValueError, r"old\.tif: no page can be stored .*predictors go with"),
        ({"level": 3}, ValueError, r"old\.tif: no page can be stored .*level 3"),
        ({"compression": "jpeg"}, ValueError, "JPEG is for"),
        ({"compression": "what"}, ValueError, "there is no compression"),
        ({"chunk_shape": (10, 10)}, ValueError, "multiples of 16"),
        ({"tags": {65000: ("LONG8", 1)}}, ValueError, "only BigTIFF"),
        ({"tags": {"Nothing": 1}}, ValueError, "no tag is called"),
        ({"workers": 0}, ValueError, "workers"),
        ({"durability": 1}, ValueError, "durability"),
        ({"codecs": "what"}, ValueError, "there is no codec"),
    ],
)
def test_options_that_do_not_go(options, kind, match, path):
    """They are refused, the file is left as it is, and it is not locked any more."""
    lazytiff.save(path, PIXELS)
    helper.assert_refused(path, lambda: lazytiff.open(path, "a", **options), kind, match)
    lazytiff.open(path, "a", dtype=">u2", photometric="minisblack").close()


@pytest.mark.parametrize("name", ["compression", "tags", "dtype", "description", "nothing"])
def test_options_without_mode_a(name, path):
    """What is for mode "a" is refused in others, and what is for none in all."""
    lazytiff.save(path, PIXELS)
    match = "unexpected keyword" if name == "nothing" else f"{name} is for mode 'a'"
    with pytest.raises(TypeError, match=match):
        lazytiff.open(path, **{name: "u2"})
    with pytest.raises(ValueError, match=r"'a' is for lazytiff\.open"):
        lazytiff.load(path, "a")


# ---- what cannot go on


def test_files_without_pages(path):
    """The dtype says what pages are to be; the byte order and BigTIFF are as they are found."""
    for byteorder, big in (("<", False), (">", False), ("<", True), (">", True)):
        path.write_bytes(helper.tiff(byteorder=byteorder, big=big))
        with pytest.raises(ValueError, match="has no pages yet: `dtype` must say"):
            lazytiff.open(path, "a")
        with pytest.raises(ValueError, match="predictors go with"):
            lazytiff.open(path, "a", dtype="u2", predictor=2)
        with lazytiff.open(path, "a", dtype="u2", description="mine", compression="lzw") as out:
            assert (out.shape, out.dtype) == ((0, 0, 0), np.dtype("u2"))
            out.extend(PIXELS)
            helper.assert_same(out[...], PIXELS)
            assert out.tags["ImageDescription"] == "mine"
        with tifffile.TiffFile(path) as oracle:
            assert (oracle.byteorder, oracle.is_bigtiff) == (byteorder, big)
            assert np.array_equal(oracle.asarray(), PIXELS)


def refused_files():
    """Yield a name, a file that cannot go on, and why."""
    yield (
        "mixture",
        helper.tiff(helper.page(PIXELS[0]), helper.page(PIXELS[1, :20])),
        lazytiff.FrameTypeError,
        "page 1 is",
    )
    dtypes = helper.tiff(helper.page(PIXELS[0]), helper.page(PIXELS[1].astype("i2")))
    yield "dtypes", dtypes, lazytiff.FrameTypeError, "page 1 is .*int16"
    yield "no TIFF", b"GIF89a, or something like that", lazytiff.NotTiffError, "old.tif"
    yield "empty", b"", lazytiff.NotTiffError, "old.tif"
    ycbcr = helper.page(RGB[0], tags={262: 6, 530: (1, 1)})
    yield "YCbCr", helper.tiff(ycbcr), lazytiff.UnsupportedTiffError, "YCbCr pixels are read as RGB"
    lzma = helper.page(PIXELS[0], tags={259: 34661, 258: 1})
    yield "JBIG", helper.tiff(lzma), (lazytiff.UnsupportedTiffError, lazytiff.CorruptTiffError), "old.tif"
    tiles = helper.page(PIXELS[0], tile=(10, 10))
    yield "tiles of 10", helper.tiff(tiles), ValueError, r"old\.tif: no page can be stored .*multiples of 16"


REFUSED = {name: rest for name, *rest in refused_files()}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_cannot_go_on(name, path):
    """The reason is told, the file is left as it is, and nobody holds a lock on it."""
    data, kind, match = REFUSED[name]
    path.write_bytes(data)
    helper.assert_refused(path, lambda: lazytiff.open(path, "a"), kind, match)
    with contextlib.suppress(lazytiff.NotTiffError), lazytiff.TiffFile(path) as tif:
        assert tif._file.source.has_writer() in (False, None)


def test_frames_that_share_an_ifd(path):
    """ImageJ's stacks of one IFD have no page to which another one could be linked."""
    frames = helper.pixels((4, 6, 5), "u2")
    page = helper.page(frames[0], tags={270: "ImageJ=1.53\nimages=4\n"})
    path.write_bytes(helper.tiff(helper.Page(page.tags | {279: 60}, [frames.tobytes()])))
    with lazytiff.open(path) as img:
        assert img.shape == (4, 6, 5)
    helper.assert_refused(path, lambda: lazytiff.open(path, "a"), lazytiff.UnsupportedTiffError, "share one IFD")


def test_paths(path, tmp_path):
    """A missing file, a folder, and what is no path at all."""
    lazytiff.save(path, PIXELS)
    for odd, kind, match in (
        (tmp_path / "no.tif", FileNotFoundError, r"no\.tif"),
        (tmp_path / "no" / "no.tif", FileNotFoundError, r"no\.tif"),
        (tmp_path, (lazytiff.NotTiffError, OSError), ""),
        (path.read_bytes(), TypeError, "only files can be written to: a path is needed, not bytes"),
        (memoryview(path.read_bytes()), TypeError, "a path is needed, not memoryview"),
        (5, TypeError, "a path is needed, not int"),
    ):
        with pytest.raises(kind, match=match or None):
            lazytiff.open(odd, "a")
    with path.open("r+b") as file, pytest.raises(TypeError, match="a path is needed, not BufferedRandom"):
        lazytiff.open(file, "a")
    for kind in (str, os.fsencode):
        with lazytiff.open(kind(path), "a") as out:
            assert out.path == str(path)
    assert sorted(os.listdir(tmp_path)) == ["old.tif"]


PERMISSIONS = """
import os, sys, lazytiff
if os.getuid() == 0:
    os.setuid(65534)
try:
    lazytiff.open(sys.argv[1], "a")
except PermissionError as error:
    print(error.filename)
try:
    lazytiff.empty(os.path.join(os.path.dirname(sys.argv[1]), "new.tif"), "u1")
except PermissionError as error:
    print(os.path.basename(error.filename))
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_permissions(path):
    """A file, and a folder, that may only be read are PermissionErrors."""
    lazytiff.save(path, PIXELS)
    folder = path.parent
    for above in (folder, *folder.parents):
        if os.stat(above).st_uid == os.getuid() and above != above.parent and os.getuid() == 0 and above.name != "tmp":
            above.chmod(0o755)
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        assert run(PERMISSIONS, path).split() == [str(path), "new.tif"]
    finally:
        folder.chmod(0o755)


def test_locked(path):
    """Of two that would append, and of one that would assign through a map, the second is refused; readers are not."""
    lazytiff.save(path, PIXELS)
    with lazytiff.open(path, "a") as out:
        helper.assert_refused(
            path, lambda: lazytiff.open(path, "a"), lazytiff.LockedError, "open for writing elsewhere"
        )
        for mode in ("r+",):
            helper.assert_refused(
                path, lambda mode=mode: lazytiff.open(path, mode, mmap=True), lazytiff.LockedError, "being changed"
            )
        with lazytiff.open(path) as img, lazytiff.open(path, mmap=True) as mapped:
            out.append(PIXELS[0])
            assert (img.refresh(), mapped.refresh()) == (1, 1)
    with lazytiff.open(path, "r+", mmap=True):
        helper.assert_refused(path, lambda: lazytiff.open(path, "a"), lazytiff.LockedError, "old.tif")
    lazytiff.open(path, "a").close()


# ---- what we wrote


@pytest.mark.parametrize("bigtiff", ["auto", False, True])
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("options", [{}, {"compression": "deflate", "predictor": 2}, {"chunk_shape": (16, 16)}])
def test_our_own_stacks(options, byteorder, bigtiff, path):
    """Closed and opened again after each page the file is the same as when it had stayed open."""
    tags = {"XResolution": 2.5, "ResolutionUnit": "cm"}
    style = {"tags": tags, **options}
    once = path.with_name("once.tif")
    with lazytiff.empty(once, f"{byteorder}u2", bigtiff=bigtiff, description="mine", **style) as out:
        out.extend([*PIXELS, *PIXELS])
    lazytiff.empty(path, f"{byteorder}u2", bigtiff=bigtiff).close()
    with lazytiff.open(path, "a", dtype="u2", description="mine", **style) as out:
        out.append(PIXELS[0])
    for count, page in enumerate([*PIXELS, *PIXELS][1:], 1):
        with lazytiff.open(path, "a") as out:
            assert out.append(page) == count
    helper.assert_same(lazytiff.load(path), np.concatenate([PIXELS, PIXELS]))
    assert path.read_bytes() == once.read_bytes()


# ---- files of many programs


def listed_files():
    """Give a parameter for each file of the corpus of less than 16 MiB; one to skip when there is no corpus."""
    if CORPUS is None:
        return [pytest.param(None, id="no corpus")]
    files = json.loads((CORPUS / "manifest.json").read_text())["files"]
    names = [file["path"] for file in files if (CORPUS / "files" / file["path"]).stat().st_size < 16 << 20]
    return [pytest.param(name, id=name) for name in names]


def pages_of(path):
    """Return shape and pixels of each page, or the error that it raises."""
    found = []
    with lazytiff.TiffFile(path, codecs="all") as tif:
        for page in tif.pages:
            try:
                found.append((page.shape, page.copy().tobytes()))
            except lazytiff.TiffError as error:
                found.append(type(error))
    return found


@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")
@pytest.mark.parametrize("name", listed_files())
def test_corpus(name, corpus, path):
    """Its last page once more behind the last one: all that was there is as it was. Or it says why not."""
    path.write_bytes((corpus / "files" / name).read_bytes())
    before, old = path.read_bytes(), pages_of(path)
    try:
        out = lazytiff.open(path, "a", codecs="all")
    except (lazytiff.TiffError, ValueError) as error:
        assert path.name in str(error)  # noqa: PT017  # both ways are right
        assert path.read_bytes() == before
        return
    with out:
        try:
            last = out[-1]
        except lazytiff.DecodeError:
            return
        assert out.append(last) == len(old)
        codec, new = out.pages[-1].compression, out[-1]
    if codec in ("jpeg", "webp"):
        assert np.abs(new.astype(int) - last).mean() < 16
    else:
        helper.assert_same(new, last)
    assert pages_of(path)[:-1] == old
    assert_only_links_changed(before, path.read_bytes())
