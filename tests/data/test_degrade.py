"""The scattering model in numbers, its noise, and hazy folders written from clear ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.degrade import (
    Haze,
    HazeRanges,
    add_haze,
    density_field,
    draw_haze,
    fill_unknown,
    plausible_depth,
    scatter,
    smooth_noise,
    transmission,
)
from mindrestore.data.synth import SynthOptions, synthesize
from mindrestore.images.errors import ImageError
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image


def rng(seed=0):
    return np.random.default_rng(seed)


def test_scattering_model_against_the_formula():
    clear, depth = rng().random((6, 5, 3)), rng(1).uniform(0, 4, (6, 5))
    airlight = (0.9, 0.8, 0.7)
    hazy = add_haze(clear, depth, Haze(0.6, airlight, 0.0), rng())
    t = np.exp(-0.6 * depth)[..., None]
    np.testing.assert_allclose(hazy, clear * t + np.array(airlight) * (1 - t), atol=1e-6)
    assert hazy.dtype == np.float32


def test_limits():
    clear = rng().random((4, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(scatter(clear, transmission(np.zeros((4, 4)), 3.0), (1, 1, 1)), clear)
    thick = scatter(clear, transmission(np.full((4, 4), 1e4), 1.0), (0.8, 0.7, 0.6))
    np.testing.assert_allclose(thick, np.broadcast_to(np.float32([0.8, 0.7, 0.6]), thick.shape))


def test_haze_is_drawn_from_the_ranges():
    depth = rng().uniform(2, 6, (8, 8))
    depth[:6] = 60.0  # much sky
    relative = [draw_haze(HazeRanges(), depth, rng(i)) for i in range(200)]
    passing = [np.exp(-haze.beta * np.median(depth[6:])) for haze in relative]
    assert 0.25 <= min(passing) < 0.3 < 0.7 < max(passing) <= 0.75
    assert all(0 <= channel <= 1 for haze in relative for channel in haze.airlight)
    assert 0.1 < np.mean([haze.patchiness > 0 for haze in relative]) < 0.3
    fixed = [draw_haze(HazeRanges((0.6, 1.8), (0.7, 0.7), 0.0, 1.0), depth, rng(i)) for i in range(50)]
    assert all(0.6 <= haze.beta <= 1.8 and haze.airlight == (0.7, 0.7, 0.7) for haze in fixed)
    assert all(0.5 <= haze.patchiness <= 1 for haze in fixed)


def test_density_field_has_mean_one_and_clear_air():
    even, patchy = density_field((60, 80), 0.0, rng()), density_field((60, 80), 1.0, rng())
    np.testing.assert_allclose(even, 1.0, rtol=1e-6)
    assert patchy.mean() == pytest.approx(1.0, rel=1e-5)
    assert patchy.min() == 0.0
    assert patchy.max() > 2.0
    assert np.abs(np.diff(patchy, axis=1)).max() < 0.8  # smooth


def test_noise_and_stand_in_depth():
    field = smooth_noise((50, 70), rng())
    assert abs(field.mean()) < 1e-5
    assert field.std() == pytest.approx(1, rel=1e-5)
    assert np.array_equal(field, smooth_noise((50, 70), rng()))
    assert smooth_noise((1, 1), rng()).tolist() == [[0.0]]
    depth = plausible_depth((40, 60), rng())
    assert 1 <= depth.min() < depth.max() <= 10
    assert depth[:8].mean() > 2 * depth[-8:].mean()


def test_unknown_distances():
    assert fill_unknown(np.array([[0.0, 2.0, 5.0, np.nan]])).tolist() == [[5.0, 2.0, 5.0, 5.0]]
    with pytest.raises(ValueError, match="no positive"):
        fill_unknown(np.zeros((2, 2)))


@pytest.fixture
def scene(tmp_path):
    for i in range(2):
        write_image(tmp_path / f"in/clear/s_{i}.png", rng(i).integers(0, 256, (20, 30, 3), dtype=np.uint8))
        write_image(tmp_path / f"in/depth/s_{i}.png", rng(i).integers(1000, 9000, (20, 30)).astype(np.uint16))
    return tmp_path / "in" / "clear"


def test_written_pairs_follow_the_logged_parameters(scene, tmp_path):
    options = SynthOptions(HazeRanges((0.1, 0.3), nonhomogeneous=0.0), per_image=3, seed=4)
    paths = list(synthesize(scene, tmp_path / "out", options))
    assert [path.name for path in paths] == [f"s_{i}_{k}.png" for i in range(2) for k in (1, 2, 3)]
    pairs = find_pairs("auto", tmp_path / "out", "train")
    assert [(pair.input.name, pair.target.name) for pair in pairs[:4:3]] == [
        ("s_0_1.png", "s_0.png"),
        ("s_1_1.png", "s_1.png"),
    ]
    records = [json.loads(line) for line in (tmp_path / "out/haze.jsonl").read_text().splitlines()]
    assert len({record["beta"] for record in records}) == 6
    depth = rng(1).integers(1000, 9000, (20, 30)) / 1000
    record = records[4]
    t = np.exp(-record["beta"] * depth)[..., None]
    expected = read_rgb(scene / "s_1.png") * t + np.array(record["airlight"]) * (1 - t)
    np.testing.assert_allclose(read_rgb(tmp_path / "out/hazy" / record["file"]), expected, atol=0.51 / 255)
    assert np.array_equal(read_rgb(tmp_path / "out/clear/s_1.png"), read_rgb(scene / "s_1.png"))


def test_seed_decides_and_nothing_is_overwritten(scene, tmp_path):
    first = [path.read_bytes() for path in synthesize(scene, tmp_path / "a", SynthOptions(seed=1))]
    same = [path.read_bytes() for path in synthesize(scene, tmp_path / "b", SynthOptions(seed=1))]
    other = [path.read_bytes() for path in synthesize(scene, tmp_path / "c", SynthOptions(seed=2))]
    assert first == same
    assert first != other
    with pytest.raises(DatasetError, match=r"s_0_1\.png exists already \(4 such\)"):
        list(synthesize(scene, tmp_path / "a", SynthOptions(seed=2)))
    assert [path.read_bytes() for path in sorted((tmp_path / "a/hazy").iterdir())] == first
    again = list(synthesize(scene, tmp_path / "a", SynthOptions(seed=2, overwrite=True)))
    assert [path.read_bytes() for path in again] == other


def test_without_depth_and_with_disparity(scene, tmp_path):
    for path in (scene.parent / "depth").iterdir():
        path.unlink()
    list(synthesize(scene, tmp_path / "a", SynthOptions()))
    assert json.loads((tmp_path / "a/haze.jsonl").read_text().splitlines()[0])["depth"] is None
    disparity = np.full((20, 30), 50, np.uint8)
    disparity[:, :10] = 0  # unknown: taken for the background
    disparity[:, 10:20] = 100
    for i in range(2):
        write_image(tmp_path / f"disparity/s_{i}.png", disparity)
    ranges = HazeRanges((0.5, 0.5), (1.0, 1.0), 0.0, 0.0)
    options = SynthOptions(ranges, depth_dir=tmp_path / "disparity", disparity_scale=100.0)
    (hazy, _) = synthesize(scene, tmp_path / "b", options)
    t = np.exp(-0.5 * np.repeat([2.0, 1.0, 2.0], 10))[None, :, None]
    np.testing.assert_allclose(read_rgb(hazy), read_rgb(scene / "s_0.png") * t + 1 - t, atol=0.51 / 255)


def test_errors_name_the_files(scene, tmp_path):
    write_image(scene.parent / "depth/s_0.png", np.ones((5, 5), np.uint16))
    with pytest.raises(ImageError, match=r"depth/s_0\.png is 5x5 but .*s_0\.png is 30x20"):
        list(synthesize(scene, tmp_path / "a", SynthOptions()))
    write_image(scene.parent / "depth/s_0.png", np.zeros((20, 30), np.uint16))
    with pytest.raises(ImageError, match=r"depth/s_0\.png: the depth map holds no positive"):
        list(synthesize(scene, tmp_path / "b", SynthOptions()))
    with pytest.raises(DatasetError, match="no images"):
        list(synthesize(tmp_path, tmp_path / "c", SynthOptions()))
    with pytest.raises(DatasetError, match="no such folder of depth maps"):
        list(synthesize(scene, tmp_path / "d", SynthOptions(depth_dir=tmp_path / "absent")))
    write_image(scene / "s_1.jpg", np.zeros((20, 30, 3)))
    with pytest.raises(DatasetError, match=r"s_1\.jpg and s_1\.png would give"):
        list(synthesize(scene, tmp_path / "e", SynthOptions()))


def test_real_disparity(shared, tmp_path):
    for scene in ("cones", "teddy"):
        folder = shared / "data/middlebury_depth" / scene
        write_image(tmp_path / f"clear/{scene}.png", read_rgb(folder / "im6.png"))
        (tmp_path / "depth").mkdir(exist_ok=True)
        (tmp_path / f"depth/{scene}.png").write_bytes((folder / "disp6.png").read_bytes())
    list(synthesize(tmp_path / "clear", tmp_path / "out", SynthOptions(disparity_scale=100.0)))
    for pair in find_pairs("auto", tmp_path / "out", "train"):
        hazy, clear = read_rgb(pair.input), read_rgb(pair.target)
        assert hazy.mean() > clear.mean() + 0.1
        assert hazy.std() < clear.std()
