"""MPRNet in its three sizes: what callers need to know. Zamir et al., CVPR 2021."""

from __future__ import annotations

from collections.abc import Mapping

from mindrestore.models.spec import ModelSpec


def _recognise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Read the hyper-parameters off the shapes."""
    n_feat, squeezed = shapes["shallow_feat1.0.weight"][0], shapes["shallow_feat1.1.CA.conv_du.0.weight"][0]
    blocks = [name.split(".")[3] for name in shapes if name.startswith("stage3_orsnet.orb1.body.")]
    return {
        "n_feat": n_feat,
        "scale_unetfeats": shapes["stage1_encoder.down12.down.1.weight"][0] - n_feat,
        "scale_orsnetfeats": shapes["concat23.weight"][0] - n_feat,
        "num_cab": max(map(int, blocks)),  # the last entry is a convolution
        "reduction": n_feat // squeezed,
    }


def _spec(name: str, task: str, parameters: int, *, n_feat: int, unet: int, orsnet: int, pixel_bytes: int) -> ModelSpec:
    sizes = {"n_feat": n_feat, "scale_unetfeats": unet, "scale_orsnetfeats": orsnet}
    return ModelSpec(
        name=name,
        title="MPRNet",
        tasks=(task,),
        size_multiple=8,
        min_size=8,
        parameters=parameters,
        paper="Multi-Stage Progressive Image Restoration, CVPR 2021",
        licence="published weights: academic, non-commercial use",
        output_index=0,
        stages=3,
        pixel_bytes=pixel_bytes,
        cell_bytes=60 * n_feat,  # 2,142 were measured for 40 features
        hyper={**sizes, "num_cab": 8, "reduction": 4, "init_std": None},
        training_only=("init_std",),
        recognise=_recognise,
    )


DEBLURRING = _spec("mprnet_deblurring", "deblur", 20_127_073, n_feat=96, unet=48, orsnet=32, pixel_bytes=11_600)
DENOISING = _spec("mprnet_denoising", "denoise", 15_741_025, n_feat=80, unet=48, orsnet=32, pixel_bytes=9_700)
DERAINING = _spec("mprnet_deraining", "derain", 3_637_249, n_feat=40, unet=20, orsnet=16, pixel_bytes=6_600)
