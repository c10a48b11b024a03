"""The Windows side of csrc, built by mingw-w64's cross compiler; programs of tests/c that run there, run by wine."""

import os
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPILER, ARCHIVER = "x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-ar"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Icsrc"]
# All but libtiff.c, for there is no libtiff for mingw-w64 to be had.
SOURCES = sorted(
    file for file in (ROOT / "csrc").glob("*.c") if file.name != "libtiff.c" and not file.name.startswith("os_posix")
)
PROGRAMS = ["test_map", "windows_files"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"there is no {COMPILER} (Debian: gcc-mingw-w64-x86-64)"),
]


def run(*command, **options):
    """Run a program that must succeed."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options
    )
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return csrc as a static library for Windows, which has no warnings."""
    folder = tmp_path_factory.mktemp("windows")

    def compile_one(source):
        target = folder / f"{source.stem}.o"
        run(COMPILER, *FLAGS, "-c", source, "-o", target, cwd=ROOT)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, SOURCES))
    run(ARCHIVER, "rcs", folder / "lazytiff.a", *objects)
    return folder / "lazytiff.a"


@pytest.fixture(scope="module")
def windows():
    """Return the environment variables of a new Windows (700 MB), which is gone afterwards."""
    if shutil.which("wine") is None:
        pytest.skip("there is no wine (Debian: wine)")
    with tempfile.TemporaryDirectory(prefix="lazytiff-wine-", ignore_cleanup_errors=True) as home:
        # Without .NET, browser, menu entries, and the debugger, after which a crash ends with status 0.
        settings = {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe,winedbg.exe="}
        environment = {**os.environ, **settings, "HOME": home, "TMPDIR": home, "WINEPREFIX": f"{home}/windows"}
        run("wine", "cmd", "/c", "exit", env=environment, timeout=200)
        yield environment
        for option in ("--kill", "--wait"):
            subprocess.run(["wineserver", option], env=environment, check=False, timeout=60)


def test_compiles(library):
    """Every C file of ours compiles for Windows, without a warning."""
    assert library.stat().st_size > 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, library, windows, tmp_path):
    """The program ends with status 0 on Windows and leaves nothing behind."""
    program, folder = tmp_path / f"{name}.exe", tmp_path / "empty"
    folder.mkdir()
    run(COMPILER, *FLAGS, ROOT / "tests" / "c" / f"{name}.c", library, "-o", program, cwd=ROOT)
    run("wine", program, cwd=folder, env=windows, timeout=120)
    assert list(folder.iterdir()) == []
