"""Arrays of files as dask arrays: the graph holds what opens the files, and no pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazytiff import _cuts, _pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lazytiff._array import BaseArray


class OneThread:
    """An array that is read by the thread that asks, and by no other: dask's threads share the work already."""

    def __init__(self, array: BaseArray) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read as the array does."""
        with _pool.alone():
            pixels: NDArray[Any] = self.array[key]
        return pixels


def to_dask(array: BaseArray, chunks: Any) -> Any:
    """Return a dask array of the same elements."""
    import dask  # noqa: PLC0415  # an extra, which takes long to import
    from dask import array as da  # noqa: PLC0415
    from dask.base import tokenize  # noqa: PLC0415
    from dask.utils import parse_bytes  # noqa: PLC0415

    if isinstance(chunks, str) and chunks == "auto":
        chunks = aligned(array, int(parse_bytes(dask.config.get("array.chunk-size"))))
    name = "lazytiff-" + tokenize(array, chunks)
    return da.from_array(OneThread(array), chunks, name=name, asarray=True)  # type: ignore[no-untyped-call]


def aligned(array: BaseArray, nbytes: int) -> tuple[tuple[int, ...], ...]:
    """Return dask's chunks of whole chunks of the file, of so many bytes at the most."""
    cuts = _cuts.group(array.shape, array._cuts, max(nbytes // array._widest, 1))
    return tuple(
        tuple(map(len, _cuts.spans(cut, size))) if size else (0,) for cut, size in zip(cuts, array.shape, strict=True)
    )
