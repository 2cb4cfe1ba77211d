"""Keep what C libraries print about damaged files from the terminal: their errors are said in our words."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ERRORS = 2
_lock = threading.Lock()
_inside = 0
_kept: int | None = None


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send the process's error stream nowhere inside a `with` block; blocks of several threads may overlap."""
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept = _redirect()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _kept is not None:
                os.dup2(_kept, _ERRORS)
                os.close(_kept)
                _kept = None


def _redirect() -> int | None:
    try:
        kept = os.dup(_ERRORS)
    except OSError:  # a process without an error stream
        return None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _ERRORS)
    os.close(nowhere)
    return kept
