"""Convert weight files between PyTorch, PaddlePaddle and MindSpore, and prove that the result works."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.data.images import write_bytes
from mindrestore.recipes.load import load_recipe
from mindrestore.weights.convert import load_weights, save_weights
from mindrestore.weights.errors import WeightError
from mindrestore.weights.files import SUFFIXES, PathLike, read_weights, sha256_of
from mindrestore.weights.guess import Guess, Network, get_network, guess
from mindrestore.weights.names import match_names, official_names, published_names, weights_of
from mindrestore.weights.torch_writer import WRITABLE, write_torch_file

_LISTED = 6  # names per line of the table


@dataclass(frozen=True)
class Tensor:
    """Tell where a tensor of a network came from."""

    source: str
    name: str
    source_shape: tuple[int, ...]
    shape: tuple[int, ...]
    source_dtype: str
    dtype: str


@dataclass(frozen=True)
class Conversion:
    """Say what a conversion did.

    Attributes:
        source, out, sidecar: the files.
        network: name; `hyper`: every hyper-parameter; `differing`: those that differ from the published ones.
        licence: what is known about published weights of this network.
        tensors: one entry per tensor.
        extra: numbers in the file that the network has no place for.
        ignored: what is needed for training only, or belongs to a part that is not used here.
        checks: what was verified.
        notes: what the user should know.
    """

    source: Path
    out: Path
    sidecar: Path
    network: str
    hyper: Mapping[str, Any]
    differing: Mapping[str, Any]
    licence: str
    tensors: tuple[Tensor, ...]
    extra: tuple[str, ...]
    ignored: tuple[str, ...]
    checks: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    def table(self, every: bool = False) -> str:
        """Give what was mapped, renamed, reshaped, missing and extra as text; `every` adds a line per tensor.

        Example:
            >>> print(convert_file("model_deraining.pth", "rain.ckpt").table())
        """
        tensors = self.tensors
        values = sum(int(np.prod(tensor.shape)) for tensor in tensors)
        rows = [
            ("mapped", len(tensors), f"{values:,} values"),
            *_row("renamed", [f"{t.source} -> {t.name}" for t in tensors if not t.source.endswith(t.name)]),
            *_row(
                "reshaped", [f"{t.name} {t.source_shape} -> {t.shape}" for t in tensors if t.source_shape != t.shape]
            ),
            *_row("retyped", [f"{t.name} {t.source_dtype} -> {t.dtype}" for t in tensors if t.source_dtype != t.dtype]),
            ("missing", 0, ""),
            *(_row("extra", self.extra) or [("extra", 0, "")]),
            *_row("left out", self.ignored),
        ]
        lines = [f"{self.source} -> {self.out}", f"network {self.network} {_settings(self.differing)}".rstrip()]
        lines += [f"  {kind:9}{count:6}  {text}".rstrip() for kind, count, text in rows]
        if every:
            width = max(len(tensor.source) for tensor in tensors)
            lines += [f"  {t.source:{width}}  {t.name}  {t.shape} {t.dtype}" for t in tensors]
        return "\n".join([*lines, *(f"checked: {check}" for check in self.checks)])


def convert_file(
    source: PathLike,
    out: PathLike,
    *,
    model: str | None = None,
    hyper: Mapping[str, Any] | None = None,
    drop_extra: bool = False,
) -> Conversion:
    """Convert a weight file, check the result, and write a JSON file beside it that says where it came from.

    Args:
        source: file of any kind that `read_weights` reads.
        out: .ckpt, .safetensors or .npz for MindRestore; .pth or .pt for PyTorch, with official names.
        model: network; by default it is recognised by names and shapes.
        hyper: hyper-parameters to lay over the recognised ones.
        drop_extra: leave out tensors that the network has no place for; otherwise they are an error.

    Returns:
        What was done.

    Raises:
        WeightError: the source cannot be read, is of no known network, or does not fit; or the result is wrong.

    Example:
        >>> convert_file("NH_train.pk", "nh.ckpt").network
        'aecrnet'
    """
    source, out = Path(source), Path(out)
    _check_destination(source, out)
    net, taken = _take_over(source, model, hyper or {}, drop_extra)
    network = taken.found.network
    forward = _check_forward(source, net, network)
    _write(net, out)
    written = _fingerprints(net, out)
    del net
    gc.collect()  # cells refer to each other: their arrays would lie in memory beside those read back
    conversion = Conversion(
        source=source,
        out=out,
        sidecar=out.with_name(f"{out.name}.json"),
        network=network.name,
        hyper={**network.published, **taken.found.hyper},
        differing=taken.found.hyper,
        licence=network.licence,
        tensors=taken.tensors,
        extra=taken.extra,
        ignored=taken.ignored,
        checks=(forward, _check_file(out, written)),
        notes=_notes(taken.found),
    )
    write_bytes(conversion.sidecar, json.dumps(_facts(conversion), indent=2).encode())
    return conversion


class _Taken(NamedTuple):
    """Tell what of a file went into a network."""

    found: Guess
    tensors: tuple[Tensor, ...]
    extra: tuple[str, ...]
    ignored: tuple[str, ...]


def _take_over(source: Path, model: str | None, hyper: Mapping[str, Any], drop_extra: bool) -> tuple[nn.Cell, _Taken]:
    """Recognise the network of a file, build it and fill it."""
    entries = weights_of(read_weights(source))
    found = _find_network(source, entries, model, hyper)
    net = found.network.build(**found.hyper)
    matched, own = match_names(entries, net), published_names(net)
    extra = [name for name, target in matched.items() if target not in own]
    optional = [name for name in extra if matched[name].startswith(found.network.optional)]
    unwanted = extra if drop_extra else optional
    try:
        load_weights(net, {target: entries[name] for name, target in matched.items() if name not in unwanted})
    except WeightError as error:
        raise WeightError(f"{source}, taken for {found.network.name}: {error}") from error
    parameters = dict(net.parameters_and_names())
    tensors = tuple(
        _tensor(name, target, entries[name], parameters[own[target]])
        for name, target in matched.items()
        if target in own
    )
    ignored = (*optional, *(name for name in entries if name not in matched))
    return net, _Taken(found, tensors, tuple(name for name in extra if name not in optional), ignored)


def _check_destination(source: Path, out: Path) -> None:
    if out.suffix.lower() not in (*SUFFIXES, *WRITABLE):
        raise WeightError(
            f"{out}: cannot convert to {out.suffix or 'a file without suffix'}; use {', '.join((*SUFFIXES, *WRITABLE))}"
        )
    if out.exists() and source.exists() and out.samefile(source):
        raise WeightError(f"{out}: is the file to convert; give another name for the result")


def _find_network(source: Path, entries: Mapping[str, Any], model: str | None, hyper: Mapping[str, Any]) -> Guess:
    """Recognise the network; what a run folder or an earlier conversion recorded beside the file adds to it."""
    shapes = {name: tuple(value.shape) for name, value in entries.items() if hasattr(value, "shape")}
    hint = str(Path(*source.absolute().parts[-3:]))
    try:
        found = guess(shapes, hint, model)
    except WeightError as error:
        if model is None:
            raise WeightError(f"{source}: {error}") from error
        found = Guess(get_network(model), {})  # fails later, with a list of what differs
    recorded, settings = recorded_settings(source)
    if model is None and recorded in (found.network.name, *found.alternatives):
        found = guess(shapes, hint, recorded)
    if recorded == found.network.name:
        found = Guess(found.network, {**settings, **found.hyper})
    return Guess(found.network, {**found.hyper, **hyper}, () if model else found.alternatives)


def recorded_settings(source: PathLike) -> tuple[str | None, Mapping[str, Any]]:
    """Give network and hyper-parameters that stand in the run's recipe or in a JSON file beside the weights.

    Args:
        source: weight file.

    Returns:
        Name of the network, or None when nothing is recorded, and the hyper-parameters that differ from the published.

    Raises:
        WeightError: the JSON file is damaged.

    Example:
        >>> recorded_settings("light.ckpt")
        ('mprnet_deblurring', {'n_feat': 40, 'scale_unetfeats': 40})
    """
    source = Path(source)
    sidecar = source.with_name(f"{source.name}.json")
    if (source.parent / "recipe.yaml").is_file():
        model = load_recipe(source.parent).model
        return model.name, model.hyper
    if sidecar.is_file():
        try:
            facts = json.loads(sidecar.read_text(encoding="utf-8"))
            return facts["network"], facts["differing"]
        except (ValueError, KeyError, TypeError) as error:
            raise WeightError(f"{sidecar}: no record of a conversion ({error}); remove it or repeat that") from error
    return None, {}


def _check_forward(source: Path, net: nn.Cell, network: Network) -> str:
    """Run the network once on noise: weights of a damaged or foreign file rarely give finite numbers."""
    low, high = network.value_range
    image = np.random.default_rng(0).random((1, 3, network.side, network.side), np.float32) * (high - low) + low
    outputs = [output.asnumpy() for output in _flat(net.set_train(False)(ms.Tensor(image)))]
    if not all(np.isfinite(output).all() for output in outputs):
        raise WeightError(
            f"{source}: {network.name} gives values that are not finite with these weights; the file is damaged, or "
            "training had diverged"
        )
    return f"forward pass of 1x3x{network.side}x{network.side}, {len(outputs)} output(s), all values finite"


def _flat(outputs: Any) -> Iterator[ms.Tensor]:
    for output in outputs if isinstance(outputs, tuple) else (outputs,):
        yield from _flat(output) if isinstance(output, tuple) else (output,)


def _write(net: nn.Cell, out: Path) -> None:
    if out.suffix.lower() in SUFFIXES:
        save_weights(net, out)
        return
    arrays = {name: parameter.asnumpy() for name, parameter in net.parameters_and_names()}
    write_torch_file(out, {official: arrays[own] for official, own in official_names(net).items()})


def _fingerprints(net: nn.Cell, out: Path) -> dict[str, str]:
    """Give the checksum of every tensor under the name that it has in the file."""
    names = published_names(net) if out.suffix.lower() in SUFFIXES else official_names(net)
    own = {name: _fingerprint(parameter) for name, parameter in net.parameters_and_names()}
    return {name: own[parameter] for name, parameter in names.items()}


def _fingerprint(values: Any) -> str:
    array = np.ascontiguousarray(values.asnumpy() if hasattr(values, "asnumpy") else values)
    return hashlib.sha256(array.reshape(-1).view(np.uint8)).hexdigest()


def _check_file(out: Path, expected: Mapping[str, str]) -> str:
    """Read the written file back."""
    written = read_weights(out)
    wrong = [name for name, checksum in expected.items() if _fingerprint(written[name]) != checksum]
    if wrong:
        raise WeightError(f"{out}: {wrong[0]} came back with other values than were written; try another disk")
    return f"{out.name} read back, {len(expected)} tensors equal bit for bit"


def _tensor(source: str, name: str, value: Any, parameter: ms.Parameter) -> Tensor:
    stored = str(getattr(value, "dtype", type(value).__name__)).lower()
    kind = str(parameter.dtype).lower()
    return Tensor(source, name, tuple(getattr(value, "shape", ())), tuple(parameter.shape), stored, kind)


def _notes(found: Guess) -> tuple[str, ...]:
    if not found.alternatives:
        return ()
    return (
        f"nothing in the file tells {found.network.name} from {', '.join(found.alternatives)}, which are built alike; "
        "--model NAME chooses",
    )


def _facts(conversion: Conversion) -> dict[str, Any]:
    """Give what the JSON file says."""
    source = conversion.source
    return {
        "file": conversion.out.name,
        "source": {"file": source.name, "bytes": source.stat().st_size, "sha256": sha256_of(source)},
        "network": conversion.network,
        "hyper": dict(conversion.hyper),
        "differing": dict(conversion.differing),
        "licence": conversion.licence,
        "tensors": len(conversion.tensors),
        "extra": list(conversion.extra),
        "left_out": list(conversion.ignored),
        "checks": list(conversion.checks),
    }


def _row(kind: str, entries: Any) -> list[tuple[str, int, str]]:
    """Make the line of a kind of tensors; none when there are none."""
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return [(kind, len(entries), ", ".join(entries[:_LISTED]) + more)] if entries else []


def _settings(hyper: Mapping[str, Any]) -> str:
    return f"with {', '.join(f'{key}={value}' for key, value in hyper.items())}" if hyper else ""
