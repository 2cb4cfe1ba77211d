"""Pixel losses against numpy, and the weighted sum of named terms."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindrestore.errors import MindRestoreError
from mindrestore.losses.objective import Objective, build_objective, build_term
from mindrestore.losses.pixel import CharbonnierLoss, L1Loss, MSELoss, SmoothL1Loss
from mindrestore.recipes.build import build
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import LossConfig
from mindrestore.recipes.terms import LOSS_TERMS, AdversarialTerm, CharbonnierTerm

RNG = np.random.default_rng(0)
A, B = (RNG.random((2, 3, 5, 7)).astype(np.float32) for _ in range(2))
D = A.astype(np.float64) - B


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (L1Loss(), np.abs(D).mean()),
        (MSELoss(), (D**2).mean()),
        (CharbonnierLoss(0.1), np.sqrt(D**2 + 0.01).mean()),
        (SmoothL1Loss(), (D**2 / 2).mean()),
    ],
)
def test_pixel_losses(loss, expected):
    assert float(loss(Tensor(A), Tensor(A), Tensor(B))) == pytest.approx(expected, rel=1e-6)


def test_smooth_l1_is_quadratic_below_one_and_linear_above():
    far = np.array([[[[-3.0, -1.0, -0.5, 0.0, 0.25, 2.0]]]], np.float32)
    value, gradient = ops.value_and_grad(SmoothL1Loss(), 0)(Tensor(far), None, Tensor(np.zeros_like(far)))
    assert float(value) == pytest.approx((2.5 + 0.5 + 0.125 + 0 + 0.03125 + 1.5) / 6, rel=1e-6)
    np.testing.assert_allclose(gradient.asnumpy(), np.clip(far, -1, 1) / 6, rtol=1e-6)


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


def test_every_term_of_the_table_can_be_built():
    for name, row in LOSS_TERMS.items():
        if hasattr(row.settings(), "vgg_weights"):
            with pytest.raises(MindRestoreError, match=f"loss term {name} needs ImageNet weights of vgg19"):
                build_term(name, row.settings())
        else:
            assert isinstance(build_term(name, row.settings()), nn.Cell)
    assert build_term("charbonnier", CharbonnierTerm(eps=0.5, clamp=True)).clamp is True
    assert build_term("adversarial", AdversarialTerm(weight=0.25, lr_factor=3.0)).lr_factor == 3.0


STAGES = tuple(RNG.random(A.shape).astype(np.float32) for _ in range(3))  # final stage first
DISTANCES = [np.abs(stage.astype(np.float64) - B).mean() for stage in STAGES]
SQUARES = [((stage.astype(np.float64) - B) ** 2).mean() for stage in STAGES]


class Uncertain(nn.Cell):
    """A term on the whole output: the distance of the first image to the last."""

    raw_output = True

    def construct(self, output, batch_input, target):
        return ops.abs(output[0] - output[2]).mean()


def staged(terms, stage_weights=()):
    return build_objective(build(LossConfig, {"terms": terms, "stage_weights": stage_weights}), stages=3)


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
@pytest.mark.parametrize("nested", [False, True])
def test_every_stage_is_measured_named_and_added(graph, nested):
    objective = staged({"l1": {}, "mse": {"weight": 0.5}}, (1.0, 0.5, 0.25))
    parts = ("l1", "mse", "total")
    assert objective.names == tuple(f"{part}_{stage}" for stage in (3, 2, 1) for part in parts)
    assert "for stages 3/2/1" in objective.notes[0]
    images = tuple(Tensor(stage) for stage in STAGES)
    output = (images, images[::-1]) if nested else images
    total, *values = (ms.jit(objective) if graph else objective)(output, Tensor(A), Tensor(B))
    totals = [d + 0.5 * q for d, q in zip(DISTANCES, SQUARES)]
    expected = [value for row in zip(DISTANCES, SQUARES, totals) for value in row]
    np.testing.assert_allclose([float(value) for value in values], expected, rtol=1e-6)
    assert float(total) == pytest.approx(totals[0] + 0.5 * totals[1] + 0.25 * totals[2], rel=1e-6)


def test_one_term_needs_no_stage_totals():
    assert staged({"charbonnier": {}}).names == ("charbonnier_3", "charbonnier_2", "charbonnier_1")


def test_a_term_on_the_raw_output_is_called_once_under_its_own_name():
    objective = Objective({"spread": (2.0, Uncertain()), "l1": (1.0, L1Loss())}, stage_weights=(1.0, 1.0, 1.0))
    assert objective.names == ("l1_3", "l1_2", "l1_1", "spread")
    total, *values = objective(tuple(Tensor(stage) for stage in STAGES), Tensor(A), Tensor(B))
    spread = np.abs(STAGES[0].astype(np.float64) - STAGES[2]).mean()
    assert float(values[-1]) == pytest.approx(spread, rel=1e-6)
    assert float(total) == pytest.approx(sum(DISTANCES) + 2 * spread, rel=1e-6)


def test_gradient_reaches_every_stage_by_its_weight():
    objective = staged({"l1": {}}, (1.0, 0.5, 0.0))

    def loss(*stages):
        return objective(stages, None, Tensor(B))[0]

    gradients = ops.grad(loss, (0, 1, 2))(*(Tensor(stage) for stage in STAGES))
    for gradient, stage, weight in zip(gradients, STAGES, (1.0, 0.5, 0.0)):
        np.testing.assert_allclose(gradient.asnumpy(), weight * np.sign(stage - B) / B.size, rtol=1e-5)


def test_stage_weights_have_to_fit_the_network():
    with pytest.raises(MindRestoreError, match=r"stage_weights \[1.0, 0.5\] has 2 numbers, .* returns 3 images"):
        staged({"l1": {}}, (1.0, 0.5))
    with pytest.raises(MindRestoreError, match="returns 1 image;"):
        build_objective(build(LossConfig, {"stage_weights": [1.0, 0.5]}))
