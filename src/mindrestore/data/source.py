"""Training samples by position, from a plan that says which pair comes when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

import cv2
import numpy as np

from mindrestore.data.noise import add_noise
from mindrestore.data.pairing import Pair
from mindrestore.data.transfer import transfer_channels
from mindrestore.data.transforms import centre_crop, make_patch, paste_clear
from mindrestore.images.errors import ImageError
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_image

if TYPE_CHECKING:
    from mindrestore.recipes.schema import PasteConfig

Reader = Callable[[Path], np.ndarray]


class Slot(NamedTuple):
    """Name one sample of an epoch: its number, from which its draws follow, and the pair it shows."""

    number: int
    pair: int


class PatchSettings(NamedTuple):
    """How a pair becomes a patch."""

    size: int
    augment: tuple[str, ...]
    seed: int
    edge_decay: float = 0.0
    paste: PasteConfig | None = None


def read_pair(pair: Pair, read: Reader = read_image) -> tuple[np.ndarray, np.ndarray]:
    """Read both images of a pair at one common size.

    Args:
        pair: The pair; with `crop_target` a larger clear image is centre-cropped to the degraded one, as RESIDE's
            SOTS indoor asks for (clear 640x480, hazy 620x460).
        read: Reader of one file; a caching one may be given.

    Returns:
        Degraded and clear image, (H, W, 3) each, uint8 or uint16 as stored.

    Raises:
        ImageError: If a file cannot be read or the sizes do not agree.
    """
    image, target = read(pair.input), read(pair.target)
    height, width = image.shape[:2]
    if pair.crop_target and target.shape[0] >= height and target.shape[1] >= width:
        target = centre_crop(target, height, width)
    if image.shape != target.shape:
        raise ImageError(
            f"{pair.input} is {width}x{height} but {pair.target} is {target.shape[1]}x{target.shape[0]}; "
            "both images of a pair must have one size: crop or replace one of them"
        )
    return image, target


class PatchSource:
    """The samples of any epoch, the same ones whoever asks and in whatever order.

    Args:
        pairs: All pairs.
        settings: Patch size, augmentations, seed.
        read: Reader of one image file.
    """

    def __init__(self, pairs: Sequence[Pair], settings: PatchSettings, read: Reader = read_image) -> None:
        self.pairs, self.settings, self.read = pairs, settings, read

    def __call__(self, epoch: int, slot: Slot) -> tuple[np.ndarray, np.ndarray]:
        """Make one sample.

        Args:
            epoch: Number of the epoch; with the seed and the slot it decides crop and augmentation.
            slot: The sample.

        Returns:
            Degraded and clear patch, (3, P, P) each, in the type that the file has, or float32 in [0, 1].

        Raises:
            ImageError: The images cannot be read, or their sizes differ.
        """
        pair, settings = self.pairs[slot.pair], self.settings
        image, target = read_pair(pair, self.read)
        rng = np.random.default_rng((settings.seed, epoch, slot.number))
        image, target = make_patch(image, target, settings.size, settings.augment, rng, settings.edge_decay)
        if pair.gamma is not None:  # a curve per pixel, so it may come after the crop
            image = transfer_channels(image, pair.gamma)
        if pair.noise is not None:  # independent per pixel, so noise on the patch is noise on the image, and cheaper
            image = add_noise(image, pair.noise[int(rng.integers(len(pair.noise)))], rng)
        image, target = planar(image), planar(target)
        if settings.paste is not None:
            image, target = to_float(image), to_float(target)
            image = paste_clear(image, target, rng, settings.paste.probability, settings.paste.max_ratio)
        return image, target


def planar(patch: np.ndarray) -> np.ndarray:
    """Bring a patch to planes.

    A turned or mirrored patch is a view that NumPy copies number by number. OpenCV takes the pixels as they lie in
    memory and turns the planes, which takes a third of the time; where planes lie in memory already, as the caches keep
    images, half of that.

    Args:
        patch: (P, Q, 3), uint8, uint16 or float; mostly a view of an image, turned and mirrored.

    Returns:
        (3, P, Q), contiguous, of the same type.
    """
    rows, columns, step = patch.strides
    in_planes = min(abs(rows), abs(columns)) == patch.itemsize
    if not (in_planes or step == patch.itemsize) or patch.dtype not in (np.uint8, np.uint16, np.float32):
        return np.ascontiguousarray(patch.transpose(2, 0, 1))
    stored = patch[:: 1 if rows > 0 else -1, :: 1 if columns > 0 else -1]
    mirror = _MIRRORS[rows < 0, columns < 0]
    transposed = abs(rows) < abs(columns)
    if transposed:
        stored = stored.transpose(1, 0, 2)
    planes = np.empty((3, *patch.shape[:2]), patch.dtype)
    for plane, values in zip(planes, stored.transpose(2, 0, 1) if in_planes else cv2.split(stored)):
        if transposed:
            values = cv2.transpose(values)
        plane[:] = values if mirror is None else cv2.flip(values, mirror)
    return planes


# Whether rows and columns run backwards -> OpenCV's code.
_MIRRORS = {(False, False): None, (True, False): 0, (False, True): 1, (True, True): -1}
