"""MPILNet: patches, counts of every variant, a second computation in plain numpy, size rule, and its discriminator."""

from __future__ import annotations

import math

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from mpilnet_table import mpilnet_shapes

from golden import error
from mindrestore.errors import MindRestoreError
from mindrestore.exporting.exporter import export_model
from mindrestore.inference.options import PUBLISHED
from mindrestore.inference.restorer import Restorer
from mindrestore.losses.ms_ssim import MSSSIMLoss
from mindrestore.losses.objective import Objective
from mindrestore.losses.pixel import SmoothL1Loss
from mindrestore.models import mpilnet_blocks as blocks
from mindrestore.models.discriminator import discriminator
from mindrestore.models.layers import Halves, MaxPool2x2, batch_norm
from mindrestore.models.registry import create_model, model_spec
from mindrestore.weights.guess import guess
from small import small

RNG = np.random.default_rng(0)
VARIANTS = [  # generator's trainable parameters and tensors
    ({}, 32_344_836, 296),
    ({"share_encoder": False}, 61_774_212, 348),
    ({"vgg_depth": 19}, 37_654_532, 302),
    ({"vgg_depth": 19, "share_encoder": False}, 77_703_300, 366),
]


@pytest.fixture(scope="module")
def net():
    ms.set_seed(3)
    return create_model("mpilnet")


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("form", ["cpu", "ascend"])
def test_patches_come_back_as_the_image(form):
    x = random(2, 3, 64, 96)
    rows, columns = Halves(2), Halves(3)
    rows.form = columns.form = form
    quarters = columns.cut(rows.cut(Tensor(x)))
    corners = [x[:, :, :32, :48], x[:, :, 32:, :48], x[:, :, :32, 48:], x[:, :, 32:, 48:]]
    np.testing.assert_array_equal(quarters.asnumpy(), np.concatenate(corners))
    np.testing.assert_array_equal(rows.join(columns.join(quarters)).asnumpy(), x)


@pytest.mark.parametrize(("hyper", "parameters", "tensors"), VARIANTS)
def test_counts_shapes_and_recognition_of_every_variant(hyper, parameters, tensors):
    """A narrow network has the names and shapes of the table, and the table counts the wide one."""
    settings = {"vgg_depth": 16, "share_encoder": True, **hyper}
    net = small("mpilnet", **hyper)
    trained = {name for name, p in net.parameters_and_names() if p.requires_grad}
    shapes = {name: tuple(p.shape) for name, p in net.parameters_and_names()}
    assert shapes == mpilnet_shapes(**settings, width=8)
    wide = mpilnet_shapes(**settings)
    assert (sum(math.prod(wide[name]) for name in trained), len(trained)) == (parameters, tensors)
    found = guess(wide)
    assert (found.network.name, dict(found.hyper), found.alternatives) == ("mpilnet", hyper, ())


def test_parts_have_the_counts_of_the_description(net):
    def count(cell: nn.Cell) -> int:
        return sum(p.size for p in cell.get_parameters())

    assert count(net.encoders[0]) == 14_714_688
    assert [count(decoder) for decoder in net.decoders] == [4_749_221, 6_429_029, 6_429_029]
    assert [count(head) for head in net.heads] == [867, 867]
    assert count(net.output) == 16_428 + 4_707


def test_frozen_encoder_is_not_trained():
    net = create_model("mpilnet", freeze_encoder=True)
    assert sum(p.size for p in net.trainable_params()) == 32_344_836 - 14_714_688
    assert not [p.name for p in net.trainable_params() if p.name.startswith("encoders")]


def test_start_of_the_weights(net):
    for name, p in net.parameters_and_names():
        value = p.asnumpy()
        if name.startswith("heads"):
            assert not value.any()
        elif name.startswith("encoders"):  # He-normal over the fan-out
            expected = np.sqrt(2 / (p.shape[0] * 9)) if value.ndim == 4 else 0
            assert value.std() == pytest.approx(expected, rel=0.1)
        elif value.size > 5000:  # uniform in +-1/sqrt(fan_in)
            bound = 1 / np.sqrt(np.prod(p.shape[1:]))
            assert 0.95 * bound < np.abs(value).max() <= bound * 1.0001
        elif name.endswith("gate.0.bias") and "cross" not in name:
            assert 0 <= value.min() < value.max() <= 1 / np.sqrt(net_shape(net, name)[1])


def net_shape(net: nn.Cell, bias: str) -> tuple[int, ...]:
    """Return the shape of the kernel that a bias belongs to."""
    return dict(net.parameters_and_names())[bias.replace(".bias", ".weight")].shape


def test_levels_pass_images_and_features_on(net):
    """The whole network from its parts, level by level, as the description draws it."""
    x = Tensor(RNG.random((1, 3, 64, 96), np.float32))
    heads = [random(*head.weight.shape) * 0.02 for head in net.heads]
    before = [head.weight.asnumpy().copy() for head in net.heads]
    for head, kernel in zip(net.heads, heads):
        head.weight.set_data(Tensor(kernel))
    numpy, encoder = (lambda t: t.asnumpy()), net.encoders[0]

    def joined(maps, axis):
        return tuple(Tensor(np.concatenate(np.split(numpy(entry), 2), axis)) for entry in maps)

    a = numpy(x)
    quarters = np.concatenate([a[:, :, :32, :48], a[:, :, 32:, :48], a[:, :, :32, 48:], a[:, :, 32:, 48:]])
    f3 = net.decoders[0](encoder(Tensor(quarters)), ())
    (r3,) = joined((net.heads[0](f3[0]),), 3)
    f2 = net.decoders[1](encoder(Tensor(np.concatenate([a[:, :, :32], a[:, :, 32:]]) + numpy(r3))), joined(f3, 3))
    (r2,) = joined((net.heads[1](f2[0]),), 2)
    f1 = net.decoders[2](encoder(x + r2), joined(f2, 2))
    expected = net.output(f1[0])
    try:
        assert error(numpy(net(x)), numpy(expected)) < 1e-5
        assert np.abs(numpy(r3)).max() > 0.01 < np.abs(numpy(r2)).max()
    finally:
        for head, kernel in zip(net.heads, before):
            head.weight.set_data(Tensor(kernel))


def conv_numpy(layer: nn.Cell, x: np.ndarray) -> np.ndarray:
    weight = layer.weight.asnumpy().astype(np.float64)
    side = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (side, side), (side, side)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))
    return np.einsum("nchwkl,ockl->nohw", windows, weight) + layer.bias.asnumpy().reshape(1, -1, 1, 1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def block_numpy(block: blocks.DehazeBlock, x: np.ndarray) -> np.ndarray:
    t = conv_numpy(block.conv2, x + np.maximum(conv_numpy(block.conv1, x), 0))
    mean = t.mean((2, 3), keepdims=True)
    t = t * sigmoid(conv_numpy(block.channel_gate[2], np.maximum(conv_numpy(block.channel_gate[0], mean), 0)))
    t = t * sigmoid(conv_numpy(block.pixel_gate[2], np.maximum(conv_numpy(block.pixel_gate[0], t), 0)))
    return t + x


@pytest.mark.parametrize(("channels", "hidden"), [(16, 8), (128, 16)])
def test_dehaze_block_equals_numpy(channels, hidden):
    block = blocks.DehazeBlock(channels)
    assert block.pixel_gate[0].weight.shape[0] == hidden
    x = random(2, channels, 6, 5)
    assert error(block(Tensor(x)).asnumpy(), block_numpy(block, x)) < 1e-5


def test_internal_and_cross_level_modules_equal_numpy():
    module, deep, shallow = blocks.InternalModule(16, 8, 12), random(2, 16, 3, 4), random(2, 8, 6, 8)
    shuffled = deep.reshape(2, 4, 2, 2, 3, 4).transpose(0, 1, 4, 2, 5, 3).reshape(2, 4, 6, 8)  # channel by channel
    hidden = np.maximum(conv_numpy(module.conv, np.concatenate([shuffled, shallow], 1)), 0)
    assert error(module(Tensor(deep), Tensor(shallow)).asnumpy(), block_numpy(module.block, hidden)) < 1e-5
    cross, own, finer = blocks.CrossLevelModule(12), random(2, 12, 6, 8), random(2, 12, 6, 8)
    gate = sigmoid(conv_numpy(cross.gate, np.concatenate([own, finer], 1)))
    assert error(cross(Tensor(own), Tensor(finer)).asnumpy(), own + gate * conv_numpy(cross.conv, finer)) < 1e-5


def test_output_head_equals_numpy():
    head, x = blocks.Output(32), random(1, 32, 32, 64)

    def leaky(value):
        return np.maximum(value, 0.2 * value)

    y = leaky(conv_numpy(head.refine2, leaky(conv_numpy(head.refine1, x))))
    maps = []
    for layer, k in zip(head.contexts, (32, 16, 8, 4)):
        mean = y.reshape(1, 20, 32 // k, k, 64 // k, k).mean((3, 5))
        maps.append(leaky(conv_numpy(layer, mean)).repeat(k, 2).repeat(k, 3))
    z = np.tanh(conv_numpy(head.refine3, np.concatenate([*maps, y], 1)))
    padded = np.pad(z, ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    expected = np.tanh(conv_numpy(head.tail, padded)[:, :, 3:-3, 3:-3])
    assert error(head(Tensor(x)).asnumpy(), expected) < 1e-5


def test_encoder_normalises_and_gives_the_last_relu_of_every_stage():
    encoder, x = blocks.Encoder(16, 64), RNG.random((1, 3, 32, 16), np.float32)
    mean, spread = (np.array(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    value, features, expected = (x - mean) / spread, encoder(Tensor(x)), []
    assert len(encoder.vgg.features) == 30  # nothing behind the last ReLU is computed
    for layer in encoder.vgg.features:
        if isinstance(layer, MaxPool2x2):
            n, c, h, w = value.shape
            expected.append(value)
            value = value.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
        else:
            value = np.maximum(value, 0) if isinstance(layer, nn.ReLU) else conv_numpy(layer, value)
    for given, wanted in zip(features, [*expected, value]):
        assert error(given.asnumpy(), wanted) < 1e-4
    assert [entry.shape[1] for entry in features] == [64, 128, 256, 512, 512]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 100), (65, 64)])
def test_sizes_off_the_grid_are_refused_by_name(net, height, width, graph):
    x = Tensor(np.zeros((1, 3, height, width), np.float32))
    with pytest.raises(
        ValueError, match=f"mpilnet takes heights and widths that are multiples of 32, not {height}x{width}"
    ):
        (ms.jit(net) if graph else net)(x)


@pytest.mark.parametrize(
    ("hyper", "words"),
    [
        ({"vgg_depth": 11}, "vgg_depth 11 is not possible; the encoder has 16 or 19 layers"),
        ({"vgg_depth": "16"}, "vgg_depth='16'; use a whole number"),
        ({"share_encoder": "no"}, "share_encoder='no'; use true or false"),
        ({"freeze_encoder": 1}, "freeze_encoder=1; use true or false"),
        ({"width": 12}, "a VGG of width 12 is not possible: use a multiple of 8"),
        ({"width": "8"}, "width='8'; use a whole number"),
    ],
)
def test_impossible_settings_are_refused(hyper, words):
    with pytest.raises(MindRestoreError, match=words):
        create_model("mpilnet", **hyper)


def test_output_keeps_the_size(net):
    out = net(Tensor(RNG.random((2, 3, 64, 64), np.float32))).asnumpy()
    assert out.shape == (2, 3, 64, 64)
    assert -1 < out.min() < out.max() < 1


@pytest.mark.slow
def test_photographs_of_460x620_are_padded_and_cut(net):
    restore = Restorer("mpilnet", net=net, device="CPU", options=PUBLISHED)
    photo = RNG.random((460, 620, 3), np.float32)
    padded = np.pad(photo, ((0, 20), (0, 20), (0, 0)), mode="reflect")  # multiples of 32
    expected = net(Tensor(padded.transpose(2, 0, 1)[None])).asnumpy()[0].transpose(1, 2, 0)[:460, :620]
    np.testing.assert_allclose(restore.restore_float(photo), np.clip(expected, 0, 1), atol=1e-5)


@pytest.mark.slow
def test_exported_file_clips_at_sizes_it_was_not_made_with(net, tmp_path):
    export_model("mpilnet", dict(net.parameters_and_names()), tmp_path / "m.mindir")
    loaded = nn.GraphCell(ms.load(str(tmp_path / "m.mindir")))
    for size in ((96, 64), (128, 192)):
        x = Tensor(RNG.random((1, 3, *size), np.float32))
        raw, given = net(x).asnumpy(), loaded(x).asnumpy()
        assert raw.min() < -0.01
        assert given.min() == 0
        np.testing.assert_allclose(given, np.clip(raw, 0, 1), atol=1e-5)


@pytest.mark.slow
def test_two_crops_are_learnt_by_heart():
    """Supervised terms only, from random weights; the description's prototype was at 22.3 dB after 50 steps."""
    ms.set_seed(0)
    net, rng = create_model("mpilnet").set_train(True), np.random.default_rng(1)
    colours = [0.1 + 0.7 * rng.random((7, 7, 3), np.float32) for _ in range(2)]
    clear = np.stack([cv2.resize(c, (64, 64), interpolation=cv2.INTER_CUBIC) for c in colours]).transpose(0, 3, 1, 2)
    seen = np.stack([cv2.resize(0.4 + 0.4 * rng.random((3, 3), np.float32), (64, 64)) for _ in range(2)])[:, None]
    clear, hazy = np.ascontiguousarray(clear), (clear * seen + 0.9 * (1 - seen)).astype(np.float32)  # 15.1 dB
    objective = Objective({"smooth_l1": (1.0, SmoothL1Loss()), "ms_ssim": (0.5, MSSSIMLoss())})
    optimizer = nn.Adam(net.trainable_params(), 1e-4)

    def loss(given, target):
        output = net(given)
        total, smooth, structure = objective(output, given, target)
        return total, output, smooth, structure

    step = ms.jit(ms.value_and_grad(loss, None, optimizer.parameters, has_aux=True))
    found = []
    for _ in range(60):
        (_, output, smooth, structure), gradients = step(Tensor(hazy), Tensor(clear))
        found.append((float(smooth), float(structure), -10 * np.log10(np.mean((output.asnumpy() - clear) ** 2))))
        optimizer(gradients)
    smooth, structure, psnr = found[-1]
    assert psnr > 23
    assert smooth < 0.1 * found[0][0]
    assert structure < 0.1 * found[0][1]


def test_discriminator_has_the_published_size_and_layers():
    net = discriminator()
    trained = net.trainable_params()
    assert (sum(p.size for p in trained), len(trained)) == (5_215_425, 34)
    assert net.training


def test_batch_normalisation_keeps_nine_tenths_of_its_past():
    x = 2 + 3 * random(4, 5, 6, 7)
    layer = batch_norm(5).set_train(True)
    out = layer(Tensor(x)).asnumpy()
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    normal = (x - mean.reshape(1, -1, 1, 1)) / np.sqrt(variance.reshape(1, -1, 1, 1) + 1e-5)
    assert error(out, normal) < 1e-5
    np.testing.assert_allclose(layer.moving_mean.asnumpy(), 0.1 * mean, rtol=1e-4)
    unbiased = variance * 168 / 167  # 4 * 6 * 7 values per channel
    np.testing.assert_allclose(layer.moving_variance.asnumpy(), 0.9 + 0.1 * unbiased, rtol=1e-4)


def test_discriminator_equals_numpy():
    net, x = discriminator(), RNG.random((2, 3, 16, 32), np.float32)
    value = x.astype(np.float64)
    for number, layer in enumerate(net.convs):
        value = conv_numpy(layer, value)[:, :, :: 1 + number % 2, :: 1 + number % 2]
        if number:
            norm = net.norms[number - 1]
            axes = {"axis": (0, 2, 3), "keepdims": True}
            value = (value - value.mean(**axes)) / np.sqrt(value.var(**axes) + 1e-5)
            assert (norm.gamma.asnumpy() == 1).all()
        value = np.maximum(value, 0.2 * value)
    value = value.mean((2, 3), keepdims=True)
    value = conv_numpy(net.head[0], value)
    expected = sigmoid(conv_numpy(net.head[2], np.maximum(value, 0.2 * value))).ravel()
    scores = net(Tensor(x))
    assert (scores.shape, scores.dtype) == ((2,), ms.float32)
    np.testing.assert_allclose(scores.asnumpy(), expected, atol=1e-5)


def test_discriminator_takes_any_size_and_gives_scores():
    net = discriminator()
    for size in ((16, 16), (40, 70)):
        scores = net(Tensor(RNG.random((2, 3, *size), np.float32))).asnumpy()
        assert scores.shape == (2,)
        assert ((scores > 0) & (scores < 1)).all()


def test_spec_follows_the_size_rule():
    spec = model_spec("mpilnet")
    assert (spec.size_multiple, spec.min_size, spec.value_range) == (32, 64, (0.0, 1.0))
    assert "reconstruction" in spec.paper
