"""What views do: functions of blocks, and which blocks of their sources they need. Numbers and NumPy alone.

A view is a function and its sources (`_views`). A function has a name, tells which request it has for each source
(`ask`), and makes a block of theirs (`make`). All of them can be pickled if what users gave them can.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._cuts import broadcast_request
from lazytiff._dask import token
from lazytiff._tones import MIN_IS_BLACK, RGB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from lazytiff._array import BaseArray
    from lazytiff._cuts import Cuts
    from lazytiff._gather import Request
    from lazytiff._tones import Tones

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

    def tones(self, _: Request, __: Sources, /) -> Tones | None:
        """Return how the view's samples are read; None: all bits of its dtype count."""
        return None

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
            source._takes_lists for source in sources if source.ndim == len(shape) and source.shape[0] == shape[0]
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
