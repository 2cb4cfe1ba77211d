"""Flags of published command lines, translated by the tables in `aliases.yaml`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import list_recipes

TABLES = Path(__file__).with_name("aliases.yaml")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class AliasError(MindRestoreError):
    """Report a published flag whose value cannot be used."""


@dataclass(frozen=True)
class Alias:
    """One line of a table: what a published flag means here.

    Attributes:
        flag: The flag with its dashes.
        type: How its text is read: `str`, `int`, `ints` (several), `float`, `bool`, `switch` (a flag without value) or
            `local`.
        train: Overrides of recipe keys, `{}` standing for the value.
        eval: The argument of `eval` that takes the value.
        restore: The argument of `restore` that takes the value.
        choices: The values that are accepted; all when empty.
        map: Published value -> value here.
        divide: `{"by": flag, "default": number}`: the value is divided by that flag's.
        needs: Flags that have to be given when this one is true.
        same_as: The flag of which this is another spelling; its line counts for both.
        note: What `train` says when the flag is given.
        help: One sentence for `--help`.
    """

    flag: str
    type: str = "str"
    train: Sequence[str] = ()
    eval: str | None = None
    restore: str | None = None
    choices: Sequence[Any] = ()
    map: Mapping[str, str] = field(default_factory=dict)
    divide: Mapping[str, Any] | None = None
    needs: Sequence[str] = ()
    same_as: str | None = None
    note: str = ""
    help: str = ""

    @property
    def dest(self) -> str:
        """Name of the argument that holds the flag's text."""
        return "alias_" + self.flag.lstrip("-")

    def value(self, text: str | list[str]) -> Any:
        """Read the flag's text, or its texts where it takes several.

        Raises:
            AliasError: The text is not of the flag's type, not among its choices, or a URL where a path is needed.
        """
        if isinstance(text, list):
            return [replace(self, type="int").value(word) for word in text]
        if self.type == "local" and "://" in text:
            raise AliasError(
                f"{self.flag} {text}: this needs a path on this machine; get it with `mindrestore copy {text} FOLDER`"
            )
        try:
            value = {"int": int, "float": float, "bool": _read_bool, "switch": _read_bool}.get(self.type, str)(text)
        except ValueError:
            wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}[self.type]
            raise AliasError(f"{self.flag} {text}: give {wanted}") from None
        if self.choices and value not in self.choices:
            raise AliasError(f"{self.flag} {text}: give one of {', '.join(map(str, self.choices))}")
        return self.map.get(value, value) if self.map else value


@dataclass(frozen=True)
class System:
    """The table of one published program.

    Attributes:
        name: Name of the table.
        source: Where the program comes from.
        commands: The commands here that take its flags.
        recipe: The recipe that `train` and `eval` take when its flags are given; None for a program that restores.
        flags: Flag -> what it means here.
        recipe_flag: The flag that names another recipe of the same system.
        variant_flag: The flag whose value, from its last underscore on, ends that recipe's name where there is one.
        defaults: Overrides that stand for absent flags when no recipe is named.
    """

    name: str
    source: str
    commands: Sequence[str]
    recipe: str | None
    flags: Mapping[str, Alias]
    recipe_flag: str | None = None
    variant_flag: str | None = None
    defaults: Sequence[str] = ()

    def recipe_for(self, values: Mapping[str, Any]) -> str | None:
        """Return the recipe for the flags of a command line."""
        named = values.get(self.recipe_flag)
        if not named:
            return self.recipe
        base = named if "/" in named else f"{self.name}/{named}"
        if self.variant_flag is None:
            return base
        variant, known = str(values.get(self.variant_flag, "")).rpartition("_")[2], list_recipes()
        return next((name for name in (f"{base}_{variant}", base) if name in known), f"{base}_t")


@lru_cache(maxsize=1)
def systems() -> tuple[System, ...]:
    """Read all tables, in the order of the file."""
    tables = yaml.safe_load(TABLES.read_text(encoding="utf-8"))
    return tuple(_system(name, **table) for name, table in tables.items())


def _system(name: str, *, flags: Mapping[str, Any], recipe: str | None = None, **facts: Any) -> System:
    return System(name, recipe=recipe, flags={flag: Alias(flag, **line) for flag, line in flags.items()}, **facts)


def add_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the published flags that a command takes to its parser, as text; `given_values` reads them."""
    seen: set[str] = set()
    for system in systems():
        if command not in system.commands:
            continue
        implied = f" (they imply --recipe {system.recipe})" if system.recipe and command == "train" else ""
        group = parser.add_argument_group(f"published flags, {system.source}{implied}")
        for alias in system.flags.values():
            if alias.flag in seen or alias.flag in parser._option_string_actions:  # the command's own flag
                continue
            seen.add(alias.flag)
            if alias.type == "switch":
                group.add_argument(alias.flag, dest=alias.dest, action="store_const", const="true", help=alias.help)
                continue
            options = {"bool": {"nargs": "?", "const": "true"}, "ints": {"nargs": "+"}}.get(alias.type, {})
            metavar = alias.type.upper().rstrip("S") if alias.type == "ints" else alias.type.upper()
            group.add_argument(alias.flag, dest=alias.dest, metavar=metavar, help=alias.help, **options)


def given_values(args: argparse.Namespace, recipe: str | None = None) -> tuple[System | None, dict[str, Any]]:
    """Read the published flags of a parsed command line.

    Args:
        args: What a parser with `add_flags` returned.
        recipe: The recipe that was asked for; its first part (`aecrnet` of `aecrnet/its`) chooses the table.

    Returns:
        The system whose table applies (`None` when no published flag was given) and flag -> value.

    Raises:
        AliasError: A value cannot be used, or the flags belong to no single system.
    """
    fitting = _systems_for(getattr(args, "command", None))
    every = {flag: alias for system in fitting for flag, alias in system.flags.items()}
    texts = {flag: getattr(args, alias.dest, None) for flag, alias in every.items()}
    texts = {flag: text for flag, text in texts.items() if text}  # '' is how the published programs say "none"
    if not texts:
        return None, {}
    system = _system_of(set(texts), recipe, fitting)
    texts = _one_spelling(system, texts)
    values = {flag: system.flags[flag].value(text) for flag, text in texts.items()}
    for flag, value in values.items():
        missing = [needed for needed in system.flags[flag].needs if value is True and needed not in values]
        if missing:
            raise AliasError(f"{flag} true: give the folders of the data and the results with {' and '.join(missing)}")
    for flag in values:
        divide = system.flags[flag].divide
        if divide:
            values[flag] /= values.get(divide["by"], divide["default"])
    return system, values


def recipe_overrides(system: System | None, values: Mapping[str, Any]) -> list[str]:
    """Turn published flags into `key=value` overrides of a recipe."""
    words = {flag: json.dumps(value) for flag, value in values.items()}  # JSON is YAML with no doubt about the type
    return [template.format(word) for flag, word in words.items() for template in system.flags[flag].train]


def command_arguments(
    system: System | None, values: Mapping[str, Any], command: str
) -> tuple[dict[str, Any], list[str]]:
    """Turn published flags into arguments of `eval` or `restore`, and list those that mean nothing there."""
    names = {flag: getattr(system.flags[flag], command) for flag in values}
    taken = {names[flag]: value for flag, value in values.items() if names[flag]}
    unused = [flag for flag in values if not (names[flag] or system.flags[flag].needs)]
    return taken, unused


def given_notes(system: System | None, values: Mapping[str, Any]) -> list[str]:
    """Return what there is to say about the published flags of a command line."""
    return [f"{flag}: {system.flags[flag].note}" for flag in values if system.flags[flag].note]


def _one_spelling(system: System, texts: Mapping[str, Any]) -> dict[str, Any]:
    """Put flags that are another spelling under the flag they stand for."""
    found: dict[str, Any] = {}
    for flag, text in texts.items():
        own = system.flags[flag].same_as or flag
        if found.setdefault(own, text) != text:
            raise AliasError(f"{flag} {text}: {own} says {found[own]}; give one of the two")
    return found


def _systems_for(command: str | None) -> list[System]:
    return [system for system in systems() if command is None or command in system.commands]


def _system_of(flags: set[str], recipe: str | None, known: Sequence[System]) -> System:
    fitting = [system for system in known if flags <= set(system.flags)]
    if not fitting:
        raise AliasError(f"{', '.join(sorted(flags))} belong to different published programs; use key=value overrides")
    preferred = recipe.split("/")[0] if recipe else ""
    return next((system for system in fitting if system.name == preferred), fitting[0])


def _read_bool(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text.lower()]
