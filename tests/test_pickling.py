"""Arrays that are pickled: in this process and in others they are what they were, of the same file or of none."""

from __future__ import annotations

import concurrent.futures
import copy
import io
import multiprocessing
import operator
import os
import pickle
import subprocess
import sys

import helper
import numpy as np
import pytest
import tifffile
from helper import assert_same
from test_described import Set, ome_xml, tiff_data
from test_levels import FULL, HALVES, QUARTERS, chained, pyramids, reduced, with_below
from test_micromanager import two_parts

import lazytiff

PIXELS = helper.pixels((6, 20, 30), "u2")


def pickled(array):
    """Return the array as it arrives in another process."""
    return pickle.loads(pickle.dumps(array))  # noqa: S301  # our own


WAYS = [pickled, copy.copy, copy.deepcopy]


def write(path, pixels=PIXELS, **options):
    """Write pages without lazytiff, and return the path."""
    pages = [helper.page(page, **({"codec": "deflate"} | options)) for page in pixels]
    path.write_bytes(helper.tiff(*pages))
    return path


@pytest.fixture
def path(tmp_path):
    """Return the path of a stack of six compressed pages."""
    return write(tmp_path / "stack.tif")


def imagej(folder):
    """Write a hyperstack of uncompressed pages; return path and pixels."""
    pixels = PIXELS.reshape(2, 3, 20, 30)
    tifffile.imwrite(folder / "named.tif", pixels, imagej=True, metadata={"axes": "TZYX"})
    return folder / "named.tif", pixels


def many(folder, count=4):
    """Write files of one page; return a pattern."""
    for number in range(count):
        write(folder / f"img_{number}.tif", PIXELS[number : number + 1])
    return str(folder / "img_*.tif")


# ---- the same array again


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"squeeze": False, "pages": 3},
        {"pages": 3},
        {"pages": [4, 0, 0, 2]},
        {"pages": slice(None, None, -2)},
        {"workers": 1, "cache_bytes": 1000, "codecs": ["deflate", "none"]},
    ],
    ids=str,
)
def test_lazy(path, options, way):
    """A LazyTiff comes back with its pages and options; each has a handle of its own."""
    with lazytiff.open(path, **options) as img, way(img) as again:
        assert type(again) is lazytiff.LazyTiff
        assert again.path == img.path == str(path)
        assert again._file.settings == img._file.settings
        assert_same(again[...], img[...])
        img.close()
        assert again.tags["ImageWidth"] == 30
        assert not again.closed


@pytest.mark.parametrize("way", WAYS)
def test_page(path, way):
    """A page comes back by itself."""
    with lazytiff.open(path) as img, way(img.pages[4]) as page:
        assert (type(page), page.number, page.compression) == (lazytiff.TiffPage, 4, "deflate")
        assert_same(page[...], PIXELS[4])


def test_unreadable_page(path):
    """A page that cannot be read is one afterwards, too, and still has its tags."""
    path.write_bytes(helper.tiff(helper.page(PIXELS[0]), helper.page(PIXELS[1], tags={259: 9})))
    with lazytiff.TiffFile(path) as tif, pickled(tif.pages[1]) as page:
        assert page.tags["Compression"] == 9
        with pytest.raises(lazytiff.UnsupportedTiffError):
            page[...]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", [pyramids, chained])
def test_levels(tmp_path, made, way):
    """A level comes back as the level of its array, with its own levels; it has a handle of its own."""
    (tmp_path / "levels.tif").write_bytes(made())
    pages = None if made is pyramids else slice(0, None, 3)
    for number, pixels in enumerate([FULL, HALVES, QUARTERS]):
        with lazytiff.open(tmp_path / "levels.tif", pages=pages) as img, way(img.levels[number]) as level:
            img.close()
            assert_same(level.copy(), pixels)
            assert [found.shape for found in level.levels] == [(3, 32, 48), (3, 16, 24), (3, 8, 12)][number:]
            assert level.refresh() == 0


def test_level_of_one_page(tmp_path):
    """The levels of an array without a page axis have none."""
    (tmp_path / "levels.tif").write_bytes(pyramids())
    with lazytiff.open(tmp_path / "levels.tif", pages=1) as img, pickled(img.levels[1]) as level:
        assert_same(level.copy(), HALVES[1])


@pytest.mark.parametrize("way", WAYS)
def test_stacks(tmp_path, way):
    """The stacks and pages of a TiffFile come back without it."""
    mixed = [helper.page(PIXELS[0]), helper.page(PIXELS[1, :5]), helper.page(PIXELS[2])]
    (tmp_path / "mixed.tif").write_bytes(helper.tiff(*mixed))
    with lazytiff.TiffFile(tmp_path / "mixed.tif") as tif, way(tif.stacks[0]) as whole, way(tif.pages[1]) as part:
        assert_same(whole.copy(), PIXELS[[0, 2]])
        assert_same(part.copy(), PIXELS[1, :5])
        assert whole.refresh() == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", [{}, {"mmap": True}, {"mmap": True, "mode": "r+"}], ids=str)
def test_hyperstack(tmp_path, options, way):
    """A hyperstack comes back with its axes, over an array of the same kind and mode with a handle of its own."""
    path, pixels = imagej(tmp_path)
    with lazytiff.open(path, **options) as img:
        again = way(img.hyperstack)
        assert (again.axes, again.sizes, again.resolution) == ("TZYX", img.hyperstack.sizes, img.resolution)
        assert (type(again.base), again.base.mode) == (type(img), img.mode)
    with again.base:
        assert np.array_equal(again, pixels)


@pytest.fixture
def one_plane(tmp_path):
    """Return the path of a file whose first page is one of two planes, and has a level; another page follows."""
    where = tiff_data(0, {"Z": 0}) + tiff_data(7, {"Z": 1})
    page = with_below(FULL[0, :8, :9], reduced(FULL[0, :4, :5]), tags={270: ome_xml({"Z": 2}, "XYCZT", where)})
    (tmp_path / "one.ome.tif").write_bytes(helper.tiff(page, helper.page(FULL[1])))
    return tmp_path / "one.ome.tif"


@pytest.mark.parametrize("level", [0, 1])
def test_missing_planes(one_plane, level):
    """A hyperstack that lacks planes says which and why, as before; filled, it is filled with the same."""
    with lazytiff.open(one_plane, pages=0) as img:
        hyper = img.levels[level].hyperstack
        assert hyper.axes == "ZYX"
        again, filled = pickled(hyper), pickled(hyper.filled(7))
        with again.base, filled.base:
            assert_same(filled.copy(), hyper.filled(7).copy())
            with pytest.raises(lazytiff.MissingPlaneError) as expected:
                hyper[1]
            with pytest.raises(lazytiff.MissingPlaneError) as error:
                again[1]
            assert str(error.value) == str(expected.value)
            assert again.base.refresh() == hyper.base.refresh() == 0


@pytest.mark.parametrize("way", WAYS)
def test_sets(tmp_path, way):
    """The hyperstack of a set of files comes back, of OME-TIFF and of Micro-Manager, though nobody has its array."""
    made = Set(tmp_path)
    (tmp_path / "mm").mkdir()
    other, pixels = two_parts(tmp_path / "mm")
    for path, expected in ((tmp_path / made.names[1], made.pixels), (other, pixels)):
        again = way(lazytiff.open(path).hyperstack)
        assert_same(again.copy(), expected)
        again.base.close()
        with lazytiff.TiffFile(path) as tif:
            again = way(tif.images[0])
        assert_same(again.copy(), expected)
        again.base.close()


def test_grown_file_of_a_set(tmp_path):
    """A file of a set may have more pages than the set's description tells of, as before."""
    made = Set(tmp_path)
    data = pickle.dumps(lazytiff.open(tmp_path / made.names[0]).hyperstack)
    tifffile.imwrite(tmp_path / made.names[2], made.pixels[0, 0], append="force", metadata=None)
    again = pickle.loads(data)  # noqa: S301  # our own
    with again.base:
        assert_same(again.copy(), made.pixels)


def test_exchanged_files_of_a_set(tmp_path):
    """A file of a set that took another one's name is told by its UUID, where it was not looked at before."""
    made = Set(tmp_path)
    data = pickle.dumps(lazytiff.open(tmp_path / made.names[0]).hyperstack)
    os.replace(tmp_path / made.names[2], tmp_path / made.names[1])
    again = pickle.loads(data)  # noqa: S301  # our own
    with again.base, pytest.raises(lazytiff.CorruptTiffError, match="another file of that name"):
        again[1]


@pytest.mark.parametrize("way", WAYS)
def test_joined(path, tmp_path, way):
    """Joined arrays come back as they were joined, whatever their parts are; an array that occurs twice is one."""
    pattern = many(tmp_path, 6)
    with lazytiff.open(path) as img, lazytiff.open(pattern) as files:
        for joined in (lazytiff.concatenate([img, files, img]), lazytiff.stack([img, files], axis=1)):
            again = way(joined)
            assert (again.axes, again.chunk_shape) == (joined.axes, joined.chunk_shape)
            assert_same(again.copy(), joined.copy())
            assert again.base[0] is again.base[-1] or len(again.base) == 2
            if way is not copy.copy:  # which takes the parts as they are
                for part in again.base:
                    part.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("check", [False, True])
def test_many_files(tmp_path, check, way):
    """Many files come back with their numbers of pages and options, and none but the first one is opened."""
    pattern = many(tmp_path)
    if check:
        write(tmp_path / "img_0.tif", PIXELS[4:])
    with lazytiff.open(pattern, check=check, workers=1, cache_bytes=5000, codecs="deflate") as img:
        img[-1]
        with way(img) as again:
            assert (again.paths, again.shape) == (img.paths, img.shape)
            assert again._shelf.cache_bytes == again.cache_info().maxsize == 5000
            assert (again._shelf.workers, again._shelf.codecs) == (1, "deflate")
            assert list(again._known) == list(img._known)
            assert not again._shelf._open
            assert_same(again.copy(), img.copy())
            with way(img.pages[-1]) as page:
                assert page._file.settings["cache_bytes"] == 5000
                assert_same(page.copy(), PIXELS[3])


def test_names_that_are_no_text(tmp_path):
    """A path may be of bytes that are no text."""
    name = os.fsencode(tmp_path) + b"/\xff.tif"
    try:
        with open(name, "wb") as file:
            file.write(helper.tiff(helper.page(PIXELS[0])))
    except OSError:
        pytest.skip("this file system has names of text only")
    with lazytiff.open(name) as img, pickled(img) as again:
        assert_same(again.copy(), PIXELS[0])


def test_small(tmp_path):
    """However many pages there are, and every second one is chosen: an array pickles in less than a kilobyte."""
    lazytiff.save(tmp_path / "long.tif", np.zeros((5000, 2, 2), "u1"))
    path = tmp_path / "long.tif"
    with lazytiff.TiffFile(path) as tif, lazytiff.open(path, pages=slice(1, None, 2)) as half:
        assert len(half) == 2500
        assert max(len(pickle.dumps(array)) for array in (half, tif.stacks[0], tif.pages[77])) < 1000


# ---- the file in the meantime


def kinds(path):
    """Yield an array of each kind over one file."""
    with lazytiff.open(path) as img, lazytiff.open(path, mmap=True) as mapped, lazytiff.open([path, path]) as files:
        yield from (img, mapped, files, img.pages[2], img.hyperstack, lazytiff.concatenate([img, img]))


def shorter(path):
    """Cut the last byte."""
    os.truncate(path, os.path.getsize(path) - 1)


def without_a_page(path):
    """Write another file, with the first of the pages."""
    tifffile.imwrite(path, PIXELS[:-1].reshape(1, 5, 20, 30), imagej=True, metadata={"axes": "TZYX"})


def of_other_pages(path):
    """Write another file."""
    write(path, PIXELS[:, 1:])


def no_tiff(path):
    """Write a text."""
    path.write_text("no TIFF file")


def empty(path):
    """Leave nothing."""
    path.write_bytes(b"")


@pytest.mark.parametrize("change", [shorter, without_a_page, of_other_pages, no_tiff, empty])
def test_other_file(tmp_path, change):
    """A file that was cut or replaced is FileChangedError, whatever the array was, and stays closed."""
    path, _ = imagej(tmp_path)
    data = [pickle.dumps(array) for array in kinds(path)]
    change(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for array in data:
        with pytest.raises(lazytiff.FileChangedError, match=r"named\.tif.*another"):
            pickle.loads(array)  # noqa: S301  # our own
    assert before is None or len(os.listdir("/proc/self/fd")) == before


def test_cut_chain(path):
    """A file whose chain of pages ends early is another one, though the array's own pages are there."""
    with lazytiff.open(path, pages=[0, 1]) as img:
        data, ifds = pickle.dumps(img), img._file.table.ifds()
    bytes_ = bytearray(path.read_bytes())
    entries = int.from_bytes(bytes_[ifds[3] : ifds[3] + 2], "little")
    link = int(ifds[3]) + 2 + 12 * entries
    bytes_[link : link + 4] = bytes(4)
    path.write_bytes(bytes_)
    with pytest.raises(lazytiff.FileChangedError, match="it has 4 pages, and had 6"):
        pickle.loads(data)  # noqa: S301  # our own


def test_other_pages_between(path):
    """A page between the first and the last that became one of another type is noticed when the file is opened."""
    with lazytiff.open(path) as img:
        data, ifds = pickle.dumps(img), img._file.table.ifds()
    with open(path, "r+b") as file:
        file.seek(int(ifds[2]) + 2 + 8)
        file.write((29).to_bytes(4, "little"))  # columns
    with pytest.raises(lazytiff.FileChangedError, match="page 2 is 20 x 29"):
        pickle.loads(data)  # noqa: S301  # our own


def test_other_tags(path):
    """A file whose pages differ in a tag from those that were there is another one."""
    write(path, tags={296: 2})
    with lazytiff.open(path) as img:
        data = pickle.dumps(img)
    write(path, tags={296: 3})
    with pytest.raises(lazytiff.FileChangedError, match="page 0 is not"):
        pickle.loads(data)  # noqa: S301  # our own


def test_bigtiff_that_is_none_of_ours(path):
    """A BigTIFF file in the place of a classic one, though of the same pixels, is not that one grown."""
    with lazytiff.open(path) as img:
        data = pickle.dumps(img)
    path.write_bytes(helper.tiff(*[helper.page(page, codec="deflate") for page in PIXELS], big=True))
    with pytest.raises(lazytiff.FileChangedError, match="page 0 is not"):
        pickle.loads(data)  # noqa: S301  # our own


def test_no_file(tmp_path):
    """A file that is gone is FileNotFoundError."""
    path, _ = imagej(tmp_path)
    data = [pickle.dumps(array) for array in kinds(path)]
    path.unlink()
    for array in data:
        with pytest.raises(FileNotFoundError, match=r"named\.tif"):
            pickle.loads(array)  # noqa: S301  # our own


def test_renamed_file(path):
    """A file is found again by its name: what took its place is another one, even if it can still be read here."""
    with lazytiff.open(path) as img:
        os.replace(path, path.with_name("other.tif"))
        write(path, PIXELS[::-1])
        assert_same(img[...], PIXELS)
        with pytest.raises(lazytiff.FileChangedError):
            pickled(img)


@pytest.mark.parametrize("kind", ["plain", "mmap", "pages", "hyperstack"])
def test_grown(tmp_path, kind):
    """A file that has grown comes back with the pages that it had; it takes in the others when it is refreshed."""
    path, pixels = tmp_path / "grows.tif", PIXELS.reshape(3, 2, 20, 30)
    with lazytiff.empty(path, "u2", imagej=True, metadata={"axes": "TZ", "sizes": {"Z": 2}}) as out:
        out.extend(PIXELS[:4])
        options = {"mmap": {"mmap": True}, "pages": {"pages": slice(1, None)}}
        with lazytiff.open(path, **options.get(kind, {})) as img:
            data = pickle.dumps(img.hyperstack if kind == "hyperstack" else img)
        out.extend(PIXELS[4:])
        again = pickle.loads(data)  # noqa: S301  # our own
    if kind == "hyperstack":
        with again.base:
            assert_same(again.copy(), pixels[:2])
        return
    first = 1 if kind == "pages" else 0
    with again:
        assert_same(again.copy(), PIXELS[first:4])
        assert again.refresh() == 2
        assert_same(again.copy(), PIXELS[first:])


@pytest.mark.parametrize("options", [{}, {"metadata": {"axes": "T"}, "imagej": True}], ids=str)
def test_grown_by_a_copied_ifd(tmp_path, options):
    """IFDs that a writer had to copy, as it could not change links or the description in place, are the same pages."""
    for shift in range(0, 64, 2):  # somewhere the link lies across a line of the cache
        path = tmp_path / f"{shift}.tif"
        path.write_bytes(helper.tiff(*[helper.page(page, tags={315: "a" * (5 + shift)}) for page in PIXELS[:2]]))
        with lazytiff.open(path) as img:
            data = pickle.dumps(img)
        with lazytiff.open(path, "a", **options) as out:
            out.append(PIXELS[2])
        with pickle.loads(data) as img:  # noqa: S301  # our own
            assert_same(img.copy(), PIXELS[:2])


def test_promoted(sparse_path):
    """A classic file that became a BigTIFF file when it grew is the same one."""
    pixels = PIXELS[:3].astype("u1")
    with lazytiff.empty(sparse_path, "u1") as out:
        out.extend(pixels[:2])
        with lazytiff.open(sparse_path) as img:
            assert not img._file.table.bigtiff
            data = pickle.dumps(img)
    os.truncate(sparse_path, (4 << 30) - 100)  # with a hole
    with lazytiff.open(sparse_path, "a") as out:
        out.append(pixels[2])
    with pickle.loads(data) as img:  # noqa: S301  # our own
        assert img._file.table.bigtiff
        assert_same(img.copy(), pixels[:2])


def test_changed_files_among_many(tmp_path):
    """Of many files, one that was looked at and became another one is FileChangedError when it is touched."""
    with lazytiff.open(many(tmp_path)) as img:
        img[2]
        data = pickle.dumps(img)
    for change, error in ((of_other_pages, lazytiff.FrameTypeError), (no_tiff, lazytiff.NotTiffError)):
        change(tmp_path / "img_2.tif")
        change(tmp_path / "img_3.tif")
        with pickle.loads(data) as img:  # noqa: S301  # our own
            assert_same(img[:2], PIXELS[:2])
            with pytest.raises(lazytiff.FileChangedError, match=r"img_2\.tif.*another"):
                img[2]
            with pytest.raises(error, match=r"img_3\.tif"):
                img[3]
    for change in (of_other_pages, no_tiff):
        change(tmp_path / "img_0.tif")
        with pytest.raises(lazytiff.FileChangedError, match=r"img_0\.tif.*another"):
            pickle.loads(data)  # noqa: S301  # our own


def test_grown_file_among_many(tmp_path):
    """Of many files, one that was looked at and has grown since has the pages that it had."""
    with lazytiff.open(many(tmp_path)) as img:
        img[2]
        data = pickle.dumps(img)
    with lazytiff.open(tmp_path / "img_2.tif", "a") as out:
        out.append(PIXELS[5])
    with pickle.loads(data) as img:  # noqa: S301  # our own
        assert_same(img.copy(), PIXELS[:4])


def test_changed_level(tmp_path):
    """A level that is not there any more, though the pages are, is FileChangedError."""
    path = tmp_path / "levels.tif"
    path.write_bytes(pyramids())
    with lazytiff.open(path) as img:
        data, ifd = pickle.dumps(img.levels[2]), int(img.levels[2]._file.table.ifds()[3])
    with open(path, "r+b") as file:
        file.seek(ifd)
        file.write(bytes(2))
    with pytest.raises(lazytiff.FileChangedError, match="no level of 8 x 12"), pytest.warns(lazytiff.TiffWarning):
        pickle.loads(data)  # noqa: S301  # our own


def test_other_level(tmp_path):
    """A level of the same size that is another one is FileChangedError, though the pages are the same."""
    path = tmp_path / "levels.tif"
    for unit in (2, 3):
        path.write_bytes(helper.tiff(with_below(FULL[0], helper.page(HALVES[0], tags={254: 1, 296: unit}))))
        if unit == 2:
            with lazytiff.open(path) as img:
                data = pickle.dumps(img.levels[1])
    with pytest.raises(lazytiff.FileChangedError, match="no level of 16 x 24 any more, or another one"):
        pickle.loads(data)  # noqa: S301  # our own


# ---- what cannot be pickled


@pytest.mark.parametrize("kind", [bytes, io.BytesIO])
def test_in_memory(path, kind):
    """Bytes that are in no file stay in their process, with all arrays of theirs."""
    with lazytiff.open(kind(path.read_bytes())) as img:
        for array in (img, img.pages[0], lazytiff.concatenate([img, img])):
            with pytest.raises(TypeError, match=r"what is no file cannot be pickled.*send its bytes"):
                pickle.dumps(array)
            with pytest.raises(TypeError, match="what is no file cannot be pickled"):
                copy.deepcopy(array)


def test_subpages(tmp_path):
    """Pages that SubIFDs list are no pages of the file, and have no number there."""
    (tmp_path / "levels.tif").write_bytes(pyramids())
    with lazytiff.open(tmp_path / "levels.tif") as img:
        for page in (img.pages[0].subpages[0], img.levels[1].pages[0]):
            with pytest.raises(TypeError, match="pickle the page that lists them, or the array whose `levels`"):
                pickle.dumps(page)


def test_closed(tmp_path):
    """What was closed is not pickled, nor what reads from it."""
    path, _ = imagej(tmp_path)
    for array in kinds(path):  # which closes them at its end
        kept = [array]
    with lazytiff.open(path) as img, lazytiff.open([path, path]) as files, lazytiff.open(path, mmap=True) as mapped:
        kept += [img, files, mapped, img.pages[0], img.hyperstack]
    for array in kept:
        with pytest.raises(lazytiff.ClosedError, match="open it again"):
            pickle.dumps(array)


def test_writer(path):
    """A writer stays in its process, with its hyperstack; its pages are those of the file."""
    with lazytiff.open(path, "a") as out:
        for array in (out, lazytiff.concatenate([out, out])):
            with pytest.raises(TypeError, match=r"cannot be pickled; open .*stack\.tif for reading"):
                pickle.dumps(array)
        with pickled(out.pages[2]) as page:
            assert_same(page.copy(), PIXELS[2])


# ---- other processes


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """Return an executor with a process that was started anew, in another current folder."""
    other = tmp_path_factory.mktemp("other")
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn, os.chdir, (other,)) as executor:
        yield lambda function, *arguments: executor.submit(function, *arguments).result(120)


def test_spawned_process(tmp_path, monkeypatch, worker):
    """Each kind of array reads in another process what it reads here, though it was opened by a relative path."""
    imagej(tmp_path)
    (tmp_path / "levels.tif").write_bytes(pyramids())
    monkeypatch.chdir(tmp_path)
    for array in kinds("named.tif"):
        assert_same(worker(np.array, array), np.array(array))
        assert worker(operator.methodcaller("_identity"), array) == array._identity()
    with lazytiff.open("levels.tif") as img:
        assert_same(worker(np.array, img.levels[1]), HALVES)
        assert worker(operator.methodcaller("_identity"), img.levels[1]) == img.levels[1]._identity()
        os.unlink("levels.tif")
        with pytest.raises(FileNotFoundError, match=r"levels\.tif"):
            worker(pickle.loads, pickle.dumps(img))


def test_pickled_there(path, worker):
    """An array that another process opened comes from there."""
    with worker(lazytiff.open, path) as img:
        assert_same(img.copy(), PIXELS)


PROGRAM = """
import concurrent.futures, multiprocessing, operator, sys, warnings
import numpy as np
import lazytiff

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # CPython 3.12 warns of every fork of a process with threads
    context = multiprocessing.get_context(sys.argv[2])
    with lazytiff.open(sys.argv[1]) as img, lazytiff.open([sys.argv[1]] * 3) as files:
        assert img[...].any() and files[...].any()  # by threads, which a forked process does not have
        arrays = [img, files, img.pages[3], img.hyperstack]
        expected = [array.copy() for array in arrays]
        with context.Pool(2) as pool:
            assert all(map(np.array_equal, pool.map(np.array, arrays), expected))
        with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
            assert all(map(np.array_equal, pool.map(np.array, arrays), expected))
            rows = pool.map(operator.getitem, [img] * 6, [(page, 7) for page in range(6)])
            assert np.array_equal(list(rows), expected[0][:, 7])
"""


def run(program, path, *arguments):
    """Run a program that must succeed."""
    script = path.with_name("script.py")
    script.write_text(program)
    subprocess.run([sys.executable, "-P", script, path, *arguments], timeout=120, check=True)


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_multiprocessing(tmp_path, method):
    """Arrays go to the processes of a Pool and of a ProcessPoolExecutor, whether forked or started anew."""
    path, _ = imagej(tmp_path)
    run(PROGRAM, path, method)


JOBLIB = """
import sys
import joblib, lazytiff
import numpy as np

if __name__ == "__main__":
    with lazytiff.open(sys.argv[1]) as img:
        arrays = [img, img.pages[2], img.hyperstack]
        found = joblib.Parallel(2)(joblib.delayed(np.array)(array) for array in arrays)
        assert all(map(np.array_equal, found, arrays))
"""


def test_joblib(tmp_path):
    """The processes of joblib, which pickles by cloudpickle, read arrays, pages and hyperstacks."""
    pytest.importorskip("joblib")
    path, _ = imagej(tmp_path)
    run(JOBLIB, path)


# ---- identity


def test_identity(tmp_path):
    """Two arrays of the same unchanged file have the same plain values; other pages or another shape have others."""
    path, _ = imagej(tmp_path)
    first, second = ([array._identity() for array in kinds(path)] for _ in range(2))
    assert first == second
    with (
        lazytiff.open(path, workers=1) as img,
        lazytiff.open(path, pages=[0, 2, 5]) as some,
        lazytiff.open(path, pages=1) as one,
        lazytiff.open(path, pages=1, squeeze=False) as wide,
    ):
        assert img._identity() == first[0]
        others = [some, one, wide, img.pages[0], img.pages[1], lazytiff.stack([img, img]), lazytiff.concatenate([img])]
        others = [array._identity() for array in others]
    found = first + others
    assert len(set(found)) == len(found)
    assert all(isinstance(value, str | int | bool | tuple | bytes | None) for values in found for value in values)


def test_identity_of_levels(tmp_path):
    """Levels have their array's, with their size."""
    (tmp_path / "levels.tif").write_bytes(pyramids())
    with lazytiff.open(tmp_path / "levels.tif") as img, pickled(img.levels[1]) as half:
        found = [level._identity() for level in img.levels]
        assert found[1] == half._identity()
        assert len(set(found)) == 3
        page = img.levels[1].pages[0]
        assert page._identity() != page._identity()


def test_identity_of_what_is_missing(tmp_path):
    """What stands for missing planes belongs to a hyperstack's."""
    made = Set(tmp_path)
    (tmp_path / made.names[1]).unlink()
    with lazytiff.open(tmp_path / made.names[0]) as img:
        with pytest.warns(lazytiff.TiffWarning):
            plain = img.hyperstack
        stacks = [plain, plain.filled(0), plain.filled(1)]
        assert len({stack._identity() for stack in stacks}) == 3
        assert img.hyperstack.filled(1)._identity() == stacks[2]._identity()


@pytest.mark.parametrize("how", ["pixels", "replaced", "grown"])
def test_identity_of_changed_files(tmp_path, how):
    """A file that was written to, that has grown, or that took another one's place, has another identity."""
    path, _ = imagej(tmp_path)
    os.utime(path, ns=(1, 1))
    before = [array._identity() for array in kinds(path)]
    if how == "replaced":
        imagej(tmp_path)
    elif how == "grown":
        with pytest.warns(lazytiff.TiffWarning, match="tells ImageJ of 6"), lazytiff.open(path, "a") as out:
            out.append(PIXELS[0])
    else:
        with lazytiff.open(path, "r+", mmap=True) as img:
            img[0, 0, 0] += 1
    assert not set(before) & {array._identity() for array in kinds(path)}


def test_identity_is_of_the_open_file(tmp_path):
    """An array of a file whose name another one has taken has the identity of its own file."""
    path, _ = imagej(tmp_path)
    os.utime(path, ns=(1, 1))
    with lazytiff.open(path) as img:
        before = img._identity()
        os.replace(path, tmp_path / "old.tif")
        imagej(tmp_path)
        assert img._identity() == before
        with lazytiff.open(path) as other:
            assert other._identity() != before


def test_identity_of_nothing_else(path):
    """What cannot be told apart has an identity that never comes back: in memory, writable, copied on write."""
    plain = write(path.with_name("plain.tif"), codec="none")
    with lazytiff.open(path.read_bytes()) as memory, lazytiff.open(path, "a") as out:
        arrays = [memory, memory.pages[0], lazytiff.stack([memory, memory]), out]
        with lazytiff.open(plain, "r+", mmap=True) as shared, lazytiff.open(plain, "c", mmap=True) as private:
            arrays += [shared, private, shared.pages[0], out.pages[0]]
            found = [array._identity() for _ in range(2) for array in arrays]
    assert len(set(found)) == len(found)
