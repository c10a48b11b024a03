"""Tags: every field type, found by name and number; what is wrong with one tag harms no other."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
import tiff_bytes
from tiff_bytes import (
    ASCII,
    BYTE,
    DOUBLE,
    FLOAT,
    IFD,
    IFD8,
    LONG,
    LONG8,
    RATIONAL,
    SBYTE,
    SHORT,
    SLONG,
    SLONG8,
    SRATIONAL,
    SSHORT,
    UNDEFINED,
    Builder,
)

import lazytiff

PIXELS = tiff_bytes.frames(1)[0]
PRIVATE = 65000  # a tag that nobody knows
ORDERS = pytest.mark.parametrize("byteorder", ["<", ">"], ids=["little", "big-endian"])
SIZES = pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])


def with_tags(*entries, byteorder="<", big=False):
    """Make a file of one page with more tags; each is what Builder.entry takes."""
    file = Builder(byteorder, big)
    file.page(file.gray(PIXELS, *(file.entry(*entry) for entry in entries)))
    return bytes(file.bytes)


def only_tag(kind, values, **options):
    """Return the value of a private tag."""
    with lazytiff.open(with_tags((PRIVATE, kind, values), **options)) as img:
        return img.tags[PRIVATE]


# ---- values


@SIZES
@ORDERS
@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (BYTE, (200,), 200),
        (BYTE, (1, 2, 255), b"\x01\x02\xff"),
        (BYTE, tuple(range(20)), bytes(range(20))),
        (ASCII, b"text\0", "text"),
        (ASCII, b"a longer text\0", "a longer text"),
        (SHORT, (65535,), 65535),
        (SHORT, (1, 2, 65535), (1, 2, 65535)),
        (LONG, (2**32 - 1,), 2**32 - 1),
        (LONG, (1, 2**31), (1, 2**31)),
        (SBYTE, (-128,), -128),
        (SBYTE, (-1, 127), (-1, 127)),
        (UNDEFINED, b"\xfe", b"\xfe"),
        (UNDEFINED, b"any\0bytes\xff", b"any\0bytes\xff"),
        (SSHORT, (-32768,), -32768),
        (SSHORT, (-1, 2, -3), (-1, 2, -3)),
        (SLONG, (-(2**31),), -(2**31)),
        (SLONG, (-1, 2**31 - 1, 3), (-1, 2**31 - 1, 3)),
        (RATIONAL, (1, 4), 0.25),
        (RATIONAL, (3, 2, 2**32 - 1, 1), (1.5, 2.0**32 - 1)),
        (SRATIONAL, (-1, 4), -0.25),
        (SRATIONAL, (1, -2, -3, -4), (-0.5, 0.75)),
        (FLOAT, (0.5,), 0.5),
        (FLOAT, (-0.25, 1e10), (-0.25, 1e10)),
        (DOUBLE, (0.1,), 0.1),
        (DOUBLE, (0.1, -1e300), (0.1, -1e300)),
        (IFD, (77,), 77),
        (LONG8, (2**64 - 1,), 2**64 - 1),
        (LONG8, (1, 2**63), (1, 2**63)),
        (SLONG8, (-(2**63),), -(2**63)),
        (IFD8, (2**40,), 2**40),
    ],
)
def test_field_types(kind, values, expected, byteorder, big):
    """Numbers, tuples of numbers, str and bytes, in classic and BigTIFF and in either byte order."""
    found = only_tag(kind, values, byteorder=byteorder, big=big)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(found, tuple):
        assert [type(number) for number in found] == [type(number) for number in expected]


def test_fractions_without_a_denominator():
    """x/0 is infinite, 0/0 is no number; nothing is raised or warned of."""
    assert only_tag(RATIONAL, (7, 0)) == math.inf
    assert only_tag(SRATIONAL, (-7, 0)) == -math.inf
    assert math.isnan(only_tag(RATIONAL, (0, 0)))
    found = only_tag(RATIONAL, (0, 0, 1, 2, 1, 0))
    assert math.isnan(found[0])
    assert found[1:] == (0.5, math.inf)


def test_floats_that_are_no_numbers():
    """Infinite and undefined floats come as they are."""
    assert only_tag(DOUBLE, (math.inf, -math.inf)) == (math.inf, -math.inf)
    assert math.isnan(only_tag(FLOAT, (math.nan,)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"no end", "no end"),
        (b"\0", ""),
        (b"padded\0\0\0", "padded"),
        (b"one\0two\0", "one\0two"),
        ("µm, 5 °C\0".encode(), "µm, 5 °C"),
        (b"5 \xb5m\0", "5 \N{REPLACEMENT CHARACTER}m"),
        (b"\xff\xfe\0", "\N{REPLACEMENT CHARACTER}" * 2),
    ],
)
def test_text(data, expected):
    """NULs at the end are left out, those within stay; bytes that are no UTF-8 are replaced."""
    assert only_tag(ASCII, data) == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [(ASCII, ""), (UNDEFINED, b""), (BYTE, b""), (SHORT, ()), (RATIONAL, ()), (DOUBLE, ())]
)
def test_no_values(kind, expected):
    """A tag of count 0 is there, and empty."""
    assert only_tag(kind, b"" if kind in (ASCII, UNDEFINED) else ()) == expected


def test_many_values():
    """A value of a megabyte is read whole."""
    numbers = tuple(range(0, 1 << 20, 4))
    assert only_tag(LONG, numbers, byteorder=">") == numbers


# ---- the mapping


def test_mapping():
    """Tags are found by name and number, iterated in the file's order, and compared with what a mapping can do."""
    with lazytiff.open(with_tags((270, ASCII, b"what it shows\0"), (PRIVATE, SHORT, (5,)))) as img:
        tags = img.tags
        assert tags["ImageDescription"] == tags[270] == "what it shows"
        assert tags["ImageWidth"] == PIXELS.shape[1]
        assert tags.get("ImageLength") == PIXELS.shape[0]
        assert tags.get("Software", "none") == "none"
        assert tags.get(305) is None
        assert 270 in tags
        assert "ImageDescription" in tags
        assert PRIVATE in tags
        assert "Software" not in tags
        assert 305 not in tags
        assert "No such tag" not in tags
        names = list(tags)
        assert names[:3] == ["ImageWidth", "ImageLength", "BitsPerSample"]
        assert names[-1] == PRIVATE
        assert len(names) == len(tags) == 11
        assert dict(tags)["ImageDescription"] == "what it shows"
        assert tags.keys() == set(names)
        assert repr(tags).startswith("<11 tags: ImageWidth, ImageLength, ")
        assert "\n" not in repr(tags)


@pytest.mark.parametrize("key", [305, "Software", "imagewidth", "no such tag", -1, 1 << 40, None, 256.5])
def test_no_such_tag(key):
    """KeyError names the key."""
    with lazytiff.open(with_tags()) as img, pytest.raises(KeyError) as caught:
        img.tags[key]
    assert caught.value.args == (key,)


def test_tags_of_each_page():
    """`img.tags` are the first page's; each page has its own, also of a part of the file."""
    file = Builder()
    for i, pixels in enumerate(tiff_bytes.frames(5)):
        file.page(file.gray(pixels, file.entry(270, ASCII, b"page %d\0" % i)))
    with lazytiff.open(bytes(file.bytes)) as img:
        assert img.tags["ImageDescription"] == "page 0"
        assert [page.tags["ImageDescription"] for page in img.pages] == [f"page {i}" for i in range(5)]
        assert img.pages[-1].tags[270] == "page 4"
    with lazytiff.open(bytes(file.bytes), pages=[3, 1]) as img:
        assert img.tags["ImageDescription"] == "page 3"
        assert [page.tags[270] for page in img.pages] == ["page 3", "page 1"]


@pytest.mark.parametrize(
    ("compression", "name"),
    [
        (1, "none"),
        (5, "lzw"),
        (8, "deflate"),
        (32946, "deflate"),
        (7, "jpeg"),
        (50000, "zstd"),
        (6, "old-jpeg"),
        (12345, "12345"),
    ],
)
def test_compression(compression, name):
    """A page says its compression scheme by name, and by number where it has none; its pixels need not be readable."""
    file = Builder()
    file.page(file.gray(PIXELS, replace=[file.entry(259, SHORT, (compression,))]))
    with lazytiff.TiffFile(bytes(file.bytes)) as tif:
        assert tif.pages[0].compression == name


@pytest.mark.parametrize(
    ("kind", "values"), [(ASCII, b"lzw\0"), (SHORT, (5, 5)), (RATIONAL, (5, 0)), (LONG, (1 << 20,)), (SHORT, ())]
)
def test_compression_of_a_strange_type(kind, values):
    """Whatever the tag holds, the page tells its tags and its compression as text; pixels are not invented."""
    file = Builder()
    file.page(file.gray(PIXELS, replace=[file.entry(259, kind, values)]))
    with lazytiff.TiffFile(bytes(file.bytes)) as tif:
        assert isinstance(tif.pages[0].compression, str)
        assert "Compression" in tif.pages[0].tags
        with pytest.raises(lazytiff.TiffError):
            tif.pages[0].copy()


# ---- what is wrong with a tag


def open_warned(data, match):
    """Open a file that has one warning."""
    with pytest.warns(lazytiff.TiffWarning, match=match) as caught:
        img = lazytiff.open(data)
    assert len(caught) == 1
    return img


@SIZES
@pytest.mark.parametrize(
    ("kind", "count", "offset"),
    [
        (LONG, 100, 1 << 30),  # behind the end of the file
        (LONG, 100, 2**32 - 1),
        (BYTE, 2**32 - 1, 8),  # from within the file over its end
        (DOUBLE, 2**29 + 1, 8),  # its length in bytes overflows 32 bits
        (0, 1, 8),  # no such types
        (14, 1, 8),
        (19, 1, 8),
        (255, 1, 8),
        (65535, 1, 8),
    ],
)
def test_value_that_cannot_be_read(kind, count, offset, big):
    """The tag is left out, with a warning; the other tags and the pixels are there."""
    file = Builder("<", big)
    bad = struct.pack("<HHQQ" if big else "<HHII", PRIVATE, kind, count, offset)
    file.page(file.gray(PIXELS, bad, file.entry(PRIVATE + 1, SHORT, (1,))))
    with open_warned(bytes(file.bytes), "unknown type or a value outside of the file") as img:
        assert PRIVATE not in img.tags
        assert img.tags.get(PRIVATE, "absent") == "absent"
        assert list(img.tags)[-1] == PRIVATE + 1
        with pytest.raises(KeyError):
            img.tags[PRIVATE]
        np.testing.assert_array_equal(img, PIXELS)


def test_value_whose_length_overflows():
    """A count times a size beyond 64 bits is a value outside of the file."""
    file = Builder("<", big=True)
    file.page(file.gray(PIXELS, struct.pack("<HHQQ", PRIVATE, DOUBLE, 2**61 + 1, 16)))
    with open_warned(bytes(file.bytes), "outside of the file") as img:
        assert PRIVATE not in img.tags
        np.testing.assert_array_equal(img, PIXELS)


def test_value_over_the_end():
    """A value of which only the last byte is missing is left out; one that ends with the file is read."""
    file = Builder()
    file.page(file.gray(PIXELS, struct.pack("<HHII", PRIVATE, LONG, 2, 0)))
    at = len(file.bytes) - 4 - 4
    file.patch(at, struct.pack("<I", len(file.bytes)))
    whole = bytes(file.bytes) + struct.pack("<II", 6, 7)
    with lazytiff.open(whole) as img:
        assert img.tags[PRIVATE] == (6, 7)
    with open_warned(whole[:-1], "outside of the file") as img:
        assert PRIVATE not in img.tags


def test_duplicate_tag():
    """The first of two tags with one number counts, with a warning."""
    file = Builder()
    entries = file.gray(PIXELS)
    twice = [file.entry(305, ASCII, b"first\0"), file.entry(305, ASCII, b"second\0")]
    file.page([*entries[:2], file.entry(257, SHORT, (99,)), *entries[2:], *twice])
    with open_warned(bytes(file.bytes), "a tag occurs twice") as img:
        assert img.tags["Software"] == "first"
        assert img.tags["ImageLength"] == len(img) == PIXELS.shape[0]
        assert list(img.tags).count("Software") == 1
        np.testing.assert_array_equal(img, PIXELS)


def test_unsorted_tags():
    """Tags in any order are read, with a warning."""
    file = Builder()
    file.page(file.gray(PIXELS, file.entry(270, ASCII, b"text\0"))[::-1])
    with open_warned(bytes(file.bytes), "not in ascending order") as img:
        assert img.tags["ImageDescription"] == "text"
        assert next(iter(img.tags)) == "StripByteCounts"
        np.testing.assert_array_equal(img, PIXELS)


def test_large_value(monkeypatch):
    """A value above `lazytiff.limits.max_value_bytes` is a LimitError when it is asked for; all else goes on."""
    data = with_tags((PRIVATE, BYTE, bytes(1000)), (PRIVATE + 1, BYTE, bytes(1001)))
    monkeypatch.setattr(lazytiff.limits, "max_value_bytes", 1000)
    with lazytiff.open(data) as img:
        assert img.tags[PRIVATE] == bytes(1000)
        with pytest.raises(lazytiff.LimitError, match="1001"):
            img.tags[PRIVATE + 1]
        assert PRIVATE + 1 in img.tags
        np.testing.assert_array_equal(img, PIXELS)


def test_too_many_tags(monkeypatch):
    """An IFD with more than `lazytiff.limits.max_tags` tags is a LimitError, before memory is taken for them."""
    data = with_tags(*((PRIVATE + i, SHORT, (i,)) for i in range(10)))
    monkeypatch.setattr(lazytiff.limits, "max_tags", 19)
    with lazytiff.open(data) as img:
        assert len(img.tags) == 19
    monkeypatch.setattr(lazytiff.limits, "max_tags", 18)
    with pytest.raises(lazytiff.LimitError, match="19 tags"):
        lazytiff.open(data)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
def test_absurd_number_of_tags(big):
    """An IFD that claims as many tags as its count can say is refused at once."""
    file = Builder("<", big)
    file.page(file.gray(PIXELS), count=1 << 40 if big else 65535)
    with pytest.raises(lazytiff.LimitError):
        lazytiff.open(bytes(file.bytes))
