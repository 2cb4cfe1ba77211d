"""Measure whether attention windows show as a grid in restored photographs, above all in skies.

    python benchmarks/window_grid.py FOLDER ... --weights dehaze_free --weights runs/haze [--radius 8 16]

What a network changes (restored minus input) should be as smooth across the borders of its windows as inside them. On
smooth places of the input, the mean absolute step across borders is divided by that between all other neighbours: 1 is
no grid. A window of 8 at the network's three scales has borders every 8, 16 and 32 pixels; the worst of the three and
both directions counts, and the position of the borders is looked for, since networks pad and shift.

JPEG has blocks of 8 pixels, too, and a change that follows the image follows them. So photographs are made smaller
first, and the ratio of the input itself stands beside that of the change. Where it is above 1.2, blocks have remained
or too little of the photograph is smooth, and it is left out of the mean.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import cv2
import numpy as np

from mindrestore.images.pixels import to_float
from mindrestore.images.read import list_images, read_rgb
from mindrestore.inference.options import PUBLISHED
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.trained import Trained
from mindrestore.inference.working_size import WORKING_PIXELS, at_working_size, working_size

PERIODS = (8, 16, 32)
SMOOTH = 0.02  # largest difference of grey within 7x7 pixels of the input
SHRUNK = 0.73  # blocks of 8 pixels get 5.84, which is no period of windows
CLEAN = 1.2  # largest ratio of an input that counts


def grid_ratio(image: np.ndarray, restored: np.ndarray) -> float:
    """Return the step across window borders over the step elsewhere, at smooth places.

    Args:
        image: Input (H, W, 3) float32 in [0, 1].
        restored: Output of the same shape; zeros measure the input itself.

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


def photographs(folders: Sequence[Path]) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield name, image (H, W, 3) float32 in [0, 1] and its own ratio of every photograph, made smaller."""
    for path in (path for folder in folders for path in list_images(folder)):
        image = to_float(read_rgb(path))
        size = (round(image.shape[1] * SHRUNK), round(image.shape[0] * SHRUNK))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        yield path.name, image, grid_ratio(image, np.zeros_like(image))


def seen(height: int, width: int) -> tuple[int, int]:
    """Return the size at which the command shows an image to a network against haze."""
    return working_size(height, width, WORKING_PIXELS)


def main() -> None:
    """Print a line per image and the mean of every network: the input, the network alone, as used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="of photographs")
    parser.add_argument("--weights", action="append", required=True, help="run folder, file or name; several times")
    parser.add_argument("--task", default="dehaze")
    parser.add_argument("--radius", type=int, nargs="*", default=[16], help="of the windows of the fit (default: 16)")
    args = parser.parse_args()
    for source in args.weights:
        trained = Trained.of_run(source) if Path(source).is_dir() else Trained.of_task(args.task, source)
        network = Restorer(trained, options=PUBLISHED, device="CPU").restore_float
        ways = [network, *(at_working_size(network, seen, radius=radius) for radius in args.radius)]
        rows = []
        print(f"{source}  the input, the network, as used with radius {args.radius}")
        for name, image, own in photographs(args.folders):
            row = [own, *(grid_ratio(image, restore(image)) for restore in ways)]
            print(f"{source}  {name}  " + "  ".join(f"{ratio:.2f}" for ratio in row), flush=True)
            rows += [row] if own <= CLEAN else []
        print(f"{source}  mean of {len(rows)}  " + "  ".join(f"{ratio:.2f}" for ratio in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
