"""Windows with mirrored borders against numpy's padding, and the attention inside them against its formula."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from golden import error
from mindrestore.models.layers import WindowAttention, Windows, set_form
from mindrestore.models.layers.mirror import MirrorExtend, mirrored

RNG = np.random.default_rng(0)


def normal(*shape):
    return Tensor(RNG.standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize(("length", "wanted", "before"), [(9, 16, 4), (7, 8, 0), (16, 24, 4), (25, 28, 0), (3, 16, 4)])
def test_mirrored_places_are_those_of_numpy(length, wanted, before):
    expected = np.pad(np.arange(length), (before, wanted - length - before), mode="reflect")
    np.testing.assert_array_equal(mirrored(length, wanted, before).asnumpy(), expected)


@pytest.mark.parametrize("form", ["plain", "cpu"])
@pytest.mark.parametrize("shape", [(1, 2, 8, 12), (2, 1, 9, 7), (1, 1, 2, 3)])
def test_images_are_mirrored_to_a_multiple(shape, form):
    layer, x = MirrorExtend(4, before=4), RNG.random(shape, np.float32)
    set_form(layer, form)
    border = [(4, -side % 4) for side in shape[2:]]
    np.testing.assert_array_equal(layer(Tensor(x)).asnumpy(), np.pad(x, ((0, 0), (0, 0), *border), mode="reflect"))


@pytest.mark.parametrize("form", ["plain", "cpu"])
@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("shape", [(2, 3, 16, 21), (1, 2, 7, 9), (1, 3, 24, 40)])
def test_windows_hold_the_mirrored_map_and_go_back(shape, shift, form):
    x = RNG.standard_normal(shape).astype(np.float32)
    n, c, h, w = shape
    rows, columns = -(-(h + shift) // 8), -(-(w + shift) // 8)
    border = ((0, 0), (0, 0), (shift, rows * 8 - h - shift), (shift, columns * 8 - w - shift))
    padded = np.pad(x, border, mode="reflect").reshape(n, c, rows, 8, columns, 8)
    layer = Windows(8, shift)
    set_form(layer, form)
    places = layer.places(h, w)
    windows = layer.cut(Tensor(x), places)
    np.testing.assert_array_equal(windows.asnumpy(), padded.transpose(2, 4, 0, 1, 3, 5).reshape(-1, c, 8, 8))
    np.testing.assert_array_equal(layer.join(windows, places, shape).asnumpy(), x)


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
def test_attention_and_its_gradients_are_those_of_the_formula(graph):
    q, k, v, weights = (normal(5, 2, 3, 16) for _ in range(4))
    bias = normal(2, 16, 16)
    attention = WindowAttention()

    def own(q, k, v, bias):
        return (attention(q, k, v, bias)[0] * weights).sum()

    def plain(q, k, v, bias):
        shares = ops.softmax(ops.matmul(q.swapaxes(2, 3), k) + bias, -1)
        return (ops.matmul(v, shares.swapaxes(2, 3)) * weights).sum()

    found = [ops.value_and_grad(function, (0, 1, 2, 3)) for function in (own, plain)]
    (value, grads), (expected, expected_grads) = ((ms.jit(f) if graph else f)(q, k, v, bias) for f in found)
    assert float(value) == pytest.approx(float(expected), rel=1e-4)
    assert max(error(a.asnumpy(), b.asnumpy()) for a, b in zip(grads, expected_grads)) < 1e-5
