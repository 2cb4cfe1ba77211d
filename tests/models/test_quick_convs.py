"""Convolutions with a form of their own on CPU against MindSpore's operators: values and gradients."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, ops

from golden import error
from mindrestore.models.layers import ChannelAdd, Conv1x1, Depthwise5x5, set_form

RNG = np.random.default_rng(0)
both_modes = pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])


def normal(*shape):
    return Tensor(RNG.standard_normal(shape).astype(np.float32))


def compare(own, plain, inputs, weights, graph, tolerance=1e-5):
    """Compare values and gradients in the inputs and weights."""
    places = tuple(range(len(inputs)))
    found = [ops.value_and_grad(f, places, ParameterTuple(weights) if weights else None) for f in (own, plain)]
    (value, grads), (expected, expected_grads) = ((ms.jit(f) if graph else f)(*inputs) for f in found)
    assert float(value) == pytest.approx(float(expected), rel=1e-4)
    if weights:
        grads, expected_grads = ((*g[0], *g[1]) for g in (grads, expected_grads))
    assert max(error(a.asnumpy(), b.asnumpy()) for a, b in zip(grads, expected_grads)) < tolerance


@pytest.mark.parametrize(
    ("size", "graph"), [((16, 12), False), ((16, 11), False), ((9, 8), False), ((3, 5), False), ((9, 11), True)]
)
def test_depthwise_convolution(size, graph):
    ms.set_seed(0)
    layer = Depthwise5x5(4)
    x, factor, offset = normal(2, 4, *size), normal(2, 4, *size), normal(2, 4)

    def own(x, offset):
        y, constant = layer(x, offset)
        return ((y + constant.reshape(2, 4, 1, 1)) * factor).sum()

    def plain(x, offset):
        padded = ops.pad(x + offset.reshape(2, 4, 1, 1), (2, 2, 2, 2), mode="reflect")
        y = ops.conv2d(padded, layer.weight, None, 1, "valid", 0, 1, 4)
        return ((y + layer.bias.reshape(1, 4, 1, 1)) * factor).sum()

    compare(own, plain, (x, offset), [layer.weight, layer.bias], graph, 2e-5)


def test_depthwise_convolution_has_one_result_in_both_forms():
    ms.set_seed(0)
    layer = Depthwise5x5(3)
    x, offset = normal(2, 3, 13, 10), ops.zeros((1, 3))
    rows, _ = layer(x, offset)
    set_form(layer, "plain")
    assert error(rows.asnumpy(), layer(x, offset)[0].asnumpy()) < 1e-6


@both_modes
def test_pointwise_convolution(graph):
    ms.set_seed(0)
    layer = Conv1x1(5, 3)
    x, factor = normal(2, 5, 6, 7), normal(2, 3, 6, 7)

    def own(x):
        return (layer(x) * factor).sum()

    def plain(x):
        y = ops.conv2d(x, layer.weight, None, 1, "valid", 0, 1, 1) + layer.bias.reshape(1, 3, 1, 1)
        return (y * factor).sum()

    compare(own, plain, (x,), [layer.weight, layer.bias], graph)
    constants = normal(2, 5)
    expected = layer(constants.reshape(2, 5, 1, 1)).reshape(2, 3)
    np.testing.assert_allclose(layer.on_constants(constants).asnumpy(), expected.asnumpy(), atol=1e-6)


@both_modes
def test_offset_per_image_and_channel(graph):
    add = ChannelAdd()
    x, offset, factor = normal(2, 3, 4, 5), normal(2, 3), normal(2, 3, 4, 5)

    def own(x, offset):
        return (ops.square(add(x, offset)) * factor).sum()

    def plain(x, offset):
        return (ops.square(x + offset.reshape(2, 3, 1, 1)) * factor).sum()

    compare(own, plain, (x, offset), [], graph)
