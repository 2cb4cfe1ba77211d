"""Average what a network makes of the eight flips and turns of an image."""

from __future__ import annotations

import numpy as np

from mindrestore.inference.pixels import Restore, to_float, to_type
from mindrestore.inference.progress import ImageProgress

_TURNS = tuple((turns, way) for turns in range(4) for way in (1, -1))


def ensemble(restore: Restore, progress: ImageProgress) -> Restore:
    """Restore the eight flips and turns of an image and average them (Timofte et al., CVPR 2016, section 3.6).

    Args:
        restore: Maps (H, W, 3) float32 in [0,1] to the same.
        progress: Told which of the eight parts runs.

    Returns:
        A function from (H, W, 3) to the same type and size.
    """

    def restored(image: np.ndarray) -> np.ndarray:
        total = np.zeros(image.shape, np.float32)
        for number, (turns, way) in enumerate(_TURNS):
            with progress.part(number / len(_TURNS), 1 / len(_TURNS)):
                turned = to_float(np.rot90(image, turns)[:, ::way])
                total += np.rot90(restore(turned)[:, ::way], -turns)
        return to_type(total / len(_TURNS), image.dtype)

    return restored
