"""Layers whose defaults or kernels differ between frameworks and devices, against numpy and MindSpore's own forms."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from golden import error
from mindrestore.models.layers import Conv2d, MaxPool2x2, NarrowConv2d, ReflectPad, UpsampleConv, in_form

RNG = np.random.default_rng(0)


def value_and_gradients(function, *inputs, weights=None):
    """Return the value, and the gradients of sum(value * fixed random numbers)."""
    value = function(*inputs)
    probe = Tensor(np.random.default_rng(7).standard_normal(value.shape).astype(np.float32))

    def loss(*arguments):
        return (function(*arguments) * probe).sum()

    return value.asnumpy(), ms.grad(loss, 0, weights)(*inputs)


@pytest.mark.parametrize("shape", [(1, 4, 3, 3), (2, 4, 3, 9), (2, 4, 8, 11), (1, 4, 14, 5)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_shifted_sums_equal_the_direct_convolution(shape, kernel):
    compare_narrow_forms(NarrowConv2d(shape[1], 3, kernel), shape)


@pytest.mark.parametrize("shape", [(2, 6, 7, 7), (2, 6, 12, 10)])
def test_shifted_sums_equal_the_direct_convolution_7x7(shape):
    compare_narrow_forms(NarrowConv2d(6, 3, 7), shape)


def compare_narrow_forms(layer: NarrowConv2d, shape: tuple[int, ...]) -> None:
    x = Tensor(RNG.standard_normal(shape).astype(np.float32))
    found = {}
    for form in ("cpu", "plain"):
        with in_form(layer, form):
            value, (grad_x, grads) = value_and_gradients(layer, x, weights=layer.trainable_params())
        found[form] = [value, grad_x.asnumpy(), *(g.asnumpy() for g in grads)]
    side = layer.kernel - 1
    assert found["cpu"][0].shape == (shape[0], 3, shape[2] - side, shape[3] - side)
    assert max(error(a, b) for a, b in zip(found["cpu"], found["plain"])) < 1e-5


@pytest.mark.parametrize(
    ("shape", "width", "graph"),
    [
        ((1, 2, 4, 5), 3, False),
        ((2, 3, 4, 4), 3, False),
        ((2, 1, 9, 6), 2, False),
        ((1, 3, 2, 2), 1, False),
        ((2, 2, 9, 8), 3, False),  # lines lie between the mirrored ones, and none
        ((2, 2, 4, 5), 3, True),
        ((1, 2, 11, 6), 2, True),
    ],
)
def test_reflection_equals_the_mirror_operator_and_its_gradient(shape, width, graph):
    x = RNG.standard_normal(shape).astype(np.float32)
    layer = ReflectPad(width)
    value, gradient = value_and_gradients(ms.jit(layer) if graph else layer, Tensor(x))
    other, expected = value_and_gradients(lambda v: ops.pad(v, [width] * 4, mode="reflect"), Tensor(x))
    np.testing.assert_array_equal(value, other)
    np.testing.assert_array_equal(value, np.pad(x, ((0, 0), (0, 0), (width, width), (width, width)), mode="reflect"))
    assert error(gradient.asnumpy(), expected.asnumpy()) < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (5, 2)])
def test_upsampling_equals_a_transposed_convolution(size):
    layer = UpsampleConv(4, 3)
    x = RNG.standard_normal((2, 4, *size)).astype(np.float32)
    weight, bias = layer.weight.asnumpy().astype(np.float64), layer.bias.asnumpy()
    full = np.zeros((2, 3, 2 * size[0] + 2, 2 * size[1] + 2))  # one row and column of padding all round
    for i, j in np.ndindex(*size):
        full[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("nc,cokl->nokl", x[:, :, i, j], weight)
    expected = full[:, :, 1:-1, 1:-1] + bias.reshape(1, 3, 1, 1)
    assert error(layer(Tensor(x)).asnumpy(), expected) < 1e-5


@pytest.mark.parametrize(("kernel", "stride", "padding", "bias"), [(3, 1, 1, True), (3, 2, 1, False), (1, 1, 0, True)])
def test_convolution_equals_numpy(kernel, stride, padding, bias):
    layer = Conv2d(4, 5, kernel, stride=stride, padding=padding, bias=bias)
    x = RNG.standard_normal((2, 4, 8, 6)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]
    expected = np.einsum("nchwkl,ockl->nohw", windows, layer.weight.asnumpy())
    if bias:
        expected += layer.bias.asnumpy().reshape(1, 5, 1, 1)
    assert error(layer(Tensor(x)).asnumpy(), expected) < 1e-5
    assert [name for name, _ in layer.parameters_and_names()] == ["weight", "bias"][: 1 + bias]


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (Conv2d(16, 32, 3), 1 / 12),
        (NarrowConv2d(16, 8, 3), 1 / 12),
        (UpsampleConv(32, 16), 1 / 12),  # PyTorch counts the output channels here
    ],
)
def test_initial_weights_fill_the_range_of_pytorch(layer, bound):
    weight, bias = layer.weight.asnumpy(), layer.bias.asnumpy()
    assert 0.99 * bound < np.abs(weight).max() <= bound
    assert abs(weight.std() / (bound / np.sqrt(3)) - 1) < 0.05
    assert 0.5 * bound < np.abs(bias).max() <= bound


def test_pooling_drops_an_odd_border():
    x = RNG.standard_normal((1, 2, 5, 7)).astype(np.float32)
    expected = x[:, :, :4, :6].reshape(1, 2, 2, 2, 3, 2).max((3, 5))
    np.testing.assert_array_equal(MaxPool2x2()(Tensor(x)).asnumpy(), expected)
