"""Protocols against the numbers of the systems that use them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mindrestore.evaluation.protocol import (
    DECIMALS,
    HIGHER_IS_BETTER,
    ProtocolError,
    adaptive_average_pool,
    get_protocol,
    list_protocols,
)


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


def test_mprnet(golden_dir):
    file = golden(golden_dir, "mprnet_units.npz")
    a, b = file["metric/img_a"] / 255, file["metric/img_b"] / 255
    derain, gopro, sidd = (get_protocol(name).measure(a, b) for name in ("mpr-derain", "mpr-gopro", "mpr-sidd"))
    assert derain["psnr"] == pytest.approx(float(file["metric/psnr_y"]), abs=1e-8)
    assert derain["ssim"] == pytest.approx(float(file["metric/ssim_y_valid"]), abs=1e-8)
    assert gopro["psnr"] == pytest.approx(float(file["metric/psnr_rgb"]), abs=1e-8)
    assert gopro["ssim"] == pytest.approx(float(file["metric/ssim_rgb_volume"]), abs=1e-8)
    assert sidd == pytest.approx(gopro)  # 8-bit data: rounding changes nothing
    assert get_protocol("rgb8").measure(a, b)["ssim"] == pytest.approx(
        float(file["metric/ssim_rgb_mean_valid"]), abs=1e-8
    )


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
    for word in ("round", "crop" if protocol.crop_multiple > 1 else "image", "SSIM", "down"):
        assert word in protocol.description
    assert set(protocol.names) <= set(DECIMALS) == set(HIGHER_IS_BETTER)
    side = 2 * protocol.border + 1  # one pixel is left
    scores = protocol.measure(np.zeros((side, side, 3)), np.ones((side, side, 3)))
    assert tuple(scores) == protocol.names


def test_bad_requests_are_named():
    with pytest.raises(ProtocolError, match="did you mean 'aecr-zoo'"):
        get_protocol("aecrzoo")
    with pytest.raises(ProtocolError, match="4x4 and its target 4x5"):
        get_protocol("rgb").measure(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ProtocolError, match="too small"):
        get_protocol("aecr-zoo").measure(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)))
