"""Work on one item after the other, done ahead by the pool; results come in the items' order."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from lazytiff import _pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Item = TypeVar("Item")
    Result = TypeVar("Result")


def in_order(task: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Yield task(item) for each, up to `ahead` of them beyond the one that is waited for being worked on by the pool.

    Nothing is done ahead when that is 0, when there is one item only, or in a thread of the pool. When the
    caller gives up, those that were not begun are not.
    """
    rest = iter(items)
    first = list(itertools.islice(rest, 2))
    if ahead < 1 or len(first) < 2 or _pool.is_worker():  # noqa: PLR2004  # for one alone, others would only be waited for
        for item in itertools.chain(first, rest):
            yield task(item)  # and not by `map`, which a StopIteration of the task would end without a word
        return
    tasks = (_Task(task, item) for item in itertools.chain(first, rest))
    begun: deque[_Task] = deque()
    try:
        for one in tasks:
            begun.append(one)
            one.begin()
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for one in begun:
            one.cancel()
            one.forget()


class _Task:
    """What is done with one item, in another thread."""

    def __init__(self, task: Callable[[Any], Any], item: Any) -> None:
        self._task, self._item = task, item
        self._is_cancelled = False
        self._running: _pool.Running | None = None
        self._result: Any = None

    def begin(self) -> None:
        self._running = _pool.start(self._work, 1, self.cancel)

    def _work(self) -> None:
        if not self._is_cancelled:
            self._result = self._task(self._item)

    def cancel(self) -> None:
        self._is_cancelled = True

    def result(self) -> Any:
        """Wait for the result and hand it over. In the child of a fork, do what the parent's threads have not ended."""
        try:
            if self._running is None or self._running.is_lost:
                return self._task(self._item)
            self._running.wait()
            return self._result
        finally:
            self.forget()

    def forget(self) -> None:
        """Let go what runs it and what came of it: this object and what runs it hold each other."""
        self._running = self._result = None
