"""Move weights between files and networks: every name and shape is compared before the first value changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights.errors import MisfitError
from mindrestore.weights.files import SUFFIXES, PathLike, WeightError, read_weights, write_weights
from mindrestore.weights.layout import Described, WeightLayout, layout_of
from mindrestore.weights.names import match_weights, only_for_training, published_names

if TYPE_CHECKING:
    from mindspore import nn

__all__ = ["SUFFIXES", "LoadReport", "WeightError", "load_weights", "read_weights", "save_weights"]

_LISTED = 8  # names per kind in an error message
_BUFFERS = (
    "running_mean", "running_var", "running_deconv", "moving_mean", "moving_variance", "num_batches_tracked",
    "relative_positions",
)  # fmt: skip

Source = Union[PathLike, Mapping[str, Any]]


class LoadReport(NamedTuple):
    """Names that were loaded, parameters the source lacks, and names the network does not have."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def load_weights(net: nn.Cell, source: Source, strict: bool = True, *, label: str | None = None) -> LoadReport:
    """Copy weights into a network; nothing changes unless everything fits.

    Official PyTorch names are understood: prefixes such as `module.` and `_orig_mod.`, aliases of the model specs,
    `weight`, `bias`, `running_mean`, `running_var` of normalisation layers, nested dicts (`model`, `state_dict`,
    `model_ema`), and PaddleGAN's `generator` and `_weight`. A tensor that published files list under several names is
    read from any of them. A training state gives the network's own parameters.

    Args:
        net: Network to fill.
        source: Path of any file that `read_weights` reads, ours or official, or a dict name -> array.
        strict: Refuse missing and extra names; False loads what matches. Shapes must fit either way.
        label: What messages call the source; by default its path.

    Returns:
        What was loaded, missing and extra.

    Raises:
        WeightError: The file is absent, empty, damaged or of an unknown kind, does not fit the network, or holds
            different values under two names of one tensor (`MisfitError` lists what does not fit), or values that
            are not finite.

    Examples:
        >>> report = load_weights(create_model("aecrnet"), "runs/its/best.ckpt")
        >>> report.missing
        ()
    """
    import mindspore as ms
    from mindspore import ops

    arrays, report = fitting_arrays(net, source, strict, label=label)
    parameters = dict(net.parameters_and_names())
    for name, array in arrays.items():
        parameter = parameters[name]
        # Not set_data: it gives the parameter new storage, and a graph compiled earlier goes on with the old values.
        ops.assign(parameter, ms.Tensor(array, parameter.dtype))
    return report


def fitting_arrays(
    net: Described, source: Source, strict: bool = True, *, label: str | None = None
) -> tuple[dict[str, np.ndarray], LoadReport]:
    """Read the values of a network's parameters; MindSpore is not needed when a layout stands for the network.

    Args:
        net: A network, or its layout.
        source: As for `load_weights`.
        strict: As for `load_weights`.
        label: What messages call the source; by default its path.

    Returns:
        Parameter -> array of its shape, and what was found, missing and extra.

    Raises:
        WeightError: As `load_weights`.
    """
    layout, label = layout_of(net), label or ("this set of weights" if isinstance(source, Mapping) else str(source))
    match = match_weights(source if isinstance(source, Mapping) else read_weights(source), layout)
    entries = {target: match.entries[name] for name, target in match.targets.items()}
    label += f" ({match.origin})" if match.origin else ""
    shapes, names = layout.shapes, layout.names
    arrays = {name: _as_array(entries[name], name, label) for name in names if name in entries}
    given = {names[name] for name in arrays}
    missing = [name for name in shapes if name not in given]
    extra = [name for name in entries if name not in names]
    misshapen = {
        name: f"{array.shape} instead of {shapes[names[name]]}"
        for name, array in arrays.items()
        if not _same_shape(array.shape, shapes[names[name]])
    }
    if misshapen or not arrays or (strict and (missing or extra)):
        raise _Misfit(label, layout, entries, missing, extra, misshapen).error()
    for name, array in arrays.items():
        check_finite(array, name, label)
    found = _one_per_parameter(arrays, names, label)
    fitting = {name: array.reshape(shapes[name]) for name, array in found.items()}
    return fitting, LoadReport(tuple(arrays), tuple(missing), tuple(extra))


def save_weights(net: nn.Cell, path: PathLike) -> None:
    """Write the weights and buffers of a network in one step: the file is complete, or the old one stays.

    A tensor that published files list under several names is written under all of them.

    Args:
        net: Network to save.
        path: Destination ending in .ckpt, .safetensors or .npz; missing folders are made.

    Raises:
        WeightError: The suffix is unknown, or the folder or the disk does not allow it.

    Examples:
        >>> save_weights(net, "clean.safetensors")
    """
    parameters = dict(net.parameters_and_names())
    write_weights(path, {name: parameters[own] for name, own in published_names(net).items()})


def _one_per_parameter(arrays: Mapping[str, np.ndarray], names: Mapping[str, str], label: str) -> dict[str, np.ndarray]:
    """Return the array of every parameter; several names of one parameter have to hold the same values."""
    first: dict[str, str] = {}
    for name, array in arrays.items():
        other = first.setdefault(names[name], name)
        if not np.array_equal(array.ravel(), arrays[other].ravel(), equal_nan=True):
            raise WeightError(
                f"{label}: {other} and {name} are one tensor in this network, but hold different values "
                f"({arrays[other].flat[0]:.8g} and {array.flat[0]:.8g} at first); take the file of a network that "
                "shares them, or leave all but one of these names out"
            )
    return {own: arrays[name] for own, name in first.items()}


def check_finite(array: np.ndarray, name: str, label: str) -> None:
    """Refuse values that are not finite, or that float32 cannot hold.

    Args:
        array: Values of a tensor.
        name: What the tensor is called.
        label: The file.

    Raises:
        WeightError: One is not; the message names file, tensor, value and place.
    """
    if array.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(array.astype(np.float32) if array.dtype.itemsize > 4 else array)
    if bad.any():
        place = tuple(int(index) for index in np.unravel_index(int(bad.argmax()), bad.shape))
        raise WeightError(
            f"{label}: {int(bad.sum())} of the {bad.size} values of {name} are not finite ({array[place]} at {place}); "
            "the training had diverged or the file is damaged: take an earlier checkpoint"
        )


def _as_array(value: Any, name: str, label: str) -> np.ndarray:
    if hasattr(value, "asnumpy"):
        return value.asnumpy()
    if hasattr(value, "detach"):  # a PyTorch tensor handed over in a dict
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise WeightError(f"{label}: entry {name} holds {type(value).__name__} instead of numbers; check the file")
    return array


def _same_shape(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    # single numbers are stored as () by some and as (1,) by others
    return given == wanted or (given in ((), (1,)) and wanted in ((), (1,)))


@dataclass(frozen=True)
class _Misfit:
    """How a set of weights differs from a network; names count as published files list them."""

    label: str
    layout: WeightLayout
    entries: Mapping[str, Any]
    missing: Sequence[str]
    extra: Sequence[str]
    misshapen: Mapping[str, str]

    def error(self) -> MisfitError:
        names = self.layout.names
        matching = sum(own not in self.missing for own in names.values())
        own, owner = _with_parameters({self.layout.learnt}), _probable_owner(self.entries)
        title = f"{self.layout.network} ({own})" if own else self.layout.network
        lines = [f"{self.label} does not fit {title}: {matching} of its {len(names)} names match"]
        origin = ""
        if owner and owner == own and matching < len(names) / 2:
            lines[0] += ", though its tensors have the sizes of this network: their names are others; rename them"
        elif matching < len(names) / 2 or len(self.misshapen) > len(names) / 2 or (owner and owner != own):
            origin = self._origin(all_names=matching == len(names) and not self.extra)
            lines[0] += f"; this is probably {origin}"
        others = {own: sum(own == other for other in names.values()) - 1 for own in self.missing}
        missing = [name + (f" (or any of its {others[name]} other names)" if others[name] else "") for name in others]
        misshapen = [f"{name} {shapes}" for name, shapes in self.misshapen.items()]
        for kind, listed in (("missing", missing), ("extra", self.extra), ("wrong shape", misshapen)):
            if listed:
                more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
                lines.append(f"  {kind} ({len(listed)}): {', '.join(listed[:_LISTED])}{more}")
        only_extra = not (self.missing or self.misshapen or origin)
        lines.append(
            "`mindrestore convert IN --drop-extra --out OUT` leaves out what is extra"
            if only_extra
            else "use the weights of this network, or create it with the settings it was trained with"
        )
        differing = {"missing": self.missing, "extra": self.extra, "misshapen": self.misshapen}
        return MisfitError("\n".join(lines), **differing, origin=origin)

    def _origin(self, all_names: bool) -> str:
        owner = _probable_owner(self.entries)
        if all_names:
            return "the same network with other hyper-parameters" + (f", those of {owner}" if owner else "")
        return f"a checkpoint of {owner or 'another network'}"


def _probable_owner(entries: Mapping[str, Any]) -> str:
    """Name the registered models whose parameter count equals that of the entries."""
    arrays = [
        value
        for name, value in entries.items()
        if hasattr(value, "shape") and not name.endswith(_BUFFERS) and not only_for_training(name)
    ]
    sizes = [int(np.prod(array.shape)) for array in arrays]
    # A number that layers share is listed once per layer, and counts once.
    single = [_as_array(array, "", "") for array, size in zip(arrays, sizes) if size == 1]
    counts = {sum(sizes), sum(sizes) - len(single) + len({float(array.item()) for array in single})}
    return _with_parameters(counts)


def _with_parameters(counts: set[int]) -> str:
    return " or ".join(repr(name) for name in list_models() if model_spec(name).parameters in counts)
