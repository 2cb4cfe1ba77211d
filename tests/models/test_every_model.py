"""What every registered network must do, whatever its kind; a new one adds a row to `small.SMALL` and to `MOVED`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
import pytest
from dehazeformer_table import dehazeformer_shapes
from dsrir_table import dsrir_shapes
from mindspore import ParameterTuple, Tensor, nn, ops
from mpilnet_table import mpilnet_shapes
from mprnet_table import mprnet_shapes

from golden import error
from mindrestore.models.registry import builder_name, create_model, list_models, model_spec
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel
from mindrestore.weights.convert import SUFFIXES, load_weights, save_weights
from small import NETWORKS, SMALL, small


class Moved(NamedTuple):
    """Another value than in `SMALL` for every hyper-parameter, and what they make of names and shapes."""

    values: dict[str, Any]
    shapes: Callable[..., dict[str, tuple[int, ...]]]


def aecrnet_shapes(*, channels: int, blocks: int, deform_layers: int, init_gain: float) -> dict[str, tuple[int, ...]]:
    """Return the shapes that depend on the width; blocks share their weights, and so do deformable layers."""
    c1, c2, c4 = channels, 2 * channels, 4 * channels
    block = {"conv1": (c4, c4, 3, 3), "conv2": (c4, c4, 3, 3), "calayer.ca.0": (c4 // 8, c4, 1, 1)}
    block |= {"calayer.ca.2": (c4, c4 // 8, 1, 1), "palayer.pa.0": (c4 // 8, c4, 1, 1)}
    kernels = {"down1.1": (c1, 3, 7, 7), "down2.0": (c2, c1, 3, 3), "down3.0": (c4, c2, 3, 3)}
    kernels |= {**{f"block.{name}": shape for name, shape in block.items()}, "dcn_block.dcn": (c4, c4, 3, 3)}
    found = {name: shape for key, shape in kernels.items() for name, shape in with_bias(key, shape).items()}
    found |= {"block.palayer.pa.2.weight": (1, c4 // 8, 1, 1), "up3.1.weight": (3, c1, 7, 7)}
    found |= {"dcn_block.dcn.conv_offset_mask.weight": (27, c4, 3, 3)}
    for name, wide, narrow in (("up1.0", c4, c2), ("up2.0", c2, c1)):  # transposed: what comes in stands first
        found |= {f"{name}.weight": (wide, narrow, 3, 3), f"{name}.bias": (narrow,)}
    return found


def with_bias(name: str, kernel: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": kernel, f"{name}.bias": kernel[:1]}


# One registered name of every network -> its row.
MOVED = {
    "aecrnet": Moved({"blocks": 2, "deform_layers": 2, "init_gain": 2.0, "channels": 12}, aecrnet_shapes),
    "dehazeformer_t": Moved(
        {"widths": (8, 12, 12), "depths": (2, 1, 3, 1, 2), "attention": (1, 0, 1 / 2), "mixer": "double"},
        dehazeformer_shapes,
    ),
    "dsrir": Moved({"width": 4, "blocks": 2, "groups": 2}, dsrir_shapes),
    "mpilnet": Moved(
        {"vgg_depth": 19, "share_encoder": False, "freeze_encoder": True, "width": 16},
        mpilnet_shapes,
    ),
    "mprnet_deraining": Moved(
        {
            "n_feat": 12,
            "scale_unetfeats": 8,
            "scale_orsnetfeats": 8,
            "num_cab": 2,
            "reduction": 2,
            "init_std": 0.02,
        },
        lambda init_std, **hyper: mprnet_shapes(**hyper),
    ),
}

# Added to all scores of a softmax alike, so that its gradient is rounding noise around 0.
WITHOUT_EFFECT = ".attn.attn.meta.2.bias"

every_model = pytest.mark.parametrize("name", list_models())
every_network = pytest.mark.parametrize("name", NETWORKS)


def image(name: str, rows: int | None = None, columns: int | None = None, batch: int = 2) -> Tensor:
    """Return random images of the smallest size plus some multiples that the network asks for."""
    spec = model_spec(name)
    step = spec.size_multiple
    usual = (4, 6) if step < 32 else (0, 1)
    rows, columns = usual[0] if rows is None else rows, usual[1] if columns is None else columns
    start = math.ceil(spec.min_size / step) * step
    shape = (batch, 3, start + rows * step, start + columns * step)
    return Tensor(np.random.default_rng(0).random(shape, np.float32))


def shapes(net: nn.Cell) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in net.parameters_and_names()}


def trainable(net: nn.Cell) -> dict[str, np.ndarray]:
    return {name: p.asnumpy().copy() for name, p in net.parameters_and_names() if p.requires_grad}


def raw_image(net: nn.Cell, spec: ModelSpec, x: Tensor) -> np.ndarray:
    """Return the restored image in units of [0, 1] without clipping."""
    low, high = spec.value_range
    output = net(x * (high - low) + low)
    for index in ImageModel(net, spec).path:
        output = output[index]
    return (output.asnumpy() - low) / (high - low)


def test_every_model_has_its_rows():
    assert sorted(SMALL) == list_models()
    assert {builder_name(name): set(row.values) for name, row in MOVED.items()} == {
        builder_name(name): set(SMALL[name]) for name in NETWORKS
    }


# Names that share a class are counted from the tables of names and shapes in the files of their networks.
@pytest.mark.parametrize(
    "name", [name if name in NETWORKS else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
)
def test_parameter_count_is_that_of_the_spec(name):
    net = create_model(name)
    counted = [p for key, p in net.parameters_and_names() if p.requires_grad or key in net.unused_names()]
    assert sum(p.size for p in counted) == model_spec(name).parameters


@every_model
def test_spec_is_filled_in(name):
    spec = model_spec(name)
    assert spec.name == name
    assert set(spec.tasks) <= {"dehaze", "derain", "deblur", "denoise"}
    assert spec.tasks
    assert spec.tiling in ("exact", "statistics")
    assert spec.value_range[0] < spec.value_range[1]
    assert spec.paper
    assert spec.licence
    assert not spec.aliases or set(spec.aliases.values()) <= set(shapes(small(name)))


@every_network
@pytest.mark.parametrize(("rows", "columns"), [(1, 0), (2, 5)])  # clipped values come in the smallest
def test_output_is_an_image_of_the_same_size_for_every_allowed_size(name, rows, columns):
    x = image(name, rows, columns)
    out = ImageModel(small(name), model_spec(name))(x)
    assert (out.shape, out.dtype) == (x.shape, ms.float32)
    assert 0.0 <= out.asnumpy().min() <= out.asnumpy().max() <= 1.0


@every_network
def test_values_far_outside_the_range_are_clipped(name):
    net, spec, x = small(name), model_spec(name), image(name, 0, 0)
    last = [p for p in net.trainable_params() if p.ndim == 4 and 3 in p.shape[:2]][
        -1
    ]  # the kernel that makes the image
    last.set_data(1000 * last)
    raw = raw_image(net, spec, x)
    assert raw.min() < -0.1
    np.testing.assert_allclose(ImageModel(net, spec)(x).asnumpy(), np.clip(raw, 0, 1), rtol=0, atol=1e-6)


@every_network
def test_saved_weights_come_back_bit_for_bit(name, tmp_path):
    first, second = unmoved(name)[0], small(name, seed=1)
    for suffix in SUFFIXES:
        for parameter in second.get_parameters():
            parameter.set_data(Tensor(np.full(parameter.shape, 7, np.float32)))
        save_weights(first, tmp_path / f"w{suffix}")
        load_weights(second, tmp_path / f"w{suffix}")
        for (key, a), (other, b) in zip(first.parameters_and_names(), second.parameters_and_names()):
            assert (key, a.asnumpy().tobytes()) == (other, b.asnumpy().tobytes()), suffix
    # the values arrive in the network's own memory
    np.testing.assert_array_equal(unmoved(name)[1], raw_image(second, model_spec(name), image(name)))


@pytest.mark.parametrize("name", [*NETWORKS, "dehazeformer_m"])
def test_weights_follow_the_seed(name):
    first, same, other = (trainable(small(name, seed)) for seed in (0, 0, 1))
    for key, value in first.items():
        np.testing.assert_array_equal(value, same[key])
        if value.size > 1:  # a single value may be drawn or fixed
            assert np.array_equal(value, other[key]) == (np.ptp(value) == 0), key


def output_and_gradients(name: str, graph: bool) -> dict[str, np.ndarray]:
    """Return the outputs, every gradient that is not 0 by construction, and the buffers."""
    net = small(name).set_train(True)
    net_output = net if model_spec(name).output_index is None else EveryOutput(net)
    gradients = Gradients(net_output, net)
    out, grads = (ms.jit(gradients) if graph else gradients)(image(name))
    names = [key for key, p in net.parameters_and_names() if p.requires_grad]
    buffers = {key: p.asnumpy() for key, p in net.parameters_and_names() if not p.requires_grad}
    found = {"out": out.asnumpy(), **dict(zip(names, (g.asnumpy() for g in grads))), **buffers}
    found = {key: value for key, value in found.items() if not key.endswith(WITHOUT_EFFECT)}
    assert not [key for key in names if key in found and not np.abs(found[key]).max() > 0]
    return found


@every_network
def test_gradient_reaches_every_parameter(name):
    output_and_gradients(name, graph=False)  # asserts it


@pytest.mark.slow  # half a minute to compile
@every_network
def test_gradient_of_the_graph_equals_pynative(name):
    eager, compiled = (output_and_gradients(name, graph) for graph in (False, True))
    errors = {key: error(compiled[key], eager[key]) for key in eager}
    assert not {key: value for key, value in errors.items() if value > 1e-4}


class EveryOutput(nn.Cell):
    """Stack all outputs, so that a gradient reaches what only early stages use."""

    def __init__(self, net: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, x):
        return ops.concat(flat(self.net(x)), 0)


def flat(outputs):
    found = ()
    for output in outputs:
        found = (*found, *output) if isinstance(output, tuple) else (*found, output)
    return found


class Gradients(nn.Cell):
    """The output, and the gradients of its mean square in the parameters."""

    def __init__(self, net_output: nn.Cell, net: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net_output = net_output
        self.gradients = ops.value_and_grad(self.loss, None, ParameterTuple(net.trainable_params()), has_aux=True)

    def loss(self, x):
        out = self.net_output(x)
        return (out * out).mean(), out

    def construct(self, x):
        (_, out), gradients = self.gradients(x)
        return out, gradients


@cache
def unmoved(name: str) -> tuple[nn.Cell, np.ndarray]:
    """Return a small network and what it makes of the image, once for all of its hyper-parameters."""
    net = small(name)
    return net, raw_image(net, model_spec(name), image(name))


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, row in MOVED.items() for key in row.values])
def test_one_hyper_parameter_moved(name, key):
    value, shapes_with = MOVED[name].values[key], MOVED[name].shapes
    base, first = unmoved(name)
    moved = small(name, **{key: value})
    assert value != SMALL[name][key]
    before, after = shapes_with(**SMALL[name]), shapes_with(**{**SMALL[name], key: value})
    assert differing(shapes(base), shapes(moved)) == differing(before, after)
    second = raw_image(moved, model_spec(name), image(name))
    assert (first.shape, bool(np.isfinite(second).all())) == (second.shape, True)
    if trainable(base).keys() & (shapes(moved).keys() - trainable(moved).keys()):  # it decides what is trained
        np.testing.assert_array_equal(first, second)
    else:
        assert np.abs(first - second).max() > 1e-6


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a name stands for afterwards, where that is something else (None: gone)."""
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
