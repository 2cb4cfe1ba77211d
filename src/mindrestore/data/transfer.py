"""Bring images to the tone of another data set with a power curve per colour: CrossDehaze's external augmentation.

Hazy images of an auxiliary data set, transferred so, join the training images of the data set in question (Shi et al.,
"Scaling Up Single Image Dehazing Algorithm by Cross-Data Vision Alignment", IEEE TIM 2025).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.files import PathLike
from mindrestore.images.read import list_images, read_image
from mindrestore.images.write import write_image

RSID_TO_NID = (1.90, 1.91, 1.91)  # exponents of red, green and blue, as published


class TransferError(MindRestoreError):
    """Report exponents that make no tone curve, a folder without images, or results that exist already."""


def transfer_channels(image: np.ndarray, gamma: Sequence[float]) -> np.ndarray:
    """Change the tone of an image by a power curve per colour: v -> v^(1 / gamma), v from 0 to 1.

    Integer types go through a table whose values are cut off, not rounded, as published.

    Args:
        image: RGB array (H, W, 3), uint8, uint16 or floating point in [0, 1].
        gamma: Exponents of red, green and blue, above 0; above 1 they brighten, 1 changes nothing.

    Returns:
        Array of the same shape and type; the input stays as it is.

    Raises:
        TransferError: If there are not three exponents above 0.
    """
    gamma = _checked(gamma)
    if np.issubdtype(image.dtype, np.floating):
        return (image ** (1 / np.asarray(gamma))).astype(image.dtype)
    largest = np.iinfo(image.dtype).max
    return np.stack([tone_table(value, largest)[image[..., i]] for i, value in enumerate(gamma)], -1)


def tone_table(gamma: float, largest: int = 255) -> np.ndarray:
    """Return the new value of every value from 0 to `largest`: (v / largest)^(1 / gamma) * largest, fraction cut off.

    Args:
        gamma: Exponent, above 0.
        largest: Largest value, 255 or 65535.

    Returns:
        Array (largest + 1,), uint8 or uint16.
    """
    values = (np.arange(largest + 1) / largest) ** (1 / gamma) * largest
    return values.astype(np.uint8 if largest == 255 else np.uint16)


def transfer_folder(source: PathLike, out: PathLike, gamma: Sequence[float] = RSID_TO_NID) -> Iterator[Path]:
    """Write the images of a folder in another tone, under their own names, to a second folder.

    JPEG files are compressed anew.

    Args:
        source: Folder of (hazy) images.
        out: Destination folder; it is made when it is missing. No file in it is replaced.
        gamma: Exponents of red, green and blue, see `transfer_channels`.

    Yields:
        The path of each image written.

    Raises:
        TransferError: If there are no images, a file to write exists already, or the exponents are wrong.
        ImageError: If a file cannot be read or written.
    """
    source, out = Path(source), Path(out)
    gamma = _checked(gamma)
    images = list_images(source)
    if not images:
        raise TransferError(f"{source}: no images; name the folder that holds the hazy images themselves")
    existing = [out / path.name for path in images if (out / path.name).exists()]
    if existing:
        raise TransferError(f"{existing[0]} exists already ({len(existing)} such); choose another folder")
    for path in images:
        write_image(out / path.name, transfer_channels(read_image(path), gamma))
        yield out / path.name


def _checked(gamma: Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(value) for value in gamma)
    if len(values) != 3 or not all(value > 0 and math.isfinite(value) for value in values):
        raise TransferError(f"gamma {list(gamma)}: use three numbers above 0, for red, green and blue")
    return values
