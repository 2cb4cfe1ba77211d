"""Alignment of a restored image to its target: known shifts, gains and turns, and images that cannot be aligned."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from mindrestore.evaluation import metrics
from mindrestore.evaluation.alignment import AlignmentError, align
from mindrestore.evaluation.protocol import get_protocol

HEIGHT, WIDTH = 72, 96


def scene(top=0.0, left=0.0):
    """Return a smooth picture of endless waves, seen from a position in pixels."""
    y, x = np.mgrid[top : top + HEIGHT, left : left + WIDTH]
    waves = [
        np.sin(0.31 * x + 0.17 * y)
        + np.sin(0.23 * y - 0.11 * x)
        + np.sin(0.05 * x * (1 + c * 0.3) + 0.4 * c) * np.cos(0.07 * y)
        for c in range(3)
    ]
    return 0.5 + 0.15 * np.stack(waves, -1)  # (H, W, 3)


def eight_bit(image):
    return np.rint(np.clip(image, 0, 1) * 255) / 255


def rms(difference):
    return math.sqrt(np.mean(difference**2))


@pytest.mark.parametrize("gain", [0.25, 1.0, 1.6])
def test_a_darker_or_brighter_copy_is_scaled_back(gain):
    aligned, mask = align(gain * scene(), scene())
    assert mask.all()
    np.testing.assert_allclose(aligned, scene(), atol=2e-6)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -2), (2, 3), (-3, 1)])
def test_shifts_are_undone_and_what_went_out_of_sight_is_masked(down, right):
    aligned, mask = align(0.8 * scene(down, right), scene())
    # rows and columns that the shifted view does not show
    hidden_rows = slice(0, down) if down > 0 else slice(HEIGHT + down, HEIGHT)
    hidden_columns = slice(0, right) if right > 0 else slice(WIDTH + right, WIDTH)
    assert not mask[hidden_rows].any()
    assert not mask[:, hidden_columns].any()
    assert mask.mean() == pytest.approx((HEIGHT - abs(down)) * (WIDTH - abs(right)) / (HEIGHT * WIDTH), abs=0.02)
    # The gain is found before the shift is undone; of the error only that of the gain stays.
    seen, wanted = aligned[mask], scene()[mask]
    gain = np.sum(seen * wanted) / np.sum(seen**2)
    assert rms(gain * seen - wanted) < 0.004
    assert rms(0.8 * scene(down, right) - scene()) > 0.1


def test_the_gain_is_that_of_the_whole_images_before_warping():
    view, target = 0.8 * scene(2, 3), scene()
    factor = np.sum(view * target) / np.sum(view**2)
    aligned, mask = align(view, target)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) > 0
    assert aligned[inside].mean() == pytest.approx(factor * 0.8 * target[inside].mean(), rel=2e-3)
    assert factor * 0.8 < 0.99


def test_a_turned_view_is_turned_back():
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 1.5, 1.0)
    turned = cv2.warpAffine(scene(), turn, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    aligned, mask = align(turned, scene())
    middle = (slice(12, -12), slice(12, -12))
    assert mask[middle].all()
    assert not mask.all()
    assert rms((aligned - scene())[middle]) < 0.01 < rms((turned - scene())[middle])


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((HEIGHT, WIDTH, 3)), "black all over"),
        (np.full((HEIGHT, WIDTH, 3), 0.5), "did not converge"),
        (1 - scene(), "did not converge"),
    ],
    ids=["black", "flat", "negative"],
)
def test_images_that_cannot_be_aligned_are_refused(image, reason):
    with pytest.raises(AlignmentError, match=reason):
        align(image, scene())
    with pytest.raises(AlignmentError, match=reason):
        get_protocol("mpr-realblur").measure(image, scene())


# Numbers of a second implementation: scikit-image 0.24 (structural_similarity with gaussian_weights=True,
# use_sample_covariance=False, data_range=1, full=True) on images aligned with OpenCV 4.11.
@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ((0.0, 0.0, 0.8, 0.03), (28.583489, 0.859405)),
        ((1.0, -2.0, 0.9, 0.02), (32.885017, 0.945136)),
        ((0.5, 1.25, 1.1, 0.0), (49.173984, 0.999598)),
    ],
    ids=["darker", "whole pixels", "parts of pixels"],
)
def test_realblur_scores_equal_a_second_implementation(view, expected):
    top, left, gain, spread = view
    noise = spread * np.random.RandomState(3).standard_normal((HEIGHT, WIDTH, 3))
    image, target = eight_bit(gain * scene(top, left) + noise), eight_bit(scene())
    scores = get_protocol("mpr-realblur").measure(image, target)
    assert scores["psnr"] == pytest.approx(expected[0], abs=6e-3)  # float32 there; ECC ends where the processor says
    assert scores["ssim"] == pytest.approx(expected[1], abs=2e-5)
    assert get_protocol("rgb8").measure(image, target)["psnr"] < scores["psnr"] - 9


def test_realblur_counts_only_what_the_restored_image_covers():
    noise = 0.03 * np.random.RandomState(0).standard_normal((HEIGHT, WIDTH, 3))
    image, target = eight_bit(scene(0, 6) + noise), eight_bit(scene())
    scores = get_protocol("mpr-realblur").measure(image, target)
    aligned, mask = align(image, target)
    black = mask[..., None]
    assert mask.mean() == pytest.approx(1 - 6 / WIDTH, abs=0.01)
    assert scores["psnr"] == pytest.approx(-10 * math.log10(np.mean((aligned[mask] - target[mask]) ** 2)), abs=1e-4)
    assert scores["ssim"] == pytest.approx(metrics.ssim(aligned * black, target * black, mask=mask), abs=1e-7)
    assert scores["ssim"] < metrics.ssim(aligned * black, target * black) - 5e-4  # black equals black


def test_saved_files_are_measured_not_floating_point():
    target = eight_bit(scene())
    nearly = target + 0.3 / 255  # rounds to the target
    assert get_protocol("mpr-realblur").measure(nearly, target) == get_protocol("mpr-realblur").measure(target, target)
