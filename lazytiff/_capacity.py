"""What a file can hold: a few bytes may claim to be a huge picture, and memory is taken before they are decoded."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lazytiff._chunks import Want
    from lazytiff._pages import Layout, PageTable

_EXPANSION = {"none": 1, "deflate": 1032, "lzw": 1400, "packbits": 64, "zstd": 32_000}
"""Bytes that one compressed byte can become: DEFLATE 258 bytes for 2 bits, LZW 4,096 codes of 12 bits, each at most one
byte longer than the one before, PackBits 128 bytes for 2, Zstandard a block of 128 KiB for 4. The others have no useful
bound; their chunks are bounded by `lazytiff.limits.max_chunk_bytes`."""
_UNASKED = 64 << 20  # what may always be tried


def check(table: PageTable, wants: Sequence[Want], itemsize: int) -> None:
    """Raise LimitError when the wants are larger than the file can hold; for a borrower of the table's source.

    Pages may share chunks, or leave them out, so that together they hold more than the file has bytes. But a page whose
    own chunks cannot hold its pixels is damaged, or made to exhaust memory.
    """
    wanted = sum(math.prod(want.shape) for want in wants) * itemsize
    if wanted <= _UNASKED or wanted <= table.file_size * min(_least_expansion(table, want) for want in wants):
        return
    for page in itertools.chain.from_iterable(want.pages for want in wants):
        layout = table.layout(page)
        claimed = layout.rows * layout.columns * layout.samples * layout.item_size
        held = sum(_held_by(table, page))
        if held < claimed:
            raise LimitError(
                f"{table.source.name}: page {page} claims {claimed} bytes of pixels, and its strips or tiles can hold "
                f"{held:.0f} at the most; the file is damaged, or made to exhaust memory"
            )


def _expansion(layout: Layout) -> float:
    """Return the bytes of pixels that one byte of the file can become."""
    return (
        _EXPANSION.get(layout.codec, float("inf"))
        * 8
        * layout.item_size
        / layout.bits
        * layout.subsampling_across
        * layout.subsampling_down
    )


def _least_expansion(table: PageTable, want: Want) -> float:
    return min((_expansion(table.layouts[number]) for number in table.count_layouts(want.pages)), default=1.0)


def _held_by(table: PageTable, page: int) -> Iterator[float]:
    """Yield the bytes of pixels that each chunk of the page can hold; one that the file leaves out holds all."""
    layout = table.layout(page)
    expansion = _expansion(layout)
    whole = layout.chunk_rows * layout.chunk_columns * layout.samples * layout.item_size
    tags = table.tags(page)
    counts = tags.get("TileByteCounts" if layout.tiled else "StripByteCounts", table.file_size)
    for count in counts if isinstance(counts, tuple | bytes) else (counts,):
        length = count if isinstance(count, int) else table.file_size  # what is no number is as if it were not there
        yield min(min(length, table.file_size) * expansion, whole) if length else whole
