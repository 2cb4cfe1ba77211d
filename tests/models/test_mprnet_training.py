"""MPRNet in training against the published network: losses of every stage, and three steps of the optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor

from golden import DAMPING, assert_close, error, load_golden_mprnet, section
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.step import SupervisedStep
from mindrestore.engine.values import read_values
from mindrestore.losses.objective import build_objective
from mindrestore.models.registry import create_model
from mindrestore.recipes.build import build
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import LossConfig

PLAIN_STAGE3, LOSS = 5e-4, 1e-4
SLOPE = 0.25
SLOW = ("deblurring", "denoising")


@pytest.fixture(scope="module", params=[*(pytest.param(task, marks=pytest.mark.slow) for task in SLOW), "deraining"])
def case(request, golden_dir):
    """Return a task and its golden arrays."""
    with np.load(golden_dir / f"mprnet_{request.param}.npz") as file:
        return request.param, dict(file)


def test_golden_losses(case):
    task, golden = case
    net = create_model(f"mprnet_{task}")
    x, target = Tensor(golden["in/b"]), Tensor(golden["target/b"])
    both = build_objective(build(LossConfig, {"terms": {"charbonnier": {}, "edge": {}}}), stages=3)
    clamped = build_objective(build(LossConfig, {"terms": {"charbonnier": {"clamp": True}}}), stages=3)
    published = build_objective(load_recipe(f"mprnet/{task}").loss, stages=3)
    for damping, prefix in ((None, "loss/b/"), (DAMPING, "damped/loss/b/")):
        output = load_golden_mprnet(net, damping)(x)
        terms = dict(zip(both.names, (float(value) for value in both(output, x, target)[1:])))
        actual = {
            "char": np.array([terms[f"charbonnier_{stage}"] for stage in (3, 2, 1)]),
            "edge": np.array([terms[f"edge_{stage}"] for stage in (3, 2, 1)]),
            "char_clamped": np.array([float(value) for value in clamped(output, x, target)[1:]]),
            "total": float(published(output, x, target)[0]),
        }
        assert_close(actual, section(golden, prefix), LOSS if damping else PLAIN_STAGE3)


@pytest.mark.slow  # two minutes; `test_mprnet.py` compares the gradients, `tests/engine/test_step.py` the updates
def test_golden_training_steps(case):
    task, golden = case
    recipe = load_recipe(f"mprnet/{task}")
    assert recipe.optim.weight_decay == (1e-8 if task == "denoising" else 0.0)
    net = load_golden_mprnet(create_model(f"mprnet_{task}"), DAMPING).set_train(True)
    optimizer = build_optimizer(recipe.optim, net.trainable_params())
    step = SupervisedStep(net, build_objective(recipe.loss, stages=3), optimizer)
    x, target, expected = Tensor(golden["in/c"]), Tensor(golden["target/c"]), section(golden, "adam/")
    losses = [step(x, target, lr=float(expected["lr"])).total for _ in range(3)]
    (slope,) = read_values(
        p for p in net.get_parameters() if p.size == 1
    )  # a copy: the next step changes the parameter
    losses.append(step(x, target, lr=float(expected["lr"])).total)  # of the weights after three steps
    assert error(losses, expected["loss_trace"]) < LOSS
    assert error(np.diff(losses), np.diff(expected["loss_trace"])) < 0.02
    # The slope moves by 3e-6 at most and float32 holds it to 3e-8.
    np.testing.assert_allclose(slope - SLOPE, expected["prelu_after_3_steps"] - SLOPE, rtol=0, atol=1e-7)
