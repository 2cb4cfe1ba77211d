"""Rain in large photographs: small forms of the result are restored, too, and what changes is carried to full size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mindrestore.data.rain import Rain, add_rain
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_rgb
from mindrestore.inference.coarse_to_fine import coarse_to_fine, small_forms
from mindrestore.inference.progress import ImageProgress
from mindrestore.inference.restorer import Restorer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((321, 481), []),
        ((600, 800), []),
        ((720, 1280), [(360, 640)]),
        ((1500, 2000), [(375, 500), (750, 1000)]),
        ((3000, 4000), [(375, 500), (750, 1000), (1500, 2000)]),
        ((1, 2_000_000), [(1, 500_000), (1, 1_000_000)]),
    ],
)
def test_the_smallest_form_has_about_a_quarter_of_a_megapixel(size, expected):
    assert small_forms(*size) == expected


@pytest.fixture(scope="module")
def scene():
    """A smooth clear scene, and a band on it that is 40 pixels wide, (750, 1000, 3) each."""
    rng = np.random.default_rng(0)
    clear = cv2.resize(rng.uniform(0.2, 0.6, (3, 4, 3)).astype(np.float32), (1000, 750), interpolation=cv2.INTER_CUBIC)
    band = np.zeros((750, 1000, 1), np.float32)
    band[:, 480:520] = 0.3
    return clear, clear + band


def narrow(image):
    """Stand in for a network that removes what is bright and at most 30 pixels wide."""
    return cv2.morphologyEx(image, cv2.MORPH_OPEN, np.ones((1, 31), np.uint8))


def test_what_is_wider_than_the_network_sees_goes_at_a_small_form(scene):
    clear, rainy = scene
    restored = coarse_to_fine(narrow, ImageProgress())(rainy)
    inside = np.s_[50:-50, 490:510]
    assert np.abs(narrow(rainy) - clear)[inside].mean() > 0.25  # the band stays at full size alone
    assert np.abs(restored - clear)[inside].mean() < 0.03


def test_what_goes_at_full_size_is_not_averaged_into_a_veil():
    """Single white columns, a third of all: in a small form they would be an even grey that nothing removes."""
    rainy = np.full((750, 1000, 3), 0.3, np.float32)
    rainy[:, ::3] = 0.9
    np.testing.assert_allclose(coarse_to_fine(narrow, ImageProgress())(rainy), 0.3, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_the_function_leaves_comes_back_to_the_bit(scene, dtype):
    peak = np.iinfo(dtype).max if dtype != np.float32 else 1
    image = (scene[1] * peak).astype(dtype)
    seen = []
    restored = coarse_to_fine(lambda form: seen.append((form.shape, form.dtype)) or form, ImageProgress())(image)
    np.testing.assert_array_equal(restored, image)
    assert seen == [((750, 1000, 3), dtype), ((375, 500, 3), np.float32)]


def test_changes_of_all_forms_add_up():
    """Every form loses a tenth of what is left, so that an image and two small forms of it leave 0.9 ** 3."""
    image = np.full((1500, 2000, 3), 0.5, np.float32)
    restored = coarse_to_fine(lambda form: form * np.float32(0.9), ImageProgress())(image)
    np.testing.assert_allclose(restored, 0.5 * 0.9**3, atol=1e-6)


def test_progress_goes_by_pixels_and_reaches_the_end():
    progress, told = ImageProgress(), []
    progress.listener = told.append

    def restore(image):
        progress.tell(1, 2)
        progress.tell(1, 1)
        return image

    coarse_to_fine(restore, progress)(np.zeros((1500, 2000, 3), np.float32))
    np.testing.assert_allclose(told, np.cumsum([8, 8, 0.5, 0.5, 2, 2]) / 21)


def test_networks_for_rain_see_small_forms_of_large_images():
    ways = {"device": "CPU"}
    assert Restorer(task="derain", **ways).coarse_to_fine
    assert not Restorer(task="derain", full_size=True, **ways).coarse_to_fine
    assert not Restorer(task="denoise", **ways).coarse_to_fine
    assert not Restorer(task="dehaze", **ways).coarse_to_fine


def test_a_batch_of_large_images_is_seen_as_each_alone(monkeypatch):
    monkeypatch.setattr("mindrestore.inference.coarse_to_fine.WORKING_PIXELS", 1500)
    rainy = to_float(read_rgb(ROOT / "samples" / "mountains.jpg"))[:64, :96].copy()
    rainy[:, 40:52] += 0.2
    photos = [np.clip(rainy, 0, 1), np.clip(rainy[:, ::-1], 0, 1)]
    restorer = Restorer(task="derain", device="CPU", batch=2)
    alone = Restorer(task="derain", device="CPU", full_size=True)
    for photo, restored in zip(photos, restorer.restore_batch(photos)):
        np.testing.assert_array_equal(restored, restorer(photo))
        assert np.abs(restored - alone(photo)).max() > 1e-3  # small forms change it


def test_wide_streaks_of_a_photograph_go(monkeypatch):
    """Streaks that are 15 pixels wide on the photograph of the samples: dB against it, in 0.14 megapixels."""
    monkeypatch.setattr("mindrestore.inference.coarse_to_fine.WORKING_PIXELS", 35_000)
    clear = cv2.resize(to_float(read_rgb(ROOT / "samples" / "mountains.jpg")), (450, 305))
    shower = Rain(width=0.05, length=0.6, density=0.12, blend="add")
    rainy = add_rain(clear, shower, np.random.default_rng(0))

    def quality(restored):
        return -10 * np.log10(((restored - clear) ** 2).mean())

    alone = quality(Restorer(task="derain", device="CPU", full_size=True)(rainy))
    used = quality(Restorer(task="derain", device="CPU")(rainy))
    assert used > alone + 2  # measured: 23.1 of the input, 23.3, 27.5
