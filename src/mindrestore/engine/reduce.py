"""Sum gradients over the ranks in few large buffers: inside the graph of a step on cards, by the host on a CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.models.layers import current_device

_BUCKET = 2**23  # numbers in a buffer: 32 MB, so that copies of all gradients are not held twice


class SumOverRanks:
    """Add up tensors over all ranks of CPUs; every rank has to call it with tensors of the same shapes.

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
        min(tensors, key=lambda tensor: tensor.size).asnumpy()  # else the rest of the backward pass would count
        began = time.perf_counter()
        sums: list[Tensor] = []
        for first, last in spans([tensor.size for tensor in tensors], _BUCKET):
            sums += self._sum(tensors[first:last])
        if self._calls > 0:
            self.seconds += time.perf_counter() - began
        self._calls += 1
        return sums

    def _sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        # The same memory: NumPy joins and cuts it without an operator per tensor
        flat = np.concatenate([tensor.asnumpy().ravel() for tensor in tensors])
        parts = np.split(self._all_reduce(Tensor(flat)).asnumpy(), np.cumsum([tensor.size for tensor in tensors])[:-1])
        return [Tensor(part.reshape(tensor.shape)) for part, tensor in zip(parts, tensors)]


class SumInGraph(nn.Cell):
    """Add up tensors over all ranks inside a graph; MindSpore joins calls with one number into one buffer.

    A buffer goes over the wire as soon as its gradients are there, while the backward pass goes on. On GPU there is one
    buffer for all: MindSpore refuses a graph with a second all-reduce there. Nothing is timed.

    Args:
        sizes: of the gradients, one optimizer's after the other.

    Inputs:
        values: one tensor per optimizer.
        gradients: one tuple of tensors per optimizer.

    Returns:
        The sums, likewise.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(auto_prefix=False)
        ms.set_auto_parallel_context(comm_fusion={"allreduce": {"mode": "auto", "config": None}})  # else it joins none
        self.each = ops.HyperMap()
        self.of_values = _all_reduce(1)
        buffers = [
            number for number, (first, last) in enumerate(spans(sizes, _BUCKET), start=2) for _ in range(first, last)
        ]
        self.of_gradients = tuple(_all_reduce(1 if current_device() == "GPU" else number) for number in buffers)

    def construct(
        self, values: tuple[Tensor, ...], gradients: tuple[tuple[Tensor, ...], ...]
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        sums, first = (), 0
        for own in gradients:
            sums = (*sums, self.each(_applied, self.of_gradients[first : first + len(own)], own))
            first += len(own)
        return self.each(self.of_values, values), sums


def _all_reduce(number: int) -> ops.AllReduce:
    operator = ops.AllReduce()
    operator.add_prim_attr("fusion", number)
    return operator


def _applied(operator: ops.AllReduce, tensor: Tensor) -> Tensor:
    return operator(tensor)


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
