"""The memory per pixel of a spec is what `benchmarks/memory.py --out tests/models/memory.json` measured."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from mindrestore.models.registry import list_models, model_spec

ROWS = json.loads(Path(__file__).with_name("memory.json").read_text())
MEASURED: dict[tuple[str, str], list[int]] = defaultdict(list)
for row in ROWS:
    MEASURED[row["model"], row["engine"]].append(row["bytes"])


@pytest.mark.parametrize(("name", "engine"), sorted(MEASURED))
def test_numbers_are_those_that_were_measured(name, engine):
    """Not below any size that was measured, and not so far above that images go in tiles without need."""
    spec, most = model_spec(name), max(MEASURED[name, engine])
    given = spec.pixel_bytes if engine == "onnx" else spec.cell_bytes
    assert most <= given <= 1.2 * most


def test_every_network_was_measured_on_the_engine_that_people_use():
    assert {name for name, engine in MEASURED if engine == "onnx"} == set(list_models())
