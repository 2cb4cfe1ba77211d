"""Both sides of adversarial training, with a discriminator whose scores are known."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from mindrestore.errors import MindRestoreError
from mindrestore.losses.adversarial import AdversarialLoss, DiscriminatorLoss
from mindrestore.losses.objective import build_objective
from mindrestore.recipes.build import build
from mindrestore.recipes.schema import LossConfig


class Brightness(nn.Cell):
    """Score an image by its mean, times a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = Parameter(Tensor([0.5], ms.float32), name="gain")

    def construct(self, x):
        return self.gain * x.mean((1, 2, 3))


def images(*means: float) -> Tensor:
    return Tensor(np.stack([np.full((3, 4, 4), mean, np.float32) for mean in means]))


def test_the_network_pays_one_minus_the_mean_score():
    term = AdversarialLoss(Brightness(), 0.1)
    value, gradient = ops.value_and_grad(term, 0)(images(0.2, 0.6), None, None)
    assert float(value) == pytest.approx(1 - 0.5 * 0.4)
    np.testing.assert_allclose(gradient.asnumpy(), -0.5 / (2 * 48), rtol=1e-6)


def test_the_discriminator_pays_for_wrong_scores_with_the_published_factor():
    term = AdversarialLoss(Brightness(), 0.1)
    loss = term.discriminator_loss()
    assert isinstance(loss, DiscriminatorLoss)
    total, real, fake = (float(value) for value in loss(images(0.2, 0.6), images(0.8, 1.0)))
    assert (real, fake) == (pytest.approx(0.45), pytest.approx(0.2))
    assert total == pytest.approx(1 - 0.45 + 0.9 * 0.2)
    gradient = ops.grad(lambda *pair: loss(*pair)[0], None, list(term.discriminator.trainable_params()))
    (slope,) = gradient(images(0.2, 0.6), images(0.8, 1.0))
    assert float(slope) == pytest.approx(-0.9 + 0.9 * 0.4)
    to_output = ops.grad(lambda *pair: loss(*pair)[0], 0)(images(0.2, 0.6), images(0.8, 1.0))
    np.testing.assert_array_equal(to_output.asnumpy(), 0)


def test_clear_and_restored_images_are_judged_apart():
    """A joint call would give the batch normalisation other statistics."""
    objective = build_objective(build(LossConfig, {"terms": {"adversarial": {}}}))
    loss = objective.adversary.discriminator_loss()
    rng = np.random.default_rng(0)
    output, target = (Tensor(rng.random((2, 3, 32, 32), np.float32) * gain) for gain in (0.2, 1.0))
    total, real, fake = (float(value) for value in loss(output, target))
    judge = objective.adversary.discriminator
    apart = [judge(x).asnumpy() for x in (target, output)]
    together = judge(ops.concat((target, output), 0)).asnumpy()
    assert (real, fake) == (pytest.approx(apart[0].mean(), abs=1e-6), pytest.approx(apart[1].mean(), abs=1e-6))
    assert np.abs(together[:2] - apart[0]).max() > 1e-3  # of each image: the means of both may agree by chance
    assert total == pytest.approx(1 - real + 0.9995 * fake, abs=1e-6)


def test_the_recipe_builds_the_whole_objective_of_the_released_program():
    terms = {"smooth_l1": {}, "ms_ssim": {}, "adversarial": {"lr_factor": 0.5}}
    objective = build_objective(build(LossConfig, {"terms": terms}))
    assert objective.names == ("smooth_l1", "ms_ssim", "adversarial")
    assert "5,215,425 parameters is trained beside" in " ".join(objective.notes)
    rng = np.random.default_rng(1)
    output, target = (Tensor(rng.random((1, 3, 32, 32), np.float32)) for _ in range(2))
    total, smooth, structure, adversarial = (float(value) for value in objective(output, output, target))
    assert total == pytest.approx(smooth + 0.5 * structure + 0.0005 * adversarial, rel=1e-6)
    assert 0 < adversarial < 1
    assert (objective.adversary.weight, objective.adversary.lr_factor) == (0.0005, 0.5)


def test_without_the_term_there_is_no_adversary_and_the_log_says_so():
    objective = build_objective(build(LossConfig, {"terms": {"l1": {}, "adversarial": {"weight": 0}}}))
    assert objective.adversary is None
    assert objective.names == ("l1",)
    assert "without a discriminator" in objective.notes[0]


def test_networks_with_several_images_are_refused():
    with pytest.raises(MindRestoreError, match="adversarial judges one image, but the network returns 3"):
        build_objective(build(LossConfig, {"terms": {"adversarial": {}}}), stages=3)
