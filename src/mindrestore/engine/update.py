"""The device's share of a training step: gradients, and everything that follows from them, without the host.

backward -> all-reduce -> unscale -> finite? -> clip -> update or leave all as it is -> average -> next loss scale
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, amp, nn, ops
from mindspore import dtype as mstype

from mindrestore.engine.ema import Ema
from mindrestore.engine.optim import Adam
from mindrestore.engine.precision import ScaleManager, scale_of
from mindrestore.engine.reduce import SumInGraph
from mindrestore.models.layers import assign, norm, together

_LARGEST = 2.0**127  # loss scale that float32 holds


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


class Backward(nn.Cell):
    """Differentiate a loss.

    Args:
        loss: cell that returns (scaled loss, values that are logged, *anything else).
        params: parameters to differentiate with respect to; all others are constant.

    Inputs:
        scale: the loss scale, the first input of the loss.
        *inputs: its other inputs.

    Returns:
        (values, *anything else), and float32 gradients in the order of the parameters.
    """

    def __init__(self, loss: nn.Cell, params: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = ops.value_and_grad(loss, None, params, has_aux=True)
        self.each = ops.HyperMap()

    def construct(self, scale: Tensor, *inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        found, gradients = self.gradients(scale, *inputs)
        return found[1:], self.each(_as_float32, gradients)


class Conclusion(nn.Cell):
    """Make gathered gradients ready and update, or leave everything as it was when anything is not finite.

    Whether they are finite is decided on the device, which also counts updates and moves the loss scale as MindSpore's
    managers do: the host may ask later. Whole lists go through `HyperMap`: a loop in graph mode nests one call per
    round, and the limit is 1000 calls.

    Args:
        optimizers: hold the parameters; that of the network first. The last is updated first, as published.
        factors: of the learning rate, per optimizer.
        buffers: what forward passes overwrite, put back when nothing is updated.
        ema: averages of the network's parameters.
        options: scaling, clipping, accumulation.
        reduce: sum over the ranks here.

    Inputs:
        lr: () learning rate.
        *gathered: values that are logged, (V,), and gradients of the scaled loss, of one optimizer after the other,
            summed over the batches of the update.

    Returns:
        Means of the values of all optimizers; their gradient norms before clipping; 1 if it updated, else 0; and the
        state behind it (3,): updates, loss scale, and how many steps it has been so.
    """

    def __init__(
        self,
        optimizers: Sequence[Adam],
        factors: Sequence[float],
        buffers: Sequence[Parameter],
        ema: Ema | None,
        options: StepOptions,
        reduce: bool,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.optimizers, self.factors = nn.CellList(optimizers, auto_prefix=False), tuple(factors)
        ends = np.cumsum([0, *(1 + len(optimizer.params) for optimizer in optimizers)]).tolist()
        self.spans = tuple(zip(ends, ends[1:]))
        self.keeps = bool(buffers)
        if self.keeps:
            self.buffers = ParameterTuple(buffers)
            self.before = self.buffers.clone("before", init="same")
        self.ema = ema
        sizes = [param.size for optimizer in optimizers for param in optimizer.params]
        self.sum_over_ranks = SumInGraph(sizes) if reduce else None
        self.clip_norm = options.clip_norm or 0.0
        self.share = 1.0 / (options.accumulate * options.world)
        self.scaled = options.loss_scale is not None
        self.dynamic = isinstance(options.loss_scale, amp.DynamicLossScaleManager)
        self.manager = options.loss_scale
        self.state = Parameter(Tensor(self.state_of_host()), name="step", requires_grad=False)
        self.select = ops.Select()
        self.each = ops.HyperMap()
        if self.dynamic:
            self.down, self.up = self.manager.decrease_ratio, float(self.manager.increase_ratio)
            self.window = float(self.manager.scale_window)

    def state_of_host(self) -> np.ndarray:
        """Return (updates, loss scale, steps at this scale), as optimizers and loss scale manager have them."""
        steps = 1
        if self.dynamic:
            steps = (self.manager.cur_iter - self.manager.last_overflow_iter - 1) % self.manager.scale_window + 1
        with np.errstate(over="ignore"):
            return np.array([self.optimizers[0].count, scale_of(self.manager), steps]).astype(np.float32)

    def scale(self) -> Tensor:
        """Return the loss scale of this step, ()."""
        return self.state[1] * 1.0

    def keep(self) -> None:
        """Remember the buffers, before the first forward pass of an update."""
        if self.keeps:
            self.each(_assign, self.before, self.buffers)

    def construct(self, lr: Tensor, *gathered: Tensor) -> Tensor:
        updates, scale, steps = self.state[0], self.state[1], self.state[2]
        values, norms, ready = (), (), ()
        for first, last in self.spans:
            of_this, gradients = gathered[first], gathered[first + 1 : last]
            values, ready = (*values, of_this), (*ready, gradients)
        if self.sum_over_ranks is not None:
            values, ready = self.sum_over_ranks(values, ready)
        measured = ops.concat(values) * self.share
        unscaled = ()
        for gradients in ready:
            own = self.unscaled(scale, gradients)
            length = norm(own)
            norms, unscaled = (*norms, length.reshape(1)), (*unscaled, self.clipped(length, own))
        measured = ops.concat((measured, *norms))
        used = ((measured * 0.0).sum() == 0.0).astype(mstype.float32)  # 0 times what is not finite is not 0
        for k in range(len(self.spans) - 1, -1, -1):
            self.optimizers[k](lr * self.factors[k], updates + 1.0, used, *unscaled[k])
        if self.ema is not None:
            self.ema(used)
        if self.keeps:  # statistics of a bad batch must not outlive it
            self.each(ops.partial(_put_back, used > 0.0), self.buffers, self.before)
        behind = self.following(updates, scale, steps, used)
        assign(self.state, behind)
        return ops.concat((measured, used.reshape(1), behind))

    def unscaled(self, scale: Tensor, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.scaled:
            gradients = self.each(ops.partial(_divided, scale), gradients)
        return gradients if self.share == 1.0 else self.each(ops.partial(_times, self.share), gradients)

    def clipped(self, length: Tensor, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.clip_norm == 0.0:
            return gradients
        shrink = ops.minimum(self.clip_norm / (length + 1e-6), ops.ones((), mstype.float32))
        return self.each(ops.partial(_times, shrink), gradients)

    def following(self, updates: Tensor, scale: Tensor, steps: Tensor, used: Tensor) -> Tensor:
        """Return the state behind a step, with the scale that `DynamicLossScaleManager` would have."""
        if not self.dynamic:
            return together((updates + used, scale, steps))
        one = used * 0.0 + 1.0
        full = steps >= self.window
        grown = self.select(full, ops.minimum(scale * self.up, one * _LARGEST), scale)
        scale = self.select(used > 0.0, grown, ops.maximum(scale * self.down, one))
        steps = self.select(used > 0.0, self.select(full, one, steps + 1.0), one)
        return together((updates + used, scale, steps))


class Keeping(nn.Cell):
    """Remember the buffers of a conclusion, in a graph of its own."""

    def __init__(self, conclusion: Conclusion) -> None:
        super().__init__(auto_prefix=False)
        self.conclusion = conclusion

    def construct(self) -> Tensor:
        self.conclusion.keep()
        return self.conclusion.scale()


class WholeStep(nn.Cell):
    """Gradients and what follows from them in one graph.

    Args:
        gradients: (scale, input, target, *extra) -> (values, gradients) of every optimizer.
        conclusion: uses them.

    Inputs:
        lr: () learning rate.
        batch_input, target: (N, 3, H, W) in [0, 1].
        *extra: what `objective.term_inputs` returned for this batch.

    Returns:
        What the conclusion does.
    """

    def __init__(self, gradients: nn.Cell, conclusion: Conclusion) -> None:
        super().__init__(auto_prefix=False)
        self.gradients, self.conclusion = gradients, conclusion

    def construct(self, lr: Tensor, batch_input: Tensor, target: Tensor, *extra: Tensor) -> Tensor:
        self.conclusion.keep()
        return self.conclusion(lr, *flat(self.gradients(self.conclusion.scale(), batch_input, target, *extra)))


class Sum(nn.Cell):
    """Add the first half of the arguments to the second half."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.each = ops.HyperMap()
        self.add = ops.Add()

    def construct(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        half = len(tensors) // 2
        return self.each(self.add, tensors[:half], tensors[half:])


def flat(gathered: tuple[tuple[Tensor, tuple[Tensor, ...]], ...]) -> tuple[Tensor, ...]:
    """Return what a conclusion takes: values and gradients of one optimizer after the other."""
    found = ()
    for values, gradients in gathered:
        found = (*found, values, *gradients)
    return found


def _as_float32(gradient: Tensor) -> Tensor:
    return gradient.astype(mstype.float32)  # in mixed precision some layers hand over half precision


def _assign(to: Parameter, value: Parameter) -> Tensor:
    return assign(to, value)


def _put_back(used: Tensor, buffer: Parameter, before: Parameter) -> Tensor:
    return assign(buffer, ops.where(used, buffer, before))


def _divided(scale: Tensor, gradient: Tensor) -> Tensor:
    return gradient / scale  # the reciprocal of a huge scale would be flushed to zero


def _times(factor: Tensor | float, gradient: Tensor) -> Tensor:
    return gradient * factor
