"""What computes an image: a network in MindSpore, or an exported file in MindSpore or onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.engine import context
from mindrestore.errors import MindRestoreError, first_line
from mindrestore.files import PathLike
from mindrestore.inference.mindir import Kind, MindIRError, input_kind
from mindrestore.inference.onnx_graph import require
from mindrestore.models.cpu import silenced
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel

ENGINES = ("mindspore", "mindir", "onnx")
SUFFIXES = {"mindir": ".mindir", "onnx": ".onnx"}

Size = tuple[int, int]

_PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider"}


class EngineError(MindRestoreError):
    """Report an exported file that cannot be run, or not in this way."""


class CellEngine:
    """Run a network of this process.

    Args:
        net: A registered network.
        spec: Its description.
    """

    size: Size | None = None

    def __init__(self, net: nn.Cell, spec: ModelSpec) -> None:
        self.net, self.spec = net, spec
        self._forwards: dict[tuple, Callable[[ms.Tensor], ms.Tensor]] = {}

    def run(self, batch: np.ndarray, *, repeats: bool = False, compiled: bool = True) -> np.ndarray:
        """Restore images.

        Args:
            batch: (N, 3, H, W) in [0,1].
            repeats: More of this size follow, as tiles do: compile for it alone.
            compiled: Compile; for all sizes at once, unless one repeats.

        Returns:
            (N, 3, H, W) float32.
        """
        key = () if not compiled else batch.shape if repeats else batch.shape[:1]
        if key not in self._forwards:
            self._forwards[key] = self._forward(key)
        return self._forwards[key](ms.Tensor(batch)).asnumpy()

    def _forward(self, key: tuple[int, ...]) -> Callable[[ms.Tensor], ms.Tensor]:
        model = ImageModel(self.net, self.spec).set_train(False)
        if not key:
            return model
        if len(key) == 1:  # seconds at the first image, then every size runs through the same graph
            model.set_inputs(ms.Tensor(shape=(*key, 3, None, None), dtype=ms.float32))
        return ms.jit(model)  # for one size: as fast or faster, and less than half the memory with AECR-Net


class MindIREngine:
    """Run a MINDIR file of `export` with MindSpore.

    Args:
        path: The file.
        key: What it was encrypted with; None for a plain file.

    Raises:
        EngineError: It is missing, no MINDIR, or the key is another.
    """

    def __init__(self, path: PathLike, key: bytes | None = None) -> None:
        self.path = _existing(path)
        kind, encrypted = None, False
        try:
            kind = input_kind(self.path.read_bytes())
        except MindIRError as error:
            if key is None:
                raise EngineError(f"{self.path}: {error}; one that is encrypted needs its key") from error
            encrypted = True
        self.size = None if kind is None else _fixed_size(kind)  # of an encrypted one only running it tells
        self.takes_uint8 = kind is not None and kind.dtype == "uint8"
        decrypt = {"dec_key": key, "dec_mode": "AES-GCM"} if encrypted else {}
        try:
            with silenced(2):  # native code prints five lines of its own
                self.cell = nn.GraphCell(ms.load(str(self.path), **decrypt))
        except (RuntimeError, ValueError) as error:
            why = "it was encrypted with another key, or is damaged" if decrypt else first_line(error)
            raise EngineError(f"{self.path}: cannot be loaded: {why}") from error

    def run(self, images: np.ndarray, *, repeats: bool = False, compiled: bool = True) -> np.ndarray:
        """Run the graph on what it takes; sizes are the caller's duty."""
        try:
            return self.cell(ms.Tensor(images)).asnumpy()
        except (RuntimeError, ValueError, TypeError) as error:
            raise EngineError(f"{self.path}: does not run on {images.shape}: {first_line(error)}") from error


class OnnxEngine:
    """Run an ONNX file of `export` with onnxruntime.

    Args:
        path: The file.
        device: "auto" or "CPU"; "GPU" and "Ascend" with an onnxruntime built for them.

    Raises:
        EngineError: It is missing or no ONNX, or onnxruntime does not know the device.
        OnnxError: onnxruntime is not installed.
    """

    def __init__(self, path: PathLike, device: str = "auto") -> None:
        self.path = _existing(path)
        runtime = require("onnxruntime")
        provider = _PROVIDERS["CPU" if device == "auto" else device]
        if provider not in runtime.get_available_providers():
            raise EngineError(f"this onnxruntime has no {provider}; install the one for {device}, or use device CPU")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; they come as exceptions, too
        try:
            self.session = runtime.InferenceSession(str(self.path), options, providers=[provider])
        except Exception as error:  # onnxruntime's own classes are generated and share no base
            raise EngineError(f"{self.path}: cannot be loaded: {first_line(error)}") from error
        (self.input,) = self.session.get_inputs()
        self.takes_uint8 = self.input.type == "tensor(uint8)"
        free = (side if isinstance(side, int) else -1 for side in self.input.shape)
        self.size = _fixed_size(Kind("uint8" if self.takes_uint8 else "float32", tuple(free)))
        self.properties: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)

    def run(self, images: np.ndarray, *, repeats: bool = False, compiled: bool = True) -> np.ndarray:
        """Run the graph on what it takes; sizes are the caller's duty."""
        try:
            return self.session.run(None, {self.input.name: images})[0]
        except Exception as error:  # see above
            raise EngineError(f"{self.path}: does not run on {images.shape}: {first_line(error)}") from error


Engine = Union[CellEngine, MindIREngine, OnnxEngine]


def engine_of(engine: str | None, weights: Any) -> str:
    """Choose an engine: the one asked for, else by the suffix of the file.

    Raises:
        EngineError: There is no such engine, or the file is another's.
    """
    if engine is not None and engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
    suffix = Path(weights).suffix if isinstance(weights, (str, Path)) else ""
    usual = next((name for name, own in SUFFIXES.items() if own == suffix), "mindspore")
    if engine not in (None, usual):
        wanted = f"a file {SUFFIXES[engine]} of `mindrestore export`" if engine in SUFFIXES else "weights"
        raise EngineError(f"engine {engine} takes {wanted}, not {weights if suffix else 'weights'}")
    return usual


def open_engine(kind: str, path: PathLike, model: str, device: str, key: bytes | None) -> MindIREngine | OnnxEngine:
    """Open an exported file for images of floating-point pixels.

    Args:
        kind: "mindir" or "onnx".
        path: The file.
        model: Registered name of the network that it should hold.
        device: As for `Restorer`.
        key: For an encrypted MINDIR.

    Raises:
        EngineError: The file cannot be used; or holds another network, as far as it says; or takes uint8.
    """
    if kind == "onnx":
        engine: MindIREngine | OnnxEngine = OnnxEngine(path, device)
        held = engine.properties.get("model", model)
        if held != model:
            raise EngineError(f"{path}: holds {held}, not {model}; give that name")
    else:
        context.setup(device, mode="pynative")
        engine = MindIREngine(path, key)
    if engine.takes_uint8:
        raise EngineError(f"{path}: takes whole photographs by itself; for this, export without --uint8")
    return engine


def _fixed_size(kind: Kind) -> Size | None:
    """Return height and width, None where they are free: of (N, 3, H, W), or of photographs (N, H, W, 3)."""
    sides = kind.shape[1:3] if kind.dtype == "uint8" else kind.shape[2:]
    return None if -1 in sides else tuple(sides)


def _existing(path: PathLike) -> Path:
    if not Path(path).is_file():
        raise EngineError(f"{path}: no such file; give one that `mindrestore export` wrote")
    return Path(path)
