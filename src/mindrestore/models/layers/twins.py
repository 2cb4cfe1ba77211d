"""Operators for losses and updates, in the form of the device in use: Ascend has newer twins, of aclnn.

Not for networks, whose layers an export puts into another form.
"""

from __future__ import annotations

from collections.abc import Sequence

from mindspore import Parameter, Tensor, mint, ops
from mindspore.ops import auto_generate

from mindrestore.models.layers.form import chosen

_copy_into = auto_generate.InplaceCopy()
_multiply_into = auto_generate.InplaceMul()
_lerp = ops.Lerp()
_cut = auto_generate.SplitTensor()
_vector_norm = auto_generate.LinalgVectorNorm()
_half_square = ops.L2Loss()
_each = ops.HyperMap()


def mean(x: Tensor) -> Tensor:
    """Average all values of a tensor: ()."""
    return mint.mean(x) if chosen("auto") == "ascend" else x.mean()


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all values of float32 tensors together: ()."""
    if chosen("auto") == "ascend":
        return _norm_of(together(_each(_norm_of, tensors)))
    return ops.sqrt(2.0 * together(_each(_half_square, tensors)).sum())


def split(x: Tensor, length: int, axis: int) -> tuple[Tensor, ...]:
    """Cut a tensor into parts of equal length along an axis."""
    return _cut(x, length, axis) if chosen("auto") == "ascend" else ops.split(x, length, axis)


def together(numbers: Sequence[Tensor]) -> Tensor:
    """Join tensors of one value each to a vector; unlike `ops.stack` without an operator of the older interface."""
    return ops.concat([number.reshape(1) for number in numbers])


def blended(a: Tensor, b: Tensor, share_a: Tensor, share_b: Tensor) -> Tensor:
    """Return share_a * a + share_b * b, with shares () whose sum is 1."""
    return _lerp(a, b, share_b) if chosen("auto") == "ascend" else a * share_a + b * share_b


def assign(to: Parameter, value: Tensor) -> Tensor:
    """Write a value into a parameter."""
    return _copy_into(to, value) if chosen("auto") == "ascend" else ops.assign(to, value)


def shrink(param: Parameter, factor: Tensor) -> Tensor:
    """Multiply a parameter by a number (). On Ascend nothing reads it for that, so that no graph copies it first."""
    return _multiply_into(param, factor) if chosen("auto") == "ascend" else ops.assign(param, param * factor)


def _norm_of(x: Tensor) -> Tensor:
    return _vector_norm(x, 2.0, None, False, None)
