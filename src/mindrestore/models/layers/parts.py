"""Maps cut into parts.

On Ascend by operators as objects: the function `mint.split` returns views, and behind each MindSpore copies every
parameter that a graph reads once more.
"""

from __future__ import annotations

from mindspore import Tensor, ops
from mindspore.ops import auto_generate

from mindrestore.models.layers.form import Layer, chosen


class Parts(Layer):
    """Cut a tensor along an axis.

    Args:
        lengths: of the parts, in order.
        axis: along which they follow each other.

    Inputs:
        x: any tensor whose axis is as long as all parts together.

    Returns:
        One tensor per part.
    """

    def __init__(self, lengths: tuple[int, ...], axis: int = 1) -> None:
        super().__init__()
        self.lengths = lengths[0] if len(set(lengths)) == 1 else lengths  # equal ones are one operator
        self.axis = axis
        equal = isinstance(self.lengths, int)
        self.through_aclnn = auto_generate.SplitTensor() if equal else auto_generate.SplitWithSize()

    def construct(self, x: Tensor) -> tuple[Tensor, ...]:
        if chosen(self.form) == "ascend":
            return self.through_aclnn(x, self.lengths, self.axis)
        return ops.split(x, self.lengths, self.axis)


class Halves(Layer):
    """Stack both halves of maps on the batch axis, and put them together again.

    Args:
        axis: that is cut in the middle: 2, top and bottom, or 3, left and right.
    """

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.through_aclnn = auto_generate.SplitTensor()

    def cut(self, x: Tensor) -> Tensor:
        """Cut maps of an even length: (N, C, H, W) -> (2N, C, H/2, W) or (2N, C, H, W/2), all first halves first."""
        return ops.concat(self.two(x, self.axis), 0)

    def join(self, x: Tensor) -> Tensor:
        """Undo `cut`."""
        return ops.concat(self.two(x, 0), self.axis)

    def join_each(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Undo `cut` of several maps."""
        joined = ()
        for x in maps:
            joined = (*joined, self.join(x))
        return joined

    def two(self, x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        if chosen(self.form) == "ascend":
            return self.through_aclnn(x, x.shape[axis] // 2, axis)
        return ops.Split(axis, 2)(x)  # slices of the batch take ten times as long on CPU
