"""A network, an objective and a loader that are small enough for every test of the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindrestore.losses.objective import build_objective
from mindrestore.recipes.build import build
from mindrestore.recipes.schema import LossConfig, LossScaleConfig, Recipe

SIZE = 8


class TinyNet(nn.Cell):
    """Two convolutions and a running mean that only training writes, as FastDeconv and batch norm do."""

    def __init__(self, width: int = 4, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        first, second = (
            Tensor((0.3 * rng.standard_normal(shape)).astype(np.float32))
            for shape in ((width, 3, 3, 3), (3, width, 3, 3))
        )
        settings = {"stride": 1, "pad_mode": "pad", "padding": 1, "has_bias": True, "bias_init": "zeros"}
        self.first = nn.Conv2d(3, width, 3, weight_init=first, **settings)
        self.second = nn.Conv2d(width, 3, 3, weight_init=second, **settings)
        self.running_mean = Parameter(Tensor(np.zeros(3, np.float32)), requires_grad=False)

    def construct(self, x):
        mean = x.mean((0, 2, 3))
        if self.training:
            ops.assign(self.running_mean, 0.9 * self.running_mean + 0.1 * mean)
        else:
            mean = self.running_mean * 1.0
        return self.second(ops.tanh(self.first(x - mean.reshape((1, 3, 1, 1)))))


class TinyStages(TinyNet):
    """Three estimates, the final one first, as networks of several stages return."""

    def construct(self, x):
        image = super().construct(x)
        return image, 0.5 * (image + x), x + 0.1 * self.second.bias.reshape((1, 3, 1, 1))


class TinyBatch(NamedTuple):
    input: np.ndarray
    target: np.ndarray
    index: np.ndarray


class TinyLoader:
    """Batches as a pure function of (seed, epoch, step); `poison` maps a global batch number to a value."""

    def __init__(self, batches: int = 5, batch_size: int = 2, seed: int = 3, poison: dict | None = None) -> None:
        self.steps_per_epoch, self.earlier_stages = batches, ()
        self.batch_size, self.seed, self.poison = batch_size, seed, poison or {}

    def epoch(self, epoch, start_step=0):
        for step in range(start_step, self.steps_per_epoch):
            rng = np.random.default_rng((self.seed, epoch, step))
            target = rng.random((self.batch_size, 3, SIZE, SIZE)).astype(np.float32)
            degraded = 0.5 * target + 0.5
            number = epoch * self.steps_per_epoch + step
            if number in self.poison:
                degraded[:] = self.poison[number]
            yield TinyBatch(degraded, target, np.arange(self.batch_size) + number * self.batch_size)

    def names(self, index):
        return [f"image_{i}.png" for i in index]


def overflowing_scale(window: int) -> LossScaleConfig:
    """Return a dynamic scale above what float32 holds, which no recipe may ask for: the first updates are skipped."""
    return LossScaleConfig(kind="dynamic", value=2.0**129, window=window)


def tiny_recipe(*, scale: LossScaleConfig | None = None, **sections) -> Recipe:
    """Build a short recipe; keyword arguments are sections laid over its defaults, `scale` is used as it is.

    It trains operator by operator, which takes less time than compiling: tests of graphs say so.
    """
    train = {"batch_size": 2, "max_steps": 12, "log_every": 2, "val_every": 0, "checkpoint_every": 0}
    train["mode"] = "pynative"
    train.update(sections.pop("train", {}))
    values = {"name": "tiny", "train": train, "optim": {"lr": 1e-2, **sections.pop("optim", {})}, **sections}
    recipe = build(Recipe, values)
    return replace(recipe, loss_scale=scale) if scale else recipe


def l1_objective():
    return build_objective(LossConfig())


def staged_objective():
    """Measure three stages as MPRNet's deraining does."""
    return build_objective(build(LossConfig, {"terms": {"charbonnier": {}, "edge": {}}}), stages=3)
