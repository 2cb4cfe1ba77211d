"""The mirrored border of convolutions, in a form that is fast on CPU."""

from __future__ import annotations

from mindspore import Tensor, nn, ops


class ReflectPad(nn.Cell):
    """Mirror the border without repeating the edge, as `ReflectionPad2d` does.

    Written as slices joined together: MindSpore's mirror operator is 5 times slower on CPU and missing in ONNX. The
    backward pass is spelled out, since the automatic one keeps a full-size map for every border row.

    Args:
        width: rows and columns to add on each side (pixels).

    Inputs:
        x: (N, C, H, W); H and W larger than `width`.

    Returns:
        (N, C, H + 2 width, W + 2 width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        p = self.width = width
        # Slices as operators with fixed places: `x[:, :, 1:2]` takes fifty times as long to compile
        self.slices = tuple(ops.StridedSlice(mask, mask) for mask in (0b1011, 0b0111))  # rows, columns
        self.before, self.after = (p, 0, -1), (-2, -2 - p, -1)  # mirrored lines: first, one behind the last, step
        self.zeros = ops.ZerosLike()

    def construct(self, x: Tensor) -> Tensor:
        for way in range(2):
            x = ops.concat((self.lines(way, x, self.before), x, self.lines(way, x, self.after)), way + 2)
        return x

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (self.folded(0, self.folded(1, dout)),)

    def folded(self, way: int, dout: Tensor) -> Tensor:
        """Add the gradient of the border to that of the lines it mirrors, along one axis: 2p fewer rows or columns."""
        p, axis = self.width, way + 2
        length = dout.shape[axis]
        first = self.lines(way, dout, (p, p + 1, 1))
        last = self.lines(way, dout, (-p - 1, -p, 1))
        upper = self.lines(way, dout, (p - 1, -length - 1, -1))  # border
        lower = self.lines(way, dout, (-1, -p - 1, -1))
        if length > 4 * p + 2:  # lines lie between those that are mirrored
            upper = self.lines(way, dout, (p + 1, 2 * p + 1, 1)) + upper
            lower = self.lines(way, dout, (-2 * p - 1, -p - 1, 1)) + lower
            return ops.concat((first, upper, self.lines(way, dout, (2 * p + 1, -2 * p - 1, 1)), lower, last), axis)
        core = self.lines(way, dout, (p, -p, 1))
        zeros = self.zeros(core)
        edge, rest = self.lines(way, zeros, (0, 1, 1)), self.lines(way, zeros, (0, -p - 1, 1))
        return core + ops.concat((edge, upper, rest), axis) + ops.concat((rest, lower, edge), axis)

    def lines(self, way: int, x: Tensor, places: tuple[int, int, int]) -> Tensor:
        """Take rows (way 0) or columns (way 1) from the first place to before the last one, by steps."""
        start, stop, step = places
        steps = (1, 1, 1, step) if way else (1, 1, step, 1)  # begin and end count on the axis of the slice only
        return self.slices[way](x, (0, 0, start, start), (0, 0, stop, stop), steps)
