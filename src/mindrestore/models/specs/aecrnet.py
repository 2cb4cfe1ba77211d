"""AECR-Net: what callers need to know. Wu et al., CVPR 2021."""

from __future__ import annotations

from collections.abc import Mapping

from mindrestore.models.spec import ModelSpec


def _recognise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Read the width off the shapes; how often shared layers are used leaves no trace in a file."""
    return {"channels": shapes["dcn_block.dcn.weight"][0] // 4}


AECRNET = ModelSpec(
    name="aecrnet",
    title="AECR-Net",
    tasks=("dehaze",),
    size_multiple=4,
    min_size=4,
    parameters=2_614_229,
    paper="Contrastive Learning for Compact Single Image Dehazing, CVPR 2021",
    licence="published weights: no licence stated, research use",
    hyper={"channels": 64, "blocks": 6, "deform_layers": 2, "init_gain": 1.0},
    training_only=("init_gain",),
    pixel_bytes=3_700,
    cell_bytes=17_000,
    aliases={"mix4.w": "mix1.w", "mix5.w": "mix2.w"},  # the released files use the older names
    recognise=_recognise,
)
