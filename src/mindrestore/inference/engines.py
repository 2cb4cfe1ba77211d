"""What computes an image: a function from (N, 3, H, W) float32 in [0, 1] to the same.

On CPU that is onnxruntime with the graph of the network and the values of a weight file; MindSpore is not imported.
MindSpore runs networks on Ascend and GPU, networks that a caller hands over, and where it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Protocol, Union

import numpy as np

from mindrestore.exporting.graph_file import NetworkGraph
from mindrestore.exporting.graphs import graph_for
from mindrestore.exporting.reload import MindIREngine, OnnxEngine
from mindrestore.exporting.session import EngineError, not_running, open_session
from mindrestore.files import PathLike
from mindrestore.inference.devices import wants_card
from mindrestore.models.spec import ModelSpec
from mindrestore.weights.convert import fitting_arrays
from mindrestore.weights.files import read_weights

ENGINES = ("onnx", "mindspore", "mindir")
SUFFIXES = {"mindir": ".mindir", "onnx": ".onnx"}  # of exported files

Size = tuple[int, int]
Weights = Union[PathLike, Mapping[str, Any], None]


class Engine(Protocol):
    """A network with its weights in it.

    Attributes:
        size: (height, width) in pixels that it takes; None: any that the network takes.
        pixel_bytes: Memory that it takes per pixel of the images that run together (bytes).
    """

    size: Size | None
    pixel_bytes: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Restore images.

        Args:
            images: (N, 3, H, W) float32 RGB in [0, 1], of a size that the network takes.

        Returns:
            (N, 3, H, W) float32 in [0, 1].

        Raises:
            EngineError: The result holds NaN or infinite values, or the engine refuses the images.
        """


def open_engine(
    spec: ModelSpec,
    weights: Weights = None,
    *,
    hyper: Mapping[str, Any] | None = None,
    engine: str | None = None,
    device: str = "auto",
    key: bytes | None = None,
    tell: Callable[[str], None] | None = None,
) -> Engine:
    """Open what computes images with given weights.

    Args:
        spec: Description of a registered network; for an exported file, of any.
        weights: Weight file or dict; or a file of `export`; None: initial weights, which MindSpore draws.
        hyper: Hyper-parameters that differ from the published ones.
        engine: "onnx" runs on onnxruntime, "mindspore" the network itself, "mindir" a file of that kind with MindSpore.
            None: by the suffix of an exported file; else MindSpore where there is a card, and onnxruntime elsewhere.
        device: "auto", "CPU", "GPU" or "Ascend".
        key: Of an encrypted MINDIR.
        tell: Takes a line that says what takes time; by default it goes to standard error.

    Returns:
        The engine; for a network that a caller has, see `CellEngine`.

    Raises:
        EngineError: There is no such engine, it does not fit the weights, or an exported file cannot be used.
        WeightError: The weights do not fit, or hold values that are not finite.
        DeviceError: The device is not there.
    """
    kind = engine_of(engine, weights, device)
    suffix = Path(weights).suffix if isinstance(weights, (str, Path)) else ""
    if suffix in SUFFIXES.values():
        return ExportedEngine(spec, weights, device, key)
    if kind == "mindspore":
        from mindrestore.inference.cell_engine import network_engine

        return network_engine(spec, weights, hyper, device, tell)
    return GraphEngine(spec, weights, hyper, tell)


def engine_of(engine: str | None, weights: Weights, device: str = "auto") -> str:
    """Choose an engine: the one asked for, else by the suffix of the file, the device, and what is there.

    Raises:
        EngineError: There is no such engine, or the file is another's.
    """
    if engine is not None and engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
    suffix = Path(weights).suffix if isinstance(weights, (str, Path)) else ""
    exported = next((name for name, own in SUFFIXES.items() if own == suffix), None)
    if exported or engine == "mindir":
        if engine not in (None, exported):
            wanted = "a file .mindir of `mindrestore export`" if engine == "mindir" else "weights"
            raise EngineError(f"engine {engine} takes {wanted}, not {weights if suffix else 'weights'}")
        return exported
    if engine is None:
        return "mindspore" if weights is None or wants_card(device) else "onnx"
    if engine == "onnx" and weights is None:
        raise EngineError("engine onnx needs weights; only engine mindspore draws initial ones")
    return engine


class GraphEngine:
    """Run a network on onnxruntime: its graph, filled with the values of a weight file.

    Args:
        spec: Description of a registered network.
        weights: Weight file or dict.
        hyper: Hyper-parameters that differ from the published ones.
        tell: Takes a line when the graph has to be made first.

    Raises:
        EngineError: The graph has to be made, and cannot be.
        WeightError: The weights do not fit, or hold values that are not finite.
    """

    size: Size | None = None

    def __init__(
        self,
        spec: ModelSpec,
        weights: PathLike | Mapping[str, Any],
        hyper: Mapping[str, Any] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.name, self.pixel_bytes = spec.name, spec.pixel_bytes
        given = isinstance(weights, Mapping)
        entries = weights if given else read_weights(weights)  # first: making a graph may take a minute
        graph = graph_for(spec.name, hyper, tell)
        self.label = "this set of weights" if given else str(weights)
        self.session = open_session(graph.model, _values(graph, entries, self.label))
        (self.input,) = (entry.name for entry in self.session.get_inputs())

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Engine`; images go through one by one, which costs no time on CPU and saves memory."""
        try:
            return _finite(np.concatenate([self._one(images[i : i + 1]) for i in range(len(images))]), self.label)
        except EngineError:
            raise
        except Exception as error:  # onnxruntime's own classes are generated and share no base
            raise not_running(self.name, images.shape, error) from error

    def _one(self, image: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.input: np.ascontiguousarray(image, np.float32)})[0]


class ExportedEngine:
    """Run a file of `export` that takes floating-point pixels.

    Args:
        spec: Description of the network that it holds.
        path: The file, .mindir or .onnx.
        device: As for `open_engine`.
        key: For an encrypted MINDIR.

    Raises:
        EngineError: The file cannot be used; or holds another network, as far as it says; or takes uint8.
        DeviceError: The device is not there.
    """

    def __init__(self, spec: ModelSpec, path: PathLike, device: str = "auto", key: bytes | None = None) -> None:
        self.path, self.pixel_bytes = Path(path), spec.pixel_bytes
        if self.path.suffix == ".onnx":
            self.file: OnnxEngine | MindIREngine = OnnxEngine(path, "CPU" if device == "auto" else device)
        else:
            from mindrestore.engine import context

            context.setup(device, mode="pynative")
            self.file, self.pixel_bytes = MindIREngine(path, key), spec.cell_bytes
        held = self.file.properties.get("model", spec.name)
        if held != spec.name:
            raise EngineError(f"{path}: holds {held}, not {spec.name}; use that name")
        if self.file.takes_uint8:
            raise EngineError(f"{path}: takes whole photographs by itself; for this, export without --uint8")
        self.size = self.file.size

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Engine`; images go through one by one."""
        restored = []
        for image in images:
            result = self.file(np.ascontiguousarray(image[None], np.float32))
            if result.shape != (1, *image.shape):
                raise EngineError(f"{self.path}: makes {result.shape} of {(1, *image.shape)}; use a file of one image")
            restored.append(result)
        return np.clip(_finite(np.concatenate(restored), str(self.path)), 0, 1)


def _values(graph: NetworkGraph, entries: Mapping[str, Any], label: str) -> dict[str, np.ndarray]:
    """Take the values that a graph needs, in its own type."""
    arrays, _ = fitting_arrays(graph.layout, entries, label=label)
    parameters = graph.layout.names  # a tensor that is shared may stand in the graph under any of its names
    return {name: np.asarray(arrays[parameters[name]], np.float32) for name in graph.reads}


def _finite(images: np.ndarray, source: str) -> np.ndarray:
    if not np.isfinite(images).all():
        raise EngineError(
            f"{source}: the result holds NaN or infinite values; the weights are damaged or belong to another network"
        )
    return images
