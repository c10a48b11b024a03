"""What a pickled array becomes one of again, in this process or in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from lazytiff._file import OpenFile
from lazytiff.errors import FileChangedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lazytiff._file_array import FileArray

    Array = TypeVar("Array", bound=FileArray)


class Recipe(NamedTuple):
    """What opens the file again that an array was pickled of."""

    path: str
    settings: dict[str, Any]
    pages: NDArray[np.intp] | int
    chosen: int | slice | Sequence[int] | None  # by the user, for `refresh`
    how: dict[str, Any]
    marks: list[tuple[int, int]]  # of the first and the last page


def restore(kind: type[Array], recipe: Recipe) -> Array:
    """Open the file again; raise FileChangedError when it is another one."""
    file = OpenFile.open(recipe.path, **recipe.settings, access="r+" if recipe.how["mode"] == "r+" else "r")
    try:
        numbers = np.arange(recipe.pages) if isinstance(recipe.pages, int) else recipe.pages
        _check_marks(file, numbers[[0, -1]], recipe)
        array = kind(file, numbers, **recipe.how)
    except BaseException:
        file.source.close()
        raise
    array._chosen = recipe.chosen  # noqa: SLF001  # of an array that is being made
    return array


def _check_marks(file: OpenFile, ends: NDArray[np.intp], recipe: Recipe) -> None:
    if max(ends) >= len(file.table) or file.table.marks(ends) != recipe.marks:
        raise FileChangedError(f"{recipe.path}: the file is another one than that of which the array was pickled")
