"""LazyTiff: any TIFF, decoded where it is touched."""

from lazytiff._described import DescribedArray
from lazytiff._file_array import FileArray


class LazyTiff(DescribedArray):
    """A stack of pages, decoded where it is touched. Made by `lazytiff.open`.

    Whatever the pages' layouts, a chunk is decoded when one of its pixels is asked for; chunks used in part stay in a
    cache of `cache_bytes`. The file is only ever read with positioned reads, never mapped. Threads may share the
    array. Every use after `close()` raises ClosedError.
    """


FileArray._lazy_type = LazyTiff  # noqa: SLF001  # which arrays of files make for their levels
