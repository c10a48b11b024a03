"""LazyTiff: any TIFF, decoded where it is touched."""

from lazytiff._described import DescribedArray
from lazytiff._file_array import FileArray


class LazyTiff(DescribedArray):
    """A stack of pages, decoded where it is touched. Made by `lazytiff.open`.

    Whatever the pages' layouts, a chunk is decoded when one of its pixels is asked for; chunks used in part stay in a
    cache of `cache_bytes`. The file is only ever read with positioned reads, never mapped. Threads may share the
    array. Every use after `close()` raises ClosedError.

    It can be pickled: in another process it opens the file again, by its absolute path, with the pages that it had.
    A file that is another one by then raises FileChangedError; one that has grown is the same. What is no file, and
    pages that SubIFDs list, raise TypeError.
    """


FileArray._lazy_type = LazyTiff  # noqa: SLF001  # which arrays of files make for their levels
