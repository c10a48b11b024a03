"""The ways in: `open`, `load` and `TiffFile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from lazytiff._file import Opened, OpenFile
from lazytiff._lazy import PageList
from lazytiff._stacks import stack, stacks
from lazytiff._warn import warn
from lazytiff.errors import NotMappableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from lazytiff._lazy import LazyTiff, TiffPage


_NO_MAPPING = "this version of lazytiff does not map files into memory"


def open(
    file: Any,
    mode: str = "r",
    *,
    mmap: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
) -> LazyTiff:
    """Open a TIFF stack as an array that decodes what is touched; nothing but the file's structure is read now.

    Parameters
    ----------
    file
        Path (str, bytes or PathLike) of a TIFF or BigTIFF file; or an object with the buffer protocol that holds one;
        or an object with `read_ranges(ranges)` and `size`, or with `seek` and `readinto`. (bytes are a path unless
        they begin like a TIFF file.)
    mode
        "r": read.
    mmap
        Map the pixels into memory instead. This version maps no file: True raises NotMappableError.
    pages
        Which pages: an int, a slice or a sequence of int. None: all.
    squeeze
        Whether a single page comes without a page axis.
    workers
        The most threads for one read. None: as many as the process may use CPUs, or LAZYTIFF_NUM_THREADS.
    cache_bytes
        The most bytes of decoded chunks to keep.
    codecs
        Which compression schemes may be decoded: "default", "all", a name, or several of these. "default" leaves out
        old-style JPEG, NeXT, ThunderScan, PixarLog and SGILog.

    Returns
    -------
    LazyTiff
        Of shape (page, row, column[, sample]).

    Raises
    ------
    OSError
        The file cannot be opened or read; FileNotFoundError and so on.
    NotTiffError, CorruptTiffError
        It is no TIFF file, or its first page is broken.
    EmptyStackError
        It has no pages (yet).
    FrameTypeError
        The pages differ in size, dtype, samples or photometric interpretation.
    NotMappableError
        With `mmap=True`.

    """
    if mode != "r":
        raise ValueError(f"mode must be 'r', not {mode!r}")
    opened = OpenFile.open(file, workers, cache_bytes, codecs)
    try:
        return stack(opened, pages, squeeze=squeeze) if not mmap else _refuse_to_map(opened)
    except BaseException:
        opened.source.close()
        raise


def load(
    file: Any,
    mode: str = "r",
    *,
    mmap: bool = False,
    lazyio: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
) -> NDArray[Any] | LazyTiff:
    """Read a TIFF stack into a numpy.ndarray, on all workers; with `lazyio=True`, return what `lazytiff.open` does.

    With `mmap=True` a file that cannot be mapped is opened as with `lazyio=True`, and a TiffWarning says why.
    The parameters and errors are those of `lazytiff.open`; DecodeError, when the bytes of a strip or tile are
    damaged, comes on top.
    """
    array = open(file, mode, pages=pages, squeeze=squeeze, workers=workers, cache_bytes=cache_bytes, codecs=codecs)
    if mmap:
        warn(f"{array.path or repr(array)}: {_NO_MAPPING}; it is decoded where it is touched instead")
    if lazyio or mmap:
        return array
    with array:
        return array.copy()


def _refuse_to_map(opened: OpenFile) -> NoReturn:
    raise NotMappableError(f"{opened.source.name}: {_NO_MAPPING}; open it without `mmap`")


class TiffFile(Opened):
    """Every page of a TIFF file, whatever their mixture. A context manager.

    file, workers, cache_bytes and codecs: as for `lazytiff.open`. A file without pages has `len(pages) == 0`.
    """

    def __init__(
        self,
        file: Any,
        *,
        workers: int | None = None,
        cache_bytes: int = 64 << 20,
        codecs: str | Iterable[str] = "default",
    ) -> None:
        self._file = OpenFile.open(file, workers, cache_bytes, codecs)

    @property
    def pages(self) -> Sequence[TiffPage]:
        """One lazy array for each page, with its tags and SubIFDs."""
        return PageList(self._file, range(len(self._file.table)))

    @property
    def stacks(self) -> list[LazyTiff]:
        """One lazy array with a page axis for each frame type among the readable pages, in the order of their pages."""
        return stacks(self._file)

    @property
    def bigtiff(self) -> bool:
        """Whether the file is a BigTIFF file."""
        return self._file.table.bigtiff

    @property
    def byteorder(self) -> str:
        """'<' or '>': how numbers are stored."""
        return ">" if self._file.table.big_endian else "<"

    def __repr__(self) -> str:
        return f"<TiffFile {self._file.source.name!r}, {len(self._file.table)} pages>"
