"""Noise of a camera in numbers: how strong it is in the dark, in the light and per colour, and what it leaves."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.blur import GAMMA
from mindrestore.data.camera import CameraRanges, add_camera_noise, demosaic, mosaic

NEUTRAL = CameraRanges(shot=(1e-3, 1e-3), red=(1.0, 1.0), blue=(1.0, 1.0))


def grey(value: float, size: int = 128) -> np.ndarray:
    return np.full((size, size, 3), value, np.float32)


def deviation(noisy: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each colour's linear light, away from the borders."""
    return (noisy[4:-4, 4:-4].astype(np.float64) ** GAMMA).std(axis=(0, 1))


def test_the_mosaic_keeps_red_green_and_blue_at_their_places():
    image = np.arange(4 * 4 * 3, dtype=np.float32).reshape(4, 4, 3)
    counted = mosaic(image)
    np.testing.assert_array_equal(counted[::2, ::2], image[::2, ::2, 0])
    np.testing.assert_array_equal(counted[::2, 1::2], image[::2, 1::2, 1])
    np.testing.assert_array_equal(counted[1::2, ::2], image[1::2, ::2, 1])
    np.testing.assert_array_equal(counted[1::2, 1::2], image[1::2, 1::2, 2])


def test_demosaicing_brings_back_an_even_colour_and_keeps_values_below_black():
    image = np.full((16, 16, 3), np.float32([0.8, 0.4, -0.1]))
    np.testing.assert_allclose(demosaic(mosaic(image)), image, atol=2e-5)


def test_a_smooth_image_without_noise_is_hardly_changed():
    rows, columns = np.mgrid[0:64, 0:64] / 63
    clear = np.stack([rows, columns, 0.5 * (rows + columns)], axis=-1).astype(np.float32)
    noisy = add_camera_noise(clear, CameraRanges(shot=(1e-9, 1e-9)), np.random.default_rng(0))
    assert noisy.dtype == np.float32
    assert np.abs(noisy - clear)[2:-2, 2:-2].max() < 0.02


def test_noise_grows_with_the_light_as_the_shot_parameter_says():
    """Green counts at half of the pixels; at the others it is the mean of four: variance x (1/2 + 1/2 / 4)."""
    for value in (0.3, 0.7):
        noisy = add_camera_noise(grey(value, 512), NEUTRAL, np.random.default_rng(1))
        light = value**GAMMA
        expected = (1e-3 * light * (1 + 1 / 4) / 2) ** 0.5
        assert deviation(noisy)[1] == pytest.approx(expected, rel=0.12)  # edges and the read noise are the rest
        assert (noisy.astype(np.float64) ** GAMMA).mean() == pytest.approx(light, rel=0.01)


def test_white_balance_amplifies_red_and_blue():
    ranges = NEUTRAL._replace(red=(2.0, 2.0), blue=(1.5, 1.5))
    strengths = deviation(add_camera_noise(grey(0.5, 512), ranges, np.random.default_rng(2)))
    plain = deviation(add_camera_noise(grey(0.5, 512), NEUTRAL, np.random.default_rng(2)))
    # Amplified light has the noise of less light, times the gain: the root of the gain in all.
    np.testing.assert_allclose(strengths / plain, np.sqrt([2.0, 1.0, 1.5]), rtol=0.03)


def test_noise_of_neighbours_is_alike_as_that_of_gaussian_noise_is_not():
    noisy = add_camera_noise(grey(0.5, 256), NEUTRAL, np.random.default_rng(3))[..., 0].astype(np.float64)
    centred = noisy - noisy.mean()
    assert (centred[:, 1:] * centred[:, :-1]).mean() / centred.var() > 0.3


def test_equal_draws_give_equal_images_and_other_draws_other_strengths():
    first, again, other = (
        add_camera_noise(grey(0.4), CameraRanges(), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert not 0.8 < first.std() / other.std() < 1.25
