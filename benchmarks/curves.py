"""Draw loss and validation PSNR of runs over their steps into one picture.

    python benchmarks/curves.py OUT.png dehaze=runs/release_dehaze derain=runs/release_derain ...

Needs matplotlib (`pip install 'mindrestore[plots]'`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def read(run: Path) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Give (step, loss) and (step, PSNR) of a run."""
    losses, scores = [], []
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["kind"] == "train":
            losses.append((entry["step"], entry["loss"]))
        elif entry["kind"] == "validation":
            scores.append((entry["step"], entry["scores"]["psnr"]))
    return losses, scores


def draw(runs: dict[str, Path], out: Path) -> None:
    """Write one panel per run."""
    figure, panels = plt.subplots(1, len(runs), figsize=(4.2 * len(runs), 3.2), squeeze=False)
    for panel, (label, run) in zip(panels[0], runs.items()):
        losses, scores = read(run)
        panel.plot(*zip(*losses), color="tab:grey", linewidth=1)
        panel.set(title=label, xlabel="step", ylabel="loss", yscale="log")
        beside = panel.twinx()
        beside.plot(*zip(*scores), color="tab:blue", marker="o", markersize=3)
        beside.set_ylabel("validation PSNR, dB", color="tab:blue")
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    """Parse and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("runs", nargs="+", metavar="LABEL=RUN", help="what to write above, and a run folder")
    args = parser.parse_args()
    draw({label: Path(run) for label, run in (word.split("=", 1) for word in args.runs)}, args.out)


if __name__ == "__main__":
    main()
