"""Read the tables of the published programs, `tables/*.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mindrestore.files import parse_yaml
from mindrestore.published.flags import Flag

TABLES = Path(__file__).with_name("tables")
COMMANDS = ("train", "eval", "restore", "export", "data")
# The order in which a command line that fits several programs is looked up
ORDER = ("aecrnet", "dsrir", "crossdehaze", "mpilnet", "mprnet", "paddlegan", "paddlegan_main", "launchers")
_EVERYWHERE = "modelarts"  # flags that go with those of every program


@dataclass(frozen=True)
class Lookup:
    """Files that a published program finds by itself: the first that is there becomes a word of the command line.

    Attributes:
        words: Template of the word or words; `{}` stands for the path.
        paths: Templates of the files to look at; one without a suffix stands for a weight file of any known suffix.
        runs: Templates of run folders to look at after them; one becomes a positional argument.
        folders: Templates of folders to look at.
        unless: Flags of ours that say the same; `RUN` is a positional argument.
        missing: What is said when none is there; then nothing goes on. Empty where the file is not needed.
    """

    words: str
    paths: Sequence[str] = ()
    runs: Sequence[str] = ()
    folders: Sequence[str] = ()
    unless: Sequence[str] = ()
    missing: str = ""


@dataclass(frozen=True)
class Use:
    """What a command of ours does for a program, beside its flags.

    Attributes:
        recipe: The recipe that is taken when the command line names none.
        recipe_flag: The flag that names another recipe of the same program.
        variant_flag: The flag whose value, from its last underscore on, ends that recipe's name where there is one.
        ending: What else ends the recipe's name where there is such a recipe.
        defaults: Flag -> text that stands for it when it is absent; a flag of ours that says the same wins.
        always: Words that are added unless a flag of ours says the same.
        words: The same; a variant or a script may replace them.
        extra: The same; only of a script.
        without_run: The same, for command lines that name no run folder.
        instead: Flags whose own words are not added, since `words` or `places` say it.
        tail: Templates of the last words, before those that follow `--`.
        places: Files that the program finds by itself.
        given: Flag -> the keys that are replaced when it is given.
        bare: Values of --task with which a command line that names nothing to work on is one of this program.
    """

    recipe: str | None = None
    recipe_flag: str | None = None
    variant_flag: str | None = None
    ending: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    always: Sequence[str] = ()
    words: Sequence[str] = ()
    extra: Sequence[str] = ()
    without_run: Sequence[str] = ()
    instead: Sequence[str] = ()
    tail: Sequence[str] = ()
    places: Sequence[Lookup] = ()
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bare: Sequence[str] = ()

    def having(self, flags: Collection[str]) -> Use:
        """Return the variant for a command line with these flags."""
        found = next((facts for flag, facts in self.given.items() if flag in flags), None)
        return replace(self, **_places(found)) if found else self


@dataclass(frozen=True)
class Script:
    """A program file: the command of ours that does the same, and what is particular to it.

    Attributes:
        path: Its path below the published repository.
        command: The command of ours.
        use: Replaces the keys of the system's `Use` that it names.
        positional: Name of a positional argument -> text that stands for it when it is absent.
        switch: Flag -> command that is meant instead when the flag is given.
        remark: What has to be known.
    """

    path: str
    command: str
    use: Mapping[str, Any] = field(default_factory=dict)
    positional: Mapping[str, str] = field(default_factory=dict)
    switch: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True)
class System:
    """The table of one published program, or of several that share their flags."""

    name: str
    source: str
    flags: Mapping[str, Flag]
    scripts: Sequence[Script]
    uses: Mapping[str, Use]

    def use(self, command: str, script: Script | None, given: Collection[str]) -> Use:
        """Return what a command does here, for a script where it is known, and for these flags."""
        own = script.use if script else {}
        use = self.uses.get(command, Use()).having({*given, *own.get("defaults", ())})
        return replace(use, **_places(own))


@lru_cache(maxsize=1)
def systems() -> tuple[System, ...]:
    """Return all tables, in the order in which they are looked up."""
    common = _read(_EVERYWHERE)["flags"]
    return tuple(_system(name, common, **_read(name)) for name in ORDER)


def _read(name: str) -> dict[str, Any]:
    return parse_yaml((TABLES / f"{name}.yaml").read_text(encoding="utf-8"))


def _system(
    name: str,
    common: Mapping[str, Any],
    *,
    source: str,
    scripts: Mapping[str, Any],
    flags: Mapping[str, Any] | None = None,
    uses: Mapping[str, Any] | None = None,
) -> System:
    lines = {**(flags or {})}
    if uses and "train" in uses:
        lines = {**common, **lines}
    return System(
        name,
        source,
        {flag: _flag(flag, **line) for flag, line in lines.items()},
        [Script(path, **facts) for path, facts in scripts.items()],
        {command: Use(**_places(facts or {})) for command, facts in (uses or {}).items()},
    )


def _flag(name: str, **line: Any) -> Flag:
    words = {command: line.pop(command) for command in COMMANDS if command in line}
    return Flag(name, words, **line)


def _places(facts: Mapping[str, Any]) -> dict[str, Any]:
    places = [Lookup(**place) for place in facts.get("places", ())]
    return {**facts, "places": places} if places else dict(facts)
