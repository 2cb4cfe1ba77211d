"""Graphs without weights: found in the package or in the cache, else made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mindrestore import models
from mindrestore.errors import MindRestoreError
from mindrestore.exporting.graph_file import FORMAT, NetworkGraph
from mindrestore.exporting.session import EngineError
from mindrestore.files import write_bytes
from mindrestore.models.registry import builder_name, full_hyper, list_models, model_spec
from mindrestore.weights.download import cache_folder
from mindrestore.weights.shipped import list_shipped

FOLDER = Path(models.__file__).parent / "graphs"
SAMPLES = FOLDER / "samples.json"
KEPT = 64  # graphs in the cache; those unused for longest go first

Tell = Callable[[str], None]


class Sample(NamedTuple):
    """A small form of a network, and what its graph was when the included graphs were made.

    Attributes:
        network: Registered name.
        hyper: Hyper-parameters of the small form.
        digest: Of its graph; it changes with every layer, wrapper or ONNX form that the network uses.
    """

    network: str
    hyper: Mapping[str, Any]
    digest: str


@cache
def read_samples() -> tuple[Sample, ...]:
    """Read the samples of all networks, which say whether graphs in the package and in caches are still theirs."""
    return tuple(Sample(**entry) for entry in json.loads(SAMPLES.read_text(encoding="utf-8")))


def graph_for(name: str, hyper: Mapping[str, Any] | None = None, tell: Tell | None = None) -> NetworkGraph:
    """Return the graph of a network: of the package, of the cache, else made now, which needs MindSpore and seconds.

    Args:
        name: Registered name.
        hyper: Hyper-parameters that differ from the published ones.
        tell: Takes a line that says what takes time, or cannot be kept; by default standard error does.

    Raises:
        ModelError: Unknown name or hyper-parameter.
        EngineError: It has to be made, and cannot be.
    """
    key, tell = graph_key(name, hyper), tell or to_stderr
    # Without a digest the name of a file would not tell the graph of a network from that before its last change.
    cached = cache_folder() / "graphs" / key if _digests(name) else None
    for path in filter(None, (FOLDER / key, cached)):
        try:
            graph = NetworkGraph.of_bytes(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            tell(f"{path}: cannot be used ({getattr(error, 'strerror', None) or error}); the graph is made again")
            continue
        _touch(path)
        return graph
    return _made(name, hyper, cached, tell)


def graph_key(name: str, hyper: Mapping[str, Any] | None = None) -> str:
    """Name the file of a graph after what its content depends on.

    Args:
        name: Registered name.
        hyper: Hyper-parameters that differ from the published ones; those that only training depends on do not count.

    Returns:
        Name of the file; equal for registered names that are built alike. Another one when the layers have changed.
    """
    spec, builder = model_spec(name), builder_name(name)
    settings = {**full_hyper(name, hyper), **{key: spec.hyper[key] for key in spec.training_only}}
    facts = (FORMAT, builder, _digests(name), _plain(settings), _plain(spec.value_range), _plain(spec.output_index))
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{builder.partition('.')[2].lower()}-{digest[:12]}.zip"


def _digests(name: str) -> list[str]:
    """List the digests of the samples of a network's class; none says that it is still being written."""
    builder = builder_name(name)
    return [found.digest for found in read_samples() if found.digest and builder_name(found.network) == builder]


def shipped_settings() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """List the graphs that belong into the package: of every registered network, and of all included weights.

    Returns:
        Name of the file -> registered name and hyper-parameters.
    """
    wanted = [(name, {}) for name in list_models()]
    wanted += [(card.network, card.hyper) for card in list_shipped()]
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, hyper in wanted:
        found.setdefault(graph_key(name, hyper), (name, hyper))
    return found


def _made(name: str, hyper: Mapping[str, Any] | None, path: Path | None, tell: Tell) -> NetworkGraph:
    start = time.perf_counter()
    tell(f"making the graph of {name} with these hyper-parameters, once; this takes some 10 to 60 seconds")
    try:
        from mindrestore.exporting.weightless import build_graph
    except ImportError as error:
        raise EngineError(
            f"the graph of {name} with these hyper-parameters has to be made first, which needs MindSpore ({error}); "
            "install it, or give weights of the published size"
        ) from error
    graph = build_graph(name, hyper)
    took = time.perf_counter() - start
    if path is None:
        tell(f"made in {took:.0f} s, but not kept: {name} is new; `python scripts/rebuild_graphs.py --write` keeps it")
        return graph
    try:
        write_bytes(path, graph.to_bytes())
        _prune(path.parent)
        tell(f"made in {took:.0f} s and kept as {path}")
    except (MindRestoreError, OSError) as error:
        tell(f"made in {took:.0f} s, but not kept for the next time: {error}")
    return graph


def _prune(folder: Path) -> None:
    """Delete the graphs that were not used for longest."""
    graphs = sorted(folder.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in graphs[KEPT:]:
        path.unlink(missing_ok=True)


def _touch(path: Path) -> None:
    if path.parent != FOLDER and os.access(path, os.W_OK):
        os.utime(path)


def _plain(value: Any) -> Any:
    """Write values so that those a network takes for equal are: 1/4 and 0.25, 24 and 24.0, lists and tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return value


def to_stderr(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)
