"""The process's threads: one pool for all files, made when it is first needed and anew after a fork.

Work is shared by handing the same task to several threads, which see the caller's context, with NumPy's error state.
The caller waits where Ctrl-C can reach it, and does not wait any longer once it did: a task must hold on to whatever it
touches. It waits on a queue and not for futures, whose locks are held by Python code: Ctrl-C at the wrong moment leaves
them locked, and the threads that want to tell a result hang for good. Work that is asked for by a thread of the pool
runs in that thread, since all others may be waiting for it. So they may for a thread that users' functions began: what
no thread of the pool has begun after a while, the one that waits does itself.
"""

from __future__ import annotations

import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    _Ends: TypeAlias = SimpleQueue[BaseException | None]
    _Offer: TypeAlias = list[tuple[Callable[[], None], _Ends]]  # the task, until somebody takes it

_WAKE_SECONDS = 0.1  # Windows notices Ctrl-C only between two waits
_local = threading.local()


class _Pool:
    forks = 0  # how many this process comes from, since the pool was made

    def __init__(self) -> None:
        self._begin()

    def renew(self) -> None:
        self.forks += 1
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, task: Callable[[], None]) -> None:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(default_workers(), "lazytiff", initializer=_mark)
            self._executor.submit(task)


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.renew)


def _mark() -> None:
    _local.is_worker = True


def is_worker() -> bool:
    """Return whether this thread is one of the pool."""
    return getattr(_local, "is_worker", False)


@contextmanager
def alone() -> Iterator[None]:
    """Have this thread do itself what it asks for, as a thread of the pool does."""
    before = is_worker()
    _local.is_worker = True
    try:
        yield
    finally:
        _local.is_worker = before


def default_workers() -> int:
    """Return LAZYTIFF_NUM_THREADS or, without it, the number of CPUs that this process may use."""
    asked = os.environ.get("LAZYTIFF_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Running:
    """A task that some threads have begun; `wait` for them once."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._ends: _Ends = SimpleQueue()
        self._offers: list[_Offer] = []
        self._threads = 0
        self._forks = _pool.forks

    def begin(self, task: Callable[[], None]) -> bool:
        """Have one more thread of the pool do the task; return whether there is one that does."""
        offer: _Offer = [(partial(contextvars.copy_context().run, task), self._ends)]

        def work() -> None:
            if (taken := _take(offer)) is None:
                return
            perform, ends = taken
            try:
                perform()
            except BaseException as error:  # noqa: BLE001  # the caller raises it
                ends.put(error)
            else:
                ends.put(None)
            finally:
                del taken, ends  # an error holds this frame: where nobody waits any more, both would hold each other

        try:
            _pool.submit(work)
        except RuntimeError:  # Python is about to end, or the system has no more threads; then work waits in the pool
            if _take(offer) is not None:
                return False
        self._threads += 1
        self._offers.append(offer)
        return True

    @property
    def is_over(self) -> bool:
        """Whether all threads have ended."""
        return self._ends.qsize() == self._threads

    @property
    def is_lost(self) -> bool:
        """Whether this is the child of a fork, and the threads that have not ended are not in it."""
        return self._forks != _pool.forks and not self.is_over

    def wait(self, watch: Callable[[], None] | None = None) -> None:
        """Return when all have ended; raise what the first failing one raised. watch: is called now and then meanwhile.

        When waiting is interrupted, cancel is called, and the interruption goes on at once.
        """
        try:
            errors = [self._next(watch) for _ in range(self._threads)]
        except BaseException:
            self._cancel()
            raise
        error = next(filter(None, errors), None)
        if error is not None:
            try:
                raise error
            finally:
                del error, errors  # or this frame, the error's traceback and what the task holds would hold each other

    def _next(self, watch: Callable[[], None] | None) -> BaseException | None:
        while True:
            try:
                return self._ends.get(timeout=_WAKE_SECONDS)
            except Empty:
                if watch is not None:
                    watch()
            self._help()

    def _help(self) -> None:
        """Do what no thread has begun: all of the pool may be waiting for this one. Ctrl-C goes on at once."""
        for offer in self._offers:
            if (taken := _take(offer)) is None:
                continue
            try:
                with alone():
                    taken[0]()
            except Exception as error:  # noqa: BLE001  # `wait` raises it
                self._ends.put(error)
            else:
                self._ends.put(None)


def start(task: Callable[[], None], workers: int, cancel: Callable[[], None]) -> Running:
    """Have that many threads begin the task; 0, or where none can: do it now, in this thread."""
    running = Running(cancel)
    if is_worker():
        workers = 0
    try:
        begun = [running.begin(task) for _ in range(workers)]
    except BaseException:
        cancel()
        raise
    if not any(begun):
        task()
    return running


def run(
    task: Callable[[], None], workers: int, cancel: Callable[[], None], watch: Callable[[], None] | None = None
) -> None:
    """Run task in that many threads at once and raise what the first failing one raised; 0: in this thread.

    When waiting is interrupted, cancel is called, and the interruption goes on at once. watch: is called now and then
    by the thread that waits.
    """
    start(task, workers, cancel).wait(watch)


def _take(offer: _Offer) -> tuple[Callable[[], None], _Ends] | None:
    """Return the task that is offered, and where its end is told, if nobody has taken it yet."""
    try:
        return offer.pop()
    except IndexError:
        return None
