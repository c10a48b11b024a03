"""What `print(writer)` shows: the blocks of the seed, TiffImages.jl, and Julia's way to say sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazytiff._summary import block, format_bytes

CLASSIC, BIG = 2**32 - 1, 2**64 - 1
X = "\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (8, "8 bytes"),  # the seed's numbers: an empty file, one slice, two slices, what is left
        (16, "16 bytes"),
        (65_692, "64.152 KiB"),
        (131_376, "128.297 KiB"),
        (CLASSIC - 8, "4.000 GiB"),
        (CLASSIC - 131_376, "4.000 GiB"),
        (BIG - 16, "16384.000 PiB"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (2, "2 bytes"),
        (1023, "1023 bytes"),
        (1024, "1024 bytes"),
        (1025, "1.001 KiB"),
        (1024**2 - 1, "1023.999 KiB"),
        (1024**2, "1024.000 KiB"),
        (1024**2 + 1, "1.000 MiB"),
        (1024**3, "1024.000 MiB"),
        (1024**4, "1024.000 GiB"),
        (1024**5, "1024.000 TiB"),
        (1024**6, "1024.000 PiB"),
        (1536, "1.500 KiB"),
        (8_000_000_000, "7.451 GiB"),
    ],
)
def test_sizes(size, text):
    """Three decimals but for bytes; 1024 of a unit are not yet one of the next; PiB is the last."""
    assert format_bytes(size) == text


@given(st.integers(2, BIG))
def test_sizes_of_all_kinds(size):
    """The number times its unit is the size, to half of the last decimal, and lies between 1 and 1024 but for PiB."""
    number, unit = format_bytes(size).split()
    power = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"].index(unit)
    assert math.isclose(float(number) * 1024**power, size, rel_tol=1e-12, abs_tol=0.0005001 * 1024**power)
    assert unit == "PiB" or 1 <= float(number) <= 1024


def test_empty():
    """A new file: no pages, and the header alone."""
    assert block("AppendTiff", np.dtype("u1"), (0, 0, 0), state="writable", size=8, addressable=CLASSIC) == (
        f"32-bit AppendTiff uint8 0{X}0{X}0 (writable)\n"
        "    Current file size on disk:   8 bytes\n"
        "    Addressable space remaining: 4.000 GiB"
    )


@pytest.mark.parametrize("state", ["writable", "readonly", "closed"])
def test_two_slices(state):
    """The seed's second slice."""
    assert block("AppendTiff", np.dtype("u1"), (2, 256, 256), state=state, size=131_376, addressable=CLASSIC) == (
        f"32-bit AppendTiff uint8 2{X}256{X}256 ({state})\n"
        "    Current file size on disk:   128.297 KiB\n"
        "    Addressable space remaining: 4.000 GiB"
    )


def test_bigtiff():
    """The seed's third file."""
    assert block("AppendTiff", np.dtype("u2"), (0, 0, 0), state="writable", size=16, addressable=BIG) == (
        f"64-bit AppendTiff uint16 0{X}0{X}0 (writable)\n"
        "    Current file size on disk:   16 bytes\n"
        "    Addressable space remaining: 16384.000 PiB"
    )


def test_nothing_left():
    """A file that another program has taken past 4 GiB has no space left, and not less than none."""
    text = block("AppendTiff", np.dtype("f4"), (9, 8, 7, 3), state="writable", size=CLASSIC + 5, addressable=CLASSIC)
    assert text.splitlines()[0] == f"32-bit AppendTiff float32 9{X}8{X}7{X}3 (writable)"
    assert text.splitlines()[2] == "    Addressable space remaining: 0 bytes"
