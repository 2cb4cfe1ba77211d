"""Restore a photograph on Ascend 310 (or 910, or a CPU) with MindSpore Lite and an exported MINDIR of one size.

    mindrestore export runs/mine --out tile.mindir --size 512x512             where MindSpore is
    python deploy/lite_restore.py tile.mindir photo.png clean.png             where MindSpore Lite is

NOT RUN ON CARDS: written from the documentation of MindSpore Lite 2.x; the tests run it with a stand-in for that
library. It needs mindspore_lite (from MindSpore's download page, with the driver and CANN of the card), numpy, Pillow
and this package, but not MindSpore. Ascend 310 wants one size: photographs are cut into tiles of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from mindrestore.inference.pixels import pad_to, to_float
from mindrestore.inference.tiles import Tiling, run_tiled


class LiteModel:
    """An exported network in MindSpore Lite.

    Args:
        path: MINDIR of one size, of `mindrestore export --size`.
        target: "ascend" or "cpu".
        device: Number of the card.
        precision: Of Ascend: "enforce_fp32" keeps the numbers, "preferred_fp32", "enforce_fp16" is fastest.
    """

    def __init__(self, path: Path, target: str, device: int, precision: str) -> None:
        import mindspore_lite as mslite

        context = mslite.Context()
        context.target = [target]
        if target == "ascend":
            context.ascend.device_id = device
            context.ascend.precision_mode = precision
        self.model: Any = mslite.Model()
        self.model.build_from_file(str(path), mslite.ModelType.MINDIR, context)
        _, _, self.height, self.width = self.model.get_inputs()[0].shape

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Restore one tile (h, w, 3), float32 in [0,1]."""
        inputs = self.model.get_inputs()
        inputs[0].set_data_from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
        return self.model.predict(inputs)[0].get_data_to_numpy()[0].transpose(1, 2, 0).copy()


def restore(model: LiteModel, photo: np.ndarray, multiple: int) -> np.ndarray:
    """Restore a photograph (H, W, 3) uint8 of any size.

    Args:
        model: Takes tiles of one square size.
        photo: RGB.
        multiple: Size multiple of the network: tiles start on this grid.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = photo.shape[:2]
    wanted = [max(model.height, -(-side // multiple) * multiple) for side in (height, width)]
    tiling = Tiling.of(model.height, multiple)
    restored = run_tiled(lambda tiles: [model(to_float(tile)) for tile in tiles], pad_to(photo, *wanted), tiling)
    return restored[:height, :width]


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, restore and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="MINDIR of one square size")
    parser.add_argument("photo", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--multiple", type=int, default=32, help="size multiple of the network, or one of that")
    parser.add_argument("--target", choices=["ascend", "cpu"], default="ascend")
    parser.add_argument("--device-id", type=int, default=0)
    parser.add_argument("--precision", default="enforce_fp32", help="precision_mode of Ascend")
    args = parser.parse_args(argv)
    try:
        model = LiteModel(args.model, args.target, args.device_id, args.precision)
    except ImportError:
        print("error: mindspore_lite is not installed; see the download page of MindSpore", file=sys.stderr)
        return 2
    if model.height != model.width:
        print(f"error: {args.model} takes {model.height}x{model.width}; export a square, such as --size 512x512")
        return 2
    photo = np.asarray(Image.open(args.photo).convert("RGB"))
    Image.fromarray(restore(model, photo, args.multiple)).save(args.result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
