"""Names of weights: what published files call them, and what the networks here call them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights.layout import Described, layout_of

# Where published checkpoints keep their weights; averaged ones before those of the last step
_SECTIONS = ("state_dict", "model_state_dict", "generator", "model", "params_ema", "params", "net")
_MOST_SECTIONS = 8  # in each other; a dict may hold itself
_WRAPPERS = ("module.", "net.", "network.", "model.", "generator.")  # put before every name by whatever wrapped the net
_STATE_FACTS, _STATE_NET = "facts", "net."  # last.ckpt of a run: one JSON text beside the arrays, the network's first
# Left behind by optimizers and loss scalers in other people's training states
_STATE_SECTIONS = ("moment1.", "moment2.", "moments.", "accum.", "exp_avg.", "exp_avg_sq.", "ema.", "optimizer.")
_STATE_SCALARS = (
    *("global_step", "learning_rate", "beta1_power", "beta2_power", "momentum", "weight_decay"),
    *("scale_sense", "loss_scale", "current_iterator_step", "last_overflow_iterator_step"),
    *("epoch_num", "step_num", "epoch", "step"),
)
_PADDLE_WEIGHT = "._weight"  # what PaddlePaddle's PReLU calls its slope


def published_names(net: Described) -> dict[str, str]:
    """List every name under which weight files hold a network, with the parameter it stands for.

    Args:
        net: A network, or its layout.

    Returns:
        Name -> name of the parameter; the parameters' own names come first.
    """
    return layout_of(net).names


def to_published_names(entries: Mapping[str, Any], net: Described) -> dict[str, Any]:
    """Rename the entries of a checkpoint as `published_names` lists them, and leave out what only training needs.

    Args:
        entries: Name -> value, nested (`state_dict`, `generator`, `params_ema`) or not, with or without a prefix such
            as `module.`, named by PyTorch, PaddlePaddle or MindSpore.
        net: The network they are meant for, or its layout.

    Returns:
        Name -> value; what the network does not know keeps its name.
    """
    entries = weights_of(entries)
    return {target: entries[name] for name, target in match_names(entries, net).items()}


def match_names(entries: Mapping[str, Any], net: Described) -> dict[str, str]:
    """Find the published name of every entry, and leave out what only training needs.

    Args:
        entries: Name -> value, not nested (`weights_of`).
        net: The network they are meant for, or its layout.

    Returns:
        Name of the entry -> name as `published_names` lists it; a stranger is given without the prefix of the others.
    """
    own_name = _translator(net)
    prefix = _wrapper(entries, own_name)
    stripped = {name: name.removeprefix(prefix) for name in entries}
    present = set(stripped.values())
    matched = {}
    for name, short in stripped.items():
        target = own_name(short)
        matched[name] = short if target is None or (target != short and target in present) else target
    strangers = [name for name, target in matched.items() if own_name(target) != target]
    if len(strangers) < len(matched):
        for name in strangers:
            if only_for_training(matched[name]) or not _is_numeric(entries[name]):
                del matched[name]
    return matched


def official_names(net: Described) -> dict[str, str]:
    """List the names that a PyTorch file of a network has, with the parameter each stands for.

    Args:
        net: A network.

    Returns:
        Official name -> name of the parameter here.
    """
    layout = layout_of(net)
    official = {ours: theirs for theirs, ours in layout.official.items()}
    return {official.get(name, name): own for name, own in layout.names.items()}


def only_for_training(name: str) -> bool:
    """Return whether a name belongs to an optimizer, a loss scaler or a counter."""
    return name.startswith(_STATE_SECTIONS) or name in _STATE_SCALARS or name.endswith("num_batches_tracked")


def weights_of(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Take the weights out of a training state or a nested checkpoint.

    Args:
        entries: What a weight file holds.

    Returns:
        Name -> value of the section with the weights, or of the whole when there is none.
    """
    if isinstance(entries.get(_STATE_FACTS), str):
        return {name[len(_STATE_NET) :]: value for name, value in entries.items() if name.startswith(_STATE_NET)}
    for _ in range(_MOST_SECTIONS):
        inner = next((entries[name] for name in _SECTIONS if isinstance(entries.get(name), Mapping)), None)
        if inner is None:
            break
        entries = inner
    return {str(name): value for name, value in entries.items()}


def unwrapped(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Return names as they are, then without each prefix that wrappers put before every name.

    Args:
        names: Names in a file.

    Yields:
        Short name -> name in the file.
    """
    names = list(names)
    for prefix in ("", *_WRAPPERS):
        if any(name.startswith(prefix) for name in names):
            yield {name.removeprefix(prefix): name for name in names}


def _is_numeric(value: Any) -> bool:
    return hasattr(value, "shape") or isinstance(value, (bool, int, float))


def _translator(net: Described) -> Callable[[str], str | None]:
    """Make the function that gives the network's own form of a name, or None for a stranger."""
    layout = layout_of(net)
    known = layout.names
    translations = {**_aliases(known), **layout.official}

    def own_name(name: str) -> str | None:
        if name in known:
            return name
        if name.endswith(_PADDLE_WEIGHT):
            name = name[: -len(_PADDLE_WEIGHT)] + ".weight"
        target = translations.get(name, name)
        return target if target in known else None

    return own_name


def _wrapper(names: Iterable[str], own_name: Callable[[str], str | None]) -> str:
    """Find the prefix without which the most names fit the network; none when that changes nothing."""
    counts = {"": 0, **dict.fromkeys(_WRAPPERS, 0)}
    for name in names:
        for prefix in counts:
            counts[prefix] += own_name(name.removeprefix(prefix)) is not None
    return max(counts, key=counts.__getitem__)


def _aliases(known: Mapping[str, str]) -> dict[str, str]:
    """Collect the aliases of all model specs whose targets this network has."""
    pairs = (pair for model in list_models() for pair in model_spec(model).aliases.items())
    return {alias: name for alias, name in pairs if name in known}
