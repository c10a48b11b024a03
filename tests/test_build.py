"""What is installed, what the build says when libtiff is missing or too old, and where it finds one."""

import importlib.metadata
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lazytiff
from lazytiff._ffi import lib

ROOT = Path(__file__).parents[1]
PACKAGE = Path(lazytiff.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

posix = pytest.mark.skipif(os.name != "posix", reason="stands in for pkg-config with a shell script")


def flags(option="--cflags", **environment):
    """Run build_ffi.py in an environment without conda, changed as given."""
    environment = {name: value for name, value in os.environ.items() if name != "CONDA_PREFIX"} | environment
    command = [sys.executable, ROOT / "build_ffi.py", option]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def old_pkg_config(tmp_path):
    """A pkg-config that knows a libtiff 4.3.0, as on Ubuntu 22.04."""
    script = tmp_path / "pkg-config"
    script.write_text("#!/bin/sh\n[ $1 != --modversion ] || echo 4.3.0\n", encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def conda_environment(folder, version):
    """Make a folder that looks like a conda environment with that version of libtiff."""
    header = folder / ("Library/include" if os.name == "nt" else "include") / "tiffvers.h"
    header.parent.mkdir(parents=True)
    header.write_text(f'#define TIFFLIB_VERSION_STR "LIBTIFF, Version {version}\\nCopyright"\n', encoding="utf-8")
    return str(folder)


def test_version():
    """The version comes from one place, pyproject.toml."""
    assert lazytiff.__version__ == importlib.metadata.version("lazytiff") == PROJECT["version"]


def test_typed():
    """Type checkers find the marker that the package is annotated."""
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.skipif("LAZYTIFF_INSTALLED" not in os.environ, reason="a development install uses the source tree")
def test_installed():
    """The installed package is tested, here and in programs that tests start; nothing but that package is installed."""
    assert not PACKAGE.is_relative_to(ROOT)
    command = [sys.executable, "-c", "import lazytiff; print(lazytiff.__file__)"]
    assert subprocess.check_output(command, cwd=ROOT, text=True).strip() == lazytiff.__file__
    tops = {file.parts[0] for file in importlib.metadata.files("lazytiff")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lazytiff"}


def test_whole_interface():
    """Every function that lazytiff.h shows to Python is in the compiled module, and nothing else is."""
    header = (ROOT / "csrc" / "lazytiff.h").read_text(encoding="utf-8")
    shown = re.sub(r"/\*.*?\*/", "", header[header.index("/* [python]") : header.index("/* [end] */")], flags=re.DOTALL)
    functions = set(re.findall(r"\b(lzt_\w+)\(", shown))
    assert functions == {name for name in dir(lib) if name.startswith("lzt_")} - {"lzt_python_read_ranges"}


def test_missing_libtiff():
    """Without libtiff the build stops and names the command for each system."""
    done = flags(PKG_CONFIG="there-is-no-such-program")
    assert done.returncode == 1
    for command in (
        "apt-get install libtiff-dev pkg-config",
        "dnf install libtiff-devel pkgconf-pkg-config",
        "brew install libtiff pkgconf",
        "conda install -c conda-forge libtiff",
    ):
        assert command in done.stderr
    assert "none was found" in done.stderr
    assert "Traceback" not in done.stderr


@posix
def test_old_libtiff(old_pkg_config):
    """With a libtiff before 4.5 it stops too, says which, and names conda for systems that have no newer one."""
    done = flags(PKG_CONFIG=old_pkg_config)
    assert done.returncode == 1
    assert "4.3.0" in done.stderr
    assert re.search(r"Ubuntu 22\.04, RHEL 9 .* conda", done.stderr)


@posix
def test_conda_first(tmp_path, old_pkg_config):
    """The libtiff of the active conda environment is taken before pkg-config's, and found again at run time."""
    environment = {"CONDA_PREFIX": conda_environment(tmp_path / "conda", "4.10.1"), "PKG_CONFIG": old_pkg_config}
    assert f"-I{tmp_path}/conda/include" in flags("--cflags", **environment).stdout
    assert f"-Wl,-rpath,{tmp_path}/conda/lib" in flags("--libs", **environment).stdout


def test_old_conda(tmp_path):
    """Conda's libtiff may be too old as well."""
    done = flags(CONDA_PREFIX=conda_environment(tmp_path, "4.4.0"))
    assert done.returncode == 1
    assert "4.4.0" in done.stderr


@posix
def test_conda_without_libtiff(tmp_path, old_pkg_config):
    """An environment without libtiff does not stand in the way of pkg-config's."""
    assert "4.3.0" in flags(CONDA_PREFIX=str(tmp_path), PKG_CONFIG=old_pkg_config).stderr
