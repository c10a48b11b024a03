"""TIFF files byte by byte, for tests of what is wrong in them: nothing is checked, sorted or linked unless asked.

`helper.tiff` writes files that are right as a whole; here every entry of an IFD and every link can be anything.
"""

from __future__ import annotations

import struct

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG = range(1, 10)
SRATIONAL, FLOAT, DOUBLE, IFD, LONG8, SLONG8, IFD8 = 10, 11, 12, 13, 16, 17, 18
CODES = {
    BYTE: "B",
    ASCII: "s",
    SHORT: "H",
    LONG: "I",
    RATIONAL: "I",
    SBYTE: "b",
    UNDEFINED: "s",
    SSHORT: "h",
    SLONG: "i",
}
CODES |= {SRATIONAL: "i", FLOAT: "f", DOUBLE: "d", IFD: "I", LONG8: "Q", SLONG8: "q", IFD8: "Q"}


class Builder:
    """A file that grows piece by piece; `bytes` is what there is of it."""

    def __init__(self, byteorder="<", big=False, first=0):
        """Begin with a header that points to first."""
        self.order, self.big = byteorder, big
        head = self.pack("HHHQ", 43, 8, 0, first) if big else self.pack("HI", 42, first)
        self.bytes = bytearray((b"II" if byteorder == "<" else b"MM") + head)
        self.link_at = 8 if big else 4  # where the link is that the next page's IFD goes into

    def pack(self, codes, *values):
        """Pack numbers in the file's byte order."""
        return struct.pack(self.order + codes, *values)

    def offset(self, number):
        """Pack an offset as this file has them."""
        return self.pack("Q" if self.big else "I", number)

    def put(self, data, align=2):
        """Append data at a multiple of align; say where."""
        self.bytes += bytes(-len(self.bytes) % align)
        self.bytes += data
        return len(self.bytes) - len(data)

    def patch(self, at, data):
        """Overwrite what is there."""
        self.bytes[at : at + len(data)] = data

    def values(self, kind, values):
        """Pack values of a field type; fractions are two numbers each. bytes are as they are."""
        return values if isinstance(values, bytes) else self.pack(f"{len(values)}{CODES[kind]}", *values)

    def entry(self, tag, kind, values, *, count=None, offset=None):
        """Make an entry of an IFD. Values that do not fit into it are put into the file, unless an offset is given."""
        data = self.values(kind, values)
        if count is None:
            count = len(values) // (2 if kind in (RATIONAL, SRATIONAL) else 1)
        room = 8 if self.big else 4
        if offset is not None:
            data = self.offset(offset)
        elif len(data) > room:
            data = self.offset(self.put(data))
        return self.pack("HHQ" if self.big else "HHI", tag, kind, count) + data.ljust(room, b"\0")

    def ifd(self, entries, *, follow=0, count=None, align=2):
        """Put an IFD of these entries with a link to follow; say where it is."""
        count = self.pack("Q" if self.big else "H", len(entries) if count is None else count)
        at = self.put(count + b"".join(entries) + self.offset(follow), align)
        self.last_link = len(self.bytes) - (8 if self.big else 4)
        return at

    def gray(self, pixels, *more, replace=()):
        """Make the entries of an uncompressed page of one strip, sorted, and more; replace takes the place of some."""
        pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(self.order))
        rows, columns = pixels.shape
        own = {
            256: (SHORT, (columns,)),
            257: (SHORT, (rows,)),
            258: (SHORT, (8 * pixels.itemsize,)),
            259: (SHORT, (1,)),
            262: (SHORT, (1,)),
            273: (LONG, (self.put(pixels.tobytes()),)),
            277: (SHORT, (1,)),
            278: (SHORT, (rows,)),
            279: (LONG, (pixels.nbytes,)),
        }
        entries = {tag: self.entry(tag, *value) for tag, value in own.items()}
        entries |= {struct.unpack(f"{self.order}H", entry[:2])[0]: entry for entry in [*more, *replace]}
        return [entries[tag] for tag in sorted(entries)]

    def page(self, entries, *, follow=0, **options):
        """Put an IFD and let the page before it, or the header, point to it; say where it is."""
        at = self.ifd(entries, follow=follow, **options)
        self.patch(self.link_at, self.offset(at))
        self.link_at = self.last_link
        return at

    def link(self, target):
        """Let the last page point to target."""
        self.patch(self.link_at, self.offset(target))


def frames(count, shape=(3, 4), dtype="u1"):
    """Make pages of which no two are alike."""
    return np.arange(count * shape[0] * shape[1]).reshape(count, *shape).astype(dtype)


def stack(pixels, byteorder="<", big=False):
    """Build an uncompressed stack of gray pages; the builder is at its end."""
    file = Builder(byteorder, big)
    for page in pixels:
        file.page(file.gray(page))
    return file
