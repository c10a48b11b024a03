"""The programs in tests/c, built with csrc and run: under sanitizers, or with LAZYTIFF_VALGRIND=1 under valgrind.

What a program defines as __wrap_malloc takes the place of malloc in it and in csrc (the linker's --wrap).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted((ROOT / "tests" / "c").glob("test_*.c"))
SOURCES = sorted(file for file in (ROOT / "csrc").glob("*.c") if not file.name.startswith("os_win32"))

COMPILER = shlex.split(os.environ.get("CC", "cc"))
DEBUG = ["-Wall", "-Wextra", "-g", "-O1"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# Some programs ask for absurd amounts of memory to see them refused: malloc shall return NULL then, as usual.
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1"}
VALGRIND = ["valgrind", "--quiet", "--error-exitcode=1"]
VALGRIND += ["--leak-check=full", "--errors-for-leak-kinds=definite,possible"]
SIGNALS = {"test_guard", "test_guard_cuts"}
# Without it, what a signal handler returns to is not what it came from.
VALGRIND += ["--vex-iropt-register-updates=allregs-at-mem-access"]
THREAD_SANITIZER = ["-fsanitize=thread"]  # goes with no other one
# Those of signals touch the same mapped memory from several threads, to see what comes of it.
THREADED = [file for file in PROGRAMS if "#include <pthread.h>" in file.read_text() and file.stem not in SIGNALS]
WITH_VALGRIND = os.environ.get("LAZYTIFF_VALGRIND") == "1"

# What nm calls data that a program can change: initialised, zeroed, common and small data, local or global.
MUTABLE = set("BbCDdGgSs")

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the C tests guard their buffers with mmap"),
    pytest.mark.skipif(shutil.which(COMPILER[0]) is None, reason=f"there is no C compiler {COMPILER[0]!r}"),
]


def run(*command, **options):
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}"
    return done.stdout


def libtiff_flags(option):
    """Return the flags to compile csrc (--cflags) or to link with libtiff (--libs), as the build has them."""
    return shlex.split(run(sys.executable, ROOT / "build_ffi.py", option))


def compile_csrc(folder, *flags):
    """Compile every C file of this platform into folder; return the objects."""

    def compile_one(source):
        target = folder / f"{source.stem}.o"
        run(*COMPILER, "-std=c11", *DEBUG, *flags, *libtiff_include, "-c", source, "-o", target, cwd=ROOT)
        return target

    libtiff_include = libtiff_flags("--cflags")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, SOURCES))


def wrapped(source):
    """Return the linker's flags for the functions that the program puts in the place of others."""
    included = [source.parent / name for name in re.findall(r'#include "(\w+\.h)"', source.read_text())]
    texts = [file.read_text() for file in (source, *included) if file.exists()]
    names = [name for text in texts for name in re.findall(r"^[\w *]+\b__wrap_(\w+)\(.*\)$", text, re.MULTILINE)]
    return [f"-Wl,--wrap={name}" for name in names]


def make_build(folder, *flags):
    """Return a function that makes a program of one C file, with csrc compiled only once."""
    objects = compile_csrc(folder, *flags)
    include, libraries = libtiff_flags("--cflags"), libtiff_flags("--libs")

    def build_one(source):
        program = folder / source.stem
        options = [*DEBUG, *flags, *include, source, *objects, *wrapped(source), *libraries]
        # GNU's C: unlike csrc, the programs use what their system has, such as anonymous mappings.
        run(*COMPILER, "-std=gnu11", *options, "-o", program, cwd=ROOT)
        return program

    return build_one


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Return a function that makes a program of one C file."""
    return make_build(tmp_path_factory.mktemp("programs"), *([] if WITH_VALGRIND else SANITIZERS))


@pytest.fixture(scope="session")
def build_threaded(tmp_path_factory):
    """Return a function that makes a program of one C file that watches how its threads share memory."""
    folder = tmp_path_factory.mktemp("threaded")
    source = folder / "nothing.c"
    source.write_text("int main(void) { return 0; }")
    # Where addresses are more random than the sanitizer of an older compiler expects, its programs do not even start.
    for command in ([*COMPILER, *THREAD_SANITIZER, source, "-o", folder / "nothing"], [folder / "nothing"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no thread sanitizer works here: {done.stdout.strip()}")
    return make_build(folder, *THREAD_SANITIZER)


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda source: source.stem)
def test_program(source, build, tmp_path):
    """The program ends with status 0, without a complaint of the sanitizers or of valgrind."""
    if WITH_VALGRIND and source.stem in SIGNALS:
        pytest.skip("valgrind keeps signals that are sent from reaching their handlers in time")
    if sys.platform == "darwin" and wrapped(source):
        pytest.skip("the linker of macOS has no --wrap")
    wrapper = VALGRIND if WITH_VALGRIND else []
    run(*wrapper, build(source), cwd=tmp_path, env={**os.environ, **SANITIZER_OPTIONS}, timeout=600)


@pytest.mark.skipif(WITH_VALGRIND, reason="the thread sanitizer's programs do not run under valgrind")
@pytest.mark.parametrize("source", THREADED, ids=lambda source: source.stem)
def test_threads(source, build_threaded, tmp_path):
    """The threads of the program share nothing that is not made for it, by the thread sanitizer's judgement."""
    run(build_threaded(source), cwd=tmp_path, timeout=600)


@pytest.fixture(scope="session")
def symbols(tmp_path_factory):
    """Return what csrc defines, as tuples of file, name and nm's letter for its kind."""
    if sys.platform != "linux":
        pytest.skip("the letters that nm prints here mean something else")
    # Without -fno-pic, constant tables of pointers count as mutable: the loader has to fill them in.
    objects = compile_csrc(tmp_path_factory.mktemp("symbols"), "-fno-pic")
    listings = {file.stem: run("nm", "-P", "--defined-only", file) for file in objects}
    return [(file, *line.split()[:2]) for file, listing in listings.items() for line in listing.splitlines()]


def test_no_global_state(symbols):
    """No data changes, thread-local data included, but the page-fault guard's: its registry, the handler before it."""
    changing = {symbol[:2] for symbol in symbols if symbol[2] in MUTABLE}
    assert changing == {("map", "registry"), ("os_posix_map", "faults")}


def test_prefix(symbols):
    """Whatever a C program that links with csrc can see begins with lzt_."""
    assert [symbol for symbol in symbols if symbol[2].isupper() and not symbol[1].startswith("lzt_")] == []
