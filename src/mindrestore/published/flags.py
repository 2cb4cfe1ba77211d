"""One flag of a published program: how its text is read, and which words of ours it becomes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, Union

from mindrestore.errors import MindRestoreError

Text = Union[str, "list[str]"]

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PLAIN = re.compile(r"(\.{0,2}/|[A-Za-z])[\w./-]*")  # text that YAML reads as that very text
_WORDS_OF_YAML = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_WANTED = {"int": "a whole number", "float": "a number", "bool": "true or false"}


class PublishedError(MindRestoreError):
    """Report a published command line that cannot be translated."""


@dataclass(frozen=True)
class Flag:
    """One line of a table.

    Attributes:
        name: The flag with its dashes.
        words: Command of ours -> templates of its words there. `{}` stands for the value, as YAML in an override of a
            recipe key; `{save_dir}` for the text of the flag `--save_dir`.
        type: How its text is read: `str`, `int`, `float`, `ints` and `floats` (several), `bool` (true or false),
            `switch` (no value), `local` (a path on this machine), `name` (a path, of which the last part counts),
            `settings` (a settings file of the DehazeFormer programs) or `pairs` (words KEY=VALUE; `-o KEY=` is the
            flag of each key).
        remote: Commands of ours that take an address such as obs://BUCKET/FOLDER for a `local` flag.
        choices: The values that are accepted; all when empty.
        map: Published value -> value here.
        otherwise: Value here of those that are not in `map`; None for the published one.
        brings: Published value -> command of ours -> words that come with it unless a flag of ours says the same.
        divide: `{"by": flag, "default": number}`: the value is divided by that flag's.
        needs: Flags that have to come with this one.
        same_as: The flag of which this is another spelling; its line counts for both.
        note: What is said when the flag is given.
        inert: The flag is published, and means nothing here; `note` may say why.
        refused: Why the flag cannot be translated, and what to write in its place.
    """

    name: str
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    type: str = "str"
    remote: Sequence[str] = ()
    choices: Sequence[Any] = ()
    map: Mapping[Any, str] = field(default_factory=dict)
    otherwise: str | None = None
    brings: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    divide: Mapping[str, Any] | None = None
    needs: Sequence[str] = ()
    same_as: str | None = None
    note: str = ""
    inert: bool = False
    refused: str = ""

    @property
    def several(self) -> bool:
        """Whether several values follow the flag."""
        return self.type in ("ints", "floats")

    def spelt(self, text: Text) -> str:
        """Return the flag with its text, as it stands in a command line."""
        between = "" if self.name.endswith("=") else " "
        return f"{self.name}{between}{text if isinstance(text, str) else (between or ',').join(text)}"

    @property
    def key(self) -> str:
        """Name of the flag in templates: `--save-dir` is `save_dir`."""
        return self.name.lstrip("-").replace("-", "_")

    def value(self, text: Text, command: str) -> Any:
        """Read the flag's text, or its texts where it takes several, for a command of ours.

        Raises:
            PublishedError: The text is not of the flag's type, not among its choices, or a URL where a path is needed.
        """
        if self.refused:
            raise PublishedError(f"{self.spelt(text)}: {self.refused}")
        if self.type == "local" and command not in self.remote and "://" in text:
            raise PublishedError(
                f"{self.spelt(text)}: this needs a path on this machine; get it with `mindrestore copy "
                f"{shlex.quote(text)} FOLDER`"
            )
        if isinstance(text, list):
            return [replace(self, type=self.type.rstrip("s")).value(word, command) for word in text]
        try:
            value = _READERS.get(self.type, str)(text)
        except ValueError:
            raise PublishedError(f"{self.spelt(text)}: use {_WANTED[self.type]}") from None
        if self.choices and value not in self.choices and value not in self.map and value not in self.map.values():
            raise PublishedError(f"{self.spelt(text)}: use one of {', '.join(map(str, self.choices))}")
        return self.map.get(value, value if self.otherwise is None else self.otherwise)

    def become(self, command: str, value: Any, texts: Mapping[str, str]) -> list[str]:
        """Return the words of a command that stand for the flag with a value."""
        words = [] if value is False and self.type in ("bool", "switch") else self.words.get(command, ())
        return [filled for template in words for filled in fill(template, value, texts)]


def fill(template: str, value: Any, texts: Mapping[str, str]) -> list[str]:
    """Fill in a template: `--out {}` becomes two words, `optim.lr={}` one, with its value as JSON.

    Args:
        template: `{}` stands for the value, `{name}` for a text.
        value: The value of the flag.
        texts: Name -> text.

    Returns:
        One word, or a flag and its value.
    """
    parts = template.split(" ", 1) if template.startswith("-") else [template]
    shown = as_yaml(value) if len(parts) == 1 and "=" in template else value
    return [part.format(shown, **texts) for part in parts]


def as_yaml(value: Any) -> str:
    """Write a value as the YAML of an override; JSON leaves no doubt about its type: `"2021"` is text."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
    return value if plain else json.dumps(value)


def _read_bool(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text.lower()]


_READERS = {
    "int": int,
    "float": float,
    "bool": _read_bool,
    "switch": _read_bool,
    "name": lambda text: PurePath(text).name,
}
