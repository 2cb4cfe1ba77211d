"""Names of weights: what published files call them, and what the networks here call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mindspore import nn

from mindrestore.models.registry import list_models, model_spec

# Where published checkpoints keep their weights; averaged ones before those of the last step
_SECTIONS = ("state_dict", "generator", "model", "params_ema", "params", "net")
_WRAPPERS = ("module.", "net.", "network.", "model.", "generator.")  # put before every name by whatever wrapped the net
_STATE_FACTS, _STATE_NET = "facts", "net."  # last.ckpt of a run: one JSON text beside the arrays, the network's first
# Left behind by optimizers and loss scalers in other people's training states
_STATE_SECTIONS = ("moment1.", "moment2.", "moments.", "accum.", "exp_avg.", "exp_avg_sq.", "ema.", "optimizer.")
_STATE_SCALARS = (
    *("global_step", "learning_rate", "beta1_power", "beta2_power", "momentum", "weight_decay"),
    *("scale_sense", "loss_scale", "current_iterator_step", "last_overflow_iterator_step"),
    *("epoch_num", "step_num", "epoch", "step"),
)
_NORM_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_PRELU_NAMES = {"weight": "w"}
_PADDLE_WEIGHT = "._weight"  # what PaddlePaddle's PReLU calls its slope
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)


def published_names(net: nn.Cell) -> dict[str, str]:
    """List every name under which weight files hold a network, with the parameter it stands for.

    A network whose published files list one tensor under several names has a method `tied_names()` that gives the
    additional ones.

    Args:
        net: A network.

    Returns:
        Name -> name of the parameter; the parameters' own names come first.

    Example:
        >>> len(published_names(create_model("mprnet_deraining")))
        316
    """
    own = {name: name for name, _ in net.parameters_and_names()}
    return {**own, **net.tied_names()} if hasattr(net, "tied_names") else own


def to_published_names(entries: Mapping[str, Any], net: nn.Cell) -> dict[str, Any]:
    """Rename the entries of a checkpoint as `published_names` lists them, and leave out what only training needs.

    Args:
        entries: Name -> value, nested (`state_dict`, `generator`, `params_ema`) or not, with or without a prefix such
            as `module.`, named by PyTorch, PaddlePaddle or MindSpore.
        net: The network they are meant for.

    Returns:
        Name -> value; what the network does not know keeps its name.

    Example:
        >>> list(to_published_names({"state_dict": {"module.tail.weight": kernel}}, net))
        ['tail.weight']
    """
    own_name = _translator(net)
    entries = _strip_wrapper(_unwrap_sections(entries), own_name)
    renamed: dict[str, Any] = {}
    for name, value in entries.items():
        target = own_name(name)
        renamed[name if target is None or (target != name and target in entries) else target] = value
    foreign = [name for name in renamed if own_name(name) != name]
    if len(foreign) < len(renamed):
        for name in filter(only_for_training, foreign):
            del renamed[name]
    return renamed


def only_for_training(name: str) -> bool:
    """Tell whether a name belongs to an optimizer, a loss scaler or a counter."""
    return name.startswith(_STATE_SECTIONS) or name in _STATE_SCALARS or name.endswith("num_batches_tracked")


def _unwrap_sections(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(entries.get(_STATE_FACTS), str):
        return {name[len(_STATE_NET) :]: value for name, value in entries.items() if name.startswith(_STATE_NET)}
    for section in _SECTIONS:
        if isinstance(entries.get(section), Mapping):
            return _unwrap_sections(entries[section])
    return entries


def _translator(net: nn.Cell) -> Callable[[str], str | None]:
    """Make the function that gives the network's own form of a name, or None for a stranger."""
    known = published_names(net)
    translations = {**_aliases(known), **_official_norm_names(net)}

    def own_name(name: str) -> str | None:
        if name in known:
            return name
        if name.endswith(_PADDLE_WEIGHT):
            name = name[: -len(_PADDLE_WEIGHT)] + ".weight"
        target = translations.get(name, name)
        return target if target in known else None

    return own_name


def _strip_wrapper(entries: Mapping[str, Any], own_name: Callable[[str], str | None]) -> Mapping[str, Any]:
    """Take a prefix away when the rest of the names fits the network better without it."""
    best, matches = entries, sum(own_name(name) is not None for name in entries)
    for prefix in _WRAPPERS:
        stripped = {name.removeprefix(prefix): value for name, value in entries.items()}
        count = sum(own_name(name) is not None for name in stripped)
        if count > matches:
            best, matches = stripped, count
    return best


def _aliases(known: Mapping[str, str]) -> dict[str, str]:
    """Collect the aliases of all model specs whose targets this network has."""
    pairs = (pair for model in list_models() for pair in model_spec(model).aliases.items())
    return {alias: name for alias, name in pairs if name in known}


def _official_norm_names(net: nn.Cell) -> dict[str, str]:
    names = {}
    for path, cell in net.cells_and_names():
        table = _NORM_NAMES if isinstance(cell, _NORMS) else _PRELU_NAMES if isinstance(cell, nn.PReLU) else {}
        prefix = f"{path}." if path else ""
        names.update({prefix + official: prefix + ours for official, ours in table.items()})
    return names
