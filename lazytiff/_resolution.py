"""The size of a pixel, as a page's tags tell it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lazytiff._dimensions import Step

if TYPE_CHECKING:
    from lazytiff._tags import Tags

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCH, _NONE = 2, 1
_UNITS = {_NONE: "", _INCH: "inch", 3: "cm"}  # TIFF 6.0, section 8: ResolutionUnit, which is inch when it is not there


def steps_of_tags(tags: Tags, unit: str | None = None) -> dict[str, Step]:
    """Return how far apart pixels are along Y and X; unit: what a description says of it, before the tags."""
    code = tags.get(_RESOLUTION_UNIT, _INCH)
    name = unit or _UNITS.get(code if isinstance(code, int) else _NONE, "")
    steps = {}
    for letter, tag in (("Y", _Y_RESOLUTION), ("X", _X_RESOLUTION)):
        dots = tags.get(tag)
        if not isinstance(dots, float) or not math.isfinite(dots) or dots <= 0:
            continue
        if dots != 1 or name:  # one dot to nothing is what writers say who do not know
            steps[letter] = Step(1 / dots, name)
    return steps
