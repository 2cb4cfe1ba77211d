"""What a run tells: metrics.jsonl for programs, log.txt and the console for people, env.json for the record."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from mindrestore.engine.outcome import CheckpointError
from mindrestore.errors import MindRestoreError
from mindrestore.files import write_bytes


class RunLog:
    """Write the log of one run; ranks other than 0 stay silent.

    Args:
        folder: run folder, which exists.
        writes: False on ranks other than 0.
        tensorboard: also write scalars and images for TensorBoard.

    Raises:
        MindRestoreError: TensorBoard is asked for and tensorboardX is not installed.
    """

    def __init__(self, folder: Path, writes: bool = True, tensorboard: bool = False) -> None:
        self.folder = folder
        self.writes = writes
        self._board = _open_board(folder) if tensorboard and writes else None
        self._bar: tqdm | None = None
        self._metrics = _open_for_append(folder / "metrics.jsonl") if writes else None
        self._text = _open_for_append(folder / "log.txt") if writes else None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        for file in (self._metrics, self._text, self._board):
            if file is not None:
                file.close()

    def message(self, text: str, console: bool = True) -> None:
        """Write a line to log.txt and, unless `console` is False, to standard output."""
        if self._text is None:
            return
        _write_line(self._text, f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}")
        if console:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def warn(self, text: str) -> None:
        """Write a warning."""
        self.message(f"warning: {text}")

    def record(self, values: Mapping[str, Any]) -> None:
        """Append one object to metrics.jsonl, and its numbers to TensorBoard; nan and inf become null."""
        if self._metrics is None:
            return
        _write_line(self._metrics, json.dumps(_finite(dict(values))))
        if self._board is not None:
            for name, value in _numbers(values, str(values["kind"])):
                self._board.add_scalar(name, value, values["step"])

    def images(self, name: str, rows: np.ndarray, step: int) -> None:
        """Show images (N, 3, H, W) in [0, 1] in TensorBoard."""
        if self._board is not None:
            self._board.add_images(name, np.clip(rows, 0.0, 1.0), step)

    @property
    def shows_images(self) -> bool:
        """Return whether `images` has an effect."""
        return self._board is not None

    def forget_after(self, step: int, validated: int) -> None:
        """Drop records that the run repeats after it was killed, and half-written lines.

        Args:
            step: step of the state from which the run goes on.
            validated: step of the last validation that this state knows.
        """
        if self._metrics is None:
            return
        path = self.folder / "metrics.jsonl"
        self._metrics.close()
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not _repeats(line, step, validated)]
        write_bytes(path, "".join(f"{line}\n" for line in kept).encode())
        self._metrics = _open_for_append(path)

    def start_bar(self, done: int, total: int) -> None:
        """Show a progress bar when a person watches (standard error is a terminal)."""
        disable = None if self.writes else True
        self._bar = tqdm(total=total, initial=done, unit="step", disable=disable, dynamic_ncols=True)

    @property
    def has_bar(self) -> bool:
        """Return whether a progress bar is visible."""
        return self._bar is not None and not self._bar.disable

    def advance_bar(self, **values: str) -> None:
        """Move the bar one step."""
        if self._bar is not None:
            self._bar.set_postfix(values, refresh=False)
            self._bar.update()


def describe_environment(device: str, mode: str, world: int) -> dict[str, Any]:
    """List what may change a result: versions, machine and settings.

    Args:
        device: device in use.
        mode: "graph" or "pynative".
        world: number of processes.

    Returns:
        Plain values for env.json.
    """
    packages = ("mindrestore", "mindspore", "numpy", "pillow", "opencv-python-headless")
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": device,
        "mode": mode,
        "processes": world,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in packages},
        "ONEDNN_MAX_CPU_ISA": os.environ.get("ONEDNN_MAX_CPU_ISA"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a plain clone is not installed
        return None


def _open_for_append(path: Path) -> IO[str]:
    try:
        return path.open("a", encoding="utf-8", errors="backslashreplace")  # names of files may not be UTF-8
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}); choose another output.root") from error


def _write_line(file: IO[str], line: str) -> None:
    try:
        file.write(line + "\n")
        file.flush()  # a killed process loses what it had not handed over
    except OSError as error:
        raise CheckpointError(
            f"{file.name} cannot be written ({error.strerror}); the last checkpoint is intact, free some space and "
            "run the same command to continue"
        ) from error


def _open_board(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter  # an extra: most runs do without
    except ImportError as error:
        raise MindRestoreError(
            "train.tensorboard=true needs tensorboardX; `pip install mindrestore[tensorboard]`, or set it to false"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))


def _repeats(line: str, step: int, validated: int) -> bool:
    """Return whether a run that goes on from a step writes this record again, or cannot read it."""
    try:
        record = json.loads(line)
        return record["step"] > (validated if record.get("kind") == "validation" else step)
    except (ValueError, KeyError, TypeError):
        return True


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(values: Mapping[str, Any], path: str) -> list[tuple[str, float]]:
    found = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{path}/{key}")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and key != "step":
            found.append((f"{path}/{key}", value))
    return found
