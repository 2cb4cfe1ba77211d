"""A network together with all that surrounds it, for programs that have photographs and nothing else."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindrestore.models.spec import ModelSpec, rounded_up


class PhotoModel(nn.Cell):
    """Restore 8-bit photographs of any size: padding, scaling, network, clamp, rounding and cropping in one graph.

    Borders are extended as `Restorer` does: mirrored as far as the image reaches, then by the last line.

    Args:
        model: Maps (1, 3, H, W) in [0,1] to the same.
        spec: Gives the size multiple and the smallest size.

    Inputs:
        photo: (1, H, W, 3) uint8 RGB.

    Returns:
        (1, H, W, 3) uint8.
    """

    def __init__(self, model: nn.Cell, spec: ModelSpec) -> None:
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.model = model
        self.multiple = spec.size_multiple
        self.least = spec.fitting_side()

    def construct(self, photo: Tensor) -> Tensor:
        h, w = photo.shape[1:3]
        x = ops.transpose(photo.astype(ms.float32), (0, 3, 1, 2)) / 255.0  # (1, 3, H, W)
        x = ops.gather(x, self.lines(h), 2)
        x = ops.gather(x, self.lines(w), 3)
        y = ops.floor(self.model(x) * 255.0 + 0.5)  # in [0, 1] already
        return ops.transpose(y, (0, 2, 3, 1))[:, :h, :w].astype(ms.uint8)

    def lines(self, length: int) -> Tensor:
        """Return the line of the photograph that each line of the padded one repeats: 0 1 2 1 0 0."""
        wanted = ops.scalar_to_tensor(rounded_up(length, self.multiple), ms.int64)
        wanted = ops.maximum(wanted, self.least)  # not by `fitting_side`: the `max` of a graph needs a fixed size
        places = ops.arange(wanted)
        return ops.maximum(ops.minimum(places, 2 * (length - 1) - places), 0)
