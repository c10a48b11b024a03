"""OME-XML as far as it tells which plane is where: read as a stream of elements, without a tree and without entities.

Elements and attributes: the OME schemas 2003-FC to 2016-06, whose local names are the same here, and the OME-TIFF
specification for TiffData.
"""

from __future__ import annotations

import codecs
import math
import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NoReturn
from xml.parsers import expat

import numpy as np

from lazytiff._dimensions import MICROMETRE, Dimensions, Step
from lazytiff._ome import SIZES, Ome, OmeFile, OmeImage
from lazytiff.errors import CorruptTiffError, LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping


_LOOK = 1 << 16  # characters that are looked at to tell OME-XML from other descriptions
_FEED = 1 << 16  # bytes that are parsed at a time
_MOST_WAITING = 1 << 20  # bytes of one tag
_MOST_ELEMENTS = 1 << 20
_MOST_BLOCKS = 1 << 19  # TiffData elements
_MOST_IMAGES = 1 << 12
_MOST_DEPTH = 64
_MOST_TEXT = 1 << 10  # characters of a UUID
_MOST_DIGITS = 12
_MARK = re.compile(r"<(?:[\w.-]+:)?OME[\s>]")


def is_ome(text: str) -> bool:
    """Tell whether a description is OME-XML, by its beginning: a text that speaks of OME is not."""
    return text[:_LOOK].lstrip("\ufeff \t\r\n").startswith("<") and _MARK.search(text, 0, _LOOK) is not None


def parse(text: bytes, name: str) -> Ome:
    """Read OME-XML; name: of its file, for errors.

    Raises CorruptTiffError for what is no XML, has a document type, or has sizes that no image has; LimitError for
    what is larger than any image's: a million elements, a tag of a mebibyte, more than 64 elements within each other.
    """
    reader = _Reader(name)
    data = _as_utf8(text)
    try:
        for begin in range(0, len(data), _FEED):
            reader.parser.Parse(data[begin : begin + _FEED])
            if begin + _FEED - reader.parser.CurrentByteIndex > _MOST_WAITING:
                reader.limit(f"a tag of more than {_MOST_WAITING} bytes")
        reader.parser.Parse(b"", True)  # noqa: FBT003  # expat's own signature
    except expat.ExpatError as error:
        raise CorruptTiffError(f"{name}: its OME-XML is damaged: {error}; its pages can be read without it") from None
    return reader.ome


def _as_utf8(text: bytes) -> bytes:
    """Return the text in UTF-8, as OME-TIFF has it; some writers use the code page of their Windows."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(text), _FEED):  # not all of it at once, which might be large
            decoder.decode(text[begin : begin + _FEED])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()
    return text


@dataclass
class _Draft:
    """An image that is being read."""

    name: str
    pixels: Mapping[str, str] | None = None
    samples: int = 0
    channels: list[str] = field(default_factory=list)
    files: dict[OmeFile, int] = field(default_factory=dict)
    blocks: array[int] = field(default_factory=lambda: array("q"))


class _Reader:
    """Takes elements as they come."""

    _TAKERS: ClassVar[dict[tuple[str, str], str]] = {  # by parent and name
        ("", "OME"): "_take_ome",
        ("OME", "BinaryOnly"): "_take_binary_only",
        ("OME", "Image"): "_take_image",
        ("Image", "Pixels"): "_take_pixels",
        ("Pixels", "Channel"): "_take_channel",
        ("Pixels", "TiffData"): "_take_data",
        ("TiffData", "UUID"): "_take_uuid",
    }

    def __init__(self, name: str) -> None:
        self._name = name
        self._path: list[str] = []
        self._elements = 0
        self._blocks = 0
        self._draft: _Draft | None = None
        self._block: list[int] = []
        self._file: OmeFile | None = None
        self._text = ""
        self.ome = Ome()
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def limit(self, what: str) -> NoReturn:
        """Give up."""
        raise LimitError(f"{self._name}: its OME-XML has {what}: no image has; its pages can be read without it")

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise CorruptTiffError(
            f"{self._name}: its OME-XML has a document type, which may hold entities: it is not parsed; its pages can "
            "be read without it"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(":")[2]
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            self.limit(f"more than {_MOST_ELEMENTS} elements")
        if len(self._path) >= _MOST_DEPTH:
            self.limit(f"elements more than {_MOST_DEPTH} deep")
        take = self._TAKERS.get((self._path[-1] if self._path else "", local))
        if take is not None:
            getattr(self, take)(attributes)
        self._path.append(local)

    def _end(self, tag: str) -> None:
        self._path.pop()
        local = tag.rpartition(":")[2]
        if self._draft is None:
            return
        if local == "TiffData" and self._block:
            number = self._draft.files.setdefault(self._file or OmeFile(None, None), len(self._draft.files))
            self._draft.blocks.extend([number, *self._block])
            self._block, self._file = [], None
        elif local == "UUID" and self._file is not None and self._path[-1:] == ["TiffData"]:
            self._file = OmeFile(self._file.name, self._text.strip() or None)
        elif local == "Image" and len(self._path) == 1:
            self._finish(self._draft)

    def _take_text(self, text: str) -> None:
        if self._file is not None and self._path[-1] == "UUID" and len(self._text) < _MOST_TEXT:
            self._text += text[:_MOST_TEXT]

    # ---- Elements, by their parents

    def _take_ome(self, attributes: dict[str, str]) -> None:
        self.ome.uuid = attributes.get("UUID")

    def _take_binary_only(self, attributes: dict[str, str]) -> None:
        self.ome.metadata_file, self.ome.metadata_uuid = attributes.get("MetadataFile"), attributes.get("UUID")

    def _take_image(self, attributes: dict[str, str]) -> None:
        if len(self.ome.images) >= _MOST_IMAGES:
            self.limit(f"more than {_MOST_IMAGES} images")
        self._draft = _Draft(attributes.get("Name") or attributes.get("ID", ""))

    def _take_pixels(self, attributes: dict[str, str]) -> None:
        if self._draft is not None and self._draft.pixels is None:
            self._draft.pixels = attributes

    def _take_channel(self, attributes: dict[str, str]) -> None:
        if self._draft is not None:
            self._draft.channels.append(attributes.get("Name", ""))
            self._draft.samples = self._draft.samples or self._number(attributes, "SamplesPerPixel", 1)

    def _take_data(self, attributes: dict[str, str]) -> None:
        self._blocks += 1
        if self._blocks > _MOST_BLOCKS:
            self.limit(f"more than {_MOST_BLOCKS} elements TiffData")
        planes = "PlaneCount" if "PlaneCount" in attributes else "NumPlanes"
        count = self._number(attributes, planes, 1 if "IFD" in attributes else 0, least=0) or -1
        firsts = [self._number(attributes, "First" + letter, 0, least=0) for letter in SIZES]
        self._block = [self._number(attributes, "IFD", 0, least=0), count, *firsts]

    def _take_uuid(self, attributes: dict[str, str]) -> None:
        if self._block and self._file is None:
            self._file, self._text = OmeFile(attributes.get("FileName"), None), ""

    def _number(self, attributes: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
        """Return a whole number of a few digits; leading zeros are those of xs:int."""
        text = attributes.get(name, "").strip()
        if name not in attributes:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) >= least):
            raise CorruptTiffError(f"{self._name}: its OME-XML says {name}={text[:40]!r}, which is no number of planes")
        return int(text)

    # ---- Images

    def _finish(self, draft: _Draft) -> None:
        """Make the image of what was read of it."""
        self._draft = None
        pixels = draft.pixels
        if pixels is None:
            return
        order = pixels.get("DimensionOrder", "XYCZT")
        if sorted(order) != sorted("XYCZT") or not order.startswith("XY"):
            raise CorruptTiffError(f"{self._name}: its OME-XML says DimensionOrder={order[:40]!r}, which is no order")
        letters, samples = order[:1:-1], draft.samples or 1
        sizes = {letter: self._number(pixels, "Size" + letter, 1) for letter in "YX" + SIZES}
        if sizes["C"] % samples == 0:
            sizes["C"] //= samples
        channels = tuple(draft.channels) if any(draft.channels) else ()
        shape = tuple(sizes[letter] for letter in letters)
        dimensions = Dimensions(letters, shape, None, _steps(pixels), channels)
        blocks = np.array(draft.blocks, np.int64).reshape(-1, 3 + len(SIZES))
        size = sizes["Y"], sizes["X"]
        self.ome.images.append(OmeImage(dimensions, size, samples, tuple(draft.files), blocks, draft.name))


def _steps(pixels: Mapping[str, str]) -> dict[str, Step]:
    """Return physical sizes, in micrometres unless their unit is there, and the time increment, in seconds."""
    found = {}
    for letter, key, unit in [*((axis, f"PhysicalSize{axis}", "µm") for axis in "YXZ"), ("T", "TimeIncrement", "s")]:
        try:
            value = float(pixels.get(key, ""))
        except ValueError:
            continue
        name = pixels.get(key + "Unit", unit)
        if math.isfinite(value) and value > 0:
            found[letter] = Step(value, "µm" if name in MICROMETRE else name)
    return found
