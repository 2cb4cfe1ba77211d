"""The state file of a run: everything that a killed run needs to go on bit for bit.

`last.ckpt` holds arrays (parameters, buffers, moments, averages) and one JSON string with every other fact, because
MindSpore rounds plain numbers to float32. It is written beside, read back, and only then takes the place of the
former one, which stays as `last.prev.ckpt`: a kill, a full disk or a flipped bit costs at most one interval.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter

from mindrestore.engine.context import muted_mindspore
from mindrestore.engine.outcome import CheckpointError
from mindrestore.engine.values import write_values

LAST, PREVIOUS = "last.ckpt", "last.prev.ckpt"
_NEW = "last.new.ckpt"
_RUN_FILES = (
    LAST, PREVIOUS, "best.ckpt", "ema.ckpt", "metrics.jsonl", "log.txt", "recipe.yaml", "env.json",
    "report", "tensorboard",
)  # fmt: skip
_FORMAT = 1


@dataclass(frozen=True)
class State:
    """A training state as read from a file.

    Args:
        path: where it was read.
        arrays: values by name, such as "net.down1.weight" and "optim.m.down1.weight".
        facts: step, positions, loss scale, best score, recipe and so on.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    def holds(self, prefix: str) -> bool:
        """Return whether any array's name begins so."""
        return any(name.startswith(prefix) for name in self.arrays)


def has_state(folder: Path) -> bool:
    """Return whether a run folder holds a training state, usable or not."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def set_aside(folder: Path) -> None:
    """Move an earlier run's files into former-1, former-2, ... so that a new start loses nothing.

    Raises:
        OSError: the folder does not allow it.
    """
    files = {path for path in (*(folder / name for name in _RUN_FILES), *folder.glob("*.ckpt")) if path.exists()}
    if not has_state(folder) and not (folder / "metrics.jsonl").exists():
        return
    number = 1
    while (folder / f"former-{number}").exists():
        number += 1
    (folder / f"former-{number}").mkdir()
    for path in files:
        os.replace(path, folder / f"former-{number}" / path.name)


def save_state(folder: Path, params: Mapping[str, Parameter], facts: Mapping[str, Any]) -> Path:
    """Write `last.ckpt`; the former one becomes `last.prev.ckpt`.

    Args:
        folder: run folder.
        params: parameters by their name in the file.
        facts: whatever JSON can hold; floats come back exactly.

    Returns:
        Path of the new state.

    Raises:
        CheckpointError: the folder or disk does not allow it; the former state is untouched.
    """
    new, last = folder / _NEW, folder / LAST
    try:
        _discard(folder)
        text = json.dumps({"format": _FORMAT, **facts})
        entries = [{"name": name, "data": param.value()} for name, param in params.items()]
        with muted_mindspore():
            ms.save_checkpoint(entries, str(new), crc_check=True, append_dict={"facts": text})
        os.chmod(new, 0o644)  # MindSpore leaves 0400, which hinders copying and the next writer
        _force_to_disk(new)
        _verify(new, params, text)
        if last.exists():
            os.replace(last, folder / PREVIOUS)
        os.replace(new, last)
    except (OSError, RuntimeError, ValueError) as error:
        _discard(folder)
        kept = [name for name in (LAST, PREVIOUS) if (folder / name).exists()]
        remains = f"{kept[0]} of an earlier step is intact" if kept else "there is no earlier state"
        raise CheckpointError(
            f"{last}: the training state cannot be saved ({_one_line(error)}); {remains}. "
            "Free some space or choose another output.root, then run the same command to continue"
        ) from error
    return last


def load_state(folder: Path, warn: Callable[[str], None]) -> State:
    """Read the newest usable state of a run folder.

    Args:
        folder: run folder.
        warn: called with one line when the newest state is damaged and the one before it is used.

    Returns:
        The state.

    Raises:
        CheckpointError: there is none, or all are damaged.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            state = read_state(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            warn(f"{problem}; continuing from {name} of step {state.facts.get('step')}")
        return state
    if problems:
        raise CheckpointError(
            f"no usable training state: {'; '.join(problems)}. Start again with --no-resume or another output.name"
        )
    raise CheckpointError(f"{folder} holds no training state ({LAST}); start without --resume to train from scratch")


def read_state(path: Path) -> State:
    """Read and check one state file.

    Args:
        path: a file that `save_state` wrote.

    Returns:
        The state.

    Raises:
        CheckpointError: the file is empty, damaged, unreadable or not a training state.
    """
    try:
        if path.stat().st_size == 0:
            raise CheckpointError(f"{path} is empty")
        with muted_mindspore():
            content = ms.load_checkpoint(str(path), crc_check=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or unreadable") from error
    facts = content.pop("facts", None)
    if not isinstance(facts, str):
        raise CheckpointError(f"{path} is not a training state (plain weights are loaded with model.weights)")
    arrays = {name: param.asnumpy() for name, param in content.items()}
    return State(path, arrays, json.loads(facts))


def check_network(state: State, name: str) -> None:
    """Refuse a state of another network.

    Raises:
        CheckpointError: naming both networks.
    """
    saved = state.facts.get("model")
    if saved != name:
        raise CheckpointError(
            f"{state.path} is a training state of network {saved!r}, but the recipe trains {name!r}; "
            "choose another output.name, or start again with --no-resume"
        )


def restore(state: State, params: Mapping[str, Parameter], network: str) -> None:
    """Write a state's arrays into parameters.

    Args:
        state: from `load_state`.
        params: parameters by their name in the file; all must be there with equal shapes, except that averages
            (ema.*) may be wholly absent on either side: averaging was switched on or off.
        network: name of the network, for messages.

    Raises:
        CheckpointError: names or shapes differ (the first few are named); nothing has been changed then.
    """
    if not state.holds("ema."):
        params = {name: param for name, param in params.items() if not name.startswith("ema.")}
    unknown = [name for name in state.arrays if name not in params]
    if not any(name.startswith("ema.") for name in params):
        unknown = [name for name in unknown if not name.startswith("ema.")]
    problems = [f"{name} is missing" for name in params if name not in state.arrays]
    problems += [f"{name} is unknown" for name in unknown]
    for name, param in params.items():
        saved = state.arrays.get(name)
        if saved is not None and tuple(saved.shape) != tuple(param.shape):
            problems.append(f"{name} has shape {tuple(saved.shape)} in the file, {tuple(param.shape)} in the network")
    if problems:
        listed = "; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else "")
        raise CheckpointError(
            f"{state.path} does not fit {network!r} as the recipe builds it (saved from {state.facts.get('model')!r} "
            f"with model.hyper {state.facts.get('hyper', {})}): {listed}"
        )
    write_values(list(params.values()), [state.arrays[name] for name in params])


def _verify(path: Path, params: Mapping[str, Parameter], text: str) -> None:
    """Read a new file back; what a disk did not keep must not replace what it did."""
    with muted_mindspore():
        content = ms.load_checkpoint(str(path), crc_check=True)
    same = content.get("facts") == text and all(
        name in content and content[name].asnumpy().tobytes() == param.asnumpy().tobytes()
        for name, param in params.items()
    )
    if not same:
        raise ValueError("the file does not hold what was written")


def _force_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _discard(folder: Path) -> None:
    """Remove what an interrupted writer left; MindSpore itself writes to a `.tmp` beside the given name."""
    for name in (_NEW, Path(_NEW).with_suffix(".tmp").name):
        try:
            (folder / name).unlink()
        except OSError:  # absent, or the folder is unusable: the write itself reports that
            continue


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
