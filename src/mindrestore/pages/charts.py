"""Draw curves and histograms as SVG inside a page; they follow its colours and need no script to be seen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindrestore.pages.render import render
from mindrestore.pages.words import Text, say

Points = Sequence[tuple[float, float]]

MOST_POINTS = 1000  # of one curve in a page; longer ones keep the least and the largest value of every stretch
COLOURS = 6

_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 10, 24


@dataclass(frozen=True)
class Axis:
    """Map values to places along one side of a chart.

    Args:
        low: Value at the start.
        high: Value at the end; larger than `low`.
        start: Place of the start, in units of the drawing.
        end: Place of the end.
        logarithmic: Whether equal ratios take equal room.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value."""
        low, high, value = ((math.log10(v) if self.logarithmic else v) for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Choose about four round values within the axis; powers of ten where it is logarithmic."""
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers][:: max(1, len(powers) // 4)]
        rough = (self.high - self.low) / 4
        power = 10 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [step * count for count in range(first, math.floor(self.high / step + 1e-9) + 1)]


def line_chart(title: str | Text, series: Sequence[tuple[str | Text, Points]]) -> str:
    """Draw curves over the training step, with a legend that tells their last values.

    Args:
        title: What is drawn.
        series: Name and (step, value) points of every curve; all values finite. The points stand in `data-points` too.

    Returns:
        A figure. The scale is logarithmic where positive values span more than two powers of ten; a curve of a single
        point is a dot with its value.
    """
    series = [(name, thinned(points)) for name, points in series]
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    logarithmic = min(ys) > 0 and max(ys) / min(ys) > 100
    across = _axis(xs, _LEFT, _WIDTH - _RIGHT, 0)
    up = _axis(ys, _HEIGHT - _BOTTOM, _TOP, 0 if logarithmic else 0.05, logarithmic)
    lines = [_line(name, points, across, up, f"c{place % COLOURS}") for place, (name, points) in enumerate(series)]
    ends = tuple(_ends(name, points) for name, points in series)
    return _figure(
        say("logarithmic", title=title) if logarithmic else title,
        say("chart_spoken", title=title, ends=ends),
        {**_grid(across, up), **({"columns": [(across.place(xs[0]), _short(xs[0]))]} if len(set(xs)) == 1 else {})},
        lines=lines,
        legend=[(line["colour"], say("last_value", name=line["name"], value=line["value"])) for line in lines],
    )


def histogram(title: str | Text, groups: Sequence[tuple[str | Text, Sequence[float]]], bins: int = 16) -> str:
    """Draw how many images have which score, the groups over each other.

    Args:
        title: Name of the metric.
        groups: Name and scores of every group; scores that are not finite are left out and counted in the legend.
        bins: Number of bars of each group.

    Returns:
        A figure; empty text when fewer than two images have a finite score.
    """
    kept = [(name, [value for value in values if math.isfinite(value)], len(values)) for name, values in groups]
    values = [value for _, group, _ in kept for value in group]
    if max((len(group) for _, group, _ in kept), default=0) < 2:
        return ""
    across = _axis(values, _LEFT, _WIDTH - _RIGHT, 0)
    edges = np.linspace(across.low, across.high, bins + 1)
    counts = [np.histogram(group, edges)[0] for _, group, _ in kept]
    up = Axis(0, max(1, max(int(count.max()) for count in counts)) * 1.05, _HEIGHT - _BOTTOM, _TOP)
    bars = [bar for place, count in enumerate(counts) for bar in _bars(count, edges, across, up, f"c{place}")]
    notes = []
    for place, (name, group, total) in enumerate(kept):
        median = f"{np.median(group):.4g}" if group else "-"
        missing = {"missing": total - len(group)} if len(group) < total else {}
        key = "median_missing" if missing else "median"
        notes.append((f"c{place}", say(key, name=name, value=median, **missing)))
    spoken = say("histogram_spoken", title=title, notes=tuple(note for _, note in notes))
    return _figure(title, spoken, _grid(across, up, whole=True), bars=bars, legend=notes)


def thinned(points: Points, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Keep the first, the last, the least and the largest point of every stretch of a long curve."""
    points = list(points)
    if len(points) <= most:
        return points
    stretches = np.array_split(np.arange(len(points)), max(1, most // 4))
    kept: set[int] = set()
    for part in stretches:
        values = [points[place][1] for place in part]
        kept |= {int(part[0]), int(part[-1]), int(part[np.argmin(values)]), int(part[np.argmax(values)])}
    return [points[place] for place in sorted(kept)]


def _ends(name: str | Text, points: Points) -> Text:
    (step, first), (_, last) = points[0], points[-1]
    return say("first_and_last", name=name, first=f"{first:.4g}", step=f"{step:g}", last=f"{last:.4g}")


def _line(name: str | Text, points: Points, across: Axis, up: Axis, colour: str) -> dict[str, Any]:
    places = [(f"{across.place(x):.1f}", f"{up.place(y):.1f}") for x, y in points]
    return {
        "name": name,
        "colour": colour,
        "data": json.dumps([[x, y] for x, y in points], separators=(",", ":")),
        "points": " ".join(map(",".join, places)),
        "dot": tuple(map(float, places[0])) if len(points) == 1 else None,
        "value": f"{points[-1][1]:.4g}",
    }


def _bars(counts: np.ndarray, edges: np.ndarray, across: Axis, up: Axis, colour: str) -> Iterator[dict[str, str]]:
    for place in np.flatnonzero(counts):
        left, right = across.place(edges[place]), across.place(edges[place + 1])
        top, bottom = up.place(int(counts[place])), up.place(0)
        yield {
            "colour": colour,
            "x": f"{left:.1f}",
            "y": f"{top:.1f}",
            "width": f"{max(right - left - 1, 1):.1f}",
            "height": f"{bottom - top:.1f}",
            "title": f"{edges[place]:.4g} to {edges[place + 1]:.4g}: {counts[place]}",
        }


def _axis(values: Sequence[float], start: float, end: float, margin: float, logarithmic: bool = False) -> Axis:
    low, high = min(values), max(values)
    if low == high:  # one value: some room on both sides
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    room = (high - low) * margin
    return Axis(low - room, high + room, start, end, logarithmic)


def _grid(across: Axis, up: Axis, whole: bool = False) -> dict[str, list[tuple[float, str]]]:
    """Return the lines and numbers of both axes: place and text."""
    heights = [value for value in up.ticks() if not whole or value == int(value)]
    return {
        "rows": [(round(up.place(value), 1), _short(value)) for value in heights],
        "columns": [(round(across.place(value), 1), _short(value)) for value in across.ticks()],
    }


def _figure(title: str | Text, spoken: Text, grid: Mapping[str, Any], **drawn: Sequence[Any]) -> str:
    sides = {"left": _LEFT, "right": _WIDTH - _RIGHT, "top": _TOP, "bottom": _HEIGHT - _BOTTOM}
    frame = {"width": _WIDTH, "height": _HEIGHT, **sides}
    return render("chart.html", title=title, spoken=spoken, **frame, **grid, **{"lines": (), "bars": (), **drawn})


def _short(value: float) -> str:
    return (
        f"{value:.4g}"
        if value == 0 or 1e-3 <= abs(value) < 1e5
        else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    )
