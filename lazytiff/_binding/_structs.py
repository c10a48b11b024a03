"""C structs as NumPy sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._ffi import ffi

if TYPE_CHECKING:
    from collections.abc import Iterator


def struct_dtype(name: str) -> np.dtype[np.void]:
    """Return the NumPy dtype that lies in memory as the C struct of that name, whose members are whole numbers."""
    names, formats, offsets = [], [], []
    for path, kind, offset in _members(ffi.typeof(f"struct {name}"), "", 0):
        names.append(path)
        formats.append(np.dtype(f"{'i' if kind.cname.startswith('int') else 'u'}{ffi.sizeof(kind)}"))
        offsets.append(offset)
    layout = {"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(f"struct {name}")}
    return np.dtype(layout)  # type: ignore[call-overload]


def _members(kind: Any, prefix: str, base: int) -> Iterator[tuple[str, Any, int]]:
    for name, member in kind.fields:
        if member.type.kind == "struct":
            yield from _members(member.type, f"{prefix}{name}.", base + member.offset)
        else:
            yield prefix + name, member.type, base + member.offset
