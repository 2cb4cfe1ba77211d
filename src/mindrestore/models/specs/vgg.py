"""VGG-16 and VGG-19: their layouts, and how to recognise torchvision's files. Simonyan and Zisserman, ICLR 2015."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mindrestore.errors import MindRestoreError

# Convolutions per stage, and their channels; a 2x2 max-pool ends each stage (Simonyan and Zisserman, table 1).
STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)

LAYOUTS = tuple(STAGES)


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
        raise MindRestoreError(f"a VGG of width {width!r} is not possible: use a multiple of 8, such as 64")
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
    for stage, (count, channels) in enumerate(zip(STAGES[layout], stage_channels(width)), start=1):
        for number in range(1, count + 1):
            yield index, f"relu{stage}_{number}", (channels, channels_in, 3, 3)
            index, channels_in = index + 2, channels
        index += 1
