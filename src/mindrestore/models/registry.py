"""The table of networks: name -> builder and spec. Adding a network means adding a row."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mindrestore.errors import MindRestoreError, did_you_mean

if TYPE_CHECKING:
    from mindspore import nn

    from mindrestore.models.spec import ModelSpec

# name -> (module, class, spec); the module is imported when the network is first asked for.
_NETWORKS = {
    "aecrnet": ("mindrestore.models.aecrnet", "AECRNet", "AECRNET"),
    "crossdehaze": ("mindrestore.models.dehazeformer", "DehazeFormer", "CROSSDEHAZE"),
    "dehazeformer_t": ("mindrestore.models.dehazeformer", "DehazeFormer", "T"),
    "dehazeformer_s": ("mindrestore.models.dehazeformer", "DehazeFormer", "S"),
    "dehazeformer_b": ("mindrestore.models.dehazeformer", "DehazeFormer", "B"),
    "dehazeformer_d": ("mindrestore.models.dehazeformer", "DehazeFormer", "D"),
    "dehazeformer_w": ("mindrestore.models.dehazeformer", "DehazeFormer", "W"),
    "dehazeformer_m": ("mindrestore.models.dehazeformer", "DehazeFormer", "M"),
    "dehazeformer_l": ("mindrestore.models.dehazeformer", "DehazeFormer", "L"),
    "dsrir": ("mindrestore.models.dsrir", "DSRIR", "SPEC"),
    "mpilnet": ("mindrestore.models.mpilnet", "MPILNet", "MPILNET"),
    "mprnet_deblurring": ("mindrestore.models.mprnet", "MPRNet", "DEBLURRING"),
    "mprnet_denoising": ("mindrestore.models.mprnet", "MPRNet", "DENOISING"),
    "mprnet_deraining": ("mindrestore.models.mprnet", "MPRNet", "DERAINING"),
}


class ModelError(MindRestoreError):
    """Report an unknown network or hyper-parameter."""


def list_models() -> list[str]:
    """List the registered networks by name.

    Returns:
        The names in alphabetical order.

    Example:
        >>> "aecrnet" in list_models()
        True
    """
    return sorted(_NETWORKS)


def model_spec(name: str) -> ModelSpec:
    """Describe a registered network: size rule, range, tasks, parameter count.

    Args:
        name: one of `list_models()`.

    Returns:
        The network's `ModelSpec`.

    Raises:
        ModelError: the name is unknown; the message names the closest one.

    Example:
        >>> model_spec("aecrnet").size_multiple
        4
    """
    module, _, spec = _row(name)
    return getattr(import_module(module), spec)


def hyper_parameters(name: str) -> dict[str, Any]:
    """List the hyper-parameters of a registered network.

    Args:
        name: one of `list_models()`.

    Returns:
        Keyword of the constructor -> published value.

    Raises:
        ModelError: the name is unknown; the message names the closest one.
    """
    parameters = inspect.signature(_builder(name)).parameters
    return {**{key: value.default for key, value in parameters.items()}, **model_spec(name).hyper}


def create_model(name: str, **hyper: Any) -> nn.Cell:
    """Build a registered network with fresh weights.

    The weights come from MindSpore's seed (`mindspore.set_seed`); a new network is in inference mode.

    Args:
        name: one of `list_models()`.
        **hyper: hyper-parameters of the network's constructor; the published ones are the defaults.

    Returns:
        The network. Called directly it returns what the published network returns, in its own value range.

    Raises:
        ModelError: unknown name or hyper-parameter; the message names the closest valid one.
    """
    from mindrestore.models.cpu import prepare_cpu

    spec, known = model_spec(name), [*hyper_parameters(name)]
    for key in hyper:
        if key not in known:
            raise ModelError(f"model {name}: unknown hyper-parameter {key!r}; {did_you_mean(key, known)}")
    prepare_cpu()
    return _builder(name)(**{**spec.hyper, **hyper})


def _builder(name: str) -> Callable[..., nn.Cell]:
    module, network, _ = _row(name)
    return getattr(import_module(module), network)


def _row(name: str) -> tuple[str, str, str]:
    if name not in _NETWORKS:
        raise ModelError(f"unknown model {name!r}; {did_you_mean(name, list_models())}")
    return _NETWORKS[name]
