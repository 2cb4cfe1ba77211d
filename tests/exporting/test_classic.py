"""Newer operators of a MINDIR become classic ones, and compute the same."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindrestore.exporting.classic import CLASSIC, in_classic_operators
from mindrestore.exporting.mindir import read_mindir
from mindrestore.exporting.reload import MindIREngine


class Newer(nn.Cell):
    """Sums, products and arithmetic with numbers, as networks have them."""

    def construct(self, x: Tensor) -> Tensor:
        flat = x.reshape(3, 24)
        product = ops.matmul(flat, ops.transpose(flat, (1, 0)))  # (3, 3)
        stack = ops.matmul(x[0], ops.transpose(x, (0, 1, 3, 2))[0])  # (3, 4, 4)
        total = x.sum() + x.sum((2, 3), keepdims=True)
        y = (x * 2 - 0.5) / 4 + (1.5 - x) * 3 + x**2 + total
        return y + product.sum() + ops.matmul(stack, x[0]).reshape(1, 3, 4, 6)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("newer") / "x.mindir"
    ms.export(Newer(), Tensor(np.zeros((1, 3, 4, 6), np.float32)), file_name=str(path), file_format="MINDIR")
    return path.read_bytes()


def operators(data):
    return {node.op for node in read_mindir(data).nodes}


def test_what_networks_have_becomes_classic_and_computes_the_same(exported, tmp_path):
    assert {"MatMulExt", "SumExt"} & operators(exported)
    classic = in_classic_operators(exported)
    found = operators(classic)
    assert found.isdisjoint(CLASSIC)
    assert {"MatMul", "BatchMatMul", "ReduceSum", "Mul", "Add"} <= found
    x = np.random.default_rng(0).random((1, 3, 4, 6), np.float32)
    results = []
    for name, data in (("newer", exported), ("classic", classic)):
        path = tmp_path / f"{name}.mindir"
        path.write_bytes(data)
        results.append(MindIREngine(path)(x))
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], Newer()(Tensor(x)).asnumpy(), rtol=1e-5)


def test_a_classic_file_stays_as_it_is(exported):
    classic = in_classic_operators(exported)
    assert in_classic_operators(classic) == classic
