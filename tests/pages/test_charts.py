"""Curves and histograms: what they draw is what they were given."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from parsed import Page

from mindrestore.pages.charts import MOST_POINTS, Axis, histogram, line_chart, thinned
from mindrestore.pages.training import draw_curves, read_curves


def coordinates(figure: str) -> list[tuple[float, float]]:
    points = re.search(r' points="([^"]*)"', figure).group(1)
    return [tuple(map(float, point.split(","))) for point in points.split()]


def test_curves_are_those_of_metrics_jsonl(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()[:-1]
    records = [json.loads(line) for line in lines]
    train = [record for record in records if record["kind"] == "train"]
    page = Page("".join(draw_curves(read_curves(run)).charts))
    assert page.curves["loss"] == [[r["step"], r["loss"]] for r in train if r["loss"] is not None]
    assert page.curves["learning rate"] == [[r["step"], r["lr"]] for r in train]
    assert page.curves["loss scale"] == [[r["step"], r["scale"]] for r in train]
    assert page.curves["gradient norm"] == [[r["step"], r["grad_norm"]] for r in train]
    for name in ("l1", "edge_2", "edge_1"):
        assert page.curves[name] == [[r["step"], r["terms"][name]] for r in train]
    assert page.text.index("loss term l1") < page.text.index("validation PSNR") < page.text.index("learning rate")
    assert read_curves(run)["loss term edge"].keys() == {"edge_2", "edge_1"}  # stages share a chart
    assert read_curves(run)["validation PSNR"] == {"mean": [(30, 21.5), (60, 23.25)]}
    assert any("21.5 at step 30" in label for label in page.labels)  # for those who do not see the chart


def test_a_folder_without_a_log_has_no_curves(tmp_path):
    assert read_curves(tmp_path) == {}
    assert draw_curves({}) is None


def test_higher_values_stand_higher_and_in_proportion():
    (_, low), (_, middle), (_, high) = coordinates(line_chart("x", [("x", [(0, 1.0), (1, 2.0), (2, 4.0)])]))
    assert low > middle > high  # SVG counts from the top
    assert (low - middle) / (low - high) == pytest.approx(1 / 3, abs=0.01)


def test_wide_ranges_are_logarithmic():
    figure = line_chart("lr", [("lr", [(0, 1e-6), (1, 1e-4), (2, 1e-2)])])
    (_, low), (_, middle), (_, high) = coordinates(figure)
    assert low - middle == pytest.approx(middle - high, abs=0.2)
    assert "lr (logarithmic)" in Page(figure).text
    assert "logarithmic" not in line_chart("x", [("x", [(0, -1.0), (1, 1000.0)])])


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-12])
def test_a_constant_and_a_single_point_can_be_drawn(value):
    for points in ([(5, value)], [(1, value), (2, value)]):
        assert all(math.isfinite(number) for point in coordinates(line_chart("c", [("c", points)])) for number in point)


def test_a_single_point_is_a_dot_with_its_value():
    figure = line_chart("validation PSNR", [("Dense", [(5, 21.53)]), ("Thin", [(5, 24.1)])])
    assert re.findall(r'<circle class="(c\d)"', figure) == ["c0", "c1"]
    assert re.findall(r'<text class="value"[^>]*>([^<]*)</text>', figure) == ["21.53", "24.1"]
    assert re.findall(r'text-anchor="middle">([^<]*)</text>', figure)[0] == "5"  # the only step below the chart
    assert "<circle" not in line_chart("x", [("x", [(0, 1.0), (1, 2.0)])])


def test_what_never_changes_is_a_line_of_text():
    curves = {"loss": {"loss": [(1, 0.5), (2, 0.25)]}, "loss scale": {"loss scale": [(1, 1024.0), (2, 1024.0)]}}
    drawn = draw_curves({**curves, "learning rate": {"learning rate": [(1, 1e-4)]}})
    assert [(str(name), value) for name, value in drawn.constant] == [("loss scale", "1024")]
    assert [Page(chart).labels[0].split(":")[0] for chart in drawn.charts] == ["loss", "learning rate"]


def test_long_curves_keep_their_extremes():
    points = [(step, math.sin(step / 1000)) for step in range(100_000)]
    points[54_321] = (54_321, 9.0)
    points[77_777] = (77_777, -9.0)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS
    assert {points[0], points[-1], (54_321, 9.0), (77_777, -9.0)} <= set(kept)
    assert kept == sorted(kept)


def test_ticks_are_round_and_inside():
    assert Axis(0.13, 0.98, 0, 1).ticks() == pytest.approx([0.25, 0.5, 0.75])
    assert Axis(1e-6, 1e-2, 0, 1, logarithmic=True).ticks() == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])


def test_bars_count_every_finite_score():
    rng = np.random.default_rng(0)
    before, after = rng.normal(20, 2, 50), [*rng.normal(25, 2, 47), math.inf, math.nan, math.nan]
    figure = histogram("PSNR <", [("restored", after), ("input", list(before))], bins=8)
    bars = re.findall(r'class="bar (c\d)".*?: (\d+)</title>', figure)
    assert sum(int(count) for name, count in bars if name == "c0") == 47
    assert sum(int(count) for name, count in bars if name == "c1") == 50
    text = Page(figure).text
    assert f"restored: median {np.median(after[:47]):.4g}, 3 without a finite score" in text
    assert "PSNR <" in text
    assert histogram("SSIM", [("restored", [math.nan])]) == ""
    assert histogram("SSIM", [("restored", [0.9]), ("input", [0.8])]) == ""  # one image has no distribution
