"""Compare the networks on a device with the numbers of the published ones: golden weights in, largest difference out.

    python benchmarks/verify_parity.py --device GPU [--network aecrnet ...]

The golden files and the rule of their weights are those of the tests (tests/golden/README.md). A row says the largest
difference of the output, relative to its largest value, in float32. GPUs may multiply float32 in TF32: up to 1e-3 then.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "models")]

LIMIT = 5e-3  # float32 with room for TF32; a wrong layer is off by 1e-1 and more
# Network -> golden file, key of the input, key of the output
CASES = {
    "aecrnet": ("aecrnet", "A/x", "A/eval/out"),
    "mprnet_deraining": ("mprnet_deraining", "in/a", "out/a/0"),
    "mprnet_denoising": ("mprnet_denoising", "in/a", "out/a/0"),
    "mprnet_deblurring": ("mprnet_deblurring", "in/a", "out/a/0"),
    "dsrir": ("dsrir", "A.x", "A.img3"),
    "dehazeformer_t": ("dehazeformer_t", None, "A.y"),
    "dehazeformer_s": ("dehazeformer_s", None, "A.y"),
    "dehazeformer_m": ("dehazeformer_m", None, "A.y"),
    "crossdehaze": ("crossdehaze", None, "A.y"),
}


def first_output(outputs: object) -> object:
    """Return the last stage's image of whatever a network gives."""
    return first_output(outputs[0]) if isinstance(outputs, (tuple, list)) else outputs


def measure(name: str) -> dict[str, object]:
    """Return the largest relative difference of one network's output, and the seconds of the first and second run."""
    import mindspore as ms

    from golden import load_golden, load_golden_dehazeformer, load_golden_mprnet
    from mindrestore.models.registry import create_model

    file, key, target = CASES[name]
    with np.load(ROOT / "tests" / "golden" / f"{file}.npz") as golden:
        expected = golden[target]
        drawn = np.float32(np.random.RandomState(0).rand(1, 3, 64, 64) * 2 - 1)  # the rule of DehazeFormer's files
        image = golden[key] if key else drawn
    load = load_golden_mprnet if name.startswith("mprnet") else load_golden if key else load_golden_dehazeformer
    net = load(create_model(name)).set_train(False)
    compiled, seconds = ms.jit(net), []
    for _ in range(2):
        start = time.perf_counter()
        found = first_output(compiled(ms.Tensor(image))).asnumpy()
        seconds.append(round(time.perf_counter() - start, 3))
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    return {"network": name, "difference": difference, "first_s": seconds[0], "second_s": seconds[1]}


def main() -> int:
    """Print a row per network, and one JSON object per row into --out.

    Returns:
        0 when all are within the limit, 1 when one is not.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--network", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path, help="file for the rows, JSON, one a line")
    args = parser.parse_args()
    from mindrestore.engine import context

    device = context.setup(args.device)
    worst, rows = 0.0, []
    for name in args.network:
        row = {**measure(name), "device": device}
        rows.append(row)
        worst = max(worst, float(row["difference"]), key=lambda value: (value != value, value))  # NaN is the worst
        print(f"{name:18} {row['difference']:.1e}  first {row['first_s']} s, then {row['second_s']} s", flush=True)
    if args.out:
        args.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"largest difference {worst:.1e} on {device}, limit {LIMIT:.0e}")
    return int(not worst < LIMIT)  # NaN is not below


if __name__ == "__main__":
    sys.exit(main())
