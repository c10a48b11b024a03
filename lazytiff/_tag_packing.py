"""Numbers as the bytes of a tag, all of which its type can hold; fractions are the nearest that TIFF has."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff._tag_types import ASCII, DTYPES, FRACTIONS, RATIONAL, TYPE_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray


def packed_size(kind: int, count: int) -> int:
    """Return the bytes of so many values of a type."""
    return count * np.dtype(DTYPES[kind]).itemsize * (2 if kind in FRACTIONS else 1)


def pack(kind: int, numbers: NDArray[Any]) -> bytes:
    """Return the values of a tag in this machine's byte order.

    The array is flat, of integers, floats, or objects that are int, float or Fraction. Raises TypeError when the type
    is not for such numbers, ValueError when one is out of its range.
    """
    if kind == ASCII:
        raise TypeError("ASCII takes a str, bytes")
    if kind in FRACTIONS:
        return _fractions(kind, numbers).tobytes()
    return (_floats if DTYPES[kind][0] == "f" else _integers)(kind, numbers).tobytes()


def _integers(kind: int, numbers: NDArray[Any]) -> NDArray[Any]:
    whole = all(isinstance(number, Integral) for number in numbers) if numbers.dtype == object else True
    if numbers.dtype.kind == "f" or not whole:
        raise TypeError(f"{TYPE_NAMES[kind]} takes integers")
    bounds = np.iinfo(DTYPES[kind])
    if numbers.min() < bounds.min or numbers.max() > bounds.max:
        raise ValueError(f"{TYPE_NAMES[kind]} goes from {bounds.min} to {bounds.max}")
    return numbers.astype(DTYPES[kind])


def _floats(kind: int, numbers: NDArray[Any]) -> NDArray[Any]:
    too_large = ValueError(f"{TYPE_NAMES[kind]} goes to {np.finfo(DTYPES[kind]).max:g}")
    try:
        doubles = numbers.astype("f8")
    except OverflowError:  # an int beyond all floats
        raise too_large from None
    with np.errstate(over="ignore"):
        stored = doubles.astype(DTYPES[kind])
    if (np.isinf(stored) & ~np.isinf(doubles)).any():
        raise too_large
    return stored


def _fractions(kind: int, numbers: NDArray[Any]) -> NDArray[Any]:
    most = int(np.iinfo(DTYPES[kind]).max)
    least = Fraction(0) if kind == RATIONAL else Fraction(-most)
    pairs = [_fraction(number, least, most) for number in numbers.tolist()]
    if None in pairs:
        sizes = f"0, or from 1/{most} to {most}"
        raise ValueError(f"{TYPE_NAMES[kind]} is {sizes}{'' if kind == RATIONAL else ', of either sign'}")
    return np.array(pairs, DTYPES[kind])


def _fraction(number: float | Fraction, least: Fraction, most: int) -> tuple[int, int] | None:
    """Return numerator and denominator; None when the number is too large, or would become 0 without being it."""
    if isinstance(number, float) and not math.isfinite(number):
        return None
    exact = Fraction(number)
    if not least <= exact <= most or 0 < abs(exact) < Fraction(1, most):
        return None
    numerator, denominator = _nearest(abs(exact), most).as_integer_ratio()
    return (-numerator if exact < 0 else numerator), denominator


def _nearest(size: Fraction, most: int) -> Fraction:
    """Return the fraction nearest to 0 <= size <= most of all whose two numbers are no greater than most.

    Up to `denominator` the best numerator is never too great. With a greater one the fraction is below size, and is
    nearest to it with the least such denominator and the greatest numerator.
    """
    denominator = min(most, int(most / size)) if size else most
    candidates = [size.limit_denominator(denominator)]
    if denominator < most:
        candidates.append(Fraction(most, denominator + 1))
    return min(candidates, key=lambda candidate: abs(candidate - size))
