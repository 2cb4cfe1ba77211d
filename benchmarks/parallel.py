"""Measure what a second process brings: images per second of one process, and of several with one core each.

Every process trains by the ordinary command (`mindrestore launch -- train`), on rendered scenes or a folder of pairs,
and is held to a core of its own, which its threads for operators and for data share. Runs take turns; the first
interval of each compiles and is left out. Prints a row per run, and the ratio of the medians. `communication` contains
the wait for the slowest process. There have to be as many idle cores as processes.

Example:
    python benchmarks/parallel.py
    python benchmarks/parallel.py --recipe mprnet/deraining --set data.patch_size=64 train.batch_size=2
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

if find_spec("mindrestore") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from mindrestore.cli.main import main as mindrestore
from mindrestore.errors import MindRestoreError
from mindrestore.launch.job import run_job
from mindrestore.launch.plan import Cluster, make_plan

SOURCE = Path(__file__).resolve().parents[1] / "src"
# Before MindSpore starts its threads, which inherit the core.
WORKER = (
    "import os, sys; cores = sorted(os.sched_getaffinity(0)); rank = int(os.environ.get('RANK_ID', 0));"
    "os.sched_setaffinity(0, {cores[rank % len(cores)]});"
    "from mindrestore.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def main() -> int:
    args = parse()
    cores = len(os.sched_getaffinity(0))
    if args.processes > cores:
        print(f"error: {args.processes} processes need as many cores, here are {cores}", file=sys.stderr)
        return 2
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GLOG_v": "3"})
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows = measure(args, Path(folder))
        except MindRestoreError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
    ratio = speed_of(rows, args.processes) / speed_of(rows, 1)
    print(f"{args.processes} processes train {ratio:.2f} times as many images per second as one")
    if args.out:
        settings = {"recipe": args.recipe, "set": args.set, "steps": args.steps, "cores": cores}
        args.out.write_text(json.dumps({**settings, "rows": rows, "ratio": round(ratio, 3)}, indent=2) + "\n")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--data", type=Path, help="folder of pairs (default: 64 rendered scenes)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides of the recipe")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60, help="counted steps of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--out", type=Path, help="write the numbers there, as JSON")
    return parser.parse_args()


def measure(args: argparse.Namespace, folder: Path) -> list[dict]:
    """Run one process and several in turns, and print what each gave."""
    with redirect_stdout(io.StringIO()):
        data = args.data or rendered(folder / "scenes")
    print(f"{'processes':>9}  {'images/s':>8}  {'data':>5}  {'communication':>13}")
    rows = []
    for turn in range(args.rounds):
        for processes in (1, args.processes):
            row = {"processes": processes, **train(args, data, processes, folder / f"{turn}-{processes}")}
            print(
                f"{processes:>9}  {row['images_per_second']:>8.2f}  {row['data_share']:>5.0%}"
                f"  {row.get('communication_share', 0):>13.0%}",
                flush=True,
            )
            rows.append(row)
    return rows


def rendered(folder: Path) -> Path:
    """Make hazy pairs for training and for validation, as the demo does."""
    for split, count in (("train", "64"), ("test", "1")):
        clear = folder / f"{split}-scenes"
        words = ["data", "scenes", str(clear), "--count", count, "--size", "160x120"]
        if mindrestore(words) or mindrestore(["data", "synth", str(clear / "clear"), str(folder / split)]):
            raise MindRestoreError(f"{folder}: the scenes could not be made; give pairs as --data")
    return folder


def train(args: argparse.Namespace, data: Path, processes: int, folder: Path) -> dict:
    """Train for one interval that compiles and one that counts; give the record of the second."""
    folder.mkdir()
    words = ["train", "--recipe", args.recipe, "--device", "CPU", "--run-dir", str(folder / "run")]
    words += [f"data.root={data}", *args.set, f"train.max_steps={2 * args.steps}", f"train.log_every={args.steps}"]
    words += ["train.val_every=0", "train.checkpoint_every=0"]
    with redirect_stdout(io.StringIO()):  # the launcher repeats the log of the first process
        run_job(make_plan(Cluster("CPU", per_node=processes), ["-c", WORKER, *words], folder))
    lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "train"][-1]


def speed_of(rows: list[dict], processes: int) -> float:
    return statistics.median(row["images_per_second"] for row in rows if row["processes"] == processes)


if __name__ == "__main__":
    sys.exit(main())
