"""How far long work has come: `lazytiff.progress`."""

from __future__ import annotations

import contextvars
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lazytiff import _pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Report = Callable[[int, int, str], None]
    Array = TypeVar("Array", bound=NDArray[Any])
    Result = TypeVar("Result")

_QUICK_SECONDS = 0.5  # of work that needs no bar
_report: contextvars.ContextVar[Report | None] = contextvars.ContextVar("lazytiff.progress", default=None)


@contextmanager
def progress(report: Report | None = None) -> Iterator[None]:
    """Show how far long work has come while the `with` block runs.

    report: is called in the thread that does the work, as report(done, total, what): bytes of pixels, and a word for
    what is done; done is 0 first and total last, unless the work fails. total is -1 where nobody knows it. What it
    raises ends the work, as Ctrl-C does: the arrays stay usable. Without it, tqdm (which must be installed:
    ImportError) shows a bar for what takes half a second or more. It covers reductions, `copy`, indexing, `load`,
    `iter_blocks`, `save`, `extend`, `np.save` and all else that takes a while, but for what dask computes.
    """
    bar = _Bar() if report is None else None
    token = _report.set(report or bar)
    try:
        yield
    finally:
        _report.reset(token)
        if bar is not None:
            bar.close()


class Track:
    """Work whose steps are counted."""

    def __init__(self, report: Report | None, total: int, what: str) -> None:
        self._report, self._total, self._what = report, total, what
        self._done = 0
        self._tell(0)

    def _tell(self, done: int) -> None:
        self._done = done
        if self._report is not None:
            self._report(done, self._total, self._what)

    def step(self, size: int) -> None:
        """Say that so many bytes more are done."""
        if size:
            self._tell(self._done + size)

    def quietly(self, task: Callable[..., Result]) -> Callable[..., Result]:
        """Return the task so that it tells nothing of its own."""
        if self._report is None:
            return task

        def quiet(*arguments: Any) -> Result:
            context = contextvars.copy_context()
            context.run(_report.set, None)
            return context.run(task, *arguments)

        return quiet

    def reach(self, done: int) -> None:
        """Say that so many bytes are done by now."""
        self.step(done - self._done)

    def watching(self, done: Callable[[], int]) -> Callable[[], None] | None:
        """Return what says now and then how much is done, for who waits; None where nobody asked."""
        return None if self._report is None else lambda: self.reach(done())

    def counted(self, arrays: Iterable[Array]) -> Iterable[Array]:
        """Return the arrays, each of which is done when the next one is asked for."""
        return arrays if self._report is None else self._count(arrays)

    def _count(self, arrays: Iterable[Array]) -> Iterator[Array]:
        for array in arrays:
            yield array
            self.step(array.nbytes)


def begin(total: int, what: str) -> Track:
    """Return what tells whoever asked of work of so many bytes. Threads of the pool do others' work: no words."""
    return Track(None if _pool.is_worker() else _report.get(), total, what)


@contextmanager
def track(total: int, what: str) -> Iterator[Track]:
    """Tell whoever asked of work of so many bytes; what is done within the block tells nothing of its own."""
    found = begin(total, what)
    if _report.get() is None:
        yield found
        return
    token = _report.set(None)
    try:
        yield found
    finally:
        _report.reset(token)


class _Bar:
    """A bar of tqdm for each piece of work."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm  # noqa: PLC0415  # an extra, which takes long to import
        except ImportError as error:
            raise ImportError(
                "lazytiff.progress() shows a bar of tqdm, which is not installed: pip install tqdm, or give a function"
            ) from error
        self._make = tqdm
        self._bar: Any = None

    def __call__(self, done: int, total: int, what: str) -> None:
        if done == 0 or self._bar is None:
            self.close()
            most = None if total < 0 else total
            self._bar = self._make(total=most, desc=what, unit="B", unit_scale=True, delay=_QUICK_SECONDS)
        self._bar.update(done - self._bar.n)
        if done == total:
            self.close()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
