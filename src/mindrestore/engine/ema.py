"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindrestore.engine.values import read_values, write_values
from mindrestore.models.layers import assign, blended


class Ema(nn.Cell):
    """Average the weights: average <- decay * average + (1 - decay) * weight after every update.

    The averages start as copies of the weights, so they are never biased towards zero.

    Args:
        params: parameters to average.
        decay: in (0, 1), such as 0.999.

    Inputs:
        used: float32, 1 to average or 0 to leave all as it is.
    """

    def __init__(self, params: Sequence[Parameter], decay: float) -> None:
        super().__init__(auto_prefix=False)
        self.params = ParameterTuple(params)
        self.average = self.params.clone("ema", init="same")
        self.shares = decay, 1.0 - decay
        self.each = ops.HyperMap()

    @property
    def state(self) -> list[Parameter]:
        """The averages, named ema.*."""
        return list(self.average)

    def construct(self, used: Tensor) -> Tensor:
        decay, rest = used * self.shares[0] + (1.0 - used), used * self.shares[1]
        self.each(ops.partial(_blend, decay, rest), self.average, self.params)
        return used

    def reset(self) -> None:
        """Start averaging anew from the present weights."""
        write_values(self.average, read_values(self.params))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network use the averages inside a `with` block; the weights come back bit for bit."""
        weights = read_values(self.params)
        try:
            write_values(self.params, read_values(self.average))
            yield
        finally:
            write_values(self.params, weights)


def _blend(decay: Tensor, rest: Tensor, average: Parameter, param: Parameter) -> Tensor:
    return assign(average, blended(average, param, decay, rest))


@contextmanager
def evaluating(cell: nn.Cell, ema: Ema | None) -> Iterator[None]:
    """Put a cell into evaluation mode, with the averages where there are any; training mode comes back after.

    Args:
        cell: cell in training mode.
        ema: averages of its weights, or None.
    """
    cell.set_train(False)
    try:
        with nullcontext() if ema is None else ema.in_place():
            yield
    finally:
        cell.set_train(True)
