"""The root of every error that a user can cause and mend, and the words that such errors share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_NEAR = 0.5  # share of letters in common from which a word may be a misspelling of another
_FEW = 20  # so many names are listed even where one is near
_LONGEST = 200  # characters of a foreign message
_LONGEST_LINE = 2000  # of a message: a file can hold a word of any length
# How MindSpore words it (2.8 to 2.10): its pools, the host's allocator, CUDA, cuDNN, and Ascend's run time; the last
# two are onnxruntime's and OpenCV's.
_NO_MEMORY = (
    "out of memory",
    "bad_alloc",
    "memory not enough",
    "memory isn't enough",
    "memory is not enough",
    "allocate memory failed",
    "allocate device memory failed",
    "allocate host memory failed",
    "malloc device memory failed",
    "malloc memory failed",
    "memory allocation failed",
    "failed to allocate memory",
    "failed to alloc memory",
    "failed to apply for memory",
    "cannot allocate memory",
    "unable to allocate",
    "cudaerrormemoryallocation",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "acl_error_rt_memory_allocation",
    "207001",  # the same as a number
    "el0004",  # Ascend: failed to allocate memory
    "bfcarena::",
    "insufficient memory",
)


class MindRestoreError(Exception):
    """Report a problem that the user can mend; the message names the file, the value and the fix.

    Every error that bad input can cause derives from this class, so that the command line prints one clear line
    and ends with exit code 2 instead of a traceback.

    Examples:
        >>> raise MindRestoreError("photo.png: the file is empty; copy it again")
        Traceback (most recent call last):
        mindrestore.errors.MindRestoreError: photo.png: the file is empty; copy it again
    """

    several_lines = True  # else the message is one line, and a line break can only be part of a file name

    def __str__(self) -> str:
        """Return the message; characters that a terminal would obey are escaped, the middle of long lines is cut."""
        text = super().__str__()
        return "\n".join(_cut(shown(line)) for line in (text.split("\n") if self.several_lines else [text]))


def shown(text: object) -> str:
    """Return a name or a message as one line that every terminal and file can take: control characters are escaped.

    Args:
        text: What to show; bytes of a file name that are not UTF-8 become `\\udcXX`.
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def _cut(line: str) -> str:
    """Keep both ends of a line: the file's name stands at one, what to do at the other."""
    half = _LONGEST_LINE // 2
    return line if len(line) <= _LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


class Notice(UserWarning):
    """Something to know that is not wrong, such as the terms of weights; the command line shows it as one line."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that a word is probably a misspelling of, or None."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=_NEAR)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, and all of them where they are few.

    Args:
        word: What was given.
        known: What could have been given.

    Returns:
        `did you mean 'its'? known: its, ots`; without the list beyond 20 names, without the question when none is near.
    """
    known = list(known)
    near = closest(word, known)
    listed = f"known: {', '.join(known) or 'none'}" if near is None or len(known) <= _FEW else ""
    return f"{f'did you mean {near!r}? ' if near else ''}{listed}".strip()


def first_line(error: BaseException) -> str:
    """Return the first line of a message, or the name of an error without one; control characters are escaped."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return shown(line)[:_LONGEST]


def ran_out(error: BaseException) -> bool:
    """Return whether an error, of Python or of a library, says that memory ran out."""
    text = str(error).lower()
    foreign = not isinstance(error, ValueError)  # libraries have classes of their own
    return isinstance(error, MemoryError) or (foreign and any(words in text for words in _NO_MEMORY))
