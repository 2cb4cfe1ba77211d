"""Names and shapes of MPILNet's parameters, for any kind of encoder, apart from the network's own code."""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]

_VGG = {  # torchvision's indices of the convolutions, stage by stage
    16: ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
    19: ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34)),
}
_STAGES = (1, 2, 4, 8, 8)  # times the width
_DECODER = (1 / 2, 1, 2, 4, 4)  # at the same scales


def mpilnet_shapes(*, vgg_depth: int, share_encoder: bool, freeze_encoder: bool = False, width: int = 64) -> Shapes:
    """Return name -> shape; freezing changes none of them."""
    stages, decoder = ([int(factor * width) for factor in factors] for factors in (_STAGES, _DECODER))
    c = decoder[0]
    found: Shapes = {}
    for number in range(1 if share_encoder else 3):
        channels = 3
        for indices, stage in zip(_VGG[vgg_depth], stages):
            for index in indices:
                found |= _conv(f"encoders.{number}.vgg.features.{index}", channels, stage, 3)
                channels = stage
    for level in range(3):
        found |= _decoder(f"decoders.{level}", stages, decoder, level > 0)
    found |= _conv("heads.0", c, 3, 3) | _conv("heads.1", c, 3, 3)
    found |= _conv("output.refine1", c, 20, 3) | _conv("output.refine2", 20, 20, 3) | _conv("output.refine3", 24, c, 3)
    for number in range(4):
        found |= _conv(f"output.contexts.{number}", 20, 1, 1)
    return found | _conv("output.tail", c, 3, 7)


def _decoder(name: str, stages: list[int], widths: list[int], crossing: bool) -> Shapes:
    found = _conv(f"{name}.reduce", stages[4], widths[4], 1) | _block(f"{name}.bottom", widths[4])
    for s in range(4):
        found |= _conv(f"{name}.internal.{s}.conv", widths[s + 1] // 4 + stages[s], widths[s], 3)
        found |= _block(f"{name}.internal.{s}.block", widths[s])
    for s in range(5 if crossing else 0):
        found |= _conv(f"{name}.cross.{s}.conv", widths[s], widths[s], 3)
        found |= _conv(f"{name}.cross.{s}.gate", 2 * widths[s], widths[s], 1)
    return found


def _block(name: str, c: int) -> Shapes:
    hidden = max(c // 8, 8)
    found = _conv(f"{name}.conv1", c, c, 3) | _conv(f"{name}.conv2", c, c, 3)
    found |= _conv(f"{name}.channel_gate.0", c, hidden, 1) | _conv(f"{name}.channel_gate.2", hidden, c, 1)
    return found | _conv(f"{name}.pixel_gate.0", c, hidden, 1) | _conv(f"{name}.pixel_gate.2", hidden, 1, 1)


def _conv(name: str, before: int, after: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (after, before, kernel, kernel), f"{name}.bias": (after,)}
