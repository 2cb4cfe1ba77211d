"""What a network's weights are called and how large they are, with or without the network at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from mindspore import nn

_NORM_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_PRELU_NAMES = {"weight": "w"}


@dataclass(frozen=True)
class WeightLayout:
    """The parameters of a network.

    Attributes:
        network: Name of its class, for messages.
        shapes: Name of every parameter and buffer -> shape.
        learnt: Number of learnt values.
        tied: Additional name in published files -> the parameter it stands for.
        official: PyTorch's name for a parameter of a normalisation layer -> the name here.
    """

    network: str
    shapes: Mapping[str, tuple[int, ...]]
    learnt: int
    tied: Mapping[str, str] = field(default_factory=dict)
    official: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """Every name under which weight files hold the network -> parameter; the parameters' own names come first."""
        return {**{name: name for name in self.shapes}, **self.tied}

    def facts(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return asdict(self)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> WeightLayout:
        """Take what `facts` returned."""
        return cls(**{**facts, "shapes": {name: tuple(shape) for name, shape in facts["shapes"].items()}})


Described = Union["nn.Cell", WeightLayout]


def layout_of(net: Described) -> WeightLayout:
    """Describe the parameters of a network.

    Args:
        net: A network; a layout is returned as it is.

    Returns:
        Its layout.
    """
    if isinstance(net, WeightLayout):
        return net
    from mindrestore.models.network import RestorationNetwork

    return WeightLayout(
        network=type(net).__name__,
        shapes={name: tuple(parameter.shape) for name, parameter in net.parameters_and_names()},
        learnt=sum(parameter.size for parameter in net.trainable_params()),
        tied=net.tied_names() if isinstance(net, RestorationNetwork) else {},
        official=_official_norm_names(net),
    )


def _official_norm_names(net: nn.Cell) -> dict[str, str]:
    from mindspore import nn

    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)
    names = {}
    for path, cell in net.cells_and_names():
        table = _NORM_NAMES if isinstance(cell, norms) else _PRELU_NAMES if isinstance(cell, nn.PReLU) else {}
        prefix = f"{path}." if path else ""
        names.update({prefix + official: prefix + ours for official, ours in table.items()})
    return names
