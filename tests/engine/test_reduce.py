"""Gradients go over the wire in few buffers: which tensors share one, and that cutting changes no number."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from mindrestore.engine import reduce
from mindrestore.engine.reduce import SumInGraph, SumOverRanks, spans

SHAPES = [(3,), (2, 3), (4, 1, 2), (5,), (1,)]


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([3, 3, 3, 9], 6, [(0, 2), (2, 3), (3, 4)]),
        ([9, 1, 1], 6, [(0, 1), (1, 3)]),
        ([1, 2, 3], 100, [(0, 3)]),
        ([7], 1, [(0, 1)]),
    ],
)
def test_buffers_hold_as_many_as_fit(sizes, most, expected):
    assert spans(sizes, most) == expected


@pytest.mark.parametrize(("most", "expected"), [(1, [3, 6, 8, 5, 1]), (9, [9, 8, 6]), (1000, [23])])
def test_sums_keep_their_shapes_and_places(most, expected, monkeypatch):
    sizes = []
    monkeypatch.setattr(reduce, "_BUCKET", most)
    monkeypatch.setattr(
        ops, "AllReduce", lambda: lambda x: sizes.append(x.size) or x + x
    )  # two ranks with equal tensors
    arrays = [np.random.default_rng(i).random(shape).astype(np.float32) for i, shape in enumerate(SHAPES)]
    summed = SumOverRanks()
    for time in range(2):
        sums = summed([Tensor(array) for array in arrays])
        assert (summed.seconds > 0) == (time > 0)  # the first call does not count
    assert sizes == 2 * expected
    for array, result in zip(arrays, sums):
        np.testing.assert_array_equal(result.asnumpy(), 2 * array)


@pytest.mark.parametrize(
    ("device", "expected"), [("Ascend", [1, 2, 2, 3, 4, 4]), ("GPU", [1] * 6)]
)  # values first, then buffers of at most nine numbers; MindSpore refuses a second all-reduce in a graph for GPU
def test_gradients_that_share_a_buffer_have_one_number(monkeypatch, device, expected):
    numbers = []
    monkeypatch.setattr(reduce, "current_device", lambda: device)
    monkeypatch.setattr(reduce, "_BUCKET", 9)
    monkeypatch.setattr(reduce, "_all_reduce", lambda number: numbers.append(number) or (lambda tensor: 2 * tensor))
    arrays = [np.random.default_rng(i).random(shape).astype(np.float32) for i, shape in enumerate(SHAPES)]
    summed = SumInGraph([array.size for array in arrays])
    assert numbers == expected
    assert "allreduce" in ms.get_auto_parallel_context("comm_fusion")  # else MindSpore joins none: tests/cards
    first, second = [Tensor(array) for array in arrays[:2]], [Tensor(array) for array in arrays[2:]]
    values, gradients = summed((first[0], second[0]), (tuple(first), tuple(second)))
    found = [tensor.asnumpy() for tensor in (*values, *gradients[0], *gradients[1])]
    for ours, array in zip(found, (arrays[0], arrays[2], *arrays)):
        np.testing.assert_array_equal(ours, 2 * array)
