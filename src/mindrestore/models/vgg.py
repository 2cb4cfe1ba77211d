"""VGG-16 and VGG-19 features in torchvision's layout, for loss terms and as an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from mindspore import Tensor, nn

from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import Conv2d, MaxPool2x2
from mindrestore.models.specs.vgg import LAYOUTS, STAGES, stage_channels


class VGGFeatures(nn.Cell):
    """The activations of VGG after the named ReLUs; parameters are named as in torchvision (`features.0.weight`).

    Args:
        layout: `vgg16` or `vgg19`.
        taps: ReLUs to return, such as `relu1_1` (stage 1, first); layers behind the deepest one are not made.
        bias: False leaves the biases out, as the checkpoint of the MindSpore model zoo does.
        width: channels of the first stage, a multiple of 8; VGG has 64, and 128, 256, 512 and 512 after it.

    Inputs:
        x: (N, 3, H, W); H and W at least 16 when a tap lies in stage 5.

    Returns:
        One tensor per tap in data-flow order; in stage s height and width are H / 2^(s-1) and W / 2^(s-1).

    Raises:
        MindRestoreError: unknown layout or tap, or an impossible width.
    """

    def __init__(self, layout: str, taps: Sequence[str], bias: bool = True, width: int = 64) -> None:
        super().__init__()
        if layout not in STAGES:
            raise MindRestoreError(f"VGG layout {layout!r} is not one of {', '.join(LAYOUTS)}")
        layers, names = _layers(layout, bias, stage_channels(width))
        unknown = [tap for tap in taps if tap not in names]
        if unknown or not taps:
            known = ", ".join(name for name in names if name)
            raise MindRestoreError(f"{layout} has no layer {', '.join(unknown) or '(none named)'}; known: {known}")
        self.layout, self.width = layout, width
        depth = 1 + max(names.index(tap) for tap in taps)
        self.features = nn.CellList(layers[:depth])
        self.is_tap = tuple(name in taps for name in names[:depth])

    def construct(self, x: Tensor) -> tuple[Tensor, ...]:
        found = ()
        for i in range(len(self.is_tap)):
            x = self.features[i](x)
            if self.is_tap[i]:
                found = (*found, x)
        return found


def _layers(layout: str, bias: bool, widths: Sequence[int]) -> tuple[list[nn.Cell], list[str]]:
    """List the layers at torchvision's indices, and the name of each ReLU (empty for other layers)."""
    layers: list[nn.Cell] = []
    names: list[str] = []
    channels_in = 3
    for stage, (count, channels) in enumerate(zip(STAGES[layout], widths), start=1):
        for number in range(1, count + 1):
            layers += [Conv2d(channels_in, channels, 3, padding=1, bias=bias), nn.ReLU()]
            names += ["", f"relu{stage}_{number}"]
            channels_in = channels
        layers.append(MaxPool2x2())
        names.append("")
    return layers, names
