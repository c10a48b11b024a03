"""What a file says of its axes: which the pages lie along, how long they are, how far apart their elements are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


MICROMETRE = frozenset(("um", "\N{GREEK SMALL LETTER MU}m", "\N{MICRO SIGN}m", "micron", "microns", "micrometer"))
"""What programs and people call what is "µm" here, with the sign for micro."""


class Step(NamedTuple):
    """How far apart neighbours along an axis are: `Step(0.65, "µm")`; unit "": nobody says of what."""

    value: float
    unit: str


@dataclass(frozen=True, eq=False)
class Dimensions:
    """The axes of a stack's pages, slowest first, each with a letter of its own; Y, X and S are the pages' own.

    The letters are those of the field: T time, Z plane, C channel, R position, I page. planes: for each point along
    the axes the number of its page, -1 where the file has none; None: the pages in their order, of which there may be
    more.
    """

    letters: str
    sizes: tuple[int, ...]
    planes: NDArray[np.intp] | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    channels: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Planes that there are to be."""
        return math.prod(self.sizes)

    @property
    def numbers(self) -> NDArray[np.intp]:
        """The number of each plane's page, as `planes` has it."""
        return np.arange(self.count).reshape(self.sizes) if self.planes is None else self.planes

    def squeezed(self) -> Dimensions:
        """Leave out axes of length 1."""
        kept = [number for number, size in enumerate(self.sizes) if size != 1]
        sizes = tuple(self.sizes[number] for number in kept)
        planes = None if self.planes is None else self.planes.reshape(sizes)
        letters = "".join(self.letters[number] for number in kept)
        return Dimensions(letters, sizes, planes, self.steps, self.channels)


def free_letter(taken: str) -> str:
    """Return what an axis is called that nobody names: the first letter from I on that is free, and means nothing."""
    return next((letter for letter in "IJKLMNOPQ" if letter not in taken), "?")


def lettered(known: str, ndim: int) -> str:
    """Return letters for so many axes: those that the last ones have, and free ones before them."""
    known = known[max(len(known) - ndim, 0) :]
    for _ in range(ndim - len(known)):
        known = free_letter(known) + known
    return known
