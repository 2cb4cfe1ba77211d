"""Image quality per image pair, on numpy: PSNR, SSIM in its published forms, MS-SSIM, MAE and CIEDE2000.

Every function takes two arrays of one size, (H, W) or (H, W, C), and gives one Python float. Which form goes with
which paper is the business of `mindrestore.evaluation.protocol`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

TITLES = MappingProxyType(
    {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "mae": "MAE", "ciede2000": "CIEDE2000"}
)
DECIMALS = MappingProxyType({"psnr": 2, "ssim": 4, "ms_ssim": 4, "mae": 4, "ciede2000": 3})
# Errors, of which less is better; those that are not measured here may be what a run validates with.
LOWER_IS_BETTER = frozenset({"mae", "ciede2000", "ciede", "loss", "mse", "rmse", "lpips", "niqe", "dists"})

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, five scales
_CHUNK = 1 << 18  # pixels per pass of CIEDE2000, whose many intermediate maps would fill the memory on photographs
_HALF_TURN = 180 + 1e-9  # degrees; exactly opposite hues must not fall on either side by rounding (Sharma's pair 14)


@dataclass(frozen=True)
class SsimWindow:
    """Describe how local means are taken: the taps down and across, what lies beyond the border, the averaging.

    Args:
        rows: Normalised 1-D taps along the height.
        columns: Normalised 1-D taps along the width.
        border: "valid" leaves out positions whose window leaves the image, "zero" and "replicate" keep all of them.
        sample: Use the sample covariance n / (n - 1) instead of the population's.
        volume: Also smooth along the channel axis (with `rows`, replicated), as a 3-D image.
    """

    rows: tuple[float, ...]
    columns: tuple[float, ...]
    border: str = "valid"
    sample: bool = False
    volume: bool = False


def _gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    offsets = np.arange(size) - (size - 1) / 2
    taps = np.exp(-(offsets**2) / (2 * sigma**2))
    return tuple((taps / taps.sum()).tolist())


_GAUSS = _gaussian_taps(11, 1.5)
_SEVEN = (1 / 7,) * 7

SSIM_WINDOWS = {
    "gaussian": SsimWindow(_GAUSS, _GAUSS),
    "gaussian-zero-padded": SsimWindow(_GAUSS, _GAUSS, border="zero"),
    "gaussian-volume": SsimWindow(_GAUSS, _GAUSS, border="replicate", volume=True),
    "uniform": SsimWindow(_SEVEN, _SEVEN, sample=True),
    "uniform-columns": SsimWindow(_SEVEN, (1.0,), sample=True),
}


def psnr(a: np.ndarray, b: np.ndarray, *, peak: float = 1.0, mask: np.ndarray | None = None) -> float:
    """Compute the peak signal-to-noise ratio 10 log10(peak^2 / mean((a - b)^2)).

    Args:
        a: Image, (H, W) or (H, W, C), values in [0, peak].
        b: Image of the same shape.
        peak: Largest possible value.
        mask: Pixels to count, (H, W) bool; all of them when None.

    Returns:
        Decibels; infinity when the images are equal, NaN when the mask is empty.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = _as_pair(a, b)
    error = _mean((a - b) ** 2, mask)
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def mae(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the mean absolute difference, in the unit of the images.

    Args:
        a: Image, (H, W) or (H, W, C).
        b: Image of the same shape.

    Returns:
        The mean over all elements; 0 is best.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = _as_pair(a, b)
    return float(np.mean(np.abs(a - b)))


def ssim(
    a: np.ndarray, b: np.ndarray, *, peak: float = 1.0, window: str = "gaussian", mask: np.ndarray | None = None
) -> float:
    """Compute the structural similarity (Wang et al. 2004, K1 = 0.01, K2 = 0.03), averaged over pixels and channels.

    Args:
        a: Image, (H, W) or (H, W, C), values in [0, peak].
        b: Image of the same shape.
        peak: Largest possible value.
        window: A name of `SSIM_WINDOWS`.
        mask: Window centres to count, (H, W) bool; all of them when None. Pixels outside still lie in their windows.

    Returns:
        A number up to 1; NaN when the image is smaller than a window that must lie inside it, or no centre counts.

    Raises:
        ValueError: The shapes differ or the window is unknown.
    """
    a, b = _as_pair(a, b)
    if window not in SSIM_WINDOWS:
        raise ValueError(f"unknown SSIM window {window!r}; use one of {', '.join(SSIM_WINDOWS)}")
    shape = SSIM_WINDOWS[window]
    if shape.border == "valid" and (a.shape[0] < len(shape.rows) or a.shape[1] < len(shape.columns)):
        return math.nan
    luminance, contrast = _ssim_maps(a, b, shape, peak)
    if mask is not None and shape.border == "valid":
        mask = _inside(mask, shape)
    return _mean(luminance * contrast, mask)


def ms_ssim(a: np.ndarray, b: np.ndarray, *, peak: float = 1.0) -> float:
    """Compute the multi-scale structural similarity (Wang et al. 2003): five scales, Gaussian window, valid area.

    Between scales the image is averaged over 2x2 cells; an odd side first gets one line of zeros at its start, as the
    widely used PyTorch implementation does. Negative contrast terms count as 0.

    Args:
        a: Image, (H, W) or (H, W, C), values in [0, peak].
        b: Image of the same shape.
        peak: Largest possible value.

    Returns:
        The mean over channels; NaN when a side is 160 pixels or less, where the coarsest scale has no valid area.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = _as_pair(a, b)
    window = SSIM_WINDOWS["gaussian"]
    if min(a.shape[:2]) <= (len(window.rows) - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1):
        return math.nan
    score: np.ndarray = np.float64(1)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        luminance, contrast = _ssim_maps(a, b, window, peak)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        similarity = np.mean(luminance * contrast if last else contrast, axis=(0, 1))  # (C,) or a scalar
        score = score * np.maximum(similarity, 0) ** weight
        if not last:
            a, b = _halve(a), _halve(b)
    return float(np.mean(score))


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB to CIE L*a*b* for illuminant D65 and the 2 degree observer.

    Args:
        rgb: Array (..., 3), sRGB values in [0,1].

    Returns:
        Array (..., 3), float64: L* in [0,100], a*, b*.
    """
    rgb = np.asarray(rgb, np.float64)
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    relative = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def delta_e_2000(lab_a: np.ndarray, lab_b: np.ndarray) -> np.ndarray:
    """Compute the CIEDE2000 colour difference of every pair of colours (CIE 142-2001, kL = kC = kH = 1).

    Args:
        lab_a: Array (..., 3) of CIE L*a*b* colours.
        lab_b: Array of the same shape.

    Returns:
        Array (...): the difference; about 1 is just noticeable.
    """
    lab_a, lab_b = np.asarray(lab_a, np.float64), np.asarray(lab_b, np.float64)
    mean_chroma7 = ((np.hypot(lab_a[..., 1], lab_a[..., 2]) + np.hypot(lab_b[..., 1], lab_b[..., 2])) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma7 / (mean_chroma7 + 25.0**7))  # 1 + G
    light_a, chroma_a, hue_a = _lightness_chroma_hue(lab_a, stretch)
    light_b, chroma_b, hue_b = _lightness_chroma_hue(lab_b, stretch)

    grey = chroma_a * chroma_b == 0  # the hue of a grey is undefined and must not count
    turn = hue_b - hue_a
    turn = np.where(grey, 0.0, turn - 360 * (turn > _HALF_TURN) + 360 * (turn < -_HALF_TURN))
    d_light = light_b - light_a
    d_chroma = chroma_b - chroma_a
    d_hue = 2 * np.sqrt(chroma_a * chroma_b) * np.sin(np.radians(turn) / 2)

    light = (light_a + light_b) / 2
    chroma = (chroma_a + chroma_b) / 2
    total = hue_a + hue_b
    apart = np.abs(hue_a - hue_b) > _HALF_TURN
    hue = np.where(grey, total, (total + np.where(apart, np.where(total < 360, 360, -360), 0)) / 2)

    scale_l, scale_c, scale_h, rotation = _ciede_weights(light, chroma, hue)
    l_term, c_term, h_term = d_light / scale_l, d_chroma / scale_c, d_hue / scale_h
    return np.sqrt(np.maximum(l_term**2 + c_term**2 + h_term**2 + rotation * c_term * h_term, 0))


def ciede2000(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the mean CIEDE2000 colour difference of two sRGB images.

    Args:
        a: Image (H, W, 3), sRGB in [0,1].
        b: Image of the same shape.

    Returns:
        The mean over pixels; 0 is best.

    Raises:
        ValueError: The shapes differ or the images are not RGB.
    """
    a, b = _as_pair(a, b)
    if a.ndim != 3 or a.shape[2] != 3:
        raise ValueError(f"CIEDE2000 needs RGB images of shape (H, W, 3), not {a.shape}")
    flat_a, flat_b = a.reshape(-1, 3), b.reshape(-1, 3)
    total = 0.0
    for start in range(0, len(flat_a), _CHUNK):
        part = slice(start, start + _CHUNK)
        total += float(np.sum(delta_e_2000(rgb_to_lab(flat_a[part]), rgb_to_lab(flat_b[part]))))
    return total / len(flat_a)


def _as_pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"the images differ in shape: {a.shape} and {b.shape}")
    if a.ndim not in (2, 3) or a.size == 0:
        raise ValueError(f"an image has the shape (H, W) or (H, W, C), not {a.shape}")
    return a, b


def _ssim_maps(a: np.ndarray, b: np.ndarray, window: SsimWindow, peak: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the luminance map and the contrast-structure map; their product is SSIM."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = _smooth(a, window), _smooth(b, window)
    count = len(window.rows) * len(window.columns)
    unbias = count / (count - 1) if window.sample else 1.0
    power = unbias * (_smooth(a * a + b * b, window) - mean_a**2 - mean_b**2)  # sum of both variances
    covariance = unbias * (_smooth(a * b, window) - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (power + c2)


def _smooth(image: np.ndarray, window: SsimWindow) -> np.ndarray:
    border = cv2.BORDER_CONSTANT if window.border == "zero" else cv2.BORDER_REPLICATE
    rows, columns = np.array(window.rows), np.array(window.columns)
    smoothed = cv2.sepFilter2D(image, -1, columns, rows, borderType=border).reshape(image.shape)
    if window.volume and image.ndim == 3:
        smoothed = smoothed @ _channel_mixing(image.shape[2], rows)
    return _inside(smoothed, window) if window.border == "valid" else smoothed


def _inside(image: np.ndarray, window: SsimWindow) -> np.ndarray:
    """Keep the positions whose window lies inside the image."""
    down, across = len(window.rows) // 2, len(window.columns) // 2
    return image[down : image.shape[0] - down, across : image.shape[1] - across]


def _mean(values: np.ndarray, mask: np.ndarray | None) -> float:
    if mask is None:
        return float(np.mean(values))
    return float(np.mean(values[mask])) if mask.any() else math.nan


def _channel_mixing(channels: int, taps: np.ndarray) -> np.ndarray:
    """Write the smoothing along the channel axis, ends replicated, as a matrix (C in, C out)."""
    half = len(taps) // 2
    mixing = np.zeros((channels, channels))
    for output in range(channels):
        for offset, tap in enumerate(taps):
            mixing[min(max(output + offset - half, 0), channels - 1), output] += tap
    return mixing


def _halve(image: np.ndarray) -> np.ndarray:
    lead = [(side % 2, 0) for side in image.shape[:2]] + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, lead)
    height, width = padded.shape[0] // 2, padded.shape[1] // 2
    return padded.reshape(height, 2, width, 2, *image.shape[2:]).mean(axis=(1, 3))


def _lightness_chroma_hue(lab: np.ndarray, stretch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    red = lab[..., 1] * stretch
    return lab[..., 0], np.hypot(red, lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], red)) % 360


def _ciede_weights(light: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return S_L, S_C, S_H and the rotation term R_T at the mean lightness, chroma and hue (degrees)."""

    def cosine(factor: int, shift: float) -> np.ndarray:
        return np.cos(np.radians(factor * hue + shift))

    t = 1 - 0.17 * cosine(1, -30) + 0.24 * cosine(2, 0) + 0.32 * cosine(3, 6) - 0.20 * cosine(4, -63)
    squared = (light - 50) ** 2
    chroma7 = chroma**7
    turn = np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2)))  # twice 30 degrees: the blue region
    rotation = -2 * np.sqrt(chroma7 / (chroma7 + 25.0**7)) * np.sin(turn)
    return 1 + 0.015 * squared / np.sqrt(20 + squared), 1 + 0.045 * chroma, 1 + 0.015 * chroma * t, rotation
