"""Axes, sizes, resolution and hyperstack: what files say of their pages, whoever wrote them."""

import gc
import logging
import os
import time
import uuid
import warnings
import weakref

import numpy as np
import pytest
import tifffile
from helper import assert_same, corpus

import lazytiff
from lazytiff import _described

pytestmark = pytest.mark.filterwarnings("ignore:.*a tag occurs twice:lazytiff.TiffWarning")
FOLDER = corpus()


def stack(*shape, dtype="u2", seed=0):
    """Return pixels of which no two pages are alike."""
    return np.random.default_rng(seed).integers(0, 1 << 12, shape).astype(dtype)


# ---- ImageJ


@pytest.mark.parametrize("mmap", [False, True])
def test_imagej(tmp_path, mmap):
    """An ImageJ hyperstack has ImageJ's axes, its spacing, interval and unit."""
    pixels = stack(4, 3, 2, 8, 9)
    about = {"axes": "TZCYX", "spacing": 0.5, "unit": "um", "finterval": 2.5}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(4.0, 5.0), metadata=about)
    with lazytiff.open(tmp_path / "a.tif", mmap=mmap) as img:
        assert (img.shape, img.axes) == ((24, 8, 9), "IYX")
        assert img.sizes == {"T": 4, "Z": 3, "C": 2, "Y": 8, "X": 9}
        expected = {"Y": (0.2, "µm"), "X": (0.25, "µm"), "Z": (0.5, "µm"), "T": (2.5, "s")}
        assert img.resolution == expected
        hyper = img.hyperstack
        assert (hyper.shape, hyper.axes, hyper.sizes) == (pixels.shape, "TZCYX", img.sizes)
        assert hyper.resolution == expected
        assert_same(np.array(hyper[...], "=u2"), pixels)
        assert_same(np.array(hyper[2, 1], "=u2"), pixels[2, 1])


@pytest.mark.parametrize(("axes", "shape"), [("TYX", (5, 8, 9)), ("ZYX", (5, 8, 9)), ("CYX", (5, 8, 9))])
def test_one_named_axis(tmp_path, axes, shape):
    """Where pages run along one axis only, it is the array's own, and the hyperstack is the array."""
    tifffile.imwrite(tmp_path / "a.tif", stack(*shape), imagej=True, metadata={"axes": axes})
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert img.axes == axes
        assert img.hyperstack is img
        assert img.sizes == dict(zip(axes, shape, strict=True))
        assert repr(img) == f"<LazyTiff 'a.tif' uint16 (5, 8, 9) {axes}, none>"


def test_nothing_is_read_unasked(tmp_path, monkeypatch):
    """The description is read when it is asked for: not to open, to index, or to tell the array's shape."""
    tifffile.imwrite(tmp_path / "a.ome.tif", stack(3, 8, 9), ome=True, metadata={"axes": "TYX"})
    asked = []
    monkeypatch.setattr(_described, "description", lambda file: asked.append(file) or b"")
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        _ = img.shape, img[1], len(img), repr(img), img.explain(), img.copy(), img.pages[0]
        assert not asked
        _ = img.axes, img.sizes, img.hyperstack, img.resolution, img.axes
        assert len(asked) == 1


def test_after_close(tmp_path):
    """What is known of a closed array stays known; what is not raises, but for its letters."""
    tifffile.imwrite(tmp_path / "a.ome.tif", stack(3, 8, 9), ome=True, metadata={"axes": "TYX"})
    with lazytiff.open(tmp_path / "a.ome.tif") as known:
        _ = known.axes
    with lazytiff.open(tmp_path / "a.ome.tif") as unknown:
        pass
    assert (known.axes, unknown.axes) == ("TYX", "IYX")
    assert known.sizes == {"T": 3, "Y": 8, "X": 9}
    for name in ("sizes", "resolution", "hyperstack"):
        with pytest.raises(lazytiff.ClosedError):
            getattr(unknown, name)


def test_damaged_xml(tmp_path):
    """Damaged OME-XML raises where it is needed, and its pages have their letters and pixels all the same."""
    write_ome(tmp_path / "a.ome.tif", stack(3, 8, 9), "<OME><Image></OME>")
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        assert img.axes == "IYX"
        for name in ("sizes", "resolution", "hyperstack"):
            with pytest.raises(lazytiff.CorruptTiffError, match=r"a\.ome\.tif: its OME-XML is damaged"):
                getattr(img, name)
        assert_same(img[...], stack(3, 8, 9))


def test_imagej_colour(tmp_path):
    """RGB pages keep their samples."""
    pixels = stack(4, 3, 8, 9, 3, dtype="u1")
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "TZYXS"})
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert img.hyperstack.axes == "TZYXS"
        assert_same(img.hyperstack.copy(), pixels)


@pytest.mark.parametrize("mmap", [False, True])
def test_frames_without_ifds(tmp_path, mmap):
    """A stack of one IFD and raw frames behind it, as ImageJ writes above 4 GB, has all its axes."""
    pixels = stack(3, 2, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, truncate=True, metadata={"axes": "TCYX"})
    with lazytiff.open(tmp_path / "a.tif", mmap=mmap) as img:
        assert (len(img), img.hyperstack.axes) == (6, "TCYX")
        assert_same(np.array(img.hyperstack[...], "=u2"), pixels)
        assert np.shares_memory(img.hyperstack[1], img[3]) == mmap


# ---- tifffile's shaped description


def test_shaped(tmp_path):
    """Its description gives its axes; those of length one stay, as tifffile leaves them."""
    pixels = stack(3, 1, 2, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata={"axes": "TZCYX"})
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert img.hyperstack.axes == "TZCYX"
        assert_same(img.hyperstack.copy(), pixels)
    tifffile.imwrite(tmp_path / "b.tif", pixels[:, 0, 0], photometric="minisblack")
    with lazytiff.open(tmp_path / "b.tif") as img:
        assert img.axes == "IYX"
        assert img.hyperstack is img


# ---- OME


def test_ome(tmp_path):
    """OME-XML gives axes, names of channels, physical sizes and the time between images."""
    pixels = stack(3, 2, 4, 8, 9)
    about = {
        "axes": "TCZYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 200,
        "PhysicalSizeYUnit": "nm",
        "TimeIncrement": 1.5,
        "TimeIncrementUnit": "min",
        "Channel": {"Name": ["GFP", "DAPI"]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, metadata=about)
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        assert img.hyperstack.axes == "TCZYX"
        assert img.hyperstack.channels == ("GFP", "DAPI")
        assert img.resolution == {"Y": (200.0, "nm"), "X": (0.25, "µm"), "T": (1.5, "min")}
        assert_same(img.hyperstack.copy(), pixels)


def ome_xml(sizes, order, data, own=None, images=1):
    """Return OME-XML of images of 8 rows and 9 columns, with these elements TiffData (one text for each image)."""
    texts = [data] if images == 1 else data
    counts = " ".join(f'Size{letter}="{sizes.get(letter, 1)}"' for letter in "CZT")
    elements = "".join(
        f'<Image ID="Image:{n}"><Pixels ID="Pixels:{n}" DimensionOrder="{order}" Type="uint16" SizeX="9" SizeY="8" '
        f'{counts}><Channel ID="Channel:{n}:0" SamplesPerPixel="1"/>{text}</Pixels></Image>'
        for n, text in enumerate(texts)
    )
    name = f' UUID="{own}"' if own else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{name}>{elements}</OME>'
    )


def tiff_data(ifd, place, file=None):
    """Return a TiffData element for one plane, in another file where that is (name, UUID)."""
    firsts = "".join(f' First{letter}="{number}"' for letter, number in place.items())
    inner = f'<UUID FileName="{file[0]}">{file[1]}</UUID>' if file else ""
    return f'<TiffData IFD="{ifd}" PlaneCount="1"{firsts}>{inner}</TiffData>'


def write_ome(path, pixels, xml):
    """Write pages with that description."""
    tifffile.imwrite(path, pixels, photometric="minisblack", description=xml, metadata=None)


def test_order_that_is_no_permutation(tmp_path):
    """TiffData may put planes anywhere."""
    pixels, order = stack(6, 8, 9), [3, 0, 5, 1, 2, 4]
    places = [{"T": t, "C": c} for t in range(3) for c in range(2)]
    data = "".join(tiff_data(ifd, place) for ifd, place in zip(order, places, strict=True))
    write_ome(tmp_path / "a.ome.tif", pixels, ome_xml({"T": 3, "C": 2}, "XYCZT", data))
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        assert img.hyperstack.axes == "TCYX"
        assert_same(img.hyperstack.copy(), pixels[order].reshape(3, 2, 8, 9))
        assert_same(img[...], pixels)


def test_planes_without_pages(tmp_path):
    """Planes that the XML tells of and the file does not have raise, or are filled."""
    pixels = stack(3, 8, 9)
    write_ome(tmp_path / "a.ome.tif", pixels, ome_xml({"T": 2, "Z": 2}, "XYZCT", "<TiffData/>"))
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        hyper = img.hyperstack
        assert (hyper.shape, hyper.missing) == ((2, 2, 8, 9), 1)
        assert_same(hyper[0], pixels[:2])
        with pytest.raises(lazytiff.MissingPlaneError, match=r"plane T=1, Z=1 is not there: .*a\.ome\.tif has 3 pages"):
            hyper[1]
        assert_same(hyper.filled(7)[1], np.stack([pixels[2], np.full((8, 9), 7, "u2")]))


def test_several_images(tmp_path):
    """The hyperstack is of the first image; a stack of other pages is of the image that these belong to."""
    pixels, small = stack(4, 8, 9), stack(2, 8, 9, dtype="u1")
    data = [
        "".join(tiff_data(ifd, {"T": ifd}) for ifd in range(4)),
        "".join(tiff_data(4 + z, {"T": z}) for z in range(2)),
    ]
    xml = ome_xml({"T": 4}, "XYCZT", data, images=2).replace('SizeT="4"', 'SizeT="4"', 1)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as out:
        out.write(pixels, photometric="minisblack", description=xml, metadata=None)
        out.write(small, photometric="minisblack", metadata=None)
    with lazytiff.TiffFile(tmp_path / "a.ome.tif") as tif:
        first, second = tif.stacks
        assert first.axes == "TYX"
        assert second.hyperstack.axes == "TYX"
        assert_same(first.hyperstack.copy(), pixels)
        assert_same(second.hyperstack.filled()[:2], small)
        one, two = tif.images
        assert_same(one.copy(), pixels)
        assert_same(two.filled()[:2], small)
        assert (two.axes, two.missing) == ("TYX", 2)
    with pytest.raises(lazytiff.ClosedError):
        one[0]


def test_images_of_one_frame_type(tmp_path):
    """Images whose pages look alike, as positions do, are apart."""
    pixels = stack(2, 3, 8, 9)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as out:
        for position in pixels:
            out.write(position, photometric="minisblack", metadata={"axes": "ZYX"})
    with lazytiff.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert [image.axes for image in tif.images] == ["ZYX", "ZYX"]
        for image, position in zip(tif.images, pixels, strict=True):
            assert_same(image.copy(), position)
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        assert (len(img), img.sizes["Z"]) == (6, 3)


def test_images_of_other_files(tmp_path):
    """Files without OME-XML have the hyperstacks of their stacks as images."""
    tifffile.imwrite(tmp_path / "a.tif", stack(3, 2, 8, 9), imagej=True, metadata={"axes": "TCYX"})
    with lazytiff.TiffFile(tmp_path / "a.tif") as tif:
        (image,) = tif.images
        assert_same(image.copy(), stack(3, 2, 8, 9))


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": False}])
def test_levels(tmp_path, options):
    """The reduced levels of a pyramid have the same axes, and larger pixels."""
    pixels = stack(3, 2, 64, 48)
    about = {"axes": "TCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=options.get("ome", False)) as out:
        out.write(pixels, subifds=1, photometric="minisblack", tile=(16, 16), metadata=about)
        out.write(pixels[..., ::2, ::2], subfiletype=1, photometric="minisblack", tile=(16, 16), metadata=None)
    with lazytiff.open(tmp_path / "a.tif") as img:
        full, half = img.levels
        assert full is img
        assert (half.hyperstack.axes, half.hyperstack.shape) == ("TCYX", (3, 2, 32, 24))
        assert_same(half.hyperstack.copy(), pixels[..., ::2, ::2])
        if "ome" in options:
            assert half.resolution == {"Y": (0.5, "µm"), "X": (1.0, "µm")}


class Set:
    """A set of OME-TIFF files of one time point with two channels each."""

    def __init__(self, folder, count=3, master=None):
        self.folder, self.pixels = folder, stack(count, 2, 8, 9)
        self.names = [f"part_{number}.ome.tif" for number in range(count)]
        self.uuids = [f"urn:uuid:{uuid.UUID(int=number + 1)}" for number in range(count)]
        self.data = "".join(
            tiff_data(c, {"T": t, "C": c}, (self.names[t], self.uuids[t])) for t in range(count) for c in range(2)
        )
        for number, name in enumerate(self.names):
            write_ome(folder / name, self.pixels[number], self.xml(number, master))

    def xml(self, number, master):
        """Return the description of that file: the whole, or where it is."""
        own = self.uuids[number]
        if master in (None, self.names[number]):
            return ome_xml({"T": len(self.names), "C": 2}, "XYCZT", self.data, own)
        space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
        uuid_of = f' UUID="{self.uuids[0] if master in self.names else uuid.UUID(int=99).urn}"'
        inner = f'<BinaryOnly MetadataFile="{master}"{uuid_of}/>'
        return f'<?xml version="1.0"?><OME xmlns="{space}" UUID="{own}">{inner}</OME>'


@pytest.mark.parametrize("master", [None, "part_0.ome.tif"])
@pytest.mark.parametrize("opened", range(3))
def test_ome_set(tmp_path, master, opened):
    """Whichever file of a set is opened, its hyperstack has the planes of all, and the array its own pages."""
    made = Set(tmp_path, master=master)
    with lazytiff.open(tmp_path / made.names[opened]) as img:
        assert_same(img[...], made.pixels[opened])
        hyper = img.hyperstack
        assert (hyper.axes, img.sizes) == ("TCYX", {"T": 3, "C": 2, "Y": 8, "X": 9})
        assert_same(hyper.copy(), made.pixels)
        assert img.hyperstack.base is hyper.base
    with pytest.raises(lazytiff.ClosedError):
        hyper[0]


def test_hyperstack_keeps_its_files(tmp_path):
    """A hyperstack can be had from an array that nobody keeps."""
    made = Set(tmp_path)
    hyper = lazytiff.open(tmp_path / made.names[1]).hyperstack
    gc.collect()
    assert_same(hyper.copy(), made.pixels)
    assert_same(hyper.filled(1).copy(), made.pixels)


def test_freed_at_once(tmp_path):
    """Arrays, hyperstacks and the files of their sets are freed when nobody has them any more, without a collector."""
    made = Set(tmp_path)
    paths = [str(tmp_path / name) for name in made.names]
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        for opened in (made.names[0], paths, [paths[0]]):
            img = lazytiff.open(tmp_path / opened if isinstance(opened, str) else opened)
            _ = img.hyperstack[...], img.axes, img[0]
            alive = weakref.ref(img)
            del img, _
            assert alive() is None
        assert not before or len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


def test_every_array_has_them(tmp_path):
    """Programs need not know whether there is a description: without one, nothing has names and nothing is missing."""
    tifffile.imwrite(tmp_path / "a.tif", stack(3, 8, 9), metadata=None, photometric="minisblack")
    about = {"axes": "TYX", "Channel": {"Name": ["GFP"]}}
    tifffile.imwrite(tmp_path / "b.ome.tif", stack(3, 8, 9), ome=True, photometric="minisblack", metadata=about)
    with lazytiff.open(tmp_path / "a.tif") as plain, lazytiff.open(tmp_path / "b.ome.tif") as named:
        many = lazytiff.open([tmp_path / "a.tif"])
        for array in (plain, many, plain.pages[0], lazytiff.concatenate([plain, plain])):
            assert array.hyperstack.filled(3) is array
            assert (array.channels, array.missing, array.hyperstack.channels) == ((), 0, ())
            assert array.sizes == dict(zip(array.axes, array.shape, strict=True))
            with pytest.raises(ValueError, match="'x' is no value of uint16"):
                array.filled("x")
        assert named.hyperstack is named
        assert named.channels == lazytiff.stack([named, named]).channels == ("GFP",)
        many.close()


@pytest.mark.parametrize("kind", [{"ome": True}, {"imagej": True}])
@pytest.mark.parametrize("what", [lambda img: img, lambda img: img.hyperstack])
def test_save_takes_over(tmp_path, kind, what):
    """What is saved with axes has those of the array's description, its distances, and in OME its channels' names."""
    pixels = stack(2, 3, 2, 8, 9)
    about = {"axes": "TZC", "sizes": {"Z": 3, "C": 2}, "spacing": 0.5, "pixel_size": (0.2, 0.25), "interval": 3.0}
    lazytiff.save(tmp_path / "a.ome.tif", pixels, metadata={**about, "channels": ["GFP", "DAPI"]})
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        lazytiff.save(tmp_path / "b.tif", what(img), **kind)
        lazytiff.save(tmp_path / "c.tif", what(img), **kind, metadata={"spacing": 2, "unit": "nm", "interval": 1})
    with lazytiff.open(tmp_path / "b.tif") as img, lazytiff.open(tmp_path / "c.tif") as other:
        assert_same(img.hyperstack.copy(), pixels)
        expected = {"Y": (0.2, "µm"), "X": (0.25, "µm"), "Z": (0.5, "µm"), "T": (3.0, "s")}
        assert {axis: (pytest.approx(value), unit) for axis, (value, unit) in img.resolution.items()} == expected
        assert img.channels == (("GFP", "DAPI") if "ome" in kind else ())
        assert other.resolution == {"Z": (2.0, "nm"), "T": (1.0, "s")}


def test_chosen_pages(tmp_path):
    """Chosen pages that are not all of the stack have no names; those of the whole, in another order, have."""
    pixels = stack(3, 2, 8, 9)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, photometric="minisblack", metadata={"axes": "TCYX"})
    with lazytiff.open(tmp_path / "a.ome.tif", pages=slice(1, 4)) as img:
        assert img.hyperstack is img
        assert img.axes == "IYX"
    with lazytiff.open(tmp_path / "a.ome.tif", pages=slice(None, None, -1)) as img:
        assert img.hyperstack.axes == "TCYX"
        assert_same(img.hyperstack.copy(), pixels)
    with lazytiff.open(tmp_path / "a.ome.tif", pages=3) as img:
        assert (img.axes, img.sizes) == ("YX", {"Y": 8, "X": 9})


def test_growing(tmp_path):
    """The axes of an array that grows are those of the pages that it has."""
    pixels = stack(7, 8, 9)
    about = {"axes": "TZ", "sizes": {"Z": 2}}
    with lazytiff.empty(tmp_path / "a.ome.tif", "u2", ome=True, metadata=about) as out:
        assert out.sizes == {"I": 0, "Y": 0, "X": 0}
        out.extend(pixels[:4])
        with lazytiff.open(tmp_path / "a.ome.tif") as img:
            assert out.sizes == img.sizes == {"T": 2, "Z": 2, "Y": 8, "X": 9}
            out.extend(pixels[4:])
            assert img.sizes["T"] == 2
            img.refresh()
            assert out.sizes == img.sizes == {"T": 3, "Z": 2, "Y": 8, "X": 9}
            assert_same(img.hyperstack.copy(), pixels[:6].reshape(3, 2, 8, 9))
            assert_same(out.hyperstack.copy(), pixels[:6].reshape(3, 2, 8, 9))


def test_companion(tmp_path):
    """The description of a set may be in a companion file, which is no TIFF."""
    made = Set(tmp_path, master="set.companion.ome")
    companion = ome_xml({"T": 3, "C": 2}, "XYCZT", made.data)
    (tmp_path / "set.companion.ome").write_text(companion, encoding="utf-8")
    with lazytiff.open(tmp_path / made.names[2]) as img:
        assert_same(img.hyperstack.copy(), made.pixels)
    (tmp_path / "set.companion.ome").unlink()
    with lazytiff.open(tmp_path / made.names[2]) as img:
        with pytest.warns(lazytiff.TiffWarning, match=r"set\.companion\.ome, which is to tell of the axes"):
            assert img.hyperstack is img
        assert_same(img[...], made.pixels[2])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("name", ["set.companion.ome", "set.ome.tif"])
def test_companion_that_is_a_pipe(tmp_path, name):
    """A pipe, a device or a folder in a companion's place is refused, and not waited for."""
    made = Set(tmp_path, master=name)
    os.mkfifo(tmp_path / name)
    with lazytiff.open(tmp_path / made.names[2]) as img:
        with pytest.raises(lazytiff.NotTiffError, match=r"a pipe \(FIFO\), not a file"):
            _ = img.hyperstack
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to(os.devnull)
        with pytest.raises(lazytiff.NotTiffError):
            _ = img.hyperstack
        assert img.axes == "IYX"


def counted_parts(count, name):
    """Return TiffData of so many files of that name, each of which must be counted, for it tells of no PlaneCount."""
    return "".join(
        f'<TiffData FirstT="{n}"><UUID FileName="{name}">{uuid.UUID(int=n).urn}</UUID></TiffData>' for n in range(count)
    )


@pytest.mark.parametrize("name", ["a.ome.tif", "gone.ome.tif"])
def test_many_parts(tmp_path, name):
    """Time grows with the number of a set's files, and not with its square."""
    xml = ome_xml({"T": 30_000}, "XYCZT", counted_parts(30_000, name), uuid.UUID(int=0).urn)
    write_ome(tmp_path / "a.ome.tif", stack(2, 8, 9), xml)
    begin = time.monotonic()
    with lazytiff.open(tmp_path / "a.ome.tif") as img, warnings.catch_warnings():
        warnings.simplefilter("ignore", lazytiff.TiffWarning)
        assert img.hyperstack.shape == (30_000, 8, 9)
    assert time.monotonic() - begin < 10  # it takes 0.2 s; it took minutes


def test_many_images_of_many_planes(tmp_path):
    """More planes than a file may have pages are refused, in however many images."""
    texts = ["<TiffData/>"] * 1000
    xml = ome_xml({"T": 4000, "Z": 4000}, "XYCZT", texts, images=1000).replace('SizeX="9"', 'SizeX="7"')
    write_ome(tmp_path / "a.ome.tif", stack(2, 8, 9), xml)
    with (
        lazytiff.open(tmp_path / "a.ome.tif") as img,
        pytest.raises(lazytiff.LimitError, match="its OME-XML has 16000000000 planes"),
    ):
        _ = img.hyperstack


def test_text_that_speaks_of_ome(tmp_path):
    """A description of another kind with an OME element in its text is what it is."""
    text = "ImageJ=1.53\nimages=6\nslices=3\nframes=2\nInfo=was <OME> before\n"
    tifffile.imwrite(tmp_path / "a.tif", stack(6, 8, 9), description=text, metadata=None)
    with lazytiff.open(tmp_path / "a.tif") as img:
        assert img.sizes == {"T": 2, "Z": 3, "Y": 8, "X": 9}


def test_hostile_neighbour(tmp_path):
    """A file that is looked into for its UUID does not take long, whatever its description."""
    made = Set(tmp_path)
    (tmp_path / made.names[1]).rename(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "w.tif", np.zeros((2, 2), "u1"), description="<OME " * 1_000_000, metadata=None)
    begin = time.monotonic()
    with lazytiff.open(tmp_path / made.names[0]) as img:
        assert_same(img.hyperstack.copy(), made.pixels)
    assert time.monotonic() - begin < 10


def test_renamed_files(tmp_path):
    """Files that were renamed are found by their UUIDs."""
    made = Set(tmp_path)
    for number, name in enumerate(made.names):
        (tmp_path / name).rename(tmp_path / f"x{number}.tif")
    with lazytiff.open(tmp_path / "x1.tif") as img:
        assert_same(img.hyperstack.copy(), made.pixels)


def test_exchanged_names(tmp_path):
    """A file that has another one's name is not taken for it."""
    made = Set(tmp_path)
    (tmp_path / made.names[1]).rename(tmp_path / "x")
    (tmp_path / made.names[2]).rename(tmp_path / made.names[1])
    (tmp_path / "x").rename(tmp_path / made.names[2])
    with lazytiff.open(tmp_path / made.names[0]) as img:
        assert_same(img.hyperstack[0], made.pixels[0])
        with pytest.raises(
            lazytiff.CorruptTiffError, match=r"part_1\.ome\.tif: its UUID is .* is another file of that name"
        ):
            img.hyperstack[1]


def test_missing_part(tmp_path):
    """A part that is not there is named, when the set is looked for and when one of its planes is touched."""
    made = Set(tmp_path)
    (tmp_path / made.names[1]).unlink()
    with lazytiff.open(tmp_path / made.names[0]) as img:
        with pytest.warns(lazytiff.TiffWarning, match=r"part_1\.ome\.tif, of the same set, is not beside it"):
            hyper = img.hyperstack
        assert (hyper.shape, hyper.missing) == ((3, 2, 8, 9), 2)
        assert_same(hyper[2], made.pixels[2])
        with pytest.raises(
            lazytiff.MissingPlaneError, match=r"plane T=1, C=0 is not there: part_1\.ome\.tif is not beside"
        ):
            hyper[...]
        assert_same(hyper.filled(1)[1], np.ones((2, 8, 9), "u2"))


def test_missing_part_of_several_planes(tmp_path):
    """A part that is not there is named, too, where one TiffData tells of all its planes."""
    pixels = stack(2, 8, 9)
    data = "<TiffData/>" + '<TiffData IFD="0" FirstT="1" PlaneCount="2"><UUID FileName="b.tif">x</UUID></TiffData>'
    xml = ome_xml({"T": 2, "C": 2}, "XYCZT", data)
    write_ome(tmp_path / "a.ome.tif", pixels, xml)
    with lazytiff.open(tmp_path / "a.ome.tif") as img:
        with pytest.warns(lazytiff.TiffWarning, match=r"b\.tif, of the same set"):
            hyper = img.hyperstack
        assert_same(hyper[0], pixels)
        with pytest.raises(lazytiff.MissingPlaneError, match=r"b\.tif is not beside this file"):
            hyper[1]


def test_short_part(tmp_path):
    """A part with fewer pages than the description tells of is named when it is touched, and harms no other."""
    made = Set(tmp_path)
    write_ome(tmp_path / made.names[1], made.pixels[1, :1], made.xml(1, None))
    with lazytiff.open(tmp_path / made.names[0]) as img:
        assert_same(img.hyperstack[2], made.pixels[2])
        with pytest.raises(lazytiff.MissingPlaneError, match=r"part_1\.ome\.tif: it has 1 pages, and .* tells of 2"):
            img.hyperstack[1]


def test_damaged_neighbours(tmp_path):
    """Files of the folder that are looked into for one that was renamed warn nobody of what is wrong with them."""
    made = Set(tmp_path)
    (tmp_path / made.names[1]).rename(tmp_path / "renamed.tif")
    tifffile.imwrite(tmp_path / "0.tif", stack(8, 9), description="a", photometric="minisblack")  # a tag occurs twice
    (tmp_path / "1.tif").write_bytes(b"II*\0")
    with lazytiff.open(tmp_path / made.names[0]) as img, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(img.hyperstack.copy(), made.pixels)


def test_paths_lead_no_further(tmp_path):
    """A description's path leads to no other folder than the file's."""
    (tmp_path / "in").mkdir()
    outside = Set(tmp_path, count=2)
    data = outside.data.replace('FileName="', 'FileName="../')
    write_ome(tmp_path / "in" / "a.ome.tif", outside.pixels[0], ome_xml({"T": 2, "C": 2}, "XYCZT", data))
    with lazytiff.open(tmp_path / "in" / "a.ome.tif") as img, warnings.catch_warnings():
        warnings.simplefilter("ignore", lazytiff.TiffWarning)
        assert img.hyperstack is img


def test_in_memory(tmp_path):
    """A file in memory has no folder: what it does not have itself is missing."""
    made = Set(tmp_path)
    with lazytiff.open((tmp_path / made.names[0]).read_bytes()) as img, warnings.catch_warnings():
        warnings.simplefilter("ignore", lazytiff.TiffWarning)
        hyper = img.hyperstack
        assert hyper is img or hyper.missing == 4


# ---- Whatever files there are


def expected_series(path):
    """Return what tifffile says of a file's series."""
    logging.disable(logging.CRITICAL)
    try:
        with tifffile.TiffFile(path) as tif:
            kinds = [kind for kind in ("ome", "imagej", "shaped", "micromanager") if getattr(tif, f"is_{kind}")]
            return [(series.kind, series.axes, series.asarray()) for series in tif.series] if kinds else []
    finally:
        logging.disable(logging.NOTSET)


def described_files():
    """Return the files of the corpus that have a description of one of these kinds somewhere."""
    files = [] if FOLDER is None else sorted((FOLDER / "files").rglob("*.tif*"))
    marks = (b"ImageJ=", b"<OME ", b'{"shape"')
    return [path for path in files if any(mark in path.read_bytes() for mark in marks)]


@pytest.mark.skipif(FOLDER is None, reason="there is no corpus (LAZYTIFF_CORPUS)")
@pytest.mark.filterwarnings("ignore::lazytiff.TiffWarning")
@pytest.mark.parametrize("path", described_files(), ids=lambda path: path.name)
def test_corpus(path):
    """Axes, shape and pixels are tifffile's, but for parts of OME-TIFF sets, which have those of the whole set."""
    (kind, axes, pixels), *others = expected_series(path)
    with lazytiff.open(path) as img:
        hyper = img.hyperstack
        found = hyper.copy()
    if kind == "generic":
        names = {"companion": "ZYX", "master": "ZYX", "multi_image_node": "TCYX"}
        assert hyper.axes == names[path.parent.name]
        return
    assert (hyper.axes, found.shape) == (axes, pixels.shape)
    assert_same(found, pixels)
    with lazytiff.TiffFile(path) as tif:
        if kind == "ome":
            images = [(image.axes, image.copy()) for image in tif.images]
            assert [letters for letters, _ in images] == [axes, *(other[1] for other in others)]
            for (_, image), other in zip(images[1:], others, strict=True):
                assert_same(image, other[2])
