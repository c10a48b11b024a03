"""New files of zeros, and the disk space that a file has before pixels are written to it."""

from __future__ import annotations

import os
import subprocess
import sys

import helper
import numpy as np
import pytest
import tifffile
from test_mmap_system import compiled_shim, on_linux, on_posix
from test_processes import run

import lazytiff

SHAPES = {
    "YX": [(1, 1), (7, 5), (300, 200)],
    "IYX": [(1, 6, 4), (3, 5, 7), (40, 64, 64)],
    "YXS": [(4, 6, 2), (5, 3, 3), (7, 2, 11)],
    "IYXS": [(1, 3, 5, 2), (3, 5, 7, 3), (4, 9, 8, 4), (2, 3, 4, 5)],
}
DTYPES = ["u1", "i1", "<u2", ">u2", "<i4", ">u8", "i8", "<f2", ">f4", "<f8", "<c8", "<c16", ">c16"]


@pytest.fixture
def path(tmp_path):
    """Return the path of a file to be made, alone in its folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "new.tif"


def remains(path):
    """Tell what is in the folder."""
    return sorted(entry.name for entry in path.parent.iterdir())


# ---- what is made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("axes", "shape"), [(axes, shape) for axes, shapes in SHAPES.items() for shape in shapes])
def test_new_files(axes, shape, dtype, path):
    """Zeros, writable, contiguous, really on the disk; tifffile reads and maps what is written."""
    dtype = np.dtype(dtype)
    values = helper.pixels(shape, dtype.newbyteorder("="))
    with lazytiff.zeros(path, shape, dtype, axes=axes) as img:
        view = np.asarray(img)
        assert (img.mode, img.shape, img.dtype) == ("r+", shape, dtype)
        assert view.flags.c_contiguous
        assert view.flags.writeable
        assert not view.view("u1").any()
        assert remains(path) == ["new.tif"]
        if sys.platform == "linux":
            assert path.stat().st_blocks * 512 >= path.stat().st_size
        img[...] = values
        del view
    with lazytiff.open(path, squeeze="I" not in axes) as img:
        helper.assert_same(img.copy(), values.reshape(img.shape))
    with tifffile.TiffFile(path) as oracle:
        assert not oracle.is_bigtiff
        assert oracle.byteorder == (dtype.str[0] if dtype.itemsize > 1 else "<>"[sys.byteorder == "big"])
    assert np.array_equal(tifffile.imread(path).ravel(), values.ravel(), equal_nan=dtype.kind in "fc")
    if dtype.itemsize > 8:
        return  # tifffile maps no samples of 128 bits
    mapped = tifffile.memmap(path, mode="r")
    assert np.array_equal(mapped.ravel(), values.ravel(), equal_nan=dtype.kind in "fc")
    assert mapped.dtype.newbyteorder("=") == values.dtype


@pytest.mark.parametrize("bigtiff", [True, False, "auto"])
@pytest.mark.parametrize("count", [1, 3, 5000])
def test_bigtiff(bigtiff, count, path):
    """Small files are BigTIFF where that is asked for; many pages are many IFDs."""
    with lazytiff.zeros(path, (count, 2, 3), "u2", bigtiff=bigtiff) as img:
        assert img.shape == (count, 2, 3)
        img[-1] = 7
    with tifffile.TiffFile(path) as oracle:
        assert oracle.is_bigtiff is (bigtiff is True)
        assert len(oracle.pages) == count
        assert (oracle.pages[-1].asarray() == 7).all()


def test_photometric(path):
    """Bytes of 3 or 4 samples are colours unless it is said otherwise; a fourth one is their opacity."""
    cases = [
        ((2, 3, 3), "u1", None, "RGB"),
        ((2, 3, 4), "u1", None, "RGB"),
        ((2, 3, 3), "u2", None, "MINISBLACK"),
        ((2, 3, 2), "u1", None, "MINISBLACK"),
        ((2, 3, 3), "u1", "minisblack", "MINISBLACK"),
        ((2, 3, 5), "u2", "rgb", "RGB"),
    ]
    for shape, dtype, photometric, name in cases:
        lazytiff.zeros(path, shape, dtype, axes="YXS", photometric=photometric).close()
        with tifffile.TiffFile(path) as oracle:
            page = oracle.pages[0]
            assert page.photometric.name == name
            assert page.samplesperpixel == shape[-1]
            assert len(page.extrasamples) == shape[-1] - (3 if name == "RGB" else 1)
        path.unlink()


@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path], ids=["str", "bytes", "PathLike"])
@on_posix
def test_paths_and_guard(kind, path):
    """Any kind of path, also one of the working folder; the guard is on when it is asked for."""
    with lazytiff.zeros(kind(path), (2, 3), "u1", guard=True) as img:
        assert img.path == str(path)
        assert img._guard
    run("import lazytiff, os, sys; os.chdir(sys.argv[1]); lazytiff.zeros('b.tif', (2, 3), 'u1')", path.parent)
    assert remains(path) == ["b.tif", "new.tif"]


# ---- what is refused


@pytest.mark.parametrize("kind", ["file", "dangling link", "folder"])
def test_existing_path(kind, path):
    """What is there stays as it is; the error says how to open a file."""
    if kind == "file":
        path.write_bytes(b"precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    before = remains(path)
    with pytest.raises(FileExistsError, match=r"lazytiff\.open\(path, mmap=True, mode='r\+'\)") as caught:
        lazytiff.zeros(path, (4, 5), "u1")
    assert caught.value.filename == str(path)
    assert remains(path) == before
    assert kind != "file" or path.read_bytes() == b"precious"


def test_missing_folder(path):
    """A folder that is not there is not made."""
    with pytest.raises(FileNotFoundError):
        lazytiff.zeros(path.parent / "no" / "new.tif", (4, 5), "u1")
    assert remains(path) == []


REFUSED = {
    "no axes": (((), "u1"), {}, ValueError, "axes are"),
    "one axis": ((7, "u1"), {}, ValueError, "axes are"),
    "five axes": (((1, 2, 3, 4, 5), "u1"), {}, ValueError, "axes are"),
    "axes that do not fit": (((4, 5), "u1"), {"axes": "IYX"}, ValueError, "axes are"),
    "axes in another order": (((4, 5, 3), "u1"), {"axes": "SYX"}, ValueError, "axes are"),
    "a repeated axis": (((4, 5), "u1"), {"axes": "YY"}, ValueError, "axes are"),
    "one sample": (((4, 5, 6, 1), "u1"), {}, ValueError, "no axis"),
    "no pages": (((0, 4, 5), "u1"), {}, ValueError, "at least one"),
    "no pixels": (((4, 0), "u1"), {}, ValueError, "at least one"),
    "negative": (((-4, 5), "u1"), {}, ValueError, "at least one"),
    "floats": (((4.0, 5), "u1"), {}, TypeError, "float"),
    "text": (("45", "u1"), {}, TypeError, "str"),
    "too many rows": (((1 << 32, 1), "u1"), {}, ValueError, "2\\^32"),
    "too many samples": (((1, 1, 1, 1 << 16), "u1"), {}, ValueError, "65,535"),
    "bool": (((4, 5), "?"), {}, TypeError, "bool"),
    "object": (((4, 5), "O"), {}, TypeError, "object"),
    "structure": (((4, 5), "u1,u2"), {}, TypeError, "f0"),
    "long double": (((4, 5), "g"), {}, TypeError, "float128|longdouble"),
    "date": (((4, 5), "M8[s]"), {}, TypeError, "datetime"),
    "no dtype": (((4, 5), "nonsense"), {}, TypeError, "nonsense"),
    "photometric": (((4, 5), "u1"), {"photometric": "cmyk"}, ValueError, "cmyk"),
    "rgb of one sample": (((4, 5), "u1"), {"photometric": "rgb"}, ValueError, "3 samples"),
    "bigtiff": (((4, 5), "u1"), {"bigtiff": "maybe"}, ValueError, "maybe"),
    "bigtiff that is no key": (((4, 5), "u1"), {"bigtiff": []}, ValueError, "bigtiff"),
    "more than classic TIFF holds": (((1 << 16, 1 << 16), "u1"), {"bigtiff": False}, lazytiff.FileFullError, "classic"),
    "nearly 4 GiB": ((((1 << 16) - 1, 1 << 16), "u1"), {"bigtiff": False}, lazytiff.FileFullError, "classic"),
    "more than any file holds": (((1 << 20, 1 << 31, 1 << 31), "u1"), {}, lazytiff.LimitError, "2\\^63"),
    "too many pages": (((1 << 31, 4, 4), "u1"), {}, lazytiff.LimitError, "max_pages"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name, path):
    """What no TIFF file can be is an error in words, before the first byte: nothing is left."""
    arguments, options, error, text = REFUSED[name]
    if name == "long double" and np.dtype("g") == np.dtype("d"):
        pytest.skip("a long double is a double here")
    with pytest.raises(error, match=text):
        lazytiff.zeros(path, *arguments, **options)
    assert remains(path) == []


# ---- full disks


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "lazytiff-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount(8): no disk can be full")
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


FULL = """
import errno, os, sys, lazytiff
path, what = sys.argv[1:]
before = sorted(os.listdir(os.path.dirname(path)))
try:
    if what == "zeros":
        lazytiff.zeros(path, (16, 512, 512), "u1")
    else:
        lazytiff.open(path, "r+", mmap=True)
except OSError as error:
    assert error.filename == path, error
    print(errno.errorcode[error.errno])
assert sorted(os.listdir(os.path.dirname(path))) == before
"""


def sparse_stack(path, pages=16):
    """Write a stack of 256 KiB pages of which only the first and last have bytes on the disk; return what it holds."""
    array = np.zeros((pages, 512, 512), "u1")
    array[0, 0, :9], array[-1, -1, -9:] = 1, 2
    data = helper.tiff(*map(helper.page, array))
    with path.open("wb") as file:
        for start in range(0, len(data), 4096):
            if any(data[start : start + 4096]):
                file.seek(start)
                file.write(data[start : start + 4096])
        file.truncate(len(data))
    assert path.stat().st_blocks * 512 < len(data) // 2
    return data


@on_linux
def test_zeros_on_a_full_disk(small_disk):
    """The error comes at once, and no file is left, under any name."""
    assert run(FULL, small_disk / "new.tif", "zeros") == "ENOSPC\n"
    assert os.statvfs(small_disk).f_bfree == os.statvfs(small_disk).f_blocks


@on_linux
def test_sparse_file_on_a_full_disk(small_disk):
    """All of the file's disk space is asked for first: "r+" fails with nothing changed."""
    data = sparse_stack(small_disk / "sparse.tif")
    assert run(FULL, small_disk / "sparse.tif", "r+") == "ENOSPC\n"
    assert (small_disk / "sparse.tif").read_bytes() == data
    with lazytiff.open(small_disk / "sparse.tif", mmap=True) as img:
        assert img[0, 0, :9].tolist() == [1] * 9


FILL = """
import os, sys, lazytiff
path, filler = sys.argv[1:]
with lazytiff.open(path, "r+", mmap=True) as img, open(filler, "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
    img[...] = 7
    img[1][...] = 8
    img.flush()
print("written")
"""


@on_linux
def test_writing_when_the_disk_has_become_full(small_disk):
    """A file that is open in "r+" has its disk space: assignments and views go on."""
    path = small_disk / "stack.tif"
    data = sparse_stack(path, 2)
    assert run(FILL, path, small_disk / "filler") == "written\n"
    expected = np.full((2, 512, 512), [[[7]], [[8]]], "u1")
    assert len(data) == path.stat().st_size
    assert path.read_bytes() == helper.tiff(*map(helper.page, expected))


LIMITED = """
import errno, os, resource, sys, lazytiff
path, what, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    if what == "zeros":
        lazytiff.zeros(path, (16, 512, 512), "u1")
    with lazytiff.open(path, "r+", mmap=True) as img:
        img[0] = 1
        print("one page")
        img[...] = 1
except OSError as error:
    assert error.filename == path, error
    print(errno.errorcode[error.errno])
"""


@on_posix
def test_zeros_beyond_a_limit(path):
    """A file that may not be so large is an OSError and no signal, and nothing is left."""
    assert run(LIMITED, path, "zeros", 1 << 20) == "EFBIG\n"
    assert remains(path) == []


@on_posix
def test_writing_beyond_a_limit(path):
    """An assignment that does not go on to its end is an OSError and no signal; all but its pixels is intact."""
    blank, full = (helper.tiff(*map(helper.page, np.full((4, 512, 512), fill, "u1"))) for fill in (0, 1))
    path.write_bytes(blank)
    assert run(LIMITED, path, "r+", len(blank) // 2) == "one page\nEFBIG\n"
    found = np.frombuffer(path.read_bytes(), "u1")
    before, after = np.frombuffer(blank, "u1"), np.frombuffer(full, "u1")
    assert ((found == before) | (found == after)).all()
    assert np.array_equal(found[len(blank) // 2 :], before[len(blank) // 2 :])
    assert (lazytiff.load(path)[0] == 1).all()


# ---- sparse files


@on_linux
def test_sparse_files_get_their_disk_space(path):
    """What is missing is allocated by "r+", which changes nothing else; other modes leave the file as it is."""
    data = sparse_stack(path)
    before = path.stat().st_blocks
    for mode in ("r", "c"):
        lazytiff.open(path, mode, mmap=True).close()
        assert path.stat().st_blocks == before
    with lazytiff.open(path, "r+", mmap=True) as img:
        assert path.stat().st_blocks * 512 >= len(data)
        assert img[-1, -1, -9:].tolist() == [2] * 9
    assert path.read_bytes() == data


WITHOUT_FALLOCATE = """
import sys, lazytiff
path, what = sys.argv[1:]
try:
    img = lazytiff.zeros(path, (16, 512, 512), "u1") if what == "zeros" else lazytiff.open(path, what, mmap=True)
except lazytiff.NotMappableError as error:
    print(error)
else:
    print("mapped", img.shape)
"""


@on_linux
def test_file_systems_without_fallocate(path, tmp_path):
    """A sparse file is refused in words, one that is not sparse is mapped, and `zeros` writes its zeros."""
    environment = {"LD_PRELOAD": compiled_shim(tmp_path), "SHIM_FALLOCATE": "1"}
    data = sparse_stack(path)
    text = run(WITHOUT_FALLOCATE, path, "r+", **environment)
    assert text.startswith(f"{path}: ")
    assert "no disk space" in text
    assert run(WITHOUT_FALLOCATE, path, "r", **environment) == "mapped (16, 512, 512)\n"
    assert path.read_bytes() == data
    path.unlink()
    path.write_bytes(data)
    assert run(WITHOUT_FALLOCATE, path, "r+", **environment) == "mapped (16, 512, 512)\n"
    path.unlink()
    assert run(WITHOUT_FALLOCATE, path, "zeros", **environment) == "mapped (16, 512, 512)\n"
    assert path.stat().st_blocks * 512 >= path.stat().st_size
    assert remains(path) == ["new.tif"]
