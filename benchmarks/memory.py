"""Measure the memory that a network takes per pixel, on onnxruntime and compiled by MindSpore.

    python benchmarks/memory.py --out memory.json
    python benchmarks/memory.py --models dsrir aecrnet --engines onnx --sides 256 512 1024

Each number is of a process of its own that runs whole images: its largest resident size, less what is resident before
the first image, per pixel. The weights are random, which changes neither. `ModelSpec.pixel_bytes` and `cell_bytes`
hold the largest number of all sides, and a test compares them with the table that --out wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from mindrestore.models.registry import list_models

_RUN = """
import resource, sys, time
import numpy as np
import psutil
from mindrestore.models.registry import model_spec
engine, name, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
spec, rng = model_spec(name), np.random.default_rng(0)
if engine == "onnx":
    from mindrestore.exporting.graphs import graph_for
    from mindrestore.inference.engines import GraphEngine
    shapes = graph_for(name).layout.shapes
    run = GraphEngine(spec, {key: np.float32(0.02) * rng.standard_normal(s, np.float32) for key, s in shapes.items()})
else:
    from mindrestore.inference.cell_engine import network_engine
    run = network_engine(spec, None, device="CPU", tell=lambda line: None)
    least = spec.fitting_side(32)
    run(rng.random((1, 3, least, least), np.float32))  # compiles, which takes memory of its own
before = psutil.Process().memory_info().rss / 1024
image, start = rng.random((1, 3, side, side), np.float32), time.perf_counter()
for _ in range(2):  # the second image finds what the first one left
    run(image)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / side**2, (time.perf_counter() - start) / 2)
"""


def measure(engine: str, name: str, side: int) -> dict | None:
    """Run one network on one size; return its row, or None where the memory of this machine does not do."""
    command = [sys.executable, "-c", _RUN, engine, name, str(side)]
    paths = [sys.path[0], os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        print(f"{name} {engine} {side}: {last}", flush=True)
        return None
    bytes_per_pixel, seconds = map(float, done.stdout.split()[-2:])
    print(f"{name:18} {engine:9} {side:5} {bytes_per_pixel:8.0f} bytes per pixel, {seconds:6.2f} s", flush=True)
    return {"model": name, "engine": engine, "side": side, "bytes": round(bytes_per_pixel)}


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list_models(), help="registered networks (default: all)")
    parser.add_argument("--engines", nargs="+", choices=("onnx", "mindspore"), default=["onnx", "mindspore"])
    parser.add_argument("--sides", nargs="+", type=int, default=[256, 512, 1024], help="of the images (pixels)")
    parser.add_argument("--out", type=Path, help="JSON file; rows of other networks, engines and sides in it stay")
    args = parser.parse_args()
    kept = json.loads(args.out.read_text()) if args.out and args.out.is_file() else []
    rows = {(row["model"], row["engine"], row["side"]): row for row in kept}
    for name in args.models:
        for engine in args.engines:
            for side in args.sides:
                row = measure(engine, name, side)
                if row is None:
                    break
                rows[name, engine, side] = row
                if args.out:
                    lines = ",\n".join(json.dumps(rows[key]) for key in sorted(rows))
                    args.out.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
