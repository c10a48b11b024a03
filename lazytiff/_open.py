"""The ways in: `open` and `load`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from lazytiff._choice import choose_stack
from lazytiff._file import OpenFile
from lazytiff._grow import resume
from lazytiff._lazy import LazyTiff
from lazytiff._many import MultiTiff
from lazytiff._mmap import MmapTiff
from lazytiff._paths import paths_of
from lazytiff._style import Options
from lazytiff._warn import warn
from lazytiff.errors import NotMappableError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    from numpy.typing import DTypeLike, NDArray

    from lazytiff._append import AppendTiff


@overload
def open(
    file: list[Any] | tuple[Any, ...],
    mode: Literal["r"] = "r",
    *,
    check: bool = False,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
) -> MultiTiff: ...
@overload
def open(
    file: Any,
    mode: Literal["r"] = "r",
    *,
    mmap: Literal[False] = False,
    guard: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
) -> LazyTiff: ...
@overload
def open(
    file: str | bytes | os.PathLike[Any],
    mode: Literal["a"],
    *,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
    dtype: DTypeLike | None = None,
    **options: Unpack[Options],
) -> AppendTiff: ...
@overload
def open(
    file: Any,
    mode: str = "r",
    *,
    mmap: bool,
    guard: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
) -> LazyTiff | MmapTiff: ...
@overload
def open(
    file: Any,
    mode: str,
    *,
    mmap: Literal[False] = False,
    guard: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
    dtype: DTypeLike | None = None,
    **options: Any,
) -> LazyTiff | AppendTiff: ...
def open(
    file: Any,
    mode: str = "r",
    *,
    mmap: bool = False,
    guard: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
    check: bool = False,
    dtype: DTypeLike | None = None,
    **options: Any,
) -> LazyTiff | MmapTiff | AppendTiff | MultiTiff:
    """Open a TIFF stack, or many files as one, as an array; nothing but the file's structure is read now.

    Parameters
    ----------
    file
        Path (str, bytes or PathLike) of a TIFF or BigTIFF file; or an object with the buffer protocol that holds one;
        or an object with `read_ranges(ranges)` and `size`, or with `seek` and `readinto`. (bytes are a path unless
        they begin like a TIFF file.) With mode "r+" and "a" a path.
        A list or tuple of paths, or a pattern such as "run/*.tif" (in natural order: img_2 before img_10; `**` stands
        for any folders), gives the pages of many files one after another, decoded where they are touched.
    mode
        "r": read. "a": append pages behind the last one. With mmap also "r+": what is assigned goes to the file; "c":
        it stays in memory.
    mmap
        Map the pixels into memory instead of decoding what is touched: for uncompressed pages in a file.
    guard
        With mmap, on POSIX systems: when the file becomes shorter, pixels that it does not have any more read as zeros
        and the array raises FileChangedError the next time it is used. Without, to touch them kills the process.
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
    check
        Of many files: look at all of them now. Without, the first one is opened now and the others when they are
        touched, if the first one has one page; the others then must have one too.
    dtype
        With mode "a": of the pages of a file that has none yet.
    options
        With mode "a": how pages to come are stored, as for `lazytiff.empty` (but for bigtiff, which is as it is found);
        what is not said is as in the last page. A file that was made with `imagej`, `ome` or `metadata` counts on
        without them; another one gets a new description by them, which counts from then on.

    Returns
    -------
    LazyTiff, MmapTiff with mmap, AppendTiff with mode "a", MultiTiff for many files
        Of shape (page, row, column[, sample]); in mode "a" and for many files the page axis is always there.

    Raises
    ------
    OSError
        The file cannot be opened or read; FileNotFoundError and so on. With mode "r+" also: a sparse file does not get
        its disk space.
    NotTiffError, CorruptTiffError
        It is no TIFF file, or its first page is broken.
    EmptyStackError
        It has no pages (yet); in mode "a" that is a ValueError without dtype.
    FrameTypeError
        The pages differ in size, dtype, samples or photometric interpretation; with mode "a" also: options say
        something else.
    UnsupportedTiffError
        With mode "a": the frames of the file share one IFD, or the linked libtiff cannot write their compression.
    ValueError, TypeError
        A parameter means nothing, or does not go with others or with the pages that there are.
    NotMappableError
        With mmap: pixels are not stored as they are read; or, with mode "r+", writing to them would change something
        else, or the file is on another machine. The text says which and why.
    LockedError
        With mode "r+": somebody changes the structure of the file. With mode "a": somebody writes to it.

    """
    _check_names(options)
    paths = paths_of(file) if mode != "a" else None
    if paths is not None:
        others = {"mmap": mmap, "guard": guard, "pages": pages is not None, "squeeze": not squeeze}
        _check_many(mode, others={**others, "dtype": dtype is not None, **dict.fromkeys(options, True)})
        return MultiTiff(paths, check=check, workers=workers, cache_bytes=cache_bytes, codecs=codecs)
    if check:
        raise ValueError("check=True is for many files")
    if mode == "a" and not mmap:
        if guard or pages is not None:
            raise ValueError("mode 'a' is for all pages of a file, which are decoded: it takes neither guard nor pages")
        return resume(file, dtype, cache_bytes, codecs, {"workers": workers, **options})
    if options or dtype is not None:
        raise TypeError(f"{', '.join(options) or 'dtype'} is for mode 'a'")
    check_mode(mode, mmap=mmap, guard=guard, others=("a",))
    opened = OpenFile.open(file, workers, cache_bytes, codecs, mode if mode == "r+" else "r")
    return make_array(opened, pages, squeeze=squeeze, mmap=mmap, mode=mode, guard=guard)


def make_array(
    opened: OpenFile, pages: int | slice | Sequence[int] | None, *, squeeze: bool, mmap: bool, mode: str, guard: bool
) -> LazyTiff | MmapTiff:
    """Make the array of these pages of an open file, which is closed when there is none."""
    try:
        numbers = choose_stack(opened.table, pages)
        array: LazyTiff | MmapTiff
        if mmap:
            array = MmapTiff(opened, numbers, squeeze=squeeze, mode=mode, guard=guard)
        else:
            array = LazyTiff(opened, numbers, squeeze=squeeze)
    except BaseException:
        opened.source.close()
        raise
    array._chosen = pages  # noqa: SLF001  # of an array that is being made
    return array


def _check_many(mode: str, *, others: dict[str, bool]) -> None:
    """Raise ValueError for what many files cannot be opened with."""
    wrong = [name for name, given in others.items() if given]
    if mode != "r" or wrong:
        raise ValueError(
            f"{' and '.join(wrong) or f'mode {mode!r}'} is for one file; many files are read, all pages of them: open "
            "each by itself, and see lazytiff.concatenate"
        )


def _check_names(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in Options.__annotations__:
            raise TypeError(f"open() got an unexpected keyword argument {name!r}")


def check_mode(mode: str, *, mmap: bool, guard: bool, others: tuple[str, ...] = ()) -> None:
    """Raise ValueError for a mode, or a guard, that there is not; others: modes besides those of reading."""
    modes = ("r", "r+", "c") if mmap else ("r", *others)
    if mode not in modes:
        advice = "; 'r+' and 'c' are for mmap=True" if mode in ("r+", "c") else ""
        advice = "; 'a' is for lazytiff.open, without mmap" if mode == "a" else advice
        raise ValueError(f"mode must be {', '.join(map(repr, modes))}, not {mode!r}{advice}")
    if guard and not mmap:
        raise ValueError("guard=True is for mmap=True: an array that decodes what is touched never maps its file")


def load(
    file: Any,
    mode: str = "r",
    *,
    mmap: bool = False,
    lazyio: bool = False,
    guard: bool = False,
    pages: int | slice | Sequence[int] | None = None,
    squeeze: bool = True,
    workers: int | None = None,
    cache_bytes: int = 64 << 20,
    codecs: str | Iterable[str] = "default",
    check: bool = False,
) -> NDArray[Any] | LazyTiff | MmapTiff | MultiTiff:
    """Read a TIFF stack into a numpy.ndarray, on all workers; with `lazyio=True`, return what `lazytiff.open` does.

    With `mmap=True` return what `lazytiff.open(..., mmap=True)` does; a file that cannot be mapped is opened as with
    `lazyio=True`, and a TiffWarning says why. That is for mode "r": in "r+" and "c" NotMappableError is raised, as an
    array that is decoded where it is touched cannot be assigned to.
    The parameters and errors are those of `lazytiff.open`; DecodeError, when the bytes of a strip or tile are
    damaged, comes on top.
    """
    check_mode(mode, mmap=mmap, guard=guard)
    rest: dict[str, Any] = {"pages": pages, "squeeze": squeeze, "workers": workers, "cache_bytes": cache_bytes}
    if mmap:
        try:
            mapped: LazyTiff | MmapTiff = open(file, mode, mmap=True, guard=guard, codecs=codecs, **rest)
        except NotMappableError as error:
            if mode != "r":
                raise
            warn(f"{error}; it is decoded where it is touched instead")
        else:
            return mapped
    array: LazyTiff | MultiTiff = open(file, codecs=codecs, check=check, **rest)
    if lazyio or mmap:
        return array
    with array:
        return array.copy()
