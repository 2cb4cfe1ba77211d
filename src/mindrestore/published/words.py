"""Take a command line apart: published flags with their texts, and the words of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindrestore.published.flags import Flag, PublishedError, Text

RUN = "RUN"  # what tables call the positional argument
_NUMBER = re.compile(r"-[0-9.]")


@dataclass(frozen=True)
class Words:
    """A command line taken apart.

    Attributes:
        given: Published flags with their texts.
        own: Flags of ours with their values, and overrides.
        said: Our flags with their value, and RUN where there is a positional argument.
        positionals: Positional arguments.
        after: `--` and what follows it.
        foreign: Flags that are neither published nor ours, each with the word behind it that may be its value.
    """

    given: Mapping[str, Text]
    own: Sequence[str]
    said: Mapping[str, str]
    positionals: Sequence[str]
    after: Sequence[str]
    foreign: Sequence[Sequence[str]] = ()


def take_apart(words: Sequence[str], flags: Mapping[str, Flag], own: Mapping[str, Any]) -> Words:
    """Take a command line apart.

    Args:
        words: Those behind the command.
        flags: Published flags to look for.
        own: Our flags of that command -> number of their values, as argparse has it.

    Raises:
        PublishedError: A published flag has no value.
    """
    given: dict[str, Text] = {}
    kept: list[str] = []
    said: dict[str, str] = {}
    positionals: list[str] = []
    foreign: list[list[str]] = []
    end = words.index("--") if "--" in words else len(words)
    left = list(words[:end])
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in flags and flags[name].type == "pairs":
            for pair in [value] if equals else _pairs_of(name, left):
                key, _, text = pair.partition("=")
                flag = f"{flags[name].same_as or name} {key}="
                if flag in flags:
                    given[flag] = re.findall(r"[^\s,\[\]()]+", text) if flags[flag].several else text
                else:
                    foreign.append([f"{name} {pair}"])
        elif name in flags:
            text = value if equals else _values_of(flags[name], left)
            given[name] = [text] if flags[name].several and isinstance(text, str) else text
        elif name in own:
            values = [value] if equals else _own_values(own[name], left)
            kept += [word] if equals else [word, *values]
            said[name] = " ".join(values)
        elif not is_value(word):
            has_value = not equals and left and is_value(left[0]) and "=" not in left[0]
            foreign.append([word, left.pop(0)] if has_value else [word])
        else:
            (kept if equals else positionals).append(word)
    if positionals:
        said[RUN] = positionals[0]
    given = {flag: text for flag, text in given.items() if text}  # '' is how published programs say "none"
    return Words(given, kept, said, positionals, words[end:], foreign)


def is_value(word: str) -> bool:
    """Return whether a word can be the value of a flag; negative numbers can."""
    return not word.startswith("-") or bool(_NUMBER.match(word))


def _values_of(flag: Flag, left: list[str]) -> Text:
    """Take the values of a published flag off the words behind it."""
    if flag.type == "switch":
        return "true"
    if flag.type == "bool":
        return left.pop(0) if left and left[0].lower() in ("true", "false", "yes", "no", "1", "0") else "true"
    if flag.several:
        texts = []
        while left and is_value(left[0]) and "=" not in left[0]:
            texts.append(left.pop(0))
        left_out = not texts
    else:
        left_out = not left or not is_value(left[0])
        texts = "" if left_out else left.pop(0)
    if left_out:
        raise PublishedError(f"{flag.name} needs a value")
    return texts


def _pairs_of(name: str, left: list[str]) -> list[str]:
    """Take the words KEY=VALUE off those behind a flag."""
    pairs = []
    while left and is_value(left[0]) and "=" in left[0]:
        pairs.append(left.pop(0))
    if not pairs:
        raise PublishedError(f"{name} needs KEY=VALUE, such as total_iters=1000")
    return pairs


def _own_values(count: Any, left: list[str]) -> list[str]:
    least, most = {None: (1, 1), "?": (0, 1), "*": (0, len(left)), "+": (1, len(left))}.get(count, (count, count))
    values: list[str] = []
    while left and len(values) < most and (len(values) < least or is_value(left[0])):
        values.append(left.pop(0))
    return values
