"""The published names and shapes of DehazeFormer's entries, for any size, apart from the network's own code."""

from __future__ import annotations

from collections.abc import Sequence

Shapes = dict[str, tuple[int, ...]]


def dehazeformer_shapes(widths: Sequence[int], depths: Sequence[int], attention: Sequence[float], mixer: str) -> Shapes:
    """Return name -> shape of all parameters and of the tables of relative positions."""
    w1, w2, w3 = widths
    found: Shapes = {
        **_layer("patch_embed.proj", w1, 3, 3),
        **_layer("patch_merge1.proj", w2, w1, 2),
        **_layer("skip1", w1, w1, 1),
        **_layer("patch_merge2.proj", w3, w2, 2),
        **_layer("skip2", w2, w2, 1),
        **_layer("patch_split1.proj.0", 4 * w2, w3, 1),
        **_layer("patch_split2.proj.0", 4 * w1, w2, 1),
        **_layer("patch_unembed.proj.0", 4, w1, 3),
    }
    for name, c in (("fusion1", w2), ("fusion2", w1)):
        d = max(c // 8, 4)
        found |= {f"{name}.mlp.0.weight": (d, c, 1, 1), f"{name}.mlp.2.weight": (2 * c, d, 1, 1)}
    stages = zip((w1, w2, w3, w2, w1), depths, (2, 4, 6, 1, 1), (2, 4, 4, 2, 2), (*attention, 0, 0))
    for number, (c, depth, heads, ratio, share) in enumerate(stages, start=1):
        for i in range(depth):
            block = f"layer{number}.blocks.{i}"
            attends = i >= depth - share * depth
            found |= _layer(f"{block}.mlp.mlp.0", ratio * c, c, 1) | _layer(f"{block}.mlp.mlp.2", c, ratio * c, 1)
            found |= _mixer(block, c, attends, mixer) | (_attention(block, c, heads) if attends else {})
    return found


def _layer(name: str, out_channels: int, in_channels: int, side: int) -> Shapes:
    return {f"{name}.weight": (out_channels, in_channels, side, side), f"{name}.bias": (out_channels,)}


def _mixer(block: str, c: int, attends: bool, mixer: str) -> Shapes:
    if mixer == "depthwise":
        found = _layer(f"{block}.attn.conv", c, 1, 5)
    else:
        found = _layer(f"{block}.attn.conv.0", c, c, 3) | _layer(f"{block}.attn.conv.2", c, c, 3)
    if attends or mixer == "depthwise":
        found |= _layer(f"{block}.attn.V", c, c, 1) | _layer(f"{block}.attn.proj", c, c, 1)
    return found


def _attention(block: str, c: int, heads: int) -> Shapes:
    return {
        f"{block}.norm1.weight": (1, c, 1, 1),
        f"{block}.norm1.bias": (1, c, 1, 1),
        **_layer(f"{block}.norm1.meta1", c, 1, 1),
        **_layer(f"{block}.norm1.meta2", c, 1, 1),
        **_layer(f"{block}.attn.QK", 2 * c, c, 1),
        f"{block}.attn.attn.relative_positions": (64, 64, 2),
        f"{block}.attn.attn.meta.0.weight": (256, 2),
        f"{block}.attn.attn.meta.0.bias": (256,),
        f"{block}.attn.attn.meta.2.weight": (heads, 256),
        f"{block}.attn.attn.meta.2.bias": (heads,),
    }
