"""Time the networks of the READMEs on CPU: onnxruntime with the graphs that `mindrestore restore` runs.

    python benchmarks/model_zoo_times.py --rounds 9 --out benchmarks/model_zoo_times.json
    python benchmarks/model_zoo.py        # puts the new factors into the tables

The networks take turns, image by image, in one process, so that all see the same machine. What is kept are factors: the
median, over all rounds, of a network's time by that of DehazeFormer-T in the same round. The values of the networks are
drawn; times do not depend on them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml

from mindrestore.exporting.graph_file import NetworkGraph
from mindrestore.exporting.graphs import graph_for
from mindrestore.exporting.session import open_session, threads

FACTS = Path(__file__).with_name("model_zoo.yaml")
UNIT = "dehazeformer_t"


def processor() -> str:
    """Return what the system calls the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = next((line.partition(":")[2] for line in lines if line.startswith("model name")), platform.processor())
    return " ".join(named.replace("(R)", "").replace("Processor", "").split())


def drawn(graph: NetworkGraph, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw values of a size that keeps activations near one."""
    shapes = {name: graph.layout.shapes[graph.layout.names[name]] for name in graph.reads}
    return {
        name: (rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)
        if len(shape) > 1
        else np.full(shape, 0.5, np.float32)
        for name, shape in shapes.items()
    }


def opened(name: str) -> onnxruntime.InferenceSession:
    """Open the graph of a network with values that are drawn."""
    graph = graph_for(name)
    return open_session(graph.model, drawn(graph, np.random.default_rng(0)))


def seconds_of(session: onnxruntime.InferenceSession, image: np.ndarray) -> float:
    """Run an image once."""
    start = time.perf_counter()
    session.run(None, {session.get_inputs()[0].name: image})
    return time.perf_counter() - start


def measure(names: list[str], side: int, rounds: int) -> dict[str, Any]:
    """Let all networks take turns.

    Args:
        names: Registered names; the unit is among them.
        side: Height and width of the image (pixels).
        rounds: How often each network gets its turn.

    Returns:
        What was measured, and the factor of every network.
    """
    image = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    sessions = {name: opened(name) for name in names}
    for session in sessions.values():
        seconds_of(session, image)
    taken = [{name: seconds_of(session, image) for name, session in sessions.items()} for _ in range(rounds)]
    factors = {name: statistics.median(row[name] / row[UNIT] for row in taken) for name in names}
    return {
        "engine": f"onnxruntime {onnxruntime.__version__}",
        "threads": threads(),
        "image": f"{side}x{side}",
        "rounds": rounds,
        "cpu": processor(),
        "unit": UNIT,
        "unit_seconds_per_megapixel": round(statistics.median(row[UNIT] for row in taken) * 1e6 / side**2, 1),
        "factors": {name: float(f"{factor:.2g}") for name, factor in factors.items()},
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", type=int, default=192, help="height and width of the image")
    parser.add_argument("--models", nargs="+", help="networks (default: those of the table)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    listed = [entry["name"] for entry in yaml.safe_load(FACTS.read_text(encoding="utf-8"))["networks"]]
    found = measure(list(dict.fromkeys([UNIT, *(args.models or listed)])), args.side, args.rounds)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
