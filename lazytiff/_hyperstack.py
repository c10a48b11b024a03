"""The pages of an array along named axes: nothing is read, and no pixel is moved, to see them so."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lazytiff._tiff_array import TiffArray
from lazytiff.errors import MissingPlaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from lazytiff._array import BaseArray
    from lazytiff._dimensions import Dimensions, Step
    from lazytiff._indexing import Request
    from lazytiff._tones import Tones


class HyperStack(TiffArray):
    """Pages of an array as (named axes..., row, column[, sample]): `img.hyperstack`.

    A view: it reads from `base`, and closes with it. Where `base` is mapped and its pages lie at equal distances, basic
    indices give views of the file here too. Planes that the file's description tells of and that are not there raise
    MissingPlaneError when they are touched, unless the view is `filled`. It can be pickled when `base`
    can, and has the same axes and planes then.
    """

    def __init__(
        self,
        base: TiffArray,
        dimensions: Dimensions,
        why: Callable[[int], str],
        *,
        fill: ArrayLike | None = None,
        keep: object = None,
    ) -> None:
        """why: says why a plane is missing; keep: what would close base if it were gone."""
        self.base = base
        self._keep = keep
        self._dimensions = dimensions
        self._planes = dimensions.numbers
        self._has_all = dimensions.planes is None or bool((dimensions.planes >= 0).all())
        self._why = why
        self._fill = fill

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return self._dimensions.sizes + self.base.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element, as in `base`."""
        return self.base.dtype

    @property
    def axes(self) -> str:
        """One letter per axis: T time, Z plane, C channel, R position, I page, Y row, X column, S sample."""
        return self._dimensions.letters + self.base.axes[1:]

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis that are decoded together: a strip or a tile of one page."""
        return (1,) * len(self._dimensions.sizes) + self.base.chunk_shape[1:]

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        first, *others = self.chunk_shape
        return (first if self._dimensions.sizes else max(first, 2), *others)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, as far as the file tells them."""
        return self._dimensions.channels

    @property
    def resolution(self) -> dict[str, Step]:
        """How far apart neighbours are along each axis, as (value, unit), as far as the file tells it."""
        return dict(self._dimensions.steps)

    @property
    def missing(self) -> int:
        """How many planes the file tells of and does not have."""
        return int(np.count_nonzero(self._planes < 0))

    def filled(self, value: ArrayLike = 0) -> HyperStack:
        """Return the same view with that value for the pixels of missing planes.

        Raises ValueError when the dtype does not hold it.
        """
        super().filled(value)
        fill = np.asarray(value).astype(self.dtype)
        return HyperStack(self.base, self._dimensions, self._why, fill=fill, keep=self._keep)

    @property
    def _workers(self) -> int | None:
        return self.base._workers

    @property
    def _paths(self) -> set[str]:
        return self.base._paths

    def _overlaps(self, target: BaseArray | NDArray[Any]) -> bool:
        return self.base._overlaps(target)

    @property
    def _photometric(self) -> int:
        return self.base._photometric

    def _rank(self, request: Request, /) -> int:
        planes = self._planes[np.ix_(*map(np.asarray, request[: len(self._dimensions.sizes)]))]
        return int(planes[planes >= 0].min(initial=self._planes.max()))

    def _tones(self, request: Request) -> Tones:
        count = len(self._dimensions.sizes)
        planes = self._planes[np.ix_(*map(np.asarray, request[:count]))]
        there = np.where(planes < 0, max(self._planes.max(), 0), planes)  # missing ones have no tone of their own
        tones = self.base._tones((there.ravel(), *request[count:]))
        return np.broadcast_to(tones, (there.size, *tones.shape[1:])).reshape(there.shape + tones.shape[1:])

    def _view(self) -> NDArray[Any] | None:
        whole = self.base._view() if self._has_all and self._planes.size else None
        steps = None if whole is None else _steps(self._planes)
        if whole is None or steps is None:
            return None
        first = whole[int(self._planes.flat[0]) :]
        strides = tuple(step * whole.strides[0] for step in steps) + whole.strides[1:]
        return np.lib.stride_tricks.as_strided(first, self.shape, strides, writeable=whole.flags.writeable)

    def __getitem__(self, key: Any) -> Any:
        """Read what NumPy's indexing selects: a new array or a scalar; of what is mapped, a view."""
        view = self._view()
        return super().__getitem__(key) if view is None else view[key]

    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        count = len(self._dimensions.sizes)
        numbers = [self._numbers_of(request[:count]) for request in requests]
        shapes = [tuple(map(len, request)) for request in requests]
        inner = [request[count:] for request in requests]
        if self._has_all:
            wanted = [(planes, *others) for planes, others in zip(numbers, inner, strict=True)]
            blocks = self.base._read(wanted)
        else:
            blocks = list(map(self._read_some, numbers, inner))
        return [block.reshape(shape) for block, shape in zip(blocks, shapes, strict=True)]

    def _numbers_of(self, leading: Request) -> NDArray[np.intp]:
        """Return the pages of base for these positions along the named axes, in C order."""
        numbers = np.asarray(self._planes[np.ix_(*map(np.asarray, leading))])
        if self._fill is None and not self._has_all and (numbers < 0).any():
            self._refuse([entry[at] for entry, at in zip(leading, np.argwhere(numbers < 0)[0], strict=True)])
        return numbers.ravel()

    def _read_some(self, planes: NDArray[np.intp], inner: Request) -> NDArray[Any]:
        """Read those planes that are there, and fill the others."""
        there = np.flatnonzero(planes >= 0)
        block = np.full((len(planes), *map(len, inner)), 0 if self._fill is None else self._fill, self.dtype)
        if len(there):
            block[there] = self.base._read([(planes[there], *inner)])[0]
        return block

    def _refuse(self, place: Sequence[int]) -> NoReturn:
        where = ", ".join(f"{letter}={at}" for letter, at in zip(self._dimensions.letters, place, strict=True))
        flat = int(np.ravel_multi_index(tuple(place), self._planes.shape))
        raise MissingPlaneError(
            f"plane {where or 0} is not there: {self._why(flat)}; hyperstack.filled(0) reads such planes as 0"
        )

    def __reduce__(self) -> Any:
        """Pickle the base and which plane is which of its pages: no description is read again."""
        return partial(type(self), fill=self._fill), (self.base, self._dimensions, self._why)

    def __copy__(self) -> HyperStack:
        """Return one with handles of its own: what closes those of `base` is not a copy's."""
        return copy.deepcopy(self)

    def _identity(self) -> tuple[Any, ...]:
        fill = None if self._fill is None else np.asarray(self._fill).tobytes()
        planes = None if self._dimensions.planes is None else self._dimensions.planes.tobytes()
        axes = self._dimensions.letters, self._dimensions.sizes
        return (type(self).__name__, *axes, planes, fill, *self.base._identity())

    def explain(self) -> str:
        """Tell in words how the pixels are stored and how they are read."""
        return f"{self!r}\n{self.base.explain()}"

    def __repr__(self) -> str:
        missing = f", {self.missing} planes missing" if not self._has_all else ""
        return f"<{type(self).__name__} {self.dtype} {self.shape} {self.axes}{missing} of {self.base!r}>"


def _steps(planes: NDArray[np.intp]) -> tuple[int, ...] | None:
    """Return how far it is to the next page along each axis, if that is the same everywhere."""
    origin = (0,) * planes.ndim
    steps = []
    for axis, size in enumerate(planes.shape):
        second = (*origin[:axis], 1, *origin[axis + 1 :])
        steps.append(int(planes[second] - planes[origin]) if size > 1 else 0)
    expected: NDArray[np.intp] = planes[origin]
    for axis, step in enumerate(steps):
        along = [-1 if other == axis else 1 for other in range(planes.ndim)]
        expected = expected + (np.arange(planes.shape[axis]) * step).reshape(along)
    return tuple(steps) if np.array_equal(np.broadcast_to(expected, planes.shape), planes) else None
