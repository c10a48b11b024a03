"""What views do: functions of blocks, and which blocks of their sources they need. Numbers and NumPy alone.

A view is a function and its sources (`_views`). A function has a name, tells which request it has for each source
(`ask`), and makes a block of theirs (`make`). All of them can be pickled if what users gave them can.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._cuts import broadcast_request, composed, cut_span, indexed
from lazytiff._dask import token
from lazytiff._dimensions import Step
from lazytiff._tones import MIN_IS_BLACK, RGB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Cuts
    from lazytiff._gather import Entry, Request

    Blocks = Sequence[NDArray[Any]]
    Sources = Sequence[BaseArray]


class Function(ABC):
    """What a view does with its sources."""

    def __dask_tokenize__(self) -> Any:
        """Return what functions that do the same have in common, in any process."""
        return token(type(self).__name__, sorted(vars(self).items()))

    taken = 1  # elements of a source, at the most, for one of the view: so much more memory do they need
    only_reads = True  # neither changes its blocks nor hands them on: whoever else needs them need not be given copies

    @property
    @abstractmethod
    def name(self) -> str:
        """A word for users."""

    @abstractmethod
    def ask(self, request: Request, sources: Sources, /) -> list[Request]:
        """Return which part of each source is needed."""

    @abstractmethod
    def make(self, request: Request, blocks: Blocks, sources: Sources, /) -> NDArray[Any]:
        """Return the block that was requested, made of the sources' blocks."""

    @abstractmethod
    def cuts(self, shape: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Return where chunks of the view begin, which are those of its sources as far as possible."""

    def photometric(self, source: BaseArray) -> int:
        """Return what the view's samples are, as PhotometricInterpretation: colours stay colours."""
        return RGB if source._photometric == RGB else MIN_IS_BLACK

    @abstractmethod
    def takes_lists(self, shape: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell whether the first entry of a request may be an array of positions."""


class Elementwise(Function):
    """A function of elements at the same place.

    _shapes: of the sources when the view was made, as one of one page may have grown since; None: all are the view's.
    """

    _shapes: Sequence[tuple[int, ...]] | None = None

    def ask(self, request: Request, sources: Sources, /) -> list[Request]:
        """Ask for the same place, as far as a source is not broadcast."""
        if self._shapes is None:
            return [request] * len(sources)
        return [broadcast_request(request, shape) for shape in self._shapes]

    def cuts(self, shape: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Return the chunks of the largest source along each axis that it is not broadcast along."""
        found: list[Cuts] = [range(0, size, max(size, 1)) for size in shape]
        for source in sorted(sources, key=lambda source: (not source._in_memory, source.nbytes)):
            first = len(shape) - source.ndim
            for axis, cut in enumerate(source._cuts, first):
                if source.shape[axis - first] == shape[axis]:
                    found[axis] = cut
        return tuple(found)

    def takes_lists(self, shape: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell whether all sources that are not broadcast along the first axis take them."""
        return all(
            source._plan_chunks[0] == 1
            for source in sources
            if source.ndim == len(shape) and source.shape[0] == shape[0]
        )


class Called(Elementwise):
    """What is called with blocks and constants: operands that are the same everywhere, by their place among all."""

    def __init__(
        self,
        call: Callable[..., Any],
        name: str,
        constants: Mapping[int, Any],
        shapes: Sequence[tuple[int, ...]] | None = None,
    ) -> None:
        self._call, self._name, self._constants, self._shapes = call, name, dict(constants), shapes

    @property
    def name(self) -> str:
        """The ufunc's name, or the function's."""
        return self._name

    def operands(self, blocks: Sequence[Any]) -> list[Any]:
        """Return blocks and constants in their order."""
        rest = iter(blocks)
        count = len(blocks) + len(self._constants)
        return [self._constants[place] if place in self._constants else next(rest) for place in range(count)]

    def make(self, _: Request, blocks: Blocks, __: Sources, /) -> NDArray[Any]:
        """Call it."""
        return np.asarray(self._call(*self.operands(blocks)))


class Applied(Called):
    """A function of the user's: it gets blocks of one shape, and returns one of that shape."""

    only_reads = False

    def __init__(
        self,
        call: Callable[..., Any],
        constants: Mapping[int, Any],
        dtype: np.dtype[Any],
        shapes: Sequence[tuple[int, ...]],
    ) -> None:
        super().__init__(call, getattr(call, "__name__", type(call).__name__), constants, shapes)
        self._dtype = dtype

    def make(self, request: Request, blocks: Blocks, _: Sources, /) -> NDArray[Any]:
        """Call the function, and check what it returns."""
        shape = tuple(map(len, request))
        same = [block if block.shape == shape else np.broadcast_to(block, shape) for block in blocks]
        result = np.asarray(self._call(*self.operands(same)))
        if result.shape != shape:
            raise ValueError(
                f"{self.name} returned {result.shape} for a block of {shape}: a block of the same shape is needed"
            )
        if result.dtype != self._dtype:
            if not np.can_cast(result.dtype, self._dtype, "same_kind"):
                raise TypeError(
                    f"{self.name} returned {result.dtype}, and its view is {self._dtype}: say so with dtype="
                )
            result = result.astype(self._dtype)
        return result if result.flags.writeable else result.copy()


class Cast(Elementwise):
    """Elements as another dtype."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    @property
    def name(self) -> str:
        """What users called."""
        return f"astype {self._dtype}"

    def make(self, _: Request, blocks: Blocks, __: Sources, /) -> NDArray[Any]:
        """Convert them."""
        return blocks[0].astype(self._dtype)


class Slice(Function):
    """Basic indexing: a span of each of the source's axes, and which axes are left, in their order; None: a new one."""

    only_reads = False
    name = "lazy"

    def __init__(self, spans: tuple[range, ...], layout: tuple[int | None, ...]) -> None:
        self.spans, self.layout = spans, layout

    def ask(self, request: Request, _: Sources, /) -> list[Request]:
        """Compose both."""
        entries: list[Entry] = list(self.spans)
        for axis, entry in zip(self.layout, request, strict=True):
            if axis is not None:
                entries[axis] = composed(self.spans[axis], entry)
        return [tuple(entries)]

    def make(self, request: Request, blocks: Blocks, _: Sources, /) -> NDArray[Any]:
        """Leave out axes, and put in others."""
        return blocks[0].reshape(tuple(map(len, request)))

    def cuts(self, _: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Cut spans where the source is cut."""
        own = sources[0]._cuts
        return tuple(range(1) if axis is None else cut_span(own[axis], self.spans[axis]) for axis in self.layout)

    def takes_lists(self, _: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell whether the first axis is the source's, in its direction."""
        first = self.layout[0] == 0 and self.spans[0].step > 0
        return first and sources[0]._plan_chunks[0] == 1

    def then(self, other: Slice) -> Slice:
        """Return both, one after the other, as one."""
        spans = list(self.spans)
        for axis, span in zip(self.layout, other.spans, strict=True):
            if axis is not None:
                spans[axis] = composed(spans[axis], span)
        return Slice(tuple(spans), tuple(None if axis is None else self.layout[axis] for axis in other.layout))

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the same of a numpy.ndarray, as a view."""
        items: list[Any] = []
        next_axis = 0
        for axis in self.layout:
            items += [None] if axis is None else [*[0] * (axis - next_axis), slice(None)]
            next_axis = next_axis if axis is None else axis + 1
        items += [0] * (len(self.spans) - next_axis)
        return indexed(array, self.spans)[(*items, ...)]

    def resolution(self, axes: str, known: Mapping[str, Step]) -> dict[str, Step]:
        """Return how far apart neighbours are now, of what is known of the source's axes."""
        kept = {axes[axis]: abs(self.spans[axis].step) for axis in self.layout if axis is not None}
        return {letter: Step(step.value * kept[letter], step.unit) for letter, step in known.items() if letter in kept}

    def channels(self, axes: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the channels that are left, of the source's."""
        axis = axes.find("C")
        if axis < 0:
            return names
        return tuple(name for at in self.spans[axis] for name in names[at : at + 1]) if axis in self.layout else ()

    def photometric(self, source: BaseArray) -> int:
        """Return the source's, as long as its first samples are there along the last axis."""
        axis = source.axes.find("S")
        if axis < 0:
            return source._photometric
        span = self.spans[axis]
        whole = self.layout[-1:] == (axis,) and span[:1] == range(1) and span.step == 1
        return source._photometric if whole or source._photometric < RGB else MIN_IS_BLACK
