"""Names of weights: what published files call them, and what the networks here call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights.layout import Described, layout_of
from mindrestore.weights.sections import is_averaged, is_tensor, prefixes_of, sections_of, without_wrappers

# Left behind by optimizers and loss scalers in other people's training states
_STATE_SECTIONS = ("moment1.", "moment2.", "moments.", "accum.", "exp_avg.", "exp_avg_sq.", "ema.", "optimizer.")
_STATE_SCALARS = (
    *("global_step", "learning_rate", "beta1_power", "beta2_power", "momentum", "weight_decay"),
    *("scale_sense", "loss_scale", "current_iterator_step", "last_overflow_iterator_step"),
    *("epoch_num", "step_num", "epoch", "step"),
)
_PADDLE_WEIGHT = "._weight"  # what PaddlePaddle's PReLU calls its slope
_COUNTERS = ("num_batches_tracked", "total_ops", "total_params")  # the last two are left behind by thop
_OTHER_COPY = 0.5  # share of the network that makes another prefix a copy of it


@dataclass(frozen=True)
class Match:
    """Which entries of a checkpoint are a network's.

    Attributes:
        entries: name -> value, of the section that was taken.
        targets: name -> name as `published_names` lists it; a stranger keeps its own, without the prefix of the others.
        section: dotted path of the section; empty when the weights are not in one.
        prefix: what was taken off the names; empty when nothing was.
    """

    entries: Mapping[str, Any]
    targets: Mapping[str, str]
    section: str
    prefix: str

    @property
    def origin(self) -> str:
        """Section and prefix in words; empty when there are neither."""
        section = [f"section {self.section}"] if self.section else []
        return ", ".join(section + ([f"prefix {self.prefix} taken off"] if self.prefix else []))


def published_names(net: Described) -> dict[str, str]:
    """List every name under which weight files hold a network, with the parameter it stands for.

    Args:
        net: A network, or its layout.

    Returns:
        Name -> name of the parameter; the parameters' own names come first.
    """
    return layout_of(net).names


def match_weights(entries: Mapping[str, Any], net: Described) -> Match:
    """Find a network's weights in a checkpoint, whatever section they lie in and whatever stands before their names.

    Args:
        entries: Name -> value, nested (`state_dict`, `model_ema`, `params`) or not, with or without a prefix such as
            `module.` or `_orig_mod.`, named by PyTorch, PaddlePaddle or MindSpore.
        net: The network they are meant for, or its layout.

    Returns:
        The section and the prefix with which the most names fit; among equals, averaged weights. What only training
        needs is left out, as is a second copy of the network under another prefix.
    """
    own_name = _translator(net)
    counted = [(section, _fits(section.entries, own_name)) for section in sections_of(entries)]
    section, fits = max(counted, key=lambda pair: max(pair[1].values(), default=0))
    prefix = max(
        fits,
        key=lambda name: (fits[name], not name, is_averaged(name), -len(name)),
        default="",
    )
    plain = {name: without_wrappers(name) for name in section.entries}
    targets = _targets(section.entries, {name: text.removeprefix(prefix) for name, text in plain.items()}, own_name)
    copies = {name for name, count in fits.items() if name != prefix and count >= _OTHER_COPY * fits[prefix]}
    for name, text in plain.items():
        if not text.startswith(prefix) and any(own_name(text.removeprefix(copy)) for copy in copies):
            targets.pop(name, None)
    fronts = Counter(name.removesuffix(target) for name, target in targets.items() if name.endswith(target))
    front = next(iter(fronts.most_common(1)), ("", 0))[0]
    return Match(section.entries, targets, section.name, front or prefix)


def _fits(entries: Mapping[str, Any], own_name: Callable[[str], str | None]) -> Counter[str]:
    """Count, for every beginning of names, how many names fit the network without it."""
    fits: Counter[str] = Counter()
    for name in map(without_wrappers, entries):
        fits.update(prefix for prefix in prefixes_of(name) if own_name(name[len(prefix) :]) is not None)
    return fits


def _targets(
    entries: Mapping[str, Any], stripped: Mapping[str, str], own_name: Callable[[str], str | None]
) -> dict[str, str]:
    """Translate names that lost their prefix, and leave out what only training needs."""
    present, matched = set(stripped.values()), {}
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
    return name.startswith(_STATE_SECTIONS) or name in _STATE_SCALARS or name.endswith(_COUNTERS)


def _is_numeric(value: Any) -> bool:
    return is_tensor(value) or isinstance(value, (bool, int, float))


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


def _aliases(known: Mapping[str, str]) -> dict[str, str]:
    """Collect the aliases of all model specs whose targets this network has."""
    pairs = (pair for model in list_models() for pair in model_spec(model).aliases.items())
    return {alias: name for alias, name in pairs if name in known}
