"""Measure how many images a second the training loader delivers, per number of workers, with and without its cache.

Example:
    python benchmarks/loader.py path/to/pairs --patch 240 --batch 16 --workers 1 2 --json loader.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path

if find_spec("mindrestore") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from mindrestore.data.catalog import find_pairs
from mindrestore.data.pipeline import DEFAULT_CACHE_BYTES, TrainLoader
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.schema import DataConfig


def main() -> int:
    args = parse()
    try:
        pairs = find_pairs(args.dataset, args.folder, args.split)
        rows = [measure(pairs, args, workers, cached) for workers in args.workers for cached in (False, True)]
    except MindRestoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(pairs)} pairs of {args.folder}, patch {args.patch}, batch {args.batch}, {args.seconds:g} s each")
    print(f"{'workers':>7}  {'cache':>5}  {'images/s':>8}  {'ms/batch':>8}  {'first batch ms':>14}")
    for row in rows:
        print(
            f"{row['workers']:>7}  {'yes' if row['cached'] else 'no':>5}  {row['images_per_second']:>8.1f}"
            f"  {row['ms_per_batch']:>8.1f}  {row['first_batch_ms']:>14.1f}"
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
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each row")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    return parser.parse_args()


def measure(pairs, args, workers, cached):
    """Run whole epochs until the time is up; the first epoch of a cached run fills the cache and is not counted."""
    repeat = max(1, -(-8 * args.batch // len(pairs)))  # at least eight batches an epoch
    config = DataConfig(patch_size=args.patch, augment=("hflip", "rot90"), workers=workers, repeat=repeat)
    cache_bytes = DEFAULT_CACHE_BYTES if cached else 0
    loader = TrainLoader(pairs, config=config, batch_size=args.batch, seed=0, cache_bytes=cache_bytes)
    begin = time.perf_counter()
    feed = loader.epoch(0)
    next(feed)
    first = time.perf_counter() - begin
    for _ in feed:
        pass
    batches, epoch, begin = 0, 1, time.perf_counter()
    while time.perf_counter() - begin < args.seconds:
        batches += sum(1 for _ in loader.epoch(epoch))
        epoch += 1
    spent = time.perf_counter() - begin
    return {
        "workers": workers,
        "cached": cached,
        "images_per_second": batches * args.batch / spent,
        "ms_per_batch": 1000 * spent / batches,
        "first_batch_ms": 1000 * first,
    }


if __name__ == "__main__":
    sys.exit(main())
