"""Deformable convolution: golden values of the published operator, and equality of the two forms."""

from __future__ import annotations

import functools

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from golden import assert_close, error, load_golden, section
from mindrestore.models.layers import DeformConv2d, set_form
from mindrestore.models.layers.deform import DeformSample, Window

VARIANTS = ("s1p1d1", "s2p1d1", "s1p2d2", "s1p0d1", "s2_1p1_2d1_2", "zero_offset")
STAND_ALONE = 1e-5
FORMS = ("cpu", "gpu")  # elementary operators, and the one operator that cards have


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "aecrnet.npz") as file:
        return section(dict(file), "dcn/")


class Product(nn.Cell):
    """Provide sum((sample + bias) * dout), whose gradients the golden file holds, and the output beside it."""

    def __init__(self, sample: DeformSample) -> None:
        super().__init__()
        self.sample = sample

    def construct(self, x, dy, dx, mask, weight, bias, dout):
        out = self.sample(x, dy, dx, mask, weight) + bias.reshape(1, -1, 1, 1)
        return (out * dout).sum(), out


class Gradients(nn.Cell):
    """The output and the gradients of all six inputs."""

    def __init__(self, loss: Product) -> None:
        super().__init__()
        self.gradients = ops.value_and_grad(loss, (0, 1, 2, 3, 4, 5), None, has_aux=True)

    def construct(self, *inputs):
        (_, out), gradients = self.gradients(*inputs)
        return out, gradients


@functools.cache  # two golden variants share one compilation
def build(window: Window, form: str, graph: bool):
    cell = Gradients(Product(DeformSample(window)))
    set_form(cell, form)
    return ms.jit(cell) if graph else cell


def evaluate(window: Window, form: str, inputs: tuple, graph: bool) -> dict[str, np.ndarray]:
    """Return output and gradients for (x, dy, dx, mask, weight, bias, dout)."""
    out, gradients = build(window, form, graph)(*(Tensor(np.ascontiguousarray(v)) for v in inputs))
    d_x, d_dy, d_dx, d_mask, d_weight, d_bias = (g.asnumpy() for g in gradients)
    pairs = np.stack((d_dy, d_dx), 2)  # (N, taps, 2, Ho, Wo), the published order of channels
    d_offset = pairs.reshape(pairs.shape[0], -1, *pairs.shape[3:])
    return {
        "out": out.asnumpy(),
        "d_x": d_x,
        "d_offset": d_offset,
        "d_mask": d_mask,
        "d_weight": d_weight,
        "d_bias": d_bias,
    }


def reference(window: Window, x, dy, dx, mask, weight) -> np.ndarray:
    """Follow equation 1 of DCNv2 position by position, in float64."""
    n, _, height, width = x.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 2), (1, 2)))
    out = np.zeros((n, weight.shape[0], *dy.shape[2:]))
    tap_y, tap_x = window.tap_offsets()
    for b, t, r, q in np.ndindex(n, window.taps, *dy.shape[2:]):
        y = r * window.stride[0] + tap_y[t] + float(dy[b, t, r, q])
        z = q * window.stride[1] + tap_x[t] + float(dx[b, t, r, q])
        if not (-1 < y < height and -1 < z < width):
            continue
        i, j = int(np.floor(y)), int(np.floor(z))
        corners = padded[b, :, i + 1 : i + 3, j + 1 : j + 3]
        value = np.einsum("cij,i,j->c", corners, [1 - y + i, y - i], [1 - z + j, z - j])
        out[b, :, r, q] += mask[b, t, r, q] * weight.reshape(*weight.shape[:2], -1)[:, :, t] @ value
    return out


def sample(form: str) -> DeformSample:
    layer = DeformSample(Window())
    set_form(layer, form)
    return layer


def random_inputs(batch: int, spread: float, window: Window, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Draw (x, dy, dx, mask, weight) for an image of 6 x 9 pixels, offsets within +-spread pixels."""
    rng = np.random.default_rng(seed)
    ho, wo = (
        (size + 2 * window.padding[k] - window.dilation[k] * (window.kernel[k] - 1) - 1) // window.stride[k] + 1
        for k, size in enumerate((6, 9))
    )
    shape = (batch, window.taps, ho, wo)
    x = rng.standard_normal((batch, 4, 6, 9))
    dy, dx = (rng.uniform(-spread, spread, shape) for _ in range(2))
    weight = rng.standard_normal((5, 4, *window.kernel))
    return tuple(v.astype(np.float32) for v in (x, dy, dx, rng.random(shape), weight))


COMPILED = ("s1p1d1", "s2_1p1_2d1_2")  # the plain window and the one with other numbers in both directions


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("variant", "graph"),
    [(variant, False) for variant in VARIANTS]
    + [pytest.param(COMPILED[0], True, marks=pytest.mark.slow), (COMPILED[1], True)],  # the layer below is a plain one
    ids=[f"{variant}-pynative" for variant in VARIANTS] + [f"{variant}-graph" for variant in COMPILED],
)
def test_golden_output_and_gradients(golden, variant, form, graph):
    case = section(golden, f"{variant}/")
    cfg = [int(v) for v in case.pop("cfg")]
    window = Window((3, 3), (cfg[0], cfg[1]), (cfg[2], cfg[3]), (cfg[4], cfg[5]))
    offset, mask, dout = (case.pop(key) for key in ("offset", "mask", "dout"))
    inputs = (golden["x"], offset[:, 0::2], offset[:, 1::2], mask, golden["weight"], golden["bias"], dout)
    assert set(case) | {"d_offset"} == {"out", "d_x", "d_weight", "d_bias", "d_mask", "d_offset"}
    assert_close(evaluate(window, form, inputs, graph), case, STAND_ALONE)


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
@pytest.mark.parametrize("form", FORMS)
def test_golden_layer_with_interleaved_offsets(golden, form, graph):
    layer = load_golden(DeformConv2d(8, 6), prefix="dcn_block.dcn.")
    set_form(layer, form)
    out = (ms.jit(layer) if graph else layer)(Tensor(golden["x"]))
    assert error(out.asnumpy(), golden["layer/out"]) < STAND_ALONE


@pytest.mark.parametrize(
    ("batch", "spread", "window"),
    [
        (2, 2.0, Window()),
        (3, 40.0, Window()),  # most positions far outside the image
        (3, 3.0, Window((3, 2), (2, 1), (1, 2), (1, 2))),
    ],
)
def test_both_forms_agree_in_output_and_gradients(batch, spread, window):
    x, dy, dx, mask, weight = random_inputs(batch, spread, window)
    dout = np.random.default_rng(1).standard_normal((batch, 5, *dy.shape[2:])).astype(np.float32)
    inputs = (x, dy, dx, mask, weight, np.zeros(5, np.float32), dout)
    gather, operator = (evaluate(window, form, inputs, graph=False) for form in FORMS)
    assert_close(gather, operator, STAND_ALONE)
    assert error(gather["out"], reference(window, x, dy, dx, mask, weight)) < STAND_ALONE


@pytest.mark.parametrize("form", FORMS)
def test_exactly_integer_positions_up_to_and_beyond_the_border(form):
    x, dy, dx, mask, weight = random_inputs(2, 12.0, Window())
    inputs = (x, np.rint(dy), np.rint(dx), mask, weight)
    out = sample(form)(*(Tensor(v) for v in inputs)).asnumpy()
    assert error(out, reference(Window(), *inputs)) < STAND_ALONE


@pytest.mark.parametrize("form", FORMS)
def test_very_distant_positions_read_zeros(form):
    x, dy, dx, mask, weight = random_inputs(1, 1.0, Window())
    far = (x, np.full_like(dy, 1e6), dx, mask, weight)
    assert not sample(form)(*(Tensor(v) for v in far)).asnumpy().any()


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_samples_where_single_precision_does(form):
    rng, shape = np.random.default_rng(4), (1, 9, 60, 60)  # 3,600 positions: float16 counts to 2,048 only
    x, weight = rng.standard_normal((1, 4, 60, 60)), rng.standard_normal((5, 4, 3, 3))
    dy, dx = (rng.integers(-16, 17, shape) / 8 for _ in range(2))  # the same numbers in both types
    inputs = [Tensor(v.astype(np.float16)) for v in (x, dy, dx, rng.random(shape), weight)]
    expected = sample(form)(*(value.astype(ms.float32) for value in inputs)).asnumpy()
    found = sample(form)(*inputs)
    assert found.dtype == ms.float16
    assert error(found.asnumpy().astype(np.float32), expected) < 2e-3


def test_fresh_layer_is_half_an_ordinary_convolution():
    layer = DeformConv2d(4, 5)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 4, 7, 6)).astype(np.float32))
    plain = ops.conv2d(x, layer.weight, pad_mode="pad", padding=1)
    assert error(2 * layer(x).asnumpy(), plain.asnumpy()) < STAND_ALONE
