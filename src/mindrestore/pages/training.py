"""Draw the curves of a run from its metrics.jsonl: loss and its terms, validation scores, learning rate, loss scale."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrestore.evaluation.metrics import TITLES
from mindrestore.files import PathLike
from mindrestore.pages.charts import line_chart
from mindrestore.pages.words import Text, say

Curves = dict[str, dict[str, list[tuple[float, float]]]]

_SINGLE = {"loss": "loss", "lr": "learning rate", "scale": "loss scale", "grad_norm": "gradient norm"}

_WORDS = {**{title: f"curve_{key}" for key, title in _SINGLE.items()}, "mean": "mean"}


def read_curves(run: PathLike) -> Curves:
    """Read what a run has logged.

    Args:
        run: Run folder.

    Returns:
        Title of a chart -> name of a curve -> (step, value) in the order of the file. Stages of one loss term
        (`edge_3`, `edge_2`) share a chart, and so do the sets of one validation score. Values that are not numbers
        (null after a skipped update) and half-written lines are left out. Empty without metrics.jsonl.
    """
    path = Path(run) / "metrics.jsonl"
    curves: Curves = {}
    if not path.is_file():
        return curves
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            record = _record(line)
            for chart, name, value in _values(record):
                if isinstance(value, (int, float)) and math.isfinite(value):
                    curves.setdefault(chart, {}).setdefault(name, []).append((record["step"], value))
    return curves


@dataclass(frozen=True)
class Drawn:
    """The curves of a run as a page shows them: charts, and in words what never changed."""

    charts: tuple[str, ...]
    constant: tuple[tuple[str | Text, str], ...]


def draw_curves(curves: Curves) -> Drawn | None:
    """Draw every chart; loss first, then its terms, validation scores, and what steers the training.

    Returns:
        None without curves.
    """
    last = [_SINGLE[key] for key in ("lr", "scale", "grad_norm")]
    first = [title for title in curves if title not in last]
    order = [*(title for title in first if title == "loss"), *(title for title in first if title != "loss")]
    order += [title for title in last if title in curves]
    constant = {title: stays(curves[title]) for title in order}
    changing = [title for title in order if constant[title] is None]
    charts = (line_chart(_said(title), [(_said(name), p) for name, p in curves[title].items()]) for title in changing)
    lines = tuple((_said(title), f"{value:.6g}") for title, value in constant.items() if value is not None)
    return Drawn(tuple(charts), lines) if curves else None


def _said(title: str) -> str | Text:
    """Return the words for the title of a chart or the name of a curve; those of terms and sets are names."""
    if title in _WORDS:
        return say(_WORDS[title])
    for beginning in ("loss term", "validation"):
        if title.startswith(f"{beginning} "):
            return say(f"curve_{beginning.replace(' ', '_')}", name=title[len(beginning) + 1 :])
    return title


def stays(curves: Mapping[str, list[tuple[float, float]]]) -> float | None:
    """Return the value that all curves of a chart have at every step; None where they change or are single points."""
    values = {value for points in curves.values() for _, value in points}
    return values.pop() if len(values) == 1 and max(map(len, curves.values())) > 1 else None


def _values(record: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    if record.get("kind") == "train":
        single = [(title, title, record.get(key)) for key, title in _SINGLE.items()]
        terms = ((name, re.sub(r"_[0-9]+$", "", name), value) for name, value in record.get("terms", {}).items())
        return single + [(f"loss term {chart}", name, value) for name, chart, value in terms]
    if record.get("kind") == "validation":
        found = []
        for name, value in record.get("scores", {}).items():
            metric, _, part = name.partition(" ")
            found.append((f"validation {TITLES.get(metric, metric)}", part or "mean", value))
        return found
    return []


def _record(line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:  # the last line of a run that was killed
        return {}
    return record if isinstance(record, dict) and "step" in record else {}
