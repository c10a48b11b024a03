"""Builds `lazytiff._ffi`, the only compiled module: cffi's glue, our own C in csrc/ and the system's libtiff.

C is declared once, in csrc/lazytiff.h: what stands there between two markers is the cdef. pyproject.toml names
BuildExt, so that wheels, sdists and editable installs come here. libtiff is looked for only when C is compiled.

`python build_ffi.py --cflags` and `--libs` print how to compile csrc and link with libtiff, as pkg-config would.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from cffi import FFI
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

ROOT = Path(__file__).parent
WINDOWS = sys.platform == "win32"
OLDEST_LIBTIFF = (4, 5)  # the first with TIFFOpenOptions: error handlers per handle instead of global ones

# What only Python needs: the function that csrc calls when the bytes come from a Python object.
PYTHON_CALLBACKS = 'extern "Python" int lzt_python_read_ranges(void *, const struct lzt_range *, size_t);\n'

# What importlib.metadata would tell, which takes as long to import as all the rest.
PYTHON_VERSION = "extern const char LAZYTIFF_VERSION[];\n"

# Our symbols stay inside the module: a C program may load a lazytiff library of its own beside Python.
# No -march=native: a wheel runs on other machines than the one that built it.
UNIX_FLAGS = ["-std=c11", "-O3", "-fvisibility=hidden"]
MSVC_FLAGS = ["/std:c11", "/experimental:c11atomics", "/O2"]
LIBRARIES = ["tiff"] if WINDOWS else ["tiff", "m", "pthread"]

ADVICE = """\
lazytiff needs libtiff 4.5 or newer with its headers, and {found}. Install it with
    Debian, Ubuntu   sudo apt-get install libtiff-dev pkg-config
    Fedora           sudo dnf install libtiff-devel pkgconf-pkg-config
    macOS            brew install libtiff pkgconf
    conda            conda install -c conda-forge libtiff
Ubuntu 22.04, RHEL 9 and others of their age have only an older libtiff: take conda's there, in an active environment"""


@dataclass(frozen=True)
class Libtiff:
    """Where a libtiff was found, in the words of setuptools' Extension."""

    version: str
    include_dirs: list[str]
    library_dirs: list[str]
    runtime_library_dirs: list[str] = field(default_factory=list)

    @property
    def is_too_old(self) -> bool:
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:2]) < OLDEST_LIBTIFF


def require_libtiff() -> Libtiff:
    """Return the active conda environment's libtiff or, without one, pkg-config's; otherwise tell how to get one."""
    libtiff = libtiff_of_conda() or libtiff_of_pkg_config()
    if libtiff is None:
        raise PlatformError(ADVICE.format(found="none was found"))
    if libtiff.is_too_old:
        raise PlatformError(ADVICE.format(found=f"the one found is {libtiff.version}"))
    return libtiff


def libtiff_of_conda() -> Libtiff | None:
    if "CONDA_PREFIX" not in os.environ:
        return None
    prefix = Path(os.environ["CONDA_PREFIX"], "Library" if WINDOWS else "")
    header = prefix / "include" / "tiffvers.h"
    if not header.is_file():
        return None
    version = re.search(r"Version (\d[\d.]*)", header.read_text(encoding="utf-8"))
    library = str(prefix / "lib")
    # Activating an environment does not tell the loader where its libraries are, so the module carries the path.
    return Libtiff(version[1] if version else "0", [str(header.parent)], [library], [] if WINDOWS else [library])


def libtiff_of_pkg_config() -> Libtiff | None:
    try:
        version = _pkg_config("--modversion")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    include = [flag.removeprefix("-I") for flag in shlex.split(_pkg_config("--cflags-only-I"))]
    library = [flag.removeprefix("-L") for flag in shlex.split(_pkg_config("--libs-only-L"))]
    return Libtiff(version, include, library)


def _pkg_config(option: str) -> str:
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), option, "libtiff-4"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cdef() -> str:
    """Return what Python sees of the C interface: the part of the public header between its two markers."""
    header = (ROOT / "csrc" / "lazytiff.h").read_text(encoding="utf-8")
    return header[header.index("/* [python]") : header.index("/* [end] */")]


def glue() -> FFI:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    ffi = FFI()
    ffi.cdef(cdef() + PYTHON_CALLBACKS + PYTHON_VERSION)
    ffi.set_source("lazytiff._ffi", f'#include "lazytiff.h"\nconst char LAZYTIFF_VERSION[] = "{version}";')
    return ffi


def sources() -> list[str]:
    """Return the C files of this platform, relative to the project, as setuptools wants them."""
    other_platform = "os_posix" if WINDOWS else "os_win32"
    names = (file.name for file in (ROOT / "csrc").glob("*.c"))
    return sorted(f"csrc/{name}" for name in names if not name.startswith(other_platform))


class BuildExt(build_ext):
    """Fills in what pyproject.toml cannot say: lists of files, compiler flags and where libtiff is."""

    def finalize_options(self) -> None:
        super().finalize_options()
        for extension in self.extensions:
            extension.sources = sources()
            extension.depends = ["build_ffi.py", *sorted(f"csrc/{file.name}" for file in (ROOT / "csrc").glob("*.h"))]

    def build_extension(self, ext) -> None:
        libtiff = require_libtiff()
        generated = Path(self.build_temp, "_ffi.c")
        generated.parent.mkdir(parents=True, exist_ok=True)
        glue().emit_c_code(str(generated))
        ext.sources = [*sources(), str(generated)]
        ext.include_dirs = ["csrc", *libtiff.include_dirs]
        ext.library_dirs = libtiff.library_dirs
        ext.runtime_library_dirs = libtiff.runtime_library_dirs
        ext.libraries = LIBRARIES
        ext.extra_compile_args = MSVC_FLAGS if self.compiler.compiler_type == "msvc" else UNIX_FLAGS
        super().build_extension(ext)


def print_flags(option: str) -> None:
    libtiff = require_libtiff()
    flags = {
        "--cflags": ["-Icsrc", *(f"-I{folder}" for folder in libtiff.include_dirs)],
        "--libs": [
            *(f"-L{folder}" for folder in libtiff.library_dirs),
            *(f"-Wl,-rpath,{folder}" for folder in libtiff.runtime_library_dirs),
            *(f"-l{library}" for library in LIBRARIES),
        ],
    }
    print(shlex.join(flags[option]))


if __name__ == "__main__":
    try:
        print_flags(*sys.argv[1:])
    except PlatformError as error:
        sys.exit(str(error))
