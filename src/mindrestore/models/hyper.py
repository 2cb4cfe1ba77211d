"""Ranges of hyper-parameters, found from the published values: what is far beyond them would only fill the memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mindrestore.errors import MindRestoreError, did_you_mean

_TIMES = 8  # how far a number may be above the published one
_LEAST_LIMIT = 64  # whatever the published one is
_LARGEST_FACTOR = 1000.0  # of numbers that scale something
_MAY_BE_ZERO = ("deform_layers",)  # numbers of layers that a network can do without


class ModelError(MindRestoreError):
    """Report an unknown network or hyper-parameter."""


def check_hyper(model: str, given: Mapping[str, Any], published: Mapping[str, Any]) -> None:
    """Refuse hyper-parameters that a network does not have, of another type, or far beyond the published ones.

    Args:
        model: Registered name, for the message.
        given: Hyper-parameters that differ from the published ones.
        published: Every hyper-parameter with its published value.

    Raises:
        ModelError: The message names key, value and permitted range.
    """
    for key, value in given.items():
        if key not in published:
            raise ModelError(f"model {model}: unknown hyper-parameter {key!r}; {did_you_mean(key, published)}")
        usual = published[key]
        if isinstance(usual, (tuple, list)):
            if not isinstance(value, (tuple, list)) or len(value) != len(usual):
                raise ModelError(f"model {model}: {key}={_shown(value)}; use {len(usual)} numbers, such as {[*usual]}")
            for entry in value:
                _check(model, key, entry, _largest(usual))
        else:
            _check(model, key, value, usual)


def allowed(key: str, usual: Any) -> str:
    """Return in words what may stand for a hyper-parameter.

    Args:
        key: Its name.
        usual: Its published value.
    """
    if isinstance(usual, (tuple, list)):
        return f"{len(usual)} numbers, each {_range_of(key, _largest(usual))[1]}"
    return _range_of(key, usual)[1] + (", or null" if usual is None else "")


def _largest(usual: Sequence[float]) -> float:
    """Return the published value from which the limit of every number of a list comes."""
    return max(usual) if all(type(entry) is int for entry in usual) else float(max(usual))


def _check(model: str, key: str, value: Any, usual: Any) -> None:
    """Refuse a single value."""
    if usual is None and value is None:
        return
    fits, wanted = _range_of(key, usual)
    if not fits(value):
        raise ModelError(f"model {model}: {key}={_shown(value)}; use {wanted}")


def _range_of(key: str, usual: Any) -> tuple[Callable[[Any], bool], str]:
    """Return what tells whether a value is permitted, and the range in words."""
    if isinstance(usual, (bool, str)):
        return lambda value: isinstance(value, type(usual)), "true or false" if isinstance(usual, bool) else "a name"
    if isinstance(usual, int):
        limit = max(_TIMES * usual, _LEAST_LIMIT)
        least = 0 if key in _MAY_BE_ZERO else 1
        words = f"a whole number from {least} to {limit}"
        return lambda value: type(value) is int and least <= value <= limit, words
    words = f"a number from 0 to {_LARGEST_FACTOR:g}"
    return lambda value: type(value) in (int, float) and 0 <= value <= _LARGEST_FACTOR, words


def _shown(value: Any) -> str:
    return repr(value)[:60]
