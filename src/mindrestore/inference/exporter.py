"""Write a network as MINDIR, load the file again, and compare the two before it counts as exported."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.data.images import PathLike, write_bytes
from mindrestore.errors import MindRestoreError
from mindrestore.models.registry import create_model, model_spec
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel, exportable
from mindrestore.weights.convert import load_weights

_COMPARED_SIDE = 32  # pixels, at least: small, since two sizes through two networks must take seconds on a CPU

Size = tuple[int, int]


class ExportError(MindRestoreError):
    """Report a network that cannot be exported, or whose file computes something else."""


@dataclass(frozen=True)
class ExportReport:
    """Say what was written and how far it is from the network.

    Args:
        path: The file.
        size: (height, width) in pixels that it takes; None for any multiple of `multiple`.
        multiple: Heights and widths must be multiples of this.
        differences: Compared size -> largest absolute difference between file and network, images in [0,1].
        megabytes: Size of the file.
        seconds: Time for exporting, loading and comparing.
    """

    path: Path
    size: Size | None
    multiple: int
    differences: Mapping[Size, float]
    megabytes: float
    seconds: float

    @property
    def difference(self) -> float:
        """Largest difference at any compared size."""
        return max(self.differences.values())

    def __str__(self) -> str:
        taken = _text(self.size) if self.size else f"any height and width that are multiples of {self.multiple}"
        lines = [f"{self.path}: {self.megabytes:.1f} MB, RGB images in [0,1] of shape (1, 3, H, W), {taken}"]
        lines += [
            f"  reloaded and compared at {_text(s)}: largest difference {d:.1e}" for s, d in self.differences.items()
        ]
        return "\n".join(lines)


def export_model(
    model: str,
    weights: PathLike | Mapping[str, Any] | None,
    out: PathLike,
    *,
    format: str = "MINDIR",
    size: Size | None = None,
    hyper: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write a registered network that takes and gives one RGB image in [0,1].

    Args:
        model: Registered name.
        weights: Weight file or dict; None exports the initial weights.
        out: File to write, ending in .mindir.
        format: "MINDIR".
        size: Fixed (height, width) in pixels; None leaves both free.
        hyper: Hyper-parameters that differ from the defaults.

    Returns:
        The file and the differences measured after reloading it.

    Raises:
        ExportError: Format or size are not possible, or the reloaded file differs; no file is left then.
        WeightError: The weights do not fit.

    Example:
        >>> export_model("aecrnet", "best.ckpt", "aecrnet.mindir").difference < 1e-4
        True
    """
    if format.upper() != "MINDIR":
        raise ExportError(f"format {format!r} cannot be written; use MINDIR")
    spec = model_spec(model)
    _check_size(size, spec)  # before minutes are spent on building the network
    # Two networks of equal weights: making one exportable may replace its operators for good.
    net, reference = (create_model(model, **dict(hyper or {})) for _ in range(2))
    if weights is not None:
        load_weights(net, weights)
    load_weights(reference, dict(net.parameters_and_names()))
    return export_cell(exportable(net, spec), spec, out, reference=ImageModel(reference, spec), size=size)


def export_cell(
    cell: nn.Cell,
    spec: ModelSpec,
    out: PathLike,
    *,
    reference: nn.Cell | None = None,
    size: Size | None = None,
    tolerance: float = 1e-4,
) -> ExportReport:
    """Write one cell as MINDIR, reload it and compare it with a reference at two sizes (one when the size is fixed).

    Args:
        cell: Maps (1, 3, H, W) in [0,1] to the same shape.
        spec: Gives the size multiple and the smallest size.
        out: File to write, ending in .mindir.
        reference: What the file must compute; by default the cell itself.
        size: Fixed (height, width) in pixels; None leaves both free.
        tolerance: Largest absolute difference accepted.

    Returns:
        The file and the differences.

    Raises:
        ExportError: As `export_model`; an older file of that name stays when the new one is refused.

    Example:
        >>> export_cell(ImageModel(net, spec), spec, "net.mindir", size=(480, 640)).size
        (480, 640)
    """
    start = time.perf_counter()
    path = _target(out)
    _check_size(size, spec)
    reference = cell if reference is None else reference
    cell.set_train(False)
    reference.set_train(False)
    with tempfile.TemporaryDirectory() as scratch:  # MindSpore refuses blanks and accents in the path of its file
        temporary = Path(scratch) / "model.mindir"
        _write(cell, size, temporary, path)
        sizes = [size] if size else _compared_sizes(spec)
        differences = _compare(temporary, reference, sizes, path)
        if not max(differences.values()) <= tolerance:  # `not <=` also refuses NaN
            found = ", ".join(f"{difference:.1e} at {_text(at)}" for at, difference in differences.items())
            raise ExportError(
                f"{path}: the exported file differs by {found}, more than {tolerance:.0e}; it was deleted"
            )
        write_bytes(path, temporary.read_bytes())
    megabytes = path.stat().st_size / 1e6
    return ExportReport(path, size, spec.size_multiple, differences, megabytes, time.perf_counter() - start)


def _target(out: PathLike) -> Path:
    path = Path(out)
    if path.suffix != ".mindir":
        raise ExportError(f"{path}: MindSpore gives its files the suffix .mindir; name it {path.stem}.mindir")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{path.parent}: cannot be made ({error.strerror}); choose another folder") from error
    return path


def _check_size(size: Size | None, spec: ModelSpec) -> None:
    if size is None:
        return
    for side, name in zip(size, ("height", "width")):
        if side % spec.size_multiple or side < max(spec.min_size, 1):
            multiple = spec.size_multiple
            nearest = max(-(-side // multiple), -(-spec.min_size // multiple), 1) * multiple
            raise ExportError(
                f"{name} {side} is not possible: {spec.name} takes multiples of {multiple} "
                f"from {max(spec.min_size, 1)} on; use {nearest}"
            )


def _write(cell: nn.Cell, size: Size | None, temporary: Path, path: Path) -> None:
    if size is None:
        example = ms.Tensor(shape=(1, 3, None, None), dtype=ms.float32)
    else:
        example = ms.Tensor(np.zeros((1, 3, *size), np.float32))
    try:
        ms.export(cell, example, file_name=str(temporary), file_format="MINDIR")
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}); check the folder and the disk") from error
    except Exception as error:  # the graph compiler raises whatever fits the Python that it cannot compile
        hint = "" if size else "; a fixed size may work, as in --size 480x640"
        raise ExportError(f"{path}: MindSpore cannot export this network ({_first_line(error)}){hint}") from error


def _compare(temporary: Path, reference: nn.Cell, sizes: list[Size], path: Path) -> dict[Size, float]:
    try:
        loaded = nn.GraphCell(ms.load(str(temporary)))
        differences = {}
        for number, (height, width) in enumerate(sizes):
            image = np.random.default_rng(number).random((1, 3, height, width), np.float32)
            expected = reference(ms.Tensor(image)).asnumpy()
            given = loaded(ms.Tensor(image)).asnumpy()
            same_shape = given.shape == expected.shape
            differences[height, width] = float(np.abs(given - expected).max()) if same_shape else float("inf")
    except (RuntimeError, ValueError, TypeError) as error:
        raise ExportError(f"{path}: the exported file does not run ({_first_line(error)}); it was deleted") from error
    return differences


def _compared_sizes(spec: ModelSpec) -> list[Size]:
    """Give two sizes that differ in both sides, neither of them square."""
    multiple = spec.size_multiple
    least = -(-max(spec.min_size, _COMPARED_SIDE) // multiple) * multiple
    return [(least, least + multiple), (least + 3 * multiple, least + 2 * multiple)]


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
