"""Time two forms of one layer in turns: the form that the networks use on CPU, and the plain one.

    python benchmarks/forms.py

Each pair computes the same numbers. Forward and backward pass are compiled together; medians of the ratios of
neighbouring calls.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.engine.context import setup
from mindrestore.models.layers import (
    ChannelAdd,
    ChannelMean,
    ChannelScale,
    Conv1x1,
    Conv3x3,
    NarrowConv2d,
    ReflectPad,
    ScalarPReLU,
    set_form,
)

LAYERS: dict[str, Callable[[int], nn.Cell]] = {
    "convolution 1x1": lambda channels: Conv1x1(channels, channels, bias=False),
    "convolution 3x3": lambda channels: Conv3x3(channels, channels, bias=False),
    "convolution 7x7 to 3": lambda channels: NarrowConv2d(channels, 3, 7),
    "factor per channel": lambda _: ChannelScale(),
    "offset per channel": lambda _: ChannelAdd(),
    "mean per channel": lambda _: ChannelMean(),
    "PReLU, one slope": lambda _: ScalarPReLU(0.25),
    "mirrored border": lambda _: ReflectPad(3),
}


def pair(make: Callable[[int], nn.Cell], channels: int) -> tuple[nn.Cell, nn.Cell]:
    """Return a layer in the form for CPU and in the plain one."""
    quick, plain = make(channels), make(channels)
    set_form(quick, "cpu")
    set_form(plain, "plain")
    return quick, plain


def runner(cell: nn.Cell, inputs: tuple[Tensor, ...], backward: bool) -> Callable[[], float]:
    """Compile one form and give a function that runs it once and returns its seconds."""

    def loss(*given: Tensor) -> Tensor:
        return ops.square(cell(*given)).sum()

    weights = cell.trainable_params()
    if backward:
        run = ms.jit(ms.value_and_grad(loss, 0, ms.ParameterTuple(weights) if weights else None))
    else:
        run = ms.jit(cell)

    def once() -> float:
        start = time.perf_counter()
        result = run(*inputs)
        (result[0] if backward else result).asnumpy()
        return time.perf_counter() - start

    once()
    return once


def main() -> None:
    """Measure every pair and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1,56,128,128", help="N,C,H,W")
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    setup("CPU", seed=1)
    shape = tuple(int(v) for v in args.size.split(","))
    rng = np.random.default_rng(0)
    x, gate = Tensor(rng.random(shape, np.float32)), Tensor(rng.random((*shape[:2], 1, 1), np.float32))
    second = {ChannelScale: (gate,), ChannelAdd: (gate.reshape(shape[:2]),)}
    print(f"{'layer':26}{'pass':>18}{'in use ms':>12}{'plain ms':>12}{'ratio':>8}")
    for name, make in LAYERS.items():
        ours, plain = pair(make, shape[1])
        inputs = (x, *second.get(type(ours), ()))
        for backward in (False, True):
            ours_run, plain_run = (runner(cell, inputs, backward) for cell in (ours, plain))
            times = [(ours_run(), plain_run()) for _ in range(args.runs)]
            ratio = statistics.median(b / a for a, b in times)
            mine, other = (1e3 * statistics.median(column) for column in zip(*times))
            label = "forward, backward" if backward else "forward"
            print(f"{name:26}{label:>18}{mine:12.1f}{other:12.1f}{ratio:7.2f}x", flush=True)


if __name__ == "__main__":
    main()
