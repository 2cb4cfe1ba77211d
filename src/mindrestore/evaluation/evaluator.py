"""Restore and measure image pairs one by one; a file that cannot be used is named and the others go on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm import tqdm

from mindrestore.data.images import PathLike, to_float
from mindrestore.data.pairing import Pair
from mindrestore.data.source import read_pair
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.evaluation.report import caption, side_by_side

Restore = Callable[[np.ndarray], np.ndarray]


class EvaluationError(MindRestoreError):
    """Report that there is nothing to measure, or that nothing could be measured."""


@dataclass(frozen=True)
class Row:
    """Hold the scores of one pair.

    Args:
        name: File name of the degraded image.
        key: What input and target have in common; several rows share it when one target serves many inputs.
        height: Height measured, in pixels.
        width: Width measured, in pixels.
        seconds: Wall time of restoring.
        restored: Metric name -> score of the restored image.
        input: Metric name -> score of the degraded image, for comparison.
    """

    name: str
    key: str
    height: int
    width: int
    seconds: float
    restored: dict[str, float]
    input: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """Name a pair that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Hold one row per measured pair, what was left out, and the protocol behind every number."""

    protocol: Protocol
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def mean(self) -> dict[str, float]:
        """Mean score of the restored images, per metric, over the images where it is defined."""
        return {name: _mean(row.restored[name] for row in self.rows) for name in self.protocol.names}

    @property
    def input_mean(self) -> dict[str, float]:
        """Mean score of the degraded images, per metric."""
        return {name: _mean(row.input[name] for row in self.rows) for name in self.protocol.names}

    @property
    def counts(self) -> dict[str, int]:
        """Number of images behind each mean."""
        return {name: sum(not math.isnan(row.restored[name]) for row in self.rows) for name in self.protocol.names}


def evaluate_pairs(
    restore: Restore,
    pairs: Sequence[Pair],
    protocol: str | Protocol,
    *,
    save_dir: PathLike | None = None,
    limit: int | None = None,
    progress: bool | None = None,
) -> Evaluation:
    """Restore every input and score it, and the input itself, against the target.

    Args:
        restore: Maps an image (H, W, 3), float32 RGB in [0,1], to the restored one of the same shape.
        pairs: Pairs to measure; one target may serve several of them.
        protocol: A protocol or its name.
        save_dir: Folder for one picture input | restored | target per pair; None writes none.
        limit: Stop after this many pairs.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        Rows in the order of the pairs, and the pairs that could not be measured.

    Raises:
        EvaluationError: There are no pairs, or none of them could be measured.
        ProtocolError: The protocol is unknown.

    Example:
        >>> result = evaluate_pairs(Restorer("aecrnet", weights="best.ckpt").restore_float, pairs, "aecr")
        >>> result.mean["psnr"] - result.input_mean["psnr"]  # what restoring gains, in decibels
        7.41
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    pairs = list(pairs)[:limit]
    if not pairs:
        raise EvaluationError("there are no image pairs to evaluate; check the data folder, its layout and the split")
    rows, failures, taken = [], [], set()
    for pair in tqdm(pairs, desc=f"evaluate ({protocol.name})", unit="image", disable=_hidden(progress)):
        try:
            row, pictures = _measure_pair(restore, pair, protocol)
        except MindRestoreError as error:
            failures.append(Failure(Path(pair.input).name, str(error)))
            continue
        rows.append(row)
        if save_dir is not None:
            _save_picture(Path(save_dir) / _free_name(Path(pair.input).stem, taken), row, pictures, protocol)
    if not rows:
        reasons = "\n".join(f"  {failure.name}: {failure.reason}" for failure in failures[:5])
        raise EvaluationError(f"none of the {len(pairs)} pairs could be measured; the first reasons:\n{reasons}")
    return Evaluation(protocol, tuple(rows), tuple(failures))


def _measure_pair(restore: Restore, pair: Pair, protocol: Protocol) -> tuple[Row, tuple[np.ndarray, ...]]:
    degraded, target = (protocol.prepare(to_float(image)) for image in read_pair(pair))
    start = time.perf_counter()
    restored = restore(np.ascontiguousarray(degraded))
    seconds = time.perf_counter() - start
    row = Row(
        name=Path(pair.input).name,
        key=pair.key,
        height=degraded.shape[0],
        width=degraded.shape[1],
        seconds=seconds,
        restored=protocol.measure(restored, target),
        input=protocol.measure(degraded, target),
    )
    return row, (degraded, restored, target)


def _save_picture(path: Path, row: Row, pictures: Sequence[np.ndarray], protocol: Protocol) -> None:
    captions = (caption("input", row.input), caption("restored", row.restored), "target")
    side_by_side(path, list(zip(captions, pictures)), title=f"{row.name} (protocol {protocol.name})")


def _free_name(stem: str, taken: set[str]) -> str:
    """Keep pictures of a.png and a.jpg, or of one name in two folders, apart."""
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name.lower())
    return f"{name}.png"


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _hidden(progress: bool | None) -> bool | None:
    return None if progress is None else not progress  # None: tqdm looks whether stderr is a terminal
