"""Haze at a working size: the change is computed small and carried to full size, without seams and in little memory."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from mindrestore.inference.working_size import (
    Change,
    at_working_size,
    fitted_change,
    shrunken,
    working_size,
)


def half(height, width):
    return height // 2, width // 2


def brighten(image):
    """Stand in for a network: an affine change, the same everywhere."""
    return np.clip(1.25 * image - 0.1, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def scene():
    """Grey shapes with edges and fine grain, (240, 320, 3), values 0.2 to 0.8."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.random((6, 8, 3), np.float32), (320, 240), interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(0.2 + 0.5 * coarse + 0.1 * rng.random((240, 320, 3), np.float32))


def test_small_images_are_seen_as_they_are(scene):
    seen = []
    small = scene[:204]  # 204 x 320 pixels: a row more is above 256 x 256
    restored = at_working_size(lambda image: seen.append(image) or image, lambda *size: size)(small)
    assert seen[0] is restored is small
    assert at_working_size(brighten, lambda *size: size)(scene[:205]) is not scene


def test_the_grid_of_windows_is_smoothed_at_the_working_size_too(scene):
    """Steps of 0.02 every 8 pixels, as attention windows leave them, come back ten times smaller."""
    steps = 0.02 * (np.arange(320) // 8 % 2)[None, :, None].astype(np.float32)
    restored = at_working_size(lambda image: image + steps, lambda *size: size)(scene)
    borders = np.abs(np.diff(restored - scene, axis=1))[:, 7::8]
    assert borders.mean() < 0.002


def test_an_affine_change_is_carried_over_exactly_but_for_flat_windows(scene):
    restored = at_working_size(brighten, half)(scene)
    assert restored.dtype == np.float32
    assert np.abs(restored - brighten(scene)).mean() < 0.001
    assert np.abs(at_working_size(brighten, half, flat=1e-9)(scene) - brighten(scene)).max() < 1e-3


def test_flat_windows_keep_their_grain():
    """In a sky the network moves the level alone; the grain, which it hardly sees, stays."""
    grain = 0.004 * np.random.default_rng(0).standard_normal((128, 128, 3)).astype(np.float32)
    restored = at_working_size(lambda image: image - np.float32(0.1), half)(0.6 + grain)
    assert np.abs(restored - (0.5 + grain)).max() < 1e-4


def test_edges_and_grain_of_the_large_image_stay(scene):
    """A change that depends on the place only, as haze does: what is carried over equals the change at full size."""
    scene = np.tile(scene, (2, 2, 1))  # (480, 640, 3)
    height, width = scene.shape[:2]

    def clear(image):
        rows = np.linspace(0.9, 0.4, image.shape[0], dtype=np.float32)[:, None, None]  # transmission
        return (image - 0.8 * (1 - rows)) / rows

    restored = at_working_size(lambda image: clear(image).astype(np.float32), half)(np.float32(0.5 + 0.2 * scene))
    expected = np.clip(clear(np.float32(0.5 + 0.2 * scene)), 0, 1)
    enlarged = cv2.resize(cv2.resize(expected, (width // 2, height // 2)), (width, height))
    assert np.abs(restored - expected).mean() < 0.005
    assert np.abs(enlarged - expected).mean() > 0.0075  # enlarging the small result would lose the grain


@pytest.mark.parametrize("shape", [(1501, 2003), (999, 1000)])
def test_a_gradient_has_no_step_at_any_row_or_column(shape):
    """Strips and the enlarged change leave no line: second differences of a smooth image stay as small as its own."""
    rows = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    image = np.repeat((0.2 + 0.5 * rows * np.linspace(0.3, 1, shape[1], dtype=np.float32))[..., None], 3, axis=2)
    restored = at_working_size(lambda small: np.sqrt(small), lambda h, w: working_size(h, w, 50_000))(image)
    assert np.abs(restored - np.sqrt(image)).max() < 0.006  # at the border, whose windows are mirrored
    for axis in (0, 1):
        jumps = np.abs(np.diff(restored, n=2, axis=axis))
        assert jumps.max() < 2e-5  # a step of one grey level of 255 would be 4e-3


@pytest.mark.parametrize(("dtype", "levels"), [(np.uint8, 255), (np.uint16, 65535)])
def test_whole_numbers_are_rounded_once(scene, dtype, levels):
    whole = np.rint(scene * levels).astype(dtype)
    restored = at_working_size(brighten, half)(whole)
    expected = at_working_size(brighten, half)((whole / levels).astype(np.float32))
    assert restored.dtype == dtype
    assert np.abs(restored.astype(np.float64) - expected.astype(np.float64) * levels).max() <= 0.5 + levels * 1e-6


def test_shrinking_averages_what_lies_under_a_pixel():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    blocks = image.reshape(20, 3, 30, 3, 3).mean((1, 3)) / 255
    np.testing.assert_allclose(shrunken(image, 20, 30), blocks, atol=1e-6)
    whole = cv2.resize(image / np.float32(255), (37, 23), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(shrunken(image, 23, 37), whole, atol=1e-6)


def test_the_change_is_a_guided_filter(scene):
    """Slopes and offsets against a filter written from the formulas with loops, far from the border."""
    after, radius, flat = np.sqrt(scene), 3, 1e-3
    change = fitted_change(scene, after.astype(np.float32), radius, flat)

    def line(row, column, channel):
        window = np.s_[row - radius : row + radius + 1, column - radius : column + radius + 1, channel]
        x, y = scene[window].astype(np.float64), after[window].astype(np.float64)
        slope = ((x * y).mean() - x.mean() * y.mean() + flat) / (x.var() + flat)
        return slope, y.mean() - slope * x.mean()

    near = range(-radius, radius + 1)
    lines = np.array([line(40 + down, 50 + right, 1) for down in near for right in near])
    np.testing.assert_allclose([change.slope[40, 50, 1], change.offset[40, 50, 1]], lines.mean(0), atol=2e-4)


def test_large_images_take_little_beside_themselves_and_the_small_one():
    image = np.zeros((3000, 2000, 3), np.uint8)
    change = Change(np.ones((300, 200, 3), np.float32), np.zeros((300, 200, 3), np.float32))
    tracemalloc.start()
    change.applied_to(image)
    shrunken(image, 300, 200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes + 2 * 300 * 2000 * 3 * 4 + 4e6  # the result, the widened change, strips


@pytest.mark.parametrize("size", [(3000, 4000), (4000, 3000), (500, 1000), (1, 9_000_000)])
def test_working_sizes_keep_the_shape_of_the_image(size):
    small = working_size(*size, 500_000)
    assert 0.99 < small[0] * small[1] / min(size[0] * size[1], 500_000) < 1.01 or min(size) == 1
    if size[0] > 1:
        assert abs(small[0] / small[1] - size[0] / size[1]) < 0.002
    assert working_size(500, 1000, 500_000) == (500, 1000)
