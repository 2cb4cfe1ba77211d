"""Adam and AdamW with PyTorch's formulas, float32 state, and the learning rate given at every step.

MindSpore's nn.Adam adds eps to the uncorrected square root, so the two differ while the second moment warms up.
The fused operator below takes eps as an argument; scaling it by sqrt(1 - beta2^t) makes the formulas equal:
    lr sqrt(c2) / c1 * m / (sqrt(v) + eps sqrt(c2)) = lr / c1 * m / (sqrt(v / c2) + eps),   c_i = 1 - beta_i^t
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.recipes.schema import OptimConfig


class Adam(nn.Cell):
    """Adam (Kingma & Ba, 2015), or AdamW when the decay is decoupled (Loshchilov & Hutter, 2019).

    Args:
        params: parameters to train, float32.
        config: betas, eps, weight decay; `name` "adamw" decouples the decay.

    Inputs:
        rate, eps, keep: 0-d float32 tensors from `scalars(lr)`.
        *gradients: one per parameter, in order.

    Example:
        >>> optimizer = Adam(net.trainable_params(), OptimConfig())
        >>> optimizer.advance()
        >>> optimizer(*optimizer.scalars(lr=1e-4), *gradients)
    """

    def __init__(self, params: Sequence[Parameter], config: OptimConfig) -> None:
        super().__init__(auto_prefix=False)
        self.params = ParameterTuple(params)
        self.first = self.params.clone("optim.m", init="zeros")
        self.second = self.params.clone("optim.v", init="zeros")
        # The kernel computes 1 - beta in float32; corrections from the same rounded betas cancel that rounding.
        self.beta1, self.beta2 = (float(np.float32(beta)) for beta in config.betas)
        self.epsilon = config.eps
        self.decay = config.weight_decay
        self.decoupled = config.name == "adamw"
        self.count = 0  # finished updates; kept on the host, where it is exact
        self.kernel = ops.Adam()
        self.each = ops.HyperMap()

    @property
    def state(self) -> list[Parameter]:
        """First and second moments, named optim.m.* and optim.v.*."""
        return [*self.first, *self.second]

    def advance(self) -> None:
        """Count one more update; call it before `scalars`."""
        self.count += 1

    def scalars(self, lr: float) -> tuple[Tensor, Tensor, Tensor]:
        """Work out, in double precision, what the kernel needs for this update."""
        correction1 = 1.0 - self.beta1**self.count
        correction2 = math.sqrt(1.0 - self.beta2**self.count)
        keep = 1.0 - lr * self.decay if self.decoupled else 1.0
        values = (lr * correction2 / correction1, self.epsilon * correction2, keep)
        rate, eps, keep = (Tensor(value, mstype.float32) for value in values)
        return rate, eps, keep

    def construct(self, rate: Tensor, eps: Tensor, keep: Tensor, *gradients: Tensor) -> Tensor:
        if self.decay > 0 and self.decoupled:
            self.each(ops.partial(_shrink, keep), self.params)
        elif self.decay > 0:
            gradients = self.each(ops.partial(_decayed, self.decay), gradients, self.params)
        update = ops.partial(_update, self.kernel, (rate, self.beta1, self.beta2, eps))
        self.each(update, self.params, self.first, self.second, gradients)
        return rate


def _shrink(keep: Tensor, param: Parameter) -> Tensor:
    return ops.assign(param, param * keep)


def _decayed(decay: float, gradient: Tensor, param: Parameter) -> Tensor:
    return gradient + decay * param


def _update(
    kernel: ops.Adam, rates: tuple, param: Parameter, first: Parameter, second: Parameter, gradient: Tensor
) -> tuple[Tensor, ...]:
    none = ops.zeros((), mstype.float32)  # beta powers of 0: the corrections are in the rate already
    return kernel(param, first, second, none, none, *rates, gradient)


def build_optimizer(config: OptimConfig, params: Sequence[Parameter]) -> Adam:
    """Build the optimizer of a recipe.

    Args:
        config: `optim` section of the recipe.
        params: parameters to train.

    Returns:
        The optimizer, with zero moments.

    Example:
        >>> build_optimizer(OptimConfig(name="adamw", weight_decay=0.01), net.trainable_params()).decoupled
        True
    """
    return Adam(params, config)
