"""Draw curves and histograms as SVG inside a page; they follow its colours and need no script to be seen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mindrestore.pages.html import escape

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


def line_chart(title: str, series: Sequence[tuple[str, Points]]) -> str:
    """Draw curves over the training step, with a legend that tells their last values.

    Args:
        title: What is drawn.
        series: Name and (step, value) points of every curve; all values finite. The points stand in `data-points` too.

    Returns:
        A figure. The scale is logarithmic where positive values span more than two powers of ten.
    """
    series = [(name, thinned(points)) for name, points in series]
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    logarithmic = min(ys) > 0 and max(ys) / min(ys) > 100
    across = _axis(xs, _LEFT, _WIDTH - _RIGHT, 0)
    up = _axis(ys, _HEIGHT - _BOTTOM, _TOP, 0 if logarithmic else 0.05, logarithmic)
    lines = "".join(
        f'<polyline class="c{place % COLOURS}" data-name="{escape(name)}" data-points="{_data(points)}" '
        f'points="{" ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in points)}"/>'
        for place, (name, points) in enumerate(series)
    )
    ends = [
        f"{name} {points[0][1]:.4g} at step {points[0][0]:g}, {points[-1][1]:.4g} at the end" for name, points in series
    ]
    return _figure(
        title + (" (logarithmic)" if logarithmic else ""),
        f"{title}: {'; '.join(ends)}",
        _grid(across, up) + lines,
        [(f"c{place % COLOURS}", f"{name}: last {points[-1][1]:.4g}") for place, (name, points) in enumerate(series)],
    )


def histogram(title: str, groups: Sequence[tuple[str, Sequence[float]]], bins: int = 16) -> str:
    """Draw how many images have which score, the groups over each other.

    Args:
        title: Name of the metric.
        groups: Name and scores of every group; scores that are not finite are left out and counted in the legend.
        bins: Number of bars of each group.

    Returns:
        A figure; empty text when no score is finite.
    """
    kept = [(name, [value for value in values if math.isfinite(value)], len(values)) for name, values in groups]
    values = [value for _, group, _ in kept for value in group]
    if not values:
        return ""
    across = _axis(values, _LEFT, _WIDTH - _RIGHT, 0)
    edges = np.linspace(across.low, across.high, bins + 1)
    counts = [np.histogram(group, edges)[0] for _, group, _ in kept]
    up = Axis(0, max(1, max(int(count.max()) for count in counts)) * 1.05, _HEIGHT - _BOTTOM, _TOP)
    bars = "".join(_bars(count, edges, across, up, f"c{place}") for place, count in enumerate(counts))
    notes = []
    for place, (name, group, total) in enumerate(kept):
        note = f"{name}: median {np.median(group):.4g}" if group else name
        missing = f", {total - len(group)} without a finite score" if len(group) < total else ""
        notes.append((f"c{place}", note + missing))
    spoken = f"{title}, number of images per score; {'; '.join(note for _, note in notes)}"
    return _figure(title, spoken, _grid(across, up, whole=True) + bars, notes)


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


def _bars(counts: np.ndarray, edges: np.ndarray, across: Axis, up: Axis, name: str) -> str:
    bars = []
    for place in np.flatnonzero(counts):
        left, right = across.place(edges[place]), across.place(edges[place + 1])
        top, bottom = up.place(int(counts[place])), up.place(0)
        bars.append(
            f'<rect class="bar {name}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left - 1, 1):.1f}" '
            f'height="{bottom - top:.1f}"><title>{edges[place]:.4g} to {edges[place + 1]:.4g}: {counts[place]}</title>'
            "</rect>"
        )
    return "".join(bars)


def _axis(values: Sequence[float], start: float, end: float, margin: float, logarithmic: bool = False) -> Axis:
    low, high = min(values), max(values)
    if low == high:  # one value: some room on both sides
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    room = (high - low) * margin
    return Axis(low - room, high + room, start, end, logarithmic)


def _grid(across: Axis, up: Axis, whole: bool = False) -> str:
    parts = []
    for value in up.ticks():
        if whole and value != int(value):
            continue
        y = up.place(value)
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for value in across.ticks():
        x = across.place(value)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{_short(value)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
    return "".join(parts)


def _figure(title: str, spoken: str, drawing: str, legend: Iterable[tuple[str, str]]) -> str:
    entries = "".join(f'<span><i class="{name}"></i>{escape(text)}</span>' for name, text in legend)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(spoken)}">{drawing}</svg>'
        f'<div class="legend">{entries}</div></figure>'
    )


def _data(points: Points) -> str:
    return escape(json.dumps([[x, y] for x, y in points], separators=(",", ":")))


def _short(value: float) -> str:
    return (
        f"{value:.4g}"
        if value == 0 or 1e-3 <= abs(value) < 1e5
        else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    )
