"""Build a network with weights in it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mindrestore.errors import Notice
from mindrestore.models import registry
from mindrestore.weights.convert import Source, load_weights
from mindrestore.weights.shipped import Card, requested

if TYPE_CHECKING:
    from mindspore import nn


def create_model(name: str, *, weights: Source | None = None, **hyper: Any) -> nn.Cell:
    """Build a registered network, with fresh weights or trained ones.

    Fresh weights come from MindSpore's seed (`mindspore.set_seed`). A new network is in inference mode.

    Args:
        name: One of `list_models()`.
        weights: None for fresh ones; `"default"` for those that come with MindRestore, or one of their names
            (`mindrestore weights list`); else a file or dict as for `load_weights`.
        **hyper: Hyper-parameters of the network's constructor; the published ones are the defaults, and those of
            shipped weights with these.

    Returns:
        The network. Called directly it returns what the published network returns, in its own value range.

    Raises:
        ModelError: Unknown name or hyper-parameter; the message names the closest valid one.
        WeightError: No weights for this network ship (the message names those that have some), or they do not fit.

    Examples:
        >>> net = create_model("dehazeformer_t", weights="default")
        >>> net(hazy).shape  # hazy: (N, 3, H, W) in [-1, 1]; H and W multiples of 4
        (1, 3, 64, 48)
    """
    source, settings = weights_for(name, weights, hyper)
    net = registry.create_model(name, **settings)
    if source is not None:
        load_weights(net, source)
    return net


def weights_for(
    name: str, weights: Source | None, hyper: Mapping[str, Any] | None = None
) -> tuple[Source | None, dict[str, Any]]:
    """Return the source of weights and the hyper-parameters to build a network with; shipped weights bring theirs.

    Terms of shipped weights are told in a warning.
    """
    registry.model_spec(name)  # an unknown network is the first thing to say
    card = requested(weights, network=name)
    if card is None:
        return weights, dict(hyper or {})
    if card.terms:
        warnings.warn(card.note, Notice, stacklevel=3)
    return shipped_source(card, hyper)


def shipped_source(card: Card, hyper: Mapping[str, Any] | None = None) -> tuple[Source, dict[str, Any]]:
    """Return the checked file of shipped weights, and their hyper-parameters with others laid over them."""
    return card.checked_path(), {**card.hyper, **(hyper or {})}
