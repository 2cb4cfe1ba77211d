"""Weights that are loaded into a network whose graph is compiled already must be the ones it computes with."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.weights.convert import load_weights


def test_a_compiled_graph_sees_loaded_weights():
    net = nn.Dense(2, 1, weight_init="ones", bias_init="zeros")
    compiled, other = ms.jit(net), ms.jit(nn.SequentialCell(net))
    x = ms.Tensor(np.array([[1.0, 2.0]], np.float32))
    assert [float(call(x).asnumpy().item()) for call in (net, compiled, other)] == [3.0, 3.0, 3.0]
    load_weights(net, {"weight": np.array([[10.0, 1.0]], np.float32), "bias": np.array([0.5], np.float32)})
    assert [float(call(x).asnumpy().item()) for call in (net, compiled, other)] == [12.5, 12.5, 12.5]
