"""DehazeFormer against the published network: stages, outputs, gradients, norm and attention, compiled or not."""

from __future__ import annotations

import json
import math

import mindspore as ms
import numpy as np
import pytest
from dehazeformer_table import dehazeformer_shapes
from mindspore import ParameterTuple, Tensor, nn, ops

from golden import FORWARD, GRADIENT, error, load_golden_dehazeformer, section
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.precision import cast_network
from mindrestore.models.dehazeformer import DehazeFormer
from mindrestore.models.dehazeformer_blocks import RLN, DoubleConv
from mindrestore.models.registry import create_model, list_models, model_spec
from mindrestore.recipes.schema import OptimConfig
from small import small

FILES = {"dehazeformer_t": "dehazeformer_t", "dehazeformer_s": "dehazeformer_s", "dehazeformer_m": "dehazeformer_m"}
FILES["crossdehaze"] = "crossdehaze"
NAMES = [name for name in list_models() if name.startswith("dehazeformer") or name == "crossdehaze"]
SHAPES = {"A": (1, 3, 64, 64), "B": (1, 3, 61, 83), "C": (2, 3, 40, 52)}
NOISE = ("attn.meta.2.bias",)  # adds the same to all scores of a softmax: the true gradient is 0
RNG = np.random.default_rng(0)
both_modes = pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])


def drawn(case: str, seed: int) -> np.ndarray:
    """Draw the input (seed 0) or target (seed 1) of a case, as the golden files say."""
    return np.float32(np.random.RandomState(seed).rand(*SHAPES[case]) * 2 - 1)


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name[-2:] == "_t" else pytest.mark.slow) for name in FILES]
)
def case(request, golden_dir):
    """Return the golden arrays of a size and its network with the golden weights."""
    with np.load(golden_dir / f"{FILES[request.param]}.npz") as file:
        golden = dict(file)
    return golden, load_golden_dehazeformer(create_model(request.param))


@pytest.fixture(scope="module")
def tiny(golden_dir):
    with np.load(golden_dir / "dehazeformer_t.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def net():
    """Return the smallest published network with the golden weights."""
    return load_golden_dehazeformer(create_model("dehazeformer_t"))


def keep(found, name, field=None):
    def hook(cell, inputs, output):
        found[name] = output if field is None else output[field]

    return hook


@pytest.mark.parametrize("name", NAMES)
def test_the_table_has_the_published_count(name):
    spec = model_spec(name)
    table = dehazeformer_shapes(**spec.hyper)
    learnt = [math.prod(shape) for key, shape in table.items() if not key.endswith("relative_positions")]
    assert sum(learnt) == spec.parameters


# The table follows every hyper-parameter (`test_every_model`); the large sizes take up to ten seconds to build.
@pytest.mark.parametrize("name", [n if n[-2:] == "_t" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_names_shapes_and_count_are_the_published_ones(name):
    net, spec = create_model(name), model_spec(name)
    assert {key: tuple(p.shape) for key, p in net.parameters_and_names()} == dehazeformer_shapes(**spec.hyper)
    assert sum(p.size for p in net.trainable_params()) == spec.parameters
    buffers = [key for key, p in net.parameters_and_names() if not p.requires_grad]
    assert {key.rsplit(".", 1)[1] for key in buffers} == {"relative_positions"}


@pytest.mark.parametrize("stem", FILES)
def test_the_table_of_names_is_that_of_the_published_files(stem, golden_dir):
    path = golden_dir / f"{FILES[stem]}_state_dict.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent: the project keeps the list of the smallest size only")
    published = json.loads(path.read_text())
    table = dehazeformer_shapes(**model_spec(stem).hyper)
    assert table == {entry["name"]: tuple(entry["shape"]) for entry in published["state_dict"]}
    assert published["parameter_count"] == model_spec(stem).parameters


def test_attention_stands_in_the_last_blocks():
    first = {"t": (None, 2, 0), "s": (6, 4, 2), "b": (12, 8, 4), "d": (24, 16, 8), "m": (9, 6, 3), "l": (12, 8, 4)}
    for size, expected in first.items():
        names = dehazeformer_shapes(**model_spec(f"dehazeformer_{size}").hyper)
        for layer, block in enumerate(expected, start=1):
            found = {
                int(n.split(".")[2]) for n in names if n.startswith(f"layer{layer}.") and n.endswith("attn.QK.bias")
            }
            assert min(found, default=None) == block, (size, layer)


def test_golden_stages_and_outputs(case):
    golden, net = case
    stages = ("patch_embed", "layer1", "patch_merge1", "skip1", "layer2", "patch_merge2", "skip2", "layer3")
    stages += ("patch_split1", "fusion1", "layer4", "patch_split2", "fusion2", "layer5", "patch_unembed")
    found = {}
    hooks = [getattr(net, name).register_forward_hook(keep(found, name)) for name in stages]
    for key in SHAPES:
        y = net(Tensor(drawn(key, 0))).asnumpy()
        assert error(y, golden[f"{key}.y"]) < FORWARD
        assert np.abs(y - drawn(key, 1)).mean() == pytest.approx(float(golden[f"{key}.l1"]), rel=FORWARD)
        for name, shape, stats, head in zip(
            stages, *(golden[f"{key}.stage_{fact}"] for fact in ("shape", "stats", "head"))
        ):
            value = found[name].asnumpy()
            assert value.shape == tuple(shape)
            actual = (value.mean(dtype=np.float64), value.std(ddof=1, dtype=np.float64), value.min(), value.max())
            largest = np.abs(stats[2:]).max()
            assert np.abs(np.subtract(actual, stats)).max() < FORWARD * largest, name
            assert np.abs(value.ravel()[:8] - head).max() < FORWARD * largest, name
        if f"{key}.kb" in golden:
            assert error(found["patch_unembed"].asnumpy(), golden[f"{key}.kb"]) < FORWARD
    for hook in hooks:
        hook.remove()


@pytest.mark.slow  # half a minute; `test_registered` compares the small form, compiled for all sizes
def test_golden_outputs_of_one_compilation(case):
    golden, net = case
    net.set_inputs(Tensor(shape=(1, 3, None, None), dtype=ms.float32))
    compiled = ms.jit(net)
    for key in "AB":
        assert error(compiled(Tensor(drawn(key, 0))).asnumpy(), golden[f"{key}.y"]) < FORWARD


class Loss(nn.Cell):
    """The mean absolute difference from a target."""

    def __init__(self, net: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, x, target):
        return (self.net(x) - target).abs().mean()


@pytest.mark.parametrize("graph", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["pynative", "graph"])
def test_golden_gradients(case, graph):
    golden, net = case
    net = load_golden_dehazeformer(DehazeFormer(**hyper_of(net))).set_train(True)
    function = ms.value_and_grad(Loss(net), None, ParameterTuple(net.trainable_params()))
    value, gradients = (ms.jit(function) if graph else function)(Tensor(drawn("A", 0)), Tensor(drawn("A", 1)))
    assert float(value) == pytest.approx(float(golden["A.l1"]), rel=FORWARD)
    names = [name for name, p in net.parameters_and_names() if p.requires_grad]
    found = {name: gradient.asnumpy().astype(np.float64) for name, gradient in zip(names, gradients)}
    assert set(found) == set(golden["param_names"])
    for name, norm in zip(golden["param_names"], golden["A.grad_norm"]):
        if not name.endswith(NOISE):
            assert np.linalg.norm(found[name]) == pytest.approx(norm, rel=GRADIENT, abs=1e-12), name
    for name, head in zip(golden["A.grad_head_names"], golden["A.grad_head"]):
        if not name.endswith(NOISE):
            value, head = found[name].ravel()[:8], head[np.isfinite(head)]
            # single values of large tensors are sums that nearly cancel: measured against the tensor's typical value
            typical = np.linalg.norm(found[name]) / math.sqrt(found[name].size)
            assert np.abs(value - head).max() <= 2 * GRADIENT * max(typical, np.abs(head).max()), name
        if name.endswith("QK.bias"):  # the softmax does not see the bias of the keys
            assert not found[name][len(found[name]) // 2 :].any()


def hyper_of(net):
    return next(
        model_spec(name).hyper
        for name in FILES
        if model_spec(name).parameters == sum(p.size for p in net.trainable_params())
    )


def test_golden_norm_of_a_nearly_flat_map(tiny, net):
    """The only numbers that a wrong epsilon changes."""
    norm = net.layer2.blocks[2].norm1
    x = Tensor(tiny["norm.in"])
    normalised, rescale, rebias = norm(x, ops.zeros(x.shape[:2]))
    assert error((normalised * norm.weight + norm.bias).asnumpy(), tiny["norm.out"]) < FORWARD
    assert error(rescale.asnumpy(), tiny["norm.rescale"][:, :, 0, 0]) < FORWARD
    assert error(rebias.asnumpy(), tiny["norm.rebias"][:, :, 0, 0]) < FORWARD


def test_golden_norm_and_shifted_attention(tiny, net):
    block = net.layer3.blocks[1]
    found = {}
    hooks = [getattr(block, name).register_forward_hook(keep(found, name)) for name in ("norm1", "attn")]
    net(Tensor(drawn("B", 0)))
    for hook in hooks:
        hook.remove()
    normalised, rescale, rebias = found["norm1"]
    normalised = normalised * block.norm1.weight + block.norm1.bias
    assert error(normalised.asnumpy(), tiny["blk.norm_out"]) < FORWARD
    assert error(rescale.asnumpy(), tiny["blk.rescale"][:, :, 0, 0]) < FORWARD
    assert error(rebias.asnumpy(), tiny["blk.rebias"][:, :, 0, 0]) < FORWARD
    mixed, offset = found["attn"]
    assert error((mixed + offset.reshape(1, -1, 1, 1)).asnumpy(), tiny["blk.attn_out"]) < FORWARD
    attention = block.attn.attn
    if "blk.relative_positions" in tiny:
        assert error(attention.relative_positions.asnumpy(), tiny["blk.relative_positions"]) < 1e-6
    assert error(attention.position_bias()[0].asnumpy(), tiny["blk.position_bias_head0"]) < FORWARD


@pytest.mark.slow
def test_golden_supervised_training(tiny):
    net = load_golden_dehazeformer(create_model("dehazeformer_t")).set_train(True)
    optimizer = build_optimizer(OptimConfig(name="adamw", weight_decay=0.01), net.trainable_params())
    loss = Loss(net)
    function = ms.value_and_grad(loss, None, ParameterTuple(net.trainable_params()))
    pair = Tensor(drawn("A", 0)), Tensor(drawn("A", 1))
    losses = []
    for number in (1, 2, 3):
        value, gradients = function(*pair)
        losses.append(float(value))
        optimizer(*(Tensor(value, ms.float32) for value in (1e-4, number, 1)), *gradients)
    np.testing.assert_allclose(losses, tiny["stage1.losses"], rtol=1e-4)
    assert float(loss(*pair)) == pytest.approx(float(tiny["stage1.l1_after"]), rel=1e-4)
    parameters = dict(net.parameters_and_names())
    for name, head in zip(tiny["stage1.param_names"], tiny["stage1.params_after"]):
        head = head[np.isfinite(head)]
        assert np.abs(parameters[name].asnumpy().ravel()[:8] - head).max() < 5e-5, name


def test_mirrored_images_below_the_published_smallest_size():
    net = small("dehazeformer_t")
    for size in ((24, 25), (25, 12), (9, 9)):
        x = Tensor(RNG.random((1, 3, *size), np.float32))
        assert np.isfinite(net(x).asnumpy()).all()


@both_modes
def test_gradients_of_the_norm_equal_those_of_its_formula(graph):
    x, weights = (Tensor(RNG.standard_normal((2, 3, 5, 7)).astype(np.float32)) for _ in range(2))
    offset = Tensor(RNG.standard_normal((2, 3)).astype(np.float32))
    norm = RLN(3)

    def value(normalised, mean, deviation):
        return (normalised * weights).sum() + (3 * mean * mean).sum() + (mean * deviation).sum()

    def own(x, offset):
        return value(*norm.normalise(x, offset))

    def plain(x, offset):
        x = x + offset.reshape(2, 3, 1, 1)
        mean = x.mean((1, 2, 3), keep_dims=True)
        deviation = ops.sqrt(ops.square(x - mean).mean((1, 2, 3), keep_dims=True) + 1e-5)
        return value((x - mean) / deviation, mean.reshape(2, 1), deviation.reshape(2, 1))

    functions = [ops.value_and_grad(function, (0, 1)) for function in (own, plain)]
    (value_own, grads), (expected, expected_grads) = ((ms.jit(f) if graph else f)(x, offset) for f in functions)
    assert float(value_own) == pytest.approx(float(expected), rel=1e-5)
    assert max(error(a.asnumpy(), b.asnumpy()) for a, b in zip(grads, expected_grads)) < 1e-4


def test_two_full_convolutions_carry_an_offset_through():
    ms.set_seed(0)
    mixer = DoubleConv(4)
    x = Tensor(RNG.standard_normal((2, 4, 6, 5)).astype(np.float32))
    offset = Tensor(RNG.standard_normal((1, 4)).astype(np.float32))
    zero = ops.zeros((2, 4))
    y, constant = mixer(x, offset)
    expected, same = mixer(x + offset.reshape(1, 4, 1, 1), zero)
    np.testing.assert_allclose(y.asnumpy(), expected.asnumpy(), atol=1e-6)
    np.testing.assert_array_equal(constant.asnumpy(), same.asnumpy())


@pytest.mark.slow
def test_half_precision_trains_close_to_float32():
    x, target = (Tensor(RNG.random((2, 3, 32, 25)).astype(np.float32)) for _ in range(2))
    found = []
    for level in ("O0", "float16"):
        net = small("dehazeformer_t", widths=(8, 16, 12), depths=(1, 1, 1, 1, 1)).set_train(True)
        cell = Loss(cast_network(net, level, "CPU"))
        function = ms.jit(ops.value_and_grad(cell, None, ParameterTuple(net.trainable_params())))
        value, gradients = function(x, target)
        assert {gradient.dtype for gradient in gradients} == {ms.float32}
        found.append((float(value), np.concatenate([gradient.asnumpy().ravel() for gradient in gradients])))
    (value, gradient), (half_value, half_gradient) = found
    assert half_value == pytest.approx(value, rel=2e-3)
    assert half_value != value
    assert np.linalg.norm(half_gradient - gradient) < 0.02 * np.linalg.norm(gradient)


def test_initial_weights_follow_the_published_rules():
    ms.set_seed(0)
    net = create_model("dehazeformer_t")
    cells, blocks = dict(net.cells_and_names()), 16
    narrow = (8 * blocks) ** -0.25
    assert narrow == pytest.approx(0.2973, abs=1e-4)
    block = "layer3.blocks.1."
    deviations = {
        f"{block}mlp.mlp.0": narrow * math.sqrt(2 / (96 + 384)),
        f"{block}attn.V": narrow * math.sqrt(2 / (96 + 96)),
        f"{block}attn.proj": narrow * math.sqrt(2 / (96 + 96)),
        f"{block}attn.conv": narrow * math.sqrt(2 / (25 + 25 * 96)),
        f"{block}attn.QK": math.sqrt(2 / (96 + 192)),
    }
    for name, deviation in deviations.items():
        assert cells[name].weight.asnumpy().std() == pytest.approx(deviation, rel=0.06), name
        assert not cells[name].bias.asnumpy().any()
    norm = cells[f"{block}norm1"]
    for layer, bias in ((norm.meta1, 1), (norm.meta2, 0)):
        assert layer.weight.asnumpy().std() == pytest.approx(0.02, rel=0.25)
        assert set(layer.bias.asnumpy()) == {bias}
    assert (set(norm.weight.asnumpy().ravel()), set(norm.bias.asnumpy().ravel())) == ({1.0}, {0.0})
    for name in (
        "patch_embed.proj",
        "patch_split1.proj.0",
        "skip2",
        f"{block}attn.attn.meta.0",
        f"{block}attn.attn.meta.2",
    ):
        weight = cells[name].weight.asnumpy()
        bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
        assert bound > np.abs(weight).max() > 0.9 * bound, name
        assert bound >= np.abs(cells[name].bias.asnumpy()).max() > 0.5 * bound, name


def test_sections_of_the_file_hold_the_facts_that_other_tests_read(tiny):
    assert set(section(tiny, "stage2.")) == {"losses", "param_names", "params_after", "l1_after"}
