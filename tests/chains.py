"""Chains of IFDs as they stand in a file, found by nobody's code but this; and files near 4 GiB that take no space.

A classic file that may become BigTIFF has two chains: the one that its header tells every reader of, and a BigTIFF one
of the same pages that begins where bytes 8 to 15 of the header say.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

CLASSIC_MOST = (1 << 32) - 1  # bytes of a file whose offsets have 4
OFFSETS, LENGTHS = (273, 324), (279, 325)  # of strips, of tiles
CODES = {3: "H", 4: "I", 16: "Q"}


class Ifd(NamedTuple):
    """A page as its IFD tells of it."""

    at: int
    link: int  # where the link to the next IFD stands
    chunks: list  # pairs of offset and length


def header(path):
    """Return the first 16 bytes of a file."""
    with open(path, "rb") as file:
        return file.read(16)


def chains(path):
    """Return the IFDs of the chain that readers find, and of the BigTIFF one besides it, or None; links are aligned."""
    with open(path, "rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        big = struct.unpack(order + "H", head[2:4]) == (43,)
        if big:
            return walk(file, order, 8, big=True), None
        has_both = len(head) == 16 and head[8:] != bytes(8) and struct.unpack(order + "Q", head[8:])[0] < 1 << 40
        return walk(file, order, 4, big=False), walk(file, order, 8, big=True) if has_both else None


def check(path, *, both=False):
    """Assert that links are aligned, and that two chains, if there are to be both, have the same pages; count them."""
    first, second = chains(path)
    assert (second is not None) == both
    if both:
        assert [ifd.chunks for ifd in first] == [ifd.chunks for ifd in second]
    return len(first)


def walk(file, order, link, *, big):
    """Follow a chain from the link that stands there."""
    word, count_code = ("Q", "Q") if big else ("I", "H")
    width, head, size = struct.calcsize("=" + word), struct.calcsize("=" + count_code), 20 if big else 12

    def read(at, code, count=1):
        file.seek(at)
        return struct.unpack(f"{order}{count}{code}", file.read(count * struct.calcsize("=" + code)))

    def values(entry):
        _, kind, count = struct.unpack(f"{order}HH{word}", entry[: 4 + width])
        length = count * struct.calcsize("=" + CODES[kind])
        if length <= width:
            return struct.unpack(f"{order}{count}{CODES[kind]}", entry[4 + width : 4 + width + length])
        return read(struct.unpack(order + word, entry[4 + width :])[0], CODES[kind], count)

    found = []
    while True:
        assert link % width == 0, f"the link at {link} is not aligned to its {width} bytes"
        (at,) = read(link, word)
        if at == 0:
            return found
        (count,) = read(at, count_code)
        file.seek(at + head)
        entries = [file.read(size) for _ in range(count)]
        tags = [struct.unpack(order + "H", entry[:2])[0] for entry in entries]
        assert tags == sorted(set(tags))
        columns = [
            values(entries[tags.index(next(tag for tag in names if tag in tags))]) for names in (OFFSETS, LENGTHS)
        ]
        link = at + head + count * size
        found.append(Ifd(at, link, list(zip(*columns, strict=True))))


# ---- Files that are long and take no space


def lengthen(path, size):
    """Let the file have that many bytes; those that it gets are a hole."""
    assert os.path.getsize(path) <= size
    os.truncate(path, size)


def hollow(path, end, length, keep=1 << 16):
    """Make a hole of the last length bytes, which are zeros but for keep bytes at each end of them."""
    assert os.path.getsize(path) == end
    with open(path, "r+b") as file:
        file.seek(end - keep)
        last = file.read(keep)
        file.truncate(end - length + keep)
        file.truncate(end)
        file.seek(end - keep)
        file.write(last)


def are_sparse(folder):
    """Tell whether the file system keeps holes as holes."""
    path = os.path.join(folder, "hole")
    with open(path, "wb") as file:
        file.truncate(1 << 24)
    about = os.stat(path)
    os.unlink(path)
    return about.st_blocks * 512 < 1 << 20 if hasattr(about, "st_blocks") else False
