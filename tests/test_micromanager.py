"""Micro-Manager's stacks: index maps, sets of several files, and headers that are damaged."""

import gc
import json
import struct

import numpy as np
import pytest
import tifffile
from helper import assert_same, corpus
from hypothesis import given, settings
from hypothesis import strategies as st

import lazytiff
from lazytiff import _micromanager

SUMMARY = {"MicroManagerVersion": "2.0", "Frames": 1, "Slices": 1, "Channels": 1, "Positions": 1}


def micromanager(pages, rows, summary=None, byteorder="<", index_at=None):
    """Return a file of these pages; rows of the index map: channel, slice, frame, position, number of the page."""
    text = json.dumps({**SUMMARY, **(summary or {})}).encode()
    head, at, offsets = 40 + len(text), 40 + len(text), []
    head += head % 2
    body, at = b"", head
    for number, page in enumerate(pages):
        height, width = page.shape
        pixels_at = at + 2 + 9 * 12 + 4
        following = pixels_at + page.nbytes
        tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, pixels_at), (277, 1), (278, height)]
        ifd = struct.pack(byteorder + "H", 9)
        for tag, value in [*tags, (279, page.nbytes)]:
            ifd += struct.pack(byteorder + "HHII", tag, 4, 1, value)
        ifd += struct.pack(byteorder + "I", following if number + 1 < len(pages) else 0)
        offsets.append(at)
        body += ifd + page.astype(byteorder + "u2").tobytes()
        at = following
    index = struct.pack(byteorder + "II", 3453623, len(rows))
    for *place, number in rows:
        index += struct.pack(byteorder + "5I", *place, offsets[number] if number is not None else 1)
    header = (b"II*\0" if byteorder == "<" else b"MM\0*") + struct.pack(byteorder + "I", head)
    more = struct.pack(byteorder + "8I", 54773648, at if index_at is None else index_at, 0, 0, 0, 0, 2355492, len(text))
    return (header + more + text).ljust(head, b"\0") + body + index


def pages_of(*shape):
    """Return pixels of which no two pages are alike."""
    return np.random.default_rng(1).integers(0, 1 << 12, (*shape, 4, 5)).astype("u2")


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("time_first", [True, False])
@pytest.mark.parametrize("slices_first", [True, False])
def test_index_map(tmp_path, byteorder, time_first, slices_first):
    """Planes are where the index map says, whatever their order; the order of the axes is the summary's."""
    sizes = {"C": 2, "Z": 3, "T": 2, "R": 2}
    letters = ("TR" if time_first else "RT") + ("ZC" if slices_first else "CZ")
    pixels = pages_of(*(sizes[letter] for letter in letters))
    flat = pixels.reshape(-1, 4, 5)
    order = np.random.default_rng(2).permutation(len(flat))
    rows = []
    for number, plane in enumerate(order):
        place = dict(zip(letters, np.unravel_index(plane, pixels.shape[:4]), strict=True))
        rows.append((*(int(place[letter]) for letter in "CZTR"), number))
    about = {
        "TimeFirst": time_first,
        "SlicesFirst": slices_first,
        "z-step_um": 0.5,
        "Interval_ms": 250,
        "PixelSize_um": 0.1,
        "ChNames": ["GFP", "Cy5"],
    }
    (tmp_path / "a.tif").write_bytes(micromanager(flat[order], rows, about, byteorder))
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert img.hyperstack.axes == letters + "YX"
        assert img.hyperstack.channels == ("GFP", "Cy5")
        assert img.resolution == {"Z": (0.5, "µm"), "T": (0.25, "s"), "Y": (0.1, "µm"), "X": (0.1, "µm")}
        assert_same(img.hyperstack.copy(), pixels)
    with lazytiff.open(tmp_path / "a.tif", mmap=True) as img:
        assert_same(np.array(img.hyperstack[...], "u2"), pixels)


def test_planes_that_are_not_there(tmp_path):
    """What the summary declares and nobody wrote is missing."""
    pixels = pages_of(3)
    rows = [(0, 0, t, 0, t) for t in range(3)]
    (tmp_path / "a.tif").write_bytes(micromanager(pixels, rows, {"Frames": 5}))
    with lazytiff.open(tmp_path / "a.tif") as img:
        hyper = img.hyperstack
        assert (hyper.axes, hyper.shape, hyper.missing) == ("TYX", (5, 4, 5), 2)
        assert_same(hyper[:3], pixels)
        with pytest.raises(lazytiff.MissingPlaneError, match="plane T=3"):
            hyper[3]


@pytest.mark.parametrize("prefix", [{"Prefix": "run"}, {}])
@pytest.mark.parametrize("opened", range(3))
def test_parts(tmp_path, prefix, opened):
    """Parts of a stack are found beside the one that is opened, and numbered as their names are."""
    pixels = pages_of(12, 2)
    names = ["run_MMStack.ome.tif", "run_MMStack_1.ome.tif", "run_MMStack_10.ome.tif"]
    for name, begin in zip(names, (0, 5, 8), strict=True):
        end = {0: 5, 5: 8, 8: 12}[begin]
        rows = [(c, 0, t, 0, (t - begin) * 2 + c) for t in range(begin, end) for c in range(2)]
        about = {"Frames": 12, "Channels": 2, **prefix}
        (tmp_path / name).write_bytes(micromanager(pixels[begin:end].reshape(-1, 4, 5), rows, about))
    (tmp_path / "run_MMStack_2.ome.tif").write_bytes(b"no TIFF")
    (tmp_path / "other_MMStack.ome.tif").write_bytes((tmp_path / names[0]).read_bytes())
    with lazytiff.open(tmp_path / names[opened]) as img:
        assert len(img) == (10, 6, 8)[opened]
        hyper = img.hyperstack
        assert (hyper.axes, hyper.missing) == ("TCYX", 0)
        assert_same(hyper.copy(), pixels)
        assert_same(hyper[6, 1], pixels[6, 1])
    (tmp_path / names[1]).unlink()
    with lazytiff.open(tmp_path / names[0]) as img:
        assert img.hyperstack.missing == 6
        with pytest.raises(lazytiff.MissingPlaneError, match="plane T=5, C=0 is not there: none of the 2 files"):
            img.hyperstack[5]


def two_parts(folder):
    """Write a set of two parts, and return the first one's path and the pixels of all."""
    pixels = pages_of(4)
    for number, name in enumerate(["run_MMStack.ome.tif", "run_MMStack_1.ome.tif"]):
        rows = [(0, 0, 2 * number + t, 0, t) for t in range(2)]
        (folder / name).write_bytes(micromanager(pixels[2 * number :][:2], rows, {"Frames": 4}))
    return folder / "run_MMStack.ome.tif", pixels


def test_part_without_pages(tmp_path):
    """A part that has a header and no page yet has no planes, and harms no others."""
    path, pixels = two_parts(tmp_path)
    begun = bytearray(micromanager(pixels[:1], [(0, 0, 3, 0, 0)], {"Frames": 4}))
    begun[4:8] = bytes(4)
    (tmp_path / "run_MMStack_2.ome.tif").write_bytes(begun)
    with lazytiff.open(path) as img:
        assert_same(img.hyperstack.copy(), pixels)


def test_hyperstack_outlives_the_name(tmp_path):
    """The hyperstack of a set is usable when nobody holds the array any more that it was made of."""
    path, pixels = two_parts(tmp_path)
    hyper = lazytiff.open(path).hyperstack
    gc.collect()
    assert_same(hyper.copy(), pixels)
    assert_same(hyper.filled(0).copy(), pixels)


@pytest.mark.parametrize(
    "summary", [{"Frames": 1 << 40}, {"Frames": "x"}, {"Interval_ms": 10**4000}, {"ChNames": 5}, {"Positions": True}]
)
def test_senseless_summaries(tmp_path, summary):
    """A summary that makes no sense harms nothing."""
    pixels = pages_of(2)
    (tmp_path / "a.tif").write_bytes(micromanager(pixels, [(0, 0, 0, 0, 0), (0, 0, 1, 0, 1)], summary))
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert_same(img.hyperstack.copy(), pixels)
        assert img.resolution == {}


def test_index_map_elsewhere(tmp_path):
    """An index map that tells of no page, or lies beyond the file, is no index map."""
    pixels = pages_of(2)
    for index_at in (1 << 31, (1 << 32) - 1, 0):
        (tmp_path / "a.tif").write_bytes(micromanager(pixels, [(0, 0, 0, 0, 0)], index_at=index_at))
        with lazytiff.open(tmp_path / "a.tif") as img:
            assert img.hyperstack is img
    (tmp_path / "a.tif").write_bytes(micromanager(pixels, [(0, 0, 0, 0, 1), (0, 0, 1, 0, None)]))
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert_same(img.hyperstack.filled(3)[...], np.stack([pixels[1], np.full((4, 5), 3, "u2")]))


@pytest.mark.parametrize("name", ["*MMStack*.tif", "renamed_internalfilenames.ome.tif"])
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")  # Micro-Manager's IFDs lie at odd offsets
def test_corpus(name):
    """Axes, sizes and planes of Micro-Manager's own files are those that tifffile finds."""
    paths = sorted(corpus().glob(f"files/**/{name}")) if corpus() else []
    if not paths:
        pytest.skip("no corpus")
    for path in paths:
        with lazytiff.open(path) as img, tifffile.TiffFile(path) as tif:
            data, ifds = path.read_bytes(), np.array([page.offset for page in tif.pages], "u8")
            big_endian = tif.byteorder == ">"
            found = _micromanager.read(lambda at, n, data=data: data[at : at + n], len(data), big_endian=big_endian)
            dimensions, series = found.dimensions(ifds).squeezed(), tif.series[0]
            assert dimensions.letters + "YX" == series.axes
            assert dimensions.sizes == series.shape[:-2]
            planes = np.stack([img[int(number)] for number in dimensions.planes.ravel()])
            assert_same(planes.reshape(series.shape), series.asarray())


def begun(ifds, **summary):
    """Return what is read of a summary of two pages, whose IFDs are said to be at ifds."""
    file = micromanager(pages_of(2), [(0, 0, 0, 0, 0), (0, 0, 1, 0, 1)], summary)
    found = _micromanager.read(lambda at, n: file[at : at + n], len(file), big_endian=False)
    return found, found.dimensions(np.array(ifds, "u8"))


def test_no_pages():
    """A file, or part of a set, that has an index map and no pages has none of the planes."""
    found, alone = begun([])
    assert alone.planes.ravel().tolist() == [-1, -1]
    ifds = found.index[:, 4].astype("u8")
    none = np.array([], "u8")
    assert _micromanager.merged([(found, none), (found, ifds)]).planes.ravel().tolist() == [0, 1]


def test_a_plane_that_is_told_of_twice():
    """The last entry of a plane whose page is there counts."""
    file = micromanager(pages_of(2), [(0, 0, 0, 0, 0), (0, 0, 0, 0, 1)])
    found = _micromanager.read(lambda at, n: file[at : at + n], len(file), big_endian=False)
    offsets = found.index[:, 4].astype("u8")
    assert found.dimensions(offsets).planes.ravel().tolist() == [1]
    assert found.dimensions(offsets[:1]).planes.ravel().tolist() == [0]


def test_numbers_as_texts():
    """Numbers may be texts; what is no number, no distance above 0, or True, is none."""
    said = begun([100, 200], Frames="3", Interval_ms="250", PixelSize_um="0.1", **{"z-step_um": "0.5"})[1]
    assert said.sizes == (3, 1, 1, 1)
    assert said.steps == {"Z": (0.5, "µm"), "T": (0.25, "s"), "Y": (0.1, "µm"), "X": (0.1, "µm")}
    for value in (True, "", "nan", "inf", "-1", "9" * 5000, 0, -1, None, [1], 5e-324):
        assert "T" not in begun([100, 200], Interval_ms=value)[1].steps


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_header(data):
    """Whatever is changed in a header, it is understood or it is none."""
    file = bytearray(micromanager(pages_of(2), [(0, 0, 0, 0, 0), (0, 0, 1, 0, 1)]))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(file) - 1) | st.integers(8, 40) | st.integers(len(file) - 48, len(file) - 1))
        some = data.draw(st.binary(min_size=1, max_size=4))
        file[at : at + len(some)] = some
    file = bytes(file[: data.draw(st.integers(0, len(file)) | st.just(len(file)))])

    def read(offset, length):
        assert offset >= 0
        assert offset + length <= len(file)
        return file[offset : offset + length]

    found = _micromanager.read(read, len(file), big_endian=data.draw(st.booleans()))
    if found is not None:
        dimensions = found.dimensions(np.array([10, 20], "u8"))
        assert dimensions is None or dimensions.planes.max() <= 1
