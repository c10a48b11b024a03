"""Stacks that ImageJ opens with their axes, written page by page: right at every number of pages."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading

import counted
import helper
import numpy as np
import pytest
import tifffile

import lazytiff

ROWS, COLUMNS = 9, 30
FORMS = {
    "gray": ("u1", 1, {}),
    "16 bits": ("<u2", 1, {"chunk_shape": 4}),
    "signed": ("<i2", 1, {}),
    "big-endian": (">u2", 1, {}),
    "float": ("<f4", 1, {}),
    "rgb": ("u1", 3, {}),
    "lzw": ("<u2", 1, {"compression": "lzw", "predictor": 2}),
    "packbits": ("u1", 1, {"compression": "packbits"}),
    "deflate": (">u2", 1, {"compression": "deflate"}),
}
# Axes, sizes of all but the slowest, and the axes that tifffile tells of when there are two whole steps.
AXES = {"T": {}, "Z": {}, "TZ": {"Z": 3}, "ZC": {"C": 2}, "TC": {"C": 2}, "TZC": {"Z": 2, "C": 2}, "C": {}}


@pytest.fixture
def path(tmp_path):
    """Return the path of the file to be made."""
    return tmp_path / "stack.tif"


def make_pages(form, count):
    """Make pages of that form."""
    return counted.make_pages(FORMS[form], count, ROWS, COLUMNS)


def check(path, axes, sizes, pages):
    """Check what tifffile reads of a file with these pages."""
    per = int(np.prod(list(sizes.values()), dtype=int))
    steps = len(pages) // per
    assert counted.digits("imagej", path) == steps
    assert counted.pages(path) == len(pages)
    letters, shape, pixels, kind, complaints = counted.series(path)
    if steps == 0:  # ImageJ shows a plain stack, as its own number of planes is another one
        assert (kind, complaints) == (
            "generic",
            [f"<tifffile.TiffFile {path.name!r}> ImageJ series metadata invalid or corrupted file"],
        )
        assert np.array_equal(pixels.reshape(pages.shape), pages)
        return
    expected = (steps, *sizes.values())
    assert kind == "imagej"
    assert letters.rstrip("S") == "".join(a for a, n in zip(axes, expected, strict=True) if n > 1) + "YX"
    assert shape == (*[n for n in expected if n > 1], *pages.shape[1:])
    assert pixels.dtype == pages.dtype.newbyteorder("=")
    flat = pixels.reshape(-1, *pages.shape[1:])  # tifffile may add the pages of a step that is not complete
    assert np.array_equal(flat[: steps * per], pages[: steps * per])
    assert len(pages) % per or not complaints


@pytest.mark.parametrize("form", FORMS)
def test_every_number_of_pages(form, path):
    """Whole steps have the right axes, shape and pixels, whatever the number of pages."""
    pages = make_pages(form, 9)
    axes = "TZ" if FORMS[form][1] == 3 else "TZC"
    sizes = {"Z": 2} if axes == "TZ" else {"Z": 2, "C": 2}
    with lazytiff.empty(
        path, FORMS[form][0], imagej=True, metadata={"axes": axes, "sizes": sizes}, **FORMS[form][2]
    ) as out:
        for count, page in enumerate(pages, 1):
            out.append(page)
            check(path, axes, sizes, pages[:count])
        helper.assert_same(out[:], pages.astype(pages.dtype.newbyteorder("=")))


@pytest.mark.parametrize("axes", AXES)
def test_axes(axes, path):
    """Any of T, Z and C, in ImageJ's order; the slowest grows."""
    pages = make_pages("16 bits", 9)
    with lazytiff.empty(path, "<u2", imagej=True, metadata={"axes": axes, "sizes": AXES[axes]}) as out:
        for count, page in enumerate(pages, 1):
            out.append(page)
            check(path, axes, AXES[axes], pages[:count])


def test_text(path):
    """What ImageJ looks at is there, in its words; the version is empty, and there is no number of images."""
    metadata = {"axes": "TZC", "sizes": {"Z": 2, "C": 3}, "spacing": 2, "unit": "um", "pixel_size": (0.5, 0.25)}
    metadata |= {"interval": 0.125, "name": "Zäpfle \\ 1"}
    pages = make_pages("16 bits", 6)
    with lazytiff.empty(path, "<u2", imagej=True, metadata=metadata) as out:
        out.extend(pages)
    lines = counted.description(path)[0].decode("ascii").rstrip("\0").split("\n")
    expected = {"hyperstack=true", "slices=2", "channels=3", "mode=composite", "loop=false", "unit=micron"}
    expected |= {"spacing=2.0", "finterval=0.125", "name=Z\\u00E4pfle \\\\ 1", "frames=00000001", ""}
    assert (lines[0], set(lines[1:])) == ("ImageJ=", expected)
    with tifffile.TiffFile(path) as tif:
        assert tif.imagej_metadata["finterval"] == 0.125
        for page in tif.pages:
            tags = page.tags
            assert (tags["XResolution"].value, tags["YResolution"].value, tags["ResolutionUnit"].value) == (
                (4, 1),
                (2, 1),
                1,
            )
            assert not page.is_tiled
    assert lazytiff.TiffFile(path).bigtiff is False


@pytest.mark.parametrize("durability", ["process", "power"])
def test_batches(durability, path):
    """A batch is counted when it is published; a batch of whole steps has no incomplete one."""
    pages = make_pages("16 bits", 12)
    metadata = {"axes": "TC", "sizes": {"C": 2}}
    with lazytiff.empty(path, "<u2", imagej=True, metadata=metadata, durability=durability) as out:
        out.extend(pages[:8], batch=4)
        check(path, "TC", {"C": 2}, pages[:8])
        out.extend(pages[8:], batch=100)
        out.flush()
        check(path, "TC", {"C": 2}, pages)
    with pytest.raises(lazytiff.ClosedError):
        out.flush()


@pytest.mark.parametrize("form", ["gray", "big-endian", "deflate"])
def test_resumed(form, path):
    """Who goes on with the file goes on counting without being told, and sets right what was cut off."""
    pages = make_pages(form, 9)
    metadata = {"axes": "TC", "sizes": {"C": 2}}
    with lazytiff.empty(path, FORMS[form][0], imagej=True, metadata=metadata, **FORMS[form][2]) as out:
        out.extend(pages[:5])
    text, place = counted.description(path)
    with path.open("r+b") as file:  # as it would be between the link and the count
        file.seek(place + text.index(b"00000002"))
        file.write(b"00000001")
    with lazytiff.open(path, "a") as out:
        check(path, "TC", {"C": 2}, pages[:5])
        for count in range(6, 10):
            out.append(pages[count - 1])
            check(path, "TC", {"C": 2}, pages[:count])
    size = os.path.getsize(path)
    with lazytiff.open(path, "a", imagej=True, metadata=metadata):
        assert os.path.getsize(path) == size  # it says so already


def test_distances(path):
    """Pages lie at equal distances, so that they map as one array."""
    pages = make_pages("16 bits", 20)
    with lazytiff.empty(path, "<u2", imagej=True, metadata={"pixel_size": 0.5}) as out:
        out.extend(pages[:10])
    with lazytiff.open(path, "a") as out:
        out.extend(pages[10:])
    helper.assert_one_map(path, pages)


def test_first_page_may_fail(path):
    """A first page that does not get in says nothing of the next one."""
    with lazytiff.empty(path, "u1", imagej=True) as out:
        with pytest.raises(ValueError, match="1 sample or RGB"):
            out.append(np.zeros((20, 30, 4), "u1"))
        with pytest.raises(ValueError, match="eight digits"):
            out.append(np.zeros((20, 30), "u1"), tags={"ImageDescription": "another one"})
        with pytest.raises(ValueError, match="less than 64 bytes"):
            out.append(np.zeros((7, 9), "u1"))
        assert out.shape == (0, 0, 0)
        out.append(np.zeros((8, 8), "u1"))
        out.append(np.ones((8, 8), "u1"))
    assert counted.series(path)[:2] == ("TYX", (2, 8, 8))


def test_tiles(path):
    """Tiles are refused when it is known that they are none as wide as the page, which are strips."""
    with lazytiff.empty(path, "u1", imagej=True, chunk_shape=(16, 32)) as out:
        with pytest.raises(ValueError, match="strips, and no tiles"):
            out.append(np.zeros((32, 40), "u1"))
        out.append(np.zeros((32, 32), "u1"))
    assert counted.series(path)[:2] == ("YX", (32, 32))


REFUSED = {
    "BigTIFF": ({"bigtiff": True}, "opens no BigTIFF"),
    "uint32": ({"dtype": "u4"}, "no pixels of uint32"),
    "bool": ({"dtype": "?"}, "no pixels of bool"),
    "zstd": ({"compression": "zstd"}, "decompresses only none, LZW, Deflate, PackBits"),
    "predicted deflate": ({"compression": "deflate", "predictor": 2}, "only with LZW"),
    "order": ({"metadata": {"axes": "ZT", "sizes": {"T": 1}}}, "in the order T, Z, C"),
    "channels": ({"metadata": {"channels": ["red"]}}, "keep no names of channels"),
    "ome": ({"ome": True}, "do not go together"),
    "long name": ({"metadata": {"name": "x" * 70000}}, "name has 70000 characters, and 1024 are the most"),
    "planes": ({"metadata": {"axes": "TZC", "sizes": {"Z": 1 << 24, "C": 1 << 8}}}, "planes a step at most"),
    "description": ({"description": "mine"}, "ImageDescription is there twice"),
    "tag": ({"tags": {"ImageDescription": "mine"}}, "ImageDescription is there twice"),
    "resolution": ({"metadata": {"pixel_size": 1}, "tags": {"XResolution": 2.0}}, "resolution is there twice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, path):
    """What ImageJ does not open is not made, and the error says why."""
    options, match = REFUSED[name]
    helper.needs_to_write(options.get("compression"))
    with pytest.raises(ValueError, match=match):
        lazytiff.empty(path, **{"dtype": "u1", "imagej": True, **options})
    assert not path.exists()


def test_full(sparse_path):
    """ImageJ's files end at 4 GiB: they are classic ones."""
    with lazytiff.empty(sparse_path, "u1", imagej=True) as out:
        out.append(np.zeros((20, 30), "u1"))
    os.truncate(sparse_path, (1 << 32) - 100)
    with lazytiff.open(sparse_path, "a") as out, pytest.raises(lazytiff.FileFullError):
        out.append(np.zeros((20, 30), "u1"))


# ---- save


def test_save(path):
    """An array with axes before the pages' is written page by page, in C order."""
    stack = helper.pixels((3, 2, 4, ROWS, COLUMNS), "u2")
    lazytiff.save(path, stack, imagej=True, metadata={"axes": "TZCYX", "spacing": 0.5})
    axes, shape, pixels, kind, complaints = counted.series(path)
    assert (axes, shape, kind, complaints) == ("TZCYX", stack.shape, "imagej", [])
    helper.assert_same(pixels, stack)


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((ROWS, COLUMNS), {}, "YX"),
        ((5, ROWS, COLUMNS), {}, "TYX"),
        ((5, ROWS, COLUMNS), {"axes": "ZYX"}, "ZYX"),
        ((5, ROWS, COLUMNS), {"metadata": {"axes": "C"}}, "CYX"),
        ((5, ROWS, COLUMNS, 3), {}, "TYXS"),
        ((5, 2, ROWS, COLUMNS), {"axes": "ZCYX"}, "ZCYX"),
        ((2, 5, ROWS, COLUMNS, 3), {"axes": "TZYXS"}, "TZYXS"),
    ],
)
def test_axes_of_save(shape, options, axes, path):
    """A single axis is time, unless somebody says otherwise; those of several are said."""
    stack = helper.pixels(shape, "u1")
    lazytiff.save(path, stack, imagej=True, **options)
    letters, found, pixels, _, complaints = counted.series(path)
    assert (letters, found, complaints) == (axes, shape, [])
    helper.assert_same(pixels, stack)


# ---- files of others


def test_foreign(path):
    """A file of another program's is told of its new pages on request; until then somebody says that it is not."""
    pages = make_pages("16 bits", 8)
    tifffile.imwrite(path, pages[:4], imagej=True, metadata={"axes": "TYX"})
    with pytest.warns(lazytiff.TiffWarning, match="tells ImageJ of 4 pages.*imagej=True") as caught:
        lazytiff.open(path, "a").close()
    assert (len(caught), caught[0].filename) == (1, __file__)
    reader = lazytiff.open(path)
    metadata = {"axes": "TC", "sizes": {"C": 2}}
    with lazytiff.open(path, "a", imagej=True, metadata=metadata) as out:
        check(path, "TC", {"C": 2}, pages[:4])
        assert out.tags["ImageDescription"].startswith("ImageJ=\n")
        assert reader.tags["ImageDescription"].startswith("ImageJ=1.11a")
        assert reader.refresh() == 0
        for count in range(5, 9):
            out.append(pages[count - 1])
            check(path, "TC", {"C": 2}, pages[:count])
    assert reader.refresh() == 4
    assert reader.tags["ImageDescription"].startswith("ImageJ=\n")
    helper.assert_same(reader[:], pages)
    reader.close()
    with lazytiff.open(path, "a") as out:
        out.append(pages[0])


def test_without_description(path):
    """A plain stack becomes one of ImageJ's."""
    pages = make_pages("lzw", 4)
    lazytiff.save(path, pages[:2], compression="lzw", bigtiff=False)
    with lazytiff.open(path, "a", imagej=True) as out:
        out.extend(pages[2:])
    check(path, "T", {}, pages)


def test_foreign_refused(path):
    """What ImageJ would not open stays as it is."""
    lazytiff.save(path, make_pages("16 bits", 2), bigtiff=True)
    helper.assert_refused(path, lambda: lazytiff.open(path, "a", imagej=True), ValueError, "BigTIFF")
    path.unlink()
    lazytiff.save(path, make_pages("16 bits", 2), chunk_shape=(16, 16))
    helper.assert_refused(path, lambda: lazytiff.open(path, "a", imagej=True), ValueError, "no tiles")
    path.unlink()
    lazytiff.save(path, make_pages("16 bits", 2))
    action = lambda: lazytiff.open(path, "a", imagej=True, metadata={"pixel_size": 2})  # noqa: E731
    helper.assert_refused(path, action, ValueError, "first page's resolution")


def test_first_page_refused(path):
    """Pages that are there count as well as those to come."""
    helper.needs_to_write("zstd")
    lazytiff.save(path, make_pages("16 bits", 2), compression="zstd", bigtiff=False)
    action = lambda: lazytiff.open(path, "a", imagej=True, compression="lzw")  # noqa: E731
    helper.assert_refused(path, action, ValueError, "decompresses only")


@pytest.mark.parametrize("bigtiff", [False, True, "auto"])
def test_without_pages(bigtiff, path):
    """A file that has no pages yet becomes one of ImageJ's, unless it is BigTIFF."""
    lazytiff.empty(path, "<u2", bigtiff=bigtiff).close()
    action = lambda: lazytiff.open(path, "a", dtype="<u2", imagej=True)  # noqa: E731
    if bigtiff is True:
        helper.assert_refused(path, action, ValueError, "BigTIFF")
        return
    pages = make_pages("16 bits", 5)
    with action() as out:
        out.extend(pages)
    check(path, "T", {}, pages)


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_stays_classic(pages, sparse_path):
    """A file that could have become BigTIFF at 4 GiB ends there when it is one of ImageJ's, whoever goes on with it."""
    frames = make_pages("gray", 12)
    with lazytiff.empty(sparse_path, "u1") as out:
        out.extend(frames[:pages])
    with lazytiff.open(sparse_path, "a", dtype="u1", imagej=True) as out:
        out.append(frames[pages])
    os.truncate(sparse_path, (1 << 32) - 2000)
    for options in ({}, {"imagej": True}, {}):
        with lazytiff.open(sparse_path, "a", **options) as out:
            with pytest.raises(lazytiff.FileFullError):
                out.extend(frames[len(out) :])
            assert lazytiff.TiffFile(sparse_path).bigtiff is False
            assert counted.digits("imagej", sparse_path) == len(out)
            helper.assert_same(out[:], frames[: len(out)])


def test_another_name(path):
    """A name with eight digits is not taken for the count."""
    pages = make_pages("16 bits", 2)
    lazytiff.save(path, pages, imagej=True, metadata={"name": "of 20240101"})
    lazytiff.open(path, "a", imagej=True, metadata={"name": "of 20240202"}).close()
    assert "name=of 20240202" in lazytiff.open(path).tags["ImageDescription"]
    check(path, "T", {}, pages)


def test_same_resolution(path):
    """The size of a pixel may be said again."""
    metadata = {"pixel_size": (0.3, 0.7), "unit": "nm"}
    lazytiff.save(path, make_pages("16 bits", 2), imagej=True, metadata=metadata)
    before = path.read_bytes()
    lazytiff.open(path, "a", imagej=True, metadata=metadata).close()
    assert path.read_bytes() == before


def test_moved_text(path):
    """A text that another program has moved to where it cannot be changed at once is another program's."""
    with lazytiff.empty(path, "u1", imagej=True) as out:
        out.extend(np.zeros((2, 20, 30), "u1"))
    text, place = counted.description(path)
    data = bytearray(path.read_bytes())
    data += bytes(4 + -len(data) % 8) + text
    pointer = data.index(struct.pack("<I", place))
    data[pointer : pointer + 4] = struct.pack("<I", len(data) - len(text))
    path.write_bytes(data)
    with pytest.warns(lazytiff.TiffWarning, match="tells ImageJ of 2 pages"):
        lazytiff.open(path, "a").close()


# ---- while others read


def test_never_torn(path):
    """A reader that looks all the time sees a whole text, and no more steps than there are pages."""
    page = np.zeros((8, 8), "u1")
    with lazytiff.empty(path, "u1", imagej=True) as out:
        out.append(page)
        text, place = counted.description(path)
        seen, over = set(), threading.Event()

        def look():
            file = os.open(path, os.O_RDONLY)
            while not over.is_set():
                number = os.pread(file, len(text), place)
                seen.add(number)
            os.close(file)

        reader = threading.Thread(target=look)
        reader.start()
        for _ in range(3000):
            out.append(page)
        over.set()
        reader.join()
    at = text.index(b"00000001")
    assert len(seen) > 1
    for found in seen:
        assert (found[:at], found[at + 8 :]) == (text[:at], text[at + 8 :])
        assert 1 <= int(found[at : at + 8]) <= 3001


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_counted_after_refresh(kind, path):
    """A reader that comes between the page and its count sees the count when it refreshes again."""
    with lazytiff.empty(path, "u1", metadata={"axes": "TC", "sizes": {"C": 2}}, **{kind: True}) as out:
        out.extend(make_pages("gray", 6))
        text, place = counted.description(path)
        at = place + counted.COUNT[kind].search(text).start(2)
        with path.open("r+b") as file, lazytiff.open(path) as reader:
            os.pwrite(file.fileno(), b"00000002", at)
            assert reader.sizes["T"] == 2
            os.pwrite(file.fileno(), b"00000003", at)
            assert reader.refresh() == 0
            assert reader.sizes["T"] == 3
            assert reader.hyperstack.shape[:2] == (3, 2)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_counted_before_refresh(kind, path):
    """A reader whose pages are older than the count that it reads has the whole steps of its pages."""
    pages = make_pages("gray", 10)
    with lazytiff.empty(path, "u1", metadata={"axes": "TC", "sizes": {"C": 2}}, **{kind: True}) as out:
        out.extend(pages[:5])
        with lazytiff.open(path) as reader:
            out.extend(pages[5:])
            assert reader.sizes["T"] == 2
            helper.assert_same(reader.hyperstack[:], pages[:4].reshape(2, 2, ROWS, COLUMNS))
            reader.refresh()
            helper.assert_same(reader.hyperstack[:], pages.reshape(5, 2, ROWS, COLUMNS))


KILLED = """
import sys, numpy as np, lazytiff
path, kind = sys.argv[1:]
options = {kind: True, "metadata": {"axes": "TC", "sizes": {"C": 2}}}
try:
    out = lazytiff.empty(path, "u1", **options)
except FileExistsError:
    out = lazytiff.open(path, "a")
while True:
    print(out.append(np.full((8, 8), len(out) % 251, "u1")) + 1, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_killed(kind, path):
    """A writer that is killed at any moment leaves as many steps as it has acknowledged, or one more, all there."""
    rng = np.random.default_rng(5)
    pages = 0
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", KILLED, path, kind], stdout=subprocess.PIPE, text=True)
        for _ in range(rng.integers(3, 60)):
            assert child.stdout.readline()
        child.kill()
        rest = child.stdout.read().splitlines(keepends=True)
        child.stdout.close()
        child.wait()
        acknowledged = max([pages, *(int(line) for line in rest if line.endswith("\n"))])
        pages, steps = counted.pages(path), counted.digits(kind, path)
        assert pages >= acknowledged
        assert acknowledged // 2 <= steps <= max(pages // 2, 1)
        axes, shape, pixels, found, _ = counted.series(path)
        assert (axes, shape, found) == ("TCYX", (steps, 2, 8, 8), kind)
        flat = pixels.reshape(-1, 8, 8)[: 2 * steps]
        assert np.array_equal(flat[:, 0, 0], np.arange(2 * steps) % 251)
