"""Make graphs without weights of the networks; this needs MindSpore."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms

from mindrestore.errors import first_line
from mindrestore.exporting.graph_file import NetworkGraph
from mindrestore.exporting.onnx_file import to_onnx
from mindrestore.exporting.session import EngineError
from mindrestore.models.layers import set_form
from mindrestore.models.registry import create_model, model_spec
from mindrestore.models.wrapper import ImageModel
from mindrestore.weights.layout import layout_of


def build_graph(name: str, hyper: Mapping[str, Any] | None = None) -> NetworkGraph:
    """Export a network without the values of its parameters.

    Args:
        name: Registered name.
        hyper: Hyper-parameters that differ from the published ones.

    Returns:
        The graph, of free height and width.

    Raises:
        EngineError: MindSpore or the translation to ONNX refuses the network.
    """
    net = create_model(name, **dict(hyper or {}))
    layout = layout_of(net)
    # A parameter that cells share may be called after another of them than the first
    names = {parameter.name: own for own, parameter in net.parameters_and_names()}
    cell = ImageModel(net, model_spec(name), clips=False).set_train(False)
    set_form(cell, "plain")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, "graph.mindir")
            ms.export(
                cell, ms.Tensor(shape=(1, 3, None, None), dtype=ms.float32), file_name=str(path), file_format="MINDIR"
            )
            model = to_onnx(path.read_bytes(), {"model": name}, left_out=names)
    except Exception as error:  # the graph compiler raises whatever fits the Python that it cannot compile
        if isinstance(error, OSError) and error.errno:
            raise EngineError(f"the graph of {name} cannot be written ({error}); check TMPDIR and the disk") from error
        raise EngineError(
            f"the graph of {name} cannot be made: {first_line(error)}; engine mindspore runs the network itself"
        ) from error
    return NetworkGraph(model.content, layout, model.left_out)
