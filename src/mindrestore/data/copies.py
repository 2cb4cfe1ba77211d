"""Copy a folder of images, cropped to sizes that a network takes or with noise added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import numpy as np

from mindrestore.data.destinations import refuse_existing, refuse_one_name
from mindrestore.data.locate import DatasetError
from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.data.transforms import centre_crop
from mindrestore.files import PathLike
from mindrestore.images.errors import ImageError
from mindrestore.images.read import list_images, read_image
from mindrestore.images.write import write_image


def crop_images(folder: PathLike, out: PathLike, multiple: int = 8, *, overwrite: bool = False) -> Iterator[Path]:
    """Write the middle of every image, with sides that are multiples of a number.

    Args:
        folder: Folder of images.
        out: Another folder; images get the name `<stem>.png` there and keep their 8 or 16 bits.
        multiple: What both sides shall be divisible by.
        overwrite: Replace files that exist.

    Yields:
        The path of each copy.

    Raises:
        DatasetError: If there are no images, a destination exists already, or it is the folder itself.
        ImageError: If a file cannot be read or written, or an image is smaller than the multiple.
    """

    def crop(path: Path, image: np.ndarray) -> np.ndarray:
        height, width = (side - side % multiple for side in image.shape[:2])
        if not (height and width):
            raise ImageError(
                f"{path}: {image.shape[1]}x{image.shape[0]} is smaller than {multiple} pixels a side; "
                "remove it or pass a smaller --multiple"
            )
        return centre_crop(image, height, width)

    return _copies(Path(folder), Path(out), crop, overwrite)


def noise_images(
    folder: PathLike, out: PathLike, sigma: float, seed: int = 0, *, overwrite: bool = False
) -> Iterator[Path]:
    """Write every image with the Gaussian noise of a test: the same whatever else is in the folder.

    Args:
        folder: Folder of clear images.
        out: Another folder; images get the name `<stem>.png` there and have 8 bits.
        sigma: Standard deviation in grey levels of 255.
        seed: Seed; with the deviation and the file name it decides the noise.
        overwrite: Replace files that exist.

    Yields:
        The path of each noisy image.

    Raises:
        DatasetError: If there are no images, a destination exists already, or it is the folder itself.
        ImageError: If a file cannot be read or written.
    """

    def spoil(path: Path, image: np.ndarray) -> np.ndarray:
        return add_noise(image, sigma, noise_rng(seed, sigma, path.name))

    return _copies(Path(folder), Path(out), spoil, overwrite)


def _copies(
    folder: Path, out: Path, change: Callable[[Path, np.ndarray], np.ndarray], overwrite: bool
) -> Iterator[Path]:
    images = list_images(folder)
    if not images:
        raise DatasetError(f"{folder}: no images; name the folder that holds the images themselves")
    if out.resolve() == folder.resolve():
        raise DatasetError(f"{out}: the originals are there; choose another folder for the copies")
    refuse_one_name(images)
    refuse_existing([out / f"{path.stem}.png" for path in images], overwrite)
    for path in images:
        copy = out / f"{path.stem}.png"
        write_image(copy, change(path, read_image(path)))
        yield copy
