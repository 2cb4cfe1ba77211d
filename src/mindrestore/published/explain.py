"""Explain a published command line: the command of ours that does the same, and what became of each word."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from mindrestore.errors import closest, did_you_mean
from mindrestore.published.flags import PublishedError
from mindrestore.published.shell import Call, read_line
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
        unknown: Flags that are neither the program's nor ours, each with the closest one that is; they are left out.
        source: The published program.
        environment: Assignments that stand in front of the command, such as `CUDA_VISIBLE_DEVICES=0`.
    """

    argv: Sequence[str]
    became: Sequence[tuple[str, Sequence[str]]]
    notes: Sequence[str]
    unknown: Sequence[str]
    source: str
    environment: Sequence[str] = ()

    def text(self) -> str:
        """Return the command, a line for every flag, and the notes."""
        flags = dict.fromkeys(flag for flag, _ in self.became)
        rows = [
            (flag or "(default)", [w for name, words in self.became if name == flag for w in words]) for flag in flags
        ]
        width = max([len(flag) for flag, _ in rows], default=0)
        lines = [" ".join([*self.environment, "mindrestore", *map(shlex.quote, self.argv)]), f"# {self.source}"]
        lines += [
            f"#   {flag:{width}}  {' '.join(map(shlex.quote, words)) or '(in the words above)'}" for flag, words in rows
        ]
        lines += [f"# note: {note}" for note in self.notes]
        return "\n".join([*lines, *(f"# unknown, left out: {word}" for word in self.unknown)])


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
    call = read_line(line)
    found = _explain(call, own)
    return replace(found, environment=call.environment, notes=[*found.notes, *call.notes])


def _explain(call: Call, own: OwnFlags) -> Explanation:
    if call.program == "mindrestore":
        command, *rest = call.words or [""]
        return _ours(command, rest, own)
    words = list(call.words)
    system, script, others = _find(call.program, words, own)
    if script is None:
        return _launched(_ours(_OURS[PurePosixPath(call.program).name], words, own), call)
    remarks = [script.remark] if script.remark else []
    if others:
        remarks.append(f"{', '.join(others)} have this name, too; write the folder of the program that is meant")
    command = next((then for flag, then in script.switch.items() if flag in words), script.command)
    after: list[str] = []
    if script.positional:
        words = _numbers_first(words, command)
    if command != "launch" and "--" in words:  # what a launcher passes to the program
        place = words.index("--")
        words, after = words[:place], words[place + 1 :]
    made = translate([command, *words], own.get(command, {}), system=system, script=script, lenient=True)
    if after:
        made = _joined(made, translate([*made.argv, *after], own[command], lenient=True))
    return _launched(_explained(made, remarks, f"{script.path}: {system.source}", own[command]), call)


def _joined(first: Translation, then: Translation) -> Translation:
    """Return the second of two translations in a row, with what became of the flags in either."""
    became = [*first.became, *(row for row in then.became if row[0])]
    notes, unknown = [*first.notes, *then.notes], [*first.unknown, *then.unknown]
    return replace(then, became=became, kept=first.kept, notes=notes, unknown=unknown)


def _numbers_first(words: Sequence[str], command: str) -> list[str]:
    """Return a launcher's words with the numbers that stand first as flags: of processes and cards, or of one card."""
    words, flags = list(words), []
    if words and words[0].isdecimal():
        flags += ["--device-num" if command == "launch" else "--device", words.pop(0)]
    if words and re.fullmatch(r"\d+(,\d+)+", words[0]):
        flags += ["--visible-devices", words.pop(0)]
    return [*flags, *words]


def _launched(found: Explanation, call: Call) -> Explanation:
    """Start a training on as many devices as the published line does."""
    device = found.argv[found.argv.index("--device") + 1] if "--device" in found.argv else "GPU"
    if found.argv[0] != "train":
        return found
    if call.processes > 1:
        kind = device if device in ("Ascend", "GPU", "CPU") else "GPU"
        flags = ["--device", kind, "--device-num", str(call.processes), *(["--mpi"] if call.mpi else [])]
        return replace(found, argv=["launch", *flags, "--", *found.argv])
    if "," in device:
        note = f"this trains on card {device.partition(',')[0]} alone; on all of them: mindrestore launch --device GPU "
        note += f"--visible-devices {device} -- train ..., without this --device; train.batch_size counts per card"
        return replace(found, notes=[*found.notes, note])
    return found


def _ours(command: str, rest: Sequence[str], own: OwnFlags) -> Explanation:
    if command not in own:
        raise PublishedError(
            f"{f'mindrestore {command}'.strip()}: there is no such command; `mindrestore --help` lists them"
        )
    made = translate([command, *rest], own[command], lenient=True)
    source = made.system.source if made.system else "a command of MindRestore already"
    return _explained(made, [], source, own[command])


def _explained(made: Translation, remarks: Sequence[str], source: str, own: Mapping[str, Any]) -> Explanation:
    kept = [(f"{flag} {value}".strip(), [flag, value] if value else [flag]) for flag, value in made.kept]
    unknown = []
    published = list(made.system.flags) if made.system else []
    keys = [name.partition(" ")[2] for name in published if " " in name]
    for word in made.unknown:
        key = re.match(r"-\S+ (\S+=)", word)  # of -o KEY=VALUE
        near = closest(key[1], keys) if key else closest(word.partition("=")[0], [*own, *published])
        unknown.append(f"{word}{f'; did you mean {near!r}?' if near else ''}")
    return Explanation(made.argv, [*made.became, *kept], [*made.notes, *remarks], unknown, source)


def _find(program: str, rest: Sequence[str], own: OwnFlags) -> tuple[System | None, Script | None, Sequence[str]]:
    """Find the program that knows most of the flags, then the one whose path fits best; none where all are ours.

    Returns:
        The program's table and file, and what else it could be.
    """
    asked = PurePosixPath(program.replace("\\", "/")).parts
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and not is_value(word)}
    ours = _OURS.get(asked[-1])
    if ours and given <= own[ours].keys() and (given or any("=" in word for word in rest)):
        return None, None, ()
    found = []
    for system in systems():
        for script in system.scripts:
            parts = PurePosixPath(script.path).parts
            alike = len(_common(asked, parts))
            if alike and alike in (len(asked), len(parts)):
                rank = (len(given - system.flags.keys()), -alike, -_named(asked[:-1], system))
                found.append((rank, system, script))
    if found:
        rank, system, script = min(found, key=lambda entry: entry[0])
        others = [f"{other.path} of {its.name}" for place, its, other in found if place == rank and other is not script]
        return system, script, others
    if ours:
        return None, None, ()
    known = sorted({script.path for system in systems() for script in system.scripts})
    raise PublishedError(f"{program} is not a program of the five systems; {did_you_mean(program, known)}")


def _named(folders: Sequence[str], system: System) -> bool:
    """Return whether a folder has the name of the program, as DehazeFormer/ in front of train.py."""
    source = re.sub(r"\W", "", f"{system.name} {system.source}").lower()
    return any(len(name) > 4 and name in source for name in (re.sub(r"\W", "", part).lower() for part in folders))


def _common(one: Sequence[str], other: Sequence[str]) -> Sequence[str]:
    same = [a for a, b in zip(reversed(one), reversed(other)) if a == b]
    return same if one[-1] == other[-1] else ()
