"""Sum gradients over the ranks in few large buffers, and time it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, ops

from mindrestore.engine.context import synchronize
from mindrestore.models.layers import on_cpu

_BUCKET = 2**23  # numbers in a buffer: 32 MB, so that copies of all gradients are not held twice


class SumOverRanks:
    """Add up tensors over all ranks; every rank has to call it with tensors of the same shapes.

    One call per parameter costs more in calls than in bytes: with two processes on CPU, 400 calls took 0.5 to 1.1 s of
    processor time, and one with as many bytes 0.1 s. Nothing is compiled: a graph of 300 slices took a minute.

    Its time is the host's, from the end of what was computed before to the sums: it contains the wait for the slowest
    rank. The first call is not counted, since ranks wait in it for each other's compiler.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._calls = 0
        self._all_reduce = ops.AllReduce()

    def __call__(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums, in the order of the tensors."""
        synchronize(tensors)  # else the rest of the backward pass would count
        began = time.perf_counter()
        sums: list[Tensor] = []
        for first, last in spans([tensor.size for tensor in tensors], _BUCKET):
            sums += self._sum(tensors[first:last])
        synchronize(sums)
        if self._calls > 0:
            self.seconds += time.perf_counter() - began
        self._calls += 1
        return sums

    def _sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        sizes = [tensor.size for tensor in tensors]
        if on_cpu():  # the same memory: NumPy joins and cuts it without an operator per tensor
            flat = np.concatenate([tensor.asnumpy().ravel() for tensor in tensors])
            parts = np.split(self._all_reduce(Tensor(flat)).asnumpy(), np.cumsum(sizes)[:-1])
            return [Tensor(part.reshape(tensor.shape)) for part, tensor in zip(parts, tensors)]
        parts = ops.split(self._all_reduce(ops.concat([tensor.reshape(-1) for tensor in tensors])), sizes)
        return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors)]


def spans(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Cut a list into runs whose sizes add up to `most` or less; what is larger by itself stands alone.

    Args:
        sizes: of the elements.
        most: sum that a run may reach.

    Returns:
        (first, behind the last) of every run.
    """
    found, first, total = [], 0, 0
    for index, size in enumerate(sizes):
        if index > first and total + size > most:
            found.append((first, index))
            first, total = index, 0
        total += size
    return [*found, (first, len(sizes))]
