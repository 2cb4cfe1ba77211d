"""One training step, the same on every device: what all kinds of training share, and the supervised kind.

forward -> scale -> gradients -> all-reduce -> unscale -> finite check -> clip -> accumulate -> update -> EMA.
The device computes in compiled pieces; between them the host decides whether the gradients may be used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.engine.ema import Ema
from mindrestore.engine.optim import Adam
from mindrestore.engine.precision import scale_of
from mindrestore.engine.update import Backward, StepOptions, Update
from mindrestore.engine.values import read_values, write_values

Gathered = tuple[Tensor, tuple[Tensor, ...]]  # values that are logged, and gradients; see `Update.add`


@dataclass(frozen=True)
class StepResult:
    """What one call of a step measured.

    Args:
        total: weighted loss, mean over the batches of the update so far.
        terms: the unweighted terms by name, likewise.
        finite: False when a loss or gradient was not finite; the update was skipped.
        updated: True when the weights changed, False between accumulated batches and after a skipped update.
        scale: loss scale that was used.
        norm: global gradient norm of the network before clipping; nan between accumulated batches.
    """

    total: float
    terms: dict[str, float] = field(default_factory=dict)
    finite: bool = True
    updated: bool = True
    scale: float = 1.0
    norm: float = math.nan


class Step(ABC):
    """Take batches, and update every `accumulate` of them, or skip the update when anything is not finite.

    Args:
        names: of the values behind the total.
        updates: optimizers with their gradients; the first is that of the network, and the averages follow it.
        buffers: what the forward pass may overwrite, such as running statistics.
        options: scaling, clipping, accumulation, averaging, mode.
    """

    def __init__(
        self, names: Sequence[str], updates: Sequence[Update], buffers: Sequence[Parameter], options: StepOptions
    ) -> None:
        self.names, self.updates, self.options = tuple(names), tuple(updates), options
        params = updates[0].optimizer.params
        self.ema = Ema(params, options.ema_decay) if options.ema_decay > 0 else None
        self._average = options.compiled(self.ema) if self.ema else None
        self._buffers = list(buffers)
        self._before: list[np.ndarray] = []  # the buffers before the first batch of an update
        self._batches = 0

    @property
    def optimizers(self) -> list[Adam]:
        """The optimizers, that of the network first."""
        return [update.optimizer for update in self.updates]

    @property
    def communicated(self) -> float:
        """Seconds in all-reduces since the step was built."""
        return sum(update.communicated for update in self.updates)

    @abstractmethod
    def gather(self, batch_input: Tensor, target: Tensor, scale: Tensor, extra: Sequence[Tensor]) -> list[Gathered]:
        """Return values and gradients for every update, all at the present parameters."""

    def __call__(self, batch_input: Tensor, target: Tensor, lr: float, extra: Sequence[Tensor] = ()) -> StepResult:
        """Take one batch; every `accumulate`-th call updates the weights.

        Args:
            batch_input: (N, 3, H, W) float32 in [0, 1].
            target: (N, 3, H, W) float32 in [0, 1].
            lr: learning rate of this update.
            extra: what `objective.term_inputs` returned for this batch.

        Returns:
            Losses, and whether the weights changed.
        """
        scale = scale_of(self.options.loss_scale)
        if self._batches == 0:
            self._before = read_values(self._buffers)
        gathered = self.gather(batch_input, target, Tensor(scale, mstype.float32), extra)
        for update, (values, gradients) in zip(self.updates, gathered):
            update.add(values, gradients)
        self._batches += 1
        if self._batches < self.options.accumulate:
            total, terms = self._named(np.concatenate([update.sums for update in self.updates]) / self._batches)
            return StepResult(total, terms, finite=math.isfinite(total), updated=False, scale=scale)
        return self._decide(scale, lr)

    def _decide(self, scale: float, lr: float) -> StepResult:
        """Use the gathered gradients, or skip all of them when anything is not finite."""
        values, norms, gradients = zip(*(update.finish(self._batches, scale) for update in self.updates))
        self._batches = 0
        values = np.concatenate(values)
        total, terms = self._named(values)
        finite = bool(np.isfinite(values).all()) and all(math.isfinite(norm) for norm in norms)
        if finite:
            for update, ready in zip(self.updates[::-1], gradients[::-1]):  # an opponent first, as published
                update.apply(lr, ready)
            if self._average is not None:
                self._average()
        else:
            write_values(self._buffers, self._before)  # statistics of a bad batch must not outlive it
        if self.options.loss_scale is not None:
            self.options.loss_scale.update_loss_scale(not finite)
        return StepResult(total, terms, finite, finite, scale, norms[0])

    def _named(self, values: Sequence[float]) -> tuple[float, dict[str, float]]:
        total, *terms = (float(value) for value in values)
        return total, dict(zip(self.names, terms))


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
        options = options or StepOptions()
        super().__init__(objective.names, [Update(optimizer, options)], buffers_of(net), options)
        self._backward = options.compiled(Backward(_Loss(net, objective), optimizer.params, self.updates[0].at_once))

    def gather(self, batch_input: Tensor, target: Tensor, scale: Tensor, extra: Sequence[Tensor]) -> list[Gathered]:
        (values,), gradients = self._backward(scale, batch_input, target, *extra)
        return [(values, gradients)]


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
        return values[0] * scale, ops.stack(values)
