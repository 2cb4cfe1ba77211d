"""Run exported files again: MINDIR with MindSpore, ONNX with onnxruntime."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.errors import first_line
from mindrestore.exporting.mindir import Kind, MindIRError, input_kind
from mindrestore.exporting.session import EngineError, not_running, open_session
from mindrestore.files import PathLike
from mindrestore.weights.wire import Steps, fields

Size = tuple[int, int]

# Fields of ModelProto, GraphProto, NodeProto and StringStringEntryProto
_GRAPH, _NODE, _OP_TYPE, _FUNCTIONS, _PROPERTIES, _KEY, _VALUE = 7, 1, 4, 25, 14, 1, 2
_BRANCHES = ("If", "Loop", "Scan")


class MindIREngine:
    """Run a MINDIR file of `export` with MindSpore.

    Args:
        path: The file.
        key: What it was encrypted with; None for a plain file.

    Attributes:
        size: (height, width) that it takes, in pixels; None: any, or known to an encrypted file alone.
        takes_uint8: It takes photographs (1, H, W, 3) instead of (1, 3, H, W) in [0,1].
        properties: What the file says about itself.

    Raises:
        EngineError: It is missing, not a MINDIR, or the key is another.
    """

    def __init__(self, path: PathLike, key: bytes | None = None) -> None:
        import mindspore as ms

        from mindrestore.models.cpu import silenced

        self.path, self.properties = _existing(path), {}
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
                self.cell = ms.nn.GraphCell(ms.load(str(self.path), **decrypt))
        except (RuntimeError, ValueError) as error:
            why = "it was encrypted with another key, or is damaged" if decrypt else first_line(error)
            raise EngineError(f"{self.path}: cannot be loaded: {why}") from error

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the graph on what it takes; sizes are the caller's duty."""
        import mindspore as ms

        try:
            return self.cell(ms.Tensor(images)).asnumpy()
        except (RuntimeError, ValueError, TypeError) as error:
            raise not_running(self.path, images.shape, error) from error


class OnnxEngine:
    """Run an ONNX file of `export`, or another of one image in and out, with onnxruntime.

    Args:
        path: The file.
        device: "CPU"; "GPU" and "Ascend" with an onnxruntime built for them.

    Attributes:
        size, takes_uint8, properties: As for `MindIREngine`.

    Raises:
        EngineError: It is missing or not ONNX, takes or returns something else than one image, holds loops, or
            onnxruntime does not know the device.
    """

    def __init__(self, path: PathLike, device: str = "CPU") -> None:
        self.path = _existing(path)
        _refuse_branches(self.path)
        try:
            self.session = open_session(self.path, device=device)
        except EngineError as error:
            raise EngineError(f"{self.path}: {error}") from error
        try:
            self.input, kind = _only_image(self.path, "takes", self.session.get_inputs())
            _only_image(self.path, "returns", self.session.get_outputs())
            self.properties: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        except ValueError as error:  # names that are not text
            raise EngineError(f"{self.path}: cannot be loaded: {first_line(error)}") from error
        self.takes_uint8, self.size = kind.dtype == "uint8", _fixed_size(kind)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the graph on what it takes; sizes are the caller's duty."""
        try:
            return self.session.run(None, {self.input: images})[0]
        except Exception as error:  # onnxruntime's own classes are generated and share no base
            raise not_running(self.path, images.shape, error) from error


def _only_image(path: Path, verb: str, ends: list[Any]) -> tuple[str, Kind]:
    """Return name and kind of the only input or output, which has to be an image."""
    listed = ", ".join(f"{end.name} {end.type} {end.shape}" for end in ends)
    wanted = "one image, tensor(float) [1, 3, height, width] or tensor(uint8) [1, height, width, 3]"
    if len(ends) == 1:
        shape = tuple(side if isinstance(side, int) else -1 for side in ends[0].shape)
        kind = Kind({"tensor(uint8)": "uint8", "tensor(float)": "float32"}.get(ends[0].type, ""), shape)
        channels = {"uint8": 3, "float32": 1}.get(kind.dtype)
        if channels and len(shape) == 4 and shape[0] in (1, -1) and shape[channels] in (3, -1):
            return ends[0].name, kind
    raise EngineError(f"{path}: {verb} {listed or 'nothing'}, not {wanted}; use a file of `mindrestore export`")


def onnx_properties(path: Path) -> dict[str, str]:
    """Read what an ONNX file says about itself, without loading it; nothing of a damaged one."""
    try:
        steps = Steps()
        entries = (value for number, value in fields(_mapped(path), steps) if number == _PROPERTIES)
        pairs = [dict(fields(entry, steps)) for entry in entries]
        return {bytes(pair[_KEY]).decode(): bytes(pair[_VALUE]).decode() for pair in pairs}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b"")


def _refuse_branches(path: Path) -> None:
    """Refuse graphs that could run for ever; networks for images are plain rows of operators."""
    data = _mapped(path)
    try:
        steps = Steps()
        model = list(fields(data, steps))
        graphs = [fields(value, steps) for number, value in model if number == _GRAPH]
        nodes = [value for graph in graphs for number, value in graph if number == _NODE]
        kinds = {bytes(value).decode() for node in nodes for number, value in fields(node, steps) if number == _OP_TYPE}
    except (ValueError, TypeError) as error:
        raise EngineError(f"{path}: cannot be loaded: it is damaged, or not an ONNX file ({error})") from error
    found = sorted(kinds.intersection(_BRANCHES)) or ["functions"] * any(number == _FUNCTIONS for number, _ in model)
    if found:
        raise EngineError(
            f"{path}: holds {', '.join(found)}, and might not end; use a file of `mindrestore export`, a plain row of "
            "operators"
        )


def _fixed_size(kind: Kind) -> Size | None:
    """Return height and width, None where they are free: of (N, 3, H, W), or of photographs (N, H, W, 3)."""
    sides = kind.shape[1:3] if kind.dtype == "uint8" else kind.shape[2:]
    return None if -1 in sides else tuple(sides)


def _existing(path: PathLike) -> Path:
    if not Path(path).is_file():
        raise EngineError(f"{path}: no such file; use one that `mindrestore export` wrote")
    return Path(path)
