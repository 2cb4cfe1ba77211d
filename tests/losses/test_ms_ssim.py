"""MS-SSIM as a loss against numbers of the published function in double precision, and its gradient."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from mindrestore.losses.ms_ssim import MSSSIM, MSSSIMLoss, similarity, window_matrix
from mindrestore.losses.pixel import SmoothL1Loss

# side, pair, normalised, not normalised, SSIM of the full size, smooth L1; in float64, to 1e-4
TABLE = [
    (256, "A", 0.947610, 0.89576, 0.86565, 0.012490),
    (256, "B", 0.648764, 0.29525, 0.85955, 0.015008),
    (192, "A", 0.955629, 0.91135, 0.86666, 0.012456),
    (192, "B", 0.616731, 0.22679, 0.86092, 0.014998),
    (64, "A", 0.944683, 0.89007, 0.86712, 0.012454),
    (64, "B", 0.661548, 0.32517, 0.86520, 0.015054),
]


def images(side: int) -> dict[str, np.ndarray]:
    """Return a pattern P, one of less contrast (A), and that with waves (B)."""
    c, y, x = np.meshgrid(np.arange(3), np.arange(side), np.arange(side), indexing="ij")
    pattern = ((3 * c + 5 * y + 7 * x + x * y // 16) % 17) / 16
    paler = 0.6 * pattern + 0.3
    waves = np.clip(paler + 0.1 * np.sin(0.05 * (x + 2 * y)), 0, 1)
    return {name: value[None].astype(np.float32) for name, value in {"P": pattern, "A": paler, "B": waves}.items()}


@pytest.mark.parametrize(("side", "pair", "normalised", "plain", "ssim", "smooth"), TABLE)
def test_table_of_the_published_function(side, pair, normalised, plain, ssim, smooth):
    given = images(side)
    x, y = Tensor(given[pair]), Tensor(given["P"])
    assert float(MSSSIM()(x, y)) == pytest.approx(normalised, abs=1e-4)
    assert float(MSSSIM(normalise=False)(x, y)) == pytest.approx(plain, abs=1e-4)
    assert float(similarity(x, y)[0]) == pytest.approx(ssim, abs=1e-4)
    assert float(SmoothL1Loss()(x, None, y)) == pytest.approx(smooth, abs=1e-6)


def test_two_equal_pairs_in_a_batch_count_as_one_and_equal_images_give_zero():
    given = images(64)
    x, y = (Tensor(np.concatenate([given[name]] * 2)) for name in "AP")
    assert float(MSSSIM()(x, y)) == pytest.approx(0.944683, abs=1e-4)
    assert float(MSSSIMLoss()(y, x, y)) == pytest.approx(0, abs=1e-6)
    assert float(MSSSIMLoss()(x, x, y)) == pytest.approx(1 - 0.944683, abs=1e-4)


def test_half_precision_is_computed_in_float32():
    given = images(64)
    half = given["B"].astype(np.float16)
    value = MSSSIM()(Tensor(half), Tensor(given["P"]))
    assert value.dtype == ms.float32
    assert float(value) == pytest.approx(float(MSSSIM()(Tensor(half.astype(np.float32)), Tensor(given["P"]))), abs=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_gradient_equals_finite_differences(graph):
    rng = np.random.default_rng(0)
    y, x = rng.random((2, 1, 3, 24, 33), np.float32)
    loss = MSSSIMLoss()
    run = ops.value_and_grad(loss, 0)
    value, gradient = (ms.jit(run) if graph else run)(Tensor(x), Tensor(x), Tensor(y))
    direction = gradient.asnumpy() / np.linalg.norm(gradient.asnumpy())
    step = 0.05
    up, down = (float(loss(Tensor(x + s * direction), None, Tensor(y))) for s in (step, -step))
    assert (up - down) / (2 * step) == pytest.approx(np.linalg.norm(gradient.asnumpy()), rel=1e-2)
    assert down < float(value) < up


@pytest.mark.parametrize("size", [1, 4, 8, 11, 20])
def test_windows_lie_inside_and_add_up_to_one(size):
    matrix = window_matrix(size)
    assert matrix.shape == (max(size - 10, 1), size)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-12)
    width = min(size, 11)
    assert np.argmax(matrix[0]) == width // 2
    if width > 2:
        assert matrix[0, width // 2 - 1] / matrix[0, width // 2] == pytest.approx(np.exp(-1 / 4.5))


def test_too_small_images_are_refused():
    small = Tensor(np.zeros((1, 3, 15, 40), np.float32))
    with pytest.raises(ValueError, match=r"15x40 pixels are too small .* ms_ssim: use patches of at least 16x16"):
        MSSSIMLoss()(small, small, small)
