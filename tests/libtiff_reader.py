"""Pages as libtiff itself reads them: the very library that lazytiff is linked with, called without lazytiff."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager

import numpy as np

from lazytiff import _ffi

_lib = ctypes.CDLL(None) if os.name == "posix" else None
if not hasattr(_lib, "TIFFOpen"):  # no other libtiff has been put in its place (LD_PRELOAD)
    _lib = ctypes.CDLL(_ffi.__file__)  # symbols are looked up in the libraries that it is linked with, too
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

for name, result, *arguments in (
    ("TIFFOpen", ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p),
    ("TIFFClose", None, ctypes.c_void_p),
    ("TIFFReadDirectory", ctypes.c_int, ctypes.c_void_p),
    ("TIFFIsTiled", ctypes.c_int, ctypes.c_void_p),
    ("TIFFTileSize", ctypes.c_ssize_t, ctypes.c_void_p),
    ("TIFFStripSize", ctypes.c_ssize_t, ctypes.c_void_p),
    ("TIFFNumberOfTiles", ctypes.c_uint32, ctypes.c_void_p),
    ("TIFFNumberOfStrips", ctypes.c_uint32, ctypes.c_void_p),
    ("TIFFReadEncodedTile", ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_ssize_t),
    ("TIFFReadEncodedStrip", ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_ssize_t),
    ("TIFFSetErrorHandler", _HANDLER, _HANDLER),
    ("TIFFSetWarningHandler", _HANDLER, _HANDLER),
):
    getattr(_lib, name).restype, getattr(_lib, name).argtypes = result, arguments


def read(path, shape, dtype, tile=None):
    """Return all pages, each of that shape and dtype; AssertionError when libtiff complains of anything.

    Bilevel pages are stored in bits. tile: the shape of a tile, of pages that have some.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    with _complaints() as words:
        handle = _lib.TIFFOpen(os.fsencode(path), b"rm")
        assert handle, words
        pages = [_page(handle, shape, dtype, tile)]
        while _lib.TIFFReadDirectory(handle):
            pages.append(_page(handle, shape, dtype, tile))
        _lib.TIFFClose(handle)
    assert not words
    return np.array(pages)


@contextmanager
def _complaints():
    words = []
    handler = _HANDLER(lambda module, text, _: words.append((module, text)))
    before = _lib.TIFFSetErrorHandler(handler), _lib.TIFFSetWarningHandler(handler)
    try:
        yield words
    finally:
        _lib.TIFFSetErrorHandler(before[0])
        _lib.TIFFSetWarningHandler(before[1])


def _page(handle, shape, dtype, tile):
    assert _lib.TIFFIsTiled(handle) == (tile is not None)
    if tile is not None:
        return _from_tiles(handle, shape, dtype, tile)
    size, count = _lib.TIFFStripSize(handle), _lib.TIFFNumberOfStrips(handle)
    strips = b"".join(_chunk(_lib.TIFFReadEncodedStrip, handle, i, size) for i in range(count))
    if dtype.kind == "b":
        return np.unpackbits(np.frombuffer(strips, "u1").reshape(shape[0], -1), axis=1, count=shape[1]).astype(bool)
    return np.frombuffer(strips, dtype).reshape(shape)


def _from_tiles(handle, shape, dtype, tile):
    page = np.empty(shape, dtype)
    across = -(-shape[1] // tile[1])
    assert _lib.TIFFNumberOfTiles(handle) == across * -(-shape[0] // tile[0])
    for i in range(_lib.TIFFNumberOfTiles(handle)):
        data = _chunk(_lib.TIFFReadEncodedTile, handle, i, _lib.TIFFTileSize(handle))
        place = page[i // across * tile[0] :, i % across * tile[1] :][: tile[0], : tile[1]]
        place[...] = np.frombuffer(data, dtype).reshape(*tile, *shape[2:])[: place.shape[0], : place.shape[1]]
    return page


def _chunk(read_encoded, handle, number, size):
    buffer = ctypes.create_string_buffer(size)
    count = read_encoded(handle, number, buffer, size)
    assert count >= 0
    return buffer.raw[:count]
