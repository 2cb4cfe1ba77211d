"""Blur in numbers: register, length, linear light, parts that move, and images that stay sharp."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.blur import BlurRanges, add_blur, defocus, expose, moving_part, shake, to_light

STILL = np.zeros(2)
CAMERA = BlurRanges(roll=0.0, moving=0.0, defocused=0.0, sharp=0.0, noise=(0.0, 0.0))


def point(size=41):
    image = np.zeros((size, size, 3), np.float32)
    image[size // 2, size // 2] = 1
    return image


def test_the_path_has_its_length_small_steps_and_the_middle_at_zero():
    for seed, length in enumerate((1.0, 7.0, 30.0)):
        path = shake(length, np.random.default_rng(seed))
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        assert steps.sum() == pytest.approx(length)
        assert len(path) % 2 == 1
        np.testing.assert_array_equal(path[len(path) // 2], 0)
        assert steps.mean() <= 0.7


def test_a_straight_path_spreads_a_point_over_its_length_and_keeps_its_light():
    path = np.stack([np.arange(-4.0, 5.0), np.zeros(9)], axis=1)  # 9 moments, one pixel apart, to the right
    seen = expose(point(), path, np.zeros(9), None, STILL)[..., 0]
    np.testing.assert_allclose(seen[20, 16:25], 1 / 9, atol=1e-6)
    assert seen.sum() == pytest.approx(1, abs=1e-5)
    assert seen[19].max() == seen[21].max() == 0


def test_rotation_leaves_the_centre_and_blurs_the_corners():
    image = np.random.default_rng(0).random((61, 61, 3)).astype(np.float32)
    seen = expose(image, np.zeros((9, 2)), np.linspace(-0.05, 0.05, 9), None, STILL)
    difference = np.abs(seen - image).mean(axis=-1)
    assert difference[30, 30] < 0.02
    assert difference[:10, :10].mean() > 0.15


def test_only_the_part_that_moves_is_blurred_when_the_camera_is_still():
    image = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    part = np.zeros((64, 64), np.float32)
    part[16:48, 16:48] = 1
    seen = expose(image, np.zeros((11, 2)), np.zeros(11), part, np.array([8.0, 0.0]))
    difference = np.abs(seen - image).mean(axis=-1)
    assert difference[:, :11].max() < 1e-6
    assert difference[20:44, 24:40].mean() > 0.15


def test_blur_is_computed_in_linear_light():
    """Half of black and half of white has half the light, which is stored as 0.5 ** (1 / 2.2) = 0.73, not as 0.5."""
    stripes = np.zeros((1, 64, 3), np.float32)
    stripes[:, ::2] = 0.96
    path = np.stack([np.arange(-4.0, 4.0), np.zeros(8)], axis=1)
    light = expose(to_light(np.repeat(stripes, 64, axis=0)), path, np.zeros(8), None, STILL)
    np.testing.assert_allclose(light[:, 10:-10] ** (1 / 2.2), 0.96 * 0.5 ** (1 / 2.2), atol=1e-3)


def test_what_was_clipped_is_brighter_and_nothing_else():
    image = np.float32([[[0.5, 0.5, 0.5], [1.0, 1.0, 1.0], [1.0, 1.0, 0.2]]])
    np.testing.assert_allclose(to_light(image, 3.0), [[[0.5**2.2] * 3, [3.0] * 3, [1.0, 1.0, 0.2**2.2]]], rtol=1e-5)


@pytest.mark.parametrize("radius", [1.5, 4.0])
def test_defocus_makes_a_disc_of_its_radius(radius):
    disc = defocus(point(), radius)[..., 0]
    assert disc.sum() == pytest.approx(1, abs=1e-5)
    assert (disc > disc.max() / 2).sum() == pytest.approx(np.pi * radius**2, rel=0.3)
    np.testing.assert_allclose(disc, disc.T, atol=1e-7)


def test_images_and_draws():
    image = np.random.default_rng(3).random((48, 60, 3)).astype(np.float32)
    one, two, other = (add_blur(image, BlurRanges(), np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert one.dtype == np.float32
    assert one.shape == image.shape
    assert one.min() >= 0
    assert one.max() <= 1
    sharp = add_blur(image, BlurRanges(sharp=1.0, noise=(0.0, 0.0)), np.random.default_rng(1))
    np.testing.assert_array_equal(sharp, image)


def test_longer_paths_blur_more_and_pictures_stay_in_register():
    rng = np.random.default_rng(0)
    image = np.clip(0.5 + 0.2 * rng.standard_normal((96, 96, 3)), 0, 0.9).astype(np.float32)
    detail = [add_blur(image, CAMERA._replace(path=(p, p)), np.random.default_rng(2)).std() for p in (0.01, 0.03, 0.1)]
    assert image.std() > detail[0] > detail[1] > detail[2]
    part = moving_part((96, 96), rng)
    assert 0.05 < part.mean() < 0.45


def test_stored_values_keep_their_mean_and_light_makes_them_brighter():
    stripes = np.full((64, 64, 3), 0.04, np.float32)
    stripes[:, ::2] = 0.96
    means = []
    for gamma in (1.0, 2.2):
        ranges = CAMERA._replace(path=(0.2, 0.2), gamma=(gamma, gamma))
        means.append(np.mean([add_blur(stripes, ranges, np.random.default_rng(seed)).mean() for seed in range(8)]))
    assert means[0] == pytest.approx(0.5, abs=0.01)
    assert means[1] == pytest.approx(0.7, abs=0.03)  # mostly across the stripes: 0.96 * 0.5 ** (1 / 2.2)


def test_glare_is_drawn():
    """A clipped point shines beyond its share of the path only where the sensor could not hold it."""
    image = np.full((48, 48, 3), 0.1, np.float32)
    image[22:26, 22:26] = 1.0
    glares = []
    for share in (0.0, 0.5, 1.0):
        ranges = CAMERA._replace(path=(0.3, 0.3), glare=share)
        glares.append([add_blur(image, ranges, np.random.default_rng(seed)).sum() for seed in range(12)])
    none, half, always = np.array(glares)
    assert (always > none + 1).mean() > 0.8
    assert 0.1 < (half > none + 1).mean() < 0.9
