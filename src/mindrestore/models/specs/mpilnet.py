"""MPILNet, a reconstruction: what callers need to know. docs/mpilnet.md"""

from __future__ import annotations

from collections.abc import Mapping

from mindrestore.models.spec import ModelSpec

MULTIPLE = 32  # two patches of multiples of 16, the reach of VGG; and the output head takes means over 32 pixels


def _recognise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object]:
    """Read depth, sharing and width of the encoder off the shapes in a file."""
    width = shapes["encoders.0.vgg.features.0.weight"][0]
    if shapes["output.tail.weight"] != (3, width // 2, 7, 7):
        raise KeyError("output.tail.weight")
    return {
        "width": width,
        "vgg_depth": 19 if "encoders.0.vgg.features.34.weight" in shapes else 16,
        "share_encoder": "encoders.2.vgg.features.0.weight" not in shapes,
    }


MPILNET = ModelSpec(
    name="mpilnet",
    title="MPILNet",
    tasks=("dehaze",),
    size_multiple=MULTIPLE,
    min_size=64,
    parameters=32_344_836,
    paper="MPILNet: Multi-level Patch Integrated Learning Network for Non-homogeneous Haze Removal; a reconstruction",
    licence="no weights were published",
    hyper={"vgg_depth": 16, "share_encoder": True, "freeze_encoder": False, "width": 64},
    training_only=("freeze_encoder",),
    pixel_bytes=2_900,
    recognise=_recognise,
)
