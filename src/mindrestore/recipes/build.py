"""Turn plain mappings into the classes of a recipe, and name every key or value that does not fit."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from mindrestore.errors import closest, did_you_mean
from mindrestore.recipes.schema import LossConfig, RecipeError
from mindrestore.recipes.terms import LOSS_TERMS

_LARGEST = 1e300
_LONG_NUMBER = 1e12
_FEW = 20  # so many keys are listed
_LONGEST_SHOWN = 60  # characters of a value in a message
_WORDS = {
    **{str: "text", int: "a whole number", float: "a number", bool: "true or false"},
    **{dict: "a mapping", list: "a list", tuple: "a list"},
}
_BOUNDS = {  # how a bound is compared, and said
    "minimum": (operator.ge, "of at least"),
    "above": (operator.gt, "above"),
    "maximum": (operator.le, "at most"),
    "below": (operator.lt, "below"),
}


def build(kind: type, values: Any, path: str = "") -> Any:
    """Fill a schema class from a mapping.

    Args:
        kind: a dataclass of this module.
        values: mapping of field names to plain YAML values; missing fields take their defaults.
        path: dotted name of the mapping, for messages.

    Returns:
        An instance of `kind` with checked types and ranges.

    Raises:
        RecipeError: unknown key (the closest valid one is named), wrong type, value out of range.
    """
    if not isinstance(values, Mapping):
        raise RecipeError(f"{path or 'recipe'}: {values!r} is not a mapping of keys to values")
    hints, fields = get_type_hints(kind), {f.name: f for f in dataclasses.fields(kind)}
    ready = {}
    for key, value in values.items():
        name = join(path, str(key))
        if key not in fields:
            raise RecipeError(unknown_key(name, [join(path, known) for known in fields]))
        if kind is LossConfig and key == "terms":
            ready[key] = _terms(value, name)
            continue
        ready[key] = _convert(value, hints[key], name)
        _check_range(ready[key], fields[key].metadata, name)
    return kind(**ready)


def unknown_key(name: str, known: list[str]) -> str:
    """Word the message for a key that does not exist."""
    many = len(known) > _FEW and closest(name, known) is None
    return f"unknown recipe key {name!r}; {'see `mindrestore recipes --keys`' if many else did_you_mean(name, known)}"


def join(path: str, key: str) -> str:
    """Join a dotted path and a key."""
    return f"{path}.{key}" if path else key


def _terms(values: Any, path: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise RecipeError(f"{path}: {values!r} is not a mapping of term names to settings")
    terms = {}
    for name, settings in values.items():
        if name not in LOSS_TERMS:
            raise RecipeError(unknown_key(join(path, str(name)), [join(path, known) for known in LOSS_TERMS]))
        settings = {"weight": 0} if settings is None else settings
        terms[name] = build(LOSS_TERMS[name].settings, settings, join(path, name))
    return terms


def _convert(value: Any, hint: Any, name: str) -> Any:
    """Bring a YAML value to the declared type, or say which type was expected."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union:  # Optional[X]
        return None if value is None else _convert(value, args[0], name)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, name)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _type_error(name, value, f"a list of {_WORDS.get(args[0], 'a mapping').removeprefix('a ')}s")
        return tuple(_convert(item, args[0], f"{name}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        free = args[1] is Any
        texts = {str(key): item for key, item in value.items()}
        return texts if free else {key: _convert(item, args[1], join(name, key)) for key, item in texts.items()}
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and hint in (int, float) and abs(value) > _LARGEST:  # beyond every range, and what a float can hold
        return math.inf if value > 0 else -math.inf
    if hint is float and number:
        return float(value)
    if hint is int and number and float(value).is_integer():
        return int(value)
    if hint in (str, bool) and isinstance(value, hint):
        return value
    raise _type_error(name, value, _WORDS[origin or hint])


def _type_error(name: str, value: Any, expected: str) -> RecipeError:
    given = "nothing" if value is None else f"{_shown(value)} is {_WORDS.get(type(value), 'something else')}"
    return RecipeError(f"{name}: {given}, expected {expected}")


def _check_range(value: Any, rules: Mapping[str, Any], name: str) -> None:
    """Refuse what is not within the declared bounds; of a list or a mapping, each value."""
    if not rules:
        return
    limits = [(compare, text, rules[rule]) for rule, (compare, text) in _BOUNDS.items() if rules[rule] is not None]
    for own, item in _leaves(value, name):
        if rules["choices"] and item is not None and item not in rules["choices"]:
            raise RecipeError(f"{own}: {item!r} is not one of {', '.join(rules['choices'])}")
        number = isinstance(item, (int, float)) and not isinstance(item, bool)
        if number and not all(compare(item, bound) for compare, _, bound in limits):
            words = " and ".join(f"{text} {_shown(bound)}" for _, text, bound in limits)
            raise RecipeError(f"{own}: {_shown(item)} is out of range; use a number {words}")


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Return what a value holds, each with its dotted name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, join(name, str(key)))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{name}[{number}]")
    else:
        yield name, value


def _shown(value: Any) -> str:
    """Return a value for a message: large numbers with an exponent, long text cut."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = f"{value:g}" if number and (isinstance(value, float) or abs(value) >= _LONG_NUMBER) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
