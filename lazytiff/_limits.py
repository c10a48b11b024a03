"""What one file may ask of this process: `lazytiff.limits`."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(slots=True)  # so that a name that is no limit is refused
class Limits:
    """Bounds on what a file may cost. Assign to a member to change it for files opened afterwards.

    `implicit_bytes` and `max_depth` count at once. All sizes are in bytes.
    """

    max_pages: int = 1 << 24
    """Pages in one file; the chain of pages ends there, with a warning."""
    max_layouts: int = 1 << 16
    """Different layouts among the pages of one file."""
    max_tags: int = 4096
    """Tags in one IFD."""
    max_value_bytes: int = 16 << 20
    """One tag's value."""
    max_chunk_bytes: int = 1 << 30
    """One decoded strip or tile; uncompressed ones may be of any size."""
    max_depth: int = 8
    """SubIFDs within SubIFDs."""
    implicit_bytes: int | None = None
    """What `__array__` converts without being asked by name; None: half of the memory that is available."""

    def implicit(self) -> int:
        """Return implicit_bytes as a number."""
        return available_memory() // 2 if self.implicit_bytes is None else self.implicit_bytes


limits = Limits()


def available_memory() -> int:
    """Return the bytes that programs can still take without swapping, or half of all memory where nobody says."""
    try:
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            for line in meminfo:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) << 10
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (OSError, AttributeError, ValueError):  # no such file, no sysconf (Windows), no such name
        return 4 << 30
