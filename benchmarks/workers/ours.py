"""Build one case with MindRestore, compiled, and run it on request."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from protocol import arguments, serve

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from mindrestore.engine.context import setup
from mindrestore.models.layers import Conv2d, DeformConv2d
from mindrestore.models.registry import create_model, model_spec


def build(case: str, model: str, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that runs the case once and waits for its result."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.random(shape, dtype=np.float32))
    if case == "train":
        return training_step(model, x, Tensor(rng.random(shape, dtype=np.float32)))
    if case in ("forward", "conv"):
        cell = create_model(model) if case == "forward" else Conv2d(shape[1], shape[1], 3, padding=1)
        run = ms.jit(cell.construct)
        return lambda: first(run(x)).asnumpy()
    cell = DeformConv2d(shape[1], shape[1])
    weight = cell.conv_offset_mask.weight
    weight.set_data(Tensor(0.02 * rng.standard_normal(weight.shape).astype(np.float32)))  # offsets of a pixel or so
    if case == "dcn-forward":
        run = ms.jit(cell.construct)
        return lambda: run(x).asnumpy()

    def loss(x: Tensor) -> Tensor:
        return ops.square(cell(x)).sum()

    gradient = ms.jit(ms.grad(loss, grad_position=0, weights=cell.trainable_params()))
    return lambda: gradient(x)[0].asnumpy()


def first(output: Tensor | tuple) -> Tensor:
    """Take one of several outputs; reading it waits for all."""
    return first(output[0]) if isinstance(output, tuple) else output


def training_step(model: str, x: Tensor, target: Tensor) -> Callable[[], object]:
    """Return one whole update with L1 on every stage and Adam, as the trainer does it."""
    from mindrestore.engine.optim import build_optimizer
    from mindrestore.engine.step import StepOptions, SupervisedStep
    from mindrestore.losses.objective import build_objective
    from mindrestore.recipes.schema import LossConfig, OptimConfig

    net = create_model(model)
    optimizer = build_optimizer(OptimConfig(), net.trainable_params())
    objective = build_objective(LossConfig(), model_spec(model).stages)
    step = SupervisedStep(net, objective, optimizer, options=StepOptions())
    return lambda: step(x, target, 1e-4).total


def main() -> None:
    """Parse, build, serve."""
    parser = arguments()
    parser.add_argument("--model", default="aecrnet")
    args = parser.parse_args()
    setup("CPU", seed=1)
    shape = tuple(int(v) for v in args.size.split(","))
    serve(build(args.case, args.model, shape), f"mindspore {ms.__version__}")


if __name__ == "__main__":
    main()
