"""Convert weight files between PyTorch, PaddlePaddle and MindSpore, and prove that the result works."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindrestore.files import read_json, write_bytes
from mindrestore.models.registry import list_models, model_spec
from mindrestore.recipes.load import load_recipe
from mindrestore.weights.comparison import Comparison, ComparisonError, Tensor
from mindrestore.weights.convert import load_weights, save_weights
from mindrestore.weights.errors import MisfitError, WeightError
from mindrestore.weights.files import SUFFIXES, PathLike, each_weight, read_weights, sha256_of
from mindrestore.weights.guess import Guess, Network, get_network, guess
from mindrestore.weights.names import match_weights, official_names, published_names
from mindrestore.weights.sections import is_tensor, sections_of
from mindrestore.weights.torch_writer import WRITABLE, write_torch_file

if TYPE_CHECKING:
    import mindspore as ms
    from mindspore import nn


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        source, out, sidecar: the files.
        network: name; `hyper`: every hyper-parameter.
        licence: what is known about published weights of this network.
        comparison: what of the file went where.
        checks: what was verified.
        notes: what the user should know.
    """

    source: Path
    out: Path
    sidecar: Path
    network: str
    hyper: Mapping[str, Any]
    licence: str
    comparison: Comparison
    checks: tuple[str, ...]
    notes: tuple[str, ...]

    def table(self, every: bool = False) -> str:
        """Return files, table of tensors (see `Comparison.table`) and checks as text."""
        checks = (f"checked: {check}" for check in self.checks)
        return "\n".join([f"{self.source} -> {self.out}", self.comparison.table(every), *checks])


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
        ComparisonError: the source does not fit the network; it holds the table.
        WeightError: the source cannot be read or is of no known network; or the result is wrong.
    """
    source, out = Path(source), Path(out)
    _check_destination(source, out)
    net, found, comparison = _take_over(source, model, hyper or {}, drop_extra)
    network = found.network
    forward = _check_forward(source, net, network)
    _write(net, out)
    conversion = Conversion(
        source=source,
        out=out,
        sidecar=out.with_name(f"{out.name}.json"),
        network=network.name,
        hyper={**network.published, **found.hyper},
        licence=network.licence,
        comparison=comparison,
        checks=(forward, _check_file(net, out)),
        notes=_notes(found),
    )
    write_bytes(conversion.sidecar, json.dumps(_facts(conversion), indent=2).encode())
    return conversion


def _take_over(
    source: Path, model: str | None, hyper: Mapping[str, Any], drop_extra: bool
) -> tuple[nn.Cell, Guess, Comparison]:
    """Recognise the network of a file, build it and fill it."""
    content = read_weights(source)
    found = _find_network(source, content, model, hyper)
    net = found.network.build(**found.hyper)
    match, own = match_weights(content, net), published_names(net)
    entries, matched = match.entries, match.targets
    strangers = [name for name, target in matched.items() if target not in own]
    optional = [name for name in strangers if matched[name].startswith(found.network.optional)]
    parameters = dict(net.parameters_and_names())
    comparison = Comparison(
        source=source,
        network=found.network.name,
        differing=found.hyper,
        tensors=tuple(
            _tensor(name, target, entries[name], parameters[own[target]])
            for name, target in matched.items()
            if target in own
        ),
        extra=tuple(name for name in strangers if name not in optional),
        ignored=(*optional, *(name for name in entries if name not in matched)),
        origin=match.origin,
    )
    left_out = strangers if drop_extra else optional
    wanted = {target: entries[name] for name, target in matched.items() if name not in left_out}
    try:
        load_weights(net, wanted, label=f"{source}, taken for {found.network.name}")
    except MisfitError as misfit:
        raise _not_fitting(comparison, misfit) from misfit
    return net, found, comparison


def _not_fitting(comparison: Comparison, misfit: MisfitError) -> ComparisonError:
    """Return in one line how much does not fit and what to do about it, and put the rest in the table."""
    counts = {"missing": misfit.missing, "extra": misfit.extra, "of another shape": misfit.misshapen}
    differing = ", ".join(f"{len(names)} {kind}" for kind, names in counts.items() if names)
    origin = f"; this is probably {misfit.origin}" if misfit.origin else ""
    fix = "use --model NAME and --hyper KEY=VALUE of the network that it was saved from, or another file"
    if not (misfit.missing or misfit.misshapen or misfit.origin):
        fix = "--drop-extra leaves out what is extra"
    full = replace(
        comparison,
        tensors=tuple(tensor for tensor in comparison.tensors if tensor.name not in misfit.misshapen),
        missing=tuple(misfit.missing),
        misshapen=misfit.misshapen,
    )
    return ComparisonError(f"{full.source} does not fit {full.network}: {differing}{origin}; {fix}", full)


def _check_destination(source: Path, out: Path) -> None:
    if out.suffix.lower() not in (*SUFFIXES, *WRITABLE):
        raise WeightError(
            f"{out}: cannot convert to {out.suffix or 'a file without suffix'}; use {', '.join((*SUFFIXES, *WRITABLE))}"
        )
    if out.exists() and source.exists() and out.samefile(source):
        raise WeightError(f"{out}: is the file to convert; choose another name for the result")


def _find_network(source: Path, content: Mapping[str, Any], model: str | None, hyper: Mapping[str, Any]) -> Guess:
    """Recognise the network; what a run folder or an earlier conversion recorded beside the file adds to it."""
    hint = _hint(source)
    shapes, found = _recognised(source, content, hint, model)
    recorded, settings, _ = recorded_settings(source)
    if model is None and recorded in (found.network.name, *found.alternatives):
        found = guess(shapes, hint, recorded)
    if recorded == found.network.name:
        found = Guess(found.network, {**settings, **found.hyper})
    return Guess(found.network, {**found.hyper, **hyper}, () if model else found.alternatives)


def _recognised(
    source: Path, content: Mapping[str, Any], hint: str, model: str | None
) -> tuple[Mapping[str, tuple[int, ...]], Guess]:
    """Recognise the network by the first section whose names and shapes are those of one."""
    first: WeightError | None = None
    for section in sections_of(content):
        shapes = {name: tuple(value.shape) for name, value in section.entries.items() if is_tensor(value)}
        try:
            return shapes, guess(shapes, hint, model)
        except WeightError as error:
            first = first or error
    if model is None:
        raise WeightError(f"{source}: {first}") from first
    return {}, Guess(get_network(model), {})  # fails later, with a list of what differs


def recognised_network(source: PathLike, among: Collection[str] = ()) -> str | None:
    """Return the network whose names and shapes a weight file has; its hyper-parameters may be others.

    Args:
        source: weight file.
        among: networks that are meant, the likeliest first; none: any.

    Returns:
        Registered name; None where no network fits, several that are built alike do different things, or the file
        cannot be read, of which whoever loads it hears.
    """
    source = Path(source)
    try:
        _, found = _recognised(source, read_weights(source), _hint(source), None)
    except WeightError:
        return None
    fitting = [name for name in (found.network.name, *found.alternatives) if name in list_models()]
    if not among and len({model_spec(name).tasks for name in fitting}) != 1:
        return None
    return next((name for name in among or fitting if name in fitting), None)


def _hint(source: Path) -> str:
    return str(Path(*source.absolute().parts[-3:]))


def recorded_settings(source: PathLike) -> tuple[str | None, Mapping[str, Any], str | None]:
    """Return network, hyper-parameters and task that stand in the run's recipe or in a JSON file beside the weights.

    Args:
        source: weight file.

    Returns:
        Name of the network, or None when nothing is recorded; the hyper-parameters that differ from the published; and
        what the run was trained to remove, None where that is what the network was published for, or not known.

    Raises:
        WeightError: the JSON file is damaged.
    """
    source = Path(source)
    sidecar = source.with_name(f"{source.name}.json")
    if (source.parent / "recipe.yaml").is_file():
        model = load_recipe(source.parent).model
        return model.name, model.hyper, model.task
    if sidecar.is_file():
        try:
            facts = read_json(sidecar)
            return facts["network"], facts["differing"], facts.get("task")
        except (ValueError, KeyError, TypeError) as error:
            raise WeightError(f"{sidecar}: no record of a conversion ({error}); remove it or repeat that") from error
    return None, {}, None


def _check_forward(source: Path, net: nn.Cell, network: Network) -> str:
    """Run the network once on noise: weights of a damaged or foreign file rarely give finite numbers."""
    import mindspore as ms

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


def _check_file(net: nn.Cell, out: Path) -> str:
    """Read the written file back, and compare every value with that of the network."""
    names = published_names(net) if out.suffix.lower() in SUFFIXES else official_names(net)
    expected, found = dict(net.parameters_and_names()), set()
    for name, array in each_weight(out):
        if name not in names or not _same_bits(array, expected[names[name]].asnumpy()):
            raise WeightError(f"{out}: {name} came back with other values than were written; try another disk")
        found.add(name)
    if len(found) < len(names):
        raise WeightError(f"{out}: only {len(found)} of {len(names)} tensors came back; try another disk")
    return f"{out.name} read back, {len(names)} tensors equal bit for bit"


def _same_bits(written: Any, array: np.ndarray) -> bool:
    if not isinstance(written, np.ndarray) or (written.dtype, written.shape) != (array.dtype, array.shape):
        return False
    return np.array_equal(*(np.ascontiguousarray(values).reshape(-1).view(np.uint8) for values in (written, array)))


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
    """Return what the JSON file says."""
    source, comparison = conversion.source, conversion.comparison
    return {
        "file": conversion.out.name,
        "source": {"file": source.name, "bytes": source.stat().st_size, "sha256": sha256_of(source)},
        "network": conversion.network,
        "hyper": dict(conversion.hyper),
        "task": recorded_settings(source)[2],
        "differing": dict(comparison.differing),
        "licence": conversion.licence,
        "tensors": len(comparison.tensors),
        "origin": comparison.origin,
        "extra": list(comparison.extra),
        "left_out": list(comparison.ignored),
        "checks": list(conversion.checks),
    }
