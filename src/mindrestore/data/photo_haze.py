"""Put haze over photographs that have no depth map: distances that follow the picture, nights with lamps, mild JPEG.

`degrade.py` holds the physics; here is what a clear photograph alone cannot give and has to be invented for it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.data.degrade import density_field, plausible_depth, scatter, smooth_noise, transmission


class Night(NamedTuple):
    """The light of one night.

    Attributes:
        gamma: Exponent that darkens the photograph, above 1.
        light: What its channels are multiplied by, 0 to 1 each.
        sky: Airlight far from every lamp, per channel, 0 to 1.
        lamps: Airlight that the lamps add at their brightest, per channel.
    """

    gamma: float
    light: tuple[float, float, float]
    sky: tuple[float, float, float]
    lamps: tuple[float, float, float]


def picture_depth(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Invent distances for a photograph whose edges follow those of the picture.

    Distances of `plausible_depth` are smoothed with the image as a guide (He, Sun and Tang, "Guided image filtering",
    ECCV 2010), so that they change where objects end. One image in four is at one distance all over, as close-ups are.

    Args:
        image: Photograph (H, W, 3), floating point in [0, 1].
        rng: Source of every draw.

    Returns:
        Distances (H, W) float32, about 1 to 10.
    """
    shape = image.shape[:2]
    depth, flat = plausible_depth(shape, rng), rng.random() < 0.25
    if rng.random() < 0.3:  # no ground below and sky above: bumps alone
        depth = np.exp(0.6 * smooth_noise(shape, rng, octaves=3)).astype(np.float32)
    if flat:
        return np.full(shape, float(np.median(depth)), np.float32)
    guide = image.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    smoothed = _guided(guide, np.ascontiguousarray(depth), radius=max(min(shape) // 10, 2), eps=1e-3)
    return np.clip(smoothed, depth.min(), depth.max())


def _guided(guide: np.ndarray, values: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Filter values with a grey guide of the same size."""

    def mean(array: np.ndarray) -> np.ndarray:
        return cv2.blur(array, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (mean(guide * guide) - mean_guide**2 + eps)
    offset = mean_values - slope * mean_guide
    return mean(slope) * guide + mean(offset)


def draw_night(rng: np.random.Generator) -> Night:
    """Draw the light of one night: darkness, its colour, and the colour of lamps from white to sodium orange.

    Args:
        rng: Source of every draw.

    Returns:
        The parameters.
    """
    warm = rng.uniform(0, 1)
    colour = np.array([1.0, 1 - 0.25 * warm, 1 - 0.6 * warm])
    light = rng.uniform(0.4, 0.9) * (0.5 + 0.5 * colour)
    sky = rng.uniform(0.1, 0.35) * (0.6 + 0.4 * colour)
    lamps = rng.uniform(0.2, 0.6) * colour
    as_triple = [tuple(float(v) for v in values) for values in (light, sky, lamps)]
    return Night(float(rng.uniform(1.2, 2.0)), *as_triple)


def at_night(image: np.ndarray, night: Night) -> np.ndarray:
    """Darken a photograph taken by day.

    Args:
        image: Photograph (H, W, 3), floating point in [0, 1].
        night: Uses `gamma` and `light`.

    Returns:
        Image (H, W, 3) float32 in [0, 1].
    """
    return image.astype(np.float32) ** np.float32(night.gamma) * np.float32(night.light)


def lamp_glow(shape: tuple[int, int], night: Night, rng: np.random.Generator) -> np.ndarray:
    """Return the airlight of a hazy night: the sky's, and halos around one to six lamps.

    Args:
        shape: Height and width.
        night: Uses `sky` and `lamps`.
        rng: Source of the lamps' places and sizes.

    Returns:
        Airlight (H, W, 3) float32 in [0, 1].
    """
    height, width = shape
    down, right = np.mgrid[:height, :width].astype(np.float32)
    halo = np.zeros(shape, np.float32)
    for _ in range(rng.integers(1, 7)):
        y, x = rng.uniform(-0.1, 0.8) * height, rng.uniform(-0.1, 1.1) * width
        reach = rng.uniform(0.08, 0.5) * max(shape)
        halo += np.exp(-np.hypot(down - y, right - x) / np.float32(reach)) * np.float32(rng.uniform(0.4, 1.0))
    airlight = np.float32(night.sky) + np.float32(night.lamps) * np.minimum(halo, 1.3)[..., None]
    return np.clip(airlight, 0, 1)


def hazy_night(
    image: np.ndarray, depth: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    """Turn a photograph into a clear night and the same night in haze.

    Args:
        image: Photograph (H, W, 3), floating point in [0, 1].
        depth: Distances (H, W).
        rng: Source of every draw.

    Returns:
        Hazy and clear image (H, W, 3) float32 in [0, 1], and the parameters.
    """
    night = draw_night(rng)
    clear = at_night(image, night)
    beta = -np.log(rng.uniform(0.25, 0.8)) / max(float(np.median(depth)), 1e-6)
    density = density_field(depth.shape, rng.uniform(0.0, 0.8), rng)
    passing = transmission(depth * density, float(beta))
    return scatter(clear, passing, lamp_glow(depth.shape, night, rng)), clear, {"beta": float(beta), **night._asdict()}


def vary_tones(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply to an image the tones that another camera and another light would have given it.

    Clear photographs mostly reach from black to white, which is what tells haze from a pale subject, and rendered
    scenes do not. The darkest and the lightest hundredth go to a drawn black and white, the middle is moved by a power,
    and the light turns warmer or cooler.

    Args:
        image: Image (H, W, 3), floating point in [0, 1].
        rng: Source of every draw.

    Returns:
        Image (H, W, 3) float32 in [0, 1].
    """
    dark, light = np.percentile(image, (1, 99))
    black, white, gamma, warm = (rng.uniform(*ends) for ends in ((0.0, 0.06), (0.75, 1.0), (0.8, 1.4), (-0.15, 0.25)))
    stretched = np.clip((image - dark) / max(float(light - dark), 0.05), 0, 1) ** gamma
    colour = 1 - np.abs(warm) * np.array([0.0, 0.5, 1.0] if warm > 0 else [1.0, 0.5, 0.0])
    return np.clip((black + (white - black) * stretched) * colour, 0, 1).astype(np.float32)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """Send an image through JPEG, as cameras and websites do after the haze.

    Args:
        image: Image (H, W, 3) RGB, floating point in [0, 1].
        quality: JPEG quality, 1 to 100.

    Returns:
        Image (H, W, 3) float32 in [0, 1] with the traces of compression.
    """
    grey_levels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", grey_levels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
