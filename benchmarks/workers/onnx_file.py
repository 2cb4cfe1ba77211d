"""Run an ONNX file of `mindrestore export` with onnxruntime on request."""

from __future__ import annotations

import numpy as np
import onnxruntime
from protocol import arguments, serve


def main() -> None:
    """Parse, open, serve."""
    parser = arguments()
    parser.add_argument("--file", required=True)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(args.file, options, providers=["CPUExecutionProvider"])
    shape = tuple(int(v) for v in args.size.split(","))
    image = {session.get_inputs()[0].name: np.random.default_rng(0).random(shape, np.float32)}
    serve(lambda: session.run(None, image), f"onnxruntime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()
