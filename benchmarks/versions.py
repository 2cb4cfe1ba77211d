"""Compare MindSpore releases and oneDNN settings on this CPU: convolutions, AECR-Net forward and training step.

    python benchmarks/versions.py --python 2.8.0=venv28/bin/python --python 2.10.0=venv210/bin/python --out v.json

Every release is timed as installed (ONEDNN_MAX_CPU_ISA=ALL) and with ONEDNN_MAX_CPU_ISA=AVX2; all of them take turns
call by call, so that the ratios hold on a noisy machine. Prints milliseconds (medians), and ratios to the first column.
A setting whose convolutions are more than 20 times slower is left out of the network rows, which would take an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

from speed import Worker

CASES = [
    ("conv", "1,256,64,64"),
    ("conv", "1,80,128,128"),
    ("conv", "1,32,128,128"),
    ("forward", "1,3,256,256"),
    ("train", "2,3,128,128"),
]
SETTINGS = {"as installed": "ALL", "AVX2": "AVX2"}


def measure(case: str, size: str, args: argparse.Namespace, leave_out: set[str]) -> dict[str, dict]:
    """Time one case in every release and setting but those to leave out; give label -> result."""
    workers = []
    for release in args.python:
        version, _, python = release.partition("=")
        for setting, isa in SETTINGS.items():
            os.environ["ONEDNN_MAX_CPU_ISA"] = isa  # inherited by the worker started next
            label = f"{version} {setting}"
            if label in leave_out:
                continue
            workers.append(Worker(label, python, "ours.py", ["--case", case, "--size", size], args.threads))
    for _ in range(args.runs):
        for worker in workers:
            worker.call()
    return {worker.label: worker.close() for worker in workers}


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", required=True, metavar="VERSION=INTERPRETER")
    parser.add_argument("--runs", type=int, default=5, help="counted calls per case, after the first")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    rows, slow = [], set()
    for case, size in CASES:
        results = measure(case, size, args, set() if case == "conv" else slow)
        rows.append({"case": case, "size": size, "results": results})
        medians = {label: result["median_s"] for label, result in results.items()}
        first = next(iter(medians.values()))
        slow |= {label for label, median in medians.items() if median > 20 * first}
        if len(rows) == 1:
            labels = list(medians)
            print(f"{'case':8} {'input':13}" + "".join(f"{label:>26}" for label in labels))
        cells = (
            f"{medians[label] * 1e3:.1f} ms ({medians[label] / first:.2f})" if label in medians else "left out"
            for label in labels
        )
        print(f"{case:8} {size:13}" + "".join(f"{cell:>26}" for cell in cells), flush=True)
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1) + "\n")
    for label in medians:
        first_call = statistics.median(row["results"][label]["first_call_s"] for row in rows)
        print(f"{label}: first call, compile included, {first_call:.1f} s (median of the cases)")


if __name__ == "__main__":
    main()
