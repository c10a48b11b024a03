"""What a file tells ImageJ, Bio-Formats and tifffile of its axes, found without lazytiff."""

from __future__ import annotations

import logging
import re
import struct
from contextlib import contextmanager

import helper
import numpy as np
import tifffile

COUNT = {
    "imagej": re.compile(rb"\n(frames|slices|channels)=(\d{8})\n\0\Z"),
    "ome": re.compile(rb' Size([TZC])="(\d{8})">'),
}


def make_pages(form, count, rows, columns):
    """Make pages of a form (dtype, samples, options) of which no two are alike."""
    dtype, samples, options = form
    helper.needs_to_write(options.get("compression"))
    return helper.pixels((count, rows, columns, *[samples] * (samples > 1)), np.dtype(dtype))


def description(path):
    """Return the first page's description as bytes, with its NUL, and where in the file it is."""
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages[0].tags[270]
        place, length = tag.valueoffset, tag.count
    with open(path, "rb") as file:
        file.seek(place)
        return file.read(length), place


def digits(kind, path):
    """Return the number that the digits say, which stand at a multiple of 8 of the file."""
    text, place = description(path)
    found = COUNT[kind].search(text)
    assert (place + found.start(2)) % 8 == 0
    assert text.endswith(b"\0")
    return int(found[2])


def pages(path):
    """Return how many IFDs the chain has that readers walk."""
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    number, count, entry, link = ("Q", "Q", 20, 8) if big else ("I", "H", 12, 4)
    found = 0
    while ifd := struct.unpack_from(order + number, data, link)[0]:
        link = ifd + struct.calcsize(count) + entry * struct.unpack_from(order + count, data, ifd)[0]
        found += 1
    return found


@contextmanager
def complaints():
    """Give a list that takes what tifffile logs meanwhile."""
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger("tifffile")
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def series(path):
    """Return axes, shape, pixels and kind of the only series as tifffile sees it, and what it complains of."""
    with complaints() as found, tifffile.TiffFile(path) as tif:
        assert len(tif.series) == 1
        only = tif.series[0]
        return only.axes, only.shape, only.asarray(), only.kind, found
