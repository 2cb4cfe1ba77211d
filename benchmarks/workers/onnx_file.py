"""Run a network on onnxruntime on request: a file of `mindrestore export`, or the graph that `restore` uses."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from protocol import arguments, serve


def open_file(path: str, threads: int) -> onnxruntime.InferenceSession:
    """Open an exported file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def open_graph(model: str) -> onnxruntime.InferenceSession:
    """Open the graph of a network with small random values: they change neither time nor memory."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    from mindrestore.exporting.graphs import graph_for
    from mindrestore.exporting.session import open_session

    graph, rng = graph_for(model), np.random.default_rng(0)
    shapes = {name: graph.layout.shapes[name] for name in graph.reads}
    values = {name: np.float32(0.02) * rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return open_session(graph.model, values)


def main() -> None:
    """Parse, open, serve."""
    parser = arguments()
    parser.add_argument("--file")
    parser.add_argument("--model")
    args = parser.parse_args()
    session = open_graph(args.model) if args.model else open_file(args.file, args.threads)
    shape = tuple(int(v) for v in args.size.split(","))
    image = {session.get_inputs()[0].name: np.random.default_rng(0).random(shape, np.float32)}
    serve(lambda: session.run(None, image), f"onnxruntime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()
