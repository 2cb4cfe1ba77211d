"""Measure how far tiles are from the whole image, on real photographs.

    python benchmarks/tiling.py --model mprnet_deraining --weights rain.ckpt --tiles 128 256 \\
        ../shared/data/rain100l/input/1.png ../shared/data/rain100l/input/15.png --out tiling.md

Each image is restored whole, then in tiles of each size: PSNR and largest difference between the two results, beside
the PSNR between result and photograph, which says how much the network changes at all. Prints one line per image, and a
Markdown table of the means.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from mindrestore.cli.source import read_hyper
from mindrestore.errors import MindRestoreError
from mindrestore.images.read import read_rgb
from mindrestore.inference.options import PUBLISHED
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.trained import Trained


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio (dB) of images in [0,1]."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else -10 * np.log10(error)


def measure(trained: Trained, photos: list[Path], tiles: list[int], most: int) -> list[dict]:
    """Return one row per image, tile size and way."""
    whole = Restorer(trained, options=PUBLISHED, device="CPU")
    images = {path: read_rgb(path)[:most, :most] for path in photos}
    expected = {path: whole.restore_float(image) for path, image in images.items()}
    rows = []
    for tile in tiles:
        restore = Restorer(trained, options=PUBLISHED, device="CPU", tile=tile)
        for path, image in images.items():
            given = restore.restore_float(image)
            row = {
                "model": trained.model,
                "image": path.name,
                "size": list(image.shape[:2]),
                "tile": tile,
                "psnr": psnr(given, expected[path]),
                "largest": float(np.abs(given - expected[path]).max()),
                "change": psnr(expected[path], image),
            }
            rows.append(row)
            print(
                f"{row['image']:14} tile {row['tile']:4} {row['psnr']:6.1f} dB, largest {row['largest']:.3f}; the "
                f"network changes the photograph by {row['change']:.1f} dB",
                flush=True,
            )
    return rows


def table(rows: list[dict]) -> str:
    """Lay means and worst cases out as Markdown."""
    lines = ["| network | images | tile | mean PSNR | worst PSNR | largest difference | the network changes by |"]
    lines.append("|---|---|---|---|---|---|---|")
    for tile in dict.fromkeys(row["tile"] for row in rows):
        found = [row for row in rows if row["tile"] == tile]
        mean, change = (statistics.mean(row[name] for row in found) for name in ("psnr", "change"))
        worst, largest = min(row["psnr"] for row in found), max(row["largest"] for row in found)
        lines.append(
            f"| `{found[0]['model']}` | {len(found)} | {tile} | {mean:.1f} dB | {worst:.1f} dB | "
            f"{largest:.3f} | {change:.1f} dB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, help="photographs of what the network removes")
    parser.add_argument("--model", required=True, help="registered network")
    parser.add_argument("--weights", required=True, type=Path, help="weight file; one of a run folder knows its size")
    parser.add_argument("--hyper", action="append", default=[], metavar="KEY=VALUE", help="of lone weights")
    parser.add_argument("--tiles", nargs="+", type=int, default=[128, 256], help="sides of tiles (pixels)")
    parser.add_argument("--most", type=int, default=4096, help="largest side that is used of an image (pixels)")
    parser.add_argument("--out", type=Path, help="Markdown file to write; a JSON file of all rows goes beside it")
    args = parser.parse_args()
    try:
        rows = measure(Trained.of_file(args.model, args.weights, read_hyper(args)), args.photos, args.tiles, args.most)
    except MindRestoreError as error:
        raise SystemExit(f"error: {error}") from error
    print(table(rows))
    if args.out:
        args.out.write_text(table(rows) + "\n")
        args.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
