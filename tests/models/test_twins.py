"""Operators of losses and updates: what Ascend computes by others is the same, as far as these have CPU kernels."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, ops

from mindrestore.models.layers import (
    ChannelMean,
    GridMean,
    Parts,
    assign,
    blended,
    in_form,
    mean,
    norm,
    shrink,
    split,
    together,
    twins,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4, 6)).astype(np.float32)


@pytest.fixture(params=["CPU", "Ascend"])
def device(request, monkeypatch):
    """Let layers think that this device computes."""
    monkeypatch.setattr(ms, "get_context", lambda key: request.param)
    # The one without a CPU kernel
    monkeypatch.setattr(twins, "_norm_of", lambda x: ops.sqrt(ops.square(x).sum()))
    return request.param


def test_means_and_their_gradients(device):
    value, gradient = ms.value_and_grad(mean)(Tensor(X))
    assert float(value) == pytest.approx(X.mean(dtype=np.float64), rel=1e-5)
    np.testing.assert_allclose(gradient.asnumpy(), np.full(X.shape, 1 / X.size), rtol=1e-6)


def test_the_norm_of_many_tensors_is_that_of_all_values(device):
    tensors = [Tensor(X), Tensor(X[0]), Tensor(X[1, 2, 3, :1])]
    values = np.concatenate([tensor.asnumpy().ravel() for tensor in tensors])
    assert float(norm(tensors)) == pytest.approx(np.linalg.norm(values.astype(np.float64)), rel=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_blends(device, share):
    found = blended(Tensor(X), Tensor(2 * X), Tensor(1 - share), Tensor(share)).asnumpy()
    np.testing.assert_allclose(found, (1 + share) * X, rtol=1e-6)
    assert share > 0 or np.array_equal(found, X)


def test_values_are_written_in_place(device):
    parameter = Parameter(Tensor(X), name="x")
    other = Parameter(parameter, name="y")
    assign(parameter, Tensor(2 * X))
    np.testing.assert_array_equal(parameter.asnumpy(), 2 * X)
    np.testing.assert_array_equal(other.asnumpy(), X)


def test_parameters_are_multiplied_in_place_in_the_order_of_the_program(device):
    param = Parameter(Tensor(X), name="x")

    @ms.jit  # by itself the operator of Ascend has no CPU kernel
    def read_between(factor):
        before = param * 1.0
        shrink(param, factor)
        return before, param * 1.0

    before, behind = read_between(Tensor(0.75))
    np.testing.assert_array_equal(before.asnumpy(), X)
    np.testing.assert_array_equal(behind.asnumpy(), np.float32(0.75) * X)
    np.testing.assert_array_equal(param.asnumpy(), np.float32(0.75) * X)


def test_parts_of_equal_length(device):
    for found, expected in zip(split(Tensor(X), 2, 3), np.split(X, 3, 3)):
        np.testing.assert_array_equal(found.asnumpy(), expected)


def test_numbers_of_any_rank_become_a_vector():
    assert together([Tensor(1.0), Tensor([2.0]), Tensor([[3.0]])]).asnumpy().tolist() == [1, 2, 3]


@pytest.mark.parametrize("lengths", [(1, 2), (1, 1, 1)])
def test_parts_in_the_form_of_ascend(lengths):
    layer = Parts(lengths)
    for form in ("cpu", "ascend"):
        with in_form(layer, form):
            for found, expected in zip(layer(Tensor(X)), np.split(X, np.cumsum(lengths)[:-1], 1)):
                np.testing.assert_array_equal(found.asnumpy(), expected)


@pytest.mark.parametrize("layer", [ChannelMean(), GridMean(2, 3)], ids=repr)
def test_means_per_channel_and_cell_in_the_form_of_ascend(layer):
    found = {}
    for form in ("cpu", "ascend"):
        with in_form(layer, form):
            gradient = ms.grad(lambda x: (layer(x) * layer(x)).sum())(Tensor(X))
            found[form] = layer(Tensor(X)).asnumpy(), gradient.asnumpy()
    for expected, other in zip(*found.values()):
        np.testing.assert_allclose(other, expected, atol=1e-6)
