"""Turn a pair of images into a pair of training patches; every draw is the same for both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Callable

import numpy as np
from PIL import Image, ImageEnhance

from mindrestore.errors import MindRestoreError

Change = Callable[[np.ndarray], np.ndarray]

# Each augmentation draws once and applies the result to both images.
AUGMENTATIONS: dict[str, Callable[[np.random.Generator], Change]] = {
    "hflip": lambda rng: _flip(rng.random() < 0.5, axis=1),
    "vflip": lambda rng: _flip(rng.random() < 0.5, axis=0),
    "rot90": lambda rng: _rotate(int(rng.integers(4))),
    "transpose": lambda rng: _transpose(rng.random() < 0.5),
    "dihedral9": lambda rng: partial(dihedral, code=int(rng.integers(9))),
    "saturation": lambda rng: _saturate(rng.random() < 1 / 3, 1.2 - 0.4 * rng.random()),  # factor in (0.8, 1.2]
}


def make_patch(
    image: np.ndarray,
    target: np.ndarray,
    size: int,
    augment: Sequence[str],
    rng: np.random.Generator,
    edge_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the same random square out of both images and augment both alike.

    Images smaller than the patch are filled by reflection first, see `fill_to`.

    Args:
        image: Degraded image (H, W, C) of any type.
        target: Clear image of the same shape.
        size: Side of the square in pixels.
        augment: Names of `AUGMENTATIONS`, applied in this order; flips and the transpose with probability 1/2,
            `rot90` by 0, 90, 180 or 270 degrees with equal probability, `dihedral9` one of the nine codes of
            `dihedral`, `saturation` with probability 1/3 by a factor from (0.8, 1.2].
        rng: Source of every draw.
        edge_decay: See `crop_start`.

    Returns:
        Two arrays of shape (size, size, C).
    """
    image, target = fill_to(image, size), fill_to(target, size)
    top, left = (crop_start(side, size, rng, edge_decay) for side in image.shape[:2])
    image, target = (array[top : top + size, left : left + size] for array in (image, target))
    for name in augment:
        change = AUGMENTATIONS[name](rng)
        image, target = change(image), change(target)
    return image, target


def paste_clear(
    image: np.ndarray, target: np.ndarray, rng: np.random.Generator, probability: float = 0.5, max_ratio: float = 0.5
) -> np.ndarray:
    """Paste a random square of the clear patch over the degraded one, at the same place (MPILNet).

    The side is floor(P * ratio) pixels with ratio from [0, max_ratio); the place is drawn evenly.

    Args:
        image: Degraded patch (..., P, P); it is not changed.
        target: Clear patch of the same shape and type.
        rng: Source of the draws: one, or four when a square is pasted.
        probability: How often it is pasted.
        max_ratio: Upper limit of the side, as a share of P.

    Returns:
        The degraded patch with the square, or the patch itself.
    """
    if rng.random() >= probability:
        return image
    size = image.shape[-1]
    side = int(size * max_ratio * rng.random())
    top, left = (int(rng.integers(size - side + 1)) for _ in range(2))
    image = image.copy()
    square = (..., slice(top, top + side), slice(left, left + side))
    image[square] = target[square]
    return image


def crop_start(length: int, size: int, rng: np.random.Generator, edge_decay: float = 0.0) -> int:
    """Draw where a crop begins along one axis.

    A pixel near the border lies in fewer crops than others. With an edge decay, a crop touches the border with the
    additional probability edge_decay * size / length, as in the training of DehazeFormer.

    Args:
        length: Rows (or columns) of the image, at least `size`.
        size: Rows of the crop.
        rng: Source of the draws: one without an edge decay, two with it.
        edge_decay: 0 draws evenly.

    Returns:
        First row, from 0 to length - size.
    """
    if edge_decay > 0 and rng.random() < size / length * edge_decay:
        return 0 if rng.integers(2) == 0 else length - size
    return int(rng.integers(length - size + 1))


def check_augmentations(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names back if all are known.

    Args:
        names: Names from a recipe.

    Returns:
        The same names as a tuple.

    Raises:
        MindRestoreError: If one is unknown.
    """
    for name in names:
        if name not in AUGMENTATIONS:
            raise MindRestoreError(f"augmentation {name!r} is unknown; use some of {', '.join(AUGMENTATIONS)}")
    return tuple(names)


def fill_to(image: np.ndarray, size: int) -> np.ndarray:
    """Extend an image at the bottom and right to at least `size` pixels a side.

    Reflection gives up to side - 1 pixels; what is still missing repeats the last row or column.

    Args:
        image: Array (H, W, C).
        size: Smallest side wanted.

    Returns:
        Array of at least (size, size, C); the image itself when it is large enough.
    """
    lacking = [max(0, size - side) for side in image.shape[:2]]
    if not any(lacking):
        return image
    mirrored = [min(lack, side - 1) for lack, side in zip(lacking, image.shape[:2])]
    image = np.pad(image, [(0, mirrored[0]), (0, mirrored[1]), (0, 0)], mode="reflect")
    repeated = [lack - mirror for lack, mirror in zip(lacking, mirrored)]
    return np.pad(image, [(0, repeated[0]), (0, repeated[1]), (0, 0)], mode="edge")


def centre_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the middle out of an image.

    Args:
        image: Array (H, W, C) with H >= height and W >= width.
        height: Rows to keep.
        width: Columns to keep.

    Returns:
        View of shape (height, width, C); an odd surplus loses its extra row or column at the end.
    """
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def dihedral(image: np.ndarray, code: int) -> np.ndarray:
    """Flip or turn an image as one of the nine codes of MPRNet and DSRIR says.

    Args:
        image: Array (H, W, ...).
        code: 1 reverses the rows, 2 the columns; 3, 4 and 5 turn by 90, 180 and 270 degrees counter-clockwise; 6 is 1
            and then 3, 7 is 2 and then 3; 0 and 8 change nothing, so one draw in 4.5 keeps the image.

    Returns:
        View of the image; height and width change places for the codes 3, 5, 6 and 7.

    Raises:
        MindRestoreError: If there is no such code.
    """
    if code not in range(9):
        raise MindRestoreError(f"there is no geometric code {code}; use 0 to 8")
    if code in (1, 6):
        image = np.flip(image, 0)
    if code in (2, 7):
        image = np.flip(image, 1)
    return np.rot90(image, {3: 1, 4: 2, 5: 3, 6: 1, 7: 1}.get(code, 0))


def saturate(image: np.ndarray, factor: float) -> np.ndarray:
    """Move the colours of an image away from its grey, or towards it: grey + factor * (image - grey).

    Grey is the luma of ITU-R 601, (299 R + 587 G + 114 B) / 1000. 8-bit images go through Pillow's colour enhancement,
    as torchvision's `adjust_saturation` does for Pillow images: grey is rounded to 8 bits, the result is clipped and
    its fraction cut off. 16-bit results are rounded and clipped, floating-point ones clipped to [0, 1].

    Args:
        image: RGB array (H, W, 3), uint8, uint16 or floating point in [0, 1].
        factor: 0 gives grey, 1 the image.

    Returns:
        Array of the same shape and type.
    """
    if image.dtype == np.uint8:
        return np.array(ImageEnhance.Color(Image.fromarray(np.ascontiguousarray(image))).enhance(factor))
    grey = image @ np.float64([0.299, 0.587, 0.114])
    mixed = grey[..., None] + factor * (image - grey[..., None])
    if np.issubdtype(image.dtype, np.integer):
        return np.round(mixed).clip(0, np.iinfo(image.dtype).max).astype(image.dtype)
    return mixed.clip(0, 1).astype(image.dtype)


def _flip(do: bool, axis: int) -> Change:
    return (lambda array: np.flip(array, axis)) if do else (lambda array: array)


def _rotate(quarters: int) -> Change:
    return lambda array: np.rot90(array, quarters)


def _saturate(do: bool, factor: float) -> Change:
    return (lambda array: saturate(array, factor)) if do else (lambda array: array)


def _transpose(do: bool) -> Change:
    return (lambda array: array.transpose(1, 0, 2)) if do else (lambda array: array)
