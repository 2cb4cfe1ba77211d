"""One optimizer's share of a training step: gather gradients over batches, make them ready, update.

all-reduce -> unscale -> norm -> clip -> update. Supervised training has one of these, adversarial training two.
"""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.engine.optim import Adam
from mindrestore.engine.precision import ScaleManager
from mindrestore.engine.reduce import SumOverRanks


@dataclass(frozen=True)
class StepOptions:
    """Choices around the update.

    Args:
        loss_scale: MindSpore's fixed or dynamic manager; None multiplies by 1.
        clip_norm: largest global gradient norm, of each optimizer's parameters; None leaves gradients alone.
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

    def compiled(self, cell: nn.Cell) -> nn.Cell:
        """Compile a cell, in graph mode."""
        return ms.jit(cell) if self.mode == "graph" else cell


class Update:
    """Gather the gradients of one optimizer's parameters, and use them.

    Where nothing is added up, over batches or ranks, the gradients are made ready where they are computed: `at_once` is
    for `Backward` then. That spares a call with as many inputs as the network has parameters, 3 % of a training step
    of DehazeFormer-T on CPU.

    Args:
        optimizer: holds the parameters.
        options: accumulation, scaling, clipping, mode.
        lr_factor: the learning rate of this optimizer, as a multiple of that of the step.
    """

    def __init__(self, optimizer: Adam, options: StepOptions, lr_factor: float = 1.0) -> None:
        self.optimizer, self.lr_factor, self.world = optimizer, lr_factor, options.world
        self._add = options.compiled(_Add())
        self._sum_over_ranks = SumOverRanks() if self.world > 1 else None
        finish = _Finish(options)
        self.at_once = finish if options.accumulate == 1 and self.world == 1 else None
        self._finish = options.compiled(finish)
        self._update = options.compiled(optimizer)
        self._sums: tuple[Tensor, ...] = ()  # of values and gradients

    @property
    def sums(self) -> np.ndarray:
        """Values of the batches so far, added up."""
        return self._sums[0].asnumpy()

    @property
    def communicated(self) -> float:
        """Seconds in all-reduces so far, the wait for other ranks included; see `SumOverRanks`."""
        return self._sum_over_ranks.seconds if self._sum_over_ranks else 0.0

    def add(self, values: Tensor, gradients: tuple[Tensor, ...]) -> None:
        """Add what one batch gave: (V,) values that are logged, and the gradients of the scaled loss.

        With `at_once` the norm is the last value, and the gradients are ready.
        """
        gathered = (values, *gradients)
        self._sums = self._add(*self._sums, *gathered) if self._sums else gathered

    def finish(self, batches: int, scale: float) -> tuple[np.ndarray, float, list[Tensor]]:
        """Return the mean values, the gradient norm before clipping, and gradients that are ready for `apply`."""
        if self.at_once is not None:
            (values, *gradients), self._sums = self._sums, ()
            *values, norm = values.asnumpy()
            return np.array(values), float(norm), gradients
        factors = Tensor([1.0 / (batches * self.world), scale], mstype.float32)
        sums = self._sum_over_ranks(self._sums) if self._sum_over_ranks else self._sums
        values, norm, *gradients = self._finish(factors, *sums)
        self._sums = ()
        return values.asnumpy(), float(norm.asnumpy()), gradients

    def apply(self, lr: float, gradients: list[Tensor]) -> None:
        """Update the parameters."""
        self.optimizer.advance()
        self._update(self.optimizer.scalars(lr * self.lr_factor), *gradients)


class Backward(nn.Cell):
    """Differentiate a loss.

    Args:
        loss: cell that returns (scaled loss, values that are logged, *anything else).
        params: parameters to differentiate with respect to; all others are constant.
        finish: makes the gradients ready in the same graph, see `Update.at_once`.

    Inputs:
        scale: the loss scale, the first input of the loss.
        *inputs: its other inputs.

    Returns:
        (values, *anything else), and float32 gradients in the order of the parameters. With `finish` the norm of the
        gradients is the last value.
    """

    def __init__(self, loss: nn.Cell, params: ParameterTuple, finish: nn.Cell | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = ops.value_and_grad(loss, None, params, has_aux=True)
        self.finish = finish
        self.each = ops.HyperMap()

    def construct(self, scale: Tensor, *inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        found, gradients = self.gradients(scale, *inputs)
        gradients = self.each(_as_float32, gradients)
        if self.finish is None:
            return found[1:], gradients
        values, norm, *gradients = self.finish(ops.stack((ops.ones_like(scale), scale)), found[1], *gradients)
        return (ops.concat((values, norm.reshape(1))), *found[2:]), gradients


def _as_float32(gradient: Tensor) -> Tensor:
    return gradient.astype(mstype.float32)  # in mixed precision some layers hand over half precision


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
    """([share of one batch, loss scale], sums of values and gradients) -> (values, norm, *gradients) ready for use.

    Whole lists go through `HyperMap`: a loop in graph mode nests one call per round, and the limit is 1000 calls.
    """

    def __init__(self, options: StepOptions) -> None:
        super().__init__(auto_prefix=False)
        self.clip_norm = options.clip_norm or 0.0
        self.scaled = options.loss_scale is not None or options.accumulate > 1 or options.world > 1
        self.half_squares = ops.L2Loss()
        self.each = ops.HyperMap()

    def construct(self, factors: Tensor, values: Tensor, *gradients: Tensor) -> tuple[Tensor, ...]:
        share, scale = factors[0], factors[1]
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
