"""What every registered network must do, whatever its kind; a new one adds a row to `small.SMALL` and to `MOVES`."""

from __future__ import annotations

import math
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


class Move(NamedTuple):
    """One hyper-parameter with another value than in `SMALL`, and the shapes that change with it (None: gone)."""

    model: str
    key: str
    value: Any
    shapes: dict[str, tuple[int, ...] | None]


TABLES = {  # network -> its names and shapes from the hyper-parameters that change them
    "dehazeformer_t": dehazeformer_shapes,
    "dsrir": dsrir_shapes,
    "mpilnet": mpilnet_shapes,
    "mprnet_deraining": lambda init_std, **hyper: mprnet_shapes(**hyper),
}


def changes(name: str, **moved: Any) -> dict[str, tuple[int, ...] | None]:
    """Return the shapes that change with a hyper-parameter (None: gone)."""
    before, after = TABLES[name](**SMALL[name]), TABLES[name](**{**SMALL[name], **moved})
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


MOVES = [
    Move("aecrnet", "blocks", 2, {}),  # the blocks share their weights
    Move("aecrnet", "deform_layers", 2, {}),  # likewise
    Move("aecrnet", "init_gain", 2.0, {}),
    Move(
        "aecrnet",
        "channels",
        12,
        {
            "down1.1.weight": (12, 3, 7, 7),
            "down1.1.bias": (12,),
            "down2.0.weight": (24, 12, 3, 3),
            "down2.0.bias": (24,),
            "down3.0.weight": (48, 24, 3, 3),
            "down3.0.bias": (48,),
            "block.conv1.weight": (48, 48, 3, 3),
            "block.conv1.bias": (48,),
            "block.conv2.weight": (48, 48, 3, 3),
            "block.conv2.bias": (48,),
            "block.calayer.ca.0.weight": (6, 48, 1, 1),
            "block.calayer.ca.0.bias": (6,),
            "block.calayer.ca.2.weight": (48, 6, 1, 1),
            "block.calayer.ca.2.bias": (48,),
            "block.palayer.pa.0.weight": (6, 48, 1, 1),
            "block.palayer.pa.0.bias": (6,),
            "block.palayer.pa.2.weight": (1, 6, 1, 1),
            "dcn_block.dcn.weight": (48, 48, 3, 3),
            "dcn_block.dcn.bias": (48,),
            "dcn_block.dcn.conv_offset_mask.weight": (27, 48, 3, 3),
            "up1.0.weight": (48, 24, 3, 3),
            "up1.0.bias": (24,),
            "up2.0.weight": (24, 12, 3, 3),
            "up2.0.bias": (12,),
            "up3.1.weight": (3, 12, 7, 7),
        },
    ),
]

MOVES += [
    Move(name, key, value, changes(name, **{key: value}))
    for name, moved in {
        "dehazeformer_t": {
            "widths": (8, 12, 12),
            "depths": (2, 1, 3, 1, 2),
            "attention": (1, 0, 1 / 2),
            "mixer": "double",
        },
        "dsrir": {"width": 4, "blocks": 2, "groups": 2},
        "mpilnet": {"vgg_depth": 19, "share_encoder": False, "freeze_encoder": True, "width": 16},
        "mprnet_deraining": {
            "n_feat": 12,
            "scale_unetfeats": 8,
            "scale_orsnetfeats": 8,
            "num_cab": 2,
            "reduction": 2,
            "init_std": 0.02,
        },
    }.items()
    for key, value in moved.items()
]

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
    moved = {builder_name(move.model): move.model for move in MOVES}  # one registered name of every network
    assert set(moved) == {builder_name(name) for name in NETWORKS}
    for name in moved.values():
        assert {move.key for move in MOVES if move.model == name} == set(SMALL[name])


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
    assert set(spec.aliases.values()) <= set(shapes(small(name)))


@every_network
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (1, 0), (2, 5)])
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
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saved_weights_come_back_bit_for_bit(name, suffix, tmp_path):
    first, second = small(name, seed=0), small(name, seed=1)
    save_weights(first, tmp_path / f"w{suffix}")
    load_weights(second, tmp_path / f"w{suffix}")
    for (key, a), (other, b) in zip(first.parameters_and_names(), second.parameters_and_names()):
        assert (key, a.asnumpy().tobytes()) == (other, b.asnumpy().tobytes())
    if suffix == SUFFIXES[0]:  # the values arrive in the network's own memory, whatever file they come from
        x, spec = image(name), model_spec(name)
        np.testing.assert_array_equal(raw_image(first, spec, x), raw_image(second, spec, x))


@every_model
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


@pytest.mark.parametrize("move", MOVES, ids=[f"{move.model}-{move.key}" for move in MOVES])
def test_one_hyper_parameter_moved(move):
    base, first = unmoved(move.model)
    moved = small(move.model, **{move.key: move.value})
    assert move.value != SMALL[move.model][move.key]
    before, after = shapes(base), shapes(moved)
    assert {
        key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    } == move.shapes
    second = raw_image(moved, model_spec(move.model), image(move.model))
    assert (first.shape, bool(np.isfinite(second).all())) == (second.shape, True)
    if trainable(base).keys() & (after.keys() - trainable(moved).keys()):  # it decides what is trained
        np.testing.assert_array_equal(first, second)
    else:
        assert np.abs(first - second).max() > 1e-6
