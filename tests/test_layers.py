"""The picture of the layers stays true: who imports whom in Python, and what each C file may touch.

Only sources are read here; nothing is imported or compiled. A new file has no place until FLOORS or ROOMS names it.
"""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# ---- Python --------------------------------------------------------------------------------------

# From the ground up. A module imports from its own floor and from those below.
FLOORS = [
    {"errors", "_dimensions", "_metadata", "_summary", "_tag_names", "_tag_packing", "_tag_types"},
    {"_binding"},
    {"_bands", "_cuts", "_gather", "_indexing", "_keys"}  # index arithmetic
    | {"_capacity", "_choice", "_chunks", "_codecs", "_extents", "_limits"}
    | {"_pages", "_subfiles", "_tags", "_tones"}  # page table and tags
    | {"_imagej", "_micromanager", "_ome", "_ome_xml", "_resolution", "_shaped"}  # what descriptions say
    | {"_descriptions", "_pieces", "_shapes", "_style", "_tag_values"}  # what is to be written
    | {"_mapping", "_paths", "_source", "_warn"},  # handles and lifetime
    {"_cache", "_counting", "_file", "_folds", "_growth", "_pool", "_reading", "_shelf", "_variance", "_writer"}
    | {"_ahead", "_blocks", "_progress"},  # long work, piece by piece
    {"_array", "_reduce", "_statistics", "_stream"}  # what is computed at once
    | {
        "_colour",
        "_evaluate",
        "_functions",
        "_making",
        "_memory",
        "_slicing",
        "_tiff_array",
        "_tonal",
        "_views",
    }  # and when it is asked for
    | {"_dask", "_npy", "_protocols"}  # for other libraries
    | {"_assignment", "_file_array", "_growing", "_levels", "_recipe", "_refreshing", "_words"}
    | {"_concatenate", "_hyperstack", "_joined", "_many"}  # arrays of arrays
    | {"_described", "_micromanager_set", "_ome_set", "_placed"},
    {"_append", "_lazy", "_mmap"},
    {"_create", "_follow", "_grow", "_open", "_tiff_file"},
    {"__init__"},
]
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}
ARRAYS = {
    "_append",
    "_array",
    "_assignment",
    "_colour",
    "_concatenate",
    "_dask",
    "_described",
    "_evaluate",
    "_file_array",
    "_functions",
    "_growing",
    "_growth",
    "_hyperstack",
    "_joined",
    "_lazy",
    "_making",
    "_many",
    "_memory",
    "_mmap",
    "_npy",
    "_protocols",
    "_recipe",
    "_reduce",
    "_refreshing",
    "_slicing",
    "_statistics",
    "_stream",
    "_tiff_array",
    "_tonal",
    "_views",
    "_words",
}  # numpy, no ffi
PURE = {
    "_bands",
    "_capacity",
    "_choice",
    "_chunks",
    "_cuts",
    "_extents",
    "_folds",
    "_gather",
    "_indexing",
    "_keys",
    "_variance",
}
PURE |= {
    "_dimensions",
    "_imagej",
    "_micromanager",
    "_ome",
    "_ome_xml",
    "_pages",
    "_resolution",
    "_shaped",
    "_subfiles",
    "_tags",
    "_tones",
}  # numbers and numpy: no files
PURE |= {"_descriptions", "_metadata", "_pieces", "_shapes", "_style", "_summary"}
PURE |= {"_tag_packing", "_tag_types", "_tag_values"}
FILES = {"io", "mmap", "os", "pathlib", "shutil", "tempfile"}

MODULES = {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "lazytiff").glob("*.py"))}
# A room of several files, which import from each other as they like.
BINDING = sorted((ROOT / "lazytiff" / "_binding").glob("*.py"))
MODULES["_binding"] = ast.parse("\n".join(file.read_text(encoding="utf-8") for file in BINDING))


def runtime_nodes(tree):
    """Walk a module but for what stands under `if TYPE_CHECKING`: annotations tie nothing together."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from runtime_nodes(node)


def imports(module):
    """Return the full names of everything that a module imports; from lazytiff, of its modules and what is in them."""
    names = set()
    for node in runtime_nodes(MODULES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = ".".join(filter(None, ["lazytiff" if node.level else "", node.module]))
            names |= {f"{source}.{alias.name}" for alias in node.names}
    return names


def imported_modules(module):
    """Return those of our own modules that a module imports, "_ffi" included."""
    ours = (name.split(".") for name in imports(module) if name.startswith("lazytiff."))
    return {parts[1] for parts in ours if parts[1] in MODULES or parts[1] == "_ffi"} - {module}


@pytest.mark.parametrize("module", MODULES)
def test_floor(module):
    """A module imports from its own floor and from those below, never from above."""
    assert module in FLOOR, "a new module: which floor of FLOORS is it on?"
    above = {other for other in imported_modules(module) - {"_ffi"} if FLOOR.get(other, 0) > FLOOR[module]}
    assert not above


def test_no_cycles():
    """No module imports itself by a detour, not even within a floor."""
    tuple(TopologicalSorter({module: imported_modules(module) for module in MODULES}).static_order())


def test_one_importer_of_ffi():
    """_binding alone imports the compiled module and cffi, and nobody takes ffi or lib from it."""
    users = {module for module in MODULES if "_ffi" in imported_modules(module) or "cffi" in imports(module)}
    assert users <= {"_binding"}
    for module in MODULES.keys() - {"_binding"}:
        assert not re.search(r"\b_binding\.(ffi|lib)\b", ast.unparse(MODULES[module])), module
        assert not imports(module) & {"lazytiff._binding.ffi", "lazytiff._binding.lib"}, module


@pytest.mark.parametrize("module", sorted(ARRAYS & MODULES.keys()))
def test_arrays_know_no_binding(module):
    """Array types speak with pages and sources, not with C."""
    assert "_binding" not in imported_modules(module)


@pytest.mark.parametrize("module", sorted({"_append", "_lazy", "_mmap"} & MODULES.keys()))
def test_array_types_apart(module):
    """The lazy, the mapped and the append-only type do not know each other."""
    assert not imported_modules(module) & ({"_append", "_lazy", "_mmap"} - {module})


@pytest.mark.parametrize("module", sorted(PURE & MODULES.keys()))
def test_pure_modules_touch_no_files(module):
    """Index arithmetic and the page table are numbers; files are the source's."""
    assert not {name.split(".")[0] for name in imports(module)} & FILES


# ---- C -------------------------------------------------------------------------------------------

# Standard headers that reach no file, clock, thread or signal: those are the system's, which os_*.c stand for.
PLAIN_HEADERS = {"assert", "float", "inttypes", "limits", "math", "stdarg", "stdatomic", "stdbool", "stddef", "stdint"}
PLAIN_HEADERS |= {"stdio", "stdlib", "string"}  # stdio for snprintf alone: see test_c_library_keeps_quiet
SIMD_HEADERS = {"immintrin", "emmintrin", "tmmintrin", "smmintrin", "arm_neon"}

FILE, SOURCE, TABLE, THREADS = r"\blzt_file_", r"\blzt_source_", r"\blzt_(table|walk)_", r"\batomic_|pthread|thrd_"
LIBTIFF, HEAP = r"\bTIFF[A-Z]\w*\(", r"\b[mc]alloc\("

# Files of one room, and what may not occur in their code.
ROOMS = {
    "system": (
        "os_posix os_posix_disk os_posix_map os_win32 os_win32_disk os_win32_map",
        [LIBTIFF, SOURCE, TABLE, r"\blzt_(ifd|layout|page|tag)\w*"],
    ),
    "errors": ("error", [LIBTIFF, FILE, SOURCE, TABLE, THREADS, HEAP]),
    "source": ("source", [LIBTIFF, TABLE]),
    "rows": ("rows", [LIBTIFF, FILE, SOURCE, TABLE, "mmap"]),  # counts their tables, by atomics
    "page table": (
        "directory frames ifd layout numbers oldjpeg page peek refresh visited walk whole",
        [LIBTIFF, FILE, THREADS, "mmap"],
    ),
    "where pixels are": ("extent overlap runs", [LIBTIFF, FILE, THREADS, "mmap"]),
    "reading": ("read reader coded direct window", [LIBTIFF, FILE, "mmap"]),
    "codecs": ("codec decode encodable encode libtiff", [FILE, SOURCE, TABLE, THREADS, "mmap"]),
    "samples": ("checksum gather predictor samples ycbcr", [LIBTIFF, FILE, SOURCE, TABLE, THREADS, HEAP, "mmap"]),
    "append": (
        "append block copies count create entries form passage writer",
        [LIBTIFF, SOURCE, TABLE, THREADS, "mmap"],
    ),
    "going on": ("resume", [LIBTIFF, THREADS, "mmap"]),
    "encoding together": ("parcel", [LIBTIFF, FILE, SOURCE, TABLE, "mmap"]),
    "map": ("map", [LIBTIFF, SOURCE, TABLE, r"\blzt_(ifd|layout|page|tag)\w*"]),
}
ROOM = {file: room for room, (files, _) in ROOMS.items() for file in files.split()}

C_FILES = sorted((ROOT / "csrc").glob("*.[ch]"))
SYSTEM_FILES = sorted((ROOT / "csrc").glob("os_*.[ch]"))


def code(file):
    """Return a C file's text without comments and strings."""
    text = file.read_text(encoding="utf-8")
    return re.sub(r'/\*.*?\*/|(?<!include )"(\\.|[^"\\\n])*"', " ", text, flags=re.DOTALL)


def system_headers(file):
    """Return the names of the headers in angle brackets that a C file includes, without their ".h"."""
    return set(re.findall(r"#\s*include\s*<([\w/]+)\.h>", code(file)))


@pytest.mark.parametrize("file", [file for file in C_FILES if file.suffix == ".c"], ids=lambda file: file.name)
def test_room(file):
    """A C file touches only what its room may touch."""
    assert file.stem in ROOM, "a new file: which of ROOMS is it in?"
    _, forbidden = ROOMS[ROOM[file.stem]]
    found = [match.group() for pattern in forbidden for match in re.finditer(pattern, code(file))]
    assert not found


@pytest.mark.parametrize("file", C_FILES, ids=lambda file: file.name)
def test_headers(file):
    """Plain C everywhere; libtiff among the codecs, SIMD among the samples, the rest in os_*.c. Python nowhere."""
    extra = {"codecs": {"tiffio"}, "samples": SIMD_HEADERS}.get(ROOM.get(file.stem), set())
    headers = system_headers(file)
    assert "Python" not in headers
    assert file in SYSTEM_FILES or headers <= PLAIN_HEADERS | extra


def test_libtiff_in_one_file():
    """Only libtiff.c includes libtiff's header."""
    users = {file.name for file in C_FILES if system_headers(file) & {"tiff", "tiffio", "tiffvers"}}
    assert users <= {"libtiff.c"}


@pytest.mark.parametrize("file", [file for file in C_FILES if file not in SYSTEM_FILES], ids=lambda file: file.name)
def test_platform_asked_in_system_files(file):
    """Only os_*.c ask which operating system it is, or for more than C11 has."""
    assert not re.findall(r"_WIN32|__APPLE__|__linux__|__unix__|_(?:POSIX_C|GNU|DARWIN_C)_SOURCE", code(file))


@pytest.mark.parametrize("file", C_FILES, ids=lambda file: file.name)
def test_c_library_keeps_quiet(file):
    """The library prints nothing, never ends the process, opens no file by stdio and has no state for each thread."""
    noise = r"\b(?:f?printf|puts|perror|abort|exit|fopen)\s*\("
    assert not re.findall(noise + r"|_Thread_local|__thread\b|thread_local", code(file))


def test_every_failure_has_a_status_and_an_error():
    """A function of the interface returns a status exactly if its last argument is the caller's struct lzt_error."""
    header = code(ROOT / "csrc" / "lazytiff.h")
    functions = re.findall(r"^([\w ]+?[ *]+)(lzt_\w+)\(([^;]*)\);", header, flags=re.MULTILINE)
    assert functions
    for result, name, arguments in functions:
        assert (result.strip() == "enum lzt_status") == arguments.endswith("struct lzt_error *error"), name


def test_c_declared_once():
    """build_ffi.py declares nothing but what C calls in Python; all else is cut out of lazytiff.h."""
    declared = re.findall(r"\blzt_\w+\(", (ROOT / "build_ffi.py").read_text(encoding="utf-8"))
    assert declared == ["lzt_python_read_ranges("]
