"""Files that are opened when they are touched: never more than a bounded number at a time, with one cache for all."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazytiff import _pool
from lazytiff._cache import ChunkCache
from lazytiff._file import OpenFile, check_settings
from lazytiff.errors import ClosedError, CorruptTiffError, FileChangedError, NotTiffError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from lazytiff._cache import CacheInfo
    from lazytiff._source import Source

MOST_OPEN = 63  # and the first file, which its array keeps open
_shelves: weakref.WeakSet[Shelf] = weakref.WeakSet()
_WAKE_SECONDS = 0.1  # so that Ctrl-C is noticed where a wait cannot be interrupted


class _Loan:
    """What a borrower holds in his hands: Ctrl-C may let him go without giving back, but his loan goes with him."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.lent: _Lent | None = None


@dataclass(slots=True)
class _Lent:
    file: OpenFile
    loans: weakref.WeakSet[_Loan]


class Shelf:
    """Files by their number, lent one at a time. Threads may share it; a child of fork begins with none open.

    check: a method of the owner, who must live while files are opened: it is given each file that was opened, and
    raises when it is not the one that it should be. known: the numbers of those that were opened before.
    """

    def __init__(
        self,
        paths: Sequence[Any],
        workers: int | None,
        cache_bytes: int,
        codecs: str | Iterable[str],
        check: Callable[[int, OpenFile], None],
        *,
        known: Container[int] = (),
    ) -> None:
        self.paths = paths
        self.workers = workers
        self.cache_bytes = cache_bytes
        self.codecs = codecs if isinstance(codecs, str) else tuple(codecs)
        check_settings(workers, cache_bytes, self.codecs)
        self._cache = ChunkCache(cache_bytes)
        self._known = known
        self._check = weakref.WeakMethod(check)  # so that owner and shelf are no circle: files close when he goes
        self._kept: weakref.WeakSet[Source] = weakref.WeakSet()
        self._closed = False
        self.renew()
        _shelves.add(self)

    def renew(self) -> None:
        """Begin anew in the child of a fork, where threads that had borrowed files are no more."""
        self._cache.renew()
        self._lock = threading.RLock()  # no Condition: Ctrl-C in its Python code may leave it locked
        self._waiting: list[threading.Lock] = []  # each is released when there is something new
        self._open: OrderedDict[int, _Lent] = OrderedDict()  # least recently lent first
        self._opening: weakref.WeakValueDictionary[int, _Loan] = weakref.WeakValueDictionary()

    @contextmanager
    def lend(self, number: int) -> Iterator[OpenFile]:
        """Lend a file, which is opened if it is not; it stays open while it is lent, and mostly afterwards."""
        loan = _Loan()
        try:
            yield self._take(number, loan).file
        finally:
            self._give_back(number, loan)

    def open_for_good(self, number: int) -> OpenFile:
        """Open a file for somebody who keeps it; it is closed with the shelf at the latest."""
        self._require_open(number)
        file = self._open_anew(number)
        self._kept.add(file.source)
        if self._closed:  # meanwhile, and without this one
            file.source.close()
        return file

    def _open_anew(self, number: int) -> OpenFile:
        shared = self._cache, ("file", number, stamp(self.paths[number]))
        try:
            file = OpenFile.open(self.paths[number], self.workers, self.cache_bytes, self.codecs, shared=shared)
        except (NotTiffError, CorruptTiffError) as error:
            if number not in self._known:
                raise
            raise FileChangedError(f"{error}; it is another file than when it was read before") from error
        try:
            check = self._check()
            if check is not None:
                check(number, file)
        except BaseException:
            file.source.close()
            raise
        return file

    def _take(self, number: int, loan: _Loan) -> _Lent:
        while True:
            turn = threading.Lock()
            with self._lock:
                lent = self._open.get(number)
                if lent is not None:
                    loan.lent = lent
                    lent.loans.add(loan)
                    self._open.move_to_end(number)
                    return lent
                if self._may_open(number):
                    self._opening[number] = loan
                    break
                turn.acquire()
                self._waiting.append(turn)
            turn.acquire(timeout=_WAKE_SECONDS)
        return self._open_and_lend(number, loan)

    def _open_and_lend(self, number: int, loan: _Loan) -> _Lent:
        loan.lent = opened = _Lent(self._open_anew(number), weakref.WeakSet([loan]))
        with self._lock:
            self._open[number] = opened
            self._opening.pop(number, None)
            self._wake()
        return opened

    def _wake(self) -> None:
        while self._waiting:
            self._waiting.pop().release()

    def _may_open(self, number: int) -> bool:
        """Return whether one more file may be opened, for which others that nobody uses may have to be closed."""
        self._require_open(number)
        opener = self._opening.get(number)
        if opener is not None and opener.thread != threading.get_ident():
            return False
        while len(self._open) + len(self._opening) >= MOST_OPEN:
            idle = next((number for number, lent in self._open.items() if not lent.loans), None)
            if idle is None:
                return _pool.is_worker()  # who never waits: the borrowers may be waiting for the workers
            self._open.pop(idle).file.source.close()
        return True

    def _require_open(self, number: int) -> None:
        if self._closed:
            raise ClosedError(f"{self.paths[number]}: the array over this file and others was closed; open it again")

    def _give_back(self, number: int, loan: _Loan) -> None:
        """Take back what the borrower got, or was about to get when something went wrong."""
        with self._lock:
            if self._opening.get(number) is loan:
                self._opening.pop(number, None)
            if loan.lent is not None:
                loan.lent.loans.discard(loan)
                if self._closed:
                    loan.lent.file.source.close()
            self._wake()

    @property
    def closed(self) -> bool:
        """Whether nothing is lent any more."""
        return self._closed

    def close(self) -> None:
        """Close all files, those that are lent when they come back. May be called again."""
        with self._lock:
            self._closed = True
            for number in [number for number, lent in self._open.items() if not lent.loans]:
                self._open.pop(number).file.source.close()
            self._wake()
        for source in list(self._kept):
            source.close()

    def cache_info(self) -> CacheInfo:
        """Tell what the cache did and holds."""
        return self._cache.info()


def stamp(path: Any) -> tuple[int, int, int] | None:
    """Return what changes with a file's content: chunks of what it was are not those of what it is."""
    try:
        found = os.stat(path)
    except OSError:  # to open it will fail too, in better words
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _renew_all() -> None:
    for shelf in list(_shelves):
        shelf.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
