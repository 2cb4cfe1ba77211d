"""One contract for every network: [0, 1] images in, one [0, 1] image out."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindrestore.models.spec import ModelSpec


class ImageModel(nn.Cell):
    """Wrap a network so that callers see one image in [0, 1], whatever the network returns.

    Args:
        net: a registered network.
        spec: its description.
        clips: whether the image is clipped to [0, 1]; else the caller does it.

    Inputs:
        x: (N, 3, H, W) float32 RGB in [0, 1]; H and W multiples of `spec.size_multiple`, at least `spec.min_size`.

    Returns:
        (N, 3, H, W) the restored image.
    """

    def __init__(self, net: nn.Cell, spec: ModelSpec, *, clips: bool = True) -> None:
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.net, self.clips = net, clips
        low, high = spec.value_range
        self.scale, self.low = float(high - low), float(low)
        index = spec.output_index
        self.path = () if index is None else index if isinstance(index, tuple) else (index,)

    def construct(self, x: Tensor) -> Tensor:
        if self.scale != 1.0 or self.low != 0.0:
            x = x * self.scale + self.low
        y = self.net(x)
        for index in self.path:
            y = y[index]
        if self.scale != 1.0 or self.low != 0.0:
            y = (y - self.low) / self.scale
        return ops.clip_by_value(y, 0.0, 1.0) if self.clips else y


class UnitRange(nn.Cell):
    """Let a network of one image take and give [0, 1] in training, without clipping and under its parameter names.

    Args:
        net: a network with another value range.
        low, high: its value range.

    Inputs:
        x: (N, 3, H, W) in [0, 1].

    Returns:
        (N, 3, H, W), about [0, 1].
    """

    def __init__(self, net: nn.Cell, low: float, high: float) -> None:
        super().__init__(auto_prefix=False)
        self.net = net
        self.low, self.scale = float(low), float(high - low)

    def construct(self, x: Tensor) -> Tensor:
        return (self.net(x * self.scale + self.low) - self.low) / self.scale


def in_unit_range(net: nn.Cell, spec: ModelSpec) -> nn.Cell:
    """Return a network, wrapped when its value range is not [0, 1]; losses then compare images in [0, 1].

    Args:
        net: a registered network.
        spec: its description.

    Returns:
        The network itself or a `UnitRange` of it.
    """
    return net if tuple(spec.value_range) == (0.0, 1.0) else UnitRange(net, *spec.value_range)
