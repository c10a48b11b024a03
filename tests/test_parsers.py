"""The parsers of descriptions: what they understand, and that nothing that a file may say harms them."""

import json
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import tifffile
from helper import page, tiff
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lazytiff
from lazytiff import _imagej, _ome_xml, _shaped
from lazytiff._dimensions import Dimensions
from lazytiff._ome import OmeFile

# ---- ImageJ


@pytest.mark.parametrize("order", ["czt", "ctz", "zct", "ztc", "tcz", "tzc", "CZT"])
def test_imagej_orders(order):
    """The order is of the fastest axis first."""
    found = _imagej.read(f"ImageJ=1.53\nimages=24\nchannels=2\nslices=3\nframes=4\norder={order}\n", 24, 1)
    sizes = {"C": 2, "Z": 3, "T": 4}
    assert found.letters == order[::-1].upper()
    assert found.sizes == tuple(sizes[letter] for letter in found.letters)
    assert found.planes is None


def test_imagej_without_counts():
    """Pages without counts are pages of one axis without a name."""
    found = _imagej.read("ImageJ=\nspacing=-2\nunit=\\u00B5m\nfps=4", 7, 1)
    assert (found.letters, found.sizes) == ("I", (7,))
    assert found.steps == {"Z": (2.0, "µm"), "T": (0.25, "s")}


def test_imagej_units_of_axes():
    """Planes and time points may have units of their own."""
    found = _imagej.read("ImageJ=\nframes=2\nunit=mm\nzunit=um\nspacing=3\nfinterval=5\ntunit=min", 2, 1)
    assert found.steps == {"Z": (3.0, "µm"), "T": (5.0, "min")}
    found = _imagej.read("ImageJ=\nframes=2\nunit=mm\nspacing=3\nfinterval=5\ntunit=sec", 2, 1)
    assert found.steps == {"Z": (3.0, "mm"), "T": (5.0, "s")}


def test_imagej_counts_beyond_pages():
    """Counts are believed as far as there are pages: the slowest axis ends with the last of them."""
    found = _imagej.read("ImageJ=\nchannels=2\nslices=3\nframes=1000000", 9, 1)
    assert (found.letters, found.sizes) == ("TZC", (2, 3, 2))
    assert found.planes.ravel().tolist() == [*range(9), -1, -1, -1]
    assert _imagej.read("ImageJ=\nchannels=2\nslices=3\nframes=2", 5, 1) is None
    found = _imagej.read("ImageJ=\nframes=9999999999", 3, 1)
    assert found.planes.ravel().tolist() == [0, 1, 2]


def test_imagej_counts_behind_pages():
    """A count that stayed behind leaves pages out."""
    found = _imagej.read("ImageJ=\nchannels=2\nframes=3", 20, 1)
    assert (found.sizes, found.planes) == ((3, 1, 2), None)


def test_imagej_samples_as_channels():
    """Samples of colour pages that were counted as channels are none."""
    found = _imagej.read("ImageJ=\nchannels=3\nframes=4", 4, 3)
    assert (found.letters, found.sizes) == ("TZC", (4, 1, 1))


@pytest.mark.parametrize("value", ["0", "-1", "2147483648x", "1e3", "", "\u0663", "9" * 400])
def test_imagej_senseless_counts(value):
    """What is no number of planes makes the description say nothing."""
    assert _imagej.read(f"ImageJ=\nframes={value}\n", 5, 1) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unit=micron", "µm"),
        ("unit=um", "µm"),
        ("unit=\\u00B5m", "µm"),
        ("unit=µm", "µm"),
        ("unit=nm", "nm"),
        ("unit=pixel", None),
        ("unit= ", None),
        ("", None),
    ],
)
def test_imagej_units(text, expected):
    """Micrometres have many names, pixels are no unit."""
    assert _imagej.unit("ImageJ=1.0\n" + text) == expected
    assert _imagej.unit(text) is None


# ---- tifffile


@pytest.mark.parametrize(
    ("said", "pages", "shape", "expected"),
    [
        ({"shape": [2, 3, 8, 9]}, 6, (8, 9), ("JI", (2, 3))),
        ({"shape": [2, 3, 8, 9], "axes": "TZYX"}, 6, (8, 9), ("TZ", (2, 3))),
        ({"shape": [2, 3, 8, 9], "axes": "TTYX"}, 6, (8, 9), ("JI", (2, 3))),
        ({"shape": [2, 3, 8, 9], "axes": "tzyx"}, 6, (8, 9), ("JI", (2, 3))),
        ({"shape": [2, 3, 8, 9], "axes": "XTYX"}, 6, (8, 9), ("JI", (2, 3))),
        ({"shape": [4, 8, 9, 3]}, 4, (8, 9, 3), ("I", (4,))),
        ({"shape": [4, 3, 8, 9]}, 4, (8, 9, 3), ("I", (4,))),
        ({"shape": [4, 8, 9, 1]}, 4, (8, 9), ("I", (4,))),
        ({"shape": [8, 9]}, 1, (8, 9), ("", ())),
        ({"shape": [8, 9]}, 5, (8, 9), ("", ())),
        ({"shape": [5, 8, 9]}, 4, (8, 9), None),
        ({"shape": [4, 8, 8]}, 4, (8, 9), None),
        ({"shape": [True, 8, 9]}, 1, (8, 9), None),
        ({"shape": [-1, 8, 9]}, 1, (8, 9), None),
        ({"shape": [1.0, 8, 9]}, 1, (8, 9), None),
        ({"shape": "2x8x9"}, 2, (8, 9), None),
        ({"shape": [1] * 40 + [8, 9]}, 1, (8, 9), None),
        ([{"shape": [8, 9]}], 1, (8, 9), None),
    ],
)
def test_shaped(said, pages, shape, expected):
    """Axes before those of a page; without letters of their own they get some; what does not fit says nothing."""
    found = _shaped.read(json.dumps(said), pages, shape)
    assert (found and (found.letters, found.sizes)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"shape": ',
        '{"shape": ' + "[" * 30_000,
        '{"shape": [' + "9" * 5000 + "]}",
        '{"shape": [NaN]}',
        '{"shape": [8, 9]}' + " " * (1 << 17),
    ],
)
def test_shaped_bombs(text):
    """What is no JSON of tifffile's says nothing."""
    assert _shaped.read(text, 1, (8, 9)) is None


# ---- OME


def pixels_of(data, sizes='SizeC="2" SizeZ="1" SizeT="3"', order="XYCZT", channel=""):
    """Return OME-XML with one image."""
    return (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:own"><Image ID="Image:0">'
        f'<Pixels DimensionOrder="{order}" SizeX="9" SizeY="8" {sizes}>{channel}{data}</Pixels></Image></OME>'
    ).encode()


def places(data, count=6, **options):
    """Return the files of an image and, for each plane, its file and page."""
    (image,) = _ome_xml.parse(pixels_of(data, **options), "x.tif").images
    return image, *(found.tolist() for found in image.places(lambda _: count))


def test_ome_order():
    """Axes are those of DimensionOrder, the slowest first."""
    image, files, pages = places("<TiffData/>", order="XYTCZ")
    assert (image.dimensions.letters, image.dimensions.sizes, image.size) == ("ZCT", (1, 2, 3), (8, 9))
    assert pages == [[[0, 1, 2], [3, 4, 5]]]
    assert files == [[[0, 0, 0], [0, 0, 0]]]
    assert image.files == (OmeFile(None, None),)


def test_ome_blocks():
    """A block is one plane with IFD, all that follow without, and as many as it says."""
    _, _, pages = places('<TiffData IFD="4" FirstT="1"/><TiffData FirstT="2" IFD="1" PlaneCount="2"/>')
    assert pages == [[[-1, -1]], [[4, -1]], [[1, 2]]]
    _, _, pages = places('<TiffData NumPlanes="2" FirstT="1"/>')
    assert pages == [[[-1, -1]], [[0, 1]], [[-1, -1]]]
    _, files, pages = places('<TiffData FirstT="1"/>', count=3)
    assert pages == [[[-1, -1]], [[0, 1]], [[2, -1]]]
    assert files == [[[-1, -1]], [[0, 0]], [[0, -1]]]
    _, _, pages = places('<TiffData IFD="1" PlaneCount="99"/>')
    assert pages == [[[1, 2]], [[3, 4]], [[5, -1]]]


def test_ome_blocks_out_of_range():
    """Places that no plane has are left out."""
    _, _, pages = places('<TiffData IFD="0" FirstT="3"/><TiffData IFD="5" FirstC="2"/><TiffData IFD="3"/>')
    assert pages == [[[3, -1]], [[-1, -1]], [[-1, -1]]]


def test_ome_files_that_are_not_there():
    """Of a file that is not there as many planes are believed as it is said to have, where that is said."""
    data = '<TiffData IFD="7" PlaneCount="2" FirstT="1"><UUID FileName="a">x</UUID></TiffData>'
    _, files, pages = places(data, count=-1)
    assert (files, pages) == ([[[-1, -1]], [[0, 0]], [[-1, -1]]], [[[-1, -1]], [[7, 8]], [[-1, -1]]])
    assert places('<TiffData><UUID FileName="a">x</UUID></TiffData>', count=-1)[1] == [[[-1, -1]]] * 3
    tracemalloc.start()
    data = data.replace('PlaneCount="2"', 'PlaneCount="16777216"')
    assert np.shape(places(data, count=-1, sizes='SizeT="16777216"')[1]) == (1, 1, 1)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_ome_files():
    """Files are told apart by name and UUID; the last block that tells of a plane counts."""
    data = "".join(
        f'<TiffData IFD="{n}" FirstT="{n}"><UUID FileName="{name}">\n urn:uuid:{name} </UUID></TiffData>'
        for n, name in enumerate("aba")
    )
    image, files, _ = places(data + '<TiffData IFD="0" FirstT="0"><UUID FileName="c">x</UUID></TiffData>')
    assert image.files == (OmeFile("a", "urn:uuid:a"), OmeFile("b", "urn:uuid:b"), OmeFile("c", "x"))
    assert files == [[[2, -1]], [[1, -1]], [[0, -1]]]


def test_ome_samples():
    """Samples are no channels."""
    image, _, _ = places("", sizes='SizeC="6"', channel='<Channel Name="a" SamplesPerPixel="3"/><Channel Name="b"/>')
    assert (image.dimensions.sizes, image.samples, image.dimensions.channels) == ((1, 1, 2), 3, ("a", "b"))


def test_ome_without_data():
    """An image without TiffData has no planes here."""
    assert places("")[2] == [[[-1, -1]], [[-1, -1]], [[-1, -1]]]
    assert _ome_xml.parse(b'<OME><Image/><Image><Pixels SizeC="2"/></Image></OME>', "x").images[0].dimensions.sizes == (
        1,
        1,
        2,
    )


def test_ome_numbers_with_zeros():
    """Numbers may have leading zeros, as the schema's have."""
    image, _, _ = places("<TiffData/>", sizes='SizeC="1" SizeZ="1" SizeT="00000012"')
    assert image.dimensions.sizes == (12, 1, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_ome_encodings(encoding):
    """OME-XML is UTF-8; what some writers have in their Windows' code page is read too."""
    text = pixels_of(
        "", sizes='PhysicalSizeX="2" PhysicalSizeXUnit="µm" PhysicalSizeZ="-1" PhysicalSizeY="inf"'
    ).decode()
    assert _ome_xml.parse(text.encode(encoding), "x").images[0].dimensions.steps == {"X": (2.0, "µm")}


@pytest.mark.parametrize("prefix", ["", "ome:", "OME:"])
def test_ome_prefixes(prefix):
    """Elements may have a prefix."""
    text = (
        f'<?xml version="1.0"?><!-- words --><{prefix}OME><{prefix}BinaryOnly MetadataFile="m" UUID="u"/></{prefix}OME>'
    )
    assert _ome_xml.is_ome(text)
    ome = _ome_xml.parse(text.encode(), "x")
    assert (ome.metadata_file, ome.metadata_uuid, ome.images) == ("m", "u", [])


@pytest.mark.parametrize("text", ["", "ImageJ=1", "<HOME>", "<OMEGA>", "some words on OME", " " * (1 << 17) + "<OME>"])
def test_not_ome(text):
    """Other descriptions are not taken for OME-XML."""
    assert not _ome_xml.is_ome(text)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (b"<OME", lazytiff.CorruptTiffError, r"x\.tif: its OME-XML is damaged"),
        (b"<OME></Image>", lazytiff.CorruptTiffError, "mismatched tag"),
        (b"<OME>\0</OME>", lazytiff.CorruptTiffError, "damaged"),
        (b'<!DOCTYPE OME [<!ENTITY a "b">]><OME>&a;</OME>', lazytiff.CorruptTiffError, "document type"),
        (b'<!DOCTYPE OME SYSTEM "file:///etc/passwd"><OME/>', lazytiff.CorruptTiffError, "document type"),
        (b"<OME>&a;</OME>", lazytiff.CorruptTiffError, "undefined entity"),
        (pixels_of("", sizes='SizeC="1.5"'), lazytiff.CorruptTiffError, "SizeC='1.5', which is no number"),
        (pixels_of("", sizes='SizeT="0"'), lazytiff.CorruptTiffError, "SizeT='0'"),
        (pixels_of("", sizes='SizeT="-2147483648"'), lazytiff.CorruptTiffError, "SizeT='-2147483648'"),
        (pixels_of("", order="XYZ"), lazytiff.CorruptTiffError, "DimensionOrder='XYZ'"),
        (pixels_of("", order="CZTXY"), lazytiff.CorruptTiffError, "DimensionOrder='CZTXY'"),
        (pixels_of('<TiffData IFD="a"/>'), lazytiff.CorruptTiffError, "IFD='a'"),
        (b"<OME>" + b"<a>" * 80, lazytiff.LimitError, "64 deep"),
    ],
)
def test_ome_errors(text, error, match):
    """What breaks the rules is said, with the name of the file."""
    with pytest.raises(error, match=match) as caught:
        _ome_xml.parse(text, "x.tif")
    assert "x.tif" in str(caught.value)


def test_ome_many_planes():
    """A number of planes that no file has is refused before room is made for them."""
    (image,) = _ome_xml.parse(pixels_of("<TiffData/>", sizes='SizeT="2147483648"'), "x").images
    with pytest.raises(lazytiff.LimitError, match="has 2147483648 planes"):
        image.places(lambda _: 1)


def test_ome_planes_again_and_again():
    """Blocks that all tell of all planes are refused."""
    data = '<TiffData IFD="0" PlaneCount="10000"/>' * 1000
    (image,) = _ome_xml.parse(pixels_of(data, sizes='SizeT="10000"'), "x").images
    with pytest.raises(lazytiff.LimitError, match="again and again"):
        image.places(lambda _: 10000)


@pytest.mark.parametrize("data", ["<TiffData/>", '<TiffData IFD="0" PlaneCount="16777216"/>', '<TiffData IFD="0"/>'])
def test_ome_many_more_planes(data):
    """Of many more planes than there are pages, the slowest axis has those steps that have some."""
    tracemalloc.start()
    _, files, pages = places(data, count=5, sizes='SizeC="2" SizeT="8388608"')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    last = 1 if 'IFD="0"/' in data else 5
    assert np.ravel(pages).tolist() == [*range(last), -1]
    assert len(files) == -(-last // 2)
    assert peak < 1 << 20
    (image,) = _ome_xml.parse(pixels_of('<TiffData IFD="0" FirstT="8000000"/>', sizes='SizeT="8388608"'), "x").images
    with pytest.raises(lazytiff.LimitError, match="has 8000001 planes, and tells where 1 are"):
        image.places(lambda _: 5)


BOMBS = {
    "nested": b"<OME>" + b"<a>" * 5_000_000,
    "elements": b"<OME>" + b"<a/>" * 4_000_000,
    "images": b"<OME>" + b"<Image><Pixels/></Image>" * 600_000,
    "data": pixels_of("")[:-24] + b"<TiffData/>" * 1_400_000,
    "attributes": b"<OME><a " + b" ".join(b'a%d=""' % n for n in range(1_200_000)),
    "value": b'<OME UUID="' + b"a" * (15 << 20) + b'"/>',
    "text": b"<OME>" + b"a" * (15 << 20) + b"</OME>",
    "uuid": pixels_of("<TiffData><UUID>" + "a" * (15 << 20) + "</UUID></TiffData>"),
    "comment": b"<OME><!--" + b"a" * (15 << 20),
    "laughs": b'<!DOCTYPE a [<!ENTITY b "' + b"ha" * 1000 + b'"><!ENTITY c "' + b"&b;" * 1000 + b'">]><OME>&c;</OME>',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_ome_bombs(bomb, tmp_path):
    """A file with 16 MiB of senseless OME-XML costs a second and little memory, and its pages can be read."""
    (tmp_path / "a.tif").write_bytes(tiff(page(np.ones((8, 9), "u1"), tags={270: BOMBS[bomb].decode()})))
    program = f"""
import time, resource, lazytiff
img = lazytiff.open({str(tmp_path / "a.tif")!r})
lazytiff.open({str(tmp_path / "a.tif")!r}).pages
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (112 << 20),) * 2)
started = time.process_time()
try:
    hyper = img.hyperstack
except (lazytiff.CorruptTiffError, lazytiff.LimitError) as error:
    print("refused", str(error)[-300:])
else:
    print("understood", hyper.shape)
print(time.process_time() - started)
assert img.axes == "YX" and img[...].sum() == 72
"""
    ran = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    outcome, seconds = ran.stdout.splitlines()
    assert outcome.startswith("understood" if bomb in ("text", "uuid") else "refused")
    assert float(seconds) < 10  # of a second that it takes on a machine that has nothing else to do


@pytest.mark.slow
def test_ome_many_blocks():
    """100,000 TiffData elements are understood in a moment."""
    count = 100_000
    data = "".join(
        f'<TiffData IFD="{n}" FirstT="{n}" PlaneCount="1"><UUID FileName="a">urn:uuid:a</UUID></TiffData>'
        for n in range(count)
    )
    started = time.process_time()
    _, _, found = places(data, sizes=f'SizeT="{count}"')
    assert np.ravel(found).tolist() == list(range(count))
    assert time.process_time() - started < 10


# ---- Anything


WRITTEN = [
    pixels_of('<TiffData IFD="0" FirstT="1" PlaneCount="2"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>'),
    b"ImageJ=1.53t\nimages=24\nchannels=2\nslices=3\nframes=4\nhyperstack=true\nspacing=0.5\nunit=um\nfinterval=2",
    b'{"shape": [4, 3, 8, 9], "axes": "TZYX"}',
]


@settings(deadline=None, max_examples=600)
@given(data=st.data())
@example(data=None)
def test_anything(data):
    """Whatever is changed in a description, it is understood or refused by the documented errors."""
    if data is None:
        return
    text = bytearray(data.draw(st.sampled_from(WRITTEN)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"9" * 30, b"-", b"<a>", b"&", b'"', b"\n", b"=", b"[", b"1e999"]),
            )
        )
    words = bytes(text).decode("utf-8", "replace")
    for found in (_imagej.read(words, 24, 1), _shaped.read(words, 12, (8, 9))):
        assert found is None or (isinstance(found, Dimensions) and len(found.letters) == len(found.sizes))
    try:
        for image in _ome_xml.parse(bytes(text), "x.tif").images:
            image.places(lambda _: 5)
    except (lazytiff.CorruptTiffError, lazytiff.LimitError):
        pass


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_what_tifffile_writes(data, tmp_path_factory):
    """Axes and shapes of what tifffile writes are those that it reads."""
    letters = data.draw(st.sampled_from(["TZC", "TC", "ZC", "T", "TZ"]))
    shape = [data.draw(st.integers(2, 4)) for _ in letters]
    kind = data.draw(st.sampled_from(["imagej", "ome", "shaped"]))
    pixels = np.arange(np.prod(shape) * 6, dtype="u2").reshape(*shape, 2, 3)
    path = tmp_path_factory.mktemp("written") / "a.ome.tif"
    how = {"imagej": {"imagej": True}, "ome": {"ome": True}, "shaped": {"ome": False}}[kind]
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": letters + "YX"}, **how)
    with lazytiff.open(path) as img:
        assert img.hyperstack.axes == letters + "YX"
        assert np.array_equal(img.hyperstack[...], pixels)
