"""Readers, and the chunks that they are to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazytiff._binding._source import take, thread
from lazytiff._binding._structs import struct_dtype
from lazytiff._ffi import ffi, lib

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lazytiff._binding._table import Table

JOB = struct_dtype("lzt_job")
"""One record a chunk that is to be read: `page chunk window target keep`; the last two are addresses."""
WINDOW = struct_dtype("lzt_window")
"""The wanted pixels: `rows.first rows.step rows.count`, the same of columns and samples; `row_stride` and so on."""


class Reader:
    """What one thread needs to read pages of a table."""

    def __init__(self, table: Table) -> None:
        handle, error = ffi.new("struct lzt_reader **"), ffi.new("struct lzt_error *")
        if lib.lzt_reader_open(table._handle, handle, error) != lib.LZT_OK:
            table._source.fail(error)
        self._handle = handle[0]

    def close(self) -> None:
        """Free the reader."""
        handle, self._handle = self._handle, ffi.NULL
        lib.lzt_reader_close(handle)


class Batch:
    """Chunks to be read. It keeps the arrays alive that it reads into, even when its caller no longer waits."""

    def __init__(self, table: Table, windows: NDArray[np.void], jobs: NDArray[np.void], arrays: object) -> None:
        handle, error = ffi.new("struct lzt_batch **"), ffi.new("struct lzt_error *")
        window_buffer = ffi.from_buffer("struct lzt_window[]", windows)
        job_buffer = ffi.from_buffer("struct lzt_job[]", jobs)
        self._keep = (window_buffer, job_buffer, arrays)
        self._source = table._source
        self._raised: list[BaseException] = []  # by the caller's object, in any thread that works on the batch
        arguments = (table._handle, window_buffer, len(windows), job_buffer, len(jobs), handle, error)
        if lib.lzt_batch_open(*arguments) != lib.LZT_OK:
            self._source.fail(error)
        self._handle = ffi.gc(handle[0], lib.lzt_batch_close)

    def run(self, reader: Reader, milliseconds: int) -> bool:
        """Work for about that long. Return whether work is left; raise the failure of the first chunk that failed."""
        error = ffi.new("struct lzt_error *")
        before, thread.raised = thread.raised, self._raised
        try:
            status = lib.lzt_batch_run(self._handle, reader._handle, milliseconds, error)
        finally:
            thread.raised = before
        if status == lib.LZT_AGAIN:
            return True
        if status == lib.LZT_CALLBACK:  # in this thread or in another: each of them tells
            raise take(self._raised[:1])
        if status not in (lib.LZT_OK, lib.LZT_CANCELLED):
            self._source.fail(error)
        return False

    @property
    def begun(self) -> int:
        """How many chunks somebody has taken by now."""
        return int(lib.lzt_batch_begun(self._handle))

    def cancel(self) -> None:
        """Make every run end soon."""
        lib.lzt_batch_cancel(self._handle)
