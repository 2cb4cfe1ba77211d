"""Rendered scenes: exact distances, reproducible, varied, and written without overwriting."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.raycast import Camera, Light, Shape, render
from mindrestore.data.scenes import FAR, render_scene, write_scenes
from mindrestore.data.textures import PATTERNS, Texture, noise, paint
from mindrestore.errors import MindRestoreError
from mindrestore.images.read import read_depth, read_rgb

GREY = Texture("plain", np.full((1, 3), 0.5, np.float32))
SUN = Light((0.0, 1.0, 0.0), True, (0.6, 0.6, 0.6), (0.4, 0.4, 0.4), np.full((2, 3), 0.7))
LEVEL = Camera(1.5, 0.0, 0.0, np.pi / 2)


def directions(width, height):
    """Return the pixel directions of the level 90-degree camera, from first principles."""
    x = (np.arange(width) + 0.5) / width * 2 - 1
    y = (1 - (np.arange(height) + 0.5) / height * 2) * height / width
    x, y = np.meshgrid(x, y)
    return x, y, np.sqrt(x**2 + y**2 + 1)


def test_ground_wall_and_sky_distances():
    ground = Shape("box", (0, -1, 0), (500, 1, 500), 0.0, GREY)
    _, depth = render([ground], SUN, LEVEL, (32, 24), far=60.0)
    _, y, length = directions(32, 24)
    with np.errstate(divide="ignore"):
        expected = np.where(y < 0, np.minimum(1.5 * length / -y, 60.0), 60.0)
    np.testing.assert_allclose(depth, expected, rtol=1e-4)

    wall = Shape("box", (0, 0, 10), (500, 500, 1), 0.0, GREY)
    _, depth = render([wall], SUN, LEVEL, (32, 24), far=600.0)
    np.testing.assert_allclose(depth, 9 * length, rtol=1e-4)


def test_ball_turned_box_cylinder_and_inside():
    ball = Shape("ball", (0, 1.5, 5), (1, 1, 1), 0.3, GREY)
    cylinder = Shape("cylinder", (0, 1.5, 5), (0.5, 1, 0.5), 0.0, GREY)
    diamond = Shape("box", (0, 1.5, 5), (1, 1, 1), np.pi / 4, GREY)
    room = Shape("box", (0, 1.5, 0), (3, 3, 3), 0.0, GREY)
    for shape, middle in ((ball, 4.0), (cylinder, 4.5), (diamond, 5 - np.sqrt(2)), (room, 3.0)):
        _, depth = render([shape], SUN, LEVEL, (33, 33), far=50.0)
        assert depth[16, 16] == pytest.approx(middle, rel=1e-4)
    _, _, length = directions(33, 33)
    _, depth = render([ball], SUN, LEVEL, (33, 33), far=50.0)
    along = 5 / length
    gap = 25 - along**2
    hit = gap < 1
    np.testing.assert_allclose(depth[hit], (along - np.sqrt(np.where(hit, 1 - gap, 0)))[hit], rtol=1e-4)
    assert (depth[~hit] == 50.0).all()


def test_shadow_darkens_the_ground():
    ground = Shape("box", (0, -1, 0), (500, 1, 500), 0.0, GREY)
    roof = Shape("box", (0, 4, 3), (1, 0.1, 1), 0.0, GREY)
    lit, _ = render([ground], SUN, LEVEL, (32, 24), 60.0)
    shaded, _ = render([ground, roof], SUN, LEVEL, (32, 24), 60.0)
    x, y, _ = directions(32, 24)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (y < -0.1) & (np.abs(1.5 * x / -y) < 0.8) & (np.abs(1.5 / -y - 3) < 0.8)
    assert below.sum() > 10
    ratio = (shaded[below] / lit[below]) ** 2.2
    np.testing.assert_allclose(ratio, 0.4 * 0.7 / (0.4 * 0.7 + 0.6), rtol=0.02)


@pytest.mark.parametrize("kind", sorted(PATTERNS))
def test_textures_are_colours_and_fade_with_distance(kind):
    u, v = np.random.default_rng(0).uniform(-20, 20, (2, 500))
    texture = Texture(kind, np.random.default_rng(1).uniform(0.1, 0.6, (5, 3)).astype(np.float32), 0.7)
    near, far = (paint(texture, u, v, np.full(500, size)) for size in (0.001, 5.0))
    assert near.shape == (500, 3)
    assert 0 <= near.min() <= near.max() <= 1
    assert near.std(axis=0).max() > 0.005
    np.testing.assert_allclose(far, np.broadcast_to(texture.colours.mean(0), (500, 3)), rtol=1e-6)


def test_noise_is_smooth_and_centred():
    places = np.linspace(0, 30, 4000)
    values = noise(places, places * 0.3)
    assert 0 <= values.min() < 0.3 < 0.7 < values.max() <= 1
    assert abs(values.mean() - 0.5) < 0.1
    assert np.abs(np.diff(values)).max() < 0.1


def test_scenes_are_reproducible_and_different():
    scenes = [render_scene(3, index, (48, 32)) for index in range(6)]
    again = render_scene(3, 4, (48, 32))
    assert np.array_equal(scenes[4][0], again[0])
    assert np.array_equal(scenes[4][1], again[1])
    for image, depth in scenes:
        assert image.shape == (32, 48, 3)
        assert image.dtype == depth.dtype == np.float32
        assert np.isfinite(image).all()
        assert 0 <= image.min() < image.max() <= 1
        assert image.std() > 0.05
        assert 0.05 < depth.min() < depth.max() <= np.float32(FAR)
    assert len({round(float(image.mean()), 4) for image, _ in scenes}) == 6


def test_written_files(tmp_path):
    paths = list(write_scenes(tmp_path, 2, (32, 24), seed=1))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["clear/0001.png", "clear/0002.png"]
    image, metres = render_scene(1, 2, (32, 24))
    np.testing.assert_allclose(read_rgb(paths[1]), image, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / "depth/0002.png") / 1000, metres, atol=0.0006)
    with pytest.raises(MindRestoreError, match=r"0001\.png exists already"):
        list(write_scenes(tmp_path, 2, (32, 24), seed=2))
    list(write_scenes(tmp_path, 1, (32, 24), seed=2, overwrite=True))
    assert not np.allclose(read_rgb(paths[0]), render_scene(1, 1, (32, 24))[0], atol=0.01)
    with pytest.raises(MindRestoreError, match="too small"):
        render_scene(0, 0, (8, 8))
