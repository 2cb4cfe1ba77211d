"""Adam and AdamW with PyTorch's formulas and float32 state; the rate, and whether to update at all, are tensors.

MindSpore's nn.Adam adds eps to the uncorrected square root, so the two differ while the second moment warms up.
The fused operator below takes eps as an argument; scaling it by sqrt(1 - beta2^t) makes the formulas equal:
    lr sqrt(c2) / c1 * m / (sqrt(v) + eps sqrt(c2)) = lr / c1 * m / (sqrt(v / c2) + eps),   c_i = 1 - beta_i^t
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import shrink
from mindrestore.recipes.schema import OptimConfig


class Adam(nn.Cell):
    """Adam (Kingma & Ba, 2015), or AdamW when the decay is decoupled (Loshchilov & Hutter, 2019).

    Args:
        params: parameters to train, float32.
        config: betas, eps, weight decay; `name` "adamw" decouples the decay. `lr_factors` maps the beginning of
            parameter names to a multiple of the learning rate; of several that fit, the longest counts.

    Inputs:
        lr: () learning rate.
        number: () of this update, from 1.
        used: () 1 to update or 0 to leave all as it is.
        *gradients: one per parameter, in the order of `params`; where nothing is updated they need not be finite.

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
        betas = np.array(config.betas, np.float32)
        self.betas = tuple(map(float, betas))
        with np.errstate(divide="ignore"):
            self.logs = tuple(map(float, np.log(betas.astype(np.float64)).astype(np.float32)))
        self.none = Tensor(0, mstype.float32)  # beta powers of 0: the corrections are in the rate
        self.epsilon = config.eps
        self.decay = config.weight_decay
        self.decoupled = config.name == "adamw"
        self.count = 0  # finished updates, as far as the host knows
        self.kernel = ops.Adam()
        self.masked = ops.MaskedFill()
        self.each = ops.HyperMap()

    @property
    def state(self) -> list[Parameter]:
        """First and second moments, named optim.m.* and optim.v.*."""
        return [*self.first, *self.second]

    def construct(self, lr: Tensor, number: Tensor, used: Tensor, *gradients: Tensor) -> Tensor:
        # 1 - beta^t, exact where it is small
        correction1, correction2 = -ops.expm1(number * self.logs[0]), ops.sqrt(-ops.expm1(number * self.logs[1]))
        rate, epsilon = lr * used * correction2 / correction1, self.epsilon * correction2
        unused = 1.0 - used
        betas = used * self.betas[0] + unused, used * self.betas[1] + unused  # with 1, moments stay what they are
        if self.decay > 0 and not self.decoupled:
            gradients = self.each(ops.partial(_decayed, self.decay), gradients, self.params)
        gradients = self.each(ops.partial(_or_none, self.masked, used == 0.0, self.none), gradients)
        for g in range(len(self.spans)):
            first, last = self.spans[g]
            params = self.params[first:last]
            own = rate * self.factors[g]
            if self.decay > 0 and self.decoupled:
                self.each(ops.partial(_shrink, 1.0 - lr * used * (self.factors[g] * self.decay)), params)
            update = ops.partial(_update, self.kernel, self.none, (own, betas[0], betas[1], epsilon))
            self.each(update, params, self.first[first:last], self.second[first:last], gradients[first:last])
        return used


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
    return shrink(param, keep)


def _or_none(masked: ops.MaskedFill, unused: Tensor, none: Tensor, gradient: Tensor) -> Tensor:
    return masked(gradient, unused, none)  # a product would keep what is not a number


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
