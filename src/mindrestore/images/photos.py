"""Read and write photographs with all that belongs to them: grey, transparency, colour profile and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mindrestore.files import PathLike, write_bytes
from mindrestore.images.decode import decode
from mindrestore.images.encode import encode
from mindrestore.images.errors import ImageError
from mindrestore.images.read import read_bytes

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".tif", ".tiff", ".webp", ".bmp")  # written as they are


@dataclass(frozen=True)
class Photo:
    """A photograph, upright.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W) grey, uint8 or uint16.
        alpha: (H, W) transparency of the same type; None for none.
        metadata: What the file says beside: `icc_profile`, `exif` and `xmp` (bytes), `dpi`, `comment`, and of a PNG
            file `chunks`, those that say what colours mean (gamma, primaries) and its texts.
        notes: What could not be read of these, one line each.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_photo(path: PathLike) -> Photo:
    """Read a photograph and what belongs to it.

    Args:
        path: File that `read_image` accepts.

    Returns:
        The photograph; its metadata no longer ask for a turn.

    Raises:
        ImageError: The file is missing, empty, damaged, no image, not of a kind that is read, or holds
            several pictures.
    """
    path = Path(path)
    found = decode(path, read_bytes(path))
    if found.pictures > 1:
        raise ImageError(f"{path}: holds {found.pictures} pictures; save each as its own file, or make a video of them")
    return Photo(found.colours, found.alpha, found.metadata, tuple(found.notes))


def write_photo(path: PathLike, photo: Photo) -> tuple[str, ...]:
    """Write a photograph in one step: the file is complete or absent, and an old one survives a failure.

    Args:
        path: Destination, of `PHOTO_SUFFIXES`; PNG and TIFF keep 16 bits, others 8; JPEG has no transparency and BMP no
            metadata. JPEG has quality 95, the others lose nothing.
        photo: What to write.

    Returns:
        What the format could not hold of the metadata, one line each; the picture is written all the same.

    Raises:
        ImageError: The format cannot hold it, or the folder or the disk does not allow it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    pixels, notes = photo.pixels, []
    if photo.alpha is not None and suffix in (".jpg", ".jpeg", ".jfif", ".jpe"):
        if photo.alpha.min() < np.iinfo(photo.alpha.dtype).max:
            notes.append(f"{suffix} does not hold its transparency: left out; call the input .png to keep it")
    elif photo.alpha is not None:
        colours = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = np.concatenate((colours, photo.alpha[..., None]), axis=2)
    if pixels.dtype == np.uint16 and suffix not in (".png", ".tif", ".tiff"):
        pixels = np.rint(pixels / 257).astype(np.uint8)
        notes.append(f"{suffix} does not hold its 16 bits: 8 are kept; call the input .png to keep them")
    try:
        data, lost = encode(pixels, suffix, photo.metadata)
    except (OSError, ValueError, KeyError, cv2.error) as error:
        raise ImageError(f"{path}: {suffix} cannot hold this image ({error}); convert the input to PNG") from error
    write_bytes(path, data)
    return (*notes, *lost)
