"""Blur clear images as cameras do: a hand that shakes, parts of the scene that move, and a lens out of focus.

The blurred image is the mean of what the sensor sees while the shutter is open: of light, or of stored values, as in
test sets that average the frames of a film. The clear image is what it sees in the middle of that time, so that the two
are in register.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.data.degrade import Range, smooth_noise

GAMMA = 2.2  # light is this power of stored values; the sRGB curve differs from it by less than cameras differ
_LONGEST_STEP = 0.7  # pixels between two moments, below which no separate copies are seen
_CLIPPED = 0.97  # stored values from here on were brighter than the sensor could hold


class BlurRanges(NamedTuple):
    """From which ranges the blur of an image is drawn.

    Attributes:
        path: Length of the camera's path, as a share of the image's shorter side.
        roll: Largest rotation of the camera about its axis over the exposure, degrees.
        moving: Share of images in which a part of the scene moves by itself, 0 to 1.
        part_path: Length of that part's own way, as a share of the shorter side.
        defocus: Radius of the disc that a point becomes, likewise, for the images out of focus.
        defocused: Share of images that are out of focus, 0 to 1; the camera shakes less in them.
        sharp: Share of images without any blur, which have to stay as they are, 0 to 1.
        noise: Standard deviation of the noise, as a share of the range of values.
        gamma: Power of stored values that makes light; 1: stored values are averaged.
        glare: Share of images in which what is clipped was brighter than the sensor could hold, 0 to 1.
    """

    path: Range = (0.004, 0.06)
    roll: float = 0.8
    moving: float = 0.4
    part_path: Range = (0.01, 0.06)
    defocus: Range = (0.002, 0.012)
    defocused: float = 0.2
    sharp: float = 0.06
    noise: Range = (0.0, 0.012)
    gamma: Range = (GAMMA, GAMMA)
    glare: float = 1.0


def add_blur(clear: np.ndarray, ranges: BlurRanges, rng: np.random.Generator) -> np.ndarray:
    """Blur a clear image and add the noise of a camera.

    Args:
        clear: Image (H, W, 3), floating point in [0, 1].
        ranges: What path, rotation, moving part, defocus and noise are drawn from.
        rng: Source of every draw.

    Returns:
        Blurred image (H, W, 3) float32 in [0, 1].
    """
    kind, moves, side = rng.random(), rng.random() < ranges.moving, min(clear.shape[:2])
    blurred = clear.astype(np.float32)
    if kind >= ranges.sharp:
        out_of_focus = kind < ranges.sharp + ranges.defocused
        beyond, gamma = float(rng.uniform(1, 4)), float(rng.uniform(*ranges.gamma))
        if ranges.glare < 1 and rng.random() >= ranges.glare:
            beyond = 1.0
        light = to_light(blurred, beyond, gamma)
        if out_of_focus:
            light = defocus(light, side * rng.uniform(*ranges.defocus))
        length = side * rng.uniform(*ranges.path) * (0.2 if out_of_focus else 1.0)
        path = shake(length, rng)
        roll = np.deg2rad(rng.uniform(-ranges.roll, ranges.roll)) * np.linspace(-0.5, 0.5, len(path))
        part = moving_part(light.shape[:2], rng) if moves else None
        own = side * rng.uniform(*ranges.part_path) * _direction(rng)
        blurred = np.clip(expose(light, path, roll, part, own), 0, 1) ** np.float32(1 / gamma)
    noise = rng.uniform(*ranges.noise) * rng.standard_normal(clear.shape)
    return np.clip(blurred + noise, 0, 1).astype(np.float32)


def to_light(image: np.ndarray, beyond: float = 1.0, gamma: float = GAMMA) -> np.ndarray:
    """Return linear light; what is clipped in the image becomes `beyond` times as bright, as lamps and the sun were.

    Args:
        image: Stored values (H, W, 3) in [0, 1].
        beyond: Factor for values of 0.97 and more, at least 1.
        gamma: Power of stored values that makes light, above 0.

    Returns:
        Light (H, W, 3) float32, at least 0.
    """
    light = image.astype(np.float32) ** np.float32(gamma)
    clipped = image.min(axis=-1, keepdims=True) >= _CLIPPED
    return np.where(clipped, light * np.float32(beyond), light)


def shake(length: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the path of a hand that holds a camera: its velocity drifts, so that it bends but has no corners.

    Args:
        length: Length of the path in pixels.
        rng: Source of every draw.

    Returns:
        Offsets (moments, 2) float64, right and down in pixels; that of the middle moment is 0, the number is odd.
    """
    moments = 2 * int(np.ceil(max(length, 1.0) / _LONGEST_STEP / 2)) + 1
    # A main direction and a random walk beside it: between a straight line and a curl.
    turns = np.cumsum(rng.standard_normal((moments - 1, 2)), axis=0) / np.sqrt(moments)
    velocity = _direction(rng) * rng.uniform(0.3, 1.5) + turns
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(velocity, axis=0)])
    path *= length / max(float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()), 1e-9)
    return path - path[moments // 2]


def moving_part(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw the part of a scene that moves by itself: a blob with soft borders of a few pixels.

    Args:
        shape: Height and width.
        rng: Source of the form.

    Returns:
        Its opacity (H, W) float32 in [0, 1].
    """
    field = smooth_noise(shape, rng, octaves=2)
    border = np.quantile(field, rng.uniform(0.6, 0.9))
    return np.clip(0.5 + 4 * (field - border), 0, 1).astype(np.float32)


def expose(
    light: np.ndarray, path: np.ndarray, roll: np.ndarray, part: np.ndarray | None, own: np.ndarray
) -> np.ndarray:
    """Return the mean of what the sensor sees along the path.

    Args:
        light: Linear light (H, W, 3) float32.
        path: Offsets of the image (moments, 2), right and down in pixels.
        roll: Rotation about the image's centre at each moment (moments,), radians.
        part: Opacity (H, W) of the part that moves, or None.
        own: The way that the part goes in the same time (2,), right and down in pixels.

    Returns:
        Mean light (H, W, 3) float32.
    """
    height, width = light.shape[:2]
    total = np.zeros_like(light)
    for place, angle, time in zip(path, roll, np.linspace(-0.5, 0.5, len(path))):
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(np.rad2deg(angle)), 1.0)
        turn[:, 2] += place
        seen = _warp(light, turn)
        if part is not None:
            turn[:, 2] += own * time
            covered = _warp(part, turn)[..., None]
            seen += covered * (_warp(light, turn) - seen)
        total += seen
    return total / len(path)


def defocus(light: np.ndarray, radius: float) -> np.ndarray:
    """Spread every point over a disc, whose border is sampled and not stepped.

    Args:
        light: Linear light (H, W, 3) float32.
        radius: Radius of the disc in pixels.

    Returns:
        Light (H, W, 3) float32.
    """
    reach = int(np.ceil(radius + 0.5))
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(down, right), 0, 1).astype(np.float32)
    return cv2.filter2D(light, cv2.CV_32F, disc / disc.sum(), borderType=cv2.BORDER_REFLECT_101)


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _warp(image: np.ndarray, turn: np.ndarray) -> np.ndarray:
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
