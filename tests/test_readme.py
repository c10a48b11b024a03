"""What README.md says is true."""

import dataclasses
import doctest
import re
import shutil
from pathlib import Path

import helper
import numpy as np
import pytest
import tifffile

import lazytiff

README = Path(__file__).parents[1] / "README.md"


def write_mri(path):
    """Write a file of the structure of TiffImages.jl's mri.tif."""
    palette = helper.Typed(helper.SHORT, tuple(np.tile(np.arange(256) * 257, 3).tolist()))
    about = {262: 3, 270: "Same data as in mri.mat", 282: 72.0, 283: 72.0, 296: 2, 320: palette}
    volume = helper.pixels((27, 128, 128), np.uint8)
    path.write_bytes(helper.tiff(*(helper.page(p, codec="packbits", rows_per_strip=64, tags=about) for p in volume)))


def write_slide(path):
    """Write three pages of one frame type and three layouts, and a thumbnail."""
    pages = helper.pixels((3, 64, 96), np.uint16)
    path.write_bytes(
        helper.tiff(
            helper.page(pages[0], codec="lzw", tile=(32, 32)),
            helper.page(pages[1]),
            helper.page(pages[2], codec="deflate", predictor=2, rows_per_strip=16),
            helper.page(helper.pixels((16, 24), np.uint8)),
        )
    )


def write_movie(path):
    """Write pages in strips, each behind its IFD."""
    pages = helper.pixels((40, 64, 96), np.uint16)
    path.write_bytes(helper.tiff(*(helper.page(page, rows_per_strip=16) for page in pages), byteorder=">"))


def write_cells(path):
    """Write an ImageJ hyperstack."""
    about = {"axes": "TZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(path, helper.pixels((6, 5, 2, 64, 96), np.uint16), imagej=True, metadata=about)


def write_run(folder):
    """Write files of one page each."""
    folder.mkdir()
    for number, page in enumerate(helper.pixels((12, 64, 96), np.uint16)):
        (folder / f"img_{number}.tif").write_bytes(helper.tiff(helper.page(page)))


def real_mri(path):
    """Take the very file."""
    folder = helper.corpus()
    if folder is None:
        pytest.skip("there is no corpus (LAZYTIFF_CORPUS)")
    shutil.copy(folder / "files" / "tlnagy+exampletiffs" / "mri.tif", path)


@pytest.mark.parametrize("mri", [write_mri, real_mri])
def test_examples(mri, tmp_path, monkeypatch):
    """Every example gives the result that stands below it, with the file of the demonstration and with one like it."""
    monkeypatch.chdir(tmp_path)
    mri(Path("mri.tif"))
    write_slide(Path("slide.tif"))
    write_movie(Path("movie.tif"))
    write_cells(Path("cells.tif"))
    write_run(Path("run"))
    text = "\n".join(re.findall(r"```pycon\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(README), 0)
    reports = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=reports.append)
    assert results.attempted > 20
    assert results.failed == 0, "".join(reports)


def table(heading):
    """Return the rows of the first table below a heading."""
    part = README.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    rows = re.search(r"\|---.*?\n((?:\|.*\n)+)", part).group(1).splitlines()
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows]


def test_errors():
    """The table of errors names every error, and the builtin that it also is."""
    errors = [e for e in vars(lazytiff.errors).values() if isinstance(e, type) and issubclass(e, lazytiff.TiffError)]
    public = [e for e in errors if e is not lazytiff.TiffError and not e.__name__.startswith("_")]
    expected = {e.__name__: next(c for c in e.__mro__ if c.__module__ == "builtins").__name__ for e in public}
    assert {name: builtin for name, builtin, _ in table("Errors")} == expected


def test_limits():
    """The table of limits names every limit."""
    assert [row[0] for row in table("Limits")] == [field.name for field in dataclasses.fields(lazytiff.limits)]
