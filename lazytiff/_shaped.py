"""tifffile's description: JSON with the shape of the whole array, and perhaps a letter for each axis."""

from __future__ import annotations

import json
import math
from typing import Any

from lazytiff._dimensions import Dimensions

_MOST_CHARACTERS = 1 << 16
_MOST_AXES = 16
_UNNAMED = "IJKLMNOPQ"  # from the innermost axis on
_OWN = "YXS"  # of a page


def read(text: str, pages: int, page_shape: tuple[int, ...]) -> Dimensions | None:
    """Return the axes of that many pages of (row, column[, sample]); None when it is not tifffile's, or does not fit.

    Axes without a letter are I, J, K ... from the innermost on: tifffile calls them all Q, and ours have one each.
    """
    said = _parsed(text)
    shape = said.get("shape") if isinstance(said, dict) else None
    if (
        not isinstance(shape, list)
        or len(shape) > _MOST_AXES
        or not all(type(size) is int and size > 0 for size in shape)
    ):
        return None
    sizes = _leading(tuple(shape), page_shape)
    if sizes is None or math.prod(sizes) > pages:
        return None
    letters = _letters(said.get("axes"), len(shape), len(sizes))
    return None if letters is None else Dimensions(letters, sizes)


def _parsed(text: str) -> Any:
    if not text.startswith("{") or len(text) > _MOST_CHARACTERS or '"shape"' not in text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _leading(shape: tuple[int, ...], page: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the axes before those of a page, whose samples may come first (planes), or be one and named."""
    rows, columns, *samples = page
    own = [page, (*samples, rows, columns), page + (1,) * (not samples)]
    return next((shape[: -len(tail)] for tail in own if shape[-len(tail) :] == tail), None)


def _letters(axes: Any, ndim: int, leading: int) -> str | None:
    own = axes[:leading] if isinstance(axes, str) and len(axes) == ndim else ""
    if len(own) == leading and own.isascii() and own.isupper() and len(set(own) - set(_OWN)) == leading:
        return own
    return _UNNAMED[:leading][::-1] if leading <= len(_UNNAMED) else None
