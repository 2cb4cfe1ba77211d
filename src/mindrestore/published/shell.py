"""Read a line pasted from a shell or a README: which program it starts, with which words, how many times."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from mindrestore.published.flags import PublishedError

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.S)
_REDIRECTION = re.compile(r"(?<=\s)(?:[12&]?>{1,2}&?|<)\s*[^\s;|&]+")
_SEPARATORS = frozenset(";|&()")
_COUNTS = ("--nproc_per_node", "--nproc-per-node", "--num_processes", "--worker_num", "-np", "-n")
_CARDS = ("--gpus", "--devices")  # of paddle.distributed.launch, as in --gpus 0,1
_STARTERS = ("distributed.launch", "distributed.run", "torchrun", "mpirun", "msrun", "srun", "accelerate")
_MACHINES = ("--nnodes", "--num_machines")


@dataclass(frozen=True)
class Call:
    """A program and what a line says about its start.

    Attributes:
        program: Its path, below the folder of a `cd` in front of it.
        words: The words behind it.
        environment: Assignments in front of it, such as `CUDA_VISIBLE_DEVICES=0`.
        processes: How many times a launcher such as torchrun starts it; 0 without one.
        mpi: Whether the launcher is Open MPI's.
        notes: What the line holds beside it.
    """

    program: str
    words: Sequence[str]
    environment: Sequence[str] = ()
    processes: int = 0
    mpi: bool = False
    notes: Sequence[str] = field(default_factory=list)


def read_line(line: str) -> Call:
    """Take a line apart.

    Args:
        line: One or more commands, with continuations, comments and redirections.

    Raises:
        PublishedError: A quote is open, or no command names a program.
    """
    commands, redirections = _commands(line)
    folder, found, environment = "", None, []
    for words in commands:
        place = next((i for i, word in enumerate(words) if _is_program(word)), None)
        if place is not None:
            found = found or (folder, words, place)
        elif words[0] == "cd" and len(words) == 2:
            folder = words[1] if words[1].startswith("/") else f"{folder}/{words[1]}".lstrip("/")
        elif found is None and words[0] in ("export", "set"):
            environment += filter(_ASSIGNMENT.fullmatch, words[1:])
    if found is None:
        raise PublishedError(f"{line.strip()}: names no program; write it as in `python train.py --lr 1e-4`")
    folder, words, place = found
    others = sum(any(map(_is_program, words)) for words in commands) - 1
    notes = [f"{others} more command(s) in this line; explain them one by one"] if others else []
    if redirections:
        notes.append(f"left to your shell: {' '.join(redirections)}")
    if folder:
        notes.append(f"relative paths start at {folder}, where the line goes; run the command there")
    before = words[:place]
    started = any(word.endswith(starter) for word in before for starter in _STARTERS)
    if started and any(word.partition("=")[0] in _MACHINES for word in before):
        notes.append("for several machines add --node-num, --node-rank and --master-addr")
    return Call(
        f"{folder}/{words[place]}" if folder and words[place] != "mindrestore" else words[place],
        words[place + 1 :],
        [*environment, *filter(_ASSIGNMENT.fullmatch, before)],
        _processes(before) if started else 0,
        "mpirun" in before,
        notes,
    )


def _commands(line: str) -> tuple[list[list[str]], list[str]]:
    """Return the words of each command of a line, and the redirections between them."""
    windows = re.search(r"\^\r?\n|[A-Za-z]:\\", line)
    text = re.sub(r"[\\^]\r?\n", " ", line).replace("\n", " ; ")
    redirections = [" ".join(found.split()) for found in _REDIRECTION.findall(text)]
    lexer = shlex.shlex(_REDIRECTION.sub(" ", text), posix=True, punctuation_chars="".join(_SEPARATORS))
    lexer.whitespace_split, lexer.commenters = True, ""
    if windows:
        lexer.escape = ""  # backslashes stand in paths
    try:
        words = list(lexer)
    except ValueError as error:
        raise PublishedError(f"{line}: cannot be read as a command line ({error}); check its quotes") from error
    commands: list[list[str]] = [[]]
    comment = False
    for word in words:
        if set(word) <= _SEPARATORS and word:
            comment = comment and ";" not in word
            commands.append([])
        elif not comment:
            comment = word.startswith("#")
            commands[-1] += [] if comment else [word]
    return [words for words in commands if words], redirections


def _processes(words: Sequence[str]) -> int:
    """Return how many processes a launcher's words ask for; 1 where they do not say."""
    pairs = []
    for word, behind in zip(words, [*words[1:], ""]):
        flag, equals, value = word.partition("=")
        pairs.append((flag, value if equals else behind))
    for flag, value in pairs:
        if flag in _COUNTS and value.isdecimal():
            return int(value)
        if flag in _CARDS and value:
            return len(value.split(","))
    return 1


def _is_program(word: str) -> bool:
    return word.endswith((".py", ".sh")) or word == "mindrestore"
