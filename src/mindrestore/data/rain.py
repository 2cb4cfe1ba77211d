"""Put rain over clear images: streaks of drops at several distances, and the veil of those too far to be seen singly.

While the shutter is open a drop sweeps a thin line and lets part of the background through. A streak is that line: its
profile across is Gaussian, it fades in and out along its course, and it is computed from distances to the line, not
drawn with pixels, so it has no jagged edges. Near drops give few long, thick, bright streaks, far ones many short, thin
and faint ones.

Painters of rain have another way, which heavy rain and most published sets resemble: grains of all sizes, smeared along
the direction, which run together to sheets.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.data.degrade import Range, scatter, smooth_noise

BLENDS = ("screen", "add")
# Distances from far to near: what length, thickness and strength of a streak are multiplied by.
_DISTANCES = (0.45, 0.6, 0.8, 1.0, 1.25, 1.5)
_SIGMA_PER_WIDTH = 1 / 2.355  # of a Gaussian whose width is measured at half its height
_FADE = 0.35  # share of a streak's half length over which it fades out


class RainRanges(NamedTuple):
    """From which ranges the rain of an image is drawn.

    Attributes:
        angle: Direction in degrees from the vertical, positive when drops fall towards the left.
        spread: Standard deviation in degrees by which the direction differs between distances; gusts cross streaks.
        length: Length of a streak at middle distance, as a share of the image's shorter side.
        width: Its thickness at half height, likewise; streaks are never thinner than a pixel.
        density: Share of the image that streaks cover, 0 to below 1.
        brightness: Opacity of the strongest streaks, 0 to 1.
        veil: Share of the light that far rain adds, 0 to 1, for the images that have a veil.
        veiled: Share of images with a veil, 0 to 1.
        added: Share of images in which light is added to the background and clipped, as in several published sets; in
            the others the streak also covers the background.
        smeared: Share of images whose rain is smeared grains in place of single streaks, 0 to 1.
        defocus: Softness of the drops, a standard deviation as a share of the image's shorter side.
        contrast: Of smeared grains, standard deviations of their field between no rain and its full brightness: with
            little all streaks are equally bright, with much most are faint and few are bright.
    """

    angle: Range = (-40.0, 40.0)
    spread: Range = (0.5, 5.0)
    length: Range = (0.06, 0.2)
    width: Range = (0.003, 0.007)
    density: Range = (0.03, 0.45)
    brightness: Range = (0.3, 0.85)
    veil: Range = (0.05, 0.3)
    veiled: float = 0.3
    added: float = 0.5
    smeared: float = 0.0
    defocus: Range = (0.0, 0.0)
    contrast: Range = (0.7, 0.7)


class Rain(NamedTuple):
    """The rain of one image; units as in `RainRanges`.

    Attributes:
        angle: Degrees from the vertical.
        spread: Standard deviation of the direction in degrees.
        length: Share of the shorter side.
        width: Share of the shorter side.
        density: Share of the image that streaks cover.
        brightness: Opacity of the strongest streaks.
        veil: Share of light added by far rain, 0 without a veil.
        light: Brightness of drops and veil, 0 to 1.
        blend: A name of `BLENDS`.
        smeared: Whether grains are smeared; else streaks are placed singly.
        defocus: Share of the shorter side.
        contrast: Standard deviations between no rain and its full brightness, above 0; of smeared grains.
    """

    angle: float = 10.0
    spread: float = 2.0
    length: float = 0.12
    width: float = 0.005
    density: float = 0.15
    brightness: float = 0.6
    veil: float = 0.0
    light: float = 0.95
    blend: str = "screen"
    smeared: bool = False
    defocus: float = 0.0
    contrast: float = 0.7


def draw_rain(ranges: RainRanges, rng: np.random.Generator) -> Rain:
    """Draw the parameters of one rainy image.

    Args:
        ranges: What to draw from.
        rng: Source of every draw.

    Returns:
        The parameters.
    """
    names = ("angle", "spread", "length", "width", "density", "brightness")
    drawn = {name: float(rng.uniform(*getattr(ranges, name))) for name in names}
    veil, light = float(rng.uniform(*ranges.veil)), float(rng.uniform(0.85, 1.0))
    veiled, added = rng.random() < ranges.veiled, rng.random() < ranges.added
    rain = Rain(**drawn, veil=veil if veiled else 0.0, light=light, blend="add" if added else "screen")
    # Drawn last, and only where asked for, so that other ranges go on to draw the places of their drops as before.
    smeared = ranges.smeared > 0 and bool(rng.random() < ranges.smeared)
    defocus = float(rng.uniform(*ranges.defocus)) if ranges.defocus[1] > 0 else 0.0
    low, high = ranges.contrast
    contrast = float(rng.uniform(low, high)) if low < high else low
    return rain._replace(smeared=smeared, defocus=defocus, contrast=contrast)


def add_rain(clear: np.ndarray, rain: Rain, rng: np.random.Generator) -> np.ndarray:
    """Put rain over a clear image.

    With s the opacity of the streaks, v the density of the veil and L the brightness of the drops, the veiled image is
    V = J (1 - v) + L v and the result V (1 - s) + L s ("screen") or min(V + L s, 1) ("add").

    Args:
        clear: Image (H, W, 3), floating point in [0, 1].
        rain: Parameters.
        rng: Source of the drops' places.

    Returns:
        Rainy image (H, W, 3) float32 in [0, 1].

    Raises:
        ValueError: If the blend is unknown.
    """
    if rain.blend not in BLENDS:
        raise ValueError(f"blend {rain.blend!r} is unknown; use one of {', '.join(BLENDS)}")
    shape, light = clear.shape[:2], (rain.light,) * 3
    streaks = streak_field(shape, rain, rng)
    veiled = clear.astype(np.float32)
    if rain.veil > 0:
        veil = rain.veil * np.clip(1 + 0.3 * smooth_noise(shape, rng, octaves=2), 0, 1 / rain.veil)
        veiled = scatter(veiled, 1 - veil, light)
    if rain.blend == "add":
        return np.minimum(veiled + np.float32(rain.light) * streaks[..., None], 1)
    return scatter(veiled, 1 - streaks, light)


def streak_field(shape: tuple[int, int], rain: Rain, rng: np.random.Generator) -> np.ndarray:
    """Draw the opacity of rain streaks.

    Args:
        shape: Height and width.
        rain: Uses direction, size, density and brightness.
        rng: Source of the drops' places and strengths.

    Returns:
        Array (H, W) float32 in [0, brightness].
    """
    covered = _smeared_grains(shape, rain, rng) if rain.smeared else _single_streaks(shape, rain, rng)
    if rain.defocus > 0:
        covered = cv2.GaussianBlur(covered, (0, 0), max(rain.defocus * min(shape), 0.1))
    gusts = np.clip(1 + 0.25 * smooth_noise(shape, rng, octaves=2), 0.3, 1.0)  # denser here, thinner there
    return (rain.brightness * covered * gusts).astype(np.float32)


def _single_streaks(shape: tuple[int, int], rain: Rain, rng: np.random.Generator) -> np.ndarray:
    """Return what streaks at all distances cover together, in [0, 1]."""
    clear = np.ones(shape, np.float32)
    for distance in _DISTANCES:
        angle = np.deg2rad(rain.angle + rng.normal(0, rain.spread))
        length = max(rain.length * min(shape) * distance, 2.0)
        width = max(rain.width * min(shape) * distance, 1.0)
        streak = _one_streak(length, width, angle)
        # As many drops as leave the share 1 - density uncovered when all distances are taken together.
        drops = -np.log1p(-min(rain.density, 0.99)) / len(_DISTANCES) / (length * width)
        layer = _place(shape, streak, drops, rng)
        clear *= 1 - np.minimum(layer, 1) * min(0.4 + 0.6 * distance, 1.0)
    return 1 - clear


def _smeared_grains(shape: tuple[int, int], rain: Rain, rng: np.random.Generator) -> np.ndarray:
    """Return two layers of smeared grains, in [0, 1]: noise above a threshold, drawn out along the direction.

    The threshold is where the smeared grains cover the share `density`; contrast is stretched, so that streaks saturate
    in the middle and end bluntly, and where grains lie close they run together.
    """
    clear = np.ones(shape, np.float32)
    for size, share in ((1.0, 0.5), (1.7, 0.5)):
        angle = np.deg2rad(rain.angle + rng.normal(0, rain.spread))
        length, width = max(rain.length * min(shape) * size, 2.0), max(rain.width * min(shape) * size, 1.0)
        margin = int(np.ceil(length / 2 + 2 * width))
        height, breadth = shape[0] + 2 * margin, shape[1] + 2 * margin
        grains = rng.standard_normal((height, breadth)).astype(np.float32)
        grains = cv2.GaussianBlur(grains, (0, 0), width * _SIGMA_PER_WIDTH)
        line = _one_streak(length, 1.0, angle)
        smeared = cv2.filter2D(grains, cv2.CV_32F, line)[margin : margin + shape[0], margin : margin + shape[1]]
        border = np.quantile(smeared, 1 - min(max(rain.density * share, 1e-4), 0.9))
        clear *= 1 - np.clip((smeared - border) / (rain.contrast * float(smeared.std())), 0, 1)
    return 1 - clear


def _one_streak(length: float, width: float, angle: float) -> np.ndarray:
    """Return the opacity of one streak of strength 1 in the middle of a square."""
    reach = int(np.ceil(length / 2 + 2 * width))
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along = down * np.cos(angle) - right * np.sin(angle)
    across = down * np.sin(angle) + right * np.cos(angle)
    profile = np.exp(-0.5 * (across / (width * _SIGMA_PER_WIDTH)) ** 2)
    fade = np.clip((length / 2 - np.abs(along)) / (_FADE * length / 2), 0, 1)
    return (profile * fade * fade * (3 - 2 * fade)).astype(np.float32)


def _place(shape: tuple[int, int], streak: np.ndarray, drops: float, rng: np.random.Generator) -> np.ndarray:
    """Put streaks at random places, `drops` to a pixel on average; some begin outside the image."""
    margin = streak.shape[0] // 2
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    count = rng.poisson(drops * height * width)
    places = np.zeros((height, width), np.float32)
    places[rng.integers(height, size=count), rng.integers(width, size=count)] = rng.uniform(0.3, 1.0, count)
    # A streak is symmetric about its centre, so correlation is convolution.
    layer = cv2.filter2D(places, cv2.CV_32F, streak, borderType=cv2.BORDER_CONSTANT)
    # Through the frequency domain, which OpenCV takes for large kernels, zeros come out as about 1e-7.
    return np.maximum(layer[margin : margin + shape[0], margin : margin + shape[1]], 0)
