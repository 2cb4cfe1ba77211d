"""Values that a recipe may take."""

from __future__ import annotations

import os
from dataclasses import field
from typing import Any

STEPS = 100_000_000  # of a run, however long
EPOCHS = 1_000_000
SIDE = 8192  # of a patch in pixels
WEIGHT = 1e6  # of a loss term
SCHEME = "obs://"  # what the address of a folder in object storage begins with


def is_address(place: str | os.PathLike[str] | None) -> bool:
    """Return whether a place is in object storage (`obs://...`) and not a path."""
    return str(place).startswith(SCHEME)


def bounded(default: Any, *, choices: tuple = (), **limits: Any) -> Any:
    """Declare a key with its default and its allowed values.

    Args:
        default: Value when the key is absent.
        choices: All allowed values; empty for numbers.
        **limits: As for `bounds`.
    """
    return field(default=default, metadata={**bounds(**limits), "choices": choices})


def bounds(**limits: Any) -> dict[str, Any]:
    """Return the bounds of a number, or of every number in a list or mapping.

    Every number has bounds on both sides: what lies beyond them fills the memory or makes the weights infinite, and is
    refused before anything is read.

    Args:
        **limits: `minimum` and `maximum`, or `above` and `below`, which exclude the bound itself.
    """
    return {"choices": (), "minimum": None, "maximum": None, "above": None, "below": None, **limits}
