"""Rain in numbers: coverage, direction, length, blending; and rainy folders with their log."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.rain import Rain, RainRanges, add_rain, draw_rain, streak_field
from mindrestore.data.scenes import render_scene
from mindrestore.data.synth import SynthOptions, degraded_scenes, synthesize
from mindrestore.images.read import read_image, read_rgb
from mindrestore.images.write import write_image


def rng(seed=0):
    return np.random.default_rng(seed)


def structure_angle(field):
    """Measure the direction of streaks from the gradients, in degrees from the vertical, positive towards the left."""
    down, right = np.gradient(cv2.GaussianBlur(field, (0, 0), 2.0).astype(float))
    across = 0.5 * np.arctan2(2 * (down * right).sum(), (right**2 - down**2).sum())  # of the gradient, from the right
    return np.rad2deg(across)


@pytest.mark.parametrize("angle", [-35, 0, 20])
def test_streaks_follow_the_direction(angle):
    field = streak_field((200, 300), Rain(angle=angle, spread=0.0, width=0.02, density=0.1), rng())
    assert structure_angle(field) == pytest.approx(angle, abs=2)


def test_positive_angles_fall_towards_the_left():
    field = streak_field((200, 200), Rain(angle=30, spread=0.0, density=0.05), rng(1))
    leftwards = (field[8:, :-5] * field[:-8, 5:]).mean()  # 8 down and 5 to the left: 32 degrees
    rightwards = (field[8:, 5:] * field[:-8, :-5]).mean()
    assert leftwards > 3 * rightwards


def test_streaks_are_as_long_as_asked():
    def correlation(field, rows):
        return np.corrcoef(field[rows:].ravel(), field[:-rows].ravel())[0, 1]

    short, long = (streak_field((256, 256), Rain(0, 0.0, length, density=0.1), rng()) for length in (0.05, 0.2))
    assert correlation(short, 12) < 0.2
    assert correlation(long, 12) > 0.5
    assert correlation(long, 80) < 0.1


def test_density_and_brightness():
    fields = [streak_field((256, 256), Rain(density=share, brightness=0.5), rng()) for share in (0.05, 0.2, 0.5)]
    means = [field.mean() for field in fields]
    assert means[0] < 0.5 * means[1] < 0.35 * means[2]
    covered = [(field > 0.15 * 0.5).mean() for field in fields]
    np.testing.assert_allclose(covered, [0.05, 0.2, 0.5], rtol=0.2)
    assert all(field.min() == 0 and 0.25 < field.max() <= 0.5 for field in fields)
    assert fields[0].dtype == np.float32


def test_no_jagged_edges():
    """Neighbours along a streak differ little even when it lies askew: the profile is sampled, not drawn."""
    field = streak_field((200, 200), Rain(angle=37, spread=0.0, length=0.3, width=0.01, density=0.03), rng())
    strong = field > 0.7 * field.max()
    assert np.abs(np.diff(field, axis=0))[strong[1:]].mean() < 0.35 * field.max()


def test_blending_follows_the_formula():
    clear = rng(1).random((60, 50, 3)).astype(np.float32)
    rain = Rain(veil=0.0, light=0.9)
    s = streak_field((60, 50), rain, rng(7))[..., None]
    np.testing.assert_allclose(add_rain(clear, rain, rng(7)), clear * (1 - s) + 0.9 * s, atol=1e-6)
    added = add_rain(clear, rain._replace(blend="add"), rng(7))
    np.testing.assert_allclose(added, np.minimum(clear + 0.9 * s, 1), atol=1e-6)
    assert added.dtype == np.float32
    with pytest.raises(ValueError, match="'burn' is unknown; use one of screen, add"):
        add_rain(clear, rain._replace(blend="burn"), rng())


def test_veil_lifts_and_flattens_the_whole_image():
    clear = np.zeros((80, 80, 3), np.float32)
    clear[:, 40:] = 0.6
    dry = Rain(density=0.0, light=1.0)
    np.testing.assert_array_equal(add_rain(clear, dry, rng()), clear)
    veiled = add_rain(clear, dry._replace(veil=0.2), rng())
    assert veiled[:, :40].mean() == pytest.approx(0.2, abs=0.05)
    assert veiled[:, 40:].mean() - veiled[:, :40].mean() == pytest.approx(0.6 * 0.8, abs=0.06)
    assert 0 <= veiled.min() <= veiled.max() <= 1


def test_rain_is_drawn_from_the_ranges():
    drawn = [draw_rain(RainRanges(), rng(i)) for i in range(300)]
    for name in ("angle", "length", "width", "density", "brightness"):
        low, high = getattr(RainRanges(), name)
        values = [getattr(rain, name) for rain in drawn]
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high >= max(values) > high - 0.05 * (high - low)
    assert np.mean([rain.veil > 0 for rain in drawn]) == pytest.approx(0.3, abs=0.08)
    assert np.mean([rain.blend == "add" for rain in drawn]) == pytest.approx(0.5, abs=0.08)


def test_any_size():
    for shape in ((1, 1), (5, 200), (37, 3)):
        clear = rng().random((*shape, 3))
        rainy = add_rain(clear, draw_rain(RainRanges(), rng()), rng())
        assert rainy.shape == clear.shape
        assert np.isfinite(rainy).all()


@pytest.fixture
def clear_dir(tmp_path):
    for i in range(2):
        write_image(tmp_path / f"in/clear/s_{i}.png", rng(i).integers(0, 200, (40, 50, 3), dtype=np.uint8))
    return tmp_path / "in" / "clear"


def test_written_pairs_and_their_log(clear_dir, tmp_path):
    options = SynthOptions(RainRanges(veiled=0.0), per_image=2, seed=4)
    paths = list(synthesize(clear_dir, tmp_path / "out", options))
    assert [path.name for path in paths] == ["s_0_1.png", "s_0_2.png", "s_1_1.png", "s_1_2.png"]
    pairs = find_pairs("auto", tmp_path / "out", "train")
    assert [(pair.input.name, pair.target.name) for pair in pairs[::3]] == [
        ("s_0_1.png", "s_0.png"),
        ("s_1_2.png", "s_1.png"),
    ]
    records = [json.loads(line) for line in (tmp_path / "out/rain.jsonl").read_text().splitlines()]
    assert [record["file"] for record in records] == [path.name for path in paths]
    assert len({record["angle"] for record in records}) == 4
    generator = rng((4, 1, 2))
    rain = draw_rain(options.ranges, generator)
    assert rain.angle == records[3]["angle"]
    expected = add_rain(read_rgb(clear_dir / "s_1.png"), rain, generator)
    np.testing.assert_allclose(read_rgb(paths[3]), expected, atol=0.51 / 255)
    assert np.array_equal(read_image(tmp_path / "out/target/s_1.png"), read_image(clear_dir / "s_1.png"))
    with pytest.raises(DatasetError, match=r"input/s_0_1\.png exists already \(6 such\)"):
        list(synthesize(clear_dir, tmp_path / "out", options))


def test_rainy_scenes(tmp_path):
    options = SynthOptions(RainRanges(), seed=5)
    list(degraded_scenes(tmp_path / "a", range(1, 4), (48, 32), options))
    pairs = find_pairs("auto", tmp_path / "a", "test")
    assert [pair.input.name for pair in pairs] == [pair.target.name for pair in pairs] == [f"000{i}.png" for i in "123"]
    for index, pair in enumerate(pairs, 1):
        scene = render_scene(5, index, (48, 32), outdoors=True)[0]
        np.testing.assert_allclose(read_rgb(pair.target), scene, atol=0.51 / 255)
        assert 0.01 < np.abs(read_rgb(pair.input) - read_rgb(pair.target)).mean() < 0.5
    list(degraded_scenes(tmp_path / "b", [1], (48, 32), options))
    assert (tmp_path / "b/input/0001.png").read_bytes() == pairs[0].input.read_bytes()
    with pytest.raises(DatasetError, match=r"0001\.png exists already \(2 such\)"):
        list(degraded_scenes(tmp_path / "b", [1, 2], (48, 32), options))
    list(degraded_scenes(tmp_path / "b", [1], (48, 32), options._replace(seed=6, overwrite=True)))
    assert (tmp_path / "b/input/0001.png").read_bytes() != pairs[0].input.read_bytes()
    assert len((tmp_path / "b/rain.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("angle", [-20, 0, 35])
def test_smeared_grains_follow_the_direction(angle):
    rain = Rain(angle=angle, spread=0.0, length=0.2, width=0.01, density=0.2, smeared=True)
    assert structure_angle(streak_field((200, 300), rain, rng())) == pytest.approx(angle, abs=3)


def test_smeared_grains_cover_the_share_and_saturate():
    for share in (0.1, 0.3, 0.5):
        field = streak_field((256, 256), Rain(density=share, brightness=0.8, smeared=True), rng(2))
        assert (field > 0).mean() == pytest.approx(share, rel=0.2)
        assert field.max() == pytest.approx(0.8)
        assert (field > 0.5).mean() > 0.2 * share  # flat in the middle


def test_contrast_makes_streaks_of_one_shower_equal_or_unequal():
    """Where the field passes its threshold it is nearly normal, so a slow slope leaves most of it faint."""
    shares = []
    for contrast in (0.7, 3.0):
        field = streak_field((256, 256), Rain(density=0.3, brightness=1.0, smeared=True, contrast=contrast), rng(2))
        rainy = field[field > 0]
        assert rainy.size / field.size == pytest.approx(0.3, rel=0.2)  # the same places get wet
        shares.append([(rainy > 0.9).mean(), (rainy < 0.3).mean()])
    (bright, faint), (few_bright, many_faint) = shares
    assert bright > 0.2 > 0.01 > few_bright
    assert many_faint > 0.6 > 0.5 > faint


def test_contrast_is_drawn_last_and_only_from_a_range():
    drawn = [draw_rain(RainRanges(smeared=1.0, contrast=(1.5, 4.0)), rng(seed)) for seed in range(50)]
    assert all(1.5 <= rain.contrast <= 4.0 for rain in drawn)
    assert np.ptp([rain.contrast for rain in drawn]) > 2
    plain = [draw_rain(RainRanges(smeared=1.0), rng(seed)) for seed in range(50)]
    assert plain == [rain._replace(contrast=0.7) for rain in drawn]


def test_drops_out_of_focus_are_softer_and_as_bright_on_the_whole():
    sharp, soft = (streak_field((200, 200), Rain(density=0.05, defocus=share), rng(4)) for share in (0.0, 0.01))
    assert np.abs(np.diff(soft, axis=1)).mean() < 0.6 * np.abs(np.diff(sharp, axis=1)).mean()
    assert soft.mean() == pytest.approx(sharp.mean(), rel=0.05)


def test_the_share_of_smeared_rain_is_drawn():
    drawn = [draw_rain(RainRanges(smeared=0.5, defocus=(0.001, 0.004)), rng(seed)) for seed in range(200)]
    assert 0.4 < np.mean([rain.smeared for rain in drawn]) < 0.6
    assert all(0.001 <= rain.defocus <= 0.004 for rain in drawn)
    assert not draw_rain(RainRanges(), rng()).smeared
    assert draw_rain(RainRanges(defocus=(0.001, 0.004)), rng()).defocus >= 0.001  # single streaks are softened, too
