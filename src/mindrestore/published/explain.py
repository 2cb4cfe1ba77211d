"""Explain a published command line: the command of ours that does the same, and what became of each word."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mindrestore.errors import closest, did_you_mean
from mindrestore.published.flags import PublishedError
from mindrestore.published.tables import Script, System, systems
from mindrestore.published.translate import Translation, translate
from mindrestore.published.words import is_value

OwnFlags = Mapping[str, Mapping[str, Any]]  # command of ours -> flag -> number of its values

_OURS = {"train.py": "train", "eval.py": "eval", "export.py": "export", "haze_data.py": "data"}


@dataclass(frozen=True)
class Explanation:
    """What a published command line is here.

    Attributes:
        argv: The words after `mindrestore`.
        became: Published flag with its text, or "" for what the program does by itself -> the words of ours.
        notes: What there is to say.
        unknown: Words that are neither the program's nor ours, each with the closest flag that is.
        source: The published program.
    """

    argv: Sequence[str]
    became: Sequence[tuple[str, Sequence[str]]]
    notes: Sequence[str]
    unknown: Sequence[str]
    source: str

    def text(self) -> str:
        """Return the command, a line for every flag, and the notes."""
        flags = dict.fromkeys(flag for flag, _ in self.became)
        rows = [
            (flag or "(default)", [w for name, words in self.became if name == flag for w in words]) for flag in flags
        ]
        width = max([len(flag) for flag, _ in rows], default=0)
        lines = [f"mindrestore {' '.join(map(shlex.quote, self.argv))}", f"# {self.source}"]
        lines += [
            f"#   {flag:{width}}  {' '.join(map(shlex.quote, words)) or '(in the words above)'}" for flag, words in rows
        ]
        lines += [f"# note: {note}" for note in self.notes]
        return "\n".join([*lines, *(f"# unknown: {word}" for word in self.unknown)])


def explain(line: str, own: OwnFlags) -> Explanation:
    """Translate a command line as it stands in a README.

    Args:
        line: Such as `CUDA_VISIBLE_DEVICES=0 python train_ct.py --model scaleupdehazing --exp nid`.
        own: The flags of our commands.

    Returns:
        The command of ours and what became of each flag.

    Raises:
        PublishedError: The line names no published program, or a value cannot be used.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise PublishedError(f"{line}: cannot be read as a command line ({error}); check its quotes") from error
    place = next((i for i, word in enumerate(words) if _is_program(word)), None)
    if place is None:
        raise PublishedError(f"{line}: names no program; write it as in `python train.py --lr 1e-4`")
    program, rest = words[place], words[place + 1 :]
    if program == "mindrestore":
        command, *rest = rest or [""]
        return _ours(command, rest, own)
    system, script = _find(program, rest, own)
    if script is None:
        return _ours(_OURS[PurePosixPath(program).name], rest, own)
    command = next((then for flag, then in script.switch.items() if flag in rest), script.command)
    made = translate([command, *rest], own.get(command, {}), system=system, script=script, lenient=True)
    return _explained(made, [script.remark] if script.remark else [], f"{script.path}: {system.source}", own[command])


def _is_program(word: str) -> bool:
    return word.endswith((".py", ".sh")) or word == "mindrestore"


def _ours(command: str, rest: Sequence[str], own: OwnFlags) -> Explanation:
    if command not in own:
        raise PublishedError(f"mindrestore {command}: there is no such command; `mindrestore --help` lists them")
    made = translate([command, *rest], own[command], lenient=True)
    source = made.system.source if made.system else "a command of MindRestore already"
    return _explained(made, [], source, own[command])


def _explained(made: Translation, remarks: Sequence[str], source: str, own: Mapping[str, Any]) -> Explanation:
    kept = [(f"{flag} {value}".strip(), [flag, value] if value else [flag]) for flag, value in made.kept]
    unknown = []
    for word in made.unknown:
        known = [*own, *(made.system.flags if made.system else ())]
        near = closest(word.partition("=")[0], known)
        unknown.append(f"{word}{f'; did you mean {near!r}?' if near else ''}")
    return Explanation(made.argv, [*made.became, *kept], [*made.notes, *remarks], unknown, source)


def _find(program: str, rest: Sequence[str], own: OwnFlags) -> tuple[System, Script] | tuple[None, None]:
    """Find the program that knows most of the flags, then the one whose path is longest; none where all are ours."""
    asked = PurePosixPath(program.replace("\\", "/")).parts
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and not is_value(word)}
    ours = _OURS.get(asked[-1])
    if ours and given <= own[ours].keys() and (given or any("=" in word for word in rest)):
        return None, None
    found = []
    for system in systems():
        for script in system.scripts:
            parts = PurePosixPath(script.path).parts
            alike = len(_common(asked, parts))
            if alike and alike in (len(asked), len(parts)):
                found.append((len(given - system.flags.keys()), -alike, system, script))
    if found:
        return min(found, key=lambda entry: entry[:2])[2:]
    if ours:
        return None, None
    known = sorted({script.path for system in systems() for script in system.scripts})
    raise PublishedError(f"{program} is not a program of the five systems; {did_you_mean(program, known)}")


def _common(one: Sequence[str], other: Sequence[str]) -> Sequence[str]:
    same = [a for a, b in zip(reversed(one), reversed(other)) if a == b]
    return same if one[-1] == other[-1] else ()
