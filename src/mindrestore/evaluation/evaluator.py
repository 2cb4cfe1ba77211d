"""Restore and measure image pairs one by one, or set by set; what cannot be used is named and the others go on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm import tqdm

from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.data.pairing import Pair
from mindrestore.data.source import read_pair
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.alignment import AlignmentError
from mindrestore.evaluation.pictures import Gallery
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.evaluation.sets import NamedSet
from mindrestore.files import PathLike
from mindrestore.images.pixels import to_float

Restore = Callable[[np.ndarray], np.ndarray]


class EvaluationError(MindRestoreError):
    """Report that there is nothing to measure, or that nothing could be measured."""


@dataclass(frozen=True)
class Row:
    """The scores of one pair.

    Args:
        name: File name of the degraded image, with its folder's name before it where the key has that.
        key: What input and target have in common; several rows share it when one target serves many inputs.
        height: Height measured, in pixels.
        width: Width measured, in pixels.
        seconds: Wall time of restoring.
        restored: Metric name -> score of the restored image.
        input: Metric name -> score of the degraded image, for comparison.
        picture: Name of its pictures (`Gallery`); empty where none were written.
    """

    name: str
    key: str
    height: int
    width: int
    seconds: float
    restored: dict[str, float]
    input: dict[str, float]
    picture: str = ""


@dataclass(frozen=True)
class Failure:
    """Name a pair or a set that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """One row per measured pair, what was left out, and the protocol behind every number.

    Args:
        protocol: How every number was measured.
        rows: One per measured pair.
        failures: Pairs that were left out.
        sigmas: Deviations of the noise that the test added to clear images, in grey levels of 255.
    """

    protocol: Protocol
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    sigmas: tuple[int, ...] = ()

    @property
    def noise(self) -> str:
        """Return which noise the test added to clear images; empty when it added none."""
        if not self.sigmas:
            return ""
        sigmas = ", ".join(str(sigma) for sigma in self.sigmas)
        return f"Gaussian noise, sigma {sigmas}, 8 bits, seed {self.protocol.noise_seed}, a generator per image"

    @property
    def mean(self) -> dict[str, float]:
        """Mean score of the restored images, per metric, over the images where it is defined."""
        return {name: _mean(row.restored[name] for row in self.rows) for name in self.protocol.names}

    @property
    def input_mean(self) -> dict[str, float]:
        """Mean score of the degraded images, per metric."""
        return {name: _mean(row.input[name] for row in self.rows) for name in self.protocol.names}

    @property
    def seconds(self) -> float:
        """Mean wall time of restoring an image."""
        return sum(row.seconds for row in self.rows) / len(self.rows)

    @property
    def counts(self) -> dict[str, int]:
        """Number of images behind each mean."""
        return {name: sum(not math.isnan(row.restored[name]) for row in self.rows) for name in self.protocol.names}


@dataclass(frozen=True)
class SetsEvaluation:
    """The evaluations of several sets; every set counts alike in the means, however many images it has.

    Args:
        sets: Name of the set -> its evaluation, in the order of the table.
        missing: Names of sets that belong to the table and were not there.
        unmeasured: Sets that were there and of which no pair could be measured.
        tasks: Name of the set -> its task, where it has one.
    """

    sets: Mapping[str, Evaluation]
    missing: tuple[str, ...] = ()
    unmeasured: tuple[Failure, ...] = ()
    tasks: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics that every set was measured with, in the order of the first."""
        protocols = [evaluation.protocol for evaluation in self.sets.values()]
        return tuple(name for name in protocols[0].names if all(name in protocol.names for protocol in protocols))

    @property
    def mean(self) -> dict[str, float]:
        """Unweighted average of the sets' means of the restored images; NaN where one set has none."""
        return {name: _average(evaluation.mean[name] for evaluation in self.sets.values()) for name in self.names}

    @property
    def input_mean(self) -> dict[str, float]:
        """Unweighted average of the sets' means of the degraded images."""
        return {name: _average(evaluation.input_mean[name] for evaluation in self.sets.values()) for name in self.names}

    @property
    def task_means(self) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
        """Task -> averages of its sets' means of the degraded and of the restored images."""
        members: dict[str, list[Evaluation]] = {}
        for name, evaluation in self.sets.items():
            if name in self.tasks:
                members.setdefault(self.tasks[name], []).append(evaluation)
        return {
            task: (
                {name: _average(entry.input_mean[name] for entry in entries) for name in self.names},
                {name: _average(entry.mean[name] for entry in entries) for name in self.names},
            )
            for task, entries in members.items()
        }

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Everything that was left out: whole sets, then pairs as SET/IMAGE."""
        pairs = (
            Failure(f"{name}/{failure.name}", failure.reason)
            for name, evaluation in self.sets.items()
            for failure in evaluation.failures
        )
        return (*self.unmeasured, *pairs)


def evaluate_pairs(
    restore: Restore,
    pairs: Sequence[Pair],
    protocol: str | Protocol,
    *,
    save_dir: PathLike | None = None,
    pictures: int | None = None,
    limit: int | None = None,
    progress: bool | None = None,
) -> Evaluation:
    """Restore every input and score it, and the input itself, against the target.

    Args:
        restore: Maps an image (H, W, 3), float32 RGB in [0,1], to the restored one of the same shape.
        pairs: Pairs to measure; one target may serve several of them.
        protocol: A protocol or its name.
        save_dir: Folder for pictures: of every pair copies and an error map for pages in `parts`, and a drawing input |
            restored | target; None writes none.
        pictures: Stop drawing after this many pairs; None draws all.
        limit: Stop after this many pairs.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        Rows in the order of the pairs, and the pairs that could not be measured.

    Raises:
        EvaluationError: There are no pairs, or none of them could be measured.
        ProtocolError: The protocol is unknown.
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    pairs = list(pairs)[:limit]
    if not pairs:
        raise EvaluationError("there are no image pairs to evaluate; check the data folder, its layout and the split")
    gallery = None if save_dir is None else Gallery(save_dir, pictures)
    rows, failures = [], []
    for pair in tqdm(pairs, desc=f"evaluate ({protocol.name})", unit="image", disable=_hidden(progress)):
        try:
            row, panels, failure = _measure_pair(restore, pair, protocol)
        except MindRestoreError as error:
            failures.append(Failure(_name(pair), str(error)))
            continue
        if failure:
            failures.append(failure)
        rows.append(gallery.add(row, panels, protocol.name, Path(pair.input).suffix) if gallery else row)
    if not rows:
        reasons = "\n".join(f"  {failure.name}: {failure.reason}" for failure in failures[:5])
        raise EvaluationError(f"none of the {len(pairs)} pairs could be measured; the first reasons:\n{reasons}")
    sigmas = sorted({sigma for pair in pairs for sigma in pair.noise or ()})
    return Evaluation(protocol, tuple(rows), tuple(failures), tuple(sigmas))


def evaluate_sets(
    restore: Restore,
    sets: Sequence[NamedSet],
    *,
    save_dir: PathLike | None = None,
    pictures: int | None = 20,
    limit: int | None = None,
    progress: bool | None = None,
) -> SetsEvaluation:
    """Measure several test sets, each with its own protocol, for a table with one line per set and their average.

    Args:
        restore: As for `evaluate_pairs`.
        sets: The sets in the order of the table. One without pairs is reported as missing.
        save_dir: Folder for pictures, under SET/pictures; None writes none.
        pictures: Number of drawings per set; None draws all.
        limit: Stop after this many pairs of every set.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        One evaluation per set, and the names of the sets that are missing or could not be measured.

    Raises:
        EvaluationError: Two sets have one name, or none of them could be measured.
        ProtocolError: A protocol is unknown.
    """
    names = [entry.name for entry in sets]
    if len(set(names)) < len(names):
        raise EvaluationError(f"two test sets have one name: {', '.join(names)}; rename one of them")
    done, unmeasured = {}, []
    for entry in sets:
        if not entry.pairs:
            continue
        folder = None if save_dir is None else Path(save_dir) / entry.name / "pictures"
        try:
            done[entry.name] = evaluate_pairs(
                restore, entry.pairs, entry.protocol, save_dir=folder, pictures=pictures, limit=limit, progress=progress
            )
        except EvaluationError as error:
            unmeasured.append(Failure(entry.name, str(error)))
    if not done:
        reasons = "\n".join(f"{failure.name}: {failure.reason}" for failure in unmeasured)
        raise EvaluationError(f"none of the {len(names)} test sets could be measured\n{reasons}".rstrip())
    missing = tuple(entry.name for entry in sets if not entry.pairs)
    return SetsEvaluation(done, missing, tuple(unmeasured), {entry.name: entry.task for entry in sets if entry.task})


def _measure_pair(
    restore: Restore, pair: Pair, protocol: Protocol
) -> tuple[Row, tuple[np.ndarray, ...], Failure | None]:
    image, target = read_pair(pair)
    if pair.noise is not None:
        sigma = pair.noise[0]
        image = add_noise(image, sigma, noise_rng(protocol.noise_seed, sigma, Path(pair.input).name))
    degraded, target = protocol.prepare(to_float(image)), protocol.prepare(to_float(target))
    start = time.perf_counter()
    restored = restore(np.ascontiguousarray(degraded))
    seconds = time.perf_counter() - start
    name, scores, failure = _name(pair), protocol.measure(restored, target), None
    try:
        before = protocol.measure(degraded, target)
    except AlignmentError as error:  # the restored image was measured; only the comparison is lost
        before = dict.fromkeys(protocol.names, math.nan)
        failure = Failure(name, f"the scores of the degraded image are left out: {error}")
    row = Row(name, pair.key, *degraded.shape[:2], seconds, restored=scores, input=before)
    return row, (degraded, restored, target), failure


def _name(pair: Pair) -> str:
    """Name a pair so that 000047.png of one GoPro sequence and of another stay apart: there the keys tell more."""
    path = Path(pair.input)
    return pair.key + path.suffix if pair.key.endswith(path.stem) else path.name


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _average(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _hidden(progress: bool | None) -> bool | None:
    return None if progress is None else not progress  # None: tqdm looks whether stderr is a terminal
