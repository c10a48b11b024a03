"""The process's threads: one pool for all files, made when it is first needed and anew after a fork.

Work is shared by handing the same task to several threads. The caller waits where Ctrl-C can reach it, and does not
wait any longer once it did: a task must hold on to whatever it touches. Work that is asked for by a thread of the
pool runs in that thread, since all others may be waiting for it.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_WAKE_SECONDS = 0.1  # Windows notices Ctrl-C only between two waits
_local = threading.local()


class _Pool:
    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, task: Callable[[], None]) -> Future[None]:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(default_workers(), "lazytiff", initializer=_mark)
            return self._executor.submit(task)


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.renew)


def _mark() -> None:
    _local.is_worker = True


def default_workers() -> int:
    """Return LAZYTIFF_NUM_THREADS or, without it, the number of CPUs that this process may use."""
    asked = os.environ.get("LAZYTIFF_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(task: Callable[[], None], workers: int, cancel: Callable[[], None]) -> None:
    """Run task in that many threads at once and raise what the first failing one raised; 0: in this thread.

    When waiting is interrupted, cancel is called, and the interruption goes on at once.
    """
    if workers == 0 or getattr(_local, "is_worker", False):
        task()
        return
    futures = [_pool.submit(task) for _ in range(workers)]
    try:
        pending = set(futures)
        while pending:
            _, pending = wait(pending, _WAKE_SECONDS, FIRST_EXCEPTION)
    except BaseException:
        cancel()
        raise
    for future in futures:
        future.result()
