"""Files to measure with: the same bytes on every machine, each written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IFD = np.dtype(
    [
        ("count", "<u2"),
        ("tags", [("tag", "<u2"), ("type", "<u2"), ("count", "<u4"), ("value", "<u4")], 9),
        ("next", "<u4"),
    ]
)
SHORT, LONG = 3, 4
BLOCK = 1 << 14  # pages that are written at a time


def many_pages(path: Path, count: int, side: int, gap: int = 0, dtype: str = "u1") -> None:
    """Write a classic TIFF of count uncompressed pages of side x side pixels, each right behind its IFD; then a gap."""
    page = np.dtype({"names": ["ifd", "pixels"], "formats": [IFD, (dtype, (side, side))], "offsets": [0, 116]})
    item = np.dtype(dtype).itemsize
    header, stride = 8, page.itemsize + gap
    with path.open("wb") as file:
        file.write(b"II*\0" + header.to_bytes(4, "little"))
        for first in range(0, count, BLOCK):
            numbers = np.arange(first, min(first + BLOCK, count))
            offsets = header + numbers * stride
            pages = np.zeros(len(numbers), page)
            pages["ifd"]["count"] = 9
            for at, (tag, kind, value) in enumerate(
                [
                    (256, LONG, side),  # ImageWidth
                    (257, LONG, side),  # ImageLength
                    (258, SHORT, 8 * item),  # BitsPerSample
                    (259, SHORT, 1),  # Compression: none
                    (262, SHORT, 1),  # PhotometricInterpretation: 0 is black
                    (273, LONG, offsets + page.fields["pixels"][1]),  # StripOffsets
                    (277, SHORT, 1),  # SamplesPerPixel
                    (278, LONG, side),  # RowsPerStrip
                    (279, LONG, side * side * item),  # StripByteCounts
                ]
            ):
                fields = pages["ifd"]["tags"][:, at]
                fields["tag"], fields["type"], fields["count"], fields["value"] = tag, kind, 1, value
            pages["ifd"]["next"] = np.where(numbers + 1 < count, offsets + stride, 0)
            pages["pixels"] = (numbers[:, None, None] * 7 + np.arange(side * side).reshape(side, side)) % 251
            for offset, record in zip(offsets.tolist(), pages, strict=True):
                file.seek(offset)  # the system stores no gaps
                file.write(record.tobytes())


def microscope(
    path: Path, compression: str | None, *, predictor: bool = False, count: int = 50, rounds: int = 1
) -> None:
    """Write pages of 1024 x 1024 uint16: soft bright spots that drift, with the noise of counted photons.

    count: of different pages, which are written again in each of the rounds.
    """
    import tifffile  # noqa: PLC0415  # so that a process that measures without it does not pay for it

    pages = _spots(count, 1024)
    tifffile.imwrite(
        path,
        (page for _ in range(rounds) for page in pages),
        shape=(rounds * count, *pages.shape[1:]),
        dtype=pages.dtype,
        compression=compression,
        predictor=predictor,
        photometric="minisblack",
        metadata=None,
    )


def _spots(count: int, side: int) -> NDArray[np.uint16]:
    random = np.random.default_rng(20240229)
    rows, columns = np.ogrid[:side, :side]
    scene: NDArray[Any] = np.full((side, side), 100.0)
    for row, column, radius, light in random.uniform((0, 0, 4, 50), (side, side, 40, 2000), (60, 4)):
        scene += light * np.exp(-((rows - row) ** 2) / radius**2) * np.exp(-((columns - column) ** 2) / radius**2)
    return np.stack([random.poisson(np.roll(scene, 3 * page, axis=1)).astype(np.uint16) for page in range(count)])
