"""New files that grow page by page, `empty` and `save`, and old ones that go on: `open(path, "a")`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lazytiff import _progress
from lazytiff._append import AppendTiff
from lazytiff._file import OpenFile
from lazytiff._pieces import pages_of, planes_of
from lazytiff._source import Source
from lazytiff._style import Style, is_big_endian, sample_type
from lazytiff.errors import FrameTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike

    Path = str | bytes | os.PathLike[Any]


def empty(
    path: Path,
    dtype: DTypeLike,
    *,
    bigtiff: bool | str = "auto",
    compression: str | None = None,
    level: float | None = None,
    predictor: int | str | bool | None = None,
    chunk_shape: int | tuple[int, int] | None = None,
    photometric: str | None = None,
    description: str | bytes | None = None,
    tags: Mapping[str | int, Any] | None = None,
    imagej: bool = False,
    ome: bool = False,
    metadata: Mapping[str, Any] | None = None,
    durability: str = "process",
    workers: int | None = None,
) -> AppendTiff:
    """Make a TIFF file without pages, to which pages are appended one after the other.

    The file is there at once, and valid at every moment from then on.

    Parameters
    ----------
    path
        Of the new file.
    dtype
        Of the pages: bool (stored in 1 bit), integers and floats of 1 to 8 bytes, complex64, complex128. The file gets
        the byte order of the dtype.
    bigtiff
        True: BigTIFF, which can have 2^64 bytes. False: classic TIFF, which ends at 4 GiB. "auto": classic TIFF that
        becomes BigTIFF when it outgrows 4 GiB, at the price of some 300 bytes a page.
    compression
        None or "none", "packbits", "lzw", "deflate", "zstd", "lzma", "jpeg", "webp", "lerc" or, for bool, "ccitt-g4",
        as far as the linked libtiff can write it (`lazytiff.info()["writes"]`).
    level
        Effort of "deflate" (0 to 12, default 4), "zstd" (1 to 22, 3) and "lzma" (0 to 9, 6); quality of "jpeg" (1 to
        100, 90) and "webp" (1 to 100; default: without loss); the largest error of "lerc" (0).
    predictor
        True, 2 or "horizontal", 3 or "float": store differences of neighbours, which mostly compress better.
    chunk_shape
        Rows of a strip, or (rows, columns) of a tile, multiples of 16. None: strips, of all rows when uncompressed,
        otherwise of about 256 KiB of pixels.
    photometric
        "minisblack", "miniswhite", "rgb", "palette" (with the tag ColorMap), "cmyk", "cielab", "mask" or, for JPEG,
        "ycbcr". None: "rgb" for uint8 with 3 or 4 samples, otherwise "minisblack" with extra samples.
    description
        ImageDescription of the first page, which speaks of the whole stack.
    tags
        Tags of every page, by name or number: `{"XResolution": 2.5, "ResolutionUnit": "cm", 65000: ("LONG", [1, 2])}`.
        A str is ASCII, bytes are UNDEFINED, numbers have the type that the standard gives the tag; private tags take
        NumPy's numbers, or name their type as here. Software gets "lazytiff v..." added.
    imagej
        True: the file is one of ImageJ's, which opens as a hyperstack at every moment: of whole steps of the slowest
        axis, while planes of the next one come. It is a classic TIFF file, whatever `bigtiff="auto"` is elsewhere; its
        pages are uint8, uint16, int16, float32, or RGB of uint8, in strips, uncompressed or with "packbits", "lzw" or
        "deflate", and have 64 bytes or more.
    ome
        True: the file is an OME-TIFF file, for Bio-Formats and others. There is always one step of the slowest axis:
        planes that have not come yet are missing, and read as zeros.
    metadata
        What these programs are told; without `imagej` it implies `ome`. "axes": of all pages, the slowest first, each
        one of T (time), Z (plane) and C (channel); the pages' own YX or YXS may follow. Default "T". "sizes": the
        length of every axis but the slowest, which grows: `{"Z": 5, "C": 2}`. "spacing": from plane to plane of Z,
        "pixel_size": of a pixel, a number or (y, x), both in "unit" (default "µm"). "interval": seconds from one time
        to the next. "channels": their names (not for ImageJ). "name": of the image.
    durability
        "process": what is acknowledged survives the end of this process at any moment. "power": that of the machine,
        too, at the price of waiting for the disk twice a page (see `extend`'s `batch`).
    workers
        The most threads for one page. None: as many as the process may use CPUs, or LAZYTIFF_NUM_THREADS.

    Raises
    ------
    FileExistsError
        There is such a file: `lazytiff.open(path, "a")` goes on with it.
    OSError
        The file cannot be made.
    UnsupportedTiffError
        The linked libtiff cannot write that compression.
    ValueError, TypeError
        An option or a tag means nothing, or does not go with others. Nothing is left behind.

    """
    style = Style.of(
        compression=compression,
        level=level,
        predictor=predictor,
        chunk_shape=chunk_shape,
        photometric=photometric,
        description=description,
        tags=tags,
        imagej=imagej,
        ome=ome,
        metadata=metadata,
        durability=durability,
        workers=workers,
    )
    sample = sample_type(dtype)
    with _new_file(path, sample, style.bigtiff_number(bigtiff), workers) as file:
        array = AppendTiff(file, style, sample)
        file.source.handle.publish(durable=style.durable)
    return array


def save(
    path: Path,
    array: ArrayLike,
    *,
    axes: str | None = None,
    bigtiff: bool | str = "auto",
    compression: str | None = None,
    level: float | None = None,
    predictor: int | str | bool | None = None,
    chunk_shape: int | tuple[int, int] | None = None,
    photometric: str | None = None,
    description: str | bytes | None = None,
    tags: Mapping[str | int, Any] | None = None,
    imagej: bool = False,
    ome: bool = False,
    metadata: Mapping[str, Any] | None = None,
    durability: str = "process",
    workers: int | None = None,
) -> None:
    """Write an array into a new TIFF file, page by page, in bounded memory. The name appears when the file is complete.

    Parameters
    ----------
    path
        Of the new file.
    array
        Anything that is like an array: a numpy.ndarray, an array of lazytiff's, of dask's and so on, of which no more
        is in memory at a time than 64 MiB, a page, or one of its chunks. (row, column), (page, row, column) or (page,
        row, column, sample).
    axes
        One letter for each axis, where it is another one: "YXS" is one page of several samples.
    bigtiff, compression, level, predictor, chunk_shape, photometric, description, tags, durability, workers
        As for `lazytiff.empty`.
    imagej, ome, metadata
        As for `lazytiff.empty`; arrays may have up to three axes before those of a page then, which `axes` or the
        metadata's "axes" name, or the array's own `axes`: of an array of a file those of its `hyperstack`, and with
        them its distances and names of channels, unless the metadata says others. Their sizes are the array's.

    Raises what `lazytiff.empty` raises, LimitError for more pages than `limits.max_pages`, and FileFullError when it
    does not fit into 4 GiB with `bigtiff=False`. When anything fails, and after Ctrl-C, nothing is left behind.

    """
    if imagej or ome or metadata is not None:
        pieces, metadata = planes_of(array, axes, metadata, imagej=imagej)
    else:
        pieces = pages_of(array, axes)
    style = Style.of(
        compression=compression,
        level=level,
        predictor=predictor,
        chunk_shape=chunk_shape,
        photometric=photometric,
        description=description,
        tags=tags,
        imagej=imagej,
        ome=ome,
        metadata=metadata,
        durability=durability,
        workers=workers,
    )
    number = style.bigtiff_number(bigtiff)
    with _new_file(path, pieces.dtype, number, workers) as file, AppendTiff(file, style, pieces.dtype) as stack:
        with _progress.track(pieces.nbytes, "write") as track:
            stack.extend(track.counted(pieces.pages), batch=1 << 62)
        file.source.handle.publish(durable=style.durable)


def resume(
    path: Path, dtype: DTypeLike | None, cache_bytes: int, codecs: Any, options: Mapping[str, Any]
) -> AppendTiff:
    """Open a stack to which pages are to be appended; options are those of `empty`."""
    style = Style.of(**options)
    file = OpenFile.open(path, style.workers, cache_bytes, codecs, "a")
    try:
        return AppendTiff(file, style, _sample_type_of(file, dtype))
    except BaseException:
        file.source.close()
        raise


@contextmanager
def _new_file(path: Path, dtype: np.dtype[Any], bigtiff: int, workers: int | None) -> Iterator[OpenFile]:
    """Make a file without pages and without a name; it is gone when the block raises something."""
    try:
        source = Source(path, "x")
        try:
            source.handle.begin(bigtiff=bigtiff, big_endian=is_big_endian(dtype))
            yield OpenFile.of(source, workers, 64 << 20, "default")
        except BaseException:
            source.close()
            raise
    except FileExistsError as error:
        if error.filename != os.fsdecode(path):
            raise
        advice = "there is such a file; lazytiff.open(path, 'a') goes on with it"
        raise FileExistsError(error.errno, advice, error.filename) from None


def _sample_type_of(file: OpenFile, dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of the pages that there are, or that of pages to come."""
    if not len(file.table):
        if dtype is None:
            raise ValueError(f"{file.source.name} has no pages yet: `dtype` must say what they are to be")
        return sample_type(dtype)
    found = file.table.layout(len(file.table) - 1).dtype
    if dtype is not None and sample_type(dtype).newbyteorder("=") != found:
        raise FrameTypeError(f"{file.source.name}: its pages are {found}, not {sample_type(dtype)}")
    return found
