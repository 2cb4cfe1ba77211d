"""What an evaluation finds: the scores of every pair, what was left out, and the means over images and sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mindrestore.evaluation.protocol import Protocol


@dataclass(frozen=True)
class Measurement:
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
    rows: tuple[Measurement, ...]
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


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _average(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
