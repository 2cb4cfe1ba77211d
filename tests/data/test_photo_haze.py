"""Haze over photographs without depth: distances follow edges, nights follow their formulas, JPEG leaves its traces."""

import numpy as np

from mindrestore.data.degrade import plausible_depth, scatter
from mindrestore.data.photo_haze import (
    Night,
    at_night,
    compress,
    draw_night,
    hazy_night,
    lamp_glow,
    picture_depth,
    vary_tones,
)

NIGHT = Night(2.0, (0.5, 0.25, 1.0), (0.1, 0.2, 0.3), (0.4, 0.3, 0.2))


def two_halves():
    image = np.zeros((60, 80, 3), np.float32)
    image[:, 40:] = 1.0
    return image


def seed_with(flat):
    """Return a seed whose image is, or is not, at one distance all over."""
    return next(s for s in range(50) if (np.ptp(picture_depth(two_halves(), np.random.default_rng(s))) == 0) == flat)


def test_distances_change_most_where_the_picture_does():
    depth = picture_depth(two_halves(), np.random.default_rng(seed_with(flat=False)))
    assert depth.shape == (60, 80)
    assert depth.dtype == np.float32
    steps = np.abs(np.diff(depth, axis=1)).mean(0)  # 79 of them; the picture changes at number 39
    assert steps.argmax() == 39
    assert steps[39] > 3 * np.median(steps)


def test_distances_stay_within_those_they_were_made_of():
    for seed in range(8):
        depth = picture_depth(two_halves(), np.random.default_rng(seed))
        assert depth.min() > 0.05
        assert depth.max() <= max(10.0, plausible_depth((60, 80), np.random.default_rng(seed)).max()) * 2


def test_some_pictures_are_at_one_distance():
    flat = [np.ptp(picture_depth(two_halves(), np.random.default_rng(seed))) == 0 for seed in range(200)]
    assert 0.15 < np.mean(flat) < 0.35  # a quarter is meant


def test_equal_generators_give_equal_distances():
    one, two = (picture_depth(two_halves(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_night_is_the_day_to_a_power_in_coloured_light():
    dark = at_night(np.full((2, 2, 3), 0.5), NIGHT)
    np.testing.assert_allclose(dark[0, 0], [0.125, 0.0625, 0.25], rtol=1e-6)


def test_airlight_of_the_night_lies_between_sky_and_lamps():
    glow = lamp_glow((40, 50), NIGHT, np.random.default_rng(0))
    assert glow.shape == (40, 50, 3)
    share = (glow - np.float32(NIGHT.sky)) / np.float32(NIGHT.lamps)
    np.testing.assert_allclose(share[..., 0], share[..., 1], atol=1e-5)  # one halo, coloured by the lamps
    assert share.min() > 0
    assert share.max() <= 1.3 + 1e-5


def test_drawn_nights_are_darker_than_day_and_never_bluish():
    for seed in range(30):
        night = draw_night(np.random.default_rng(seed))
        assert night.gamma > 1
        for colour in (night.light, night.sky, night.lamps):
            assert 0 < colour[2] <= colour[1] <= colour[0] < 1


def test_one_share_of_the_picture_passes_in_every_channel():
    depth = np.ones((40, 50), np.float32)
    results = [hazy_night(np.full((40, 50, 3), v, np.float32), depth, np.random.default_rng(4)) for v in (0.0, 1.0)]
    (fog, black, night), (hazy, clear, _) = results
    assert black.max() == 0
    np.testing.assert_array_equal(clear[0, 0], np.float32(night["light"]))
    passing = (hazy - fog) / clear  # what the same haze lets through of white, over what a black picture shows
    np.testing.assert_allclose(passing[..., 1], passing[..., 0], atol=1e-5)
    np.testing.assert_allclose(passing[..., 2], passing[..., 0], atol=1e-5)
    assert 0 < passing.min() < passing.max() <= 1 + 1e-6
    assert fog.mean() > 0.05


def test_airlight_may_differ_from_place_to_place():
    clear, passing = np.zeros((2, 3, 3), np.float32), np.full((2, 3), 0.25)
    airlight = np.arange(18, dtype=np.float32).reshape(2, 3, 3) / 18
    np.testing.assert_allclose(scatter(clear, passing, airlight), 0.75 * airlight, rtol=1e-6)


def test_compression_leaves_more_traces_at_lower_quality():
    down, right = np.mgrid[:64, :64]
    image = np.stack([0.5 + 0.3 * np.sin(down / (5 + k)) * np.cos(right / (4 + k)) for k in range(3)], -1)
    image = np.clip(image + 0.04 * np.random.default_rng(0).standard_normal(image.shape), 0, 1)
    best, good, bad = (compress(image, quality) for quality in (100, 95, 30))
    assert bad.dtype == np.float32
    errors = [float(np.sqrt(np.mean((worn - image) ** 2))) for worn in (best, good, bad)]
    assert 0 < errors[0] < errors[1] < errors[2] < 0.1
    assert errors[2] > 0.01


def test_varied_tones_reach_from_black_to_white_and_keep_the_order_of_a_channel():
    pale = 0.4 + 0.2 * np.random.default_rng(0).random((40, 50, 3), np.float32)
    for seed in range(20):
        varied = vary_tones(pale, np.random.default_rng(seed))
        assert (varied.dtype, varied.shape) == (np.float32, pale.shape)
        assert 0 <= varied.min() <= 0.06
        assert 0.75 <= varied.max() <= 1
        for channel in range(3):
            order = np.argsort(pale[..., channel], axis=None)
            assert (np.diff(varied[..., channel].ravel()[order]) >= 0).all()


def test_light_turns_warmer_more_often_than_cooler_and_green_stays_between():
    grey = np.repeat(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8, 1), 3, axis=2)
    colours = np.array([vary_tones(grey, np.random.default_rng(seed)).mean((0, 1)) for seed in range(100)])
    red, green, blue = colours.T
    assert 0.45 < (red > blue).mean() < 0.8  # drawn from -0.15 to 0.25: 62 of 100
    assert ((np.minimum(red, blue) <= green) & (green <= np.maximum(red, blue))).all()


def test_a_picture_of_one_tone_stays_finite():
    flat = vary_tones(np.full((8, 8, 3), 0.5, np.float32), np.random.default_rng(0))
    assert np.isfinite(flat).all()
