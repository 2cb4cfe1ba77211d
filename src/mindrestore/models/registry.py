"""The table of networks: name -> builder and spec. Adding a network means adding a row.

Specs are data: asking for one does not load MindSpore, building a network does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mindrestore.errors import did_you_mean
from mindrestore.models.hyper import ModelError, check_hyper
from mindrestore.models.release import require_release

if TYPE_CHECKING:
    from mindspore import nn

    from mindrestore.models.spec import ModelSpec

# name -> (class and its module, spec and its module); a module is imported when the network is first asked for.
_DEHAZEFORMER = "dehazeformer.DehazeFormer"
_NETWORKS = {
    "aecrnet": ("aecrnet.AECRNet", "aecrnet.AECRNET"),
    "crossdehaze": (_DEHAZEFORMER, "dehazeformer.CROSSDEHAZE"),
    **{f"dehazeformer_{size}": (_DEHAZEFORMER, f"dehazeformer.{size.upper()}") for size in "tsbdwml"},
    "dsrir": ("dsrir.DSRIR", "dsrir.DSRIR"),
    "mpilnet": ("mpilnet.MPILNet", "mpilnet.MPILNET"),
    "mprnet_deblurring": ("mprnet.MPRNet", "mprnet.DEBLURRING"),
    "mprnet_denoising": ("mprnet.MPRNet", "mprnet.DENOISING"),
    "mprnet_deraining": ("mprnet.MPRNet", "mprnet.DERAINING"),
}


def list_models() -> list[str]:
    """List the registered networks by name.

    Returns:
        The names in alphabetical order.

    Examples:
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

    Examples:
        >>> model_spec("aecrnet").size_multiple
        4
    """
    module, _, spec = _row(name)[1].partition(".")
    return getattr(import_module(f"mindrestore.models.specs.{module}"), spec)


def hyper_parameters(name: str) -> dict[str, Any]:
    """List the hyper-parameters of a registered network.

    Args:
        name: one of `list_models()`.

    Returns:
        Keyword of the constructor -> published value.

    Raises:
        ModelError: the name is unknown; the message names the closest one.
    """
    return dict(model_spec(name).hyper)


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
        ReleaseError: this MindSpore is not accepted.
    """
    import mindspore

    from mindrestore.models.cpu import prepare_cpu

    settings = full_hyper(name, hyper)
    require_release(mindspore.__version__)
    prepare_cpu()
    return _builder(name)(**settings)


def full_hyper(name: str, hyper: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Lay hyper-parameters over the published ones.

    Args:
        name: one of `list_models()`.
        hyper: those that differ.

    Returns:
        Every keyword of the constructor with its value.

    Raises:
        ModelError: unknown name or hyper-parameter, or a value out of range; the message names what is valid.
    """
    published = model_spec(name).hyper
    check_hyper(name, hyper or {}, published)
    return {**published, **(hyper or {})}


def builder_name(name: str) -> str:
    """Name what builds a network; registered names that share it differ in hyper-parameters only.

    Args:
        name: one of `list_models()`.

    Returns:
        Module and class, such as `dehazeformer.DehazeFormer`.

    Raises:
        ModelError: unknown name; the message names the closest one.
    """
    return _row(name)[0]


def _builder(name: str) -> Callable[..., nn.Cell]:
    module, _, network = _row(name)[0].partition(".")
    return getattr(import_module(f"mindrestore.models.{module}"), network)


def _row(name: str) -> tuple[str, str]:
    if name not in _NETWORKS:
        raise ModelError(f"unknown model {name!r}; {did_you_mean(name, list_models())}")
    return _NETWORKS[name]
