"""Tags of the pages of a stack that grows: which are where, and what tifffile reads of them."""

from __future__ import annotations

from datetime import datetime

import helper
import numpy as np
import pytest
import tifffile

import lazytiff

OWN = f"lazytiff v{lazytiff.__version__}"
PAGE = helper.pixels((6, 5), "u1")


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made."""
    return tmp_path / "new.tif"


def oracle_tags(path, number):
    """Return the values of a tag on every page as tifffile reads them; None where a page does not have it."""
    with tifffile.TiffFile(path) as oracle:
        return [page.tags[number].value if number in page.tags else None for page in oracle.pages]


@pytest.mark.parametrize("bigtiff", ["auto", False, True])
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_tags_of_the_file(compression, byteorder, bigtiff, path):
    """Names and numbers, with the standard's types or those that are given; every page has them."""
    tags = {
        "XResolution": 2.5,
        "YResolution": 1,
        "ResolutionUnit": "cm",
        "DateTime": datetime(2026, 7, 1, 12, 30, 5),  # noqa: DTZ001  # the tag has no time zone
        "Artist": "Jörg",
        "DocumentName": "a name that does not fit into the entry",
        65000: ("LONG", [1, 2, 3]),
        65001: np.arange(4, dtype="i2"),
        65002: ("DOUBLE", [0.25, -1e300]),
        65003: b"bytes",
        65004: ("SRATIONAL", [-0.5]),
        65005: np.float32(1.5),
    }
    expected = {
        282: (5, 2),
        283: (1, 1),
        296: 3,
        306: "2026:07:01 12:30:05",
        315: "Jörg",
        269: "a name that does not fit into the entry",
        65000: (1, 2, 3),
        65001: (0, 1, 2, 3),
        65002: (0.25, -1e300),
        65003: b"bytes",
        65004: (-1, 2),
        65005: 1.5,
        305: OWN,
    }
    with lazytiff.empty(path, f"{byteorder}u2", bigtiff=bigtiff, compression=compression, tags=tags) as out:
        out.extend(helper.pixels((4, 6, 5), "u2"))
        for page in out.pages:
            assert page.tags["XResolution"] == 2.5
            assert page.tags["Artist"] == "Jörg"
            assert page.tags[65000] == (1, 2, 3)
            assert page.tags[65001] == (0, 1, 2, 3)
            assert page.tags[65003] == b"bytes"
            assert page.tags[65004] == -0.5
    for number, value in expected.items():
        assert oracle_tags(path, number) == [value] * 4, number
    helper.assert_same(lazytiff.load(path), helper.pixels((4, 6, 5), "u2"))


def test_tags_of_pages(path):
    """A page's own tags are on that page alone, above those of all pages."""
    with lazytiff.empty(path, "u1", tags={"Artist": "all", 65000: ("LONG", 5)}) as out:
        out.append(PAGE, tags={"PageNumber": (0, 4), "Artist": "first"})
        out.append(PAGE)
        out.append(PAGE, tags={"Artist": "third", 65001: "x" * 5000})
        out.append(PAGE, tags={"PageNumber": (3, 4), "ImageDescription": "of this page"})
        out.append(PAGE, tags={})
        assert [page.tags["Artist"] for page in out.pages] == ["first", "all", "third", "all", "all"]
        assert [page.tags.get("PageNumber") for page in out.pages] == [(0, 4), None, None, (3, 4), None]
        assert (out[...] == PAGE).all()
    assert oracle_tags(path, 315) == ["first", "all", "third", "all", "all"]
    assert oracle_tags(path, 65000) == [5] * 5
    assert oracle_tags(path, 65001) == [None, None, "x" * 5000, None, None]
    assert oracle_tags(path, 270) == [None, None, None, "of this page", None]


@pytest.mark.parametrize("method", ["append", "extend", "save"])
@pytest.mark.parametrize("description", ["what it shows", "", b"bytes", "µm, αβγ", "long" * 5000])
def test_description(description, method, path):
    """It speaks of the whole stack: the first page has it, however that came, and no other."""
    pixels = np.stack([PAGE] * 3)
    if method == "save":
        lazytiff.save(path, pixels, description=description)
    else:
        with lazytiff.empty(path, "u1", description=description) as out:
            if method == "append":
                [out.append(page) for page in pixels]
            else:
                out.extend(pixels)
            assert out.tags["ImageDescription"] == (description if isinstance(description, str) else "bytes")
    text = description.decode() if isinstance(description, bytes) else description
    assert [value if value is None else value.strip("\0") for value in oracle_tags(path, 270)] == [text, None, None]


def test_description_of_the_page(path):
    """The first page's own ImageDescription stands above that of the stack."""
    with lazytiff.empty(path, "u1", description="of the stack") as out:
        out.append(PAGE, tags={270: "of the page"})
        out.append(PAGE)
        assert [page.tags.get(270) for page in out.pages] == ["of the page", None]


@pytest.mark.parametrize(
    ("software", "expected"),
    [
        (None, OWN),
        ("camera 1.0", f"camera 1.0;{OWN}"),
        (b"camera 1.0", f"camera 1.0;{OWN}"),
        (OWN, OWN),
        (f"camera;{OWN}", f"camera;{OWN}"),
    ],
)
def test_software(software, expected, path):
    """It is stamped, behind what the user says, on every page."""
    with lazytiff.empty(path, "u1", tags={} if software is None else {"Software": software}) as out:
        out.extend([PAGE, PAGE])
        out.append(PAGE, tags={"Software": "of this page"})
    assert oracle_tags(path, 305) == [expected, expected, "of this page"]


@pytest.mark.parametrize("dtype", ["?", "u1", "u2"])
def test_palette(dtype, path):
    """A ColorMap of as many colours as the samples can tell apart."""
    bits = 1 if dtype == "?" else 8 * np.dtype(dtype).itemsize
    colours = helper.pixels((3, 1 << bits), "u2")
    pixels = helper.pixels((2, 6, 5), dtype)
    lazytiff.save(path, pixels, photometric="palette", tags={"ColorMap": colours})
    with tifffile.TiffFile(path) as oracle:
        for page, expected in zip(oracle.pages, pixels, strict=True):
            assert page.photometric == 3
            assert np.array_equal(page.colormap, colours)
            assert np.array_equal(page.asarray(), expected)
    for count in (3, (3 << bits) - 3):
        with pytest.raises(ValueError, match=f"ColorMap of {3 << bits} numbers"):
            lazytiff.empty(
                path.with_name("x.tif"), dtype, photometric="palette", tags={"ColorMap": colours.ravel()[:count]}
            )


def test_numbers_of_8_bytes(path):
    """Only BigTIFF has them: refused in other files before a byte is written, for one page and for all."""
    tags = {65000: ("LONG8", 1 << 40), 65001: ("SLONG8", [-1, 1 << 40])}
    for bigtiff in (False, "auto"):
        with pytest.raises(ValueError, match="only BigTIFF has tags of 8-byte whole numbers"):
            lazytiff.empty(path, "u1", bigtiff=bigtiff, tags=tags)
        assert not path.exists()
    with lazytiff.empty(path.with_name("classic.tif"), "u1") as out:
        out.append(PAGE)
        helper.assert_refused(out.path, lambda: out.append(PAGE, tags=tags), ValueError, "only BigTIFF")
        assert out.append(PAGE) == 1
    with lazytiff.empty(path, "u1", bigtiff=True, tags=tags) as out:
        out.extend([PAGE, PAGE])
        assert out.pages[1].tags[65001] == (-1, 1 << 40)
    assert oracle_tags(path, 65000) == [1 << 40] * 2


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize(
    ("tags", "kind", "match"),
    [
        ({"Nothing": 1}, ValueError, "no tag is called"),
        ({"ImageWidth": 4}, ValueError, "the shape of the pages sets it"),
        ({273: 8}, ValueError, "which only the writer knows"),
        ({"SubIFDs": 8}, ValueError, "which only the writer knows"),
        ({"Compression": 5}, ValueError, "compression= sets it"),
        ({"ExtraSamples": 1}, ValueError, "photometric= set it"),
        ({70000: 1}, ValueError, "0 to 65535"),
        ({"Orientation": "up"}, TypeError, "Orientation"),
        ({"Orientation": 70000}, ValueError, "SHORT goes from 0 to 65535"),
        ({"XResolution": -1}, ValueError, "RATIONAL"),
        ({"PageNumber": 1}, ValueError, r"the tag has 2 value\(s\)"),
        ({"DateTime": "yesterday"}, ValueError, "YYYY:MM:DD HH:MM:SS"),
        ({65000: 5}, TypeError, "give one, as in"),
        ({65000: ("IFD", 8)}, ValueError, "offsets into the file are the writer's"),
        ({65000: []}, ValueError, "at least one value"),
        ({65000: "a\0b"}, ValueError, "NUL"),
        ({65000: np.zeros(1 << 27, "u1")}, lazytiff.LimitError, "max_value_bytes"),
        ({1.5: 1}, TypeError, "names or numbers"),
        ({"Artist": "a", 315: "b"}, ValueError, "there twice"),
        ([("Artist", "a")], TypeError, "a dict"),
    ],
)
def test_bad_tags(tags, kind, match, count, compression, path):  # noqa: PLR0917  # parameters
    """They raise before a byte is written, and the next page is taken."""
    with lazytiff.empty(path, "u1", compression=compression) as out:
        out.extend([PAGE] * count)
        helper.assert_refused(path, lambda: out.append(PAGE, tags=tags), kind, match)
        assert len(out) == count
        assert out.append(PAGE, tags={"Artist": "me"}) == count
        assert out.pages[count].tags["Artist"] == "me"
        assert (out[...] == PAGE).all()


def test_too_many_tags(path):
    """More than a reader takes are refused."""
    tags = dict.fromkeys(range(51200, 55400), ("LONG", 1))
    with lazytiff.empty(path, "u1") as out:
        helper.assert_refused(path, lambda: out.append(PAGE, tags=tags), ValueError, "4096 are the most")
        out.append(PAGE)


def test_equal_values_are_stored_once(path):
    """What all pages have is in the file once, so that blocks stay small."""
    text = "x" * 10_000
    with lazytiff.empty(path, "u1", tags={"Artist": text}) as out:
        out.extend([PAGE] * 20)
        assert [page.tags["Artist"] for page in out.pages] == [text] * 20
    assert path.stat().st_size < 30_000


def test_tags_first(path):
    """To look at the tags is all that somebody does after an append."""
    with lazytiff.empty(path, "u1", tags={"Artist": "me"}) as out:
        out.append(PAGE)
        assert out.tags["Artist"] == "me"
        out.append(PAGE, tags={"Artist": "you"})
        assert out.pages[-1].tags["Artist"] == "you"
