"""How a training ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mindrestore.errors import MindRestoreError


class CheckpointError(MindRestoreError):
    """Report a training state that cannot be written, read or used."""


class DivergenceError(MindRestoreError):
    """Report a training whose losses are not finite any more."""


class Interrupted(MindRestoreError):
    """Report a stop by Ctrl-C or SIGTERM; the state is saved."""

    exit_code = 130


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Args:
        run_dir: run folder.
        step: finished updates.
        best: best validation score, None without validation.
        best_step: step of that score.
    """

    run_dir: Path
    step: int
    best: float | None
    best_step: int
