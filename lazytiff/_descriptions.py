"""What the first page's description tells ImageJ and Bio-Formats of a stack that grows: its axes, by a count of steps.

Sources: ImageJ 1.x, ij.io.TiffDecoder, FileOpener and FileSaver; the OME-XML schema of 2016-06 and the specification of
OME-TIFF; how Bio-Formats (loci.formats.in.TiffReader) and tifffile read both.
"""

from __future__ import annotations

import math
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    import numpy as np

    from lazytiff._metadata import Metadata

_COUNTED = {"T": "frames", "Z": "slices", "C": "channels"}  # ImageJ's words
_MOST_COMPOSITE = 7  # channels that ImageJ shows together
_ORDERS = ("XYCZT", "XYZCT", "XYZTC", "XYCTZ", "XYTCZ", "XYTZC")
_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_OME_TYPES = {
    "bool": "bit",
    "float32": "float",
    "float64": "double",
    "complex64": "complex",
    "complex128": "double-complex",
} | {name: name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")}
_IMAGEJ_TYPES = ("uint8", "uint16", "int16", "float32")
_IMAGEJ_COMPRESSIONS = {1: "none", 5: "LZW", 8: "Deflate", 32773: "PackBits"}
_LZW, _DIFFERENCES, _RGB = 5, 2, 3
_LEAST_BYTES = 64


class Described(NamedTuple):
    """A text with eight digits at byte `inside`, a multiple of 8: they count steps of `per` pages, `least` or more."""

    text: bytes
    inside: int
    per: int
    least: int

    @property
    def kind(self) -> str:
        """Whose it is: "imagej", which may count 0, or "ome"."""
        return "ome" if self.least else "imagej"


def describe(metadata: Metadata, form: dict[str, Any], dtype: np.dtype[Any], creator: str, pages: int = 0) -> Described:
    """Return the description of the first of so many pages, with their rows, columns and samples (struct lzt_form).

    Raises ValueError when the pages are none that the metadata, ImageJ or OME can be told of.
    """
    metadata.check_samples(form["samples"])
    steps = max(pages // metadata.per, metadata.least)
    before, after = (_imagej if metadata.kind == "imagej" else _ome)(metadata, form, dtype, creator)
    text = before + b"%08d" % min(steps, 99_999_999) + after
    return Described(text + b"\0", len(before), metadata.per, metadata.least)


def check_form(metadata: Metadata, form: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Raise ValueError for pages (struct lzt_form) that ImageJ cannot open, or that OME has no name for."""
    if metadata.kind == "ome":
        if dtype.name not in _OME_TYPES:
            raise ValueError(f"OME has no pixels of {dtype}; it has {', '.join(_OME_TYPES)}")
        if form["samples"] > 1 and metadata.letters[0] == "C":
            raise ValueError("OME counts samples among channels: where pages have several, C is not the slowest axis")
        return
    if dtype.name not in _IMAGEJ_TYPES:
        raise ValueError(f"ImageJ has no pixels of {dtype}; it has {', '.join(_IMAGEJ_TYPES)}")
    if form["compression"] not in _IMAGEJ_COMPRESSIONS:
        raise ValueError(f"ImageJ decompresses only {', '.join(_IMAGEJ_COMPRESSIONS.values())}")
    if form["predictor"] not in (0, 1) and (form["compression"], form["predictor"]) != (_LZW, _DIFFERENCES):
        raise ValueError("ImageJ knows only predictor 2, and only with LZW")
    if form["chunk_columns"]:
        raise ValueError("ImageJ opens strips, and no tiles")
    if form["samples"] != 1 and (form["samples"] != _RGB or dtype.name != "uint8" or "C" in metadata.letters):
        raise ValueError("ImageJ has pages of 1 sample or RGB ones of uint8, which have no axis C")


def check_size(metadata: Metadata, form: dict[str, Any]) -> None:
    """Raise ValueError for ImageJ's pages that are so small that what lies between them counts.

    tifffile takes pages for one piece, which they are not, when all of them together would end before the second IFD.
    """
    if (
        metadata.kind == "imagej"
        and form["rows"] * form["columns"] * form["samples"] * form["item_size"] < _LEAST_BYTES
    ):
        raise ValueError(f"pages of less than {_LEAST_BYTES} bytes are none that all readers of ImageJ's files find")


# ---- ImageJ


def _imagej(metadata: Metadata, form: dict[str, Any], _dtype: np.dtype[Any], _creator: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the digits.

    The version is empty, as Bio-Formats writes it: ImageJ 1.x then walks the IFDs; after a version it would take bytes
    behind the first page's pixels for the others, by the number of `images`, which is left out, too. Empty lines, which
    nobody minds, bring the digits to their place.
    """
    lines = ["ImageJ=", "hyperstack=true"]
    lines += [f"{_COUNTED[letter]}={size}" for letter, size in metadata.sizes.items()]
    if form["samples"] == 1:
        lines.append(f"mode={'composite' if 1 < metadata.sizes.get('C', 1) <= _MOST_COMPOSITE else 'grayscale'}")
    lines.append("loop=false")
    if metadata.spacing or metadata.pixel_size:
        lines.append(f"unit={'micron' if metadata.unit == 'µm' else _escaped(metadata.unit)}")
    lines += [f"spacing={metadata.spacing!r}"] * bool(metadata.spacing)
    lines += [f"finterval={metadata.interval!r}"] * bool(metadata.interval)
    lines += [f"name={_escaped(metadata.name)}"] * bool(metadata.name)
    head = "".join(f"{line}\n" for line in lines)
    last = f"{_COUNTED[metadata.letters[0]]}="
    return f"{head}{_padding(head, last, chr(10))}{last}".encode("ascii"), b"\n"


def _escaped(text: str) -> str:
    """Return a value as Java's Properties read it, in ASCII."""
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if code < 0x7F else f"\\u{code:04X}" for code in codes)  # noqa: PLR2004  # ASCII's end


def _padding(head: str, last: str, space: str) -> str:
    return space * (-len(f"{head}{last}".encode()) % 8)


# ---- OME


def _ome(metadata: Metadata, form: dict[str, Any], dtype: np.dtype[Any], creator: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the digits.

    One TiffData without attributes says that planes are in the order of the IFDs, however many there are.
    """
    samples, slowest = form["samples"], metadata.letters[0]
    sizes = {"X": form["columns"], "Y": form["rows"], "C": 1, "Z": 1, "T": 1} | metadata.sizes
    channels = sizes["C"]
    sizes["C"] *= samples
    pixels = {"ID": "Pixels:0", "Type": _OME_TYPES[dtype.name], "DimensionOrder": _order(metadata.letters)}
    pixels |= {"BigEndian": "true" if dtype.str[0] == ">" else "false"}
    pixels |= {"Interleaved": "true"} if samples > 1 else {}
    pixels |= {f"Size{letter}": str(size) for letter, size in sizes.items() if letter != slowest}
    pixels |= _physical(metadata)
    image = {"ID": "Image:0"} | ({"Name": metadata.name} if metadata.name else {})
    top = {"xmlns": _SCHEMA, "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"}
    top |= {"xsi:schemaLocation": f"{_SCHEMA} {_SCHEMA}/ome.xsd", "UUID": uuid.uuid4().urn, "Creator": creator}
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    head += f"<OME{_attributes(top)}><Image{_attributes(image)}><Pixels{_attributes(pixels)}"
    last = f' Size{slowest}="'
    ends = "" if slowest == "C" else "".join(_channel(metadata, number, samples) for number in range(channels))
    after = f'">{ends}<TiffData/></Pixels></Image></OME>'
    return f"{head}{_padding(head, last, ' ')}{last}".encode(), after.encode()


def _order(letters: str) -> str:
    """Return the DimensionOrder, fastest first, in which the axes of a stack, slowest first, have their order."""
    wanted = letters[::-1]
    return next(order for order in _ORDERS if "".join(letter for letter in order if letter in wanted) == wanted)


def _physical(metadata: Metadata) -> dict[str, str]:
    y, x = metadata.pixel_size or (0.0, 0.0)
    found: dict[str, str] = {}
    for letter, size in (("X", x), ("Y", y), ("Z", metadata.spacing or 0.0)):
        if size:
            found |= {f"PhysicalSize{letter}": repr(size), f"PhysicalSize{letter}Unit": metadata.unit}
    return found | ({"TimeIncrement": repr(metadata.interval), "TimeIncrementUnit": "s"} if metadata.interval else {})


def _channel(metadata: Metadata, number: int, samples: int) -> str:
    own = {"ID": f"Channel:0:{number}", "SamplesPerPixel": str(samples)}
    own |= {"Name": metadata.channels[number]} if metadata.channels else {}
    return f"<Channel{_attributes(own)}/>"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items())


# ---- What is there already

_WORDS = rb"\n(frames|slices|channels|images)=(\d{1,9})(?=[\r\n]|\Z)"
_SIZES = rb'\sSize([TZC])="(\d{1,9})"'
_PIXELS = re.compile(rb"<Pixels\s[^<>]*>")
_UUID = re.compile(rb"(?<= UUID=\")urn:uuid:[-0-9a-f]{36}")


def counted(text: bytes) -> Described | None:
    """Return a description of our own with its digits, without the rest; None when it is another one."""
    if text.startswith(b"ImageJ=\n"):
        digits, sizes, samples = re.search(rb"\n(frames|slices|channels)=(\d{8})\n\0*\Z", text), _words(text), 1
    else:
        own = re.compile(_SIZES.replace(rb"1,9", b"8") + b">")
        digits, sizes, samples = own.search(text, _pixels(text)[0]), _ome_sizes(text), _samples(text)
    if digits is None or digits.start(2) % 8 or not sizes or (samples > 1 and digits[1] == b"C"):
        return None
    per = math.prod(size for word, size in sizes.items() if word not in (digits[1], b"images")) // samples
    return Described(text, digits.start(2), per, 0 if text.startswith(b"ImageJ") else 1) if per else None


def within(text: bytes, pages: int) -> bytes:
    """Return a description; one of our own with no more steps than so many pages, which it may be younger than."""
    found = counted(text)
    if found is None:
        return text
    end, steps = found.inside + 8, max(pages // found.per, found.least)
    return text if int(text[found.inside : end]) <= steps else text[: found.inside] + b"%08d" % steps + text[end:]


def told(text: bytes, pages: int) -> str:
    """Return "imagej" or "ome" when another program's description tells of just so many pages, otherwise ""."""
    if text.startswith(b"ImageJ="):
        words = _words(text)
        images = words.pop(b"images", 1)
        return "imagej" if pages > 1 and pages in (images, math.prod(words.values())) else ""
    return "ome" if math.prod((_ome_sizes(text) or {b"": 0}).values()) == pages * _samples(text) else ""


def is_same(described: Described, text: bytes) -> bool:
    """Return whether a text says what that description does, but for how much was counted, and which file it is."""
    begin, end = described.inside, described.inside + 8
    masked = [
        (_UUID.sub(b"", each[:begin], 1), each[begin:end].isdigit(), each[end:].rstrip(b"\0"))
        for each in (described.text, text)
    ]
    return masked[0] == masked[1]


def _pixels(text: bytes) -> tuple[int, int]:
    """Return where the tag <Pixels> begins and ends: names that users give stand before and behind it."""
    found = _PIXELS.search(text)
    return (len(text), len(text)) if found is None else found.span()


def _words(text: bytes) -> dict[bytes, int]:
    return {word: int(number) for word, number in re.findall(_WORDS, text)}


def _ome_sizes(text: bytes) -> dict[bytes, int]:
    """Return the sizes of the only image of OME-XML; none where it is something else."""
    found = dict(re.findall(_SIZES, text[slice(*_pixels(text))]))
    is_ome = b"openmicroscopy.org/Schemas/OME" in text[:4096] and text.count(b"<Pixels ") == 1 and len(found) == 3  # noqa: PLR2004
    return {word: int(number) for word, number in found.items()} if is_ome else {}


def _samples(text: bytes) -> int:
    found = re.compile(rb'\sSamplesPerPixel="(\d{1,5})"').search(text, _pixels(text)[1])
    return max(int(found[1]), 1) if found else 1
