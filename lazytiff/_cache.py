"""Decoded chunks that were used in part, kept for the next use: least recently used first out, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray


class CacheInfo(NamedTuple):
    """How often a chunk was wanted in part and was there or not; chunks decoded; bytes that are kept, and may be."""

    hits: int
    misses: int
    decoded: int
    currsize: int
    maxsize: int


class ChunkCache:
    """Arrays of the pixels of one chunk each, by a key; shared by the threads and arrays that read one file.

    The arrays in it are never changed and never handed to a user.
    """

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self._kept: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._hits = self._misses = self._decoded = self._currsize = 0
        self.renew()

    def renew(self) -> None:
        """Take a new lock: after a fork, when the old one may be held by a thread that is no more."""
        self._lock = threading.Lock()

    def get(self, key: Hashable, *, asks_again: bool = False) -> NDArray[Any] | None:
        """Return what is kept under key and count a hit, or count a miss unless the caller asks again."""
        with self._lock:
            chunk = self._kept.get(key)
            if chunk is not None:
                self._hits += 1
                self._kept.move_to_end(key)
            elif not asks_again:
                self._misses += 1
            return chunk

    def put(self, key: Hashable, chunk: NDArray[Any]) -> None:
        """Keep chunk, at the expense of those that were not used for longest; one above maxsize is not kept."""
        if chunk.nbytes > self.maxsize:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._currsize += chunk.nbytes - (before.nbytes if before is not None else 0)
            self._kept[key] = chunk
            while self._currsize > self.maxsize:
                self._currsize -= self._kept.popitem(last=False)[1].nbytes

    def count_decoded(self, chunks: int) -> None:
        """Count chunks that were decoded."""
        with self._lock:
            self._decoded += chunks

    def info(self) -> CacheInfo:
        """Return the counts."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, self._decoded, self._currsize, self.maxsize)

    def clear(self) -> None:
        """Forget everything that is kept."""
        with self._lock:
            self._kept.clear()
            self._currsize = 0
