"""Graphs without weights: one per network and hyper-parameters, in the package or made once and kept.

A graph is an ONNX model whose parameters have names and shapes and no values; whoever opens a session gives these. It
takes and returns one image in [0, 1]. A file of one is a zip archive: `graph.onnx`, and in `layout.json` what the
network's parameters are called in weight files.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrestore import models
from mindrestore.errors import MindRestoreError
from mindrestore.exporting.session import EngineError
from mindrestore.files import write_bytes
from mindrestore.models.registry import builder_name, full_hyper, list_models, model_spec
from mindrestore.weights.download import cache_folder
from mindrestore.weights.layout import Layout
from mindrestore.weights.shipped import list_shipped

FOLDER = Path(models.__file__).parent / "graphs"
FORMAT = 1  # of the files and of the operators in them; another number makes all graphs in caches anew
KEPT = 64  # graphs in the cache; those unused for longest go first

_MODEL, _LAYOUT = "graph.onnx", "layout.json"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Graph:
    """A network as ONNX, without the values of its parameters.

    Attributes:
        model: ONNX; takes (1, 3, H, W) float32 in [0, 1] and returns the same.
        layout: What weight files have to hold.
        reads: The parameters that the model reads; some stand in weight files only.
    """

    model: bytes
    layout: Layout
    reads: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        facts = {"format": FORMAT, "layout": self.layout.facts(), "reads": self.reads}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr(_entry(_MODEL), self.model)
            archive.writestr(_entry(_LAYOUT), json.dumps(facts, sort_keys=True))
        return buffer.getvalue()

    @classmethod
    def of_bytes(cls, data: bytes) -> Graph:
        """Read what `to_bytes` returned.

        Raises:
            ValueError: It is something else, or damaged.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                facts = json.loads(archive.read(_LAYOUT))
                return cls(archive.read(_MODEL), Layout.of_facts(facts["layout"]), tuple(facts["reads"]))
        except Exception as error:  # zipfile and lzma raise half a dozen kinds on damaged archives
            raise ValueError(f"no graph ({type(error).__name__})") from error


def graph_for(name: str, hyper: Mapping[str, Any] | None = None, tell: Tell | None = None) -> Graph:
    """Return the graph of a network: of the package, of the cache, else made now, which needs MindSpore and seconds.

    Args:
        name: Registered name.
        hyper: Hyper-parameters that differ from the published ones.
        tell: Takes a line that says what takes time, or cannot be kept; by default standard error does.

    Raises:
        ModelError: Unknown name or hyper-parameter.
        EngineError: It has to be made, and cannot be.
    """
    key, tell = graph_key(name, hyper), tell or _to_stderr
    for path in (FOLDER / key, cache_folder() / "graphs" / key):
        try:
            graph = Graph.of_bytes(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            tell(f"{path}: cannot be used ({getattr(error, 'strerror', None) or error}); the graph is made again")
            continue
        _touch(path)
        return graph
    return _made(name, hyper, path, tell)


def graph_key(name: str, hyper: Mapping[str, Any] | None = None) -> str:
    """Name the file of a graph after what its content depends on.

    Args:
        name: Registered name.
        hyper: Hyper-parameters that differ from the published ones; those that only training depends on do not count.

    Returns:
        Name of the file; equal for registered names that are built alike.
    """
    spec = model_spec(name)
    settings = {**full_hyper(name, hyper), **{key: spec.hyper[key] for key in spec.training_only}}
    facts = (FORMAT, builder_name(name), _plain(settings), _plain(spec.value_range), _plain(spec.output_index))
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{builder_name(name).partition('.')[2].lower()}-{digest[:12]}.zip"


def shipped_settings() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """List the graphs that belong into the package: of every registered network, and of all weights that ship.

    Returns:
        Name of the file -> registered name and hyper-parameters.
    """
    wanted = [(name, {}) for name in list_models()]
    wanted += [(card.network, card.hyper) for card in list_shipped()]
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, hyper in wanted:
        found.setdefault(graph_key(name, hyper), (name, hyper))
    return found


def _made(name: str, hyper: Mapping[str, Any] | None, path: Path, tell: Tell) -> Graph:
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


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_LZMA
    return entry


def _plain(value: Any) -> Any:
    """Write values so that those a network takes for equal are: 1/4 and 0.25, 24 and 24.0, lists and tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return value


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
