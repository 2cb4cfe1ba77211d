"""The 3x3 convolution with its own gradients against the ordinary layer, whose gradients are MindSpore's."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from golden import error
from mindrestore.models.layers import Conv2d, Conv3x3, conv_3x3
from mindrestore.weights.convert import load_weights

RNG = np.random.default_rng(0)


class Gradients(nn.Cell):
    """The output of a layer, and the gradients of sum(output * weights) in its input and parameters."""

    def __init__(self, layer: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.layer = layer
        self.gradients = ops.grad(self.loss, 0, ParameterTuple(layer.trainable_params()))

    def loss(self, x, weights):
        return (self.layer(x) * weights).sum()

    def construct(self, x, weights):
        of_input, of_parameters = self.gradients(x, weights)
        return (self.layer(x), of_input, *of_parameters)


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
@pytest.mark.parametrize(
    ("channels", "out_channels", "shape", "bias"),
    [
        (4, 6, (2, 5, 7), True),
        (3, 8, (1, 8, 8), False),
        (8, 3, (3, 1, 4), True),
        (5, 1, (1, 6, 1), False),
        (2, 9, (2, 6, 3), True),
    ],
)
def test_output_and_gradients_equal_those_of_the_ordinary_layer(channels, out_channels, shape, bias, graph):
    ordinary, quick = Conv2d(channels, out_channels, 3, padding=1, bias=bias), Conv3x3(channels, out_channels, bias)
    load_weights(quick, {name: p.asnumpy() for name, p in ordinary.parameters_and_names()})
    n, h, w = shape
    x = Tensor(RNG.standard_normal((n, channels, h, w)).astype(np.float32))
    weights = Tensor(RNG.standard_normal((n, out_channels, h, w)).astype(np.float32))
    found = []
    for layer in (ordinary, quick):
        cell = Gradients(layer)
        found.append([value.asnumpy() for value in (ms.jit(cell) if graph else cell)(x, weights)])
    assert len(found[0]) == 3 + bias
    assert max(error(a, b) for a, b in zip(found[1], found[0])) < 1e-5


def test_half_precision_stays_half():
    layer = Conv3x3(4, 6)
    x = Tensor(RNG.standard_normal((2, 4, 8, 8)).astype(np.float32))
    half, single = layer(x.astype(ms.float16)), layer(x)
    assert half.dtype == ms.float16
    assert error(half.asnumpy(), single.asnumpy()) < 5e-3
    of_input, (of_kernel, of_bias) = ops.grad(
        lambda value: layer(value).sum(), 0, ParameterTuple(layer.trainable_params())
    )(x.astype(ms.float16))
    assert (of_input.dtype, of_kernel.dtype, of_bias.dtype) == (ms.float16, ms.float32, ms.float32)


def test_initial_weights_follow_the_rule_of_pytorch():
    ms.set_seed(0)
    layer = Conv3x3(16, 64)
    for value in (layer.weight.asnumpy(), layer.bias.asnumpy()):
        assert 0.9 / 12 < np.abs(value).max() <= 1 / 12  # 1/sqrt(16 * 9)
        assert value.std() == pytest.approx(1 / 12 / np.sqrt(3), rel=0.15)


def test_the_form_follows_the_number_of_channels():
    narrow, wide = conv_3x3(320, 128), conv_3x3(576, 256)
    assert (type(narrow), type(wide)) == (Conv3x3, Conv2d)
    for layer, shape in ((narrow, (128, 320, 3, 3)), (wide, (256, 576, 3, 3))):
        assert {name: p.shape for name, p in layer.parameters_and_names()} == {"weight": shape, "bias": shape[:1]}
    x = Tensor(RNG.random((1, 576, 2, 3), np.float32))
    assert wide(x).shape == (1, 256, 2, 3)
