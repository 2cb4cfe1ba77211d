"""Draw loss and validation PSNR of runs over their steps into one picture.

    python benchmarks/curves.py OUT.png dehaze=runs/release_dehaze derain=runs/first,runs/second ...

Runs with commas between them followed each other: their steps are counted on, and a dotted line stands between them.
Needs matplotlib (`pip install 'mindrestore[plots]'`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Points = list[tuple[int, float]]  # (step, value)


def read(run: Path, start: int = 0) -> tuple[Points, Points]:
    """Return (step, loss) and (step, PSNR) of a run that began at step `start`."""
    losses, scores = [], []
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["kind"] == "train":
            losses.append((start + entry["step"], entry["loss"]))
        elif entry["kind"] == "validation":
            scores.append((start + entry["step"], entry["scores"]["psnr"]))
    return losses, scores


def draw(runs: dict[str, list[Path]], out: Path) -> None:
    """Write one panel per label."""
    figure, panels = plt.subplots(1, len(runs), figsize=(4.2 * len(runs), 3.2), squeeze=False)
    for panel, (label, parts) in zip(panels[0], runs.items()):
        beside = panel.twinx()
        start, lowest = 0, float("inf")
        for run in parts:
            if start:
                panel.axvline(start, color="black", linestyle=":", linewidth=1)
            losses, scores = read(run, start)
            panel.plot(*zip(*losses), color="tab:grey", linewidth=1)
            beside.plot(*zip(*scores), color="tab:blue", marker="o", markersize=3)
            start, lowest = losses[-1][0], min(lowest, *(loss for _, loss in losses))
        scale = "log" if lowest > 0 else "linear"  # minus a PSNR is below
        panel.set(title=label, xlabel="step", ylabel="loss", yscale=scale)
        beside.set_ylabel("validation PSNR, dB", color="tab:blue")
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    """Parse and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("runs", nargs="+", metavar="LABEL=RUN[,RUN]", help="what to write above, run folders")
    args = parser.parse_args()
    words = (word.split("=", 1) for word in args.runs)
    draw({label: [Path(run) for run in runs.split(",")] for label, runs in words}, args.out)


if __name__ == "__main__":
    main()
