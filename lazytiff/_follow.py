"""`follow`: the pages of a file that is being written."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from lazytiff._file import OpenFile, check_settings
from lazytiff._growth import Patience
from lazytiff._open import check_mode, make_array
from lazytiff._paths import pattern_of
from lazytiff._refreshing import pages_as_they_come
from lazytiff.errors import FileChangedError, NotTiffError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_HEADER_BYTES = 16  # of BigTIFF; classic TIFF has 8


class _Settings(NamedTuple):
    """What OpenFile.open takes."""

    workers: int | None
    cache_bytes: int
    codecs: str | tuple[str, ...]


def follow(
    path: Any,
    timeout: float | None = None,
    poll: float = 0.05,
    *,
    mmap: bool = False,
    guard: bool = False,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
) -> Iterator[NDArray[Any]]:
    """Yield the pages of a growing TIFF stack, those that are there first, then each as it comes.

    A file that is not there yet, or has no page yet, is waited for. A page is yielded when all of it is in the file.
    It ends when the writer, which holds a lock while it writes, has let go and no page is left; or when no page has
    come for timeout seconds. Programs that take no lock (all but lazytiff) are waited for with a timeout; without one
    it ends as soon as no page is left.

    Parameters
    ----------
    path
        The file.
    timeout
        Seconds to wait for the next page. None: for as long as there is a writer, and for a first page for ever.
    poll
        Seconds between two looks at the file.
    mmap, guard, workers, cache_bytes, codecs
        As for `lazytiff.open`; with mmap pages are views of the file instead of new arrays.

    Yields
    ------
    numpy.ndarray
        A page, (row, column[, sample]).

    Raises
    ------
    ValueError
        timeout is None where locks do not work; a parameter is out of range; or path is a pattern.
    FileNotFoundError, NotTiffError
        After timeout seconds there is no such file, or it is no TIFF file; without timeout NotTiffError at once.
    FileChangedError
        Pages that were there are not there any more.
    FrameTypeError
        A page that came does not go with the others.

    """
    patience = Patience(timeout, poll)
    check_mode("r", mmap=mmap, guard=guard)
    settings = _Settings(workers, cache_bytes, codecs if isinstance(codecs, str) else tuple(codecs))
    check_settings(*settings)
    pattern = pattern_of(path)
    if pattern is not None and set(pattern) & set("*?"):  # a file to come may have brackets in its name
        raise ValueError(f"follow takes one file, which may be still to come, and no pattern: {path!r}")
    return _follow(path, patience, settings, mmap=mmap, guard=guard)


def _follow(path: Any, patience: Patience, settings: _Settings, *, mmap: bool, guard: bool) -> Iterator[NDArray[Any]]:
    opened = _wait_for_first_page(path, patience, settings)
    if opened is not None:
        with make_array(opened, None, squeeze=False, mmap=mmap, mode="r", guard=guard) as array:
            yield from pages_as_they_come(array, 0, patience)


def _wait_for_first_page(path: Any, patience: Patience, settings: _Settings) -> OpenFile | None:
    """Return the file once it has a page; None when none is to be expected any more."""
    patience.begin()
    while True:
        certain = patience.timeout is None and not _may_become_tiff(
            path
        )  # before the look: it may become one meanwhile
        try:
            opened = _look(path, patience, settings)
        except (FileNotFoundError, NotTiffError) as error:
            if (certain and isinstance(error, NotTiffError)) or patience.is_over(begun=False):
                raise
        else:
            if opened is not None or patience.is_over(begun=False):
                return opened
        patience.wait()


def _look(path: Any, patience: Patience, settings: _Settings) -> OpenFile | None:
    """Return the file if it has a page."""
    opened = OpenFile.open(path, *settings, whole=True)
    try:
        patience.require_end(opened.source)
        patience.watch(opened.source)
        opened.refresh()  # after the look at the lock
    except FileChangedError:  # begun anew meanwhile
        opened.source.close()
        return None
    except BaseException:
        opened.source.close()
        raise
    if len(opened.table):
        return opened
    opened.source.close()
    return None


def _may_become_tiff(path: Any) -> bool:
    """Tell whether there is nothing yet at path, or less than a header."""
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    try:
        about = os.stat(path)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(about.st_mode) and about.st_size < _HEADER_BYTES
