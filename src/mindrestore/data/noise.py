"""Add Gaussian noise to clear images, for training and for tests that can be repeated."""

from __future__ import annotations

import zlib

import numpy as np

from mindrestore.errors import MindRestoreError


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator | np.random.RandomState) -> np.ndarray:
    """Add independent Gaussian noise to every value of an image, as an 8-bit camera would store it.

    Noise is added in grey levels of 255, the sum is clipped to 0..255 and its fraction cut off, as DSRIR's
    programs do; the result is therefore half a level darker on average.

    Args:
        image: Array (H, W, C), uint8, uint16 or floating point in [0, 1].
        sigma: Standard deviation in grey levels of 255; 0 gives the image in 8 bits.
        rng: Source of the noise.

    Returns:
        uint8 array of the same shape.

    Raises:
        MindRestoreError: The deviation is negative.
    """
    if sigma < 0:
        raise MindRestoreError(f"noise of deviation {sigma} does not exist; use 0 or more grey levels of 255")
    levels = _levels(image)
    return np.clip(levels + sigma * rng.standard_normal(image.shape), 0, 255).astype(np.uint8)


def noise_rng(seed: int, sigma: float, name: str) -> np.random.Generator:
    """Return the generator of one test image's noise: the same whatever is measured before it, and on any machine.

    Args:
        seed: Seed of the test.
        sigma: Standard deviation of the noise.
        name: File name of the image.

    Returns:
        A generator that depends on these three alone.
    """
    return np.random.default_rng((seed, round(sigma * 1000), zlib.crc32(name.encode("utf-8", "surrogateescape"))))


def _levels(image: np.ndarray) -> np.ndarray:
    """Return an image in grey levels of 255; what is stored in more bits keeps its fraction."""
    if image.dtype == np.uint8:
        return image
    scale = 255 / np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 255
    return image * np.float64(scale)
