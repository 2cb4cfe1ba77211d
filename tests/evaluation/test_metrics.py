"""Metrics against public implementations, published colour pairs and values that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mindrestore.evaluation import metrics
from mindrestore.evaluation.protocol import get_protocol

# as in metrics.npz
PAIRS = ["noise5", "random_noise20", "haze", "identical", "tiny", "shift", "unrelated", "large_noise8", "large_dark"]


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "metrics.npz") as file:
        return {key: file[key] for key in file.files}


def luma(rgb8, rounded):
    y = rgb8 @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return np.rint(y) if rounded else y


def columns_of(a, b):
    """Compute the fourteen columns of the golden table for one pair of 8-bit images."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    ya, yb = luma(a, False), luma(b, False)
    ra, rb = luma(a, True), luma(b, True)
    p = {"peak": 255.0}
    return {
        "psnr_rgb": metrics.psnr(a, b, **p),
        "psnr_y": metrics.psnr(ya, yb, **p),
        "psnr_y_rounded": metrics.psnr(ra, rb, **p),
        "psnr_y_basicsr": metrics.psnr(ya, yb, **p),
        "ssim_rgb_gauss": metrics.ssim(a, b, **p),
        "ssim_rgb_uniform": metrics.ssim(a, b, window="uniform", **p),
        "ssim_rgb_basicsr": metrics.ssim(a, b, **p),
        "ssim_rgb_msssim": metrics.ssim(a, b, **p),
        "ssim_y_gauss": metrics.ssim(ya, yb, **p),
        "ssim_y_uniform": metrics.ssim(ya, yb, window="uniform", **p),
        "ssim_y_rounded_gauss": metrics.ssim(ra, rb, **p),
        "ssim_y_basicsr": metrics.ssim(ya, yb, **p),
        "ms_ssim_rgb": metrics.ms_ssim(a, b, **p),
        "ms_ssim_y": metrics.ms_ssim(ya, yb, **p),
    }


@pytest.mark.parametrize("pair", PAIRS)
def test_all_columns_equal_public_libraries(golden, pair):
    row = golden["values"][golden["pairs"].tolist().index(pair)]
    ours = columns_of(golden[f"{pair}.a"], golden[f"{pair}.b"])
    assert list(ours) == golden["columns"].tolist()
    for name, reference in zip(ours, row):
        tolerance = 2e-5 if "ms" in name else 1e-5
        np.testing.assert_allclose(ours[name], reference, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("pair", PAIRS)
def test_protocols_equal_public_libraries(golden, pair):
    """Protocols take [0,1] images; their scores must be those of the libraries on the 8-bit ones."""
    a, b = (golden[f"{pair}.{side}"] / 255 for side in "ab")
    row = dict(zip(golden["columns"].tolist(), golden["values"][golden["pairs"].tolist().index(pair)]))
    expected = {
        "rgb": {"psnr": "psnr_rgb", "ssim": "ssim_rgb_gauss", "ms_ssim": "ms_ssim_rgb"},
        "rgb8": {"psnr": "psnr_rgb", "ssim": "ssim_rgb_gauss", "ms_ssim": "ms_ssim_rgb"},
        "y-matlab": {"psnr": "psnr_y", "ssim": "ssim_y_gauss", "ms_ssim": "ms_ssim_y"},
        "dsrir-rgb": {"psnr": "psnr_rgb", "ssim": "ssim_rgb_uniform"},
        "dsrir-y": {"psnr": "psnr_y", "ssim": "ssim_y_uniform"},
        "mpr-derain": {"psnr": "psnr_y_rounded", "ssim": "ssim_y_rounded_gauss"},
    }
    for protocol, names in expected.items():
        scores = get_protocol(protocol).measure(a, b)
        for metric, column in names.items():
            np.testing.assert_allclose(scores[metric], row[column], rtol=0, atol=2e-5, err_msg=f"{protocol} {metric}")


def test_known_values():
    zeros, tenth = np.zeros((16, 16, 3)), np.full((16, 16, 3), 0.1)
    assert metrics.psnr(zeros, tenth) == pytest.approx(20.0)
    assert metrics.psnr(zeros, tenth * 255, peak=255.0) == pytest.approx(20.0)
    assert metrics.mae(zeros, tenth) == pytest.approx(0.1)
    assert metrics.psnr(zeros, zeros) == math.inf
    # constant images: variances vanish and only the luminance term stays
    assert metrics.ssim(zeros, tenth) == pytest.approx(1e-4 / (0.01 + 1e-4))
    for window in metrics.SSIM_WINDOWS:
        assert metrics.ssim(tenth, tenth, window=window) == pytest.approx(1.0)


def test_images_smaller_than_the_window_have_no_valid_ssim():
    small = np.zeros((10, 40))
    assert math.isnan(metrics.ssim(small, small))
    assert metrics.ssim(small, small, window="gaussian-zero-padded") == pytest.approx(1.0)
    assert math.isnan(metrics.ms_ssim(np.zeros((160, 161)), np.zeros((160, 161))))
    assert metrics.ms_ssim(np.zeros((161, 161)), np.zeros((161, 161))) == pytest.approx(1.0)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4\) and \(4, 5\)"):
        metrics.psnr(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="RGB"):
        metrics.ciede2000(np.zeros((4, 4)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="unknown SSIM window 'box'"):
        metrics.ssim(np.zeros((4, 4)), np.zeros((4, 4)), window="box")


# Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula", table 1
SHARMA = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514  0.9082
"""


def test_ciede2000_on_the_published_pairs():
    table = np.array(SHARMA.split(), np.float64).reshape(-1, 7)
    np.testing.assert_allclose(metrics.delta_e_2000(table[:, :3], table[:, 3:6]), table[:, 6], rtol=0, atol=6e-5)


def test_ciede2000_of_images():
    lab = metrics.rgb_to_lab(np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0]], np.float64))
    np.testing.assert_allclose(lab, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.03)
    black, white = np.zeros((3, 5, 3)), np.ones((3, 5, 3))
    assert metrics.ciede2000(black, white) == pytest.approx(100.0, abs=0.01)
    assert metrics.ciede2000(white, white) == 0.0
    random = np.random.default_rng(0).random((2, 600, 500, 3))  # more pixels than one pass takes
    whole = metrics.delta_e_2000(metrics.rgb_to_lab(random[0]), metrics.rgb_to_lab(random[1])).mean()
    assert metrics.ciede2000(*random) == pytest.approx(whole, rel=1e-9)
