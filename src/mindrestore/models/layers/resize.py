"""Halving and doubling of images between the levels of a network."""

from __future__ import annotations

from mindspore import Tensor
from mindspore.ops import auto_generate

from mindrestore.models.layers.basic import AveragePool2x2
from mindrestore.models.layers.form import Layer, chosen


class BilinearResize(Layer):
    """Halve or double height and width, bilinear with half-pixel centres (PyTorch's align_corners=False).

    Halving is the mean of 2x2 pixels. Doubling mixes neighbours 3:1 with clamped borders.

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
        self.pool = AveragePool2x2()
        self.through_aclnn = auto_generate.UpsampleBilinear2D()
        self.resize = auto_generate.ResizeBilinearV2(align_corners=False, half_pixel_centers=True)

    def construct(self, x: Tensor) -> Tensor:
        if self.halves:
            return self.pool(x)
        h, w = x.shape[2:]
        if chosen(self.form) == "ascend":
            return self.through_aclnn(x, (2 * h, 2 * w), None, False)
        return self.resize(x, (2 * h, 2 * w))  # the function `interpolate` refuses sizes that are free
