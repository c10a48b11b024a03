"""Pages into a file, in their order: encoded by all workers, written by the thread that brings them."""

from __future__ import annotations

import errno
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lazytiff import _binding, _codecs, _pool
from lazytiff.errors import FileFullError, LockedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import NoReturn

    from numpy.typing import NDArray

    from lazytiff._pages import PageTable
    from lazytiff._tag_values import NewTag

    Pixels = NDArray[Any]

_SLICE_MILLISECONDS = 50  # after which a thread comes back from C, so that Python can interrupt it
_INLINE_BYTES = 64 << 10  # less is encoded sooner than another thread wakes up
_WAITING_BYTES = 64 << 20  # of pages that are being encoded, when their producer is faster than the disk


class PageWriter:
    """Goes on behind the last page of a table, whose source is locked for it. For one thread at a time."""

    def __init__(self, table: PageTable, *, durable: bool, workers: int | None) -> None:
        self._name = table.source.name
        self._workers = workers
        self._chunks = 1
        self._dead = 0  # the errno of what failed
        with table.source:
            self._writer = _binding.Writer(table.handle, durable=durable)
            table.source.at_close(self._writer.close)
        self.pages = self._writer.pages  # published

    @property
    def codec(self) -> str:
        """Name of the compression scheme of pages to come."""
        return _codecs.name_of(self._form["compression"])

    @property
    def bigtiff(self) -> bool:
        """Whether readers find a BigTIFF file by now."""
        return self._writer.bigtiff

    def set_form(self, members: dict[str, Any], tags: Sequence[NewTag]) -> dict[str, Any]:
        """Say how pages are stored (struct lzt_form); return that with its defaults. Before the first page."""
        self._form = form = self._writer.set_form(members, tags)
        across = -(-form["columns"] // form["chunk_columns"]) if form["chunk_columns"] else 1
        self._chunks = across * -(-form["rows"] // form["chunk_rows"])
        return form

    def form_of(self, table: PageTable, page: int) -> dict[str, Any]:
        """Return how that page is stored, for more such pages."""
        with table.source:
            return _binding.form_of_page(table.handle, page)

    def append(self, page: Pixels, tags: Sequence[NewTag] = ()) -> int:
        """Write a page and publish it; return its number."""
        if self._dead:
            self._refuse()
        try:
            if not self.encodes(page):
                self.pages = self._writer.append(page, tags) + 1
            else:
                self.write(self.start(page), tags)
                self.publish()
        except OSError as error:
            self._note(error)
            raise
        except BaseException:
            self.publish()  # interrupted, perhaps with the page written: it must not turn up with the next one
            raise
        return self.pages - 1

    def extend(self, pages: Iterable[Pixels], first_tags: Sequence[NewTag], batch: int) -> int:
        """Write pages, published batch by batch; return how many. first_tags: of the first one.

        When pages raise something, those that came before are published. Whoever gives pages may reuse their memory:
        what is not written at once is copied.
        """
        if self._dead:
            self._refuse()
        before = self.pages
        queue = _Queue(self, first_tags, batch)
        try:
            for page in pages:
                queue.put(page)
        except BaseException as error:
            queue.finish(soon=not isinstance(error, Exception))
            raise
        queue.finish()
        return self.pages - before

    def write(self, page: Pixels | _Encoding, tags: Sequence[NewTag]) -> None:
        """Write a page without publishing it."""
        with self._noting():
            self._writer.write(page.parcel() if isinstance(page, _Encoding) else page, tags)

    def publish(self) -> None:
        """Publish all pages that were written."""
        try:
            with self._noting():
                self._writer.publish()
        finally:
            self.pages = self._writer.pages

    def count(self, inside: int, per: int, least: int) -> None:
        """Have eight digits at that byte of the first page's description count steps of so many pages."""
        with self._noting():
            self._writer.set_counter(inside, per, least)

    def redescribe(self, text: bytes) -> None:
        """Give the first page another description, which ends with a NUL."""
        with self._noting():
            self._writer.redescribe(text)

    def stay_classic(self) -> None:
        """Have a classic file end at 4 GiB, now and later, that would become BigTIFF there."""
        with self._noting():
            self._writer.stay_classic()

    def flush(self) -> None:
        """Wait until all pages that are published are on the disk."""
        if self._dead:
            self._refuse()
        with self._noting():
            self._writer.flush()

    def encodes(self, page: Pixels) -> bool:
        """Whether the page has to be encoded, and is worth other threads' while."""
        return self._writer.encodes and page.nbytes > _INLINE_BYTES

    def start(self, page: Pixels) -> _Encoding:
        """Begin to encode the page."""
        workers = min(self._workers or _pool.default_workers(), self._chunks)
        return _Encoding(_binding.Parcel(self._writer, page), page.nbytes, workers)

    @property
    def is_dead(self) -> bool:
        """Whether a write failed, after which this writer takes no page any more."""
        return bool(self._dead)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._note(error)
            raise

    def _note(self, error: OSError) -> None:
        """Remember what failed: nobody knows what the file holds behind its last page."""
        if not isinstance(error, FileFullError | LockedError):
            self._dead = error.errno or errno.EIO

    def _refuse(self) -> NoReturn:
        text = (
            "an earlier append failed; what was acknowledged is in the file; lazytiff.open(path, 'a') goes on with it"
        )
        raise OSError(self._dead, text, self._name)


class _Encoding:
    """A page that is being encoded."""

    def __init__(self, parcel: _binding.Parcel, nbytes: int, workers: int) -> None:
        self.nbytes = nbytes
        self._parcel = parcel
        self._running = _pool.start(self._work, workers, parcel.cancel)

    def _work(self) -> None:
        while self._parcel.encode(_SLICE_MILLISECONDS):
            pass

    @property
    def is_over(self) -> bool:
        """Whether nobody has to wait for it."""
        return self._running.is_over

    def parcel(self) -> _binding.Parcel:
        """Wait until it is encoded."""
        self._running.wait()
        return self._parcel

    def cancel(self) -> None:
        """Let its threads end soon."""
        self._parcel.cancel()


class _Queue:
    """Pages on their way into the file, in their order; those that wait for their turn are bounded."""

    def __init__(self, writer: PageWriter, first_tags: Sequence[NewTag], batch: int) -> None:
        self._writer = writer
        self._tags = first_tags
        self._batch = batch
        self._unpublished = 0
        self._waiting: deque[_Encoding] = deque()
        self._waiting_bytes = 0
        self._broken = False

    def put(self, page: Pixels) -> None:
        """Write the page, or have it encoded and write those that are."""
        if not self._writer.encodes(page):
            self._write(page)
            return
        self._waiting.append(self._writer.start(page.copy()))
        self._waiting_bytes += page.nbytes
        while self._waiting and (self._waiting_bytes > _WAITING_BYTES or self._waiting[0].is_over):
            self._write_next()

    def _write_next(self) -> None:
        encoding = self._waiting.popleft()
        self._waiting_bytes -= encoding.nbytes
        self._write(encoding)

    def _write(self, page: Pixels | _Encoding) -> None:
        self._broken = True  # unless this comes to its end: what waits must not be written in its place
        tags, self._tags = self._tags, ()
        if self._batch == 1 and not isinstance(page, _Encoding):
            self._writer.append(page, tags)
        else:
            self._writer.write(page, tags)
            self._unpublished += 1
        if self._unpublished >= self._batch:
            self._publish()
        self._broken = False

    def _publish(self) -> None:
        self._writer.publish()
        self._unpublished = 0

    def finish(self, *, soon: bool = False) -> None:
        """Write what waits, and publish what was written; soon: without what still has to be encoded."""
        try:
            while self._waiting and not self._broken and not soon:
                self._write_next()
        finally:
            for encoding in self._waiting:
                encoding.cancel()
            if not self._writer.is_dead:
                with suppress(LockedError):  # in a forked child, which has written nothing
                    self._publish()  # even if none seems to wait: an interruption comes between writing and counting
