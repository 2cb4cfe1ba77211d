"""Add the noise of a camera to clear images: that of light and sensor, developed from its mosaic of colours to a JPEG.

A sensor counts light through one colour filter per pixel. Its noise grows with the light and has a part that stays in
the dark; white balance amplifies it in red and blue, demosaicing spreads it over neighbours, and the stored curve and
the compression do the rest. Unlike Gaussian noise it therefore has blotches, colours and a strength that varies. The
distribution of both parts is that of Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, sec. 3.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.data.blur import GAMMA, to_light
from mindrestore.data.degrade import Range

_LEVELS = 65535  # OpenCV demosaics whole numbers
# The ways of OpenCV that take 16 bits: means of neighbours, and along edges.
_DEMOSAICING = (cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerBG2RGB_EA)


class CameraRanges(NamedTuple):
    """From which ranges the noise of a camera is drawn.

    Attributes:
        shot: Variance of the light's noise at full light, as a share of full light squared; drawn evenly by logarithm.
        red: White balance: factor by which red is amplified.
        blue: Likewise for blue.
    """

    shot: Range = (1e-4, 1.2e-2)
    red: Range = (1.6, 2.6)
    blue: Range = (1.3, 2.1)


def add_camera_noise(clear: np.ndarray, ranges: CameraRanges, rng: np.random.Generator) -> np.ndarray:
    """Return what a camera would have stored of a clear scene.

    Args:
        clear: Image (H, W, 3), floating point in [0, 1]; H and W at least 2.
        ranges: What noise and white balance are drawn from.
        rng: Source of every draw.

    Returns:
        Noisy image (H, W, 3) float32 in [0, 1].
    """
    shot = float(np.exp(rng.uniform(*np.log(ranges.shot))))
    read = float(np.exp(2.18 * np.log(shot) + 1.2 + rng.normal(0, 0.26)))  # variance; the line of the paper
    gains = np.float32([rng.uniform(*ranges.red), 1.0, rng.uniform(*ranges.blue)])
    way = _DEMOSAICING[int(rng.integers(len(_DEMOSAICING)))]
    light = to_light(clear) / gains  # as the sensor sees it
    counted = mosaic(light)
    counted = counted + np.sqrt(shot * counted + read) * rng.standard_normal(counted.shape).astype(np.float32)
    developed = demosaic(counted, way) * gains
    return np.clip(developed, 0, 1) ** np.float32(1 / GAMMA)


def mosaic(light: np.ndarray) -> np.ndarray:
    """Keep one colour per pixel: red at even rows and columns, blue at odd ones, green between.

    Args:
        light: Image (H, W, 3).

    Returns:
        Array (H, W).
    """
    counted = light[..., 1].copy()  # (H, W)
    counted[::2, ::2] = light[::2, ::2, 0]
    counted[1::2, 1::2] = light[1::2, 1::2, 2]
    return counted


def demosaic(counted: np.ndarray, way: int = cv2.COLOR_BayerBG2RGB) -> np.ndarray:
    """Find the two colours that each pixel lacks from its neighbours.

    Args:
        counted: Array (H, W) in [-0.5, 1.5]; what lies outside is clipped.
        way: OpenCV's code of a mosaic that begins with red.

    Returns:
        Image (H, W, 3) float32; black stays at 0, so that noise below it is kept.
    """
    # Half of the range above and half below: noise in the dark is negative as often as positive.
    levels = np.clip(np.rint((counted + 0.5) * (_LEVELS / 2)), 0, _LEVELS).astype(np.uint16)
    return cv2.cvtColor(levels, way).astype(np.float32) * np.float32(2 / _LEVELS) - np.float32(0.5)
