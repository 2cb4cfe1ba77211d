"""Noise: the published one to the last grey level, and the same for one image wherever it is measured."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.errors import MindRestoreError


def test_the_published_noise(golden_dir):
    with np.load(golden_dir / "dsrir.npz") as golden:
        for sigma in (15, 25, 50):
            ours = add_noise(golden["noise.clean"], sigma, np.random.RandomState(0))
            assert np.array_equal(ours, golden[f"noise.test{sigma}"])
        ours = add_noise(golden["noise.clean"], int(golden["noise.train_sigma"]), np.random.RandomState(0))
        assert np.array_equal(ours, golden["noise.train"])


@pytest.mark.parametrize(
    ("dtype", "middle"), [(np.uint8, 128), (np.uint16, 128 * 257), (np.float32, 128 / 255), (np.float64, 128 / 255)]
)
def test_deviation_and_mean_are_those_asked_for(dtype, middle):
    image = np.full((300, 300, 3), middle, dtype)
    noisy = add_noise(image, 25, np.random.default_rng(0)).astype(float)
    assert noisy.std() == pytest.approx(25, rel=0.01)
    assert noisy.mean() == pytest.approx(127.5, abs=0.2)  # the fraction is cut off
    if dtype is np.uint8:
        assert np.array_equal(add_noise(image, 0, np.random.default_rng(0)), image)


def test_the_noise_of_an_image_depends_on_seed_sigma_and_name_alone():
    clean = np.full((4, 5, 3), 100, np.uint8)
    noisy = {
        key: add_noise(clean, 25, noise_rng(*key)).tobytes()
        for key in ((1234, 25, "a.png"), (1234, 25, "b.png"), (1235, 25, "a.png"), (1234, 15, "a.png"))
    }
    assert len(set(noisy.values())) == 4
    again = add_noise(clean, 25, noise_rng(1234, 25, "a.png"))
    assert again.tobytes() == noisy[1234, 25, "a.png"]
    assert again[0].tolist() == FIRST_ROW  # the same on every machine


FIRST_ROW = [[126, 108, 101], [125, 128, 84], [73, 108, 55], [89, 131, 106], [143, 91, 91]]


def test_negative_noise_is_refused():
    with pytest.raises(MindRestoreError, match="-1"):
        add_noise(np.zeros((2, 2, 3), np.uint8), -1, np.random.default_rng(0))
