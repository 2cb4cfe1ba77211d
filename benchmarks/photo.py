"""Measure large photographs: peak memory of one in tiles, and how fast tiles are beside the whole image.

    python benchmarks/photo.py memory --models aecrnet mprnet_deraining dehazeformer_t --memory 2 --out photo.json
    python benchmarks/photo.py tiles --models aecrnet mprnet_deraining dehazeformer_t --memory 1
    python benchmarks/photo.py eager --models aecrnet dehazeformer_s dehazeformer_b --memory 2

`memory` restores a photograph of 24 megapixels, each network in a process of its own, and gives the peak of resident
memory beyond that of importing the package. `tiles` restores one image that fits both ways, whole and in tiles in
turns, and gives the ratio of the speeds per pixel (above 1: tiles are faster); by default the image that four tiles
cover exactly, since a last tile that is mostly overlap costs as much as any. `eager` does so with the whole image
operator by operator, which is what `Restorer` chooses where a graph for the whole image would not fit. Weights are
initial ones: they change neither time nor memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

WIDTH_BY_HEIGHT = 1.5  # of a camera's sensor


def peak_mb() -> float:
    """Return the largest resident size of this process so far (MB of 10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def photo_of(height: int, width: int):
    """Make a photograph (H, W, 3) uint8 of smooth shapes and grain."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (height // 64 + 2, width // 64 + 2, 3), np.uint8), (width, height))
    return cv2.add(smooth, rng.integers(0, 16, (height, width, 3), np.uint8))


def measure_memory(model: str, megapixels: float, memory: float) -> dict:
    """Restore a large photograph in tiles, in this process."""
    from mindrestore.inference.restorer import Restorer

    imported = peak_mb()
    height = round((megapixels * 1e6 / WIDTH_BY_HEIGHT) ** 0.5)
    photo = photo_of(height, round(height * WIDTH_BY_HEIGHT))
    restore = Restorer(model, device="CPU", tile="auto", memory=memory)
    start = time.perf_counter()
    restored = restore(photo)
    seconds = time.perf_counter() - start
    assert restored.shape == photo.shape
    return {
        "model": model,
        "megapixels": photo.shape[0] * photo.shape[1] / 1e6,
        "tile": restore.tiling.size,
        "import_mb": imported,
        "beyond_import_mb": peak_mb() - imported,
        "seconds": seconds,
    }


def in_own_process(arguments: list[str]) -> dict:
    """Run one measurement in a process of its own and read what it prints last."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {done.returncode}, see its messages above")
    return json.loads(done.stdout.splitlines()[-1])


def measure_tiles(model: str, size: tuple[int, int] | None, memory: float, runs: int, eager: bool) -> dict:
    """Restore one image whole, in a graph or operator by operator, and in tiles, in turns."""
    from mindrestore.inference.restorer import Restorer

    tiling = Restorer(model, device="CPU", tile="auto", memory=memory).tiling
    size = size or (2 * tiling.size - tiling.overlap,) * 2
    photo = photo_of(*size)
    ways = {
        "whole": Restorer(model, device="CPU", compiled=not eager),
        "tiled": Restorer(model, device="CPU", tile=tiling.size),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(runs + 1):  # the first one compiles
        for way, restore in ways.items():
            start = time.perf_counter()
            restore(photo)
            if run:
                times[way].append(time.perf_counter() - start)
    ratios = [whole / tiled for whole, tiled in zip(times["whole"], times["tiled"])]
    medians = {f"{way}_s": statistics.median(values) for way, values in times.items()}
    tile = ways["tiled"].tiling.size
    return {"model": model, "size": list(size), "tile": tile, **medians, "ratio": statistics.median(ratios)}


def line(row: dict) -> str:
    """Lay a result out for people."""
    if "ratio" in row:
        size = "x".join(str(side) for side in row["size"])
        return (
            f"{row['model']:20} {size:10} tile {row['tile']:5}  whole {row['whole_s']:8.2f} s  tiled "
            f"{row['tiled_s']:8.2f} s  tiled speed / whole speed {row['ratio']:.2f}"
        )
    return (
        f"{row['model']:20} {row['megapixels']:5.1f} MP  tile {row['tile']:5}  import {row['import_mb']:6.0f} MB  "
        f"beyond it {row['beyond_import_mb']:6.0f} MB  {row['seconds']:8.1f} s"
    )


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "tiles", "eager"])
    parser.add_argument("--models", nargs="+", default=["aecrnet", "mprnet_deraining", "dehazeformer_t"])
    parser.add_argument("--memory", type=float, default=2.0, help="gigabytes given to the network (default: 2)")
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--size", help="HEIGHTxWIDTH of the image that fits both ways (default: what four tiles cover)")
    parser.add_argument("--runs", type=int, default=3, help="counted turns, after the first")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process: its last line is JSON
    args = parser.parse_args()
    size = tuple(int(side) for side in args.size.split("x")) if args.size else None
    rows = []
    for model in args.models:
        if args.here and args.what == "memory":
            print(json.dumps(measure_memory(model, args.megapixels, args.memory)))
            return
        if args.what == "memory":
            options = ["--memory", str(args.memory), "--megapixels", str(args.megapixels), "--here"]
            rows.append(in_own_process(["memory", "--models", model, *options]))
        else:
            rows.append(measure_tiles(model, size, args.memory, args.runs, args.what == "eager"))
        print(line(rows[-1]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
