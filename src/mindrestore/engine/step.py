"""One training step, the same on every device: what all kinds of training share, and the supervised kind.

forward -> scale -> gradients -> all-reduce -> unscale -> finite check -> clip -> update or skip -> EMA -> next scale.
That is one compiled graph. Where batches are accumulated there is one for the gradients and one for what follows, and
between ranks of CPUs the host adds up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from mindspore import Parameter, Tensor, nn
from mindspore import dtype as mstype

from mindrestore.engine.ema import Ema
from mindrestore.engine.optim import Adam
from mindrestore.engine.precision import follow_scale, scale_of
from mindrestore.engine.reduce import SumOverRanks
from mindrestore.engine.update import Backward, Conclusion, Keeping, StepOptions, Sum, WholeStep, flat
from mindrestore.engine.values import write_values
from mindrestore.models.layers import on_cpu, together


@dataclass(frozen=True)
class StepResult:
    """What one update measured.

    Args:
        total: weighted loss, mean over the batches of the update.
        terms: the unweighted terms by name, likewise.
        finite: False when a loss or gradient was not finite; the update was skipped.
        scale: loss scale that was used.
        norm: global gradient norm of the network before clipping.
    """

    total: float
    terms: dict[str, float] = field(default_factory=dict)
    finite: bool = True
    scale: float = 1.0
    norm: float = math.nan


class Step:
    """Take batches, and update every `accumulate` of them, or skip the update when anything is not finite.

    The device decides that by itself, so `launch` waits for nothing and `read` may come later, for several updates too.

    Args:
        names: of the values behind the total.
        gradients: cell (scale, input, target, *extra) -> (values, gradients) of every optimizer, all at the present
            parameters.
        optimizers: the first is that of the network, and the averages follow it.
        factors: of the learning rate, per optimizer.
        buffers: what the forward pass may overwrite, such as running statistics.
        options: scaling, clipping, accumulation, averaging, mode.
    """

    def __init__(
        self,
        names: Sequence[str],
        gradients: nn.Cell,
        optimizers: Sequence[Adam],
        factors: Sequence[float],
        buffers: Sequence[Parameter],
        options: StepOptions,
    ) -> None:
        self.names, self.optimizers, self.options = tuple(names), tuple(optimizers), options
        self.ema = Ema(optimizers[0].params, options.ema_decay) if options.ema_decay > 0 else None
        by_host = options.world > 1 and on_cpu()
        conclusion = Conclusion(optimizers, factors, buffers, self.ema, options, options.world > 1 and not by_host)
        self.conclusion = conclusion
        self.whole = None if by_host or options.accumulate > 1 else options.compiled(WholeStep(gradients, conclusion))
        self.gradients, self.conclude = options.compiled(gradients), options.compiled(conclusion)
        self._keep, self._add = options.compiled(Keeping(conclusion)), options.compiled(Sum())
        self._sum_over_ranks = SumOverRanks() if by_host else None
        self._sums: tuple[Tensor, ...] = ()  # of values and gradients, over the batches so far
        self._scale: Tensor | None = None
        self._batches = self._unread = 0
        self._on_device = conclusion.state_of_host()

    @property
    def communicated(self) -> float:
        """Seconds in all-reduces of the host since the step was built; in the graph of a card they are not timed."""
        return self._sum_over_ranks.seconds if self._sum_over_ranks else 0.0

    def __call__(
        self, batch_input: Tensor, target: Tensor, lr: float, extra: Sequence[Tensor] = ()
    ) -> StepResult | None:
        """Take one batch, as `launch`, and wait for what it measured; None between accumulated batches."""
        measured = self.launch(batch_input, target, lr, extra)
        return None if measured is None else self.read(measured)

    def launch(self, batch_input: Tensor, target: Tensor, lr: float, extra: Sequence[Tensor] = ()) -> Tensor | None:
        """Let the device take one batch; every `accumulate`-th call updates the weights.

        Args:
            batch_input: (N, 3, H, W) float32 in [0, 1].
            target: (N, 3, H, W) float32 in [0, 1].
            lr: learning rate of this update.
            extra: what `objective.term_inputs` returned for this batch.

        Returns:
            What `read` takes, in the order of the launches; None between accumulated batches.
        """
        if self._batches == 0:
            self._write_state()
        rate = Tensor(lr, mstype.float32)
        if self.whole is not None:
            self._unread += 1
            return self.whole(rate, batch_input, target, *extra)
        if self._batches == 0:
            self._scale = self._keep()
        gathered = flat(self.gradients(self._scale, batch_input, target, *extra))
        self._sums = self._add(*self._sums, *gathered) if self._sums else gathered
        self._batches += 1
        if self._batches < self.options.accumulate:
            return None
        sums = self._sum_over_ranks(self._sums) if self._sum_over_ranks else self._sums
        self._sums, self._batches = (), 0
        self._unread += 1
        return self.conclude(rate, *sums)

    def read(self, measured: Tensor) -> StepResult:
        """Wait for an update, and count it and move the loss scale as the device did."""
        measured = measured.asnumpy()
        self._unread -= 1
        split = 1 + len(self.names)
        (total, *terms), norms, (used, *behind) = measured[:split], measured[split:-4], measured[-4:]
        scale, finite = scale_of(self.options.loss_scale), bool(used)
        for optimizer in self.optimizers:
            optimizer.count += finite
        follow_scale(self.options.loss_scale, finite, float(behind[1]))
        self._on_device = np.array(behind)
        named = {name: float(value) for name, value in zip(self.names, terms)}
        return StepResult(float(total), named, finite, scale, float(norms[0]))

    def _write_state(self) -> None:
        """Write where the host stands to the device when that has changed: at the start, behind a resumed state."""
        state = self.conclusion.state_of_host()
        if self._unread == 0 and not np.array_equal(state, self._on_device):
            write_values([self.conclusion.state], [state])
            self._on_device = state


class SupervisedStep(Step):
    """Train a network on (input, target) batches.

    Args:
        net: the network in training mode; `net(input)` goes to the objective.
        objective: maps (output, input, target, *extra) to (total, *terms) and has `names`.
        optimizer: holds the parameters to train.
        options: scaling, clipping, accumulation, averaging, mode.
    """

    def __init__(
        self, net: nn.Cell, objective: nn.Cell, optimizer: Adam, *, options: StepOptions | None = None
    ) -> None:
        gradients = _Gradients(Backward(_Loss(net, objective), optimizer.params))
        super().__init__(objective.names, gradients, [optimizer], [1.0], buffers_of(net), options or StepOptions())


def buffers_of(net: nn.Cell) -> list[Parameter]:
    """List what the forward pass may overwrite: parameters without gradient, frozen kernels and biases apart."""
    frozen = ("weight", "bias")  # a frozen VGG has 59 MB of them, too much to copy at every step
    return [p for p in net.get_parameters() if not p.requires_grad and p.name.rsplit(".", 1)[-1] not in frozen]


class _Loss(nn.Cell):
    """(scale, input, target, *extra) -> (scaled total, unscaled values (1 + terms,))."""

    def __init__(self, net: nn.Cell, objective: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net = net
        self.objective = objective

    def construct(self, scale: Tensor, batch_input: Tensor, target: Tensor, *extra: Tensor) -> tuple[Tensor, Tensor]:
        values = self.objective(self.net(batch_input), batch_input, target, *extra)
        return values[0] * scale, together(values)


class _Gradients(nn.Cell):
    """(scale, input, target, *extra) -> ((values, gradients),)."""

    def __init__(self, backward: Backward) -> None:
        super().__init__(auto_prefix=False)
        self.backward = backward

    def construct(
        self, scale: Tensor, batch_input: Tensor, target: Tensor, *extra: Tensor
    ) -> tuple[tuple[Tensor, tuple[Tensor, ...]], ...]:
        (values,), gradients = self.backward(scale, batch_input, target, *extra)
        return ((values, gradients),)
