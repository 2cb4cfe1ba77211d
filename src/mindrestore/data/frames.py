"""Paint window frames, poles and ribs into photographs: bright, straight and thin as rain is, but opaque."""

from __future__ import annotations

import cv2
import numpy as np

_SHIFT = 4  # binary digits of a pixel in which OpenCV takes places
_LIGHT = (0.55, 1.0)  # brightness of what is painted, 0 to 1


def add_frames(clear: np.ndarray, rng: np.random.Generator, most: int = 4) -> np.ndarray:
    """Paint one to a few windows and poles, with a shadow beside each line.

    Args:
        clear: Image (H, W, 3), floating point in [0, 1].
        rng: Source of number, place, form and colour.
        most: How many things are painted at most, at least 1.

    Returns:
        Image (H, W, 3) float32 in [0, 1].
    """
    image = clear.astype(np.float32)
    for _ in range(int(rng.integers(1, most + 1))):
        lines = _window(image.shape[:2], rng) if rng.random() < 0.5 else [_pole(image.shape[:2], rng)]
        thickness = int(rng.integers(1, 7))
        colour = np.clip(rng.uniform(*_LIGHT) * (1 + rng.normal(0, 0.05, 3)), 0, 1).astype(np.float32)
        covered = _drawn(image.shape[:2], lines, thickness)  # (H, W, 1)
        beside = np.zeros_like(covered)
        beside[:, thickness:] = covered[:, :-thickness]
        image = image * (1 - np.float32(rng.uniform(0, 0.6)) * beside)
        image += covered * (colour - image)
    return image


def _window(shape: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the lines of a frame with bars, hardly turned: each (2, 2), right and down in pixels."""
    side = min(shape)
    width, height = side * rng.uniform(0.1, 0.5, 2)
    across, down = (np.linspace(-0.5, 0.5, int(rng.integers(2, 6))) for _ in range(2))
    upright = [np.array([(x, -0.5), (x, 0.5)]) for x in across]
    level = [np.array([(-0.5, y), (0.5, y)]) for y in down]
    angle = np.deg2rad(rng.normal(0, 4))
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    middle = rng.uniform(0, 1, 2) * shape[::-1]
    return [line * (width, height) @ turn + middle for line in upright + level]


def _pole(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw the way of a pole or a rib, mostly upright, straight or bent: (17, 2), right and down in pixels."""
    length = min(shape) * rng.uniform(0.2, 1.2)
    angle = np.deg2rad(rng.uniform(-30, 30) + (90 if rng.random() < 0.25 else 0))
    along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
    steps = np.linspace(-0.5, 0.5, 17)[:, None]
    bend = rng.normal(0, 0.4) if rng.random() < 0.5 else 0.0
    return rng.uniform(0, 1, 2) * shape[::-1] + length * (steps * along + bend * (0.25 - steps**2) * across)


def _drawn(shape: tuple[int, int], lines: list[np.ndarray], thickness: int) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    places = [np.round(line * (1 << _SHIFT)).astype(np.int32) for line in lines]
    cv2.polylines(mask, places, False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return mask[..., None] / np.float32(255)
