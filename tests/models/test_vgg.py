"""VGG features: names and shapes of torchvision, sizes of the taps, genuine weights, and clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor

from golden import error
from mindrestore.errors import MindRestoreError
from mindrestore.losses.contrastive import TAPS, build_contrastive
from mindrestore.models.specs.vgg import LAYOUTS
from mindrestore.models.vgg import VGGFeatures

INDICES = {
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
CHANNELS = {
    "vgg16": (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
    "vgg19": (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512),
}
LAST = {"vgg16": "relu5_3", "vgg19": "relu5_4"}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bias", [True, False])
def test_names_and_shapes_are_those_of_torchvision(layout, bias):
    expected, channels_in = {}, 3
    for index, channels in zip(INDICES[layout], CHANNELS[layout]):
        expected[f"features.{index}.weight"] = (channels, channels_in, 3, 3)
        if bias:
            expected[f"features.{index}.bias"] = (channels,)
        channels_in = channels
    net = VGGFeatures(layout, (LAST[layout],), bias=bias)
    assert {name: tuple(p.shape) for name, p in net.parameters_and_names()} == expected


@pytest.mark.parametrize(("layout", "deepest"), [("vgg16", 24), ("vgg19", 28)])
def test_layers_behind_the_deepest_tap_are_not_made(layout, deepest):
    names = [name for name, _ in VGGFeatures(layout, TAPS).parameters_and_names()]
    assert names[-2:] == [f"features.{deepest}.weight", f"features.{deepest}.bias"]


def test_taps_come_in_data_flow_order_after_the_relu():
    net = VGGFeatures("vgg19", ("relu3_1", "relu1_1"))
    x = Tensor(np.random.default_rng(0).random((2, 3, 18, 20), np.float32))
    first, second = net(x)
    assert first.shape == (2, 64, 18, 20)
    assert second.shape == (2, 256, 4, 5)
    assert first.asnumpy().min() == second.asnumpy().min() == 0.0
    np.testing.assert_array_equal(first.asnumpy(), np.maximum(net.features[0](x).asnumpy(), 0))


def test_five_taps_halve_the_size_each():
    features = VGGFeatures("vgg16", TAPS)(Tensor(np.zeros((1, 3, 32, 16), np.float32)))
    assert [f.shape for f in features] == [
        (1, 64, 32, 16),
        (1, 128, 16, 8),
        (1, 256, 8, 4),
        (1, 512, 4, 2),
        (1, 512, 2, 1),
    ]


def test_unknown_layout_and_layers_are_named():
    with pytest.raises(MindRestoreError, match=r"VGG layout 'vgg11' is not one of vgg16, vgg19"):
        VGGFeatures("vgg11", TAPS)
    with pytest.raises(MindRestoreError, match=r"vgg16 has no layer relu3_4; known: relu1_1, .*, relu5_3"):
        VGGFeatures("vgg16", ("relu1_1", "relu3_4"))
    with pytest.raises(MindRestoreError, match=r"vgg19 has no layer \(none named\)"):
        VGGFeatures("vgg19", ())


def test_genuine_weights(shared):
    path = shared / "weights" / "vgg16_imagenet_conv.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    vgg = build_contrastive(**{"vgg": "vgg16", "vgg_weights": str(path)}).vgg
    first = vgg.features[0].weight.asnumpy()
    np.testing.assert_allclose(first[0, 0, 0], [-0.5537306, 0.1427047, 0.5289615], rtol=1e-6)
    with np.load(path) as file:
        for name, parameter in vgg.parameters_and_names():
            np.testing.assert_array_equal(parameter.asnumpy(), file[name])
    x = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    plain = np.einsum("nchwkl,ockl->nohw", windows.astype(np.float64), first)
    expected = np.maximum(plain + vgg.features[0].bias.asnumpy().reshape(1, -1, 1, 1), 0)
    assert error(vgg(Tensor(x))[0].asnumpy(), expected) < 1e-5
