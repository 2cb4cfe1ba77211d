"""One supervised training step, the same on every device.

forward -> scale -> gradients -> all-reduce -> unscale -> finite check -> clip -> accumulate -> update -> EMA.
The device computes in three compiled pieces; between them the host decides whether the gradients may be used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.engine.ema import Ema
from mindrestore.engine.optim import Adam
from mindrestore.engine.precision import ScaleManager, scale_of
from mindrestore.engine.values import read_values, write_values


@dataclass(frozen=True)
class StepOptions:
    """Choices around the update.

    Args:
        loss_scale: MindSpore's fixed or dynamic manager; None multiplies by 1.
        clip_norm: largest global gradient norm; None leaves gradients alone.
        accumulate: calls per update.
        ema_decay: weight of the past in the averaged weights; 0 switches averaging off.
        mode: "graph" compiles with `ms.jit`, "pynative" does not.
        world: number of data-parallel processes.
    """

    loss_scale: ScaleManager | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    ema_decay: float = 0.0
    mode: str = "graph"
    world: int = 1


@dataclass(frozen=True)
class StepResult:
    """What one call of a step measured.

    Args:
        total: weighted loss, mean over the batches of the update so far.
        terms: the unweighted terms by name, likewise.
        finite: False when a loss or gradient was not finite; the update was skipped.
        updated: True when the weights changed, False between accumulated batches and after a skipped update.
        scale: loss scale that was used.
        norm: global gradient norm before clipping; nan between accumulated batches.
    """

    total: float
    terms: dict[str, float] = field(default_factory=dict)
    finite: bool = True
    updated: bool = True
    scale: float = 1.0
    norm: float = math.nan


class SupervisedStep:
    """Train a network on (input, target) batches.

    Args:
        net: the network in training mode; `net(input)` goes to the objective.
        objective: maps (output, input, target, *driven) to (total, *terms) and has `names`.
        optimizer: holds the parameters to train.
        options: scaling, clipping, accumulation, averaging, mode.

    Example:
        >>> step = SupervisedStep(net, build_objective(recipe.loss), Adam(net.trainable_params(), recipe.optim))
        >>> step(hazy, clear, lr=1e-4).terms
        {'l1': 0.213}
    """

    def __init__(
        self, net: nn.Cell, objective: nn.Cell, optimizer: Adam, *, options: StepOptions | None = None
    ) -> None:
        self.options = options or StepOptions()
        self.names = objective.names
        self.optimizer = optimizer
        self.ema = Ema(optimizer.params, self.options.ema_decay) if self.options.ema_decay > 0 else None
        self._buffers = [param for param in net.get_parameters() if not param.requires_grad]
        self._before: list[np.ndarray] = []  # what the forward pass may overwrite, such as running statistics
        self._backward = self._compiled(_Backward(net, objective, optimizer.params))
        self._add = self._compiled(_Add())
        self._finish = self._compiled(_Finish(self.options))
        self._update = self._compiled(optimizer)
        self._average = self._compiled(self.ema) if self.ema else None
        self._pending: list[tuple[Tensor, ...]] = []  # values and summed gradients of the batches so far
        self._batches = 0

    def __call__(self, batch_input: Tensor, target: Tensor, lr: float, driven: Sequence[Tensor] = ()) -> StepResult:
        """Take one batch; every `accumulate`-th call updates the weights.

        Args:
            batch_input: (N, 3, H, W) float32 in [0, 1].
            target: (N, 3, H, W) float32 in [0, 1].
            lr: learning rate of this update.
            driven: what `objective.drive` gives for this batch.

        Returns:
            Losses, and whether the weights changed.
        """
        scale = scale_of(self.options.loss_scale)
        if self._batches == 0:
            self._before = read_values(self._buffers)
        gathered = self._backward(batch_input, target, Tensor(scale, mstype.float32), *driven)
        self._pending = self._add(*self._pending, *gathered) if self._batches else gathered
        self._batches += 1
        if self._batches < self.options.accumulate:
            total, terms = self._named(self._pending[0].asnumpy() / self._batches)
            return StepResult(total, terms, finite=math.isfinite(total), updated=False, scale=scale)
        return self._decide(scale, lr)

    def _decide(self, scale: float, lr: float) -> StepResult:
        """Use the gathered gradients, or skip them when anything is not finite."""
        factors = (1.0 / (self._batches * self.options.world), scale)
        values, norm, *gradients = self._finish(*(Tensor(f, mstype.float32) for f in factors), *self._pending)
        self._pending, self._batches = [], 0
        total, terms = self._named(values.asnumpy())
        norm = float(norm.asnumpy())
        finite = math.isfinite(total) and math.isfinite(norm)
        if finite:
            self.optimizer.advance()
            self._update(*self.optimizer.scalars(lr), *gradients)
            if self._average is not None:
                self._average()
        else:
            write_values(self._buffers, self._before)  # statistics of a bad batch must not outlive it
        if self.options.loss_scale is not None:
            self.options.loss_scale.update_loss_scale(not finite)
        return StepResult(total, terms, finite, finite, scale, norm)

    def _named(self, values: Sequence[float]) -> tuple[float, dict[str, float]]:
        total, *terms = (float(value) for value in values)
        return total, dict(zip(self.names, terms))

    def _compiled(self, cell: nn.Cell) -> nn.Cell:
        return ms.jit(cell) if self.options.mode == "graph" else cell


class _Backward(nn.Cell):
    """(input, target, scale, *driven) -> (unscaled values (1 + terms,), *gradients of the scaled total)."""

    def __init__(self, net: nn.Cell, objective: nn.Cell, params: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = ops.value_and_grad(_Forward(net, objective), None, params, has_aux=True)
        self.each = ops.HyperMap()

    def construct(self, batch_input: Tensor, target: Tensor, scale: Tensor, *driven: Tensor) -> tuple[Tensor, ...]:
        (_, values), gradients = self.gradients(batch_input, target, scale, *driven)
        return (values, *self.each(_as_float32, gradients))


def _as_float32(gradient: Tensor) -> Tensor:
    return gradient.astype(mstype.float32)  # in mixed precision some layers hand over half precision


class _Forward(nn.Cell):
    def __init__(self, net: nn.Cell, objective: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net = net
        self.objective = objective

    def construct(self, batch_input: Tensor, target: Tensor, scale: Tensor, *driven: Tensor) -> tuple[Tensor, Tensor]:
        values = self.objective(self.net(batch_input), batch_input, target, *driven)
        return values[0] * scale, ops.stack(values)


class _Add(nn.Cell):
    """Add the first half of the arguments to the second half."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.each = ops.HyperMap()
        self.add = ops.Add()

    def construct(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        half = len(tensors) // 2
        return self.each(self.add, tensors[:half], tensors[half:])


class _Finish(nn.Cell):
    """(share of one batch, loss scale, sums of values and gradients) -> (values, norm, *gradients) ready for use.

    Whole lists go through `HyperMap`: a loop in graph mode nests one call per round, and the limit is 1000 calls.
    """

    def __init__(self, options: StepOptions) -> None:
        super().__init__(auto_prefix=False)
        self.clip_norm = options.clip_norm or 0.0
        self.shared = options.world > 1
        self.scaled = options.loss_scale is not None or options.accumulate > 1 or self.shared
        self.all_reduce = ops.AllReduce() if self.shared else None
        self.half_squares = ops.L2Loss()
        self.each = ops.HyperMap()

    def construct(self, share: Tensor, scale: Tensor, values: Tensor, *gradients: Tensor) -> tuple[Tensor, ...]:
        if self.shared:
            values = self.all_reduce(values)
            gradients = self.each(self.all_reduce, gradients)
        if self.scaled:
            gradients = self.each(ops.partial(_unscaled, scale, share), gradients)
        norm = ops.sqrt(2.0 * ops.stack(self.each(self.half_squares, gradients)).sum())
        if self.clip_norm > 0:
            shrink = ops.minimum(self.clip_norm / (norm + 1e-6), ops.ones((), mstype.float32))
            gradients = self.each(ops.partial(_times, shrink), gradients)
        return (values * share, norm, *gradients)


def _unscaled(scale: Tensor, share: Tensor, gradient: Tensor) -> Tensor:
    return gradient / scale * share  # the reciprocal of a huge scale would be flushed to zero


def _times(factor: Tensor, gradient: Tensor) -> Tensor:
    return gradient * factor
