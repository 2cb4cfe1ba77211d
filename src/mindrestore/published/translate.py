"""Translate a published command line into one of ours: words in, words out, before anything is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindrestore.published.flags import Flag, PublishedError, Text, fill
from mindrestore.published.settings_json import read_settings
from mindrestore.published.tables import Lookup, Script, System, Use, systems
from mindrestore.published.words import RUN, Words, take_apart

_COMMANDS = ("train", "eval", "restore", "export")  # of ours, that take published flags
_WEIGHTS = (".pth", ".ckpt", ".safetensors", ".npz")


@dataclass
class Translation:
    """A command line of ours, and how it came about.

    Attributes:
        argv: The words after `mindrestore`.
        system: The published program; None where the command line is ours already.
        became: Published flag with its text, or "" for what the program does by itself -> the words of ours; none for a
            flag that others take into account.
        notes: What there is to say.
        kept: Flags of ours, which stay, with their values.
        unknown: Flags that are neither the program's nor ours, with their values; they stay in `argv`, for the parser
            to refuse, unless the translation is lenient.
    """

    argv: list[str]
    system: System | None = None
    became: list[tuple[str, list[str]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def translate(
    argv: Sequence[str],
    own: Mapping[str, Any],
    *,
    system: System | None = None,
    script: Script | None = None,
    lenient: bool = False,
) -> Translation:
    """Translate a command line.

    Args:
        argv: A command of ours, then flags of a published program, ours, or both.
        own: Our flags of that command -> number of their values, as argparse has it.
        system: The program that is meant; None finds it by its flags.
        script: Its file, where it is known.
        lenient: Name the first place where a file is looked for when there is none, in place of an error, and leave out
            unknown flags.

    Returns:
        The command line of ours; the same one where no published flag is in it.

    Raises:
        PublishedError: A value cannot be used, the flags belong to no single program, or a file that the program needs
            is not there.
    """
    argv = list(argv)
    if system is None and not _may_be_published(argv, own):
        return _ours(argv, own) if lenient else Translation(argv)
    command, *words = argv
    if system is None:
        system = _find(command, words, own)
    if system is None:
        return _ours(argv, own) if lenient else Translation(argv)
    taken = take_apart(words, system.flags, own)
    pair = next((words[0] for words in taken.foreign if " " in words[0]), None)
    if pair and not lenient:
        raise PublishedError(f"{pair}: no such key is known; use key=value of the recipe, without {pair.split()[0]}")
    made = _Builder(command, system, script, taken, lenient).build()
    made.kept = [(flag, value) for flag, value in taken.said.items() if flag != RUN]
    made.unknown = [" ".join(words) for words in taken.foreign]
    return made


def _ours(argv: Sequence[str], own: Mapping[str, Any]) -> Translation:
    """Return a command line of ours without the flags that it does not know."""
    if own.keys() <= {"-h", "--help"}:  # its verbs have flags of their own
        return Translation(list(argv))
    taken = take_apart(argv[1:], {}, own)
    known = [*argv[:1], *taken.own, *taken.positionals, *taken.after] if taken.foreign else argv
    return Translation(list(known), unknown=[" ".join(words) for words in taken.foreign])


def published_flags(command: str) -> set[str]:
    """Return the flags of published programs that a command of ours takes."""
    able = [system for system in systems() if command in system.uses] if command in _COMMANDS else []
    return {flag for system in able for flag in system.flags if " " not in flag}


def _may_be_published(argv: Sequence[str], own: Mapping[str, Any]) -> bool:
    """Return whether the tables are needed; they are not for a command line of ours, nor for `--help`."""
    if not argv or argv[0] not in _COMMANDS or {"-h", "--help"} & {*argv}:
        return False
    foreign = [word for word in argv[1:] if word.startswith("-") and word.partition("=")[0] not in own]
    return bool(foreign) or (argv[0] == "restore" and RUN not in take_apart(argv[1:], {}, own).said)


def _find(command: str, words: Sequence[str], own: Mapping[str, Any]) -> System | None:
    """Find the program by flags that are not ours, too."""
    able = [system for system in systems() if command in system.uses]
    every = {flag: line for system in able for flag, line in system.flags.items() if flag not in own}
    taken = take_apart(words, every, own)
    if not taken.given:
        task = taken.said.get("--task")
        return next((s for s in able if task in s.uses[command].bare and RUN not in taken.said), None)
    fitting = [system for system in able if taken.given.keys() <= system.flags.keys()]
    if not fitting:
        raise PublishedError(
            f"{', '.join(sorted(taken.given))} belong to different published programs; use our own flags and key=value "
            "overrides"
        )
    preferred = taken.said.get("--recipe", "").split("/")[0]
    return next((system for system in fitting if system.name == preferred), fitting[0])


class _Builder:
    """Put the command line of ours together."""

    def __init__(self, command: str, system: System, script: Script | None, words: Words, lenient: bool) -> None:
        self.lenient = lenient
        self.command, self.system, self.script, self.words = command, system, script, words
        self.said = words.said
        self.given = self._one_spelling()
        self.use = system.use(command, script, self.given)
        # A recipe or run folder that is named brings its own settings; flags change only what they say
        recipe, run = words.said.get("--recipe"), words.said.get("--run-dir")
        named = recipe is not None or (run is not None and (Path(run) / "recipe.yaml").is_file())
        if command == "train" and named:
            own = str(recipe).startswith(f"{system.name}/")  # finds its files as without that name
            self.use = Use(places=self.use.places, defaults=self._silent(self.use.defaults)) if own else Use()
        absent = {flag: text for flag, text in self.use.defaults.items() if flag not in self.given}
        self.texts = {**self.given, **absent}
        self.values = self._values()
        self.fields = self._fields()
        self.keys = self._keys()
        self.made = Translation([], system)

    def build(self) -> Translation:
        """Add words in the order in which later ones win: the program's, its flags', ours."""
        if self.command == "train" and self._recipe():
            self._add("", ["--recipe", str(self._recipe(self.use.ending))])
        for template in (*self.use.always, *self.use.words, *self.use.extra):
            self._add_unless_said("", template)
        for flag in sorted(self.texts, key=lambda name: self.system.flags[name].type != "settings"):
            self._add_flag(self.system.flags[flag])
        found_run = [self._add_place(place) for place in self.use.places]
        shown = {name.partition(" ")[0] for name, _ in self.made.became}
        quiet = [
            flag for flag in self.given if flag not in shown and not any(flag.rstrip("=") in n for n in self.made.notes)
        ]
        self.made.became += [(self._spelt(flag), []) for flag in quiet]  # it chose the recipe, or a part of a path
        if not any(found_run) and RUN not in self.said:
            for template in self.use.without_run:
                self._add_unless_said("", template)
        words = self.words
        made = [word for _, parts in self.made.became for word in parts]
        tail = [word for template in self.use.tail for word in fill(template, "", self.fields)]
        positionals = [] if self.script and self.script.positional else words.positionals
        after = words.after[1:] if tail else words.after
        foreign = [] if self.lenient else [word for words in words.foreign for word in words]
        self.made.argv = [self.command, *made, *words.own, *foreign, *positionals, *tail, *after]
        return self.made

    def _silent(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """Return the defaults that become no words, but say where files lie."""
        flags = self.system.flags
        return {flag: text for flag, text in defaults.items() if not flags[flag].words.get(self.command)}

    def _one_spelling(self) -> dict[str, Text]:
        """Put flags that are another spelling under the flag they stand for."""
        found: dict[str, Text] = {}
        for flag, text in self.words.given.items():
            main = self.system.flags[flag].same_as or flag
            if found.setdefault(main, text) != text:
                raise PublishedError(f"{flag} {text}: {main} says {found[main]}; use one of the two")
        return found

    def _values(self) -> dict[str, Any]:
        flags = self.system.flags
        values = {flag: flags[flag].value(text, self.command) for flag, text in self.texts.items()}
        for flag, value in values.items():
            needs = flags[flag].needs if value is not False else ()
            if any(needed not in values for needed in needs):
                raise PublishedError(f"{flag} needs {' and '.join(needs)}: {_REASONS[needs[0]]}")
        for flag in values:
            divide = flags[flag].divide
            if divide:
                values[flag] /= values.get(divide["by"], divide["default"])
        return values

    def _fields(self) -> dict[str, str]:
        """Return what templates can name: texts of flags, their values here, positional arguments and the recipe."""
        flags = self.system.flags
        fields = {name: "" for flag in flags.values() for name in (flag.key, f"{flag.key}_here")}
        fields.update({flags[flag].key: _without_slash(str(text)) for flag, text in self.texts.items()})
        fields.update({f"{flags[flag].key}_here": str(value) for flag, value in self.values.items()})
        if self.script:
            fields.update({**self.script.positional, **dict(zip(self.script.positional, self.words.positionals))})
        return {**fields, "recipe": (self._recipe() or "").replace("/", "_")}

    def _keys(self) -> set[str]:
        """Return the keys of recipes and flags of ours that given flags set: what comes by itself has no say there."""
        flags = [self.system.flags[name] for name in self.given]
        words = [word for flag in flags for word in flag.become(self.command, self.values[flag.name], self.fields)]
        return {_key(word) or word for word in words if _key(word) or word.startswith("--")}

    def _recipe(self, ending: str = "") -> str | None:
        """Return the recipe for the flags of the command line."""
        named = self.values.get(self.use.recipe_flag or "")
        if not named:
            return self.use.recipe
        from mindrestore.recipes.load import list_recipes

        base = named if "/" in named else f"{self.system.name}/{named}"
        variant, known = str(self.values.get(self.use.variant_flag or "", "")).rpartition("_")[2], list_recipes()
        names = (f"{base}{ending}", f"{base}_{variant}", base)
        return next((name for name in names if name in known), f"{base}_t")

    def _add_flag(self, flag: Flag) -> None:
        text, value = self.texts[flag.name], self.values[flag.name]
        given = flag.name in self.given
        name = self._spelt(flag.name) if given else ""
        if flag.type == "settings":
            self._add(name, read_settings(Path(str(text))))
            return
        published = Path(str(text)).name if flag.type == "name" else str(text)
        for template in flag.brings.get(published, {}).get(self.command, ()):
            if (_key(template) or template.partition(" ")[0]) not in self.keys:
                self._add_unless_said(name, template)
        words = [] if flag.name in self.use.instead else flag.become(self.command, value, self.fields)
        if words and (given or _key(words[0]) not in self.keys):
            self._add_own(name, words)
        if given and flag.note:
            self.made.notes.append(f"{flag.name.rstrip('=')}: {flag.note}")
        elif given and (flag.inert or self.command not in flag.words):
            self.made.notes.append(f"{flag.name.rstrip('=')} changes nothing in `mindrestore {self.command}`")

    def _spelt(self, flag: str) -> str:
        line = self.system.flags[flag]
        return flag if line.type == "switch" else line.spelt(self.texts[flag])

    def _add_own(self, name: str, words: list[str]) -> None:
        """Add words that a flag stands for; a flag of ours may say the same, and not something else."""
        place = words[0] if words[0].startswith("-") else RUN
        is_override = place == RUN and "=" in words[0]
        if is_override or place == _REPEATED or place not in self.said:
            self._add(name, words)
        elif name and self.said[place] != words[-1]:
            what = "what to work on" if place == RUN else place
            raise PublishedError(f"{self.said[place]} and {words[-1]} are both given as {what}; use one of them")

    def _add_place(self, place: Lookup) -> bool:
        """Add a file, folder or run folder that is there; return whether it is a run folder."""
        if any(flag in self.said for flag in place.unless):
            return False
        files, folders, runs = (
            [Path(path.format(**self.fields)) for path in paths] for paths in (place.paths, place.folders, place.runs)
        )
        found = next(filter(None, map(_weight_file, files)), None) or next(filter(Path.is_dir, folders), None)
        run = next((path for path in runs if (path / "recipe.yaml").is_file()), None)
        if found:
            self._add("", fill(place.words, str(found), self.fields))
        elif run:
            self._add("", [str(run)])
        elif place.missing:
            looked = [*files, *folders, *runs]
            if self.lenient:
                suffix = "" if folders or looked[0].suffix in _WEIGHTS else _WEIGHTS[0]
                self._add("", fill(place.words, f"{looked[0]}{suffix}", self.fields))
                return False
            raise PublishedError(place.missing.format(first=looked[0], last=looked[-1], **self.fields))
        return found is None and run is not None

    def _add_unless_said(self, name: str, template: str) -> None:
        words = fill(template, "", self.fields)
        if words[-1] and not (words[0].startswith("-") and words[0] in self.said):
            self._add(name, words)

    def _add(self, name: str, words: list[str]) -> None:
        made = [word for _, parts in self.made.became for word in parts]
        new = words if words[0].startswith("-") else [word for word in words if word not in made]
        if new:
            self.made.became.append((name, new))


_REPEATED = "--root"  # of `eval`: a folder per task
_REASONS = {
    "--mode": "use all_in_one, noise, rain or haze",
    "--data_url": "the folders of the data and the results, obs://BUCKET/FOLDER or those that the job mounts",
}


def _key(word: str) -> str:
    """Return the key of an override, else nothing."""
    return "" if word.startswith("-") else word.partition("=")[0] if "=" in word else ""


def _without_slash(text: str) -> str:
    return text.rstrip("/") or text


def _weight_file(path: Path) -> Path | None:
    """Find a file under its name, with any suffix of weight files, and with - or _ between the parts of its name."""
    names = dict.fromkeys((path.name, path.name.replace("_", "-"), path.name.replace("-", "_")))
    places = [path.with_name(name) for name in names]
    suffixed = [place.with_name(place.name + suffix) for place in places for suffix in _WEIGHTS]
    return next((place for place in (*places, *suffixed) if place.is_file()), None)
