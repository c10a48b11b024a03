"""OME-TIFF: the images that a file's OME-XML tells of, in the file itself or in the set of files that it is a part of.

A set's files are told by UUID and FileName, and the description may be in one of them only, or in a companion file
(BinaryOnly): OME-TIFF specification, the elements TiffData and BinaryOnly.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from lazytiff._file import OpenFile
from lazytiff._limits import limits
from lazytiff._many import MultiTiff
from lazytiff._ome import Ome, OmeFile
from lazytiff._ome_xml import parse
from lazytiff._placed import Placed, alone, description, once
from lazytiff._source import Source
from lazytiff._warn import warn
from lazytiff.errors import CorruptTiffError, LimitError, TiffError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from lazytiff._dimensions import Dimensions
    from lazytiff._ome import OmeImage

_MOST_NEIGHBOURS = 10_000  # files of a folder that are looked into for one that was renamed
_TIFF_NAME = re.compile(r"\.(tiff?|btf|tf[28])$", re.IGNORECASE)
_UUID = re.compile(rb"<(?:\w+:)?OME\s[^<>]*\bUUID\s*=\s*[\"']([^\"']*)[\"']")


def images(file: OpenFile, text: bytes) -> Iterator[Placed]:
    """Yield the images that have planes; of the set's description where the file has none of its own."""
    ome = parse(text, file.source.name)
    folder = _Folder(file, ome.uuid)
    if ome.metadata_file is not None:
        ome = _master(folder, OmeFile(ome.metadata_file, ome.metadata_uuid))
    total = sum(image.dimensions.count for image in ome.images)
    if total > limits.max_pages:  # or it would take long to find out which of them the pages are
        raise LimitError(f"{file.source.name}: its OME-XML has {total} planes (limits.max_pages: {limits.max_pages})")
    for image in ome.images:
        placed = _Members(file, folder, image).place()
        if placed is not None:
            yield placed


def _master(folder: _Folder, member: OmeFile) -> Ome:
    """Return the description of the whole set, from the file that has it."""
    path = folder.find(member)
    ome = Ome() if path is None else parse(_xml_of(path), path)
    if not ome.images:
        warn(
            f"{folder.name}: {member.name}, which is to tell of the axes of its set, is not there, or does not tell: "
            "this file stands alone"
        )
    return ome


def _xml_of(path: str) -> bytes:
    """Return the OME-XML of a TIFF file, or of a companion that has nothing else."""
    if _TIFF_NAME.search(path):
        return _described(path)
    companion = Source(path)  # which refuses what is no file: to open a pipe might wait for ever
    try:
        with companion:
            size = companion.handle.size()
            if size > limits.max_value_bytes:
                raise LimitError(f"{path}: {size} bytes of OME-XML (limits.max_value_bytes: {limits.max_value_bytes})")
            return companion.handle.read(0, size)
    finally:
        companion.close()


def _described(path: str) -> bytes:
    """Return the description of a file, of which nothing else is asked, so that nobody is warned of the rest of it."""
    source = Source(path)
    try:
        return description(OpenFile.of(source, 1, 0, "default"))
    finally:
        source.close()


def _uuid_in(text: bytes) -> str | None:
    found = _UUID.search(text)
    return found[1].decode("utf-8", "replace") if found else None


class _Folder:
    """The folder of the file that was opened, and of the others of its set: descriptions lead to no other one."""

    def __init__(self, file: OpenFile, uuid: str | None) -> None:
        self.name, self.own = file.source.name, file.source.path
        self._uuid = uuid
        self._path = None if self.own is None else os.path.dirname(self.own)
        self._counts: dict[str, int] = {}

    @cached_property
    def _names(self) -> set[str]:
        return set() if self._path is None else set(os.listdir(self._path))

    @cached_property
    def _by_uuid(self) -> dict[str, str]:
        """Look into the TIFF files of the folder, once, for what their UUIDs are."""
        found: dict[str, str] = {}
        for name in sorted(filter(_TIFF_NAME.search, self._names))[:_MOST_NEIGHBOURS]:
            try:
                uuid = _uuid_in(_described(os.path.join(self._path or "", name)))
            except (OSError, TiffError):
                continue  # whatever is wrong with it, it is not the one
            if uuid is not None:
                found.setdefault(uuid, name)
        return found

    def is_own(self, member: OmeFile) -> bool:
        """Tell whether a member of the set is the file that was opened."""
        if member.uuid is None and member.name is None:
            return True
        if self._uuid is not None and member.uuid is not None:
            return member.uuid == self._uuid
        return self.own is not None and (member.name or "").lower() == os.path.basename(self.own).lower()

    def find(self, member: OmeFile) -> str | None:
        """Return the path of a member, by its name or, when it was renamed, by its UUID; None when it is not there."""
        name = os.path.basename((member.name or "").replace("\\", "/"))
        if name not in self._names:
            name = self._by_uuid.get(member.uuid or "", "")
        return os.path.join(self._path or "", name) if name else None

    def count(self, path: str | None) -> int:
        """Return how many pages a file has, looked up once; -1 for one that is not there."""
        if path is not None and path not in self._counts:
            file = OpenFile.open(path, 1, 0, "default")
            file.source.close()
            self._counts[path] = len(file.table)
        return self._counts.get(path or "", -1)


@dataclass
class _Members:
    """An image, and the files that have its planes."""

    file: OpenFile
    folder: _Folder
    image: OmeImage

    def __post_init__(self) -> None:
        self._own = [self.folder.is_own(member) for member in self.image.files]
        self._numbers = {member: number for number, member in enumerate(self.image.files)}
        if len(self._own) == 1 and self._path(0) is None:
            self._own = [True]  # the only one, which was renamed

    def _path(self, number: int) -> str | None:
        return self.folder.own if self._own[number] else self.folder.find(self.image.files[number])

    def _count(self, member: OmeFile) -> int:
        """Return how many pages a member has."""
        number = self._numbers[member]
        return len(self.file.table) if self._own[number] else self.folder.count(self._path(number))

    def place(self) -> Placed | None:
        """Find the planes; None when the description tells of none."""
        files, pages = self.image.places(self._count)
        used = np.unique(files[files >= 0]).tolist()
        if not used:
            return None
        if all(self._own[number] for number in used):
            return alone(self.file, self._with(pages), self.image.size)
        return self._in_several(used, files, pages)

    def _with(self, planes: NDArray[np.intp]) -> Dimensions:
        """Return the image's axes, as long as there are planes along them."""
        return replace(self.image.dimensions, sizes=planes.shape, planes=planes)

    def _in_several(self, used: Sequence[int], files: NDArray[np.intp], pages: NDArray[np.intp]) -> Placed | None:
        paths = {number: path for number in used if (path := self._path(number)) is not None}
        missing = [self.image.files[number].name or "" for number in used if number not in paths]
        if missing:
            more = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
            whose = f"{missing[0]}{more}, of the same set, is not beside it: its planes are missing"
            warn(f"{self.file.source.name}: {whose}")
        if not paths:
            return None
        numbers = np.array(list(paths))  # ascending, as `used` is
        at = np.minimum(np.searchsorted(numbers, files), len(numbers) - 1)
        there = numbers[at] == files
        counts = np.zeros(len(numbers), np.intp)
        np.maximum.at(counts, at[there], pages[there] + 1)
        planes = np.where(there, pages + (np.cumsum(counts) - counts)[at], -1)

        why = partial(_why_missing, files, [member.name for member in self.image.files])
        uuids = [self.image.files[number].uuid for number in paths]
        parts = list(paths.values()), counts.tolist(), uuids
        return Placed(self._with(planes), why, self.image.size, once(self.file, lambda: _joined(self.file, *parts)))


def _joined(file: OpenFile, paths: list[str], counts: list[int], uuids: list[str | None]) -> MultiTiff:
    """Return the pages of the set's files as one array."""
    return MultiTiff(paths, counts=counts, is_set=True, accept=partial(_accept, uuids), **file.settings)


def _accept(uuids: list[str | None], number: int, part: OpenFile) -> None:
    """Raise CorruptTiffError for a file that is not the one that the set's description tells of."""
    found = _uuid_in(description(part))
    if None not in (found, uuids[number]) and found != uuids[number]:
        raise CorruptTiffError(
            f"{part.source.name}: its UUID is {found}, and the description of its set says {uuids[number]}: it is "
            "another file of that name"
        )


def _why_missing(files: NDArray[np.intp], names: list[str | None], plane: int) -> str:
    """Return why a plane is missing; files: for each plane the number of its file."""
    number = int(files.flat[plane])
    return "no TiffData tells where" if number < 0 else f"{names[number]} is not beside this file"
