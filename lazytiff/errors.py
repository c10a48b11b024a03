"""What can go wrong. Each class is also the builtin that a user would catch.

Failures of the operating system are plain OSErrors with the file's path, so that FileNotFoundError, FileExistsError and
PermissionError appear by themselves.
"""

from __future__ import annotations

import errno


class TiffError(Exception):
    """The base of all errors of lazytiff."""

    status: str  # the enum lzt_status of csrc/lazytiff.h that becomes this error


class NotTiffError(TiffError, ValueError):
    """The file is not a TIFF file."""

    status = "LZT_NOT_TIFF"


class CorruptTiffError(TiffError, ValueError):
    """The file, or one of its pages, breaks the rules of the format."""

    status = "LZT_CORRUPT"


class DecodeError(TiffError, ValueError):
    """The bytes of one strip or tile do not decode to its pixels.

    `page` is the number of the page in the file, `chunk` that of the strip or tile in the page; None when unknown.
    """

    status = "LZT_DECODE"

    def __init__(self, text: str, page: int | None = None, chunk: int | None = None) -> None:
        super().__init__(text)
        self.page = page
        self.chunk = chunk


class UnsupportedTiffError(TiffError, NotImplementedError):
    """The file is within the rules, but lazytiff or the linked libtiff cannot read it."""

    status = "LZT_UNSUPPORTED"


class LimitError(MemoryError, TiffError):  # in this order, or LimitError.__new__, which dask's cluster calls, fails
    """A limit would be exceeded; `lazytiff.limits` holds them."""

    status = "LZT_LIMIT"


class NotMappableError(TiffError, ValueError):
    """The pixels cannot be mapped into memory; the text says why."""

    status = "LZT_NOT_MAPPABLE"


class ClosedError(TiffError, ValueError):
    """The array, or the file that it reads from, was closed."""


class EmptyStackError(TiffError, ValueError):
    """The file has no pages yet."""


class FrameTypeError(TiffError, ValueError):
    """Pages that are to form one array differ in size, dtype, samples or photometric interpretation."""


class MissingPlaneError(TiffError, LookupError):
    """A plane that the file's description tells of is not there; the text says why."""


class _SystemError(TiffError, OSError):
    """An error that the operating system has a number for."""

    number: int

    def __init__(self, text: str) -> None:
        super().__init__(self.number, text)

    def __str__(self) -> str:
        return str(self.strerror)

    def __reduce__(self) -> tuple[type[_SystemError], tuple[str]]:
        """Pickle: an OSError would be made of two arguments."""
        return type(self), (str(self),)


class FileChangedError(_SystemError):
    """The file is no longer the one that was opened: it became shorter or was rewritten in place."""

    status = "LZT_CHANGED"
    number = errno.ESTALE


class FileFullError(_SystemError):
    """A classic TIFF file would grow past 4 GiB."""

    status = "LZT_FULL"
    number = errno.EFBIG


class LockedError(_SystemError, BlockingIOError):
    """Somebody else has opened the file in a way that does not go with what is asked."""

    status = "LZT_LOCKED"
    number = errno.EAGAIN


class TiffWarning(UserWarning):
    """Something in a file is wrong, and reading goes on without it."""
