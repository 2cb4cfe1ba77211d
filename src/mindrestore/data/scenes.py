"""Compose and write clear scenes with exact depth, so that training can start without a download."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mindrestore.data.destinations import refuse_existing
from mindrestore.data.raycast import Camera, Light, Shape, render
from mindrestore.data.textures import Texture
from mindrestore.errors import MindRestoreError
from mindrestore.files import PathLike
from mindrestore.images.write import write_image

# A 16-bit file in millimetres ends here; sky and everything farther get this distance.
FAR = 65.535

_NATURAL = {
    "grass": ("#3d5a23", "#5f7d33", "#86974f"),
    "leaves": ("#1f3d18", "#3c6a26", "#7d9a43"),
    "autumn": ("#6b3413", "#b0641d", "#d6a53a"),
    "sand": ("#a88f66", "#c7b186", "#ddccaa"),
    "gravel": ("#5b5750", "#8a857b", "#aca79c"),
    "concrete": ("#77756f", "#97948c", "#b3b0a8"),
    "bark": ("#33261b", "#54412e", "#6d573f"),
    "wood": ("#5a3820", "#8b5d36", "#b98a58"),
    "pale_wood": ("#a07c50", "#c8a878", "#e0caa0"),
    "brick": ("#7a3324", "#a24f38", "#c2beb4"),
    "sandstone": ("#a58c68", "#c9b48e", "#8c8272"),
    "slate": ("#4a5058", "#6a727c", "#3a3d42"),
}
_PATTERNS = ("plain", "mottled", "checker", "stripes", "bricks", "planks")


def render_scene(
    seed: int, index: int, size: tuple[int, int], *, outdoors: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Render one scene: a street, a park or a room, chosen and furnished at random.

    Args:
        seed: Seed of the collection.
        index: Number of the scene; the same two numbers give the same scene.
        size: Width and height in pixels, at least 16 each.
        outdoors: No rooms.

    Returns:
        Image (H, W, 3) float32 in [0, 1], and distance from the camera along each pixel's ray, (H, W) float32 in
        metres; `FAR` for the sky and beyond.

    Raises:
        MindRestoreError: If the size is too small.
    """
    if min(size) < 16:
        raise MindRestoreError(f"scene size {size[0]}x{size[1]} is too small; use at least 16x16")
    rng = np.random.default_rng((seed, index))
    shares = (0.55, 0.45, 0.0) if outdoors else (0.35, 0.3, 0.35)
    compose = (_street, _park, _room)[int(rng.choice(3, p=shares))]
    shapes, light, camera = compose(rng)
    return render(shapes, light, camera, size, FAR)


def write_scenes(
    out: PathLike, count: int, size: tuple[int, int], seed: int, *, overwrite: bool = False
) -> Iterator[Path]:
    """Render scenes into `out/clear/0001.png` and `out/depth/0001.png`.

    Args:
        out: Destination folder.
        count: Number of scenes.
        size: Width and height in pixels.
        seed: Seed of the collection; scene n is the same whatever the count.
        overwrite: Replace files that exist.

    Yields:
        The path of each clear image. Depth files hold millimetres in 16 bits; 65535 is the sky and beyond.

    Raises:
        DatasetError: If a file exists already.
        MindRestoreError: If the size is too small.
        ImageError: If a file cannot be written.
    """
    out = Path(out)
    places = [[out / kind / f"{index:04d}.png" for kind in ("clear", "depth")] for index in range(1, count + 1)]
    refuse_existing([path for pair in places for path in pair], overwrite)
    for index, (clear, depth) in enumerate(places, 1):
        image, metres = render_scene(seed, index, size)
        write_image(depth, np.round(metres * 1000).clip(1, 65535).astype(np.uint16))
        write_image(clear, image)
        yield clear


def _street(rng: np.random.Generator) -> tuple[list[Shape], Light, Camera]:
    ground = ("#4a4a4d", "#8f8b84", *_NATURAL[rng.choice(["grass", "gravel", "sand"])])
    shapes = [Shape("box", (0, -0.5, 100), (300, 0.5, 300), 0.0, Texture("road", _colours(*ground), 1.0))]
    for side in (-1, 1):
        z = rng.uniform(2, 10)
        while z < 62:
            width, deep, height = rng.uniform(3, 7), rng.uniform(4, 9), rng.uniform(2.5, 9)
            if rng.random() < 0.8:
                shapes.append(_building(rng, side * (rng.uniform(5.5, 8) + width), z + deep, (width, height, deep)))
            z += 2 * deep + rng.uniform(0.5, 6)
    for _ in range(int(rng.integers(3, 8))):
        shapes += _tree(rng, float(rng.choice([-1, 1]) * rng.uniform(3.8, 7)), rng.uniform(5, 45))
    for z in np.arange(rng.uniform(4, 9), 50, rng.uniform(9, 14)):
        shapes.append(_pole(rng, -4.2, z))
    for _ in range(int(rng.integers(2, 5))):
        lane = rng.choice([-1, 1])
        shapes += _car(rng, lane * rng.uniform(1.2, 1.9), rng.uniform(6, 38))
    shapes += _clutter(rng, int(rng.integers(2, 5)), (3.2, 5.0), (4, 16))
    return shapes, _daylight(rng), _outdoor_camera(rng)


def _park(rng: np.random.Generator) -> tuple[list[Shape], Light, Camera]:
    ground = Texture("mottled", _natural(rng, "grass", "sand", "gravel", "grass"), rng.uniform(1, 3), _shift(rng))
    shapes = [Shape("box", (0, -0.5, 100), (300, 0.5, 300), 0.0, ground)]
    for _ in range(int(rng.integers(2, 5))):  # hills
        texture = Texture(
            "mottled", _natural(rng, "leaves", "grass", "slate", "autumn"), rng.uniform(4, 9), _shift(rng)
        )
        half = (rng.uniform(15, 40), rng.uniform(4, 14), rng.uniform(8, 14))
        shapes.append(Shape("ball", (rng.uniform(-55, 55), 0, rng.uniform(50, 66)), half, 0.0, texture))
    for _ in range(int(rng.integers(6, 14))):
        shapes += _tree(rng, rng.uniform(-18, 18), rng.uniform(6, 48))
    for _ in range(int(rng.integers(0, 3))):
        half = (rng.uniform(2, 5), rng.uniform(1.5, 4), rng.uniform(2, 5))
        shapes.append(_building(rng, rng.uniform(-20, 20), rng.uniform(18, 45), half, rng.uniform(0, 3)))
    if rng.random() < 0.6:
        fence = Texture("stripes", _natural(rng, "wood", "bark", "pale_wood"), 0.4)
        shapes.append(
            Shape(
                "box",
                (rng.uniform(-4, 4), 0.5, rng.uniform(9, 25)),
                (rng.uniform(4, 12), 0.5, 0.05),
                rng.uniform(-0.5, 0.5),
                fence,
            )
        )
    shapes += _clutter(rng, int(rng.integers(3, 8)), (0.3, 5), (3, 14))
    return shapes, _daylight(rng), _outdoor_camera(rng)


def _room(rng: np.random.Generator) -> tuple[list[Shape], Light, Camera]:
    wide, high, deep = rng.uniform(1.9, 3.5), rng.uniform(2.3, 3.1), rng.uniform(4, 9)
    wall = Texture(
        str(rng.choice(["plain", "plain", "stripes", "bricks"])), _paints(rng, 3, 0.35, 0.85), rng.uniform(0.4, 1)
    )
    floor = Texture(
        str(rng.choice(["planks", "planks", "checker", "mottled"])),
        _natural(rng, "wood", "pale_wood", "concrete", "slate"),
        rng.uniform(0.6, 1.2),
    )
    ceiling = Texture("plain", _paints(rng, 1, 0.06, 0.92), 1.0)
    middle = deep / 2 - 0.6
    shapes = [
        Shape("box", (0, high / 2, middle), (wide, high / 2, deep / 2), 0.0, wall),
        Shape("box", (0, 0.005, middle), (wide, 0.005, deep / 2), 0.0, floor),
        Shape("box", (0, high - 0.01, middle), (wide, 0.01, deep / 2), 0.0, ceiling),
        Shape(
            "box",
            (rng.uniform(-0.6, 0.6), 0.015, deep * 0.45),
            (rng.uniform(0.7, 1.4), 0.01, rng.uniform(0.7, 1.5)),
            0.0,
            _fabric(rng),
        ),
    ]
    for _ in range(int(rng.integers(2, 5))):  # pictures and windows on the walls
        shapes.append(_wall_picture(rng, wide, high, deep - 0.6))
    for side in (-1, 1):
        if rng.random() < 0.8:
            shapes.append(_shelf(rng, side, wide, high, rng.uniform(1.5, deep - 1.8)))
    shapes += _table(rng, rng.uniform(-1, 1), rng.uniform(2, deep - 1.6))
    shapes += _sofa(rng, rng.uniform(-0.8, 0.8) * (wide - 1), deep - 1.4)
    shapes += _clutter(rng, int(rng.integers(3, 7)), (0.2, wide - 0.4), (1.6, deep - 1), 0.5)
    light = _lamp(rng, wide, high, deep)
    camera = Camera(
        rng.uniform(1.1, min(1.75, high - 0.5)), rng.uniform(-0.16, 0.03), rng.normal(0, 0.015), rng.uniform(1.05, 1.35)
    )
    return shapes, light, camera


def _lamp(rng: np.random.Generator, wide: float, high: float, deep: float) -> Light:
    warm = rng.uniform(0.75, 1.0)
    place = (rng.uniform(-0.7, 0.7) * wide, high - 0.35, rng.uniform(0.5, deep - 1.5))
    bright = rng.uniform(0.75, 1.2)
    colour = (bright, bright * (0.9 + 0.1 * warm), bright * warm)
    return Light(place, False, colour, (0.34, 0.34, 0.36), np.zeros((2, 3)))


def _daylight(rng: np.random.Generator) -> Light:
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.2)
    sun = (np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height))
    strength, warm = rng.uniform(0.5, 1.05), rng.uniform(0.75, 1.0)
    ambient = rng.uniform(0.3, 0.5)
    low = rng.uniform(0.45, 0.75)
    sky = np.array([[low, low * 1.05, low * 1.12], [0.12, 0.25, 0.55]]) * rng.uniform(0.8, 1.15)
    if rng.random() < 0.3:  # overcast
        strength, ambient, sky = 0.25, 0.6, np.array([[0.6, 0.62, 0.64], [0.42, 0.45, 0.5]])
    colour = (strength, strength * (0.5 + 0.5 * warm), strength * warm)
    return Light(sun, True, colour, (ambient * 0.92, ambient * 0.97, ambient * 1.08), sky)


def _outdoor_camera(rng: np.random.Generator) -> Camera:
    return Camera(rng.uniform(1.3, 3.2), rng.uniform(-0.14, 0.1), rng.normal(0, 0.02), rng.uniform(0.9, 1.3))


def _building(
    rng: np.random.Generator, x: float, z: float, half: tuple[float, float, float], yaw: float = 0.0
) -> Shape:
    if rng.random() < 0.7:
        colours = np.concatenate([_paints(rng, 1, 0.4, 0.75), _colours("#1d2a38", "#8fa6b8")])
        texture = Texture("windows", colours, rng.uniform(1.6, 3.2), _shift(rng))
    else:
        texture = Texture("bricks", _natural(rng, "brick", "sandstone", "concrete"), rng.uniform(0.6, 1.2))
    return Shape("box", (x, half[1], z), half, yaw, texture)


def _tree(rng: np.random.Generator, x: float, z: float) -> list[Shape]:
    height, thick = rng.uniform(1.2, 3.0), rng.uniform(0.12, 0.3)
    trunk = Shape(
        "cylinder", (x, height / 2, z), (thick, height / 2, thick), 0.0, Texture("mottled", _natural(rng, "bark"), 0.3)
    )
    leaves = Texture(
        "mottled", _natural(rng, "leaves", "leaves", "autumn", "grass"), rng.uniform(0.4, 0.9), _shift(rng)
    )
    crown = []
    for _ in range(int(rng.integers(2, 5))):
        radius = rng.uniform(0.7, 1.6)
        place = (x + rng.normal(0, 0.5), height + rng.uniform(0.2, 1.6), z + rng.normal(0, 0.5))
        crown.append(Shape("ball", place, (radius, radius * rng.uniform(0.7, 1.2), radius), rng.uniform(0, 3), leaves))
    return [trunk, *crown]


def _pole(rng: np.random.Generator, x: float, z: float) -> Shape:
    return Shape("cylinder", (x, 2.5, z), (0.07, 2.5, 0.07), 0.0, Texture("plain", _paints(rng, 1, 0.2, 0.5), 1.0))


def _car(rng: np.random.Generator, x: float, z: float) -> list[Shape]:
    body = Texture("plain", _paints(rng, 1, 0.9, 0.7), 2.0)
    glass, rubber = Texture("plain", _colours("#202830"), 1.0), Texture("plain", _colours("#151515"), 1.0)
    wheels = [
        Shape("ball", (x + dx, 0.3, z + dz), (0.12, 0.3, 0.3), 0.0, rubber) for dx in (-0.8, 0.8) for dz in (-1.2, 1.2)
    ]
    return [
        Shape("box", (x, 0.62, z), (0.85, 0.32, 2.0), 0.0, body),
        Shape("box", (x, 1.1, z + 0.2), (0.72, 0.2, 1.1), 0.0, glass),
        Shape("box", (x, 1.34, z + 0.2), (0.72, 0.05, 1.1), 0.0, body),
        *wheels,
    ]


def _clutter(
    rng: np.random.Generator, count: int, aside: tuple[float, float], away: tuple[float, float], scale: float = 1.0
) -> list[Shape]:
    """Scatter boxes, balls and barrels over the ground."""
    shapes = []
    for _ in range(count):
        kind = str(rng.choice(["box", "box", "ball", "cylinder"]))
        half = np.array([rng.uniform(0.25, 0.8), rng.uniform(0.25, 0.9), rng.uniform(0.25, 0.8)]) * scale
        half = half[[0, 0, 0]] if kind == "ball" else half[[0, 1, 0]] if kind == "cylinder" else half
        centre = (float(rng.choice([-1, 1])) * rng.uniform(*aside), float(half[1]), rng.uniform(*away))
        shapes.append(Shape(kind, centre, tuple(half), rng.uniform(0, 3), _anything(rng, scale)))
    return shapes


def _table(rng: np.random.Generator, x: float, z: float) -> list[Shape]:
    wood = Texture("planks", _natural(rng, "wood", "pale_wood"), rng.uniform(0.3, 0.6))
    wide, deep, high = rng.uniform(0.5, 1.0), rng.uniform(0.35, 0.6), rng.uniform(0.45, 0.78)
    legs = [
        Shape("box", (x + sx * (wide - 0.06), high / 2, z + sz * (deep - 0.06)), (0.03, high / 2, 0.03), 0.0, wood)
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    bowl, pot = rng.uniform(0.08, 0.16), rng.uniform(0.05, 0.1)
    return [
        Shape("box", (x, high, z), (wide, 0.025, deep), 0.0, wood),
        *legs,
        Shape("ball", (x - 0.25, high + bowl, z), (bowl, bowl, bowl), 0.0, _anything(rng, 0.2)),
        Shape("cylinder", (x + 0.2, high + 2 * pot, z - 0.1), (pot, 2 * pot, pot), 0.0, _anything(rng, 0.2)),
    ]


def _sofa(rng: np.random.Generator, x: float, z: float) -> list[Shape]:
    cloth = _fabric(rng)
    seat = [
        Shape("box", (x, 0.22, z), (0.9, 0.22, 0.42), 0.0, cloth),
        Shape("box", (x, 0.55, z + 0.35), (0.9, 0.35, 0.1), 0.0, cloth),
    ]
    arms = [Shape("box", (x + side * 0.95, 0.32, z), (0.1, 0.32, 0.45), 0.0, cloth) for side in (-1, 1)]
    cushion = Shape("ball", (x + rng.uniform(-0.5, 0.5), 0.6, z + 0.15), (0.22, 0.2, 0.12), 0.0, _fabric(rng))
    return [*seat, *arms, cushion]


def _shelf(rng: np.random.Generator, side: int, wide: float, high: float, z: float) -> Shape:
    tall = rng.uniform(0.6, high / 2 - 0.2)
    texture = Texture("books", _paints(rng, 7, 0.8, 0.7), rng.uniform(0.5, 0.9), _shift(rng))
    return Shape("box", (side * (wide - 0.16), tall, z), (0.16, tall, rng.uniform(0.5, 1.2)), 0.0, texture)


def _wall_picture(rng: np.random.Generator, wide: float, high: float, back: float) -> Shape:
    half, y = (rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.45)), rng.uniform(1.4, high - 0.6)
    texture = _anything(rng, 0.6)
    if rng.random() < 0.5:
        return Shape("box", (rng.uniform(-0.6, 0.6) * wide, y, back), (half[0], half[1], 0.03), 0.0, texture)
    return Shape(
        "box",
        (float(rng.choice([-1, 1])) * wide, y, rng.uniform(1.5, back - 0.8)),
        (0.03, half[1], half[0]),
        0.0,
        texture,
    )


def _fabric(rng: np.random.Generator) -> Texture:
    return Texture(
        str(rng.choice(["plain", "stripes", "mottled", "checker"])), _paints(rng, 3, 0.75, 0.75), rng.uniform(0.15, 0.5)
    )


def _anything(rng: np.random.Generator, scale: float) -> Texture:
    kind = str(rng.choice(_PATTERNS))
    colours = _natural(rng, *_NATURAL) if kind in ("bricks", "planks") else _paints(rng, 3, 0.85, 0.8)
    return Texture(kind, colours, scale * rng.uniform(0.3, 0.9), _shift(rng))


def _shift(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(0, 16)), float(rng.uniform(0, 16))


def _natural(rng: np.random.Generator, *names: str) -> np.ndarray:
    return _colours(*_NATURAL[str(rng.choice(names))]) * rng.uniform(0.8, 1.2)


def _paints(rng: np.random.Generator, count: int, saturation: float, value: float) -> np.ndarray:
    """Draw painted colours: one hue and its neighbours or opposites."""
    hue = rng.random()
    hues = (hue + rng.choice([0.0, 0.05, 0.1, 0.5], count) + rng.normal(0, 0.02, count)) % 1
    return _linear(
        [colorsys.hsv_to_rgb(h, saturation * rng.uniform(0.3, 1), value * rng.uniform(0.5, 1.1)) for h in hues]
    )


def _colours(*names: str) -> np.ndarray:
    return _linear([[int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in names])


def _linear(colours: list) -> np.ndarray:
    return np.clip(np.array(colours, np.float32), 0, 1) ** np.float32(2.2)
