"""Large masks, a band of pages at a time.

NumPy turns a mask into an index array for each of its axes: eight bytes an axis for every point, where the mask has
one byte an element and the result perhaps one byte a point. So a mask over a good part of a stack is kept as bits, and
only one band of it at a time is turned into index arrays: once to plan, and again when its blocks arrive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._gather import arrange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from lazytiff._gather import Gather, Request

BAND_ELEMENTS = 1 << 18  # of the mask; index arrays, and what it takes to sort them, are some 100 bytes a point


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """A key whose only index array is a mask that begins at axis 0: its points lie first in the result, in order."""

    spans: Sequence[range]  # of all axes, those of the mask unused
    chunks: tuple[int, ...]
    band_shape: tuple[int, ...]  # of the part of the mask that one band has; the last band is filled up
    bits: list[NDArray[np.uint8]]
    points: int

    def requests(self) -> list[Request]:
        """List the blocks to read."""
        return [request for _, requests, _ in self._pieces() for request in requests]

    def finish(self, blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Gather the blocks of one band after the other."""
        ahead = iter(blocks)
        others = math.prod(map(len, self.spans[len(self.band_shape) :]))
        result = np.empty((self.points, others), dtype)
        done = 0
        for points, requests, gather in self._pieces():
            piece = gather.finish(islice(ahead, len(requests)), dtype)
            result[done : done + points] = piece.reshape(points, others)
            done += points
        if next(ahead, None) is not None:
            msg = "there are more blocks than requests"
            raise ValueError(msg)
        return result

    def _pieces(self) -> Iterator[tuple[int, list[Request], Gather]]:
        """Arrange the points of each band, and count them."""
        for number, bits in enumerate(self.bits):
            band = np.unpackbits(bits, count=math.prod(self.band_shape)).reshape(self.band_shape)
            first, *others = band.nonzero()
            if first.size:
                arrays = dict(enumerate([first + number * self.band_shape[0], *others]))
                yield first.size, *arrange(self.spans, arrays, 0, self.chunks)


def in_bands(mask: NDArray[np.bool_], spans: Sequence[range], chunks: tuple[int, ...]) -> Bands:
    """Cut a mask into bands. A chunk lies in one band only, so that it is read once."""
    chunk_rows = BAND_ELEMENTS // (math.prod(mask.shape[1:]) * chunks[0])
    height = chunks[0] * max(1, chunk_rows)
    bits = [np.packbits(mask[begin : begin + height]) for begin in range(0, len(mask), height)]
    return Bands(spans, chunks, (height, *mask.shape[1:]), bits, int(np.count_nonzero(mask)))
