"""The self-supervised term against golden numbers: kernels, views, gradient, falling weight."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from mindrestore.errors import MindRestoreError
from mindrestore.losses.batch_context import BatchContext
from mindrestore.losses.consistency import ConsistencyLoss, blur_matrix
from mindrestore.losses.objective import build_objective
from mindrestore.recipes.build import build
from mindrestore.recipes.schema import LossConfig

CROP = 16


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "crossdehaze.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return np.load(path)


def at(epoch=0, epochs=1001, side=64, seed=0, width=None):
    return BatchContext(epoch, epochs, side, width or side, np.random.default_rng(seed))


@pytest.mark.parametrize("taps", [("w", 9), ("h", 21)])
def test_kernels(golden, taps):
    name, count = taps
    for sigma in golden["ssl.sigmas"]:
        middle = blur_matrix(count, count, float(sigma))[count // 2]
        np.testing.assert_allclose(middle, golden[f"ssl.kernel_{name}{count}_s{sigma}"], atol=1e-7)


def inputs_for(sigma, image):
    term = ConsistencyLoss(sigma=(sigma, sigma))
    return term, [Tensor(array) for array in term.term_inputs(at(side=image.shape[2], width=image.shape[3]))[1:]]


@pytest.mark.parametrize("case", ["A", "B"])
def test_views_value_and_gradient(golden, case):
    image = golden[f"{case}.y"]
    for i, sigma in enumerate(golden["ssl.sigmas"].tolist()):
        term, inputs = inputs_for(sigma, image)
        rows, columns, down, across = (tensor.asnumpy() for tensor in inputs)
        weak = image[:, :, rows][:, :, :, columns]
        np.testing.assert_array_equal(weak, golden[f"ssl.{case}.weak"])
        strong = golden[f"ssl.{case}.strong"][i]
        np.testing.assert_allclose(down @ weak @ across, strong, atol=1e-4 * np.abs(strong).max())

        value, gradient = ms.value_and_grad(lambda y, term=term, inputs=inputs: term(y, None, None, *inputs))(
            Tensor(image)
        )
        assert float(value) == pytest.approx(float(golden[f"ssl.{case}.mse"][i]), rel=1e-4, abs=1e-9)
        gradient = gradient.asnumpy()
        expected = golden[f"ssl.{case}.grad_in_crop"][i]
        found = gradient[:, :, rows][:, :, :, columns]
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(np.abs(expected).max(), 1e-9))
        assert np.abs(gradient).sum() == pytest.approx(np.abs(found).sum(), rel=1e-6)  # nothing outside


def test_weight_falls_as_published(golden):
    base, horizon = golden["beta.base_total"]
    term = ConsistencyLoss(horizon=int(horizon))
    values = [base * term.factor(at(int(step))) for step in golden["beta.steps"]]
    steps = golden["beta.steps"]
    np.testing.assert_allclose(np.array(values)[steps <= horizon], golden["beta.values"][steps <= horizon], atol=1e-12)


def test_weight_reaches_zero_in_the_last_epoch_and_stays_there():
    term = ConsistencyLoss()
    assert [round(term.factor(at(epoch, 5)), 6) for epoch in (0, 1, 2, 4, 9)] == [1.0, 0.853553, 0.5, 0.0, 0.0]
    assert ConsistencyLoss().factor(at(0, 1)) == 1.0


def test_total_of_both_terms(golden):
    """Images in [0, 1] with weights 2 and 0.4 give the published sum, which has [-1, 1] and 1 and 0.1."""
    drawn = np.float32(np.random.RandomState(1).rand(1, 3, 64, 64) * 2 - 1)  # the rule of the golden files
    image, target = ((array + 1) / 2 for array in (golden["A.y"], drawn))
    steps, sigmas = golden["beta.steps"].tolist(), golden["ssl.sigmas"].tolist()
    for j, sigma in ((1, sigmas[1]), (4, sigmas[4])):
        terms = {"l1": {"weight": 2}, "consistency": {"weight": 0.4, "sigma": [sigma, sigma], "horizon": 1000}}
        objective = build_objective(build(LossConfig, {"terms": terms}))
        assert objective.names == ("l1", "consistency")
        for i in (0, 3, 6):
            term_inputs = [Tensor(array) for array in objective.term_inputs(at(steps[i]))]
            total, _, value = objective(Tensor(image), None, Tensor(target), *term_inputs)
            assert float(total) == pytest.approx(float(golden["ssl.A.total"][i, j]), rel=1e-5)
            assert 4 * float(value) == pytest.approx(float(golden["ssl.A.mse"][j]), rel=1e-4)


def test_draws_follow_the_moment_alone():
    term = ConsistencyLoss(crop="random")
    first, again, other = (term.term_inputs(at(seed=seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[3], other[3])
    places = {
        (int(rows[0]), int(columns[0])) for _, rows, columns, *_ in (term.term_inputs(at(seed=n)) for n in range(20))
    }
    assert len(places) > 15
    assert max(max(place) for place in places) <= 64 - CROP


def test_centre_rounds_halves_to_even():
    starts = [int(ConsistencyLoss().term_inputs(at(side=side))[1][0]) for side in (256, 61, 63)]
    assert starts == [120, 22, 24]


def test_images_smaller_than_the_crop_are_named():
    with pytest.raises(MindRestoreError, match=r"images of 12x64 pixels are smaller .* data\.patch_size=16"):
        ConsistencyLoss().term_inputs(at(side=64, width=12))


def test_the_order_of_sigma_is_checked():
    with pytest.raises(MindRestoreError, match=r"sigma \[5\.0, 0\.1\]"):
        build_objective(build(LossConfig, {"terms": {"consistency": {"sigma": [5.0, 0.1]}}}))


def test_crop_of_half_precision_is_compared_in_float32(golden):
    image = golden["A.y"]
    term, inputs = inputs_for(1.3, image)
    value = term(ops.cast(Tensor(image), ms.float16), None, None, *inputs)
    assert value.dtype == ms.float32
    assert float(value) == pytest.approx(float(golden["ssl.A.mse"][2]), rel=2e-3)
