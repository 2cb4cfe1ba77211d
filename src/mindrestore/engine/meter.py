"""Running means that survive a kill: sums are kept, not the values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindrestore.engine.step import StepResult


@dataclass
class Meter:
    """Average what the steps of an interval measured; skipped steps are counted, not averaged."""

    sums: dict[str, float] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)
    count: int = 0
    skipped: int = 0

    def add(self, result: StepResult) -> None:
        """Take in one step."""
        if not result.finite:
            self.skipped += 1
            return
        self.count += 1
        _add(self.sums, {"loss": result.total, "grad_norm": result.norm})
        _add(self.terms, result.terms)

    def means(self) -> dict[str, float | dict[str, float] | None]:
        """Return the averages; None when every step was skipped."""
        if self.count == 0:
            return {"loss": None, "terms": {}, "grad_norm": None}
        terms = {name: value / self.count for name, value in self.terms.items()}
        return {
            "loss": self.sums["loss"] / self.count,
            "terms": terms,
            "grad_norm": self.sums["grad_norm"] / self.count,
        }


def describe_means(means: Mapping[str, Any]) -> str:
    """Word what `Meter.means` gives; the stages of a term share an entry."""
    if means["loss"] is None:
        return "no finite loss"
    entries: dict[str, list[str]] = {}
    for name, value in {"loss": means["loss"], **means["terms"]}.items():
        base, _, stage = name.rpartition("_")
        entries.setdefault(base if stage.isdigit() else name, []).append(f"{value:.5f}")
    return "  ".join(f"{name} {'/'.join(values)}" for name, values in entries.items())


def _add(sums: dict[str, float], values: Mapping[str, float]) -> None:
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + value
