"""Time `mindrestore restore` on one photograph: the whole process, from its first byte to the written file.

    python benchmarks/photo.py --runs 3 --out photo.json
    python benchmarks/photo.py --cases haze-256 haze-hd --ways usual bare --onnx haze.onnx
    python benchmarks/photo.py --cases haze-12mp --ways usual full-size

Every way of a case takes its turn in one run, so that all see the same machine; what is worth keeping are the ratios.
`usual` is the command as people type it, which writes a page beside the photograph, `no-page` the same without it,
`full-size` and `mindspore` with --full-size and --engine mindspore,
and `bare` a script of a few lines that opens the file of --onnx (`mindrestore export --model dehazeformer_t --weights
dehaze_free --out haze.onnx`) in onnxruntime and runs the whole photograph through it. Seconds are wall time, megabytes
the largest resident size of the process. The photograph has smooth shapes and grain, and is the same in every run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CASES = {  # task, height, width
    "haze-256": ("dehaze", 256, 256),
    "haze-hd": ("dehaze", 720, 1280),
    "haze-12mp": ("dehaze", 3000, 4000),
    "noise-12mp": ("denoise", 3000, 4000),
}
WAYS = {"usual": [], "no-page": ["--no-report"], "full-size": ["--full-size"], "mindspore": ["--engine", "mindspore"]}
BARE = """
import sys, numpy, onnxruntime
from PIL import Image
source, target, file = sys.argv[1:]
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
image = numpy.asarray(Image.open(source), numpy.float32).transpose(2, 0, 1)[None] / 255
(restored,) = session.run(None, {session.get_inputs()[0].name: image})
Image.fromarray(numpy.uint8(numpy.rint(255 * restored[0].transpose(1, 2, 0)))).save(target, quality=95)
"""


def write_photo(path: Path, height: int, width: int) -> None:
    """Write a photograph of smooth shapes and grain as JPEG."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(64, 224, (height // 64 + 2, width // 64 + 2, 3), np.uint8), (width, height))
    grain = rng.integers(0, 16, (height, width, 3), np.uint8)
    cv2.imwrite(str(path), cv2.add(smooth, grain), [cv2.IMWRITE_JPEG_QUALITY, 95])


def run(command: list[str]) -> tuple[float, float]:
    """Run a process; return its seconds and its largest resident size (MB of 10^6 bytes)."""
    # As for everybody who runs it a second time: compiled modules are kept
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env = {**env, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}, see its messages above")
    return seconds, used.ru_maxrss * 1024 / 1e6


def command(way: str, task: str, photo: Path, out: Path, onnx: str | None) -> list[str]:
    """Write the command of one way."""
    if way == "bare":
        return [sys.executable, "-c", BARE, str(photo), str(out / photo.name), onnx]
    options = ["--task", task, "--out", str(out), "--overwrite", "--device", "CPU", *WAYS[way]]
    return [sys.executable, "-m", "mindrestore", "restore", str(photo), *options]


def measure(case: str, ways: list[str], runs: int, onnx: str | None, folder: Path) -> list[dict]:
    """Run all ways of one case in turns; return a row for each."""
    task, height, width = CASES[case]
    photo = folder / f"{case}.jpg"
    write_photo(photo, height, width)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    results: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            results[way].append(run(command(way, task, photo, out, onnx)))
    first = [seconds for seconds, _ in results[ways[0]]]
    return [
        {
            "case": case,
            "way": way,
            "seconds": statistics.median(seconds for seconds, _ in found),
            "mb": max(megabytes for _, megabytes in found),
            "ratio": statistics.median(seconds / base for (seconds, _), base in zip(found, first)),
            "runs": runs,
        }
        for way, found in results.items()
    ]


def line(row: dict, first: str) -> str:
    """Lay a row out for people."""
    measured = f"{row['seconds']:8.2f} s {row['mb']:8.0f} MB"
    return f"{row['case']:12} {row['way']:10} {measured}   time / {first}: {row['ratio']:.2f}"


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--ways", nargs="+", choices=[*WAYS, "bare"], default=["usual"])
    parser.add_argument("--onnx", help="exported file for the way `bare`")
    parser.add_argument("--runs", type=int, default=3, help="turns (default: 3)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    if "bare" in args.ways and not args.onnx:
        parser.error("the way bare needs --onnx FILE")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in args.cases:
            rows += measure(case, args.ways, args.runs, args.onnx, Path(folder))
            for row in rows[-len(args.ways) :]:
                print(line(row, args.ways[0]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
