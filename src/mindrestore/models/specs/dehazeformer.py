"""DehazeFormer in its seven sizes, and CrossDehaze: what callers need to know. Song et al., IEEE TIP 2023."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mindrestore.models.spec import ModelSpec

MIN_SIDE = 25  # pixels; the published network fails below, here the mirrored rows of windows swing back and forth


def _recognise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object]:
    """Read the hyper-parameters off the shapes."""
    widths = tuple(shapes[f"{part}.proj.weight"][0] for part in ("patch_embed", "patch_merge1", "patch_merge2"))
    depths, shares = [], []
    for stage in range(1, 6):
        parts = [name.split(".") for name in shapes if name.startswith(f"layer{stage}.blocks.")]
        depths.append(1 + max(int(part[2]) for part in parts))
        shares.append(sum(part[3:] == ["attn", "QK", "weight"] for part in parts) / depths[-1])
    mixer = "double" if "layer1.blocks.0.attn.conv.0.weight" in shapes else "depthwise"
    return _hyper(widths, tuple(depths), tuple(shares[:3]), mixer)


def _spec(name: str, parameters: int, pixel_bytes: int, hyper: dict[str, object]) -> ModelSpec:
    blocks, width = sum(hyper["depths"]), hyper["widths"][0] / 24
    return ModelSpec(
        name=name,
        title=f"DehazeFormer-{name[-1].upper()}",
        tasks=("dehaze",),
        size_multiple=1,
        min_size=MIN_SIDE,
        parameters=parameters,
        paper="Vision Transformers for Single Image Dehazing, IEEE TIP 2023",
        licence="published weights: MIT",
        value_range=(-1.0, 1.0),
        pixel_bytes=pixel_bytes,
        cell_bytes=round(350 * blocks * width),  # 5,132, 10,844 and 18,905 were measured for T, S and B
        hyper=hyper,
        recognise=_recognise,
    )


def _hyper(
    widths: tuple[int, ...], depths: tuple[int, ...], shares: tuple[float, ...], mixer: str = "depthwise"
) -> dict[str, object]:
    return {"widths": widths, "depths": depths, "attention": shares, "mixer": mixer}


_NARROW, _WIDE, _SHARES = (24, 48, 96), (48, 96, 192), (1 / 4, 1 / 2, 3 / 4)
# Attention among pixels of the full size, which T has none of, takes more memory than all other blocks
T = _spec("dehazeformer_t", 687_404, 2_500, _hyper(_NARROW, (4, 4, 4, 2, 2), (0, 1 / 2, 1)))
S = _spec("dehazeformer_s", 1_284_884, 4_100, _hyper(_NARROW, (8, 8, 8, 4, 4), _SHARES))
B = _spec("dehazeformer_b", 2_517_612, 4_100, _hyper(_NARROW, (16, 16, 16, 8, 8), _SHARES))
D = _spec("dehazeformer_d", 4_983_068, 4_100, _hyper(_NARROW, (32, 32, 32, 16, 16), _SHARES))
W = _spec("dehazeformer_w", 9_686_724, 5_000, _hyper(_WIDE, (16, 16, 16, 8, 8), _SHARES))
M = _spec("dehazeformer_m", 4_635_952, 4_100, _hyper(_NARROW, (12, 12, 12, 6, 6), _SHARES, "double"))
L = _spec("dehazeformer_l", 25_451_652, 4_100, _hyper(_WIDE, (16, 16, 16, 12, 12), _SHARES, "double"))
CROSSDEHAZE = replace(
    B,
    name="crossdehaze",
    title="CrossDehaze",
    paper="Scaling Up Single Image Dehazing Algorithm by Cross-Data Vision Alignment, IEEE TIM 2025",
    recognise=None,  # a file of it is one of dehazeformer_b
)
