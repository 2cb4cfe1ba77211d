"""Measure haze at a working size beside the full size in tiles, on large photographs with synthetic haze and on pairs.

    python benchmarks/working_size.py sunset.jpg seeding.jpg --megapixels 0.25 0.5 1 --scaled 12 24 --out big.json
    python benchmarks/working_size.py --pairs nh_haze i_haze --megapixels 0.1 0.25 0.5 --out real.json
    python benchmarks/working_size.py sunset.jpg --pictures docs/images

Haze is put over each photograph at its full size (distances that follow the picture, seed 1), 8 bits; --scaled brings
it to so many megapixels before. Folders of --pairs hold hazy/ and clear/ with equal names. Every hazy image is restored
at its full size (`--full-size`, in tiles where it does not fit into the memory) and at working sizes, and PSNR is taken
against the clear one. Seconds and CPU seconds are those of restoring alone; --skip-full leaves the full size out. The
mean of every folder and size comes last. --pictures writes small copies of the first photograph: hazy, both ways,
clear.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import cv2
import numpy as np

from mindrestore.data.degrade import HazeRanges, add_haze, draw_haze
from mindrestore.data.photo_haze import picture_depth
from mindrestore.images.read import list_images, read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference import layout
from mindrestore.inference.restorer import Restorer


class Pair(NamedTuple):
    """A hazy and a clear image, uint8, with the name of their set and their own."""

    group: str
    name: str
    hazy: np.ndarray
    clear: np.ndarray


def hazy_pair(path: Path, megapixels: float | None) -> Pair:
    """Read a photograph, bring it to a size, and put haze over it."""
    clear, rng = read_rgb(path), np.random.default_rng(1)
    if megapixels:
        scale = (megapixels * 1e6 / (clear.shape[0] * clear.shape[1])) ** 0.5
        way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        clear = cv2.resize(clear, None, fx=scale, fy=scale, interpolation=way)
        clear = np.clip(clear, 0, 1)
    depth = picture_depth(clear, rng)
    hazy = add_haze(clear, depth, draw_haze(HazeRanges(), depth, rng), rng)
    group = f"synthetic, {hazy.shape[0] * hazy.shape[1] / 1e6:.0f} MP"
    return Pair(group, path.stem, *(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8) for image in (hazy, clear)))


def pairs_of(args: argparse.Namespace) -> Iterator[Pair]:
    """Make or read one pair after the other."""
    for path in args.photos:
        for megapixels in args.scaled or [None]:
            yield hazy_pair(path, megapixels)
    for folder in args.pairs:
        for path in list_images(folder / "hazy"):
            images = (np.rint(255 * read_rgb(folder / side / path.name)) for side in ("hazy", "clear"))
            yield Pair(folder.name, path.stem, *(image.astype(np.uint8) for image in images))


def psnr(image: np.ndarray, clear: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of 8-bit images (dB)."""
    rows = range(0, len(clear), 64)  # large images, piece by piece
    error = sum(float(((np.float32(image[i : i + 64]) - clear[i : i + 64]) ** 2).sum(dtype=np.float64)) for i in rows)
    return -10 * np.log10(error / clear.size / 255**2)


def ways_of(args: argparse.Namespace) -> dict[str, tuple[float | None, Restorer]]:
    """Open every way once: name -> working size (megapixels) and restorer."""
    ways = {
        f"{size:g} MP": (size, Restorer(task="dehaze", device="CPU", memory=max(args.memory, 4 * size)))
        for size in args.megapixels
    }
    if not args.skip_full:
        ways["full size"] = None, Restorer(task="dehaze", device="CPU", memory=args.memory, full_size=True)
    return ways


def measure(pair: Pair, way: str, size: float | None, restorer: Restorer) -> tuple[dict, np.ndarray]:
    """Restore once; return a row and the result."""
    if size:
        layout.WORKING_PIXELS = size * 1e6
    start, cpu = time.perf_counter(), time.process_time()
    restored = restorer(pair.hazy)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    row = {"set": pair.group, "photograph": pair.name, "way": way, "input": psnr(pair.hazy, pair.clear)}
    row["megapixels"] = pair.hazy.shape[0] * pair.hazy.shape[1] / 1e6
    row.update(psnr=psnr(restored, pair.clear), seconds=seconds, cpu_seconds=cpu)
    print(
        f"{pair.group:18} {pair.name:24.24} {row['megapixels']:5.1f} MP {way:10} input {row['input']:5.2f} dB, "
        f"restored {row['psnr']:5.2f} dB, {seconds:7.1f} s, {cpu:7.1f} s of CPU",
        flush=True,
    )
    return row, restored


def print_means(rows: list[dict]) -> None:
    """Print the mean of every set and way."""
    for group in dict.fromkeys(row["set"] for row in rows):
        inside = [row for row in rows if row["set"] == group]
        ways = dict.fromkeys(row["way"] for row in inside)
        means = {way: statistics.mean(row["psnr"] for row in inside if row["way"] == way) for way in ways}
        shown = ", ".join(f"{way} {mean:.2f}" for way, mean in means.items())
        photographs = len({row["photograph"] for row in inside})
        print(f"{group}: {photographs} images, input {statistics.mean(row['input'] for row in inside):.2f}, {shown}")


def small(image: np.ndarray) -> np.ndarray:
    """Shrink a copy for a page to 900 pixels."""
    scale = 900 / image.shape[1]
    return cv2.resize(image, (900, round(image.shape[0] * scale)), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--pairs", nargs="+", type=Path, default=[], help="folders with hazy/ and clear/")
    parser.add_argument("--scaled", nargs="+", type=float, help="megapixels that every photograph is brought to")
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.5], help="working sizes (default: 0.5)")
    parser.add_argument("--skip-full", action="store_true", help="no restoring at full size")
    parser.add_argument("--memory", type=float, default=1.0, help="gigabytes for the network (default: 1)")
    parser.add_argument("--pictures", type=Path, help="folder for small copies of the first photograph")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    rows, ways = [], ways_of(args)
    for number, pair in enumerate(pairs_of(args)):
        shown = {"hazy": pair.hazy, "clear": pair.clear}
        for way, (size, restorer) in ways.items():
            row, shown[way.replace(" ", "_")] = measure(pair, way, size, restorer)
            rows.append(row)
        if args.pictures and number == 0:
            for name, image in shown.items():
                write_image(args.pictures / f"working_size_{name}.jpg", small(image))
        if args.out:
            args.out.write_text(json.dumps(rows, indent=1) + "\n")
    print_means(rows)


if __name__ == "__main__":
    main()
