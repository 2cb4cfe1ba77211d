"""Recognise the network of a weight file, and its hyper-parameters, by names and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from mindrestore.errors import did_you_mean
from mindrestore.models.registry import create_model, hyper_parameters, list_models, model_spec
from mindrestore.models.specs.vgg import LAYOUTS, last_tap
from mindrestore.models.specs.vgg import recognise as recognise_vgg
from mindrestore.weights.errors import WeightError
from mindrestore.weights.sections import unwrapped

if TYPE_CHECKING:
    from mindspore import nn

_LARGEST = 4096  # a hyper-parameter beyond it comes from a made-up file, and would fill the memory
_VGG_LICENCE = "torchvision's ImageNet weights: BSD-3-Clause code, data for research; Simonyan and Zisserman: CC BY 4.0"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """Describe something that weight files are made for: a registered network, or VGG for loss terms.

    Attributes:
        name: registered name, or `vgg16`, `vgg19`.
        build: hyper-parameters -> network.
        recognise: shapes in a file -> hyper-parameters; KeyError, IndexError or ValueError for other networks' files.
        published: every hyper-parameter with its published value.
        licence: what is known about published weights.
        side: smallest height and width of an image (pixels).
        value_range: the network's own image range.
        words: what file names say about it.
        optional: beginnings of names that published files hold and that are not needed here.
    """

    name: str
    build: Callable[..., nn.Cell]
    recognise: Callable[[Shapes], dict[str, Any]] | None
    published: Mapping[str, Any]
    licence: str
    side: int
    value_range: tuple[float, float] = (0.0, 1.0)
    words: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guess:
    """Name a network with its hyper-parameters, and others that the file fits as well."""

    network: Network
    hyper: Mapping[str, Any]
    alternatives: tuple[str, ...] = ()


def list_networks() -> list[str]:
    """List everything that `convert` knows."""
    return [*list_models(), *LAYOUTS]


def get_network(name: str) -> Network:
    """Describe one of `list_networks()`.

    Raises:
        WeightError: the name is unknown; the message names the closest one.
    """
    if name in LAYOUTS:
        return _vgg(name)
    if name not in list_models():
        raise WeightError(f"unknown network {name!r}; {did_you_mean(name, list_networks())}")
    spec = model_spec(name)
    return Network(
        name=name,
        build=partial(create_model, name),
        recognise=spec.recognise,
        published=hyper_parameters(name),
        licence=spec.licence,
        side=spec.fitting_side(),
        value_range=spec.value_range,
        words=(name, *(word for word in (*name.split("_"), *spec.tasks) if len(word) > 1)),
    )


def guess(shapes: Shapes, hint: str = "", name: str | None = None) -> Guess:
    """Find the network whose names and shapes a file has.

    Several registered networks may be sizes of one architecture. The one with the most published hyper-parameters in
    common is taken; among equals, the one that the name of the file speaks of.

    Args:
        shapes: name in the file -> shape.
        hint: name of the file, and of folders around it.
        name: consider this network only.

    Returns:
        Network, the hyper-parameters that differ from the published ones, and the names of other candidates.

    Raises:
        WeightError: nothing fits.
    """
    found, spoken = [], hint.lower().replace("-", "_")
    for candidate in map(get_network, [name] if name else list_networks()):
        hyper, covered = _recognised(candidate, shapes)
        if hyper is not None:
            differing = {key: value for key, value in hyper.items() if candidate.published.get(key) != value}
            words = sum(word in spoken for word in candidate.words)
            found.append((-covered, len(differing), -words, candidate, differing))
    if not found:
        raise WeightError(
            f"names and shapes do not fit {name or 'any network known here'} "
            f"({', '.join(list(shapes)[:3])}, ...); use --model NAME to see what differs. "
            f"Known: {', '.join(list_networks())}"
        )
    found.sort(key=lambda entry: entry[:3])
    covered, distance, _, network, hyper = found[0]
    rivals = [entry for entry in found[1:] if entry[0] == covered]  # a loss network beside the network covers less
    alternatives = [entry[3].name for entry in rivals if distance or entry[1] == 0]
    return Guess(network, hyper, tuple(alternatives))


def _recognised(network: Network, shapes: Shapes) -> tuple[dict[str, Any] | None, int]:
    """Read the hyper-parameters, whatever stands before the names, and count these; None for another network's file."""
    if network.recognise is None:
        return None, 0
    for names in unwrapped(shapes):
        try:
            found = network.recognise({short: shapes[name] for short, name in names.items()})
        except (LookupError, ArithmeticError, ValueError):
            continue
        if all(0 <= number <= _LARGEST for value in found.values() for number in _numbers(value)):
            return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}, len(names)
    return None, 0


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, (tuple, list)):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, (int, float)):
        yield value


def _vgg(layout: str) -> Network:
    published = {"layout": layout, "taps": (last_tap(layout),), "bias": True, "width": 64}
    return Network(
        name=layout,
        build=partial(_build_vgg, **published),
        recognise=partial(_only, layout),
        published=published,
        licence=_VGG_LICENCE,
        side=16,  # one pixel is left in the last stage
        words=(layout,),
        optional=("classifier.",),
    )


def _build_vgg(**settings: Any) -> nn.Cell:
    from mindrestore.models.vgg import VGGFeatures

    return VGGFeatures(**settings)


def _only(layout: str, shapes: Shapes) -> dict[str, Any]:
    hyper = recognise_vgg(shapes)
    if hyper["layout"] != layout:
        raise KeyError(layout)
    return hyper
