"""Measure haze at a working size beside the full size in tiles, on large photographs with synthetic haze.

    python benchmarks/working_size.py sunset.jpg seeding.jpg --megapixels 0.25 0.5 1 --out big.json
    python benchmarks/working_size.py sunset.jpg --pictures docs/images

Haze is put over each photograph at its full size (distances that follow the picture, seed 1), 8 bits. Then it is
restored in tiles at full size (`--full-size`, with the usual memory) and at working sizes, and PSNR is taken against
the photograph. Seconds and CPU seconds are those of restoring alone; --skip-full leaves the tiles out. --pictures
writes small copies of the first photograph: hazy, both ways, clear.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import cv2
import numpy as np

from mindrestore.data.degrade import HazeRanges, add_haze, draw_haze
from mindrestore.data.photo_haze import picture_depth
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference import layout
from mindrestore.inference.restorer import Restorer


def hazy_pair(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a photograph and put haze over it; return both, uint8."""
    clear, rng = read_rgb(path), np.random.default_rng(1)
    depth = picture_depth(clear, rng)
    hazy = add_haze(clear, depth, draw_haze(HazeRanges(), depth, rng), rng)
    return tuple(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8) for image in (hazy, clear))


def psnr(image: np.ndarray, clear: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of 8-bit images (dB)."""
    rows = range(0, len(clear), 64)  # large images, piece by piece
    error = sum(float(((np.float32(image[i : i + 64]) - clear[i : i + 64]) ** 2).sum(dtype=np.float64)) for i in rows)
    return -10 * np.log10(error / clear.size / 255**2)


def measure(name: str, hazy: np.ndarray, clear: np.ndarray, way: str, restorer: Restorer) -> tuple[dict, np.ndarray]:
    """Restore once; return a row and the result."""
    start, cpu = time.perf_counter(), time.process_time()
    restored = restorer(hazy)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    megapixels = hazy.shape[0] * hazy.shape[1] / 1e6
    row = {"photograph": name, "megapixels": megapixels, "way": way, "input": psnr(hazy, clear)}
    row.update(psnr=psnr(restored, clear), seconds=seconds, cpu_seconds=cpu)
    print(
        f"{name:30} {megapixels:5.1f} MP {way:20} input {row['input']:5.2f} dB, restored {row['psnr']:5.2f} dB, "
        f"{seconds:7.1f} s, {cpu:7.1f} s of CPU",
        flush=True,
    )
    return row, restored


def small(image: np.ndarray) -> np.ndarray:
    """Shrink a copy for a page to 900 pixels."""
    scale = 900 / image.shape[1]
    return cv2.resize(image, (900, round(image.shape[0] * scale)), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.5], help="working sizes (default: 0.5)")
    parser.add_argument("--skip-full", action="store_true", help="no tiles at full size")
    parser.add_argument("--memory", type=float, default=1.0, help="gigabytes for the network (default: 1)")
    parser.add_argument("--pictures", type=Path, help="folder for small copies of the first photograph")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    rows = []
    for number, path in enumerate(args.photos):
        hazy, clear = hazy_pair(path)
        shown = {"hazy": hazy, "clear": clear}
        for size in args.megapixels:
            layout.WORKING_PIXELS = size * 1e6
            restorer = Restorer(task="dehaze", device="CPU", memory=max(args.memory, 4 * size))
            row, shown["working"] = measure(path.stem, hazy, clear, f"working size {size:g} MP", restorer)
            rows.append(row)
        if not args.skip_full:
            restorer = Restorer(task="dehaze", device="CPU", memory=args.memory, full_size=True)
            row, shown["tiles"] = measure(path.stem, hazy, clear, "tiles at full size", restorer)
            rows.append(row)
        if args.pictures and number == 0:
            for name, image in shown.items():
                write_image(args.pictures / f"working_size_{name}.jpg", small(image))
        if args.out:
            args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
