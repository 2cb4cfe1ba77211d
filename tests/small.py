"""The small form of every registered network, and of the recipes that train one: the one table that all tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindrestore.models.registry import builder_name, create_model, list_models, model_spec

if TYPE_CHECKING:
    from mindspore import nn

_MPRNET = {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 1, "reduction": 1, "init_std": None}
_DEHAZEFORMER = {"widths": (4, 8, 6), "depths": (1, 1, 2, 1, 1), "attention": (0, 0, 1), "mixer": "depthwise"}
# Every hyper-parameter of every network; a new network adds a row.
SMALL: dict[str, dict[str, Any]] = {
    "aecrnet": {"channels": 8, "blocks": 1, "deform_layers": 1, "init_gain": 1.0},
    "crossdehaze": _DEHAZEFORMER,
    **{f"dehazeformer_{size}": _DEHAZEFORMER for size in "bdstw"},
    **{f"dehazeformer_{size}": {**_DEHAZEFORMER, "mixer": "double"} for size in "lm"},
    "dsrir": {"width": 8, "blocks": 1, "groups": 1},
    "mpilnet": {"vgg_depth": 16, "share_encoder": True, "freeze_encoder": False, "width": 8},
    **{f"mprnet_{task}": _MPRNET for task in ("deblurring", "denoising", "deraining")},
}

# Registered names that share a class differ in hyper-parameters only: the smallest stands for all in long tests.
_LARGEST_FIRST = sorted(list_models(), key=lambda name: model_spec(name).parameters, reverse=True)
NETWORKS = tuple(sorted({builder_name(name): name for name in _LARGEST_FIRST}.values()))


def small(name: str, seed: int = 0, **changes: Any) -> nn.Cell:
    """Build the small form of a network.

    Args:
        name: registered name.
        seed: of its weights.
        **changes: other values of some hyper-parameters.
    """
    import mindspore as ms

    ms.set_seed(seed)
    return create_model(name, **{**SMALL[name], **changes})


def overrides_of(name: str) -> list[str]:
    """Return what makes a recipe train the small form: `model.hyper.KEY=VALUE`, as the command line takes it."""
    import json

    return [f"model.hyper.{key}={json.dumps(value)}" for key, value in SMALL[name].items()]
