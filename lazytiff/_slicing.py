"""Basic indexing, and another order of axes, as what views do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazytiff._cuts import composed, cut_span, indexed
from lazytiff._dimensions import Step
from lazytiff._functions import Function
from lazytiff._tones import GRAY, MIN_IS_BLACK, PALETTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Cuts
    from lazytiff._functions import Blocks, Sources
    from lazytiff._gather import Entry, Request
    from lazytiff._tones import Tones


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

    def tones(self, request: Request, sources: Sources, /) -> Tones:
        """Return the source's."""
        tones = sources[0]._tones(self.ask(request, sources)[0])
        return tones.reshape([1 if axis is None else tones.shape[axis] for axis in self.layout])

    def cuts(self, _: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Cut spans where the source is cut."""
        own = sources[0]._cuts
        return tuple(range(1) if axis is None else cut_span(own[axis], self.spans[axis]) for axis in self.layout)

    def takes_lists(self, _: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell whether the first axis is the source's, in its direction."""
        first = self.layout[0] == 0 and self.spans[0].step > 0
        return first and sources[0]._takes_lists

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
        """Return the source's, as long as the samples that it is about are there: the first, or all along the end."""
        axis = source.axes.find("S")
        if axis < 0:
            return source._photometric
        span = self.spans[axis]
        whole = self.layout[-1:] == (axis,) and span.step == 1
        there = span[:1] == range(1) and (whole or source._photometric in {*GRAY, PALETTE})
        return source._photometric if there else MIN_IS_BLACK


class Transposed(Function):
    """The same elements, with axes in another order."""

    only_reads = False
    name = "transpose"

    def __init__(self, order: tuple[int, ...]) -> None:
        self._order = order

    def ask(self, request: Request, _: Sources, /) -> list[Request]:
        """Ask for the same in the source's order."""
        entries = dict(zip(self._order, request, strict=True))
        return [tuple(entries[axis] for axis in range(len(entries)))]

    def make(self, _: Request, blocks: Blocks, __: Sources, /) -> NDArray[Any]:
        """Put the axes into the view's order."""
        return blocks[0].transpose(self._order)

    def cuts(self, _: tuple[int, ...], sources: Sources, /) -> tuple[Cuts, ...]:
        """Return the source's, in the view's order."""
        own = sources[0]._cuts
        return tuple(own[axis] for axis in self._order)

    def takes_lists(self, _: tuple[int, ...], sources: Sources, /) -> bool:
        """Tell whether the first axis is the source's."""
        return self._order[0] == 0 and sources[0]._takes_lists

    def tones(self, request: Request, sources: Sources, /) -> Tones:
        """Return the source's."""
        return sources[0]._tones(self.ask(request, sources)[0]).transpose(self._order)

    def photometric(self, source: BaseArray) -> int:
        """Return the source's."""
        return source._photometric
