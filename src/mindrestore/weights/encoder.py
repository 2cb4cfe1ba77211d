"""Transfer learning: fill the VGG encoder of a network with weights trained beforehand, usually on ImageNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mindspore import nn

from mindrestore.models.network import RestorationNetwork
from mindrestore.models.specs.vgg import recognise
from mindrestore.models.vgg import VGGFeatures
from mindrestore.weights.convert import load_weights
from mindrestore.weights.errors import WeightError
from mindrestore.weights.files import PathLike, read_weights
from mindrestore.weights.sections import unwrapped, weights_of


def load_encoder(net: nn.Cell, path: PathLike) -> str:
    """Copy VGG's convolutions from a file into every encoder of a network; the rest of it stays.

    Nothing changes unless everything fits. A file without biases stands for biases of zero.

    Args:
        net: Network with `encoder_cells`, such as `mpilnet`.
        path: Any file that `read_weights` reads, with torchvision's names (`features.0.weight`); layers of a classifier
            are left out.

    Returns:
        A line for the log: what was loaded from where.

    Raises:
        WeightError: The network has no such encoder; the file is damaged, holds no VGG, VGG of another depth, or not
            all of its convolutions.
    """
    cells = encoders_of(net)
    layout = cells[0].layout
    found, arrays = _vgg_arrays(path, layout)
    if found["layout"] != layout:
        raise WeightError(
            f"{path}: holds the convolutions of {found['layout']}, but the encoder is {layout}; take torchvision's "
            f"{layout} file, or create the network with model.hyper.vgg_depth={found['layout'].removeprefix('vgg')}"
        )
    if found["width"] != cells[0].width:
        raise WeightError(
            f"{path}: the first convolution has {found['width']} channels, but the encoder's has {cells[0].width}; "
            f"create the network with model.hyper.width={found['width']}"
        )
    wanted = {name: tuple(parameter.shape) for name, parameter in cells[0].parameters_and_names()}
    if not found["bias"]:
        arrays |= {name: np.zeros(shape, np.float32) for name, shape in wanted.items() if name.endswith(".bias")}
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise WeightError(
            f"{path}: {len(missing)} of the {len(wanted)} tensors of {layout} are missing ({', '.join(missing[:4])}, "
            f"...); take torchvision's whole file (`mindrestore weights get {layout}`, docs/weights.md)"
        )
    for cell in cells:
        load_weights(cell, {name: arrays[name] for name in wanted})
    each = f" in each of {len(cells)} encoders" if len(cells) > 1 else ""
    biases = "" if found["bias"] else ", biases zero since the file has none"
    return f"encoder: {layout} from {path}, {len(wanted)} tensors{each}{biases}"


def untrained_encoder(net: nn.Cell) -> str:
    """Word the warning for training without `load_encoder`.

    Args:
        net: Network with `encoder_cells`.

    Returns:
        A line for the log.

    Raises:
        WeightError: The encoder is frozen, and would keep its random weights.
    """
    cell = encoders_of(net)[0]
    fix = (
        f"use ImageNet weights of {cell.layout} as model.encoder_weights=FILE (`mindrestore weights get "
        f"{cell.layout}`, docs/weights.md)"
    )
    if not cell.trainable_params():
        raise WeightError(
            f"the {cell.layout} encoder is frozen and has random weights: it would never see anything; {fix}, or let "
            "it learn with model.hyper.freeze_encoder=false"
        )
    return (
        f"NO TRANSFER LEARNING: the {cell.layout} encoder starts from random weights, so a small data set has to teach "
        f"it everything; {fix}"
    )


def encoders_of(net: nn.Cell) -> tuple[VGGFeatures, ...]:
    """Return the VGG encoders of a network.

    Raises:
        WeightError: It has none.
    """
    cells = net.encoder_cells() if isinstance(net, RestorationNetwork) else ()
    if not cells:
        raise WeightError(
            f"{type(net).__name__} has no VGG encoder to load weights into; mpilnet has one. Weights of the whole "
            "network are given as model.weights"
        )
    return cells


def _vgg_arrays(path: PathLike, layout: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what a file says about its VGG, and the convolutions by torchvision's names."""
    entries = {name: value for name, value in weights_of(read_weights(path)).items() if hasattr(value, "shape")}
    for names in unwrapped(entries):
        arrays = {short: entries[name] for short, name in names.items()}
        try:
            return recognise({name: tuple(array.shape) for name, array in arrays.items()}), arrays
        except KeyError:
            continue
    raise WeightError(
        f"{path}: holds no VGG ({_description(entries)}); take torchvision's {layout} file (`mindrestore weights get "
        f"{layout}`, docs/weights.md). Weights of a whole restoration network are given as model.weights"
    )


def _description(entries: Mapping[str, Any]) -> str:
    if any(name.endswith(("features.1.weight", "features.1.running_mean")) for name in entries):
        return "but VGG with batch normalisation, which is another network"
    return f"{len(entries)} tensors: {', '.join(list(entries)[:3])}, ..."
