"""Write a network as MINDIR, ONNX or AIR, load the file again, and compare the two before it counts as exported."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.errors import first_line
from mindrestore.exporting.classic import in_classic_operators
from mindrestore.exporting.form import TARGETS, ExportError, ExportReport, Form, Size, size_text
from mindrestore.exporting.onnx_file import to_onnx
from mindrestore.exporting.photo_model import PhotoModel
from mindrestore.exporting.reload import EngineError, MindIREngine, OnnxEngine
from mindrestore.files import PathLike, write_bytes
from mindrestore.models.layers import DeformConv2d, current_device, in_form
from mindrestore.models.registry import create_model, model_spec
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel
from mindrestore.weights.convert import load_weights

_COMPARED_SIDE = 32  # pixels, at least: small, since two sizes through two networks must take seconds on a CPU
_ONE_LEVEL = 1.01 / 255  # two roundings of nearly the same number


def export_model(
    model: str,
    weights: PathLike | Mapping[str, Any] | None,
    out: PathLike,
    *,
    form: Form | None = None,
    hyper: Mapping[str, Any] | None = None,
    task: str | None = None,
) -> ExportReport:
    """Write a registered network that takes and gives one RGB image.

    Args:
        model: Registered name.
        weights: Weight file or dict; None exports the initial weights.
        out: File to write, with the suffix of the format.
        form: Format, size, type of the pixels; by default MINDIR of free size in [0,1].
        hyper: Hyper-parameters that differ from the defaults.
        task: What the weights remove, where that is not what the network was published for.

    Returns:
        The file and the differences measured after reloading it.

    Raises:
        ExportError: The form is not possible, or the reloaded file differs; no file is left then.
        WeightError: The weights do not fit.
    """
    spec, form = model_spec(model), form or Form()
    _check_possible(form, spec)  # before minutes are spent on building the network
    net = create_model(model, **dict(hyper or {}))
    if weights is not None:
        load_weights(net, weights)
    return export_cell(ImageModel(net, spec), spec, out, form=form, task=task)


def export_cell(
    cell: nn.Cell,
    spec: ModelSpec,
    out: PathLike,
    *,
    reference: nn.Cell | None = None,
    form: Form | None = None,
    tolerance: float = 1e-4,
    task: str | None = None,
) -> ExportReport:
    """Write one cell, reload it and compare it with a reference at two sizes (one when the size is fixed).

    The file holds the layers in the form of its target; afterwards the cell has the form it had before.

    Args:
        cell: Maps (1, 3, H, W) in [0,1] to the same shape.
        spec: Gives the name, the size multiple and the smallest size.
        out: File to write, with the suffix of the format.
        reference: What the file must compute; by default the cell itself, in its own form.
        form: Format, size, type of the pixels; by default MINDIR of free size in [0,1].
        tolerance: Largest absolute difference accepted; of 8-bit photographs, one level is.
        task: What it removes, for a file that can say so; None: nobody knows.

    Returns:
        The file and the differences.

    Raises:
        ExportError: As `export_model`; an older file of that name stays when the new one is refused.
    """
    start, form = time.perf_counter(), form or Form()
    _check_possible(form, spec)
    path = form.file(out)
    reference = cell if reference is None else reference
    cell.set_train(False)
    reference.set_train(False)
    with tempfile.TemporaryDirectory() as scratch:  # MindSpore refuses blanks and accents in the path of its file
        temporary = Path(scratch) / f"model{path.suffix}"
        try:
            with in_form(cell, form.layers):
                said = {"model": spec.name, **({"task": task} if task else {})}
                _write(PhotoModel(cell, spec) if form.uint8 else _Anew(cell), said, form, temporary)
        except OSError as error:
            raise ExportError(f"{path}: cannot be written ({error.strerror}); check the folder and the disk") from error
        except ExportError as error:
            raise ExportError(f"{path}: {error}") from error
        differences = {} if form.format == "AIR" else _compare(temporary, reference, spec, form, path)
        if differences and not max(differences.values()) <= (_ONE_LEVEL if form.uint8 else tolerance):  # refuses NaN
            found = ", ".join(f"{difference:.1e} at {size_text(at)}" for at, difference in differences.items())
            raise ExportError(
                f"{path}: the exported file differs by {found}, more than {tolerance:.0e}; it was deleted"
            )
        write_bytes(path, temporary.read_bytes())
    seconds = time.perf_counter() - start
    notes = _notes(cell, form)
    return ExportReport(path, form, spec.size_multiple, differences, path.stat().st_size / 1e6, seconds, notes)


class _Anew(nn.Cell):
    """Let a cell be compiled once more: MindSpore keeps what it made of it, in the form of an earlier export."""

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.cell(x)


def _check_possible(form: Form, spec: ModelSpec) -> None:
    form.check_size(spec)
    if form.format == "AIR" and current_device() != "Ascend":
        raise ExportError("AIR can be written on Ascend only; export MINDIR here, which Ascend's converter reads, too")


def _notes(cell: nn.Cell, form: Form) -> tuple[str, ...]:
    deformable = any(isinstance(part, DeformConv2d) for _, part in cell.cells_and_names())
    if not deformable or form.layers != TARGETS["ascend"]:
        return ()
    if form.size is None:
        return (
            "its deformable layers sample by gathers: MindSpore's operator for them takes one image size only, as "
            "with --size 480x640",
        )
    return ("its deformable layers are MindSpore's DeformableOffsets, slow on a CPU; --target cpu gathers",)


def _write(cell: nn.Cell, said: Mapping[str, str], form: Form, temporary: Path) -> None:
    """Write a cell; ONNX by way of MINDIR, with what it says of itself."""
    height, width = form.size or (None, None)
    shape = (1, height, width, 3) if form.uint8 else (1, 3, height, width)
    if form.size:
        example = ms.Tensor(np.zeros(shape, np.uint8 if form.uint8 else np.float32))
    else:
        example = ms.Tensor(shape=shape, dtype=ms.uint8 if form.uint8 else ms.float32)
    graph = temporary.with_suffix(".mindir") if form.format == "ONNX" else temporary
    encrypt = {} if form.key is None else {"enc_key": form.key, "enc_mode": "AES-GCM"}
    written = "AIR" if form.format == "AIR" else "MINDIR"
    try:
        ms.export(cell, example, file_name=str(graph), file_format=written, **encrypt)
    except OSError:
        raise
    except Exception as error:  # the graph compiler raises whatever fits the Python that it cannot compile
        hint = "" if form.size else "; a fixed size may work, as in --size 480x640"
        raise ExportError(f"MindSpore cannot export this network ({first_line(error)}){hint}") from error
    if form.format == "MINDIR" and form.key is None:
        write_bytes(graph, in_classic_operators(graph.read_bytes()))
    if form.format == "ONNX":
        temporary.write_bytes(to_onnx(graph.read_bytes(), said).content)


def _compare(temporary: Path, reference: nn.Cell, spec: ModelSpec, form: Form, path: Path) -> dict[Size, float]:
    expected_of = PhotoModel(reference, spec).set_train(False) if form.uint8 else reference
    differences = {}
    try:
        engine = OnnxEngine(temporary) if form.format == "ONNX" else MindIREngine(temporary, form.key)
        for number, size in enumerate([form.size] if form.size else _compared_sizes(spec, form)):
            rng = np.random.default_rng(number)
            image = (
                rng.integers(0, 256, (1, *size, 3), np.uint8) if form.uint8 else rng.random((1, 3, *size), np.float32)
            )
            restored = expected_of(ms.Tensor(image)).asnumpy(), engine(image)
            expected, given = (array.astype(np.float32) for array in restored)
            unit = 255 if form.uint8 else 1
            same_shape = given.shape == expected.shape
            differences[size] = float(np.abs(given - expected).max()) / unit if same_shape else float("inf")
    except EngineError as error:
        raise ExportError(f"{path}: the exported file does not run ({error}); it was deleted") from error
    return differences


def _compared_sizes(spec: ModelSpec, form: Form) -> list[Size]:
    """Return two sizes that differ in both sides, neither square; for photographs, odd ones that need padding."""
    multiple, least = spec.size_multiple, spec.fitting_side(_COMPARED_SIDE)
    sizes = [(least, least + multiple), (least + 3 * multiple, least + 2 * multiple)]
    return [(height - 1, width - 3) for height, width in sizes] if form.uint8 else sizes
