"""Halving and doubling of images between the levels of a network."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindrestore.models.layers import average_pool_2x2


class BilinearResize(nn.Cell):
    """Halve or double height and width, bilinear with half-pixel centres (PyTorch's align_corners=False).

    Halving is the mean of 2x2 pixels. Doubling mixes neighbours 3:1 with clamped borders; the resize operator does
    that fast, but MINDIR with free height and width refuses it, so an equal form of slices is kept for export.

    Args:
        way: "half" (an odd last row or column is left out) or "double".

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, H/2, W/2) or (N, C, 2H, 2W).
    """

    def __init__(self, way: str) -> None:
        super().__init__()
        self.halves = way == "half"
        self.exportable = False
        self.pool = average_pool_2x2()

    def construct(self, x: Tensor) -> Tensor:
        if self.halves:
            return self.pool(x)
        if self.exportable:
            return _double(_double(x, 2), 3)
        h, w = x.shape[2:]
        return ops.interpolate(x, size=(2 * h, 2 * w), mode="bilinear", align_corners=False)


def _double(x: Tensor, axis: int) -> Tensor:
    """Double one axis: out[2k] = (in[k-1] + 3 in[k]) / 4, out[2k+1] = (3 in[k] + in[k+1]) / 4, borders clamped."""
    n, c, h, w = x.shape
    if axis == 2:
        before = ops.concat((x[:, :, :1], x[:, :, :-1]), 2)
        after = ops.concat((x[:, :, 1:], x[:, :, -1:]), 2)
        shape = (n, c, 2 * h, w)
    else:
        before = ops.concat((x[:, :, :, :1], x[:, :, :, :-1]), 3)
        after = ops.concat((x[:, :, :, 1:], x[:, :, :, -1:]), 3)
        shape = (n, c, h, 2 * w)
    return ops.stack((0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after), axis + 1).reshape(shape)
