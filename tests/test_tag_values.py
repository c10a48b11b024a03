"""Tags to be written: which Python values become which values and types of TIFF, and what is refused in which words.

Other programs' readings are the judges: what lazytiff and tifffile find in a file that holds the converted values.
"""

from __future__ import annotations

import io
import itertools
import math
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
import tiff_bytes
import tifffile
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import TiffTags
from tiff_bytes import Builder

import lazytiff
from lazytiff._tag_names import NAMES, NUMBERS
from lazytiff._tag_packing import _nearest
from lazytiff._tag_types import DTYPES, FRACTIONS, RESERVED, STANDARD, TYPE_NAMES, TYPES
from lazytiff._tag_values import NewTag, new_tags, stamp, stamped

PIXELS = tiff_bytes.frames(1)[0]
PRIVATE = 65000  # a tag that nobody knows
TEXTS = (TYPES["ASCII"], TYPES["UNDEFINED"])
DEFAULT_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}


def one(value, key=PRIVATE):
    """Return the only tag that a value becomes."""
    (tag,) = new_tags({key: value})
    return tag


def said(tag):
    """Return a tag's type by name and its values: bytes for texts, pairs for fractions."""
    assert len(tag.data) == tag.count * DEFAULT_SIZES[tag.type]
    if tag.type in TEXTS:
        return TYPE_NAMES[tag.type], tag.data
    numbers = np.frombuffer(tag.data, DTYPES[tag.type]).tolist()
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True)) if tag.type in FRACTIONS else numbers
    assert len(pairs) == tag.count
    return TYPE_NAMES[tag.type], pairs


def file_of(tags, byteorder="<"):
    """Build a file of one page that has these tags. 64-bit types make it a BigTIFF file."""
    file = Builder(byteorder, any(tag.needs_bigtiff for tag in tags))
    entries = []
    for tag in tags:
        data = tag.data if tag.type in TEXTS else np.frombuffer(tag.data, DTYPES[tag.type]).tolist()
        entries.append(file.entry(tag.number, tag.type, data))
    file.page(file.gray(PIXELS, *entries))
    return bytes(file.bytes)


def read_by_both(tags, byteorder="<"):
    """Return what lazytiff and tifffile find in a file with these tags."""
    data = file_of(tags, byteorder)
    with lazytiff.open(data) as img, tifffile.TiffFile(io.BytesIO(data)) as tif:
        found = tif.pages.first.tags
        return [img.tags[tag.number] for tag in tags], [found[tag.number].value for tag in tags]


# ---- values of tags that the standard knows


@pytest.mark.parametrize(
    ("key", "value", "kind", "values"),
    [
        ("ImageDescription", "an embryo", "ASCII", b"an embryo\0"),
        (270, "5 µm", "ASCII", "5 µm\0".encode()),
        (270, "", "ASCII", b"\0"),
        (270, b"\xb5m", "ASCII", b"\xb5m\0"),
        (270, bytearray(b"ends\0"), "ASCII", b"ends\0"),
        (270, b"", "ASCII", b"\0"),
        (270, np.str_("text"), "ASCII", b"text\0"),
        ("InkNames", ["cyan", "magenta"], "ASCII", b"cyan\0magenta\0"),
        ("InkNames", ("cyan", "red"), "ASCII", b"cyan\0red\0"),
        ("DateTime", datetime(2024, 2, 3, 4, 5, 6), "ASCII", b"2024:02:03 04:05:06\0"),  # noqa: DTZ001  # a camera's
        ("DateTime", datetime(987, 12, 31, 23, 59, 59, 999, UTC), "ASCII", b"0987:12:31 23:59:59\0"),
        ("DateTime", "2024:02:03 04:05:06", "ASCII", b"2024:02:03 04:05:06\0"),
        ("Orientation", 1, "SHORT", [1]),
        ("Orientation", np.uint8(8), "SHORT", [8]),
        ("Orientation", np.array([8], ">i8"), "SHORT", [8]),
        ("PageName", "p", "ASCII", b"p\0"),
        ("PageNumber", (3, 100), "SHORT", [3, 100]),
        ("PageNumber", [np.uint8(3), 100], "SHORT", [3, 100]),
        ("NewSubfileType", 2, "LONG", [2]),
        ("BadFaxLines", 65535, "SHORT", [65535]),  # SHORT or LONG: the smallest
        ("BadFaxLines", 65536, "LONG", [65536]),
        ("BadFaxLines", np.uint32(5), "LONG", [5]),  # a dtype that is one of them counts
        ("BadFaxLines", np.int64(5), "SHORT", [5]),
        ("XResolution", 72, "RATIONAL", [(72, 1)]),
        ("XResolution", 0.1, "RATIONAL", [(1, 10)]),
        ("XResolution", 1 / 3, "RATIONAL", [(1, 3)]),
        ("XResolution", Fraction(22, 7), "RATIONAL", [(22, 7)]),
        ("XResolution", np.float32(0.5), "RATIONAL", [(1, 2)]),
        ("XResolution", np.float64(0.1), "RATIONAL", [(1, 10)]),
        ("XResolution", np.uint16(300), "RATIONAL", [(300, 1)]),
        ("XResolution", 0, "RATIONAL", [(0, 1)]),
        ("XResolution", -0.0, "RATIONAL", [(0, 1)]),
        ("XResolution", 2**32 - 1, "RATIONAL", [(2**32 - 1, 1)]),
        ("XResolution", Fraction(1, 2**32 - 1), "RATIONAL", [(1, 2**32 - 1)]),
        ("WhitePoint", (0.3127, 0.329), "RATIONAL", [(3127, 10000), (329, 1000)]),
        ("WhitePoint", np.array([0.3127, 0.329]), "RATIONAL", [(3127, 10000), (329, 1000)]),
        ("WhitePoint", [Fraction(1, 3), np.float32(0.25)], "RATIONAL", [(1, 3), (1, 4)]),
        ("Decode", (-0.5, 1), "SRATIONAL", [(-1, 2), (1, 1)]),
        ("ResolutionUnit", "inch", "SHORT", [2]),
        ("ResolutionUnit", "cm", "SHORT", [3]),
        ("ResolutionUnit", "centimeter", "SHORT", [3]),
        ("ResolutionUnit", "none", "SHORT", [1]),
        ("ResolutionUnit", 3, "SHORT", [3]),
        ("ColorMap", np.arange(6, dtype="u2").reshape(3, 2), "SHORT", [0, 1, 2, 3, 4, 5]),
        ("ColorMap", np.arange(6, dtype=">u2").reshape(2, 3).T, "SHORT", [0, 3, 1, 4, 2, 5]),
        ("SMinSampleValue", -5, "SBYTE", [-5]),
        ("SMinSampleValue", (0, 70000), "LONG", [0, 70000]),
        ("SMinSampleValue", -0.5, "DOUBLE", [-0.5]),
        ("SMaxSampleValue", np.float32(0.5), "FLOAT", [0.5]),
        ("SMaxSampleValue", (1, 0.25), "DOUBLE", [1.0, 0.25]),
        ("ModelPixelScale", (1, 2.5, 0), "DOUBLE", [1.0, 2.5, 0.0]),
        ("ICCProfile", b"\0\1\2", "UNDEFINED", b"\0\1\2"),
        ("ICCProfile", np.array([0, 1, 255], "u1"), "UNDEFINED", b"\0\1\xff"),
        ("XMP", b"<x/>", "BYTE", list(b"<x/>")),
        ("IPTC", memoryview(b"abcdef")[::2], "UNDEFINED", b"ace"),
        ("VersionYear", b"1998", "BYTE", list(b"1998")),
        ("DotRange", (0, 255), "BYTE", [0, 255]),
        ("DotRange", (0, 256), "SHORT", [0, 256]),
    ],
)
def test_standard_tags(key, value, kind, values):
    """A tag that the standard knows has its type; of several types the smallest that fits, or that of the dtype."""
    tag = one(value, key)
    assert said(tag) == (kind, values)
    assert tag.number == NUMBERS.get(key, key)
    assert one(value, tag.number) == one(value, np.uint16(tag.number)) == tag


# ---- values of other tags


@pytest.mark.parametrize(
    ("value", "kind", "values"),
    [
        ("text", "ASCII", b"text\0"),
        (["two", "texts"], "ASCII", b"two\0texts\0"),
        (b"\0\xff", "UNDEFINED", b"\0\xff"),
        (np.bytes_(b"ab"), "UNDEFINED", b"ab"),
        (memoryview(np.array([1, 2], "u2")), "UNDEFINED", np.array([1, 2], "u2").tobytes()),
        (np.uint8(200), "BYTE", [200]),
        (np.uint16(200), "SHORT", [200]),
        (np.uint32(200), "LONG", [200]),
        (np.uint64(2**64 - 1), "LONG8", [2**64 - 1]),
        (np.int8(-128), "SBYTE", [-128]),
        (np.int16(-5), "SSHORT", [-5]),
        (np.int32(-5), "SLONG", [-5]),
        (np.int64(-(2**63)), "SLONG8", [-(2**63)]),
        (np.float32(0.5), "FLOAT", [0.5]),
        (np.float64(0.1), "DOUBLE", [0.1]),
        (np.array(7, "u4"), "LONG", [7]),
        (np.array([1, 2, 65535], ">u2"), "SHORT", [1, 2, 65535]),
        (np.arange(10, dtype="i4")[::-3], "SLONG", [9, 6, 3, 0]),
        ([np.float32(1), np.float32(2)], "FLOAT", [1.0, 2.0]),
        ((np.uint8(1), np.uint16(2)), "SHORT", [1, 2]),
    ],
)
def test_private_tags(value, kind, values):
    """A str is ASCII, bytes are UNDEFINED, NumPy's numbers keep their dtype."""
    assert said(one(value)) == (kind, values)


@pytest.mark.parametrize("value", [5, 0.5, Fraction(1, 3), [1, 2], (1,), [np.uint8(1), 2], [0.5]])
def test_private_numbers_need_a_type(value):
    """Python's numbers say too little of themselves; the error says what to write."""
    with pytest.raises(TypeError, match=r"tag 65000 cannot be .*: the tag has no type.*\('LONG', 5\)"):
        one(value)
    with pytest.raises(TypeError, match="no type of its own"):
        one(value, "WangAnnotation")


# ---- types that are given


@pytest.mark.parametrize("key", [PRIVATE, "XResolution", "ImageDescription", "PageNumber"])
@pytest.mark.parametrize(
    ("kind", "value", "values"),
    [
        ("BYTE", [0, 255], [0, 255]),
        ("BYTE", b"ab", [97, 98]),
        ("ASCII", "text", b"text\0"),
        ("ASCII", b"text", b"text\0"),
        ("ASCII", ("a", "b"), b"a\0b\0"),
        ("SHORT", 65535, [65535]),
        ("SHORT", np.array([1, 2], "i8"), [1, 2]),
        ("LONG", 2**32 - 1, [2**32 - 1]),
        ("LONG", (1, 2), [1, 2]),
        ("RATIONAL", 0.25, [(1, 4)]),
        ("RATIONAL", [0.5, 2], [(1, 2), (2, 1)]),
        ("SBYTE", -128, [-128]),
        ("UNDEFINED", b"\0\1", b"\0\1"),
        ("UNDEFINED", [0, 255], b"\0\xff"),
        ("SSHORT", [-32768, 32767], [-32768, 32767]),
        ("SLONG", -(2**31), [-(2**31)]),
        ("SRATIONAL", -0.25, [(-1, 4)]),
        ("SRATIONAL", -(2**31) + 1, [(-(2**31) + 1, 1)]),
        ("FLOAT", 0.5, [0.5]),
        ("FLOAT", [math.inf, -math.inf], [math.inf, -math.inf]),
        ("FLOAT", 3, [3.0]),
        ("DOUBLE", 0.1, [0.1]),
        ("DOUBLE", Fraction(1, 4), [0.25]),
        ("LONG8", 2**64 - 1, [2**64 - 1]),
        ("SLONG8", -(2**63), [-(2**63)]),
    ],
)
def test_given_types(key, kind, value, values):
    """A type that is given stands above what the standard says, of types and of counts."""
    tag = one((kind, value), key)
    assert said(tag) == (kind, values)
    assert tag.needs_bigtiff == (kind in ("LONG8", "SLONG8"))


@pytest.mark.parametrize("value", [math.nan, -math.nan])
def test_not_a_number(value):
    """A float may be none, a fraction may not."""
    assert math.isnan(said(one(("DOUBLE", value)))[1][0])
    with pytest.raises(ValueError, match=r"XResolution \(282\) cannot be nan"):
        one(value, "XResolution")


# ---- fractions


@given(st.fractions(0, 12), st.integers(1, 12))
@example(Fraction(34, 10), 10)  # 10/3, whose denominator would be too large for other numerators
@example(Fraction(0), 5)
def test_nearest_fraction(size, most):
    """No fraction with numbers that small is nearer."""
    size = min(size, Fraction(most))
    found = _nearest(size, most)
    assert max(found.as_integer_ratio()) <= most
    numbers = itertools.product(range(most + 1), range(1, most + 1))
    assert abs(found - size) == min(abs(Fraction(n, d) - size) for n, d in numbers)


@given(st.floats(2.4e-10, 2**32 - 1))
@example(2.0**32 - 1.5)
@example(1e-9)
@example(0.1)
def test_resolutions(value):
    """A fraction is as near to a float as 32 bits allow: a relative error below one to two thousand million."""
    _, [(numerator, denominator)] = said(one(value, "XResolution"))
    assert 0 < numerator < 2**32
    assert 0 < denominator < 2**32
    assert abs(Fraction(numerator, denominator) / Fraction(value) - 1) < 1 / 2_000_000_000


@given(st.integers(0, 2**31 - 1), st.integers(1, 2**31 - 1), st.booleans())
def test_fractions_are_exact(numerator, denominator, negative):
    """A fraction whose numbers have 32 bits is stored as it is, in lowest terms; signed ones with a sign."""
    value = Fraction(-numerator if negative else numerator, denominator)
    assert said(one(("SRATIONAL", value)))[1] == [value.as_integer_ratio()]
    if value >= 0:
        assert said(one(value, "YPosition"))[1] == [value.as_integer_ratio()]


# ---- what is refused


@pytest.mark.parametrize(
    ("key", "value", "error", "text"),
    [
        # of a wrong type
        ("ImageDescription", 5, TypeError, "ASCII takes a str, bytes"),
        ("ImageDescription", None, TypeError, "ASCII takes a str, bytes"),
        ("ImageDescription", ["a", 1], TypeError, "ASCII takes a str, bytes"),
        ("ImageDescription", datetime(2024, 1, 1, tzinfo=UTC), TypeError, "ASCII takes a str"),
        ("ImageDescription", np.array(["a"]), TypeError, "ASCII takes a str"),
        ("ImageDescription", np.uint8([65]), TypeError, "ASCII takes a str"),
        ("ImageDescription", 0.5, TypeError, "ASCII takes a str"),
        ("Orientation", "left", TypeError, "SHORT takes a number"),
        ("Orientation", b"\1", TypeError, "SHORT takes a number"),
        ("Orientation", 1.0, TypeError, "SHORT takes integers"),
        ("Orientation", np.float32(1), TypeError, "SHORT takes integers"),
        ("Orientation", Fraction(3, 2), TypeError, "SHORT takes integers"),
        ("Orientation", True, TypeError, "SHORT takes a number"),
        ("Orientation", np.True_, TypeError, "SHORT takes a number"),
        ("Orientation", 1j, TypeError, "SHORT takes a number"),
        ("Orientation", {1}, TypeError, "SHORT takes a number"),
        ("PageNumber", [[1, 2]], TypeError, "SHORT takes a number"),
        ("BadFaxLines", "none", TypeError, "SHORT or LONG takes a number"),
        ("XMP", "<x/>", TypeError, "BYTE or UNDEFINED takes bytes"),
        ("XResolution", "72", TypeError, "RATIONAL takes a number"),
        ("XResolution", np.array(["72"]), TypeError, "RATIONAL takes a number"),
        ("XResolution", np.longdouble(0.1), TypeError, "up to 64 bits"),
        (PRIVATE, np.float16(1), TypeError, "a tag takes a str, bytes, a number"),
        (PRIVATE, np.complex64(1), TypeError, "a tag takes a str"),
        (PRIVATE, np.array([True]), TypeError, "a tag takes a str"),
        (PRIVATE, np.ma.array([1, 2], mask=[False, True]), TypeError, "a tag takes a str"),
        (PRIVATE, object(), TypeError, "a tag takes a str"),
        (PRIVATE, {"a": 1}, TypeError, "a tag takes a str"),
        (PRIVATE, ("SHORT", "text"), TypeError, "SHORT takes a number"),
        (PRIVATE, ("SHORT", b"text"), TypeError, "SHORT takes a number"),
        (PRIVATE, ("SHORT", 0.5), TypeError, "SHORT takes integers"),
        (PRIVATE, ("ASCII", 5), TypeError, "ASCII takes a str, bytes"),
        (PRIVATE, ("UNDEFINED", "text"), TypeError, "UNDEFINED takes bytes"),
        (PRIVATE, ("SHORT", ("SHORT", 5)), TypeError, "SHORT takes a number"),
        (PRIVATE, ("SHRT", 5), TypeError, "the types of TIFF are BYTE, ASCII, SHORT,"),
        (PRIVATE, ("short", [5]), TypeError, "the types of TIFF are BYTE, ASCII, SHORT,"),
        # out of range
        ("Orientation", -1, ValueError, "SHORT goes from 0 to 65535"),
        ("Orientation", 65536, ValueError, "SHORT goes from 0 to 65535"),
        ("BadFaxLines", 2**32, ValueError, "LONG goes from 0 to 4294967295"),
        ("BadFaxLines", np.int64(-1), ValueError, "LONG goes from 0"),
        ("XResolution", -1, ValueError, "RATIONAL is 0, or from 1/4294967295 to 4294967295"),
        ("XResolution", 2**32, ValueError, "RATIONAL is 0"),
        ("XResolution", 2.0**32 - 0.9, ValueError, "RATIONAL is 0"),
        ("XResolution", 1e-10, ValueError, "RATIONAL is 0"),
        ("XResolution", math.inf, ValueError, "RATIONAL is 0"),
        pytest.param("XResolution", 10**400, ValueError, "RATIONAL is 0", id="huge"),
        ("WhitePoint", (0.5, -0.5), ValueError, "RATIONAL is 0"),
        (PRIVATE, ("SRATIONAL", -(2**31)), ValueError, "to 2147483647, of either sign"),
        (PRIVATE, ("SRATIONAL", -math.inf), ValueError, "of either sign"),
        (PRIVATE, ("BYTE", [0, 256]), ValueError, "BYTE goes from 0 to 255"),
        (PRIVATE, ("SBYTE", -129), ValueError, "SBYTE goes from -128 to 127"),
        (PRIVATE, ("LONG8", 2**64), ValueError, "LONG8 goes from 0 to 18446744073709551615"),
        (PRIVATE, ("LONG", np.uint64(2**32)), ValueError, "LONG goes from"),
        (PRIVATE, ("FLOAT", 1e39), ValueError, "FLOAT goes to 3.40282e.38"),
        (PRIVATE, ("FLOAT", [1, 10**400]), ValueError, "FLOAT goes to"),
        (PRIVATE, ("DOUBLE", 10**400), ValueError, "DOUBLE goes to 1.79769e.308"),
        (PRIVATE, ("IFD", 8), ValueError, "offsets into the file are the writer's.*LONG"),
        (PRIVATE, ("IFD8", 8), ValueError, "offsets into the file are the writer's"),
        # of a wrong form
        ("ImageDescription", "one\0two", ValueError, "several texts are a list"),
        ("InkNames", ["one\0", "two"], ValueError, "several texts are a list"),
        ("ImageDescription", "\ud800", ValueError, "give bytes"),
        ("DateTime", "2024-02-03", ValueError, '"YYYY:MM:DD HH:MM:SS"'),
        ("ResolutionUnit", "mm", ValueError, "units are 'none', 'inch', 'centimeter', 'cm'"),
        ("XResolution", (72, 1), ValueError, r"the tag has 1 value\(s\)"),
        ("PageNumber", 5, ValueError, r"the tag has 2 value\(s\)"),
        ("VersionYear", b"98", ValueError, r"the tag has 4 value\(s\)"),
        # empty
        ("PageNumber", [], ValueError, "at least one value"),
        ("ICCProfile", b"", ValueError, "at least one value"),
        (PRIVATE, (), ValueError, "at least one value"),
        (PRIVATE, np.empty(0, "u2"), ValueError, "at least one value"),
        (PRIVATE, ("SHORT", []), ValueError, "at least one value"),
        (PRIVATE, memoryview(b""), ValueError, "at least one value"),
    ],
)
def test_refused(key, value, error, text):
    """The error is of the builtin kind, and names the tag, the value, and what would do."""
    number = NUMBERS.get(key, key)
    name = rf"{key} \({number}\)" if isinstance(key, str) else key
    with pytest.raises(error, match=f"^tag {name} cannot be .*: .*{text}") as caught:
        one(value, key)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", RESERVED)
def test_reserved(number):
    """Tags that say how pixels are stored or where something is are refused by name and number, whatever the value."""
    for key in {number, NAMES.get(number, number)}:
        for value in (1, "text", ("LONG", 5), None):
            with pytest.raises(ValueError, match=rf"tag .*\b{number}\b.* cannot be .*: {RESERVED[number][:20]}"):
                one(value, key)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("imagedescription", "did you mean ImageDescription"),
        ("XResolutoin", "did you mean XResolution"),
        ("Date", "did you mean DateTime|go by their numbers"),
        ("something else entirely", "tags without a name go by their numbers"),
        ("", "tags without a name go by their numbers"),
        ("270", "tags without a name go by their numbers"),
    ],
)
def test_unknown_name(key, hint):
    """A name that no tag has is a ValueError with those that are like it."""
    with pytest.raises(ValueError, match=f"no tag is called '{key}'; .*{hint}"):
        one("value", key)


@pytest.mark.parametrize("key", [-1, 65536, 1 << 70, np.int64(-5)])
def test_number_out_of_range(key):
    """A tag's number has 16 bits."""
    with pytest.raises(ValueError, match="numbers from 0 to 65535"):
        one("value", key)
    assert one("value", 0).number == 0
    assert one("value", 65535).number == 65535


@pytest.mark.parametrize("key", [True, None, 270.0, b"Software", ("Software",), np.False_])
def test_no_key(key):
    """What is neither a name nor a number is a TypeError."""
    with pytest.raises(TypeError, match="names or numbers"):
        one("value", key)


@pytest.mark.parametrize("tags", [5, "Software", [(305, "x")], {305}])
def test_no_mapping(tags):
    """Tags are a mapping."""
    with pytest.raises(TypeError, match="tags are a dict"):
        new_tags(tags)


def test_twice():
    """One tag by its name and its number is refused, even with equal values."""
    with pytest.raises(ValueError, match=r"tag Artist \(315\) cannot be 'b': the tag is there twice"):
        new_tags({"Artist": "b", 315: "b"})


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("x" * 99, 100),
        ("µ" * 50, 101),
        (b"x" * 100, 100),
        (("ASCII", b"x" * 99), 100),
        (np.zeros(25, "f4"), 100),
        (("SHORT", [1] * 50), 100),
        (("RATIONAL", [0.5] * 13), 104),
        (memoryview(np.zeros(13)), 104),
        (np.broadcast_to(np.uint8(0), 1 << 40), 1 << 40),  # refused before it is made
    ],
)
def test_large(monkeypatch, value, size):
    """A value that could not be read again is a LimitError with its size; the largest that can be is written."""
    monkeypatch.setattr(lazytiff.limits, "max_value_bytes", size - 1)
    with pytest.raises(lazytiff.LimitError, match=f"tag 65000 cannot be .*max_value_bytes is {size - 1}") as caught:
        one(value)
    assert len(str(caught.value)) < 250
    if size < 1000:
        monkeypatch.setattr(lazytiff.limits, "max_value_bytes", size)
        assert len(one(value).data) == size


def test_larger_types_do_not_matter_when_a_smaller_one_fits(monkeypatch):
    """Only the type that is chosen counts for the size."""
    monkeypatch.setattr(lazytiff.limits, "max_value_bytes", 2)
    assert said(one((0, 255), "DotRange")) == ("BYTE", [0, 255])
    with pytest.raises(lazytiff.LimitError):
        one((0, 256), "DotRange")


# ---- all together


def test_sorted():
    """Tags come in the order of their numbers, as a file has them; none are none."""
    tags = new_tags({PRIVATE: b"x", "Artist": "a", 270: "d", "YResolution": 2})
    assert [tag.number for tag in tags] == [270, 283, 315, PRIVATE]
    assert new_tags({}) == new_tags(None) == []


def test_values_are_copies():
    """What the user changes afterwards does not change the tag."""
    array, text = np.array([1, 2], "u2"), bytearray(b"ab")
    tags = new_tags({PRIVATE: array, 270: text})
    array[:], text[:] = 9, b"zz"
    assert [tag.data for tag in tags] == [b"ab\0", np.array([1, 2], "u2").tobytes()]


ALL = {
    "ImageDescription": "5 µm",
    "PageNumber": (3, 100),
    "XResolution": 0.1,
    "ResolutionUnit": "cm",
    "DateTime": datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC),
    "WhitePoint": (0.3127, 0.329),
    "SMinSampleValue": -1.5,
    "XMP": b"<x/>",
    "ICCProfile": b"\0\1\2\3\4",
    "ModelPixelScale": (1, 2.5, 0),
    64000: ("BYTE", 7),
    64001: ("SBYTE", [-1, 2]),
    64002: ("SSHORT", [-300, 2, 5]),
    64003: ("SLONG", -70000),
    64004: ("SRATIONAL", [-0.5, 3]),
    64005: ("FLOAT", 0.25),
    64006: ("LONG", [1, 2**32 - 1]),
    64007: np.array([0.1, math.inf]),
}
READ = {
    270: "5 µm",
    282: 0.1,
    296: 3,
    297: (3, 100),
    306: "2024:02:03 04:05:06",
    318: (0.3127, 0.329),
    340: -1.5,
    700: b"<x/>",
    33550: (1.0, 2.5, 0.0),
    34675: b"\0\1\2\3\4",
    64000: 7,
    64001: (-1, 2),
    64002: (-300, 2, 5),
    64003: -70000,
    64004: (-0.5, 3.0),
    64005: 0.25,
    64006: (1, 2**32 - 1),
    64007: (0.1, math.inf),
}
LARGE = {64010: np.uint64(2**64 - 1), 64011: ("SLONG8", [-1, 2**40])}  # only BigTIFF has such types
# tifffile gives fractions as they are stored, and bytes for a single one too.
TIFFFILE_READ = {64000: b"\7", 282: (1, 10), 318: (3127, 10000, 329, 1000), 64004: (-1, 2, 3, 1)}


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("more", [{}, LARGE], ids=["classic", "big"])
def test_read_again(byteorder, more):
    """Both lazytiff and tifffile read the values that were given, from classic and BigTIFF, in either byte order."""
    tags = new_tags(ALL | more)
    read = READ | ({64010: 2**64 - 1, 64011: (-1, 2**40)} if more else {})
    assert any(tag.needs_bigtiff for tag in tags) == bool(more)
    found, by_tifffile = read_by_both(tags, byteorder)
    assert dict(zip([tag.number for tag in tags], found, strict=True)) == read
    numbers = [tag.number for tag in tags]
    assert dict(zip(numbers, map(plain, by_tifffile), strict=True)) == read | TIFFFILE_READ


def plain(value):
    """Return what tifffile gives for a tag without its enumerations."""
    return int(value) if isinstance(value, int) else value


NUMBERS_OF_TYPES = {
    kind: st.integers(np.iinfo(code).min, np.iinfo(code).max).map(np.dtype(code).type)
    for kind, code in DTYPES.items()
    if code[0] in "ui" and kind not in (*FRACTIONS, *TEXTS, TYPES["IFD"], TYPES["IFD8"])
}


@given(st.data())
def test_any_integers(data):
    """Whatever integers of a type are given, as Python's or NumPy's, are read again."""
    kind = data.draw(st.sampled_from(sorted(NUMBERS_OF_TYPES)))
    values = data.draw(st.lists(NUMBERS_OF_TYPES[kind], min_size=2, max_size=9))
    plain_values = [int(value) for value in values]
    tag = one((TYPE_NAMES[kind], plain_values))
    assert said(tag) == (TYPE_NAMES[kind], plain_values)
    assert tag == one(values) == one(np.array(values)) == one((TYPE_NAMES[kind], tuple(values)))
    found, by_tifffile = read_by_both([tag])
    assert found == [bytes(plain_values) if kind == TYPES["BYTE"] else tuple(plain_values)]
    assert by_tifffile == [bytes(plain_values) if kind == TYPES["BYTE"] else tuple(plain_values)]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_any_text(text):
    """Whatever text is given is read again."""
    tag = one(text, "ImageDescription")
    assert tag.count == len(text.encode()) + 1
    assert read_by_both([tag])[0] == [text]


@given(st.binary(min_size=1, max_size=30))
def test_any_bytes(value):
    """Whatever bytes are given for a private tag are read again."""
    assert read_by_both([one(value)]) == ([value], [value])


def test_tags_of_a_file():
    """Tags that were read from a file can be given again, but for those that say how its pixels are stored."""
    tags = new_tags({key: value for key, value in ALL.items() if isinstance(key, str)})
    with lazytiff.open(file_of(tags)) as img:
        copied = {key: value for key, value in img.tags.items() if NUMBERS[key] not in RESERVED}
        assert new_tags(copied) == tags
        with pytest.raises(ValueError, match="ImageWidth"):
            new_tags(img.tags)


# ---- Software


def test_stamp():
    """The name of lazytiff stands behind the user's software, once for each version."""
    assert stamp(None, "1.2") == stamp("", "1.2") == "lazytiff v1.2"
    assert stamp("mine", "1.2") == "mine;lazytiff v1.2"
    assert stamp("mine;lazytiff v1.1", "1.2") == "mine;lazytiff v1.1;lazytiff v1.2"
    assert stamp("mine;lazytiff v1.2", "1.2") == "mine;lazytiff v1.2"
    assert stamp("lazytiff v1.2", "1.2") == "lazytiff v1.2"


@pytest.mark.parametrize("software", ["Grüße", b"\xff\xfe", ("ASCII", "old")])
def test_stamped(software):
    """The tag is stamped however it was given, without a change to what it said; the order stays."""
    tags = new_tags({270: "d", "Software": software, 315: "a"})
    found = stamped(tags, "1.2")
    assert [tag.number for tag in found] == [270, 305, 315]
    assert found[1] == NewTag(305, 2, len(found[1].data), tags[1].data[:-1] + b";lazytiff v1.2\0")
    assert said(stamped([], "1.2")[0]) == ("ASCII", b"lazytiff v1.2\0")
    assert [tag.number for tag in stamped([tags[0], tags[2]], "1.2")] == [270, 305, 315]


# ---- the table


def test_every_named_tag_is_known():
    """A tag with a name has a type or is reserved, and never both, but for four of which no source says the type."""
    untyped = {"DefaultImageColor", "WangAnnotation", "SEMMetadata", "TemCalibration"}
    assert {name for name, number in NUMBERS.items() if number not in STANDARD and number not in RESERVED} == untyped
    assert not STANDARD.keys() & RESERVED.keys()
    assert STANDARD.keys() <= NAMES.keys()


@pytest.mark.parametrize("number", sorted(STANDARD.keys() & TiffTags.TAGS_V2.keys()))
def test_types_as_pillow_has_them(number):
    """Pillow's table of the same standard says the same types and counts, where it says them at all."""
    info, (types, count) = TiffTags.lookup(number), STANDARD[number]
    if number != NUMBERS["ImageJMetadata"]:  # Pillow: UNDEFINED; ImageJ itself writes BYTE
        assert info.type in types
    if info.type not in TEXTS and number not in (NUMBERS["IPTC"], NUMBERS["DNGVersion"]):
        assert (info.length or 0) == count or 0 in (info.length or 0, count)
