"""The benchmark of the loader runs and counts what it says."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "loader.py"


def test_every_cache_is_measured(tiny_data, tmp_path, monkeypatch, capsys):
    words = [
        "--patch",
        "16",
        "--batch",
        "2",
        "--workers",
        "1",
        "--seconds",
        "0.01",
        "--json",
        str(tmp_path / "out.json"),
    ]
    monkeypatch.setattr(sys, "argv", [str(BENCHMARK), str(tiny_data), *words, "--cache-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert ended.value.code == 0
    measured = json.loads((tmp_path / "out.json").read_text())
    assert measured["settings"]["pairs"] == 6
    assert [row["cache"] for row in measured["rows"]] == ["none", "memory", "disk"]
    for row in measured["rows"]:
        assert row["patches_per_second"] == pytest.approx(row["per_core"] * row["cores"], rel=1e-6)
        assert row["first_pass"] > 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]  # the cache is gone
