"""`save`: any array into a new file, whose name appears when it is complete."""

from __future__ import annotations

import os

import dask.array as da
import helper
import numpy as np
import pytest
import tifffile
from test_processes import run

import lazytiff

OPTIONS = {
    "plain": {},
    "compressed": {"compression": "deflate", "predictor": True, "chunk_shape": 5},
    "tiles": {"compression": "lzw", "chunk_shape": (16, 16)},
    "big": {"bigtiff": True},
    "for good": {"durability": "power"},
}


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made, alone in its folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "new.tif"


def remains(path):
    """Tell what is in the folder."""
    return sorted(entry.name for entry in path.parent.iterdir())


class Watched:
    """An array of (page, row, column) that counts what is asked of it, and may break in the middle."""

    def __init__(self, pixels, look, *, breaks_at=None):
        self.shape, self.dtype = pixels.shape, pixels.dtype
        self._pixels, self._look, self._breaks_at = pixels, look, breaks_at

    def __getitem__(self, key):
        self._look(key)
        if self._breaks_at is not None and key.stop > self._breaks_at:
            raise ZeroDivisionError
        return self._pixels[key]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["?", "u1", ">u2", "i4", "f4", "c8"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((21, 18), None),
        ((3, 21, 18), None),
        ((1, 21, 18), "IYX"),
        ((3, 21, 18, 4), None),
        ((21, 18, 3), "YXS"),
        ((2, 21, 18, 2), "IYXS"),
    ],
)
def test_arrays(shape, axes, dtype, options, path):
    """Two axes are one page, three are pages, four have samples, unless axes says it; tifffile reads the same."""
    kind = np.dtype(dtype).newbyteorder("=")
    pixels = helper.pixels(shape, kind)
    chosen = dict(OPTIONS[options])
    if kind.kind in "bc":
        chosen.pop("predictor", None)
    assert lazytiff.save(path, pixels.astype(dtype), axes=axes, **chosen) is None
    assert remains(path) == ["new.tif"]
    with lazytiff.open(path, squeeze="I" not in (axes or "IYX"[3 - len(shape) :])) as img:
        helper.assert_same(img.copy(), pixels)
    with tifffile.TiffFile(path) as oracle:
        assert oracle.is_bigtiff == (options == "big")
        assert len(oracle.pages) == (shape[0] if len(img.shape) - (img.axes[-1] == "S") == 3 else 1)
        found = np.stack([page.asarray() for page in oracle.pages])
    assert found.astype(kind).tobytes() == pixels.tobytes()
    if kind.kind != "b":
        assert np.array_equal(tifffile.imread(path).squeeze(), pixels.squeeze(), equal_nan=kind.kind in "fc")


def test_other_arrays(path):
    """Lists, dask's arrays, and our own with the axes that they have; Fortran order and negative strides."""
    pixels = helper.pixels((4, 6, 5), "u1")
    lazytiff.save(path.with_name("rgb.tif"), pixels[..., :3], axes="YXS", tags={"DocumentName": "rgb"})
    with lazytiff.open(path.with_name("rgb.tif")) as rgb:
        for number, (source, expected) in enumerate(
            [
                (pixels.tolist(), pixels.astype(int)),
                (da.from_array(pixels, chunks=(3, 4, 2)), pixels),
                (da.from_array(pixels, chunks=2)[:, ::-1], pixels[:, ::-1]),
                (np.asfortranarray(pixels), pixels),
                (pixels[::-1, ::2, ::-1], pixels[::-1, ::2, ::-1]),
                (memoryview(pixels), pixels),
                (np.broadcast_to(np.uint16(3), (2, 4, 5)), np.full((2, 4, 5), 3, "u2")),
            ]
        ):
            lazytiff.save(path.with_name(f"{number}.tif"), source)
            helper.assert_same(lazytiff.load(path.with_name(f"{number}.tif")), np.ascontiguousarray(expected))
        lazytiff.save(path, rgb)
    with lazytiff.open(path) as img:
        assert (img.axes, img.shape) == ("YXS", (4, 6, 3))
        helper.assert_same(img.copy(), np.ascontiguousarray(pixels[..., :3]))


def test_from_a_stack_that_grows(path):
    """An AppendTiff is an array like others, of the pages that it has when save begins."""
    with lazytiff.empty(path.with_name("old.tif"), "u2", compression="lzw") as out:
        out.extend(helper.pixels((3, 6, 5), "u2"))
        lazytiff.save(path, out, compression="deflate", tags={"Artist": "me"})
        helper.assert_same(lazytiff.load(path), out[...])
    with lazytiff.open(path) as img:
        assert (img.pages[2].compression, img.pages[2].tags["Artist"]) == ("deflate", "me")


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_name_appears_with_the_last_page(compression, path):
    """While the array is read there is no such name, and whoever lists the folder sees no TIFF file."""
    pixels = helper.pixels((200, 400, 500), "u2")
    asked = []

    def look(key):
        asked.append(key)
        assert not os.path.exists(path)
        assert not [name for name in remains(path) if name.endswith(".tif")]

    lazytiff.save(path, Watched(pixels, look), compression=compression)
    assert len(asked) > 1
    assert remains(path) == ["new.tif"]
    helper.assert_same(lazytiff.load(path), pixels)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("breaks_at", [0, 190])
def test_arrays_that_raise(breaks_at, compression, path):
    """What goes wrong in the array goes on, and nothing is left of the file."""
    pixels = helper.pixels((200, 400, 500), "u2")
    with pytest.raises(ZeroDivisionError):
        lazytiff.save(path, Watched(pixels, lambda _: None, breaks_at=breaks_at), compression=compression)
    assert remains(path) == []


def test_name_that_is_taken(path):
    """A file of that name is refused before anything is read of the array, and is left as it is; a late one, too."""
    path.write_bytes(b"precious")
    pixels = helper.pixels((3, 6, 5), "u2")
    asked = []
    helper.assert_refused(path, lambda: lazytiff.save(path, Watched(pixels, asked.append)), FileExistsError, "goes on")
    assert asked == []
    late = path.with_name("late.tif")
    helper.assert_refused(
        path, lambda: lazytiff.save(late, Watched(pixels, lambda _: late.write_bytes(b"x"))), FileExistsError, "late"
    )
    assert (late.read_bytes(), remains(path)) == (b"x", ["late.tif", "new.tif"])


@pytest.mark.parametrize(
    ("array", "options", "kind", "match"),
    [
        (np.zeros(4), {}, ValueError, r"shape \(4,\)"),
        (np.zeros((1, 2, 3, 4, 5)), {}, ValueError, "shape"),
        (np.zeros((0, 4, 5)), {}, ValueError, "at least one page"),
        (np.zeros((2, 0, 5)), {}, ValueError, "at least one pixel"),
        (np.zeros((3, 4, 5)), {"axes": "ZYX"}, ValueError, "axes 'ZYX'"),
        (np.zeros((3, 4, 5)), {"axes": "YX"}, ValueError, "axes 'YX'"),
        (np.zeros((3, 4), object), {}, TypeError, "dtype object"),
        (np.ma.masked_equal(np.zeros((3, 4)), 0), {}, ValueError, "masked values"),
        (None, {}, ValueError, "shape"),
        ((page for page in np.zeros((3, 4, 5))), {}, ValueError, "shape"),
        (np.zeros((3, 4, 5)), {"predictor": 3}, ValueError, "predictors go with"),
        (np.zeros((3, 4, 5), "u1"), {"photometric": "rgb"}, ValueError, "needs 3 samples"),
        (np.zeros((20, 30), "u1"), {"chunk_shape": (5, 16)}, ValueError, "multiples of 16"),
    ],
)
def test_what_no_file_holds(array, options, kind, match, path):
    """It is refused in words, and nothing is left."""
    with pytest.raises(kind, match=match):
        lazytiff.save(path, array, **options)
    assert remains(path) == []


def test_more_than_4_gib(path):
    """bigtiff=False: what does not fit is refused before its first byte, and nothing is left."""
    page = np.zeros((1 << 16, 1 << 16), "u1")  # which takes memory only where it is touched
    with pytest.raises(lazytiff.FileFullError, match="4 GiB"):
        lazytiff.save(path, page, bigtiff=False)
    assert remains(path) == []


MEMORY = """
import resource, sys
import numpy as np, lazytiff

class Large:
    shape, dtype = (100, 1024, 4096), np.dtype("u2")

    def __getitem__(self, key):
        count = len(range(*key.indices(100)))
        return np.random.default_rng(key.start).integers(0, 9, (count, *self.shape[1:]), "u2")

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
small = np.zeros((4, 256, 256), "u2")
lazytiff.save(sys.argv[1] + ".small", small, compression=sys.argv[2] or None)
before = peak()
lazytiff.save(sys.argv[1], Large(), compression=sys.argv[2] or None)
print(peak() - before)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no getrusage here")
@pytest.mark.parametrize("compression", ["", "zstd"])
def test_memory(compression, path):
    """800 MiB go through a few times 64 MiB: what is asked for at a time, and what waits to be encoded and written."""
    helper.needs_to_write(compression or None)
    assert int(run(MEMORY, path, compression)) < 400 << 20
