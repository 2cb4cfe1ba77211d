"""Compare what a weight file holds with what a network needs, and put it in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.weights.errors import WeightError

_LISTED = 6  # names per line of the table
_ALWAYS = ("reshaped", "missing", "extra")  # lines that say 0, too


@dataclass(frozen=True)
class Tensor:
    """Where a tensor of a network came from."""

    source: str
    name: str
    source_shape: tuple[int, ...]
    shape: tuple[int, ...]
    source_dtype: str
    dtype: str


@dataclass(frozen=True)
class Comparison:
    """Which tensors of a file a network takes, and what is left over on either side.

    Attributes:
        source: the file.
        network: name; `differing`: hyper-parameters that differ from the published ones.
        tensors: one entry per tensor that has a place.
        extra: numbers in the file that the network has no place for.
        ignored: what is needed for training only, or belongs to a part that is not used here.
        missing: what the network needs and the file lacks.
        misshapen: name in the network -> both shapes, where they differ.
        origin: section of the file and prefix of its names, in words.
    """

    source: Path
    network: str
    differing: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    extra: tuple[str, ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...] = ()
    misshapen: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""

    def table(self, every: bool = False) -> str:
        """Return what is mapped, renamed, reshaped, missing and extra as text.

        Args:
            every: list every name, and add a line per tensor.

        Returns:
            Lines.
        """
        tensors, most = self.tensors, None if every else _LISTED
        values = sum(int(np.prod(tensor.shape)) for tensor in tensors)
        reshaped = [f"{t.name} {t.source_shape} -> {t.shape}" for t in tensors if t.source_shape != t.shape]
        listed = {
            "renamed": [f"{t.source} -> {t.name}" for t in tensors if not t.source.endswith(t.name)],
            "reshaped": reshaped,
            "retyped": [f"{t.name} {t.source_dtype} -> {t.dtype}" for t in tensors if t.source_dtype != t.dtype],
            "missing": self.missing,
            "extra": self.extra,
            "misshapen": [f"{name} {shapes}" for name, shapes in self.misshapen.items()],
            "left out": self.ignored,
        }
        lines = [f"network {self.network} {_settings(self.differing)}".rstrip()]
        if self.origin:
            lines.append(f"  {'source':9}{self.origin}")
        lines.append(f"  {'mapped':9}{len(tensors):6}  {values:,} values")
        for kind, names in listed.items():
            if names or kind in _ALWAYS:
                lines.append(f"  {kind:9}{len(names):6}  {_joined(names, most)}".rstrip())
        if every and tensors:
            width = max(len(tensor.source) for tensor in tensors)
            lines += [f"  {t.source:{width}}  {t.name}  {t.shape} {t.dtype}" for t in tensors]
        return "\n".join(lines)


class ComparisonError(WeightError):
    """Report a file that does not fit its network; `comparison` says in full what differs."""

    def __init__(self, message: str, comparison: Comparison) -> None:
        super().__init__(message)
        self.comparison = comparison


def _joined(names: Sequence[str], most: int | None) -> str:
    more = f" and {len(names) - most} more" if most and len(names) > most else ""
    return ", ".join(names[:most]) + more


def _settings(hyper: Mapping[str, Any]) -> str:
    return f"with {', '.join(f'{key}={value}' for key, value in hyper.items())}" if hyper else ""
