"""AppendTiff: a stack that grows page by page."""

from __future__ import annotations

import itertools
import operator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _counting, _progress
from lazytiff._choice import choose_stack
from lazytiff._growing import GrowingArray, page_shape
from lazytiff._pages import FrameType
from lazytiff._pieces import pages_of, unmasked
from lazytiff._shapes import check_page
from lazytiff._style import inherited
from lazytiff._tag_values import new_tags
from lazytiff._writer import PageWriter
from lazytiff.errors import ClosedError, FrameTypeError, UnsupportedTiffError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import NoReturn

    from numpy.typing import ArrayLike, NDArray

    from lazytiff._file import OpenFile
    from lazytiff._style import Style
    from lazytiff._tag_values import NewTag


class AppendTiff(GrowingArray):
    """A stack that grows page by page: `lazytiff.empty(path, dtype)`, `lazytiff.open(path, "a")`.

    A page is in the file for good when `append` returns its number: a program that dies at any moment leaves a valid
    file with every page that was acknowledged, and others may read the file meanwhile. The array has the axes (page,
    row, column[, sample]), and (0, 0, 0) elements before the first page; everything that was appended reads back. It
    may be shared between threads, which append one after the other; a forked process may not append.
    """

    def __init__(self, file: OpenFile, style: Style, dtype: np.dtype[Any]) -> None:
        super().__init__(file, PageWriter(file.table, durable=style.durable, workers=style.workers), dtype)
        self._style = style
        self._is_extending = False
        _counting.check_file(style, self._writer, file)
        if len(file.table):
            self._go_on()
        else:
            self._rehearse()

    def _go_on(self) -> None:
        """Store pages to come as the last one is, as far as the user says nothing else."""
        table, last = self._file.table, len(self._file.table) - 1
        try:
            choose_stack(table, None)
        except FrameTypeError as error:
            raise FrameTypeError(f"{str(error).split(';')[0]}: no page goes with all of them") from None
        frame = table.layout(last).frame_type
        like = self._writer.form_of(table, last)
        if self._style.photometric not in (-1, frame.photometric):
            raise FrameTypeError(f"{self.path}: its pages are {frame}, and photometric says something else")
        if self._style.description:
            raise ValueError(f"{self.path} has pages, and `description` is for the first one; a page takes `tags`")
        tags = inherited(self._style.stamped_tags(), table.tags(last), frame)
        try:
            form = self._writer.set_form(self._style.form(page_shape(frame), frame.dtype, like), tags)
        except ValueError as error:
            raise ValueError(
                f"{self.path}: no page can be stored as the last one is, or as is asked: {error}"
            ) from None
        _counting.go_on(self._style, self._writer, self._file, form, frame.dtype)
        self._settle(frame)

    def _rehearse(self) -> None:
        """Raise what no page of the dtype, of however many samples, could be appended for: before there is a file."""
        rows, columns = self._style.chunk or (16, 0)
        for samples in (1, 3, 4):
            try:
                form = self._style.form((min(rows, 16), columns or 16, samples), self._sample)
                self._style.check_form(self._writer.set_form(form, self._style.stamped_tags()), self._sample)
            except (ValueError, UnsupportedTiffError):
                if samples == 4:  # noqa: PLR2004  # the last that a codec or a colour asks for
                    raise
            else:
                return

    # ---- Appending

    def append(self, page: ArrayLike, *, tags: Mapping[str | int, Any] | None = None) -> int:
        """Append a page of (row, column[, sample]) and return its number: from now on it is in the file.

        Parameters
        ----------
        page
            Anything that NumPy makes an array of, of the dtype that `lazytiff.empty` was given, in either byte order:
            values are not converted. The first page sets rows, columns and samples for all others (so three axes are
            those of one page: a stack goes to `extend`). Its memory may be used again when the call has returned.
        tags
            Tags of this page alone, as for `lazytiff.empty`; they take the place of those that all pages have.

        Raises
        ------
        FrameTypeError
            The page does not go with the others.
        ValueError, TypeError
            No page of a TIFF file, or of that compression, is like that; or tags are wrong.
        FileFullError
            With `bigtiff=False`: the page does not fit into 4 GiB. The file stays as it is.
        LimitError
            There are `limits.max_pages` already: nobody would find another one.
        LockedError
            This process is a child of the one that opened the file.
        ClosedError
            It was closed.
        RuntimeError
            `extend` is taking pages, and they append.
        FileChangedError
            Somebody else wrote to the file.
        OSError
            The disk is full, and so on.

        After the last two the file keeps every page that was acknowledged, and this array takes no page any more;
        `lazytiff.open(path, "a")` goes on. After all others, and after Ctrl-C, the array goes on; `len(array)` tells
        whether Ctrl-C came before the page was in the file.

        """
        own = new_tags(tags) if tags is not None else ()
        with self._appending, self._file.source:
            if self._is_extending:
                self._refuse_within_extend()
            array = self._checked(page)
            if self._frame_type is None:
                return self._append_first(array, own)
            return self._writer.append(array, own)

    def extend(self, pages: Iterable[ArrayLike], *, batch: int = 1) -> int:
        """Append pages, and return how many.

        When pages raise something, or another thread closes the array, the pages before are in the file, and the
        exception goes on; Ctrl-C leaves out those that still had to be encoded. What is encoded is so by all workers,
        some pages ahead of the one that is written, at most 64 MiB. The memory of a page may be used again when the
        next one is asked for.

        Parameters
        ----------
        pages
            An array of (page, row, column[, sample]), of which no more is read at a time than 64 MiB or one of its
            chunks, or anything that gives one page after the other.
        batch
            How many pages become part of the stack at a time. More than one is faster with `durability="power"`; a
            crash, or an error of the disk, loses those of a batch that has not come to its end.

        Raises what `append` raises.

        """
        if operator.index(batch) < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        with self._appending, self._file.source:
            if self._is_extending:
                self._refuse_within_extend()
            try:
                self._is_extending = True
                with _progress.track(getattr(pages, "nbytes", -1), "write") as track:
                    return self._extend(iter(track.counted(self._each(pages))), batch)
            finally:
                self._is_extending = False

    def flush(self) -> None:
        """Wait until every page that was appended is on the disk, where a power failure does not take it away.

        Raises OSError when the disk fails, after which this array takes no page any more; ClosedError after `close()`,
        LockedError in a forked process.
        """
        with self._appending, self._file.source:
            self._writer.flush()

    def _extend(self, pages: Iterator[NDArray[Any]], batch: int) -> int:
        if self._frame_type is not None:
            return self._writer.extend(pages, (), batch)
        first = next(pages, None)
        if first is None:
            return 0
        with self._first(first) as description:
            return self._writer.extend(itertools.chain([first], pages), description, batch)

    def _each(self, pages: Any) -> Iterator[NDArray[Any]]:
        """Yield the pages, each of which goes with those before."""
        for page in self._split(pages):
            if self.closed:
                raise ClosedError(f"{self._file.source.name} was closed while extend() took pages")
            yield self._checked(page)

    def _split(self, pages: Any) -> Iterable[Any]:
        """Return the pages of an array; anything else gives them itself."""
        if isinstance(pages, memoryview):
            pages = np.asarray(pages)
        if not hasattr(pages, "shape") or not hasattr(pages, "dtype"):
            return pages  # type: ignore[no-any-return]
        if tuple(pages.shape[:1]) == (0,):
            return ()
        pieces = pages_of(pages)
        if "I" not in pieces.axes or pieces.shape == self._page_shape:
            raise FrameTypeError(f"{self._name()}: an array of {pieces.shape} is one page: append(page) appends it")
        return pieces.pages

    def _append_first(self, page: NDArray[Any], tags: Sequence[NewTag]) -> int:
        with self._first(page) as description:
            found = {tag.number: tag for tag in (*description, *tags)}
            return self._writer.append(page, list(found.values()))

    @contextmanager
    def _first(self, page: NDArray[Any]) -> Iterator[Sequence[NewTag]]:
        """Say what all pages are to be like, and give what the first one has alone.

        When it does not get into the file, another one may say it.
        """
        form = self._writer.set_form(self._style.form(page.shape, page.dtype), self._style.stamped_tags())
        description = _counting.first_tags(self._style, self._writer, self._file, form, self._sample)
        rows, columns, *samples = page.shape
        try:
            self._settle(FrameType(rows, columns, samples[0] if samples else 1, self._sample, form["photometric"]))
            yield description
        finally:
            if not self._writer.pages:
                self._settle(None)

    def _checked(self, page: Any) -> NDArray[Any]:
        """Return the page as an array; raise FrameTypeError when it does not go with the others."""
        array = unmasked(page)
        expected = self._page_shape
        if array.shape == expected and (array.dtype is self._sample or array.dtype.newbyteorder("=") == self._sample):
            return array
        if array.dtype.newbyteorder("=") != self._sample or (expected is not None and array.shape != expected):
            raise FrameTypeError(self._describe_odd(array, expected))
        check_page(array.shape)
        return array

    def _describe_odd(self, array: NDArray[Any], expected: tuple[int, ...] | None) -> str:
        known = "" if expected is None else f" {expected}"
        text = (
            f"{self._name()}: a page of {array.dtype} {array.shape} does not go with a stack of {self._sample}{known}"
        )
        if expected is not None and array.shape[1:] == expected:
            return f"{text}; these are {len(array)} pages: extend(pages) appends them"
        if array.dtype.newbyteorder("=") != self._sample and array.dtype.kind in "buifc":
            return f"{text}: values are not converted; page.astype({str(self._sample)!r}) does that"
        return text

    def _refuse_within_extend(self) -> NoReturn:
        raise RuntimeError(f"{self._name()}: to append while extend() takes pages would change their order")
