"""Values that a recipe may take."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def bounded(default: Any, *, choices: tuple = (), **bounds: Any) -> Any:
    """Declare a field with its allowed values: a set, or bounds (`above` and `below` exclude the bound itself)."""
    rules = {"choices": choices, "minimum": None, "maximum": None, "above": None, "below": None}
    return field(default=default, metadata={**rules, **bounds})
