"""The main jobs of lazytiff on real data: write a stack page by page while others read it, and look into it lazily.

    ./dev demo         the MRI volume that the nibabel package ships
    ./dev demo FILE    a TIFF file of yours, which is only looked at

The pictures go to the folder demo-output in the current directory.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

import lazytiff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[Any]

OUTPUT = Path("demo-output")
LONGEST_SIDE = 2048  # of a picture; of larger pages only every second, third, ... row and column is taken
PART = 32  # rows and columns
BLOCK_BYTES = 32 << 20  # of pages that are projected at a time: enough for all CPUs to have work
MIN_IS_WHITE, RGB, PALETTE, CMYK, YCBCR = 0, 2, 3, 5, 6  # PhotometricInterpretation


def main() -> None:
    """Show what it takes to look into a TIFF stack."""
    warnings.showwarning = lambda message, *_: print("warning:", message)
    if sys.argv[1:2] == ["--follow"]:
        follow(sys.argv[2])
        return
    try:
        OUTPUT.mkdir(exist_ok=True)
        with CountedFile(Path(sys.argv[1]) if len(sys.argv) > 1 else write_mri()) as file:
            show(file)
    except (lazytiff.TiffError, OSError, MemoryError) as error:
        sys.exit(f"lazytiff: {error}")


def write_mri() -> Path:
    """Write nibabel's example volume as a TIFF file: a page for each axial slice, front of the head up."""
    import nibabel as nib  # noqa: PLC0415  # not needed for a FILE of the user's

    source = Path(nib.__file__).parent / "tests/data/example4d.nii.gz"
    volume = np.asarray(nib.load(source).dataobj)[..., 0]  # (left, front, up) of the first time point
    path = OUTPUT / "mri.tif"
    path.unlink(missing_ok=True)
    print(f"A real MRI volume, {source.name} of the nibabel package, goes to {path.absolute()},")
    print("page by page, as from a microscope; another process follows the file meanwhile.\n")
    stream(path, volume[:, ::-1].T.astype(np.uint16), f"{source.name}, {len(volume.T)} axial slices")
    return path


def stream(path: Path, slices: NDArray[np.uint16], description: str) -> None:
    """Append the slices, and print when the process that follows the file has each of them."""
    command = [sys.executable, __file__, "--follow", str(path)]
    print(f"{'page':>6}{'appended in':>16}{'seen elsewhere after':>24}{'its maximum':>16}")
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower,  # noqa: S603  # this very program
        lazytiff.empty(path, slices.dtype, compression="deflate", predictor=True, description=description) as out,
    ):
        for page in slices:
            start = time.perf_counter()
            number = out.append(page)
            appended = time.perf_counter()
            seen, maximum = map(int, follower.stdout.readline().split())
            now = time.perf_counter()
            if (seen, maximum) != (number, page.max()):
                sys.exit(f"page {number} with maximum {page.max()} was seen as page {seen} with maximum {maximum}")
            print(f"{number:>6}{1e3 * (appended - start):>13.2f} ms{1e3 * (now - appended):>21.1f} ms{maximum:>16}")
        print(f"\n{out}\n")


def follow(path: str) -> None:
    """Print the number and the maximum of each page that comes, as the second process; end with the writer."""
    for number, page in enumerate(lazytiff.follow(path, poll=0.005)):
        print(number, page.max(), flush=True)


class CountedFile:
    """A file that counts the bytes that are read from it. Plain code gives lazytiff.open a path instead."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.bytes_read = 0
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()  # the file has one position
        self.size = self._file.seek(0, 2)

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Do what lazytiff asks of a source of bytes."""
        with self._lock:
            parts = [self._read(offset, length) for offset, length in ranges]
            self.bytes_read += sum(map(len, parts))
        return parts

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Report:
    """A table with a line for each step: what it read, decoded and kept."""

    def __init__(self, file: CountedFile) -> None:
        self.array: lazytiff.LazyTiff | None = None  # once it is open
        self._file = file
        self._lines = [f"{'':34}{'from the file':>14}{'chunks':>10}{'kept':>12}{'time':>12}"]

    def step(self, name: str, job: Callable[[], Any]) -> Any:
        """Do job and note what it cost."""
        read, chunks, _ = self._state()
        start = time.perf_counter()
        result = job()
        milliseconds = 1e3 * (time.perf_counter() - start)
        read_now, chunks_now, kept = self._state()
        self._lines.append(
            f"{name:34}{size(read_now - read):>14}{chunks_now - chunks:>10}{size(kept):>12}{milliseconds:>9.1f} ms"
        )
        return result

    def _state(self) -> tuple[int, int, int]:
        cache = self.array.cache_info() if self.array is not None else None
        return self._file.bytes_read, cache.decoded if cache else 0, cache.currsize if cache else 0

    def __str__(self) -> str:
        return "\n".join(self._lines)


def show(file: CountedFile) -> None:
    """Open the file, read some of it, save what was read as pictures and tell what that took."""
    report = Report(file)
    report.array = img = report.step("open", lambda: open_stack(file))
    print(img.explain())
    with suppress(lazytiff.TiffError):  # a description that makes no sense is no reason not to look at the pixels
        print("axes:", ", ".join(f"{axis} {size}" for axis, size in img.sizes.items()))
    middle, every = len(img) // 2, -(-max(img.shape[1:3]) // LONGEST_SIDE)
    steps = f", ::{every}, ::{every}" if every > 1 else ""
    page = report.step(f"one page, img[{middle}{steps}]", lambda: img[middle, ::every, ::every])
    part = (middle, *(slice(length // 4, length // 4 + PART) for length in img.shape[1:3]))
    for name in ("a small part of it", "the same once more"):
        report.step(name, lambda: img[part])
    pictures = {f"page-{middle}": page}
    if len(img) > 1:
        count, maximum = report.step(f"maximum over {len(img)} pages", lambda: project(img, every))
        pictures[f"maximum-of-{count}-pages"] = maximum
    print(f"\n{report}\n")
    for name, pixels in pictures.items():
        path = OUTPUT / f"{Path(file.name).stem}-{name}.png"
        picture(pixels, img.tags).save(path)
        print("saved", path.absolute())


def open_stack(file: CountedFile) -> lazytiff.LazyTiff:
    """Open all pages as one array; of a file with several types of page the largest stack."""
    try:
        return lazytiff.open(file, squeeze=False, codecs="all")
    except lazytiff.FrameTypeError as error:
        stacks = lazytiff.TiffFile(file, codecs="all").stacks
        largest = max(stacks, key=lambda stack: stack.nbytes)
        print(f"{error}\n\nlazytiff.TiffFile({file.name!r}).stacks:")
        print(*(f"{'*' if stack is largest else ' '} {stack}" for stack in stacks), "* is shown here:\n", sep="\n")
        return largest


def project(img: lazytiff.LazyTiff, every: int) -> tuple[int, Pixels]:
    """Return the maximum of the pages, some of them in memory at a time, and of how many: Ctrl-C ends it early."""
    maximum, done = brightness(img[0, ::every, ::every]), 1
    some = max(1, BLOCK_BYTES // maximum.nbytes)
    try:
        while done < len(img):
            block = brightness(img[done : done + some, ::every, ::every])
            maximum, done = np.maximum(maximum, block.max(axis=0)), done + len(block)
            progress(f"{done} of {len(img)} pages; Ctrl-C shows what is done")
    except KeyboardInterrupt:
        pass
    progress("")
    return done, maximum


def progress(text: str) -> None:
    """Show text in place of the last one, if somebody is looking."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def brightness(pixels: Pixels) -> Pixels:
    """Return pixels that can be compared: of complex numbers the magnitude."""
    return np.abs(pixels) if np.iscomplexobj(pixels) else pixels


def picture(pixels: Pixels, tags: Any) -> Image.Image:
    """Return something to look at: colours where there are any, otherwise the first sample in gray."""
    kind = tags.get("PhotometricInterpretation", 1)
    if kind == PALETTE and "ColorMap" in tags and pixels.ndim == 2:  # noqa: PLR2004
        colours = np.array(tags["ColorMap"], np.uint16).reshape(3, -1).T
        return Image.fromarray(to_8_bits(colours[np.minimum(pixels, len(colours) - 1)]))
    if kind == CMYK and pixels.shape[2:] == (4,):
        return Image.fromarray(to_8_bits(pixels), "CMYK").convert("RGB")
    coloured = kind == RGB or (kind == YCBCR and tags.get("PlanarConfiguration", 1) == 1)
    if coloured and pixels.shape[2:] >= (3,):
        return Image.fromarray(to_8_bits(pixels[..., :3]))
    gray = to_8_bits(pixels[..., 0] if pixels.ndim > 2 else pixels)  # noqa: PLR2004
    return Image.fromarray(255 - gray if kind == MIN_IS_WHITE else gray)


def to_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Stretch the contrast: all but the darkest and the brightest half percent go to 0 ... 255."""
    values = brightness(pixels).astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0, 1)
    if low == high and finite.size:
        low, high = finite.min(), finite.max()
    with np.errstate(invalid="ignore"):  # signalling NaNs
        stretched = np.clip((values - low) / ((high - low) or 1), 0, 1)
    return np.nan_to_num(255 * stretched).astype(np.uint8)


def size(count: int) -> str:
    """Say a number of bytes so that it can be read."""
    power = min(max(count.bit_length() - 1, 0) // 10, 4)
    return f"{count / (1 << 10 * power):.{bool(power):d}f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


if __name__ == "__main__":
    main()
