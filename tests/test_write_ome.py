"""OME-TIFF files written page by page: valid OME-XML with the right axes at every number of pages."""

from __future__ import annotations

import os
import re
import time

import counted
import helper
import numpy as np
import ome_types
import pytest
import tifffile

import lazytiff

ROWS, COLUMNS = 9, 30
FORMS = {
    "uint8": ("u1", 1, {}),
    "uint16 strips": ("<u2", 1, {"chunk_shape": 4}),
    "int16 big-endian": (">i2", 1, {}),
    "int8": ("i1", 1, {"bigtiff": True}),
    "int32": ("<i4", 1, {"bigtiff": False}),
    "uint32": (">u4", 1, {"bigtiff": True}),
    "float": ("<f4", 1, {"compression": "deflate", "predictor": 3}),
    "double": (">f8", 1, {}),
    "complex": ("<c8", 1, {}),
    "double-complex": ("<c16", 1, {}),
    "bit": ("?", 1, {}),
    "uint8 rgb": ("u1", 3, {}),
    "uint16 tiles": ("<u2", 1, {"compression": "lzw", "chunk_shape": (16, 16)}),
}
AXES = {
    "T": {},
    "Z": {},
    "C": {},
    "TZ": {"Z": 3},
    "ZT": {"T": 2},
    "TC": {"C": 2},
    "CT": {"T": 2},
    "TZC": {"Z": 2, "C": 2},
    "ZTC": {"T": 2, "C": 2},
    "CZT": {"Z": 2, "T": 2},
}


@pytest.fixture
def path(tmp_path):
    """Return the path of the file to be made."""
    return tmp_path / "stack.ome.tif"


def make_pages(form, count):
    """Make pages of that form."""
    return counted.make_pages(FORMS[form], count, ROWS, COLUMNS)


def pixels_of(path):
    """Return what the valid OME-XML of a file says of its only image."""
    text = counted.description(path)[0].rstrip(b"\0").decode()
    ome = ome_types.from_xml(text)
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", ome.uuid)
    assert ome.creator == f"lazytiff v{lazytiff.__version__}"
    assert len(ome.images) == 1
    return ome.images[0].pixels


def check(path, axes, sizes, pages):
    """Check the XML, and what tifffile makes of a file with these pages."""
    per = int(np.prod(list(sizes.values()), dtype=int))
    steps = max(len(pages) // per, 1)
    expected = dict(zip(axes, (steps, *sizes.values()), strict=True))
    assert counted.digits("ome", path) == steps
    assert counted.pages(path) == len(pages)
    described = pixels_of(path)
    samples = pages.shape[3] if pages.ndim == 4 else 1
    assert (described.size_x, described.size_y) == (pages.shape[2], pages.shape[1])
    assert (described.size_t, described.size_z) == (expected.get("T", 1), expected.get("Z", 1))
    assert described.size_c == expected.get("C", 1) * samples
    order = described.dimension_order.value[:1:-1]
    assert [letter for letter in order if letter in axes] == list(axes)
    letters, shape, pixels, kind, complaints = counted.series(path)
    assert kind == "ome"
    kept = [letter for letter in axes if expected[letter] > 1]
    assert letters == "".join(kept) + "YX" + "S" * (samples > 1)
    assert shape == (*(expected[letter] for letter in kept), *pages.shape[1:])
    assert bool(complaints) == (
        steps * per != len(pages)
    )  # missing planes are zeros, and those of no whole step left out
    flat = pixels.reshape(-1, *pages.shape[1:])
    there = min(len(pages), steps * per)
    assert np.array_equal(flat[:there], pages[:there])
    assert not flat[there:].any()


@pytest.mark.parametrize("form", FORMS)
def test_every_number_of_pages(form, path):
    """The XML is valid, and the axes, shape and pixels are right, whatever the number of pages."""
    dtype, _, options = FORMS[form]
    pages = make_pages(form, 9)
    metadata = {"axes": "TZC", "sizes": {"Z": 2, "C": 2}}
    with lazytiff.empty(path, dtype, ome=True, metadata=metadata, **options) as out:
        for count, page in enumerate(pages, 1):
            out.append(page)
            check(path, "TZC", metadata["sizes"], pages[:count])
        helper.assert_same(out[:], pages.astype(pages.dtype.newbyteorder("=")))
    assert pixels_of(path).type.value == form.split()[0]
    assert pixels_of(path).big_endian == (dtype[0] == ">")


@pytest.mark.parametrize("axes", AXES)
def test_axes(axes, path):
    """T, Z and C in any order; the slowest grows. Metadata alone are OME's."""
    pages = make_pages("uint16 strips", 9)
    with lazytiff.empty(path, "<u2", metadata={"axes": axes + "YX", "sizes": AXES[axes]}) as out:
        for count, page in enumerate(pages, 1):
            out.append(page)
            check(path, axes, AXES[axes], pages[:count])


def test_metadata(path):
    """Distances, names and units are where OME has them, whatever letters they have."""
    metadata = {"axes": "TZC", "sizes": {"Z": 2, "C": 2}, "spacing": 2, "unit": "um", "pixel_size": (0.5, 0.25)}
    metadata |= {"interval": 0.125, "name": "<a> & \"b\" 'c' ä", "channels": ["GFP & <x>", '日 "2"']}
    with lazytiff.empty(path, "u2", ome=True, metadata=metadata) as out:
        out.append(make_pages("uint16 strips", 1)[0])
    found = pixels_of(path)
    assert (found.physical_size_x, found.physical_size_y, found.physical_size_z) == (0.25, 0.5, 2.0)
    assert found.physical_size_x_unit.value == found.physical_size_z_unit.value == "µm"
    assert (found.time_increment, found.time_increment_unit.value) == (0.125, "s")
    assert [(channel.name, channel.samples_per_pixel) for channel in found.channels] == [
        ("GFP & <x>", 1),
        ('日 "2"', 1),
    ]
    text = counted.description(path)[0].rstrip(b"\0").decode()
    assert ome_types.from_xml(text).images[0].name == metadata["name"]
    assert len(found.tiff_data_blocks) == 1


@pytest.mark.parametrize("unit", ["nm", "mm", "pixel", "Å", "in", "dam", "m"])
def test_units(unit, path):
    """The units of lengths that OME has."""
    lazytiff.save(path, np.zeros((9, 9), "u1"), metadata={"pixel_size": 3, "unit": unit})
    assert pixels_of(path).physical_size_x_unit.value == unit


def test_rgb(path):
    """Samples are channels that lie in one plane."""
    stack = helper.pixels((2, 3, ROWS, COLUMNS, 3), "u1")
    lazytiff.save(path, stack, ome=True, axes="TCYXS", metadata={"channels": ["a", "b", "c"]})
    found = pixels_of(path)
    assert (found.size_c, found.interleaved, [channel.samples_per_pixel for channel in found.channels]) == (
        9,
        True,
        [3] * 3,
    )
    axes, shape, pixels, _, complaints = counted.series(path)
    assert (axes, shape, complaints) == ("TCYXS", stack.shape, [])
    helper.assert_same(pixels, stack)


@pytest.mark.parametrize("form", ["uint8", "int16 big-endian", "uint16 tiles", "int8"])
def test_resumed(form, path):
    """Who goes on with the file goes on counting without being told, and sets right what was cut off."""
    pages = make_pages(form, 9)
    metadata = {"axes": "ZT", "sizes": {"T": 2}, "name": "same"}
    with lazytiff.empty(path, FORMS[form][0], metadata=metadata, **FORMS[form][2]) as out:
        out.extend(pages[:5])
    text, place = counted.description(path)
    with path.open("r+b") as file:
        file.seek(place + text.index(b"00000002"))
        file.write(b"00000001")
    with lazytiff.open(path, "a") as out:
        check(path, "ZT", {"T": 2}, pages[:5])
        for count in range(6, 10):
            out.append(pages[count - 1])
            check(path, "ZT", {"T": 2}, pages[:count])
    size = os.path.getsize(path)
    with lazytiff.open(path, "a", metadata=metadata):
        assert os.path.getsize(path) == size


def test_resumed_rgb(path):
    """Samples are no channels that are counted."""
    pages = make_pages("uint8 rgb", 6)
    metadata = {"axes": "TC", "sizes": {"C": 2}}
    with lazytiff.empty(path, "u1", metadata=metadata) as out:
        out.extend(pages[:3])
    with lazytiff.open(path, "a") as out:
        out.extend(pages[3:])
    check(path, "TC", {"C": 2}, pages)


def test_distances(path):
    """Pages lie at equal distances, so that they map as one array."""
    pages = make_pages("uint16 strips", 20)
    with lazytiff.empty(path, "<u2", ome=True, chunk_shape=4) as out:
        out.extend(pages[:10])
    with lazytiff.open(path, "a") as out:
        out.extend(pages[10:])
    helper.assert_one_map(path, pages)


def test_promoted(sparse_path):
    """A file that outgrows 4 GiB goes on counting in the one place that both of its chains share."""
    pages = make_pages("uint8", 12)
    with lazytiff.empty(sparse_path, "u1", metadata={"axes": "TC", "sizes": {"C": 2}}) as out:
        out.extend(pages[:3])
    os.truncate(sparse_path, (1 << 32) - 1200)
    with lazytiff.open(sparse_path, "a") as out:
        assert "32-bit" in str(out)
        for page in pages[3:]:
            out.append(page)
            assert counted.digits("ome", sparse_path) == len(out) // 2
        assert "64-bit" in str(out)
    axes, shape, pixels, _, complaints = counted.series(sparse_path)
    assert (axes, shape, complaints) == ("TCYX", (6, 2, ROWS, COLUMNS), [])
    assert np.array_equal(pixels.reshape(pages.shape), pages)


@pytest.mark.parametrize("bigtiff", [False, True, "auto"])
def test_redescribed(bigtiff, path):
    """A plain file, or one of our own with other axes, becomes an OME-TIFF file on request, in either chain."""
    pages = make_pages("uint8", 8)
    lazytiff.save(path, pages[:3], bigtiff=bigtiff)
    with lazytiff.open(path) as reader:
        with lazytiff.open(path, "a", ome=True, metadata={"axes": "TC", "sizes": {"C": 3}}) as out:
            check(path, "TC", {"C": 3}, pages[:3])
            out.extend(pages[3:6])
            assert reader.refresh() == 3
        with lazytiff.open(path, "a", ome=True) as out:
            assert reader.refresh() == 0
            out.extend(pages[6:])
        assert reader.refresh() == 2
        helper.assert_same(reader[:], pages)
    check(path, "T", {}, pages)


def test_foreign(path):
    """Another program's file that tells of its pages stays as it is, and somebody says so."""
    pages = make_pages("uint8", 6)
    tifffile.imwrite(path, pages[:4].reshape(2, 2, ROWS, COLUMNS), ome=True, metadata={"axes": "TCYX"})
    with pytest.warns(lazytiff.TiffWarning, match="tells OME of 4 pages.*ome=True"):
        out = lazytiff.open(path, "a")
    out.append(pages[4])
    out.close()
    with lazytiff.open(path, "a", metadata={"axes": "TC", "sizes": {"C": 2}}) as out:
        out.append(pages[5])
    check(path, "TC", {"C": 2}, pages)


@pytest.mark.parametrize(
    "names",
    [
        {"channels": ['a SizeC="1" SizeT="00000002"', "b"]},
        {"channels": ["a", "20240101"], "name": ' SamplesPerPixel="2" SizeC="4"'},
        {"name": "<Pixels urn:uuid:0123456789ab"},
    ],
)
def test_names_are_no_sizes(names, path):
    """Names that look like attributes are names for whoever goes on with the file."""
    pages = make_pages("uint8", 7)
    metadata = {"axes": "TC", "sizes": {"C": 2}, **names}
    with lazytiff.empty(path, "u1", metadata=metadata) as out:
        out.extend(pages[:4])
    before = path.read_bytes()
    lazytiff.open(path, "a", metadata=metadata).close()
    assert path.read_bytes() == before
    with lazytiff.open(path, "a") as out:
        out.extend(pages[4:])
    check(path, "TC", {"C": 2}, pages)


def test_another_name(path):
    """A name with eight digits, or a UUID, is not taken for what may differ."""
    lazytiff.save(path, make_pages("uint8", 2), metadata={"name": "20240101 urn:uuid:01"})
    for name in ("20240202 urn:uuid:01", "20240202 urn:uuid:02"):
        lazytiff.open(path, "a", metadata={"name": name}).close()
        assert f'Name="{name}"' in lazytiff.open(path).tags["ImageDescription"]


def test_hostile_description(path):
    """A description that never ends its tags is looked through once, not once for each of them."""
    lazytiff.save(path, make_pages("uint8", 2), description="openmicroscopy.org/Schemas/OME " + "<Pixels " * 500_000)
    begin = time.process_time()
    lazytiff.open(path, "a").close()
    assert time.process_time() - begin < 5


REFUSED = {
    "float16": ({"dtype": "f2", "ome": True}, ValueError, "no pixels of float16"),
    "uint64": ({"dtype": "u8", "ome": True}, ValueError, "no pixels of uint64"),
    "unknown key": ({"metadata": {"pixelsize": 1}}, ValueError, "knows no 'pixelsize'; it knows axes, sizes, spacing"),
    "no dict": ({"metadata": "TZC"}, TypeError, "must be a dict"),
    "axes": ({"metadata": {"axes": "TQ"}}, ValueError, "each one of T, Z and C once"),
    "axes twice": ({"metadata": {"axes": "TT"}}, ValueError, "each one of T, Z and C once"),
    "no axes": ({"metadata": {"axes": "YX"}}, ValueError, "each one of T, Z and C once"),
    "no text": ({"metadata": {"axes": 3}}, TypeError, "must be a str"),
    "no sizes": ({"metadata": {"axes": "TC"}}, ValueError, r"of \['C'\], not of \[\]"),
    "the slowest's size": ({"metadata": {"axes": "T", "sizes": {"T": 3}}}, ValueError, "which grows"),
    "size 0": ({"metadata": {"axes": "TC", "sizes": {"C": 0}}}, ValueError, "from 1 to"),
    "sizes": ({"metadata": {"sizes": 3}}, TypeError, "sizes must be a dict"),
    "size": ({"metadata": {"axes": "TC", "sizes": {"C": 1.5}}}, TypeError, "float"),
    "spacing": ({"metadata": {"spacing": -1}}, ValueError, "spacing must be a positive number"),
    "infinite": ({"metadata": {"spacing": float("inf")}}, ValueError, "positive number"),
    "nan": ({"metadata": {"interval": float("nan")}}, ValueError, "positive number"),
    "word": ({"metadata": {"interval": "soon"}}, TypeError, "must be a number"),
    "digits": ({"metadata": {"interval": "3"}}, ValueError, "positive number"),
    "pixel_size": ({"metadata": {"pixel_size": (1, 2, 3)}}, ValueError, r"or \(y, x\)"),
    "huge": ({"metadata": {"spacing": 10**400}}, ValueError, "positive number"),
    "bytes": ({"metadata": {"spacing": b"3"}}, ValueError, "positive number"),
    "NumPy's bool": ({"metadata": {"interval": np.True_}}, ValueError, "positive number"),
    "many channels": ({"metadata": {"axes": "TC", "sizes": {"C": 1 << 20}}}, ValueError, "65536 channels"),
    "no channels": ({"metadata": {"channels": None}}, TypeError, "a list of names"),
    "unit": ({"metadata": {"unit": "parsnip"}}, ValueError, "unit is one of"),
    "name": ({"metadata": {"name": "a\nb"}}, ValueError, "cannot be printed"),
    "control": ({"metadata": {"name": "a\x01b"}}, ValueError, "cannot be printed"),
    "half a letter": ({"metadata": {"name": "a\ud800b"}}, ValueError, "cannot be printed"),
    "channels": ({"metadata": {"axes": "TC", "sizes": {"C": 2}, "channels": ["a"]}}, ValueError, "1 names for 2"),
    "growing channels": ({"metadata": {"axes": "C", "channels": ["a"]}}, ValueError, "their number grows"),
    "one str": ({"metadata": {"channels": "abc"}}, TypeError, "a list of names"),
    "description": ({"description": "mine", "ome": True}, ValueError, "ImageDescription is there twice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, path):
    """What means nothing makes no file, and the error says what would."""
    options, kind, match = REFUSED[name]
    with pytest.raises(kind, match=match):
        lazytiff.empty(path, **{"dtype": "u1", **options})
    assert not path.exists()


def test_pages_that_do_not_go(path):
    """Axes that end with YXS are those of pages with samples; samples are not counted among growing channels."""
    with lazytiff.empty(path, "u1", metadata={"axes": "TYXS"}) as out, pytest.raises(ValueError, match="1 sample"):
        out.append(np.zeros((9, 9), "u1"))
    path.unlink()
    with lazytiff.empty(path, "u1", metadata={"axes": "C"}) as out, pytest.raises(ValueError, match="slowest"):
        out.append(np.zeros((9, 9, 3), "u1"))


# ---- save


class Lazy:
    """An array of several axes that counts what is asked of it."""

    def __init__(self, array, chunks=None, axes=None):
        self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, []
        if chunks:
            self.chunks = chunks
        if axes:
            self.axes = axes

    def __getitem__(self, key):
        self.asked.append(key)
        return self.array[key]


@pytest.mark.parametrize("chunks", [None, (1, 1, 2, ROWS, COLUMNS), (3, 2, 4, 1, 1)])
def test_save_lazily(chunks, path):
    """Arrays that are computed piece by piece are asked for each page once, in the order of the file."""
    stack = helper.pixels((3, 2, 4, ROWS, COLUMNS), "u2")
    lazy = Lazy(stack, chunks, "TZCYX")
    lazytiff.save(path, lazy, ome=True)
    axes, shape, pixels, _, complaints = counted.series(path)
    assert (axes, shape, complaints) == ("TZCYX", stack.shape, [])
    helper.assert_same(pixels, stack)
    found = [(t, z, c) for t, z, part in lazy.asked for c in range(*part.indices(4))]
    assert found == list(np.ndindex(3, 2, 4))


def test_save_channels(path):
    """Channels that nothing is slower than have names, since all of them are known; pages to come are another time."""
    stack = helper.pixels((3, ROWS, COLUMNS), "u2")
    lazytiff.save(path, stack, metadata={"axes": "CYX", "channels": ["a", "b", "c"]})
    assert [channel.name for channel in pixels_of(path).channels] == ["a", "b", "c"]
    assert counted.series(path)[:2] == ("CYX", stack.shape)
    with lazytiff.open(path, "a") as out:
        out.extend(stack)
    assert counted.series(path)[:2] == ("TCYX", (2, *stack.shape))


def test_save_dask(path):
    """So are dask's."""
    array = pytest.importorskip("dask.array")
    stack = helper.pixels((3, 2, ROWS, COLUMNS), "u2")
    lazytiff.save(path, array.from_array(stack, chunks=(1, 2, 5, 30)), metadata={"axes": "TZ"})
    helper.assert_same(counted.series(path)[2], stack)


@pytest.mark.parametrize(
    ("shape", "options", "match"),
    [
        ((2, 2, 2, ROWS, COLUMNS), {}, "letters of all axes must be given"),
        ((2, 2, ROWS, COLUMNS), {}, "letters of all axes must be given"),
        ((2, 2, ROWS, COLUMNS), {"axes": "TZCYX"}, "letters of all axes must be given"),
        ((2, 3, ROWS, COLUMNS), {"axes": "TZYX", "metadata": {"sizes": {"Z": 2}}}, "sizes says 'Z': 2"),
        ((2, 3, ROWS, COLUMNS), {"axes": "TTYX"}, "once"),
        ((2, 3, ROWS, COLUMNS), {"axes": "QRYX"}, "once"),
    ],
)
def test_save_refused(shape, options, match, path):
    """Axes of which nobody knows what they are, or that are not the array's, are no file's."""
    with pytest.raises(ValueError, match=match):
        lazytiff.save(path, np.zeros(shape, "u1"), ome=True, **options)
    assert not path.exists()
