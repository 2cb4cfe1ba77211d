"""Types of command line arguments: numbers, ranges and sizes, with a message that says what is wanted."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def nonempty_path(text: str) -> Path:
    """Read a path; the empty text that an unset variable of a shell leaves would mean the working directory.

    Raises:
        argparse.ArgumentTypeError: It is empty, or an address, which as a path would name a folder here.
    """
    if _ADDRESS.match(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is an address, not a path; download it first, or copy results there afterwards (`mindrestore "
            "copy` does for obs://)"
        )
    return _parse(text, Path, lambda _: text != "", "a path; is a variable of the shell unset?")


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    return _parse(text, int, lambda value: value > 0, "a whole number of at least 1")


def seed(text: str) -> int:
    """Read a whole number of at least 0."""
    return _parse(text, int, lambda value: value >= 0, "a whole number of at least 0")


def positive_number(text: str) -> float:
    """Read a finite number above 0."""
    return _parse(text, float, lambda value: 0 < value < math.inf, "a number above 0")


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    return _parse(text, float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def span(text: str) -> tuple[float, float]:
    """Read LOW:HIGH, or one number for both."""
    return _parse(text, _pair_of(float, ":"), lambda ends: 0 <= ends[0] <= ends[1], "LOW:HIGH with 0 <= LOW <= HIGH")


def unit_span(text: str) -> tuple[float, float]:
    """Read LOW:HIGH within 0 and 1, or one number for both."""
    return _parse(text, span, lambda ends: ends[1] <= 1, "LOW:HIGH within 0 and 1")


def lean(text: str) -> tuple[float, float]:
    """Read the largest lean to either side in degrees."""
    degrees = _parse(text, float, lambda value: 0 <= value < 90, "a number of degrees from 0 to below 90")
    return -degrees, degrees


def size(text: str) -> tuple[int, int]:
    """Read WxH, or one number for both."""
    return _parse(text.lower(), _pair_of(int, "x"), lambda sides: min(sides) > 0, "a size such as 320x240")


def _pair_of(convert: Callable[[str], Any], separator: str) -> Callable[[str], tuple]:
    def read(text: str) -> tuple:
        first, _, second = text.partition(separator)
        return convert(first), convert(second or first)

    return read


def _parse(text: str, convert: Callable[[str], Any], allowed: Callable[[Any], bool], wanted: str) -> Any:
    try:
        value = convert(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
