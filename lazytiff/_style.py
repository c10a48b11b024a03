"""How pages are to be stored: options of `empty`, `save` and `open(path, "a")`, checked before a file is touched."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from lazytiff import _binding, _codecs, _descriptions
from lazytiff._metadata import metadata_of
from lazytiff._shapes import check_dtype
from lazytiff._tag_types import SHORT
from lazytiff._tag_values import NewTag, new_tags, stamped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lazytiff._metadata import Metadata
    from lazytiff._pages import FrameType
    from lazytiff._tags import Tags

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _COLOUR_MAP = 270, 282, 283, 296, 320
_PALETTE_BITS = 16
KINDS = {"b": 1, "u": 2, "i": 3, "f": 4, "c": 5}  # enum lzt_kind
_PHOTOMETRIC = {"miniswhite": 0, "minisblack": 1, "rgb": 2, "palette": 3, "mask": 4, "cmyk": 5, "ycbcr": 6, "cielab": 8}
_PREDICTORS = {None: 0, False: 1, 1: 1, 2: 2, 3: 3, "horizontal": 2, "float": 3}
_BIGTIFF = {"auto": -1, False: 0, True: 1}
_MOST = (1 << 32) - 1  # rows and columns
_UNSAID = {"compression": 0, "predictor": 0, "chunk_rows": 0, "chunk_columns": 0, "photometric": -1}


class Options(TypedDict, total=False):
    """The options of `lazytiff.empty` that say how pages are stored."""

    compression: str | None
    level: float | None
    predictor: int | str | bool | None
    chunk_shape: int | tuple[int, int] | None
    photometric: str | None
    description: str | bytes | None
    tags: Mapping[str | int, Any] | None
    imagej: bool
    ome: bool
    metadata: Mapping[str, Any] | None
    durability: str
    workers: int | None


@dataclass(frozen=True)
class Style:
    """What a user says of the pages to come; 0, -1 and None: nothing."""

    compression: int
    level: float
    predictor: int | str
    chunk: tuple[int, int] | None  # rows, and columns: 0 of strips
    photometric: int
    tags: list[NewTag]
    description: list[NewTag]  # of the first page alone
    metadata: Metadata | None  # that the first page's description is made of
    durable: bool
    workers: int | None

    @classmethod
    def of(
        cls,
        *,
        compression: str | None = None,
        level: float | None = None,
        predictor: int | str | bool | None = None,
        chunk_shape: int | tuple[int, int] | None = None,
        photometric: str | None = None,
        description: str | bytes | None = None,
        tags: Mapping[str | int, Any] | None = None,
        imagej: bool = False,
        ome: bool = False,
        metadata: Mapping[str, Any] | None = None,
        durability: str = "process",
        workers: int | None = None,
    ) -> Style:
        """Check the options; raise ValueError or TypeError for what no file can be."""
        if durability not in ("process", "power"):
            raise ValueError(f"durability must be 'process' or 'power', not {durability!r}")
        if workers is not None and operator.index(workers) < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        if photometric is not None and photometric not in list(_PHOTOMETRIC):
            raise ValueError(f"photometric must be one of {', '.join(_PHOTOMETRIC)}, not {photometric!r}")
        own, told = new_tags(tags), metadata_of(metadata, imagej=imagej, ome=ome)
        if any(tag.number == _DESCRIPTION for tag in own) + (description is not None) + (told is not None) > 1:
            raise ValueError("ImageDescription is there twice: `description`, `tags` or `imagej`, `ome` and `metadata`")
        return cls(
            compression=0 if compression is None else _codecs.writable(compression),
            level=_level(level),
            predictor=_predictor(predictor),
            chunk=_chunk(chunk_shape),
            photometric=-1 if photometric is None else _PHOTOMETRIC[photometric],
            tags=own + _resolution(own, told),
            description=[] if description is None else new_tags({_DESCRIPTION: description}),
            metadata=told,
            durable=durability == "power",
            workers=workers,
        )

    def form(self, shape: tuple[int, ...], dtype: np.dtype[Any], like: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return members of struct lzt_form (csrc/lazytiff.h) for pages of (row, column[, sample])."""
        rows, columns, *samples = shape
        members = {name: (like or _UNSAID)[name] for name in _UNSAID}
        members |= {"rows": rows, "columns": columns, "samples": samples[0] if samples else 1}
        members |= {"kind": KINDS[dtype.kind], "item_size": dtype.itemsize, "level": self.level}
        if self.compression:
            if self.compression != members["compression"]:
                members["predictor"] = 0  # which goes with a codec
            members["compression"] = self.compression
        if self.predictor:
            members["predictor"] = (3 if dtype.kind == "f" else 2) if self.predictor == "auto" else self.predictor
        if self.chunk is not None:
            wide = self.chunk[1] != columns  # tiles as wide as the page are strips
            members["chunk_rows"], members["chunk_columns"] = self.chunk[0], self.chunk[1] * wide
        if self.photometric != -1:
            members["photometric"] = self.photometric
        if self.photometric == _PHOTOMETRIC["palette"] and like is None:
            self._check_palette(dtype)
        return members

    def _check_palette(self, dtype: np.dtype[Any]) -> None:
        """Raise ValueError when there are not as many colours as the samples can tell apart (TIFF 6.0, section 5)."""
        bits = 1 if dtype.kind == "b" else 8 * dtype.itemsize
        if dtype.kind not in "bu" or bits > _PALETTE_BITS:
            raise ValueError(f"photometric='palette' is for bool, uint8 and uint16, not {dtype}")
        if [tag.count for tag in self.tags if tag.number == _COLOUR_MAP] != [3 << bits]:
            raise ValueError(
                f"photometric='palette' takes the tag ColorMap of {3 << bits} numbers: reds, greens, blues"
            )

    def bigtiff_number(self, bigtiff: bool | str) -> int:  # noqa: FBT001  # what the user gave
        """Return True, False or "auto" as 1, 0 or -1; ImageJ's files are classic ones."""
        number = bigtiff_number(bigtiff)
        if self.metadata is None or self.metadata.kind != "imagej":
            return number
        if number == 1:
            raise ValueError("bigtiff=True does not go with imagej=True: ImageJ opens no BigTIFF files")
        return 0

    def check_form(self, form: dict[str, Any], dtype: np.dtype[Any]) -> None:
        """Raise ValueError when pages in that form, with its defaults, are none for the program of the metadata."""
        if self.metadata is not None:
            _descriptions.check_form(self.metadata, form, dtype)

    def stamped_tags(self) -> list[NewTag]:
        """Return the tags of every page, with the name of this program among them."""
        return stamped(self.tags, _binding.version())


_INHERITED = (282, 283, 296, 320, 338)  # resolution and its unit, ColorMap, ExtraSamples


def inherited(tags: list[NewTag], last: Tags, frame: FrameType) -> list[NewTag]:
    """Return the tags, and those of the last page that all pages of a stack have in common."""
    own = {tag.number for tag in tags}
    others = [(number, last.raw(number)) for number in _INHERITED if number not in own]
    found = [NewTag(number, *raw) for number, raw in others if raw is not None]
    if frame.photometric == _PHOTOMETRIC["palette"]:
        found = [_widened(tag, frame.dtype) if tag.number == _COLOUR_MAP else tag for tag in found]
    return sorted([*tags, *found])


def _widened(tag: NewTag, dtype: np.dtype[Any]) -> NewTag:
    """Return the colours of samples that become wider, as those of 4 bits do: the further ones are black."""
    if tag.type != SHORT or tag.count % 3 or dtype.kind != "u":
        return tag
    colours = np.frombuffer(tag.data, "u2").reshape(3, -1)
    room = max((1 << 8 * dtype.itemsize) - colours.shape[1], 0)
    data = np.pad(colours, [(0, 0), (0, room)]).tobytes()
    return NewTag(tag.number, tag.type, len(data) // 2, data)


def bigtiff_number(bigtiff: bool | str) -> int:  # noqa: FBT001  # what the user gave
    """Return True, False or "auto" as 1, 0 or -1."""
    if bigtiff not in list(_BIGTIFF):
        raise ValueError(f"bigtiff must be True, False or 'auto', not {bigtiff!r}")
    return _BIGTIFF[bigtiff]


def _resolution(tags: list[NewTag], metadata: Metadata | None) -> list[NewTag]:
    """Return tags of pixels in the unit of the description, which ResolutionUnit 1 says, as ImageJ has it."""
    if metadata is None or metadata.kind != "imagej" or metadata.pixel_size is None:
        return []
    y, x = metadata.pixel_size
    found = new_tags({_X_RESOLUTION: 1 / x, _Y_RESOLUTION: 1 / y, _RESOLUTION_UNIT: 1})
    if {tag.number for tag in tags} & {tag.number for tag in found}:
        raise ValueError("the resolution is there twice: among `tags` and as pixel_size of `metadata`")
    return found


def is_big_endian(dtype: np.dtype[Any]) -> bool:
    """Return whether a file that gets the byte order of the dtype begins numbers with the most significant byte."""
    return (dtype if dtype.itemsize > 1 and dtype.kind != "b" else np.dtype("u2")).str[0] == ">"


def sample_type(dtype: Any) -> np.dtype[Any]:
    """Return the dtype that pages are to have; raise TypeError when TIFF has no such samples."""
    found: np.dtype[Any] = np.dtype(dtype)
    check_dtype(found)
    return found


def _level(level: float | None) -> float:
    if level is None:
        return -1.0
    number = float(level)
    if not number >= 0:
        raise ValueError(f"level must not be negative, and is {level!r}")
    return number


def _predictor(predictor: Any) -> int | str:
    if predictor is True:
        return "auto"
    if predictor not in list(_PREDICTORS):
        raise ValueError(f"predictor must be True, False, 1, 2, 3, 'horizontal' or 'float', not {predictor!r}")
    return _PREDICTORS[predictor]


def _chunk(shape: Any) -> tuple[int, int] | None:
    """Return rows and columns of a chunk; columns 0: strips."""
    if shape is None:
        return None
    sizes = tuple(map(operator.index, shape)) if isinstance(shape, tuple | list) else (operator.index(shape),)
    if len(sizes) not in (1, 2) or not all(1 <= size <= _MOST for size in sizes):
        raise ValueError(f"chunk_shape must be (rows, columns) of a tile, or the rows of a strip, not {shape!r}")
    return sizes[0], sizes[1] if len(sizes) > 1 else 0
