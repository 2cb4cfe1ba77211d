"""Cast rays at boxes, ellipsoids and cylinders: colour by texture, sun and shadow, and the exact distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.data.textures import Texture, noise, paint

_EPSILON = 1e-3
_SUPERSAMPLING = 1.5  # rays per pixel side: fewer leave jagged edges, more take time


class Shape(NamedTuple):
    """Describe a solid: a unit box, ball or upright cylinder, stretched, turned about the vertical and moved.

    Attributes:
        kind: "box", "ball" or "cylinder".
        centre: Position (x right, y up, z forward) in metres.
        half: Half extents along the solid's own axes, in metres.
        yaw: Turn about the vertical in radians.
        texture: Its surface.
    """

    kind: str
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float
    texture: Texture


class Light(NamedTuple):
    """Describe the illumination.

    Attributes:
        position: Of a lamp in metres, or the direction towards the sun.
        is_sun: Whether the light comes from infinitely far.
        colour: Linear RGB of direct light.
        ambient: Linear RGB of light from all sides.
        sky: Colours at the horizon and the zenith, (2, 3); seen where a ray hits nothing.
    """

    position: tuple[float, float, float]
    is_sun: bool
    colour: tuple[float, float, float]
    ambient: tuple[float, float, float]
    sky: np.ndarray


class Camera(NamedTuple):
    """Describe the camera, which looks along z.

    Attributes:
        height: Above the ground in metres.
        pitch: Upward tilt in radians.
        roll: Turn of the picture in radians.
        field: Horizontal field of view in radians.
    """

    height: float
    pitch: float
    roll: float
    field: float


def render(
    shapes: Sequence[Shape], light: Light, camera: Camera, size: tuple[int, int], far: float
) -> tuple[np.ndarray, np.ndarray]:
    """Render a scene.

    Args:
        shapes: The solids.
        light: Sun or lamp, ambient light and sky.
        camera: View point.
        size: Width and height in pixels.
        far: Distance given to rays that hit nothing nearer, in metres.

    Returns:
        Image (H, W, 3) float32 sRGB in [0, 1], averaged over several rays a pixel, and the distance along the ray
        through each pixel's centre, (H, W) float32 in metres.
    """
    width, height = size
    origin = np.array([0.0, camera.height, 0.0], np.float32)
    depth, _ = _trace(shapes, origin, _rays(camera, width, height), far)

    across, down = round(width * _SUPERSAMPLING), round(height * _SUPERSAMPLING)
    fine = _rays(camera, across, down)
    distance, hit = _trace(shapes, origin, fine, far)
    colour = np.empty_like(fine)
    colour[hit < 0] = _sky(light, fine[hit < 0])
    pixel = camera.field / across
    for number in range(len(shapes)):
        rays = np.flatnonzero(hit == number)
        if rays.size:
            points = origin + distance[rays, None] * fine[rays]
            colour[rays] = _shade(shapes, number, light, points, fine[rays], distance[rays] * pixel)
    image = cv2.resize(colour.reshape(down, across, 3), (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(image, 0.0, 1.0) ** np.float32(1 / 2.2), depth.reshape(height, width)


def _rays(camera: Camera, width: int, height: int) -> np.ndarray:
    """Return unit directions through all pixel centres, (H*W, 3)."""
    reach = np.tan(camera.field / 2)
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * reach
    y = (1 - (np.arange(height) + 0.5) / height * 2) * reach * height / width
    across, up = np.meshgrid(x, y)
    across, up = (
        across * np.cos(camera.roll) - up * np.sin(camera.roll),
        across * np.sin(camera.roll) + up * np.cos(camera.roll),
    )
    rise, forward = (
        up * np.cos(camera.pitch) + np.sin(camera.pitch),
        np.cos(camera.pitch) - up * np.sin(camera.pitch),
    )
    rays = np.stack([across, rise, forward], -1).reshape(-1, 3)
    return (rays / np.sqrt(_dot(rays, rays))[:, None]).astype(np.float32)


def _trace(shapes: Sequence[Shape], origin: np.ndarray, rays: np.ndarray, far: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest hit of each ray: its distance, and the number of the shape or -1."""
    distance = np.full(len(rays), far, np.float32)
    hit = np.full(len(rays), -1, np.int32)
    for number, shape in enumerate(shapes):
        towards = np.float32(shape.centre) - origin
        range_, radius = float(np.linalg.norm(towards)), float(np.linalg.norm(shape.half))
        chosen = slice(None)
        if range_ > radius:  # only rays inside the cone around the bounding sphere can meet the shape
            chosen = np.flatnonzero(rays @ (towards / range_) > np.sqrt(1 - (radius / range_) ** 2))
        reached = _meet(shape, origin, rays[chosen])
        nearer = reached < distance[chosen]
        distance[chosen] = np.where(nearer, reached, distance[chosen])
        hit[chosen] = np.where(nearer, number, hit[chosen])
    return distance, hit


def _to_local(shape: Shape, vectors: np.ndarray) -> np.ndarray:
    """Turn vectors into the frame in which the shape has unit size."""
    cos, sin = np.float32(np.cos(shape.yaw)), np.float32(np.sin(shape.yaw))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], -1) / np.float32(shape.half)


def _meet(shape: Shape, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Return the distance to the shape along each ray, infinite where it is missed."""
    start = _to_local(shape, origin - np.float32(shape.centre))
    step = _to_local(shape, rays)
    with np.errstate(divide="ignore", invalid="ignore"):
        if shape.kind == "box":
            enter, leave = _between_planes(start, step, (0, 1, 2))
        elif shape.kind == "ball":
            enter, leave = _inside_round(start, step, (0, 1, 2))
        else:
            enter, leave = _inside_round(start, step, (0, 2))
            top, bottom = _between_planes(start, step, (1,))
            enter, leave = np.maximum(enter, top), np.minimum(leave, bottom)
    first = np.where(enter > _EPSILON, enter, leave)  # from inside, the far wall is what one sees
    return np.where((enter <= leave) & (first > _EPSILON), first, np.inf).astype(np.float32)


def _between_planes(start: np.ndarray, step: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    enter, leave = np.float32(-np.inf), np.float32(np.inf)
    for axis in axes:
        one, two = (-1 - start[..., axis]) / step[..., axis], (1 - start[..., axis]) / step[..., axis]
        enter, leave = np.maximum(enter, np.minimum(one, two)), np.minimum(leave, np.maximum(one, two))
    return enter, leave


def _inside_round(start: np.ndarray, step: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    a = sum(step[..., axis] ** 2 for axis in axes)
    b = sum(start[..., axis] * step[..., axis] for axis in axes)
    c = sum(start[..., axis] ** 2 for axis in axes) - 1
    root = np.sqrt(b * b - a * c)  # not a number where the ray passes by, and then no comparison holds
    return (-b - root) / a, (-b + root) / a


def _shade(
    shapes: Sequence[Shape], number: int, light: Light, points: np.ndarray, rays: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    shape = shapes[number]
    normal, u, v = _surface(shape, points)
    facing = _dot(normal, rays)
    normal = np.where(facing[:, None] > 0, -normal, normal)
    albedo = paint(shape.texture, u, v, spread / np.maximum(np.abs(facing), 0.1))

    towards = np.broadcast_to(np.float32(light.position), points.shape)
    towards = towards if light.is_sun else towards - points
    reach = np.sqrt(_dot(towards, towards))[:, None]
    towards = towards / reach
    direct = np.maximum(_dot(normal, towards), 0.0)
    lit = np.flatnonzero(direct > 0)
    limit = np.full(lit.size, np.inf) if light.is_sun else reach[lit, 0]
    if lit.size:
        direct[lit] *= _unshadowed(shapes, points[lit] + 2 * _EPSILON * normal[lit], towards[lit], limit)
    if not light.is_sun:
        direct = direct * np.clip(9.0 / (3.0 + reach[:, 0] ** 2), 0.0, 1.5)
    upward = 0.45 if light.is_sun else 0.15  # walls and floor light a ceiling from below
    openness = (1 - upward + upward * normal[:, 1]) * np.clip(0.7 + 0.5 * points[:, 1], 0.0, 1.0)
    return albedo * (openness[:, None] * np.float32(light.ambient) + direct[:, None] * np.float32(light.colour))


def _unshadowed(shapes: Sequence[Shape], points: np.ndarray, towards: np.ndarray, limit: np.ndarray) -> np.ndarray:
    free = np.ones(len(points), bool)
    height, norm = _dot(points, towards), _dot(points, points)
    middle, course = points.mean(axis=0), towards[0]
    # Sunbeams are parallel: a shape beside the beam that holds all points shades none of them.
    spread = np.sqrt(_dot(points - middle, points - middle).max()) if np.isinf(limit[0]) else np.inf
    for shape in shapes:
        centre, radius = np.float32(shape.centre), float(np.linalg.norm(shape.half))
        gap = centre - middle
        if gap @ gap - (gap @ course) ** 2 > (radius + spread) ** 2:
            continue
        along = towards @ centre - height
        aside = centre @ centre - 2 * (points @ centre) + norm - along**2
        near = np.flatnonzero(free & (aside < radius**2) & (along > -radius))
        if near.size:
            free[near] = ~(_meet(shape, points[near], towards[near]) < limit[near] - _EPSILON)
    return free


def _dot(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", one, two)


def _surface(shape: Shape, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return unit normals and surface coordinates in metres."""
    local = _to_local(shape, points - np.float32(shape.centre))
    half = np.float32(shape.half)
    if shape.kind == "ball":
        normal = local.copy()
        u, v = np.arctan2(local[:, 0], -local[:, 2]) * half[0], np.arcsin(np.clip(local[:, 1], -1, 1)) * half[1]
    elif shape.kind == "cylinder":
        cap = np.abs(local[:, 1]) > 1 - 1e-3
        normal = np.where(cap[:, None], local * np.float32([0, 1, 0]), local * np.float32([1, 0, 1]))
        u = np.where(cap, local[:, 0] * half[0], np.arctan2(local[:, 0], -local[:, 2]) * half[0])
        v = np.where(cap, local[:, 2] * half[2], local[:, 1] * half[1])
    else:
        axis = np.argmax(np.abs(local), axis=1)
        normal = np.zeros_like(local)
        rows = np.arange(len(local))
        normal[rows, axis] = np.sign(local[rows, axis])
        metres = local * half
        u = np.where(axis == 0, metres[:, 2], metres[:, 0])
        v = np.where(axis == 1, metres[:, 2], metres[:, 1])
    normal = normal / half
    cos, sin = np.float32(np.cos(shape.yaw)), np.float32(np.sin(shape.yaw))
    normal = np.stack(
        [cos * normal[:, 0] + sin * normal[:, 2], normal[:, 1], cos * normal[:, 2] - sin * normal[:, 0]], 1
    )
    return normal / np.sqrt(np.maximum(_dot(normal, normal), 1e-12))[:, None], u, v


def _sky(light: Light, rays: np.ndarray) -> np.ndarray:
    up = np.clip(rays[:, 1], 0.0, 1.0)
    colour = light.sky[0] + (light.sky[1] - light.sky[0]) * (up**0.6)[:, None]
    flat = 1.0 / (up + 0.15)  # a cloud layer seen in perspective
    cloud = np.clip(3.0 * (noise(rays[:, 0] * flat * 0.8 + light.sky[0, 0], rays[:, 2] * flat * 0.8) - 0.52), 0.0, 1.0)
    return (colour + (0.95 - colour) * (cloud * np.clip(up * 5, 0, 1))[:, None]).astype(np.float32)
