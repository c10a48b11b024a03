"""Files that are opened when they are touched: never more than a bounded number at a time, with one cache for all."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazytiff._cache import ChunkCache
from lazytiff._file import OpenFile, check_settings
from lazytiff.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lazytiff._cache import CacheInfo
    from lazytiff._source import Source

MOST_OPEN = 63  # and the first file, which its array keeps open
_shelves: weakref.WeakSet[Shelf] = weakref.WeakSet()
_WAKE_SECONDS = 0.1  # so that Ctrl-C is noticed where a wait cannot be interrupted


@dataclass(slots=True)
class _Lent:
    file: OpenFile
    users: int


class Shelf:
    """Files by their number, lent one at a time. Threads may share it; a child of fork begins with none open.

    check: a method that is given each file that was opened, and raises when it is not the one that it should be. It is
    held weakly: its object has the shelf.
    """

    def __init__(
        self,
        paths: Sequence[Any],
        workers: int | None,
        cache_bytes: int,
        codecs: str | Iterable[str],
        check: Callable[[int, OpenFile], None],
    ) -> None:
        self.paths = paths
        self.workers = workers
        self._codecs = codecs if isinstance(codecs, str) else tuple(codecs)
        check_settings(workers, cache_bytes, self._codecs)
        self._cache = ChunkCache(cache_bytes)
        self._check = weakref.WeakMethod(check)
        self._kept: weakref.WeakSet[Source] = weakref.WeakSet()
        self._closed = False
        self.renew()
        _shelves.add(self)

    def renew(self) -> None:
        """Begin anew in the child of a fork, where threads that had borrowed files are no more."""
        self._cache.renew()
        self._change = threading.Condition()
        self._open: OrderedDict[int, _Lent] = OrderedDict()  # least recently lent first
        self._opening: set[int] = set()

    @contextmanager
    def lend(self, number: int) -> Iterator[OpenFile]:
        """Lend a file, which is opened if it is not; it stays open while it is lent, and mostly afterwards."""
        lent = self._take(number)
        try:
            yield lent.file
        finally:
            self._give_back(lent)

    def open_for_good(self, number: int) -> OpenFile:
        """Open a file for somebody who keeps it; it is closed with the shelf at the latest."""
        self._require_open(number)
        file = self._open_anew(number)
        self._kept.add(file.source)
        return file

    def _open_anew(self, number: int) -> OpenFile:
        shared = self._cache, ("file", number)
        file = OpenFile.open(self.paths[number], self.workers, 0, self._codecs, shared=shared)
        try:
            check = self._check()
            if check is not None:
                check(number, file)
        except BaseException:
            file.source.close()
            raise
        return file

    def _take(self, number: int) -> _Lent:
        with self._change:
            while (lent := self._open.get(number)) is None and not self._may_open(number):
                self._change.wait(_WAKE_SECONDS)
            if lent is not None:
                lent.users += 1
                self._open.move_to_end(number)
                return lent
            self._opening.add(number)
        return self._open_and_lend(number)

    def _open_and_lend(self, number: int) -> _Lent:
        opened = None
        try:
            opened = _Lent(self._open_anew(number), 1)
        finally:
            with self._change:
                self._opening.discard(number)
                if opened is not None:
                    self._open[number] = opened
                self._change.notify_all()
        return opened

    def _may_open(self, number: int) -> bool:
        """Return whether one more file may be opened, for which another one that nobody uses may have to be closed."""
        self._require_open(number)
        if number in self._opening:
            return False
        if len(self._open) + len(self._opening) >= MOST_OPEN:
            idle = next((number for number, lent in self._open.items() if not lent.users), None)
            if idle is None:
                return False
            self._open.pop(idle).file.source.close()
        return True

    def _require_open(self, number: int) -> None:
        if self._closed:
            raise ClosedError(f"{self.paths[number]}: the array over this file and others was closed; open it again")

    def _give_back(self, lent: _Lent) -> None:
        with self._change:
            lent.users -= 1
            if self._closed:
                lent.file.source.close()
            elif not lent.users:
                self._change.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing is lent any more."""
        return self._closed

    def close(self) -> None:
        """Close all files, those that are lent when they come back. May be called again."""
        with self._change:
            self._closed = True
            for number in [number for number, lent in self._open.items() if not lent.users]:
                self._open.pop(number).file.source.close()
            self._change.notify_all()
        for source in list(self._kept):
            source.close()

    def cache_info(self) -> CacheInfo:
        """Tell what the cache did and holds."""
        return self._cache.info()


def _renew_all() -> None:
    for shelf in list(_shelves):
        shelf.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
