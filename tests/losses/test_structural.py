"""The edge loss and the Charbonnier loss against the published code, and the edge map against its definition."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from golden import error
from mindrestore.errors import MindRestoreError
from mindrestore.losses.pixel import CharbonnierLoss
from mindrestore.losses.structural import GAUSSIAN, EdgeLoss, blur_matrix, edge_map

# Where two maps nearly agree the gradient amplifies rounding by 1/eps = 1000; the reference, in float32, is this far
# from a float64 evaluation of the same formula.
EDGE_GRADIENT = 5e-5


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "mprnet_units.npz") as file:
        return dict(file)


def call(cell, graph):
    gradient = ops.value_and_grad(cell, 0)
    return ms.jit(gradient) if graph else gradient


def blurred(images):
    """Blur in float64 with a border repeated outwards, tap by tap."""
    for axis in (2, 3):
        widths = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded = np.pad(images, widths, mode="edge")
        size = images.shape[axis]
        images = sum(w * padded.take(range(k, k + size), axis) for k, w in enumerate(GAUSSIAN))
    return images


def slow_edge_map(images):
    """Follow the published definition step by step, in float64."""
    kept = np.zeros(images.shape)
    kept[:, :, ::2, ::2] = 4 * blurred(images)[:, :, ::2, ::2]
    return images - blurred(kept)


@pytest.mark.parametrize("case", range(3))
@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
def test_golden_edge_loss_and_gradient(golden, case, graph):
    output, target = (Tensor(golden[f"edge/{case}/{key}"]) for key in ("pred", "target"))
    value, gradient = call(EdgeLoss(), graph)(output, output, target)
    assert (value.shape, value.dtype) == ((), ms.float32)
    assert error(value.asnumpy(), golden[f"edge/{case}/loss"]) < 1e-6
    assert error(gradient.asnumpy(), golden[f"edge/{case}/grad_pred"]) < EDGE_GRADIENT


@pytest.mark.parametrize("case", range(3))
@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
def test_golden_charbonnier_loss_and_gradient(golden, case, graph):
    output, target = (Tensor(golden[f"edge/{case}/{key}"]) for key in ("pred", "target"))
    value, gradient = call(CharbonnierLoss(), graph)(output, output, target)
    assert error(value.asnumpy(), golden[f"char/{case}/loss"]) < 1e-6
    assert error(gradient.asnumpy(), golden[f"char/{case}/grad_pred"]) < 1e-6


@pytest.mark.parametrize("case", range(3))
def test_golden_kernel_blur_and_map(golden, case):
    images = golden[f"edge/{case}/pred"]
    np.testing.assert_allclose(np.outer(GAUSSIAN, GAUSSIAN), golden["edge/kernel"][0, 0], rtol=1e-6)
    rows, columns = (blur_matrix(size) for size in images.shape[2:])
    assert error(rows @ images @ columns.T, golden[f"edge/{case}/blur_pred"]) < 1e-6
    assert error(edge_map(Tensor(images)).asnumpy(), golden[f"edge/{case}/map_pred"]) < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 8), (33, 64)])
def test_edge_map_of_any_size_follows_the_definition(size):
    images = np.random.default_rng(0).random((2, 3, *size)).astype(np.float32)
    assert error(edge_map(Tensor(images)).asnumpy(), slow_edge_map(images.astype(np.float64))) < 1e-6


def test_edge_gradient_is_that_of_the_definition():
    rng = np.random.default_rng(1)
    output, target = (rng.random((1, 1, 6, 7)) for _ in range(2))

    def slow(output):
        return np.sqrt((slow_edge_map(output) - slow_edge_map(target)) ** 2 + 0.01).mean()

    expected, step = np.zeros(output.shape), 1e-5
    for i in range(output.size):
        moved = np.zeros(output.size)
        moved[i] = step
        moved = moved.reshape(output.shape)
        expected.flat[i] = (slow(output + moved) - slow(output - moved)) / (2 * step)
    output32, target32 = (Tensor(image.astype(np.float32)) for image in (output, target))
    gradient = ops.grad(EdgeLoss(eps=0.1), 0)(output32, output32, target32)
    assert error(gradient.asnumpy(), expected) < 1e-5


def test_sums_are_means_times_the_number_of_values():
    rng = np.random.default_rng(2)
    output, target = (Tensor(rng.random((2, 3, 9, 8)).astype(np.float32)) for _ in range(2))
    for kind in (EdgeLoss, CharbonnierLoss):
        mean, total = (float(kind(eps=1e-6, reduction=name)(output, output, target)) for name in ("mean", "sum"))
        assert total == pytest.approx(mean * 2 * 3 * 9 * 8, rel=1e-5)
        with pytest.raises(MindRestoreError, match="reduction 'median' is not one of mean, sum"):
            kind(reduction="median")


def test_half_precision_edges_are_compared_in_float32():
    images = np.random.default_rng(3).random((1, 3, 8, 8)).astype(np.float16)
    value = EdgeLoss()(Tensor(images), None, Tensor(images.astype(np.float32)))
    assert value.dtype == ms.float32
    assert float(value) == pytest.approx(1e-3, rel=1e-6)


def test_tiny_eps_has_a_finite_gradient_where_images_agree():
    images = Tensor(np.full((1, 3, 8, 8), 0.5, np.float32))
    for cell in (EdgeLoss(eps=1e-6), CharbonnierLoss(eps=1e-6, reduction="sum")):
        assert not ops.grad(cell, 0)(images, images, images).asnumpy().any()


def test_clamped_charbonnier_gives_no_gradient_beyond_the_range():
    output = Tensor(np.array([-0.5, 0.01, 0.25, 0.99, 1.5], np.float32).reshape(1, 1, 1, 5))
    target = Tensor(np.full((1, 1, 1, 5), 0.5, np.float32))
    value, gradient = ops.value_and_grad(CharbonnierLoss(clamp=True), 0)(output, output, target)
    assert float(value) == pytest.approx(np.sqrt(np.array([0.5, 0.49, 0.25, 0.49, 0.5]) ** 2 + 1e-6).mean(), rel=1e-6)
    np.testing.assert_allclose(gradient.asnumpy().ravel(), [0, -0.2, -0.2, 0.2, 0], atol=1e-5)
