"""MPRNet in training against the published network: losses of every stage, and three steps of the optimiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from golden import assert_close, error, golden_array, section
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.step import SupervisedStep
from mindrestore.losses.objective import build_objective
from mindrestore.models.registry import create_model
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import LossConfig, build
from mindrestore.weights.convert import load_weights

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mprnet_training.npz"
SLOPE = 0.25
# Keep the outputs of random weights near [0, 1].
DAMPING = {"tail.weight": 0.002, "sam12.conv2.weight": 0.05, "sam23.conv2.weight": 0.05}
PLAIN_STAGE3, LOSS = 5e-4, 1e-4
TASKS = [
    pytest.param("deblurring", marks=pytest.mark.slow),
    pytest.param("denoising", marks=pytest.mark.slow),
    "deraining",
]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def fill(net: nn.Cell, damped: bool) -> nn.Cell:
    weights = {}
    for name, parameter in net.parameters_and_names():
        shape = tuple(parameter.shape)
        drawn = golden_array(name, shape) if len(shape) > 1 else np.full(shape, SLOPE, np.float32)
        weights[name] = drawn * np.float32(DAMPING.get(name, 1.0) if damped else 1.0)
    load_weights(net, weights)
    return net


@pytest.mark.parametrize("task", TASKS)
def test_golden_losses(golden, task):
    net = create_model(f"mprnet_{task}")
    x, target = Tensor(golden["in/b"]), Tensor(golden["target/b"])
    both = build_objective(build(LossConfig, {"terms": {"charbonnier": {}, "edge": {}}}), stages=3)
    clamped = build_objective(build(LossConfig, {"terms": {"charbonnier": {"clamp": True}}}), stages=3)
    published = build_objective(load_recipe(f"mprnet/{task}").loss, stages=3)
    for damped, prefix in ((False, f"{task}/loss/b/"), (True, f"{task}/damped/loss/b/")):
        output = fill(net, damped)(x)
        terms = dict(zip(both.names, (float(value) for value in both(output, x, target)[1:])))
        actual = {
            "char": np.array([terms[f"charbonnier_{stage}"] for stage in (3, 2, 1)]),
            "edge": np.array([terms[f"edge_{stage}"] for stage in (3, 2, 1)]),
            "char_clamped": np.array([float(value) for value in clamped(output, x, target)[1:]]),
            "total": float(published(output, x, target)[0]),
        }
        assert_close(actual, section(golden, prefix), LOSS if damped else PLAIN_STAGE3)


@pytest.mark.parametrize("task", TASKS)
def test_golden_training_steps(golden, task):
    recipe = load_recipe(f"mprnet/{task}")
    assert recipe.optim.weight_decay == (1e-8 if task == "denoising" else 0.0)
    net = fill(create_model(f"mprnet_{task}"), damped=True).set_train(True)
    optimizer = build_optimizer(recipe.optim, net.trainable_params())
    step = SupervisedStep(net, build_objective(recipe.loss, stages=3), optimizer)
    x, target, expected = Tensor(golden["in/c"]), Tensor(golden["target/c"]), section(golden, f"{task}/adam/")
    losses = [step(x, target, lr=float(expected["lr"])).total for _ in range(3)]
    slope = next(p for name, p in net.parameters_and_names() if p.size == 1).asnumpy()
    losses.append(step(x, target, lr=float(expected["lr"])).total)  # of the weights after three steps
    assert error(losses, expected["loss_trace"]) < LOSS
    assert error(np.diff(losses), np.diff(expected["loss_trace"])) < 0.02
    # The slope moves by 3e-6 at most and float32 holds it to 3e-8.
    np.testing.assert_allclose(slope - SLOPE, expected["prelu_after_3_steps"] - SLOPE, rtol=0, atol=1e-7)
