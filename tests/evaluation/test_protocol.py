"""Protocols against the numbers of the systems that use them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mindrestore.evaluation.metrics import DECIMALS, TITLES
from mindrestore.evaluation.protocol import (
    Protocol,
    ProtocolError,
    adaptive_average_pool,
    get_protocol,
    list_protocols,
)

OWN_GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def golden(golden_dir, name):
    path = golden_dir / name
    if not path.is_file():
        pytest.skip(f"{name} is not part of the project")
    return np.load(path)


def hwc(array):
    return np.moveaxis(array[0], 0, -1)


def test_aecr_and_the_model_zoo(golden_dir):
    file = golden(golden_dir, "aecrnet.npz")
    pred, target = hwc(file["metric/pred"]), hwc(file["metric/gt"])
    official = get_protocol("aecr").measure(pred, target)
    zoo = get_protocol("aecr-zoo").measure(pred, target)
    assert official["psnr"] == pytest.approx(float(file["metric/psnr"]), abs=1e-5)
    assert official["ssim"] == pytest.approx(float(file["metric/ssim"]), abs=1e-5)  # float32 window there
    assert zoo["psnr"] == pytest.approx(float(file["metric/zoo_psnr"]), abs=1e-5)
    assert zoo["ssim"] == pytest.approx(float(file["metric/zoo_ssim"]), abs=1e-6)


def test_aecr_gives_equal_images_100_decibels():
    image = np.random.default_rng(0).random((16, 16, 3))
    assert get_protocol("aecr").measure(image, image) == {"psnr": 100.0, "ssim": pytest.approx(1.0)}
    assert get_protocol("rgb").measure(image, image)["psnr"] == math.inf


def test_dehazeformer(golden_dir):
    file = golden(golden_dir, "crossdehaze.npz")
    seed = int(file["metric.seed"])
    for index, (height, width) in enumerate(file["metric.sizes"]):
        target, noise = (np.random.RandomState(seed + k).rand(1, 3, height, width) * 2 - 1 for k in range(2))
        source = np.float32(0.8 * target + 0.2 * noise)
        pred = np.clip(np.float32(1.1) * source, -1, 1) * 0.5 + 0.5
        scores = get_protocol("dehazeformer").measure(hwc(pred), hwc(np.float32(target) * 0.5 + 0.5))
        assert scores["psnr"] == pytest.approx(file["metric.psnr"][index], abs=1e-4)
        assert scores["ssim"] == pytest.approx(file["metric.ssim"][index], abs=1e-5)


def test_dsrir(golden_dir):
    file = golden(golden_dir, "dsrir.npz")
    for index, values in enumerate(file["eval.values"]):
        pred, clean = hwc(file[f"eval.pred{index}"]), hwc(file[f"eval.clean{index}"])
        rgb, luma = (get_protocol(name).measure(pred, clean) for name in ("dsrir-rgb", "dsrir-y"))
        columns = get_protocol("dsrir-y-columns").measure(pred, clean)
        ours = [rgb["psnr"], rgb["ssim"], luma["psnr"], columns["ssim"], luma["ssim"]]
        np.testing.assert_allclose(ours, values, rtol=0, atol=2e-6)


@pytest.fixture
def mprnet(golden_dir):
    """Return the metrics of the official MPRNet: the whole file when it is there, else the copy of this part."""
    whole = golden_dir / "mprnet_units.npz"
    file = np.load(whole if whole.is_file() else OWN_GOLDEN / "mprnet_metrics.npz")
    return {key.split("/")[1]: file[key] for key in file.files if key.startswith("metric/")}


def test_mprnet(mprnet):
    a, b = mprnet["img_a"] / 255, mprnet["img_b"] / 255
    derain, gopro, sidd = (get_protocol(name).measure(a, b) for name in ("mpr-derain", "mpr-gopro", "mpr-sidd"))
    assert derain["psnr"] == pytest.approx(float(mprnet["psnr_y"]), abs=1e-8)
    assert derain["ssim"] == pytest.approx(float(mprnet["ssim_y_valid"]), abs=1e-8)
    assert gopro["psnr"] == pytest.approx(float(mprnet["psnr_rgb"]), abs=1e-8)
    assert gopro["ssim"] == pytest.approx(float(mprnet["ssim_rgb_volume"]), abs=1e-8)
    assert sidd == pytest.approx(gopro)  # 8-bit data: rounding changes nothing
    assert get_protocol("rgb8").measure(a, b)["ssim"] == pytest.approx(float(mprnet["ssim_rgb_mean_valid"]), abs=1e-8)


def test_luma_of_the_official_deraining_scripts(mprnet):
    for side in "ab":
        luma = get_protocol("mpr-derain")._convert(mprnet[f"img_{side}"] / 255) * 255
        np.testing.assert_allclose(luma, mprnet[f"y_{side}"], rtol=0, atol=1e-9)


def test_the_training_log_of_mprnet_is_the_protocol_rgb(mprnet):
    scores = get_protocol("rgb").measure(mprnet["img_a"] / 255, mprnet["img_b"] / 255)
    assert scores["psnr"] == pytest.approx(float(mprnet["psnr_train_log"]), abs=2e-6)  # float32 there


def volume_ssim(a, b):
    """Compute SSIM of two volumes as MATLAB defines it for floating-point images, with plain sums."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def smooth(volume):
        for axis in range(3):
            padded = np.pad(volume, [(5, 5) if k == axis else (0, 0) for k in range(3)], mode="edge")
            parts = (tap * padded.take(range(k, k + volume.shape[axis]), axis) for k, tap in enumerate(taps))
            volume = sum(parts)
        return volume

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
    return np.mean(top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)))


def test_sidd_measures_the_floating_point_prediction(mprnet):
    target = mprnet["img_b"] / 255
    noise = np.random.default_rng(0).uniform(-0.45, 0.45, target.shape) / 255  # vanishes when rounded to 8 bits
    pred = np.clip(target + noise, 0, 1).astype(np.float32)
    scores = get_protocol("mpr-sidd").measure(pred, target.astype(np.float32))
    assert scores["psnr"] == pytest.approx(-10 * np.log10(np.mean((pred - target) ** 2)), abs=1e-4)
    assert scores["psnr"] == pytest.approx(59.8, abs=0.2)
    assert get_protocol("mpr-gopro").measure(pred, target)["psnr"] == math.inf
    noisy = np.clip(target + 40 * noise, 0, 1)
    assert get_protocol("mpr-sidd").measure(noisy, target)["ssim"] == pytest.approx(
        volume_ssim(noisy, target), abs=1e-9
    )
    assert volume_ssim(mprnet["img_a"] / 255, target) == pytest.approx(float(mprnet["ssim_rgb_volume"]), abs=1e-9)


@pytest.mark.parametrize("pair", ["noise5", "random_noise20", "haze", "tiny", "shift", "unrelated", "large_noise8"])
def test_paddlegan_is_basicsr_inside_a_border(golden_dir, pair):
    """PaddleGAN takes its metrics from BasicSR; the four pixels put around the golden pair must not count."""
    file = golden(golden_dir, "metrics.npz")
    expected = dict(zip(file["columns"].tolist(), file["values"][file["pairs"].tolist().index(pair)]))
    spoilt = np.random.default_rng(0)
    a, b = (
        np.pad(file[f"{pair}.{side}"] / 255, ((4, 4), (4, 4), (0, 0)), constant_values=spoilt.random()) for side in "ab"
    )
    a = a + spoilt.uniform(-0.4, 0.4, a.shape) / 255  # PaddleGAN rounds to 8 bits first
    rgb, luma = get_protocol("paddlegan-rgb").measure(a, b), get_protocol("paddlegan-y").measure(a, b)
    assert rgb["psnr"] == pytest.approx(expected["psnr_rgb"], abs=1e-8)
    assert rgb["ssim"] == pytest.approx(expected["ssim_rgb_basicsr"], abs=1e-7)
    assert luma["psnr"] == pytest.approx(expected["psnr_y_basicsr"], abs=1e-5)
    assert luma["ssim"] == pytest.approx(expected["ssim_y_basicsr"], abs=1e-7)
    assert get_protocol("paddlegan-gopro").measure(a, b) == rgb


def test_rounding_sides():
    target = np.full((24, 24, 3), 100.4 / 255)
    pred = np.full((24, 24, 3), 100.3 / 255)
    assert get_protocol("rgb").measure(pred, target)["mae"] == pytest.approx(0.1 / 255)
    assert get_protocol("rgb8").measure(pred, target)["mae"] == 0.0
    # the model zoo rounds the restored image only: 0.4 grey levels stay, times the luma weights
    expected = -20 * math.log10(0.4 * (65.738 + 129.057 + 25.064) / 256 / 255)
    assert get_protocol("aecr-zoo").measure(pred, target)["psnr"] == pytest.approx(expected)


def test_values_outside_the_range_are_clipped():
    target = np.ones((16, 16, 3))
    assert get_protocol("rgb").measure(target * 1.5, target)["psnr"] == math.inf


def test_prepare_crops_the_centre():
    image = np.arange(19 * 17).reshape(19, 17, 1)
    cropped = get_protocol("dsrir-rgb").prepare(image)
    assert cropped.shape == (16, 16, 1)
    assert cropped[0, 0, 0] == 1 * 17 + 0  # (19 - 16) // 2 rows, (17 - 16) // 2 columns
    assert get_protocol("rgb").prepare(image) is not None
    with pytest.raises(ProtocolError, match="multiples of 8"):
        get_protocol("dsrir-rgb").prepare(np.zeros((7, 64, 3)))


def test_centre_crops_keep_small_sides():
    gopro = get_protocol("paddlegan-gopro")
    assert "centre crop of at most 256x256, 4 border pixels left out" in gopro.description
    frame = np.arange(720 * 1280).reshape(720, 1280, 1)
    cropped = gopro.prepare(frame)
    assert cropped.shape == (256, 256, 1)
    assert cropped[0, 0, 0] == 232 * 1280 + 512
    assert gopro.prepare(np.zeros((100, 300, 3))).shape == (100, 256, 3)
    both = Protocol("both", "", centre_crop=100, crop_multiple=8)
    assert both.prepare(np.zeros((99, 300, 3))).shape == (96, 96, 3)
    assert "centre crop of at most 100x100, centre crop to multiples of 8" in both.description


def test_only_psnr_and_ssim_can_leave_pixels_out():
    with pytest.raises(ValueError, match="only PSNR and SSIM"):
        Protocol("blurred", "", aligned=True, names=("psnr", "mae"))


def test_adaptive_average_pool_overlaps():
    rows = np.arange(5.0)[:, None]
    np.testing.assert_allclose(adaptive_average_pool(rows, (2, 1))[:, 0], [1.0, 3.0])  # cells 0..2 and 2..4
    exact = np.random.default_rng(0).random((6, 8, 3))
    np.testing.assert_allclose(
        adaptive_average_pool(exact, (3, 4)), exact.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3)), atol=1e-12
    )


@pytest.mark.parametrize("name", list_protocols())
def test_every_protocol_describes_itself(name):
    protocol = get_protocol(name)
    assert protocol.name == name
    cropped = protocol.crop_multiple > 1 or protocol.centre_crop
    for word in ("round", "crop" if cropped else "image", "SSIM", "down"):
        assert word in protocol.description
    assert ("warped onto its target" in protocol.description) == protocol.aligned
    assert set(protocol.names) <= set(DECIMALS) == set(TITLES)
    side = 2 * protocol.border + 3  # nine pixels are left
    picture = np.random.default_rng(0).random((side, side, 3))
    assert tuple(protocol.measure(picture, picture)) == protocol.names


def test_bad_requests_are_named():
    with pytest.raises(ProtocolError, match="did you mean 'aecr-zoo'"):
        get_protocol("aecrzoo")
    with pytest.raises(ProtocolError, match="4x4 and its target 4x5"):
        get_protocol("rgb").measure(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ProtocolError, match="too small"):
        get_protocol("aecr-zoo").measure(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)))
