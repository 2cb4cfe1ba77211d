"""VGG-16 and VGG-19 features in torchvision's layout, for loss terms and as an encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mindspore import Tensor, nn

from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import conv, max_pool_2x2

# Convolutions per stage, and their channels; a 2x2 max-pool ends each stage (Simonyan and Zisserman, table 1).
_STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)

LAYOUTS = tuple(_STAGES)


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
        if layout not in _STAGES:
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


def stage_channels(width: int) -> tuple[int, ...]:
    """Return the channels of the five stages of a VGG.

    Args:
        width: channels of the first stage, a positive multiple of 8; 64 as published.

    Returns:
        The finest stage first, such as 64, 128, 256, 512 and 512.

    Raises:
        MindRestoreError: the width is something else.
    """
    if not isinstance(width, int) or width < 8 or width % 8 != 0:
        raise MindRestoreError(f"a VGG of width {width!r} is not possible: give a multiple of 8, such as 64")
    return tuple(channels * width // 64 for channels in _CHANNELS)


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Read layout, depth, use of biases and width off the convolutions of a torchvision file.

    Args:
        shapes: parameter name -> shape, with or without a classifier.

    Returns:
        Arguments of `VGGFeatures` that hold every convolution in the file.

    Raises:
        KeyError: another network, such as VGG with batch normalisation.
    """
    kernels = {name: shape for name, shape in shapes.items() if name.startswith("features.") and len(shape) > 1}
    width = kernels.get("features.0.weight", (0,))[0]
    for layout in LAYOUTS if width >= 8 and width % 8 == 0 else ():
        known = {f"features.{index}.weight": (tap, shape) for index, tap, shape in _kernels(layout, width)}
        if kernels and all(known.get(name, ("",))[-1] == shape for name, shape in kernels.items()):
            deepest = max(kernels, key=list(known).index)
            found = {"layout": layout, "taps": (known[deepest][0],), "bias": "features.0.bias" in shapes}
            return {**found, "width": width}
    raise KeyError("features.0.weight")


def last_tap(layout: str) -> str:
    """Name the ReLU behind the deepest convolution."""
    return [tap for _, tap, _ in _kernels(layout, 64)][-1]


def _kernels(layout: str, width: int) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """List the index of every convolution, the ReLU behind it and its kernel's shape."""
    index, channels_in = 0, 3
    for stage, (count, channels) in enumerate(zip(_STAGES[layout], stage_channels(width)), start=1):
        for number in range(1, count + 1):
            yield index, f"relu{stage}_{number}", (channels, channels_in, 3, 3)
            index, channels_in = index + 2, channels
        index += 1


def _layers(layout: str, bias: bool, widths: Sequence[int]) -> tuple[list[nn.Cell], list[str]]:
    """List the layers at torchvision's indices, and the name of each ReLU (empty for other layers)."""
    layers: list[nn.Cell] = []
    names: list[str] = []
    channels_in = 3
    for stage, (count, channels) in enumerate(zip(_STAGES[layout], widths), start=1):
        for number in range(1, count + 1):
            layers += [conv(channels_in, channels, 3, padding=1, bias=bias), nn.ReLU()]
            names += ["", f"relu{stage}_{number}"]
            channels_in = channels
        layers.append(max_pool_2x2())
        names.append("")
    return layers, names
