"""The first page's description while a stack grows: what it says of the axes, and that it goes on counting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lazytiff import _binding, _descriptions
from lazytiff._tag_types import ASCII
from lazytiff._tag_values import new_tags
from lazytiff._warn import warn
from lazytiff.errors import TiffError

if TYPE_CHECKING:
    import numpy as np

    from lazytiff._file import OpenFile
    from lazytiff._metadata import Metadata
    from lazytiff._style import Style
    from lazytiff._tag_values import NewTag
    from lazytiff._writer import PageWriter

_DESCRIPTION = 270
_RESOLUTIONS = ("YResolution", "XResolution")


def first_tags(
    style: Style, writer: PageWriter, file: OpenFile, form: dict[str, Any], dtype: np.dtype[Any]
) -> list[NewTag]:
    """Return the tags that the first page alone has, in that form; have the writer count where they tell of axes."""
    if style.metadata is None:
        return style.description
    style.check_form(form, dtype)
    _descriptions.check_size(style.metadata, form)
    found = _describe(style.metadata, file, form, dtype)
    _count(writer, found)
    return new_tags({_DESCRIPTION: found.text})


def go_on(style: Style, writer: PageWriter, file: OpenFile, form: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Go on counting in a file that has pages, by the description that it has or, if that is asked for, another one."""
    text = _text_of(file)
    if style.metadata is None:
        _count_on(writer, file, text)
        return
    style.check_form(form, dtype)
    _descriptions.check_size(style.metadata, form)
    if style.metadata.kind == "imagej":
        style.check_form(writer.form_of(file.table, 0), file.table.layout(0).dtype)
        _check_resolution(style.metadata, file)
    found = _describe(style.metadata, file, form, dtype)
    if not _descriptions.is_same(found, text):
        writer.redescribe(found.text)
        file.refresh()
    _count(writer, found)


def check_file(style: Style, writer: PageWriter, file: OpenFile) -> None:
    """Raise ValueError for a BigTIFF file, with or without pages, that is to be one of ImageJ's."""
    if style.metadata is not None and style.metadata.kind == "imagej" and writer.bigtiff:
        raise ValueError(f"{file.source.name}: imagej=True does not go with BigTIFF files, which ImageJ does not open")


def _count(writer: PageWriter, found: _descriptions.Described) -> None:
    """Have the writer count; ImageJ's files may not become BigTIFF."""
    if found.kind == "imagej":
        writer.stay_classic()
    writer.count(found.inside, found.per, found.least)


def _text_of(file: OpenFile) -> bytes:
    """Return the first page's description; nothing where it cannot be read, which is no reason not to append."""
    try:
        kind, _, text = file.table.tags(0).raw(_DESCRIPTION) or (ASCII, 0, b"")
    except (KeyError, TiffError):
        return b""
    return text if kind == ASCII else b""


def _describe(
    metadata: Metadata, file: OpenFile, form: dict[str, Any], dtype: np.dtype[Any]
) -> _descriptions.Described:
    stored = dtype.newbyteorder(">" if file.table.big_endian else "<")
    creator = f"lazytiff v{_binding.version()}"
    return _descriptions.describe(metadata, form, stored, creator, len(file.table))


def _count_on(writer: PageWriter, file: OpenFile, text: bytes) -> None:
    found, pages = _descriptions.counted(text), len(file.table)
    if found is not None:
        try:
            _count(writer, found)
        except ValueError:  # another program has moved the text to where it cannot be changed at once
            pass
        else:
            return
    kind = _descriptions.told(text, pages) if found is None else found.kind
    if kind:
        program = {"imagej": "ImageJ", "ome": "OME"}[kind]
        warn(
            f"{file.source.name}: its description tells {program} of {pages} pages, and stays as it is when others are "
            f"appended; lazytiff.open(path, 'a', {kind}=True, metadata=...) writes one that counts them"
        )


def _check_resolution(metadata: Metadata, file: OpenFile) -> None:
    """Raise ValueError where ImageJ would find another size of pixels."""
    tags = file.table.tags(0)
    there = tuple(tags.get(name) for name in _RESOLUTIONS)
    for old, size in zip(there, metadata.pixel_size or (), strict=False):
        if not isinstance(old, float) or not math.isclose(old * size, 1, rel_tol=1e-6):
            raise ValueError(
                f"{file.source.name}: ImageJ takes pixel_size from the first page's resolution, which stays"
            )
