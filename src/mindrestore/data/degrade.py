"""Put haze over clear images with the atmospheric scattering model, even or in drifting patches.

I = J t + A (1 - t) with transmission t = exp(-beta d rho): J is the clear image, d the distance of each pixel, beta the
scattering coefficient, A the airlight per channel and rho the relative density of the haze, 1 where it is even.
As in RESIDE, the model is applied to pixel values as they are stored.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import cv2
import numpy as np

Range = tuple[float, float]


class HazeRanges(NamedTuple):
    """From which ranges the haze of an image is drawn.

    Attributes:
        beta: Scattering coefficient per unit of depth, or None to draw it such that the transmission at the scene's
            median distance (sky left out) lies in `median_transmission`: equally thick haze in a room and a street.
        airlight: Mean airlight, 0 to 1.
        tint: Largest deviation of a channel's airlight from the mean.
        nonhomogeneous: Share of images whose haze is patchy, 0 to 1.
        median_transmission: See `beta`.
    """

    beta: Optional[Range] = None  # noqa: UP045 - NamedTuple fields are evaluated by some readers on Python 3.9
    airlight: Range = (0.7, 1.0)
    tint: float = 0.03
    nonhomogeneous: float = 0.2
    median_transmission: Range = (0.25, 0.75)


class Haze(NamedTuple):
    """The haze of one image.

    Attributes:
        beta: Scattering coefficient per unit of depth.
        airlight: Airlight of red, green and blue, 0 to 1.
        patchiness: 0 for even haze, up to 1 for patches with clear air between them.
    """

    beta: float
    airlight: tuple[float, float, float]
    patchiness: float


def draw_haze(ranges: HazeRanges, depth: np.ndarray, rng: np.random.Generator) -> Haze:
    """Draw the parameters of one hazy image.

    Args:
        ranges: What to draw from.
        depth: Distances (H, W) in the unit in which beta is wanted.
        rng: Source of every draw.

    Returns:
        The parameters.
    """
    if ranges.beta is not None:
        beta = rng.uniform(*ranges.beta)
    else:
        beta = -np.log(rng.uniform(*ranges.median_transmission)) / _typical_distance(depth)
    airlight = rng.uniform(*ranges.airlight) + rng.uniform(-ranges.tint, ranges.tint, 3)
    patchy = rng.random() < ranges.nonhomogeneous
    patchiness = rng.uniform(0.5, 1.0)
    return Haze(float(beta), tuple(np.clip(airlight, 0, 1).tolist()), float(patchiness) if patchy else 0.0)


def _typical_distance(depth: np.ndarray) -> float:
    objects = depth[depth < depth.max()]  # the largest value stands for the sky
    return max(float(np.median(objects if objects.size else depth)), 1e-6)


def add_haze(clear: np.ndarray, depth: np.ndarray, haze: Haze, rng: np.random.Generator) -> np.ndarray:
    """Put haze over a clear image.

    Args:
        clear: Image (H, W, 3), floating point in [0, 1].
        depth: Distances (H, W).
        haze: Parameters; with patchiness the generator draws the patches.
        rng: Source of the patches.

    Returns:
        Hazy image (H, W, 3) float32 in [0, 1].
    """
    density = density_field(depth.shape, haze.patchiness, rng) if haze.patchiness > 0 else np.float32(1)
    return scatter(clear, transmission(depth * density, haze.beta), haze.airlight)


def transmission(depth: np.ndarray, beta: float) -> np.ndarray:
    """Return the share of light that passes the haze, t = exp(-beta d).

    Args:
        depth: Distances, at least 0.
        beta: Scattering coefficient per unit of distance.

    Returns:
        float32 array of the same shape in [0, 1].
    """
    return np.exp(-np.float32(beta) * depth.astype(np.float32))


def scatter(clear: np.ndarray, passing: np.ndarray, airlight: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """Mix image and airlight, I = J t + A (1 - t).

    Args:
        clear: Image (H, W, 3) in [0, 1].
        passing: Transmission (H, W) in [0, 1].
        airlight: Airlight per channel, or an array (H, W, 3) where it differs from place to place.

    Returns:
        Hazy image (H, W, 3) float32.
    """
    passing = passing[..., None].astype(np.float32)
    return clear.astype(np.float32) * passing + np.float32(airlight) * (1 - passing)


def density_field(shape: tuple[int, int], patchiness: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the relative density of patchy haze: mean 1, down to 0 between the patches.

    Args:
        shape: Height and width.
        patchiness: 0 gives ones everywhere, 1 the strongest patches.
        rng: Source of the noise.

    Returns:
        Array (H, W) float32, at least 0.
    """
    field = np.maximum(1 + patchiness * 1.2 * smooth_noise(shape, rng), 0)
    return (field / field.mean()).astype(np.float32)


def smooth_noise(shape: tuple[int, int], rng: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Draw smooth noise of several octaves with mean 0 and standard deviation 1.

    Args:
        shape: Height and width.
        rng: Source of the values.
        octaves: Each halves the size of the features, from about half the image, and nearly halves their strength.

    Returns:
        Array (H, W) float32.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cells = 3 * 2**octave
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        total += 0.55**octave * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    total -= total.mean()
    return total / max(float(total.std()), 1e-6)


def plausible_depth(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Invent distances for an image that has no depth map: far at the top, near at the bottom, smooth bumps.

    This is a stand-in, not an estimate: haze made with it does not follow the objects of the image.

    Args:
        shape: Height and width.
        rng: Source of the bumps.

    Returns:
        Distances (H, W) float32, about 1 to 10.
    """
    height, width = shape
    rise = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None]
    place = np.clip(rng.uniform(0.6, 1.0) * rise + 0.12 * smooth_noise(shape, rng, octaves=3), 0.0, 1.0)
    return np.broadcast_to(10.0**place, (height, width)).astype(np.float32)


def fill_unknown(depth: np.ndarray) -> np.ndarray:
    """Replace unknown distances (0, negative, infinite or not a number) by the largest known one.

    Holes of measured maps are mostly background that one camera did not see.

    Args:
        depth: Distances (H, W).

    Returns:
        Array of the same shape without unknown values; the input itself when there are none.

    Raises:
        ValueError: If no distance is known.
    """
    known = np.isfinite(depth) & (depth > 0)
    if known.all():
        return depth
    if not known.any():
        raise ValueError("the depth map holds no positive distance")
    return np.where(known, depth, depth[known].max())
