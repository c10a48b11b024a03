"""A block of a view, made step by step: views of views need no stack, and what is needed twice is made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._cuts import count

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._functions import Function
    from lazytiff._gather import Request


_TOGETHER_BYTES = 32 << 20  # of blocks of one array that are read at once, before the first of them is needed


def order(root: BaseArray) -> list[BaseArray]:
    """Return the array and all that it is made of, each once, after its sources."""
    found: dict[int, BaseArray] = {}
    waiting: list[tuple[BaseArray, bool]] = [(root, False)]
    while waiting:
        array, has_sources = waiting.pop()
        if has_sources or not array._sources:
            found[id(array)] = array
        elif id(array) not in found:
            waiting.append((array, True))
            waiting += [(source, False) for source in reversed(array._sources) if id(source) not in found]
    return list(found.values())


def evaluate(root: BaseArray, request: Request) -> NDArray[Any]:
    """Return a new array of what is requested of a view."""
    arrays = order(root)
    steps: dict[int, dict[Hashable, _Step]] = {id(array): {} for array in arrays}
    steps[id(root)][_key(request)] = _Step(request)
    for array in reversed(arrays):  # views before their sources: all that is needed of one is known when it is its turn
        if function := array._function:
            for step in steps[id(array)].values():
                step.order(function, array._sources, steps)
    for array in arrays:
        _make(array, list(steps[id(array)].values()))
    return steps[id(root)][_key(request)].take(only_reads=True)


class _Step:
    """A block of one array: what it is made of, how many steps still need it, and the block itself."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.sources: list[_Step] = []
        self._uses = 1
        self.changes = False  # somebody changes it, or hands it on
        self.block: NDArray[Any] | None = None
        self.read: Callable[[Sequence[Request]], list[NDArray[Any]]]  # what reads it, where it is read late

    def order(
        self, function: Function, sources: tuple[BaseArray, ...], steps: dict[int, dict[Hashable, _Step]]
    ) -> None:
        """Ask for what it is made of."""
        for source, request in zip(sources, function.ask(self.request, sources), strict=True):
            others = steps[id(source)]
            key = _key(request)
            if key in others:
                others[key]._uses += 1
            else:
                others[key] = _Step(request)
            others[key].changes |= not function.only_reads
            self.sources.append(others[key])

    def take(self, *, only_reads: bool) -> NDArray[Any]:
        """Return the block; the last one who needs it may do with it as he likes."""
        if self.block is None:
            (self.block,) = self.read([self.request])
        block = self.block
        self._uses -= 1
        if self._uses:
            return block if only_reads else block.copy()
        self.block = None
        return block


def _make(array: BaseArray, steps: list[_Step]) -> None:
    """Make the blocks of one array."""
    function = array._function
    if function is None:
        _read(array, steps)
        return
    for step in steps:
        blocks = [source.take(only_reads=function.only_reads) for source in step.sources]
        step.block = function.make(step.request, blocks, array._sources)


def _read(array: BaseArray, steps: list[_Step]) -> None:
    """Read blocks of files together, if they are few: each chunk is decoded once. Of many, each when it is needed."""
    read = array._read if any(step.changes for step in steps) else array._peek
    if len(steps) > 1 and sum(count(step.request) for step in steps) * array.itemsize > _TOGETHER_BYTES:
        for step in steps:
            step.read = read
        return
    for step, block in zip(steps, read([step.request for step in steps]), strict=True):
        step.block = block


def _key(request: Request) -> Hashable:
    return tuple(entry.tobytes() if isinstance(entry, np.ndarray) else entry for entry in request)
