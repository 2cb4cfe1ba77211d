"""Adam and AdamW with PyTorch's formulas, float32 state, and the learning rate given at every step.

MindSpore's nn.Adam adds eps to the uncorrected square root, so the two differ while the second moment warms up.
The fused operator below takes eps as an argument; scaling it by sqrt(1 - beta2^t) makes the formulas equal:
    lr sqrt(c2) / c1 * m / (sqrt(v) + eps sqrt(c2)) = lr / c1 * m / (sqrt(v / c2) + eps),   c_i = 1 - beta_i^t
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.errors import MindRestoreError
from mindrestore.recipes.schema import OptimConfig


class Adam(nn.Cell):
    """Adam (Kingma & Ba, 2015), or AdamW when the decay is decoupled (Loshchilov & Hutter, 2019).

    Args:
        params: parameters to train, float32.
        config: betas, eps, weight decay; `name` "adamw" decouples the decay. `lr_factors` maps the beginning of
            parameter names to a multiple of the learning rate; of several that fit, the longest counts.

    Inputs:
        scalars: those of `scalars(lr)`.
        *gradients: one per parameter, in the order of `params`.

    Raises:
        MindRestoreError: no parameter's name begins as one of `lr_factors` says.
    """

    def __init__(self, params: Sequence[Parameter], config: OptimConfig) -> None:
        super().__init__(auto_prefix=False)
        groups = _groups(params, config.lr_factors)
        self.params = ParameterTuple([param for group in groups.values() for param in group])
        self.factors = tuple(groups)
        ends = np.cumsum([0, *(len(group) for group in groups.values())]).tolist()
        self.spans = tuple(zip(ends, ends[1:]))  # of each group in `params`
        self.first = self.params.clone("optim.m", init="zeros")
        self.second = self.params.clone("optim.v", init="zeros")
        # The kernel computes 1 - beta in float32; corrections from the same rounded betas cancel that rounding.
        self.beta1, self.beta2 = (float(np.float32(beta)) for beta in config.betas)
        # As tensors: numbers would become some anew in every call. Beta powers of 0: the corrections are in the rate.
        self.betas = tuple(Tensor(value, mstype.float32) for value in (self.beta1, self.beta2))
        self.none = Tensor(0, mstype.float32)
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

    def scalars(self, lr: float) -> Tensor:
        """Work out, in double precision, what the kernel needs for this update.

        Args:
            lr: learning rate of this update.

        Returns:
            Epsilon, the rate of every group, and what its decay leaves of a weight; float32. As one tensor: with a
            second one an update took twice the time on CPU.
        """
        correction1 = 1.0 - self.beta1**self.count
        correction2 = math.sqrt(1.0 - self.beta2**self.count)
        rates = [factor * lr * correction2 / correction1 for factor in self.factors]
        keeps = [1.0 - factor * lr * self.decay if self.decoupled else 1.0 for factor in self.factors]
        return Tensor([self.epsilon * correction2, *rates, *keeps], mstype.float32)

    def construct(self, scalars: Tensor, *gradients: Tensor) -> Tensor:
        if self.decay > 0 and not self.decoupled:
            gradients = self.each(ops.partial(_decayed, self.decay), gradients, self.params)
        groups = len(self.spans)
        for g in range(groups):
            first, last = self.spans[g]
            params = self.params[first:last]
            if self.decay > 0 and self.decoupled:
                self.each(ops.partial(_shrink, scalars[1 + groups + g]), params)
            update = ops.partial(_update, self.kernel, self.none, (scalars[1 + g], *self.betas, scalars[0]))
            self.each(update, params, self.first[first:last], self.second[first:last], gradients[first:last])
        return scalars


def _groups(params: Sequence[Parameter], factors: Mapping[str, float]) -> dict[float, list[Parameter]]:
    """Sort parameters by the factor of their learning rate, each group in the given order."""
    groups: dict[float, list[Parameter]] = {}
    used = set()
    for param in params:
        fitting = [prefix for prefix in factors if param.name.startswith(prefix)]
        prefix = max(fitting, key=len, default=None)
        used.add(prefix)
        groups.setdefault(1.0 if prefix is None else factors[prefix], []).append(param)
    unused = [prefix for prefix in factors if prefix not in used]
    if unused:
        known = ", ".join(dict.fromkeys(param.name.split(".")[0] for param in params))
        raise MindRestoreError(
            f"optim.lr_factors: no parameter that is trained begins with {unused[0]!r}; their names begin with {known}"
        )
    return groups


def _shrink(keep: Tensor, param: Parameter) -> Tensor:
    return ops.assign(param, param * keep)


def _decayed(decay: float, gradient: Tensor, param: Parameter) -> Tensor:
    return gradient + decay * param


def _update(
    kernel: ops.Adam,
    none: Tensor,
    rates: tuple[Tensor, ...],
    param: Parameter,
    first: Parameter,
    second: Parameter,
    gradient: Tensor,
) -> tuple[Tensor, ...]:
    return kernel(param, first, second, none, none, *rates, gradient)


def build_optimizer(config: OptimConfig, params: Sequence[Parameter]) -> Adam:
    """Build the optimizer of a recipe.

    Args:
        config: `optim` section of the recipe.
        params: parameters to train.

    Returns:
        The optimizer, with zero moments.
    """
    return Adam(params, config)
