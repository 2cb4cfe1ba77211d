"""DSRIR against the published network: resizes, patch attention, module outputs, images and maps, compiled or not."""

from __future__ import annotations

import json

import mindspore as ms
import numpy as np
import pytest
from dsrir_table import dsrir_shapes
from mindspore import ParameterTuple, Tensor, nn, ops

from golden import FORWARD, error, load_golden, section
from mindrestore.engine.precision import cast_network
from mindrestore.models.dsrir import DSRIR, PatchAttention
from mindrestore.models.layers import BilinearResize, GridGate, GridMean, in_form
from mindrestore.models.registry import model_spec
from mindrestore.weights.convert import load_weights, save_weights

OUTPUTS = ("img3", "img2", "img1", "var3", "var2", "var1")
ABSOLUTE, RELATIVE = 5e-4, 1e-4  # float32 against float64 differs by up to 6e-5
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "dsrir.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def net():
    return load_golden(DSRIR())


def case(golden, name):
    """Return the input of a case and its outputs; the project's own copy of the file leaves some out."""
    arrays = section(golden, f"{name}.")
    if not arrays:
        pytest.skip(f"case {name} is in the full golden file only")
    return Tensor(arrays["x"]), {key: arrays[key] for key in OUTPUTS if key in arrays}


def assert_golden(outputs, expected):
    images, maps = outputs
    actual = dict(zip(OUTPUTS, (value.asnumpy() for value in (*images, *maps))))
    assert {"img3", "var3"} <= set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, rtol=RELATIVE, atol=ABSOLUTE, err_msg=key)


def fingerprint(value: np.ndarray) -> np.ndarray:
    """Return sum, norm and 14 samples."""
    flat = value.astype(np.float64).ravel()
    return np.concatenate(([flat.sum(), np.linalg.norm(flat)], flat[np.linspace(0, flat.size - 1, 14).astype(int)]))


def test_names_shapes_and_count_are_the_published_ones(golden_dir):
    published = json.loads((golden_dir / "dsrir_state_dict.json").read_text())
    net = DSRIR()
    assert {name: tuple(p.shape) for name, p in net.parameters_and_names()} == {
        name: tuple(shape) for name, shape in published["dsrir"]
    }
    assert dsrir_shapes(width=16, blocks=2, groups=4) == {name: tuple(shape) for name, shape in published["dsrir"]}
    count = sum(p.size for p in net.get_parameters())
    assert count == published["total_params"] == model_spec("dsrir").parameters == 3_516_837


def test_parts_have_the_published_sizes():
    net = DSRIR()
    sizes = {
        name: sum(p.size for p in cell.get_parameters())
        for name, cell in (("SN1", net.SN1), ("SN2", net.SN2), ("SN3", net.SN3))
    }
    assert sizes == {"SN1": 1_157_324, "SN2": 815_246, "SN3": 1_344_640}
    refine = (*net.PRU1.get_parameters(), *net.PRU2.get_parameters(), *net.PRU3.get_parameters())
    assert sum(p.size for p in refine) == 83_682


def test_parameters_that_no_output_needs_are_kept_but_not_trained(golden, tmp_path):
    net = DSRIR(width=4, blocks=1, groups=1)
    unused = net.unused_names()
    assert set(unused) == set(golden["param_names"][golden["grad_none"]])
    assert [name for name, p in net.parameters_and_names() if not p.requires_grad] == list(unused)
    save_weights(net, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as file:
        assert set(unused) <= set(file.files)
    other = DSRIR(width=4, blocks=1, groups=1)
    load_weights(other, tmp_path / "w.npz")
    np.testing.assert_array_equal(other.usau_3.conv2.weight.asnumpy(), net.usau_3.conv2.weight.asnumpy())


@pytest.mark.parametrize(("way", "key"), [("half", "op.bilinear_down"), ("double", "op.bilinear_up")])
def test_golden_resizes(golden, way, key):
    resize = BilinearResize(way)
    assert error(resize(Tensor(golden["op.x"])).asnumpy(), golden[key]) < 1e-6


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
def test_golden_patch_attention(golden, graph):
    cell = load_golden(PatchAttention(16, (4, 2)), "pa.")
    out = (ms.jit(cell) if graph else cell)(Tensor(golden["op.pa_x"]))
    assert error(out.asnumpy(), golden["op.pa_out"]) < 2e-6


@pytest.mark.parametrize("name", "ABCD")
def test_golden_outputs_and_module_fingerprints(golden, net, name):
    x, expected = case(golden, name)
    found: dict[str, np.ndarray] = {}
    cells = dict(net.cells_and_names())
    hooks = [cells[key].register_forward_hook(keep(found, key)) for key in golden["hook_names"]]
    try:
        outputs = net(x)
    finally:
        for hook in hooks:
            hook.remove()
    assert_golden(outputs, expected)
    assert len(found) == len(golden["hook_names"]) == 32
    for key, value in zip(golden["hook_names"], golden[f"{name}.fp"]):
        assert error(fingerprint(found[key])[1:], value[1:]) < FORWARD, key
        assert fingerprint(found[key])[0] == pytest.approx(value[0], rel=FORWARD, abs=FORWARD * value[1]), key


def keep(found, key):
    def hook(cell, inputs, output):
        found[key] = (output[0] if isinstance(output, tuple) else output).asnumpy()

    return hook


@pytest.fixture(scope="module")
def compiled():
    """Return the network compiled once for all sizes."""
    net = load_golden(DSRIR())
    net.set_inputs(Tensor(shape=(None, 3, None, None), dtype=ms.float32))
    return ms.jit(net)


@pytest.mark.slow  # half a minute; `test_registered` compares the small form, compiled for all sizes
@pytest.mark.parametrize("name", "ABCD")
def test_golden_outputs_of_one_compilation(golden, compiled, name):
    x, expected = case(golden, name)
    assert_golden(compiled(x), expected)


def test_golden_outputs_of_the_plain_form(golden, net):
    x, expected = case(golden, "C")
    with in_form(net, "plain"):
        assert_golden(net(x), expected)


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
@pytest.mark.parametrize("grid", [(1, 1), (4, 2), (2, 3)])
def test_gradients_of_grid_operations_equal_those_of_plain_ones(grid, graph):
    p, q = grid
    x, weights = (Tensor(RNG.standard_normal((2, 3, 8, 12)).astype(np.float32)) for _ in range(2))
    gate = Tensor(RNG.random((2, 3, p, q)).astype(np.float32))
    mean, scale = GridMean(p, q), GridGate()

    def own(x, gate):
        return (scale(x, gate * mean(x)) * weights).sum()

    def plain(x, gate):
        cells = x.reshape(2, 3, p, 8 // p, q, 12 // q)
        gates = gate.reshape(2, 3, p, 1, q, 1) * cells.mean((3, 5), keep_dims=True)
        return ((cells * gates).reshape(2, 3, 8, 12) * weights).sum()

    found = [ops.value_and_grad(function, (0, 1)) for function in (own, plain)]
    (value, grads), (expected, expected_grads) = ((ms.jit(f) if graph else f)(x, gate) for f in found)
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert max(error(a.asnumpy(), b.asnumpy()) for a, b in zip(grads, expected_grads)) < 1e-5


@pytest.mark.slow
def test_half_precision_trains_close_to_float32():
    x = Tensor(RNG.random((2, 3, 16, 24)).astype(np.float32))
    found = []
    for level in ("O0", "float16"):
        ms.set_seed(0)
        net = DSRIR(width=8, blocks=1, groups=1)
        cell = MeanSquare(cast_network(net, level, "CPU"))
        value, gradients = ms.jit(ops.value_and_grad(cell, None, ParameterTuple(net.trainable_params())))(x)
        assert {gradient.dtype for gradient in gradients} == {ms.float32}
        found.append((float(value), np.concatenate([gradient.asnumpy().ravel() for gradient in gradients])))
    (value, gradient), (half_value, half_gradient) = found
    assert half_value == pytest.approx(value, rel=2e-3)
    assert half_value != value
    assert np.linalg.norm(half_gradient - gradient) < 0.02 * np.linalg.norm(gradient)


class MeanSquare(nn.Cell):
    """The mean square of the final image."""

    def __init__(self, net: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, x):
        return ops.square(self.net(x)[0][0]).mean()


def test_initial_weights_follow_the_rule_of_pytorch():
    ms.set_seed(0)
    net = DSRIR()
    for name in ("SN3.PAG1.body.0.conv1", "usau_3.var_est.0", "channel_comp1", "SN1.up2.up.1", "PRU3.fr.0"):
        cell = dict(net.cells_and_names())[name]
        bound = 1 / np.sqrt(np.prod(cell.weight.shape[1:]))
        for parameter in cell.get_parameters():
            assert np.abs(parameter.asnumpy()).max() <= bound
        assert cell.weight.asnumpy().std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
