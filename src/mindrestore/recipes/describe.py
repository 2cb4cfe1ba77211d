"""Tables of every key that a recipe may have: its type, its default, what is allowed, and what it means."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from mindrestore.recipes.build import join
from mindrestore.recipes.schema import LossConfig, Recipe
from mindrestore.recipes.terms import LOSS_TERMS

_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping", Any: "anything"}
_SIGNS = {"minimum": "≥", "above": ">", "maximum": "≤", "below": "<"}
_PYTHON = {"None": "null", "True": "true", "False": "false"}
_AS_YAML = re.compile(rf"\b({'|'.join(_PYTHON)})(?=:)")
_COMMENT = re.compile(r"(?:^|\s)# (?!noqa)(.*)$")


class Key(NamedTuple):
    """One key of a recipe, in words."""

    name: str
    kind: str
    default: str
    allowed: str
    meaning: str


def recipe_keys() -> list[Key]:
    """List every key, in the order of the schema; `[]` stands behind lists of mappings."""
    return list(_keys(Recipe, ""))


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows, the first of which is the heading, as a table of Markdown."""
    heading, *others = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *others))


def as_code(value: Any) -> str:
    """Return a value as a recipe has it, marked as code."""
    return f"`{_plain(value)}`"


def _keys(kind: type, path: str) -> Iterator[Key]:
    """Return the keys of a class and of those inside it."""
    hints, meanings = get_type_hints(kind), _comments(kind)
    for field in dataclasses.fields(kind):
        name, (hint, optional, several) = join(path, field.name), _inner(hints[field.name])
        if dataclasses.is_dataclass(hint):
            if optional or several:
                yield Key(name, "list of mappings" if several else "mapping", _default(field), "", meanings[field.name])
            yield from _keys(hint, f"{name}[]" if several else name)
        elif kind is LossConfig and field.name == "terms":
            for term, row in LOSS_TERMS.items():
                yield from _keys(row.settings, join(name, term))
        else:
            words = _TYPES[get_origin(hint) or hint]
            shown = f"list of {words}s" if several else words
            yield Key(name, shown, _default(field), _allowed(field.metadata, optional), meanings[field.name])


def _inner(hint: Any) -> tuple[Any, bool, bool]:
    """Return a type without `Optional` and `tuple`, and whether these stood around it."""
    optional = get_origin(hint) is Union
    hint = get_args(hint)[0] if optional else hint
    several = get_origin(hint) is tuple
    return (get_args(hint)[0] if several else hint), optional, several


def _default(field: dataclasses.Field) -> str:
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return as_code(value)


def _allowed(rules: Mapping[str, Any], optional: bool) -> str:
    """Word the bounds, or list the choices."""
    if rules.get("choices"):
        return ", ".join(as_code(choice) for choice in rules["choices"])
    bounds = [f"{sign} {_number(rules[rule])}" for rule, sign in _SIGNS.items() if rules.get(rule) is not None]
    return " and ".join(bounds) + (", or null" if bounds and optional else "")


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _comments(kind: type) -> dict[str, str]:
    """Return what the comments beside or above the fields of a class and of those before it say."""
    found: dict[str, str] = {field.name: "" for field in dataclasses.fields(kind)}
    for base in filter(dataclasses.is_dataclass, reversed(kind.__mro__)):
        above, name = "", ""
        for line in inspect.getsource(base).splitlines():
            said = _COMMENT.search(line)
            field = re.match(r"    (\w+): ", line)
            if field:
                name = field.group(1)
                found[name], above = above, ""
            if said and line.lstrip().startswith("#"):
                above = f"{above} {said.group(1)}".strip()
            elif said and name:
                found[name] = f"{found[name]} {said.group(1)}".strip()
    return {name: _AS_YAML.sub(lambda word: _PYTHON[word[0]], text) for name, text in found.items()}


def _plain(value: Any) -> str:
    """Return a value as a recipe has it."""
    if value is None or isinstance(value, bool):
        return _PYTHON[str(value)]
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, Mapping):
        return "{}" if not value else str(dict(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
