"""Measure whether attention windows show as a grid in restored photographs, above all in skies.

    python benchmarks/window_grid.py DATA/real_hazy/hazy --weights dehaze_free --weights runs/haze [--as-used]

What a network changes (restored minus input) should be as smooth across the borders of its windows as inside them. On
smooth places of the input, the mean absolute step across borders is divided by that between all other neighbours: 1 is
no grid. A window of 8 at the network's three scales has borders every 8, 16 and 32 pixels; the worst of the three and
both directions counts, and the position of the borders is looked for, since networks pad and shift.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import cv2
import numpy as np

from mindrestore.images.pixels import to_float
from mindrestore.images.read import list_images, read_rgb
from mindrestore.inference.options import PUBLISHED, Options
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.trained import Trained

PERIODS = (8, 16, 32)
SMOOTH = 0.02  # largest difference of grey within 7x7 pixels of the input


def grid_ratio(image: np.ndarray, restored: np.ndarray) -> float:
    """Return the step across window borders over the step elsewhere, at smooth places.

    Args:
        image: Input (H, W, 3) float32 in [0, 1].
        restored: Output of the same shape.

    Returns:
        The largest ratio over periods, directions and positions; NaN when too little of the image is smooth.
    """
    grey, change = image.mean(axis=-1), (restored - image).mean(axis=-1)
    square = np.ones((7, 7), np.uint8)
    smooth = cv2.dilate(grey, square) - cv2.erode(grey, square) < SMOOTH
    if smooth.mean() < 0.02:
        return float("nan")
    return max(_directed(change, smooth), _directed(change.T, smooth.T))


def _directed(change: np.ndarray, smooth: np.ndarray) -> float:
    """Return the largest ratio over periods and positions of borders between columns."""
    steps = np.abs(np.diff(change, axis=1))  # (H, W - 1); step j lies between columns j and j + 1
    counted = smooth[:, 1:] & smooth[:, :-1]
    total, number = (steps * counted).sum(axis=0), counted.sum(axis=0).astype(float)
    ratios = []
    for period in PERIODS:
        phase = np.arange(len(total)) % period
        sums, counts = (np.bincount(phase, weights, minlength=period) for weights in (total, number))
        inside_sums, inside_counts = sums.sum() - sums, counts.sum() - counts
        inside = np.maximum(inside_sums / np.maximum(inside_counts, 1), 1e-6)
        ratios.append(float((sums / np.maximum(counts, 1) / inside).max()))
    return max(ratios)


def main() -> None:
    """Print a line per image and the mean of every network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of photographs")
    parser.add_argument("--weights", action="append", required=True, help="run folder, file or name; several times")
    parser.add_argument("--task", default="dehaze")
    parser.add_argument("--as-used", action="store_true", help="at the working size, as the command restores")
    args = parser.parse_args()
    for source in args.weights:
        trained = Trained.of_run(source) if Path(source).is_dir() else Trained.of_task(args.task, source)
        restore = Restorer(trained, options=Options() if args.as_used else PUBLISHED, device="CPU").restore_float
        found = {}
        for path in list_images(args.images):
            image = to_float(read_rgb(path))
            found[path.name] = grid_ratio(image, restore(image))
            print(f"{source}  {path.name}  {found[path.name]:.3f}", flush=True)
        print(f"{source}  mean  {np.nanmean(list(found.values())):.3f}")


if __name__ == "__main__":
    main()
