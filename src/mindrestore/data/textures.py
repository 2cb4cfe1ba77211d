"""Procedural surface colours for rendered scenes, evaluated at surface coordinates in metres."""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, NamedTuple

import cv2
import numpy as np

_TILE = 256


class Texture(NamedTuple):
    """Describe how a surface looks.

    Attributes:
        kind: A name of `PATTERNS`.
        colours: Colours that the pattern mixes, (K, 3) linear RGB in [0, 1].
        scale: Length of one period in metres.
        shift: Where the pattern starts, so that two surfaces of one kind differ.
    """

    kind: str
    colours: np.ndarray
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def paint(texture: Texture, u: np.ndarray, v: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Return the colour of a surface at given places.

    Args:
        texture: What the surface looks like.
        u: Horizontal surface coordinates (N,) in metres.
        v: Vertical surface coordinates (N,) in metres.
        footprint: Size of a pixel on the surface (N,) in metres; finer detail fades into its mean, against moire.

    Returns:
        Linear RGB (N, 3) in [0, 1].
    """
    u, v = u / texture.scale + texture.shift[0], v / texture.scale + texture.shift[1]
    mix = PATTERNS[texture.kind](u, v, texture.colours)
    mean = texture.colours.mean(axis=0)
    sharpness = np.clip(1.5 - 2.0 * footprint / texture.scale, 0.0, 1.0)[:, None]
    return np.clip(mean + (mix - mean) * sharpness, 0.0, 1.0)


def noise(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return smooth multi-octave noise with features of about one unit.

    Args:
        u: Coordinates of any shape.
        v: Coordinates of the same shape.

    Returns:
        Values in [0, 1], mean about 0.5.
    """
    return _sample(_fractal_tile(), u * 16.0, v * 16.0)


def _sample(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    left, top = np.floor(x), np.floor(y)
    fx, fy = (x - left).astype(np.float32), (y - top).astype(np.float32)
    wrap = _TILE - 1  # the tile's side is a power of two
    x0, y0 = left.astype(np.int32) & wrap, (top.astype(np.int32) & wrap) * _TILE
    x1, y1 = (x0 + 1) & wrap, (y0 + _TILE) & (_TILE * _TILE - 1)
    flat = tile.reshape(-1)
    upper = flat[y0 + x0] * (1 - fx) + flat[y0 + x1] * fx
    lower = flat[y1 + x0] * (1 - fx) + flat[y1 + x1] * fx
    return upper * (1 - fy) + lower * fy


@lru_cache(maxsize=1)
def _white_tile() -> np.ndarray:
    return np.random.default_rng(20240229).random((_TILE, _TILE), dtype=np.float32)


@lru_cache(maxsize=1)
def _fractal_tile() -> np.ndarray:
    """Sum octaves of blurred noise that wrap around at the tile's edges."""
    rng = np.random.default_rng(7)
    total = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(5):
        sigma = 8.0 / 2**octave
        wide = np.tile(rng.random((_TILE, _TILE), dtype=np.float32), (3, 3))
        smooth = cv2.GaussianBlur(wide, (0, 0), sigma)[_TILE : 2 * _TILE, _TILE : 2 * _TILE]
        total += (smooth - smooth.mean()) / smooth.std() * 0.6**octave
    return np.clip(0.5 + 0.17 * total / 1.2, 0.0, 1.0)


def _random(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Assign each cell of a grid its own fixed number in [0, 1]."""
    return _white_tile()[j.astype(np.int64) % _TILE, i.astype(np.int64) % _TILE]


def _blend(colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Run through the colours as the weight goes from 0 to 1."""
    place = np.clip(weight, 0.0, 1.0) * (len(colours) - 1)
    low = np.minimum(place.astype(np.int64), max(len(colours) - 2, 0))
    high = np.minimum(low + 1, len(colours) - 1)
    part = (place - low)[:, None]
    return colours[low] * (1 - part) + colours[high] * part


def _grain(u: np.ndarray, v: np.ndarray, strength: float) -> np.ndarray:
    return (1.0 + strength * (noise(3.1 * u, 3.1 * v) - 0.5))[:, None]


def _plain(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return colours[0] * _grain(u, v, 0.25)


def _mottled(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    weight = 0.5 * noise(u, v) + 0.3 * noise(4.3 * u + 11.0, 4.3 * v) + 0.2 * noise(19.0 * u, 19.0 * v + 5.0)
    return _blend(colours, 2.8 * (weight - 0.5) + 0.5)


def _checker(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    odd = (np.floor(2 * u) + np.floor(2 * v)) % 2
    return _blend(colours[:2], odd) * _grain(u, v, 0.3)


def _stripes(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return colours[np.floor(2 * u).astype(np.int64) % len(colours)] * _grain(u, v, 0.25)


def _bricks(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    row = np.floor(4 * v)
    along = 2 * u + 0.5 * (row % 2)
    column = np.floor(along)
    mortar = (along - column < 0.06) | (4 * v - row < 0.12)
    stone = _blend(colours[:2], _random(column, row)) * _grain(2 * u, 2 * v, 0.5)
    return np.where(mortar[:, None], colours[-1], stone)


def _planks(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    row = np.floor(4 * v)
    column = np.floor(0.6 * u + _random(row, 0 * row))
    rings = noise(0.25 * u + 5 * row, 2.5 * v + 3 * column)
    shade = 0.5 * _random(column, row) + 1.6 * (rings - 0.5) + 0.25
    seam = np.where(4 * v - row < 0.05, 0.45, 1.0)
    return _blend(colours, shade) * seam[:, None]


def _windows(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    column, row = np.floor(u), np.floor(v)
    x, y = u - column, v - row
    glass = (x > 0.25) & (x < 0.75) & (y > 0.3) & (y < 0.82)
    frame = (x > 0.2) & (x < 0.8) & (y > 0.25) & (y < 0.87)
    pane = _blend(colours[1:3], _random(column, row)) * (0.7 + 0.6 * (y - 0.3))[:, None]
    wall = colours[0] * _grain(2 * u, 2 * v, 0.35)
    return np.where(glass[:, None], pane, np.where(frame[:, None], wall * 1.35, wall))


def _books(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    shelf = np.floor(1.5 * v)
    book = np.floor(12 * u + 3 * _random(shelf, shelf))
    height = 0.6 + 0.3 * _random(book, shelf)
    inside = 1.5 * v - shelf < height
    colour = colours[(_random(book, shelf + 40) * len(colours)).astype(np.int64)]
    return np.where(inside[:, None], colour, 0.04)


def _road(u: np.ndarray, v: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Draw a road along v: asphalt |u| < 3, a dashed line in the middle, pavement and verge beside it."""
    side = np.abs(u)
    asphalt = colours[0] * _grain(u, v, 0.7)
    verge = _mottled(0.7 * u, 0.7 * v, colours[2:])
    pavement = colours[1] * _grain(u, v, 0.4) * np.where((v * 0.8) % 1 < 0.04, 0.7, 1.0)[:, None]
    line = ((side < 0.07) & (v % 4 < 2)) | ((side > 2.75) & (side < 2.87))
    ground = np.where((side < 3)[:, None], asphalt, np.where((side < 4.6)[:, None], pavement, verge))
    return np.where(line[:, None], 0.75, ground)


PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "plain": _plain,
    "mottled": _mottled,
    "checker": _checker,
    "stripes": _stripes,
    "bricks": _bricks,
    "planks": _planks,
    "windows": _windows,
    "books": _books,
    "road": _road,
}
