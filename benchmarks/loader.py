"""Measure how many patches a second the training loader delivers from the second epoch on, by workers and cache.

Example:
    python benchmarks/loader.py path/to/pairs --patch 240 --batch 16 --workers 1 2 --cache none memory disk
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

if find_spec("mindrestore") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from mindrestore.data.catalog import find_pairs
from mindrestore.data.pipeline import TrainLoader
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.schema import DataConfig


def main() -> int:
    args = parse()
    try:
        pairs = find_pairs(args.dataset, args.folder, args.split)
        with tempfile.TemporaryDirectory(dir=args.cache_dir) as folder:
            rows = [
                measure(pairs, args, workers, cache, Path(folder) / f"{workers}")
                for workers in args.workers
                for cache in args.cache
            ]
    except MindRestoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    kind = "processes" if args.processes else "threads"
    print(
        f"{len(pairs)} pairs of {args.folder}, patch {args.patch}, batch {args.batch}, {args.seconds:g} s each, {kind}"
    )
    print(f"{'workers':>7}  {'cache':>6}  {'patches/s':>9}  {'per core':>8}  {'cores':>5}  {'first pass':>10}")
    for row in rows:
        print(
            f"{row['workers']:>7}  {row['cache']:>6}  {row['patches_per_second']:>9.0f}  {row['per_core']:>8.0f}"
            f"  {row['cores']:>5.2f}  {row['first_pass']:>10.0f}"
        )
    if args.json:
        settings = {"folder": str(args.folder), "pairs": len(pairs), "patch": args.patch, "batch": args.batch}
        args.json.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of a data set")
    parser.add_argument("--dataset", default="auto")
    parser.add_argument("--split", default="train")
    parser.add_argument("--patch", type=int, default=240)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cache", nargs="+", default=["none", "memory", "disk"], choices=("none", "memory", "disk"))
    parser.add_argument("--cache-dir", type=Path, help="where the disk cache is made; it is removed in the end")
    parser.add_argument("--cache-gb", type=float, help="limit of each cache")
    parser.add_argument("--processes", action="store_true", help="processes instead of threads")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each row")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    return parser.parse_args()


def measure(pairs, args, workers, cache, folder):
    """Run epochs until the time is up; the first pass over the pairs, which fills the cache, is timed by itself."""
    repeat = max(1, -(-128 * args.batch // len(pairs)))  # long epochs: starting one takes a tenth of a second
    keys = {"cache": cache, "cache_gb": args.cache_gb, "cache_dir": str(folder), "processes": args.processes}
    config = DataConfig(patch_size=args.patch, augment=("hflip", "rot90"), workers=workers, repeat=repeat, **keys)
    loader = TrainLoader(pairs, config=config, batch_size=args.batch, seed=0)
    begin, passes = time.perf_counter(), -(-len(pairs) // args.batch)
    first = args.batch * sum(1 for _ in islice(loader.epoch(0), passes)) / (time.perf_counter() - begin)
    patches, epoch, begin, busy = 0, 1, time.perf_counter(), processor_seconds()
    while time.perf_counter() - begin < args.seconds:
        patches += args.batch * sum(1 for _ in loader.epoch(epoch))
        epoch += 1
    spent, busy = time.perf_counter() - begin, processor_seconds() - busy
    return {
        "workers": workers,
        "cache": cache,
        "patches_per_second": patches / spent,
        "per_core": patches / busy,  # of processor time, which other programs on the machine do not change much
        "cores": busy / spent,
        "first_pass": first,
    }


def processor_seconds():
    """Return the processor time of this process and of the workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())
