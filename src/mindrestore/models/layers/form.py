"""The one switch of all layers: which form of a layer is computed. Numbers are equal in every form.

| form | what it is |
|---|---|
| `plain` | elementary operators, the fewest: what files hold (MINDIR, ONNX), and what every other form has to equal |
| `cpu` | spelled out so that MindSpore's CPU kernels are fast, with gradients written by hand |
| `gpu` | `plain`, with the fused operators that cards have (deformable sampling) |
| `ascend` | `gpu`, with the operators that Ascend runs through aclnn where the classic ones are compiled online |
| `auto` | the form of the device that MindSpore is set to when the network is compiled or run; the default |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
from mindspore import Tensor, nn
from mindspore.ops.functional import is_sequence_value_unknown
from mindspore.ops.primitive import constexpr

from mindrestore.errors import MindRestoreError

FORMS = ("auto", "plain", "cpu", "gpu", "ascend")
_OF_DEVICE = {"CPU": "cpu", "GPU": "gpu", "Ascend": "ascend"}


class Layer(nn.Cell):
    """A layer that has one meaning and several forms: the base of every cell whose `construct` asks for its form.

    `construct` asks `chosen(self.form)`, which a graph evaluates while it is compiled: nothing is decided in
    `__init__`, and a network may be built before a card is chosen. Parameters are the same in all forms.

    Attributes:
        form: one of `FORMS`; set it with `set_form` or `in_form`, before the network is compiled.
        keep_float32: compute in float32 when the network trains in half precision; layers inside decide for themselves.
    """

    form = "auto"
    keep_float32 = False


@constexpr(reuse_result=False)
def chosen(form: str) -> str:
    """Return `plain`, `cpu`, `gpu` or `ascend`: the form itself, or for `auto` that of the device in use."""
    return _OF_DEVICE[current_device()] if form == "auto" else form


def current_device() -> str:
    """Name the device that MindSpore computes on: "CPU", "GPU" or "Ascend"."""
    return ms.get_context("device_target")


def on_cpu() -> bool:
    """Return whether MindSpore computes on the CPU."""
    return current_device() == "CPU"


def set_form(net: nn.Cell, form: str) -> None:
    """Choose the form of every layer of a network for what is compiled or run from now on.

    Args:
        net: any cell. Graphs that were compiled before keep the form they were compiled in.
        form: one of `FORMS`.

    Raises:
        MindRestoreError: there is no such form.
    """
    if form not in FORMS:
        raise MindRestoreError(f"layers have no form {form!r}; there are {', '.join(FORMS)}")
    for layer in layers_of(net):
        layer.form = form


@contextmanager
def in_form(net: nn.Cell, form: str) -> Iterator[None]:
    """Choose the form of every layer inside a `with` block; afterwards each layer has the one it had before.

    Args:
        net: any cell.
        form: one of `FORMS`.

    Raises:
        MindRestoreError: there is no such form.
    """
    before = [(layer, layer.form) for layer in layers_of(net)]
    set_form(net, form)
    try:
        yield
    finally:
        for layer, own in before:
            layer.form = own


def layers_of(net: nn.Cell) -> list[Layer]:
    """List the layers inside a cell that have forms."""
    return [cell for _, cell in net.cells_and_names() if isinstance(cell, Layer)]


def is_free(x: Tensor) -> bool:
    """Return whether a graph is being compiled for any height and width of x (N, C, H, W)."""
    return is_sequence_value_unknown(x.shape)


def like(x: Tensor, other: Tensor) -> Tensor:
    """Return x in the type of another tensor.

    Cells with a backward pass of their own need it in mixed precision: there a weight that the framework casts on the
    way in gets its gradient in half precision.
    """
    return x if x.dtype == other.dtype else x.astype(other.dtype)
