"""AECR-Net against the published network: layers, output, gradients and buffers, compiled and not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import mindspore as ms
import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from golden import FORWARD, GRADIENT, assert_close, error, gradient_facts, load_golden, section
from mindrestore.models.aecrnet import AECRNet, _patches
from mindrestore.models.layers import in_form
from mindrestore.models.specs.aecrnet import AECRNET
from mindrestore.models.wrapper import ImageModel

TAPS = ("deconv", "down3", "block1", "block6", "dcn1", "dcn2", "mix1", "up1", "out")
ANY_SIZE = Tensor(shape=(None, 3, None, None), dtype=ms.float32)

# Training compiles for fixed sizes, as trainers do.
RUNS = [*(("pynative", case, phase) for case in "AB" for phase in ("eval", "train")), ("graph", "A", "train")]
# Each compiles anew; one compilation for free sizes serves both cases in evaluation.
SLOW_RUNS = [("free", "A", "eval"), ("free", "B", "eval")]
SLOW_RUNS += [("graph", "A", "eval"), ("graph", "B", "eval"), ("graph", "B", "train")]


class Run(NamedTuple):
    """What one golden case gave: all its arrays, and the golden ones, both by key."""

    actual: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]


class TappedLoss(nn.Cell):
    """Repeat the forward pass of the network and return the golden layers beside the L1 loss."""

    def __init__(self, net: AECRNet) -> None:
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        deconv = self.net.deconv(x)
        half = self.net.down2(self.net.down1(deconv))
        down3 = self.net.down3(half)
        block1 = self.net.block(down3)
        block6 = block1
        for _ in range(5):
            block6 = self.net.block(block6)
        dcn1 = self.net.dcn_block(block6)
        dcn2 = self.net.dcn_block(dcn1)
        mix1 = self.net.mix1(down3, dcn2)
        up1 = self.net.up1(mix1)
        out = self.net.up3(self.net.up2(self.net.mix2(half, up1)))
        return ops.abs(out - target).mean(), deconv, down3, block1, block6, dcn1, dcn2, mix1, up1, out


class HookedLoss(nn.Cell):
    """Run the network itself and pick the golden layers up with hooks, which only PyNative mode calls."""

    def __init__(self, net: AECRNet) -> None:
        super().__init__(auto_prefix=False)
        self.net = net
        self.seen: dict[str, list[Tensor]] = {}
        for name in ("deconv", "down3", "block", "dcn_block", "mix1", "up1"):
            getattr(net, name).register_forward_hook(self.keep(name))

    def keep(self, name: str):
        def hook(cell, inputs, output):
            self.seen.setdefault(name, []).append(output)

        return hook

    def construct(self, x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        self.seen.clear()
        out = self.net(x)
        deconv, down3, block, dcn, mix1, up1 = self.seen.values()
        assert (len(block), len(dcn)) == (6, 2)
        taps = (deconv[0], down3[0], block[0], block[-1], *dcn, mix1[0], up1[0])
        return (ops.abs(out - target).mean(), *taps, out)


class Gradients(nn.Cell):
    """The value of a loss cell with its extra outputs, and the gradients of its input and of the parameters."""

    def __init__(self, loss: nn.Cell, net: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = ops.value_and_grad(loss, 0, ParameterTuple(net.trainable_params()), has_aux=True)

    def construct(self, x: Tensor, target: Tensor) -> tuple:
        return self.gradients(x, target)


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "aecrnet.npz") as file:
        return dict(file)


def prepare(mode: str, phase: str) -> tuple[AECRNet, Callable]:
    """Return the golden network, and what computes loss, layers and gradients in this mode."""
    net = load_golden(AECRNet()).set_train(phase == "train")
    if mode == "pynative":
        return net, Gradients(HookedLoss(net), net)
    cell = Gradients(TappedLoss(net), net)
    if mode == "free":
        cell.set_inputs(ANY_SIZE, ANY_SIZE)
    return net, ms.jit(cell)


@pytest.fixture(scope="module")
def free_size():
    return prepare("free", "eval")


@pytest.fixture(
    scope="module",
    params=[*RUNS, *(pytest.param(run, marks=pytest.mark.slow) for run in SLOW_RUNS)],
    ids=["-".join(run) for run in RUNS + SLOW_RUNS],
)
def run(request, golden) -> Run:
    mode, case, phase = request.param
    net, cell = request.getfixturevalue("free_size") if mode == "free" else prepare(mode, phase)
    names = [name for name, parameter in net.parameters_and_names() if parameter.requires_grad]
    x, target = Tensor(golden[f"{case}/x"]), Tensor(golden[f"{case}/target"])
    (loss, *taps), (grad_x, grads) = cell(x, target)

    actual = {"l1": loss.asnumpy(), "grad_x/full": grad_x.asnumpy()}
    actual["grad_x/norm"] = np.linalg.norm(actual["grad_x/full"].astype(np.float64))
    for name, tap in zip(TAPS, (tap.asnumpy() for tap in taps)):
        facts = {"": tap, "/ch16": tap[:, ::16], "/chmean": tap.mean((2, 3)), "/l2": np.linalg.norm(tap)}
        actual.update({name + key: value for key, value in facts.items()})
    actual.update(gradient_facts(names, grads))
    actual["new_running_mean"] = net.deconv.running_mean.asnumpy()
    actual["new_running_deconv"] = net.deconv.running_deconv.asnumpy()
    if phase == "train":
        statistics = net.deconv.batch_statistics(x)
        actual["batch_mean"], actual["batch_deconv"] = (value.asnumpy() for value in statistics)
    return Run(actual, section(golden, f"{case}/{phase}/"))


def test_every_golden_layer_output_and_buffer(run):
    assert_close(run.actual, {k: v for k, v in run.expected.items() if not k.startswith("grad")}, FORWARD)


def test_every_golden_gradient(run):
    assert_close(run.actual, {k: v for k, v in run.expected.items() if k.startswith("grad")}, GRADIENT)


def test_names_shapes_and_count_are_the_published_ones():
    shapes = {name: tuple(p.shape) for name, p in AECRNet().parameters_and_names()}
    assert len(shapes) == 34
    assert sum(int(np.prod(s)) for n, s in shapes.items() if "running" not in n) == AECRNET.parameters == 2_614_229
    assert sum(int(np.prod(s)) for n, s in shapes.items() if "running" in n) == 756
    expected = {
        "down1.1.weight": (64, 3, 7, 7),
        "block.calayer.ca.2.weight": (256, 32, 1, 1),
        "block.palayer.pa.2.weight": (1, 32, 1, 1),
        "dcn_block.dcn.conv_offset_mask.weight": (27, 256, 3, 3),
        "up1.0.weight": (256, 128, 3, 3),
        "up3.1.weight": (3, 64, 7, 7),
        "mix1.w": (1,),
        "deconv.running_deconv": (27, 27),
    }
    assert {name: shapes[name] for name in expected} == expected


def test_fresh_network_starts_as_published():
    net = AECRNet(channels=8)
    values = {name: p.asnumpy() for name, p in net.parameters_and_names()}
    assert (values["mix1.w"].item(), values["mix2.w"].item()) == (np.float32(-1.0), np.float32(-0.6))
    zero = ("dcn_block.dcn.bias", "dcn_block.dcn.conv_offset_mask.weight", "dcn_block.dcn.conv_offset_mask.bias")
    assert not any(values[name].any() for name in (*zero, "deconv.running_mean"))
    np.testing.assert_array_equal(values["deconv.running_deconv"], np.eye(27))


def test_evaluation_leaves_the_buffers_alone_and_training_moves_them(golden):
    net = load_golden(AECRNet(channels=8, blocks=1, deform_layers=1)).set_train(False)
    x = Tensor(golden["A/x"][:, :, :32, :32])
    before = net.deconv.running_mean.asnumpy().copy()
    net(x)
    np.testing.assert_array_equal(net.deconv.running_mean.asnumpy(), before)
    net.set_train(True)(x)
    mean = net.deconv.batch_statistics(x)[0].asnumpy()
    np.testing.assert_allclose(net.deconv.running_mean.asnumpy(), 0.9 * before + 0.1 * mean, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(3, 3), (4, 5), (7, 6), (11, 13)])
def test_patches_equal_an_unfold_of_stride_3(height, width):
    x = np.random.default_rng(0).random((2, 3, height, width), np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = [
        image[:, r : r + 3, q : q + 3].ravel()
        for image in padded
        for r in range(0, height, 3)
        for q in range(0, width, 3)
    ]
    rows = [row for row in rows if row.size == 27]
    np.testing.assert_array_equal(_patches(Tensor(x)).asnumpy(), np.stack(rows))


@pytest.mark.slow  # `test_registered` compares the small form, compiled for all sizes
def test_one_compilation_serves_every_size(golden):
    net = load_golden(AECRNet()).set_train(False)
    model = ImageModel(net, AECRNET)
    model.set_inputs(Tensor(shape=(1, 3, None, None), dtype=ms.float32))
    compiled = ms.jit(model)
    for x in (golden["A/x"], golden["B/x"][:1, :, :36, :44]):
        expected = np.clip(net(Tensor(x)).asnumpy(), 0, 1)
        assert error(compiled(Tensor(x)).asnumpy(), expected) < 1e-5
    assert error(compiled(Tensor(golden["A/x"])).asnumpy(), np.clip(golden["A/eval/out"], 0, 1)) < FORWARD


@pytest.mark.parametrize("form", ["plain", "gpu"])
def test_forms_of_files_and_cards_give_the_same_numbers(golden, form):
    net = load_golden(AECRNet()).set_train(False)
    with in_form(net, form):
        assert error(net(Tensor(golden["A/x"])).asnumpy(), golden["A/eval/out"]) < FORWARD


def test_init_gain_scales_the_kernels_behind_the_first_layer():
    ms.set_seed(1)
    plain = {p.name: p.asnumpy() for p in AECRNet(channels=8).get_parameters()}
    ms.set_seed(1)
    strong = {p.name: p.asnumpy() for p in AECRNet(channels=8, init_gain=2.0).get_parameters()}
    for name, value in plain.items():
        factor = 2.0 if value.ndim == 4 and not name.startswith("deconv.") else 1.0
        np.testing.assert_array_equal(strong[name], factor * value, err_msg=name)
