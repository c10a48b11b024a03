"""Views of arrays: they compute what they are indexed for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _blocks, _evaluate
from lazytiff._array import MOST_VIEWS, BaseArray
from lazytiff._cuts import count, longest
from lazytiff._slicing import Slice
from lazytiff._tiff_array import TiffArray
from lazytiff.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lazytiff._cuts import Cuts
    from lazytiff._dimensions import Step
    from lazytiff._functions import Function
    from lazytiff._gather import Request
    from lazytiff._tones import Tones

_SHOWN = 5  # functions in a text


class TiffView(TiffArray):
    """A view of arrays: it computes what it is indexed for, block by block. `base` is the first array that it is of.

    It has the shape that they had when it was made, and is usable for as long as they are.
    """

    _function: Function

    def __init__(
        self,
        function: Function,
        sources: tuple[BaseArray, ...],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        axes: str,
    ) -> None:
        self._function, self._sources = function, sources
        self._first = next(place for place, source in enumerate(sources) if isinstance(source, TiffArray))
        self._shape, self._dtype, self._axes = shape, dtype, axes
        self._depth = 1 + max(source._depth for source in sources)
        if self._depth > MOST_VIEWS:
            raise LimitError(
                f"{self!r} is a view of {MOST_VIEWS} views of each other. A loop that takes in one page after the "
                f"other is a reduction, {_reduction(function)}; or compute what there is with copy()"
            )
        # What follows is the sources' at this moment, so that nobody has to go through all views again.
        self._wide = max(dtype.itemsize, *(function.taken * source._widest for source in sources))
        self._own_cuts = function.cuts(shape, sources)
        self._chunks = tuple(longest(cuts, size) for cuts, size in zip(self._own_cuts, shape, strict=True))
        self._lists = bool(shape) and function.takes_lists(shape, sources)
        self._means = function.photometric(self.base)
        asked = [source._workers for source in sources if source._workers is not None]
        self._asked_workers = min(asked, default=None)

    @property
    def base(self) -> TiffArray:
        """The first array of files that it is a view of."""
        return self._sources[self._first]  # type: ignore[return-value]  # as that number says

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        return self._dtype

    @property
    def axes(self) -> str:
        """One letter per axis: those of the first array; new axes have letters that mean nothing, from I on."""
        return self._axes

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements along each axis that are computed of one chunk of the files, at the most."""
        return self._chunks

    @property
    def resolution(self) -> dict[str, Step]:
        """How far apart neighbours are along each axis, as (value, unit), as far as the first array of all tells."""
        above, array = self._above()
        known = array.resolution
        for view in reversed(above):
            if isinstance(view._function, Slice):
                known = view._function.resolution(view.base.axes, known)
        return {letter: step for letter, step in known.items() if letter in self.axes}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of the first array of all, of those that are there; none where that axis is gone."""
        above, array = self._above()
        names = array.channels
        for view in reversed(above):
            if isinstance(view._function, Slice):
                names = view._function.channels(view.base.axes, names)
        return names

    def _above(self) -> tuple[list[TiffView], TiffArray]:
        """Return the views from this one down to the first array that is none, and that."""
        above: list[TiffView] = []
        array: TiffArray = self
        while isinstance(array, TiffView):
            above.append(array)
            array = array.base
        return above, array

    @property
    def _cuts(self) -> tuple[Cuts, ...]:
        return self._own_cuts

    @property
    def _plan_chunks(self) -> tuple[int, ...]:
        first, *others = self._chunks or (1,)
        return (1 if self._lists else max(first, 2), *others)[: self.ndim]

    @property
    def _widest(self) -> int:
        return self._wide

    @property
    def _workers(self) -> int | None:
        return self._asked_workers

    @property
    def _paths(self) -> set[str]:
        return set[str]().union(*(array._paths for array in self._roots))

    def _overlaps(self, target: BaseArray | NDArray[Any]) -> bool:
        return any(array._overlaps(target) for array in self._roots)

    @property
    def _roots(self) -> list[BaseArray]:
        """All that it is made of and that is no view."""
        return [array for array in _evaluate.order(self) if not isinstance(array, TiffView)]

    @property
    def _photometric(self) -> int:
        return self._means

    def _tones(self, request: Request) -> Tones:
        known = self._function.tones(request, self._sources)
        return super()._tones(request) if known is None else known

    def _rank(self, request: Request, /) -> int:
        array: TiffArray = self
        while isinstance(array, TiffView):
            request = array._function.ask(request, array._sources)[array._first]
            array = array.base
        return array._rank(request)

    def _view(self) -> NDArray[Any] | None:
        if not self.size or not isinstance(self._function, Slice) or (whole := self.base._view()) is None:
            return None  # spans mean something only where there are elements
        return self._function.of(whole)

    def __getitem__(self, key: Any) -> Any:
        """Compute what NumPy's indexing selects: a new array or a scalar; of a slice of what is mapped, a view."""
        view = self._view()
        return super().__getitem__(key) if view is None else view[key]

    def _read(self, requests: Sequence[Request]) -> list[NDArray[Any]]:
        if isinstance(self._function, Slice):
            wanted = [self._function.ask(request, self._sources)[0] for request in requests]
            blocks = self.base._read(wanted)
            return [block.reshape(tuple(map(len, request))) for block, request in zip(blocks, requests, strict=True)]
        return [self._compute(request) for request in requests]

    def _compute(self, request: Request) -> NDArray[Any]:
        if count(request) * self._wide <= _blocks.BLOCK_BYTES:
            return _evaluate.evaluate(self, request)
        target = np.empty(tuple(map(len, request)), self._dtype)
        _blocks.fill(target, self, request, partial(_evaluate.evaluate, self))
        return target

    def _identity(self) -> tuple[Any, ...]:
        arrays = _evaluate.order(self)
        numbers = {id(array): number for number, array in enumerate(arrays)}
        return tuple(
            (array._function, *(numbers[id(source)] for source in array._sources))
            if isinstance(array, TiffView)
            else array._identity()
            for array in arrays
        )

    def __reduce__(self) -> Any:
        """Pickle what it is made of, in a list: however many views of each other there are."""
        arrays = _evaluate.order(self)
        numbers = {id(array): number for number, array in enumerate(arrays)}
        return _restore, ([_packed(array, numbers) for array in arrays],)

    def explain(self) -> str:
        """Tell in words what is computed, block by block, and how the arrays are read that it is computed of."""
        arrays = (array for array in _evaluate.order(self) if isinstance(array, TiffArray))
        found = [array.explain() for array in arrays if not isinstance(array, TiffView)]
        return "\n".join([repr(self), f"computed where it is indexed, in chunks of {self.chunk_shape}", *found])

    def __repr__(self) -> str:
        above, array = self._above()
        names = [view._function.name for view in above]
        shown = names if len(names) <= _SHOWN else [*names[:_SHOWN], f"{len(names) - _SHOWN} more"]
        return f"<TiffView {self.dtype} {self.shape} {self.axes}: {' of '.join(shown)} of {array!r}>"


def _reduction(function: Function) -> str:
    """Return the reduction that somebody means who repeats a function."""
    names = {"maximum": "max", "minimum": "min", "add": "sum", "multiply": "prod", "logical_or": "any"}
    return f"img.{names.get(function.name, 'max')}(axis=0)"


def _packed(array: BaseArray, numbers: dict[int, int]) -> Any:
    if not isinstance(array, TiffView):
        return array
    sources = [numbers[id(source)] for source in array._sources]
    return array._function, sources, array._shape, array._dtype, array._axes


def _restore(packed: list[Any]) -> TiffArray:
    """Make views again, each of those before it."""
    arrays: list[Any] = []
    for one in packed:
        if isinstance(one, BaseArray):
            arrays.append(one)
        else:
            function, sources, *form = one
            arrays.append(TiffView(function, tuple(arrays[number] for number in sources), *form))
    return arrays[-1]  # type: ignore[no-any-return]


TiffArray._view_type = TiffView  # which that room knows nothing more of
