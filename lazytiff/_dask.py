"""Arrays of files as dask arrays: the graph holds what opens the files, and no pixels."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from lazytiff import _cuts, _pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lazytiff._array import BaseArray


class Handed:
    """An array that other processes open when they read it, each task in its own thread: dask shares the work already.

    Those that only pass it on, as a scheduler does, need not even have the files.
    """

    def __init__(self, array: BaseArray | None, packed: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._array, self._packed = array, packed
        self.shape, self.dtype = shape, dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read as the array does; opening raises what unpickling the array raises."""
        array = self._array
        if array is None:
            self._array = array = pickle.loads(self._packed)  # noqa: S301  # as dask itself would have done
        with _pool.alone():
            pixels: NDArray[Any] = array[key]
        return pixels

    def __reduce__(self) -> Any:
        """Pickle the array in a piece that is not looked into."""
        return Handed, (None, self._packed or pickle.dumps(self._array), self.shape, self.dtype)


def token(*values: Any) -> Any:
    """Return what values that are the same have in common in any process; for `__dask_tokenize__`, which dask calls."""
    from dask.base import normalize_token  # noqa: PLC0415  # an extra

    return normalize_token(values)


def to_dask(array: BaseArray, chunks: Any) -> Any:
    """Return a dask array of the same elements."""
    import dask  # noqa: PLC0415  # an extra, which takes long to import
    from dask import array as da  # noqa: PLC0415
    from dask.base import tokenize  # noqa: PLC0415
    from dask.utils import parse_bytes  # noqa: PLC0415

    if isinstance(chunks, str) and chunks == "auto":
        chunks = aligned(array, int(parse_bytes(dask.config.get("array.chunk-size"))))
    name = "lazytiff-" + tokenize(array, chunks)
    return da.from_array(Handed(array, b"", array.shape, array.dtype), chunks, name=name, asarray=True)  # type: ignore[no-untyped-call]


def aligned(array: BaseArray, nbytes: int) -> tuple[tuple[int, ...], ...]:
    """Return dask's chunks of whole chunks of the file, of so many bytes at the most."""
    cuts = _cuts.group(array.shape, array._cuts, max(nbytes // array._widest, 1))
    return tuple(
        tuple(map(len, _cuts.spans(cut, size))) if size else (0,) for cut, size in zip(cuts, array.shape, strict=True)
    )
