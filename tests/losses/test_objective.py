"""Pixel losses against numpy, and the weighted sum of named terms."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindrestore.losses.objective import _BUILDERS, Objective, build_objective
from mindrestore.losses.pixel import CharbonnierLoss, L1Loss, MSELoss
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import LOSS_TERMS, LossConfig, build

RNG = np.random.default_rng(0)
A, B = (RNG.random((2, 3, 5, 7)).astype(np.float32) for _ in range(2))
D = A.astype(np.float64) - B


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (L1Loss(), np.abs(D).mean()),
        (MSELoss(), (D**2).mean()),
        (CharbonnierLoss(0.1), np.sqrt(D**2 + 0.01).mean()),
    ],
)
def test_pixel_losses(loss, expected):
    assert float(loss(Tensor(A), Tensor(A), Tensor(B))) == pytest.approx(expected, rel=1e-6)


def test_half_precision_output_is_compared_in_float32():
    value = L1Loss()(Tensor(A.astype(np.float16)), Tensor(A), Tensor(B))
    assert value.dtype == Tensor(A).dtype
    assert float(value) == pytest.approx(np.abs(A.astype(np.float16) - B.astype(np.float64)).mean(), rel=1e-5)


def test_total_is_the_weighted_sum_and_terms_are_unweighted():
    config = build(LossConfig, {"terms": {"l1": {"weight": 2}, "l2": {"weight": 0.5}}})
    objective = build_objective(config)
    total, l1, l2 = (float(v) for v in objective(Tensor(A), Tensor(A), Tensor(B)))
    assert objective.names == ("l1", "l2")
    assert (l1, l2) == (pytest.approx(np.abs(D).mean(), rel=1e-6), pytest.approx((D**2).mean(), rel=1e-6))
    assert total == pytest.approx(2 * l1 + 0.5 * l2, rel=1e-6)


def test_gradient_follows_the_weights():
    objective = Objective({"l1": (3.0, L1Loss())})

    def loss(output):
        return objective(output, None, Tensor(B))[0]

    gradient = ops.grad(loss)(Tensor(A)).asnumpy()
    np.testing.assert_allclose(gradient, 3 * np.sign(D) / D.size, rtol=1e-5)


def test_a_term_of_weight_zero_needs_no_file_and_is_announced():
    for override in ("loss.terms.contrastive.weight=0", "loss.terms.contrastive=null"):
        objective = build_objective(load_recipe("aecrnet/its", [override]).loss)
        assert objective.names == ("l1",)
        assert len(objective.notes) == 1
        assert "contrastive term is off" in objective.notes[0]


def test_every_term_of_the_schema_can_be_built():
    assert set(_BUILDERS) == set(LOSS_TERMS)
    for name in ("l1", "mse", "l2", "charbonnier"):
        assert isinstance(_BUILDERS[name]({"weight": 1.0, "eps": 1e-3}), nn.Cell)
