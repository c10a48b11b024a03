"""How long to wait for the next page of a growing file."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazytiff._source import Source


class Patience:
    """How often to look for pages, and when no more are to be expected. ValueError for what is no number of seconds."""

    def __init__(self, timeout: float | None, poll: float) -> None:
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be None or a number of seconds that is not negative, not {timeout}")
        if not 0 < poll < math.inf:
            raise ValueError(f"poll must be a number of seconds above 0, not {poll}")
        self.timeout = timeout
        self._poll = poll
        self._writing: bool | None = None  # a writer holds its lock; None: nobody can tell
        self._wrote = False  # one held it before
        self.begin()

    def begin(self) -> None:
        """Begin to count the time anew."""
        self._since = time.monotonic()

    def require_end(self, source: Source) -> None:
        """Raise ValueError when nothing would ever tell that no more pages come."""
        if self.timeout is None and source.has_writer() is None:
            raise ValueError(f"{source.name}: timeout is required where locks do not work: no writer's end can be seen")

    def watch(self, source: Source) -> None:
        """See whether the file is being written to. Who looks for pages afterwards finds all that a writer has left."""
        self._writing = source.has_writer()
        self._wrote = self._wrote or bool(self._writing)

    def is_over(self, *, begun: bool = True) -> bool:
        """Tell whether no page is to be expected any more; begun: there was a first one."""
        if self._wrote and not self._writing:
            return True
        if self.timeout is None:
            return begun and not self._writing
        return time.monotonic() - self._since >= self.timeout

    def wait(self) -> None:
        """Wait until it is time to look again."""
        left = math.inf if self.timeout is None else self._since + self.timeout - time.monotonic()
        time.sleep(max(0.0, min(self._poll, left)))
