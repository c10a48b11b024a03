"""How far long work has come: `lazytiff.progress`."""

from __future__ import annotations

import contextvars
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lazytiff import _pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[int, int, str], None]
    Result = TypeVar("Result")

_report: contextvars.ContextVar[Report | None] = contextvars.ContextVar("lazytiff.progress", default=None)


@contextmanager
def progress(report: Report | None = None) -> Iterator[None]:
    """Show how far long work has come while the `with` block runs.

    report: is called in the thread that does the work, as report(done, total, what): bytes of pixels, and a word for
    what is done; done is 0 first and total last, unless the work fails. total is -1 where nobody knows it. What it
    raises ends the work, as Ctrl-C does: the arrays stay usable. Without it, a bar of tqdm (which must be installed:
    ImportError) appears in terminals and notebooks. It covers reductions, `copy`, indexing, `load`, `iter_blocks`,
    `save`, `extend`, `np.save` and all else that takes a while.
    """
    token = _report.set(_bar() if report is None else report)
    try:
        yield
    finally:
        _report.reset(token)


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


def begin(total: int, what: str) -> Track:
    """Return what tells whoever asked of work of so many bytes. Threads of the pool do others' work: no words."""
    return Track(None if _pool.is_worker() else _report.get(), total, what)


@contextmanager
def track(total: int, what: str) -> Iterator[Track]:
    """Tell whoever asked of work of so many bytes; what is done within the block tells nothing of its own."""
    found = begin(total, what)
    token = _report.set(None)
    try:
        yield found
    finally:
        _report.reset(token)


def is_watched() -> bool:
    """Tell whether anybody asked."""
    return _report.get() is not None and not _pool.is_worker()


def _bar() -> Report:
    """Return what shows a bar of tqdm for each piece of work."""
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  # an extra, which takes long to import
    except ImportError as error:
        raise ImportError(
            "lazytiff.progress() shows a bar of tqdm, which is not installed: pip install tqdm, or give it a function"
        ) from error
    bars: list[Any] = []

    def show(done: int, total: int, what: str) -> None:
        if done == 0 or not bars:
            while bars:
                bars.pop().close()
            bars.append(tqdm(total=None if total < 0 else total, desc=what, unit="B", unit_scale=True))
        bars[-1].update(done - bars[-1].n)
        if done == total:
            bars.pop().close()

    return show
