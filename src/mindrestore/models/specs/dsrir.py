"""DSRIR: what callers need to know. Wang et al., Information Processing & Management 2025."""

from __future__ import annotations

from collections.abc import Mapping

from mindrestore.models.spec import ModelSpec


def _recognise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Read the hyper-parameters off the shapes."""
    blocks = {name.split(".")[2] for name in shapes if name.startswith("SN1.encoder1.")}
    groups = {name.split(".")[1] for name in shapes if name.startswith("SN3.PAG")}
    return {"width": shapes["ebd.weight"][0] // 9, "blocks": len(blocks), "groups": len(groups)}


DSRIR = ModelSpec(
    name="dsrir",
    title="DSRIR",
    tasks=("denoise", "derain", "dehaze"),
    size_multiple=8,
    min_size=8,
    parameters=3_516_837,
    paper="Dynamic spatial refinement learning for progressive all-in-one image restoration, IPM 2025",
    licence="published weights: no licence stated, research use",
    output_index=(0, 0),
    stages=3,
    hyper={"width": 16, "blocks": 2, "groups": 4},
    pixel_bytes=4_100,
    cell_bytes=4_500,
    recognise=_recognise,
)
