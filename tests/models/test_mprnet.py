"""MPRNet against the published network: blocks, every tapped layer, outputs and gradients, compiled and not."""

from __future__ import annotations

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn

from golden import DAMPING, assert_close, error, load_golden_mprnet, section
from mindrestore.inference.restorer import Restorer
from mindrestore.losses.objective import build_objective
from mindrestore.models import mprnet
from mindrestore.models.layers import ScalarPReLU
from mindrestore.models.registry import create_model, model_spec
from mindrestore.recipes.load import load_recipe
from mindrestore.weights.convert import load_weights, save_weights

UNIT, EARLY, PLAIN_STAGE3, DAMPED, GRADIENT = 1e-6, 2e-5, 5e-4, 1e-4, 2e-3
COUNTS = {"deblurring": 20_127_073, "denoising": 15_741_025, "deraining": 3_637_249}
TASKS = [pytest.param(task, marks=() if task == "deraining" else pytest.mark.slow) for task in COUNTS]
# Position on the batch axis -> call of the published network, which runs left before right, then top before bottom.
QUARTER_CALLS, HALF_CALLS = (0, 2, 1, 3), (0, 1)
STACKED = {
    "shallow_feat1": QUARTER_CALLS,
    "stage1_encoder": QUARTER_CALLS,
    "stage1_decoder": HALF_CALLS,
    "sam12": HALF_CALLS,
    "shallow_feat2": HALF_CALLS,
    "concat12": HALF_CALLS,
    "stage2_encoder": HALF_CALLS,
}


@pytest.fixture(scope="module")
def units(golden_dir):
    with np.load(golden_dir / "mprnet_units.npz") as file:
        return dict(file)


@pytest.fixture(scope="module", params=TASKS)
def case(request, golden_dir):
    """Return a task's golden arrays and its network with the plain weights."""
    with np.load(golden_dir / f"mprnet_{request.param}.npz") as file:
        return request.param, dict(file), load_golden_mprnet(create_model(f"mprnet_{request.param}"))


def facts(value: np.ndarray) -> np.ndarray:
    return np.concatenate(([value.mean(dtype=np.float64), np.linalg.norm(value.astype(np.float64))], value.ravel()[:8]))


BLOCKS = {
    "cab": lambda: mprnet.CAB(8, 4, ScalarPReLU(0.25)),
    "sam": lambda: mprnet.SAM(8),
    "down": lambda: mprnet.DownSample(4, 2),
    "down_odd": lambda: mprnet.DownSample(4, 2),
    "up": lambda: mprnet.UpSample(4, 2),
    "skipup": lambda: mprnet.UpSample(4, 2),
    "orb": lambda: mprnet.ORB(8, 2, 4, ScalarPReLU(0.25)),
}


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
@pytest.mark.parametrize("name", BLOCKS)
def test_golden_blocks(units, name, graph):
    golden = section(units, f"{name}/")
    block = BLOCKS[name]()
    weights = section(golden, "w/")
    own = {key for key, _ in block.parameters_and_names()}
    load_weights(block, {key: value for key, value in weights.items() if key in own})
    assert own == set(weights) or set(weights) - own == {"body.1.body.1.weight"}  # the shared slope, listed again
    inputs = [Tensor(golden[key]) for key in ("in0", "in1") if key in golden]
    run = ms.jit(block) if graph else block
    if name == "skipup":  # the skip connection is added by the decoder here
        outputs = (run(inputs[0]) + inputs[1],)
    else:
        outputs = run(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    actual = {f"out{i}": output.asnumpy() for i, output in enumerate(outputs)}
    assert_close(actual, {key: golden[key] for key in golden if key.startswith("out")}, UNIT)


@pytest.mark.parametrize("task", COUNTS)
def test_names_shapes_and_count_are_the_published_ones(task, golden_dir):
    keys = json.loads((golden_dir / f"mprnet_{task}.keys.json").read_text())
    published = {name: tuple(shape) for name, shape in keys["state_dict"].items()}
    net = create_model(f"mprnet_{task}")
    own = {name: tuple(p.shape) for name, p in net.parameters_and_names()}
    tied = net.tied_names()
    assert len(published) == 316
    assert {**own, **{alias: own[name] for alias, name in tied.items()}} == published
    assert (len(own), len(tied), set(tied.values())) == (262, 54, {"shallow_feat1.1.body.1.weight"})
    assert sum(p.size for p in net.trainable_params()) == model_spec(f"mprnet_{task}").parameters == COUNTS[task]


def test_golden_outputs_and_taps(case):
    task, golden, net = case
    parameters = dict(net.parameters_and_names())
    for name, head in section(golden, "weight_check/").items():
        np.testing.assert_array_equal(parameters[name].asnumpy().ravel()[:8], head.ravel()[:8])
    taps: dict[str, tuple[Tensor, ...]] = {}
    handles = [
        cell.register_forward_hook(keep(taps, name))
        for name, cell in net.cells_and_names()
        if any(key.startswith(f"tap/{name}/") for key in golden)
    ]
    outputs = net(Tensor(golden["in/a"]))
    for handle in handles:
        handle.remove()
    early, late = tap_facts(taps, golden)
    expected = section(golden, "tap/")
    assert len(early) + len(late) == len(expected) == 52, task
    assert_taps(early, expected, EARLY)
    assert_taps(late, expected, PLAIN_STAGE3)
    assert_outputs([y.asnumpy() for y in outputs], section(golden, "out/a/"), PLAIN_STAGE3)


def keep(taps: dict, name: str):
    def hook(cell, inputs, output):
        taps[name] = output if isinstance(output, tuple) else (output,)

    return hook


def tap_facts(taps: dict, golden: dict) -> tuple[dict, dict]:
    """Cut stacked results into the published calls, and part stage 3 from the earlier stages."""
    early, late = {}, {}
    for name, outputs in taps.items():
        calls = STACKED.get(name, (0,))
        for k, output in enumerate(outputs):
            for part, call in zip(np.split(output.asnumpy(), len(calls)), calls):
                stage3 = name.startswith(("shallow_feat3", "concat23", "stage3", "tail"))
                (late if stage3 else early)[f"{name}/{call}/{k}"] = facts(part)
    return early, late


def assert_taps(actual: dict, expected: dict, tolerance: float) -> None:
    """Compare mean, norm and first values; the mean relative to the largest of the values and itself."""
    wrong = {}
    for name, value in actual.items():
        scale = max(np.abs(expected[name][2:]).max(), abs(expected[name][0]))
        errors = np.abs(value - expected[name]) / np.concatenate(([scale], [expected[name][1]], np.full(8, scale)))
        if not errors.max() <= tolerance:
            wrong[name] = errors.max()
    assert not wrong


def assert_outputs(outputs: list[np.ndarray], expected: dict, stage3: float, early: float = EARLY) -> None:
    errors = [error(outputs[i], expected[str(i)]) for i in range(3)]
    assert errors[0] <= stage3, errors
    assert max(errors[1:]) <= early, errors


@pytest.mark.slow  # `test_registered` compares the small form, compiled for all sizes
def test_golden_outputs_compiled(case):
    _, golden, net = case
    net.set_inputs(Tensor(shape=(1, 3, None, None), dtype=ms.float32))
    compiled = ms.jit(net)
    for key in "ab":
        outputs = [y.asnumpy() for y in compiled(Tensor(golden[f"in/{key}"]))]
        assert_outputs(outputs, section(golden, f"out/{key}/"), PLAIN_STAGE3)


# damping, key of the images, prefix of the numbers
PLAIN_CASE, DAMPED_CASE = (None, "a", "grad/a/"), (DAMPING, "b", "damped/grad/b/")


@pytest.mark.parametrize(
    ("graph", "cases"),
    [
        pytest.param(False, [PLAIN_CASE, DAMPED_CASE], id="pynative"),
        pytest.param(True, [PLAIN_CASE, DAMPED_CASE], marks=pytest.mark.slow, id="graph"),
    ],
)
def test_golden_gradients_and_damped_outputs(case, graph, cases):
    task, golden, _ = case
    net = create_model(f"mprnet_{task}").set_train(True)
    loss = TaskLoss(net, build_objective(load_recipe(f"mprnet/{task}").loss, stages=3))
    params = net.trainable_params()
    gradients = ms.value_and_grad(loss, None, ParameterTuple(params), has_aux=True)
    gradients = ms.jit(gradients) if graph else gradients
    names = [name for name, p in net.parameters_and_names() if p.requires_grad]
    for damping, key, prefix in cases:
        load_golden_mprnet(net, damping)
        (total, outputs), found = gradients(Tensor(golden[f"in/{key}"]), Tensor(golden[f"target/{key}"]))
        actual = dict(zip(names, (g.asnumpy().astype(np.float64) for g in found)))
        expected = section(golden, prefix)
        norm = np.sqrt(sum((g**2).sum() for g in actual.values()))
        assert norm == pytest.approx(float(expected.pop("global_l2")), rel=GRADIENT)
        assert len(expected) == 38
        for name in {key.rsplit("/", 1)[0] for key in expected}:
            norm = float(expected[f"{name}/l2"])
            assert np.linalg.norm(actual[name]) == pytest.approx(norm, rel=GRADIENT), name
            head = np.zeros(8)
            head[: actual[name].size] = actual[name].ravel()[:8]
            # One PReLU input that rounding moves across 0 shifts every gradient before it by a part of its typical
            # value, so a head of values far below that is measured against the tensor's root mean square.
            scale = max(np.abs(expected[f"{name}/head"]).max(), norm / np.sqrt(actual[name].size))
            assert np.abs(head - expected[f"{name}/head"]).max() <= GRADIENT * scale, name
        if damping:
            assert_outputs([y.asnumpy() for y in outputs], section(golden, "damped/out/b/"), DAMPED, DAMPED)
            assert float(total) == pytest.approx(float(golden["damped/loss/b/total"]), rel=DAMPED)


class TaskLoss(nn.Cell):
    """The task's training loss and the three images."""

    def __init__(self, net: nn.Cell, objective: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net, self.objective = net, objective

    def construct(self, x, target):
        outputs = self.net(x)
        return self.objective(outputs, x, target)[0], outputs


def test_golden_photograph(case):
    """Any size goes in: padded, restored, clipped, cropped and rounded as the published program does."""
    task, golden, _ = case
    net = load_golden_mprnet(create_model(f"mprnet_{task}"), DAMPING)
    restore = Restorer(model_spec(f"mprnet_{task}"), net=net, compiled=False)
    photo = golden["demo/in"]
    assert photo.shape[:2] == (45, 51)
    assert np.abs(restore(photo).astype(int) - golden["demo/out"]).max() <= 1
    floats = restore.restore_float(photo.astype(np.float32) / 255)
    assert np.abs(floats - golden["demo/float"]).max() <= DAMPED


def test_published_names_come_back_from_a_file(tmp_path):
    net = create_model("mprnet_deraining", n_feat=8, scale_unetfeats=4, scale_orsnetfeats=4, num_cab=1)
    save_weights(net, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as file:
        names = set(file.files)
        slopes = {float(file[name][0]) for name in names if file[name].size == 1}
    assert names == {name for name, _ in net.parameters_and_names()} | set(net.tied_names())
    assert slopes == {0.25}


def test_normal_start_has_the_deviation_asked_for():
    net = create_model("mprnet_deraining", init_std=0.02)
    values = np.concatenate([p.asnumpy().ravel() for p in net.trainable_params() if p.ndim == 4])
    assert values.std() == pytest.approx(0.02, rel=0.01)
    assert abs(values.mean()) < 1e-4
