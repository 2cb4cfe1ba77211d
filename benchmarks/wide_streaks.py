"""Measure rain of several widths in large photographs: at full size alone, and with small forms of the image, too.

    python benchmarks/wide_streaks.py photographs/*.jpg --megapixels 3 --widths 2 5 12 24 --out wide.md

Each photograph is brought to so many megapixels; `mindrestore.data.rain` puts streaks of each width (pixels) over it
(seed: its number), longer and fewer the wider they are. A row is a photograph and a width: PSNR against the photograph
(dB) of the input, of the result of `mindrestore restore --full-size`, and of that of `mindrestore restore`. Width 0 is
the photograph itself, without rain. --weights measures other weights than the included ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from mindrestore.data.rain import Rain, add_rain
from mindrestore.evaluation.metrics import psnr
from mindrestore.images.read import read_rgb
from mindrestore.inference.pixels import to_type
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.working_size import shrunken, working_size


def rainy(clear: np.ndarray, width: float, seed: int) -> np.ndarray:
    """Put streaks of a width in pixels over a photograph (H, W, 3); both uint8."""
    if not width:
        return clear
    side = min(clear.shape[:2])
    shower = Rain(width=width / side, length=min(20 * width / side, 0.5), density=0.15, blend="add")
    return to_type(add_rain(np.float32(clear / 255), shower, np.random.default_rng(seed)), np.uint8)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--megapixels", type=float, default=3, help="size of the photographs (default: 3)")
    parser.add_argument("--widths", nargs="+", type=float, default=[0, 2, 5, 12, 24], help="of streaks, in pixels")
    parser.add_argument("--weights", help="other weights than the included ones")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    args = parser.parse_args()
    ways = [Restorer(task="derain", weights=args.weights, full_size=alone) for alone in (True, False)]
    lines = ["| photograph | width | input | full size alone | small forms, too |", "|---|---|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    for seed, path in enumerate(args.photos):
        image = read_rgb(path)
        clear = to_type(shrunken(image, *working_size(*image.shape[:2], args.megapixels * 1e6)), np.uint8)
        for width in args.widths:
            image = rainy(clear, width, seed)
            scores = [f"{psnr(shown, clear, peak=255):.2f}" for shown in (image, *(way(image) for way in ways))]
            lines.append(f"| {path.stem} | {width:g} | {' | '.join(scores)} |")
            print(lines[-1], flush=True)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
