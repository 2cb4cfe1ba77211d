"""Move weights between files and networks: every name and shape is compared before the first value changes."""

from __future__ import annotations

import io
import logging
import os
import threading
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union

import mindspore as ms
import numpy as np
import safetensors.numpy
from mindspore import nn, ops
from safetensors import SafetensorError

from mindrestore.data.images import ImageError, write_bytes
from mindrestore.errors import MindRestoreError
from mindrestore.models.registry import list_models, model_spec

SUFFIXES = (".ckpt", ".safetensors", ".npz")

_LISTED = 8  # names per kind in an error message
_WEIGHT_SECTIONS = ("state_dict", "model", "params", "net")  # where published checkpoints keep their weights
_WRAPPERS = ("module.", "net.", "network.", "model.")  # put before every name by data-parallel and training wrappers
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
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)

PathLike = Union[str, "os.PathLike[str]"]
Source = Union[PathLike, Mapping[str, Any]]


class WeightError(MindRestoreError):
    """Report a weight file that cannot be read or written, or that does not fit the network."""


class LoadReport(NamedTuple):
    """Names that were loaded, names the source lacks, and names the network does not have."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def load_weights(net: nn.Cell, source: Source, strict: bool = True) -> LoadReport:
    """Copy weights into a network; nothing changes unless everything fits.

    Official PyTorch names are understood: a `module.` prefix, aliases of the model specs, `weight`, `bias`,
    `running_mean`, `running_var` of normalisation layers, nested dicts (`model`, `state_dict`, `params`). Of a
    training state the network's own parameters are taken.

    Args:
        net: Network to fill.
        source: Path of a .ckpt, .safetensors or .npz file, or a dict name -> array.
        strict: Refuse missing and extra names; False loads what matches. Shapes must fit either way.

    Returns:
        What was loaded, missing and extra.

    Raises:
        WeightError: The file is absent, empty, damaged or of an unknown kind, or does not fit the network.

    Example:
        >>> report = load_weights(create_model("aecrnet"), "runs/its/best.ckpt")
        >>> report.missing
        ()
    """
    label = "this set of weights" if isinstance(source, Mapping) else str(source)
    entries = source if isinstance(source, Mapping) else read_weights(source)
    parameters = dict(net.parameters_and_names())
    entries = _to_network_names(_unwrap_sections(entries), net, parameters)

    missing = [name for name in parameters if name not in entries]
    extra = [name for name in entries if name not in parameters]
    arrays = {name: _as_array(entries[name], name, label) for name in parameters if name in entries}
    misshapen = [
        f"{name} {array.shape} instead of {tuple(parameters[name].shape)}"
        for name, array in arrays.items()
        if not _same_shape(array.shape, tuple(parameters[name].shape))
    ]
    if misshapen or not arrays or (strict and (missing or extra)):
        raise WeightError(_misfit_message(label, net, entries, missing, extra, misshapen))
    for name, array in arrays.items():
        parameter = parameters[name]
        # Not set_data: it gives the parameter new storage, and a graph compiled earlier goes on with the old values.
        ops.assign(parameter, ms.Tensor(array.reshape(parameter.shape), parameter.dtype))
    return LoadReport(tuple(arrays), tuple(missing), tuple(extra))


def read_weights(path: PathLike) -> dict[str, Any]:
    """Read every entry of a weight file under the names it was saved with.

    Args:
        path: .ckpt, .safetensors or .npz file.

    Returns:
        Name -> array, MindSpore Parameter or, in training states, plain value.

    Raises:
        WeightError: The file is absent, empty, damaged or of an unknown kind.

    Example:
        >>> sorted(read_weights("best.ckpt"))[0]
        'block.calayer.ca.0.bias'
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise WeightError(
            f"{path}: weights come as {', '.join(SUFFIXES)}, not as {path.suffix or 'a file without suffix'}"
        )
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror}); check the rights of the folder") from error
    if size is None:
        raise WeightError(f"{path}: no such file; check the path given as weights")
    if size == 0:
        raise WeightError(f"{path}: the file is empty (0 bytes), an interrupted copy or save; get it again")
    reader = {".ckpt": _read_ckpt, ".safetensors": safetensors.numpy.load_file, ".npz": _read_npz}[path.suffix.lower()]
    try:
        return reader(path)
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror or error}); check its rights") from error
    except (ValueError, KeyError, EOFError, SafetensorError, zipfile.BadZipFile) as error:
        raise WeightError(f"{path}: damaged or no {path.suffix} file ({_first_line(error)}); get it again") from error


def save_weights(net: nn.Cell, path: PathLike) -> None:
    """Write the weights and buffers of a network in one step: the file is complete, or the old one stays.

    Args:
        net: Network to save.
        path: Destination ending in .ckpt, .safetensors or .npz; missing folders are made.

    Raises:
        WeightError: The suffix is unknown, or the folder or the disk does not allow it.

    Example:
        >>> save_weights(net, "clean.safetensors")
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise WeightError(
            f"{path}: cannot save weights as {suffix or 'a file without suffix'}; use {', '.join(SUFFIXES)}"
        )
    parameters = dict(net.parameters_and_names())
    if suffix == ".ckpt":
        _save_ckpt(parameters, path)
        return
    arrays = {name: np.ascontiguousarray(parameter.asnumpy()) for name, parameter in parameters.items()}
    if suffix == ".safetensors":
        data = safetensors.numpy.save(arrays)
    else:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        data = buffer.getvalue()
    try:
        write_bytes(path, data)
        path.chmod(0o644)
    except ImageError as error:  # its message already names the file, the reason and the fix
        raise WeightError(str(error)) from error


def _save_ckpt(parameters: Mapping[str, ms.Parameter], path: Path) -> None:
    entries = [{"name": name, "data": parameter.value()} for name, parameter in parameters.items()]
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.ckpt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            ms.save_checkpoint(entries, str(temporary), crc_check=True)
            temporary.chmod(0o644)  # MindSpore leaves 0400
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightError(
            f"{path}: the weights could not be saved ({_first_line(error)}); check the rights and the free space"
        ) from error


def _read_ckpt(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 17, 0))
        has_checksum = stream.read(7) == b"crc_num"  # asking for an absent one makes MindSpore warn about every file
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # MindSpore logs what the caller reports in its own words
    try:
        return ms.load_checkpoint(str(path), crc_check=has_checksum)
    finally:
        logging.disable(level)


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        if not hasattr(file, "files"):
            raise ValueError("a single array, not a set of named ones")
        return {name: file[name] for name in file.files}


def _unwrap_sections(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(entries.get(_STATE_FACTS), str):
        return {name[len(_STATE_NET) :]: value for name, value in entries.items() if name.startswith(_STATE_NET)}
    for section in _WEIGHT_SECTIONS:
        if isinstance(entries.get(section), Mapping):
            return _unwrap_sections(entries[section])
    return entries


def _to_network_names(entries: Mapping[str, Any], net: nn.Cell, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the entries as the network names them and leave out what only training needs."""
    entries = _strip_wrapper(entries, parameters)
    translations = {**_aliases(), **_official_norm_names(net)}
    renamed: dict[str, Any] = {}
    for name, value in entries.items():
        target = translations.get(name, name)
        if name in parameters or target not in parameters or target in entries:
            target = name
        renamed[target] = value
    own = {name: value for name, value in renamed.items() if name in parameters}
    if not own:
        return renamed
    return {name: value for name, value in renamed.items() if name in own or not _only_for_training(name)}


def _strip_wrapper(entries: Mapping[str, Any], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take a prefix away when the rest of the names fits the network better without it."""
    best, matches = entries, _matches(entries, parameters)
    for prefix in _WRAPPERS:
        stripped = {
            (name[len(prefix) :] if name.startswith(prefix) else name): value for name, value in entries.items()
        }
        count = _matches(stripped, parameters)
        if count > matches:
            best, matches = stripped, count
    return best


def _matches(names: Iterable[str], parameters: Mapping[str, Any]) -> int:
    return sum(name in parameters for name in names)


def _only_for_training(name: str) -> bool:
    return name.startswith(_STATE_SECTIONS) or name in _STATE_SCALARS or name.endswith("num_batches_tracked")


def _official_norm_names(net: nn.Cell) -> dict[str, str]:
    names = {}
    for path, cell in net.cells_and_names():
        table = _NORM_NAMES if isinstance(cell, _NORMS) else _PRELU_NAMES if isinstance(cell, nn.PReLU) else {}
        prefix = f"{path}." if path else ""
        names.update({prefix + official: prefix + ours for official, ours in table.items()})
    return names


def _aliases() -> dict[str, str]:
    return {alias: name for model in list_models() for alias, name in model_spec(model).aliases.items()}


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


def _misfit_message(
    label: str,
    net: nn.Cell,
    entries: Mapping[str, Any],
    missing: Sequence[str],
    extra: Sequence[str],
    misshapen: Sequence[str],
) -> str:
    wanted = sum(1 for _ in net.parameters_and_names())
    matching = wanted - len(missing)
    lines = [f"{label} does not fit {type(net).__name__}: {matching} of its {wanted} names match"]
    if matching < wanted / 2 or len(misshapen) > wanted / 2:
        owner = _probable_owner(entries)
        lines[0] += f"; this is probably a checkpoint of {owner or 'another network'}"
    for kind, names in (("missing", missing), ("extra", extra), ("wrong shape", misshapen)):
        if names:
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            lines.append(f"  {kind} ({len(names)}): {', '.join(names[:_LISTED])}{more}")
    lines.append("give the weights of this network, or create it with the settings it was trained with")
    return "\n".join(lines)


def _probable_owner(entries: Mapping[str, Any]) -> str:
    """Name the registered models whose parameter count equals that of the entries."""
    buffers = ("running_mean", "running_var", "running_deconv", "moving_mean", "moving_variance", "num_batches_tracked")
    count = sum(
        int(np.prod(value.shape))
        for name, value in entries.items()
        if hasattr(value, "shape") and not name.endswith(buffers) and not _only_for_training(name)
    )
    return " or ".join(repr(name) for name in list_models() if model_spec(name).parameters == count)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
