"""Compare a network's forward pass with the time that its convolutions take by themselves, in one run.

Every convolution of the network is noted with its size. Those that matter (0.05 % of all multiplications or more) are
timed alone: the bare operator in a graph of its own, with random numbers, without bias or activation, less the time a
graph takes to do nothing. Their multiplications per second are the convolution rate here, each size counted by
its share; at that rate the time of all is computed. Network and convolutions take turns, round by round; the fastest
round of each counts, since other programs only ever add time.

    python benchmarks/conv_rate.py --model mpilnet --size 256
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.engine.context import setup
from mindrestore.models.registry import create_model

_LEAST = 0.0005  # of all multiplications: smaller ones would measure how long an operator takes to start


class Convolution(NamedTuple):
    """One size of convolution: input (n, channels_in, h, w) with its padding, kernels and output."""

    n: int
    channels_in: int
    h: int
    w: int
    channels_out: int
    kernel: int
    stride: int
    padding: int
    group: int
    places: int  # pixels of the output

    @property
    def gmac(self) -> float:
        """Multiplications in thousand millions."""
        return self.n * self.places * self.channels_out * self.channels_in // self.group * self.kernel**2 / 1e9


def convolutions(net: nn.Cell, x: Tensor) -> Counter[Convolution]:
    """Run a network operator by operator and count its convolutions by size; transposed ones are left out."""
    found: Counter[Convolution] = Counter()

    def note(cell: nn.Cell, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        (n, c, h, w), (rows, columns) = inputs[0].shape, output.shape[2:]
        out, per_group, kernel, _ = cell.weight.shape
        valid = rows == h - kernel + 1
        stride = 1 if valid else h // rows
        padding = 0 if valid else kernel // 2
        found[Convolution(n, c, h, w, out, kernel, stride, padding, c // per_group, rows * columns)] += 1

    kinds = [cell for _, cell in net.cells_and_names() if getattr(getattr(cell, "weight", None), "ndim", 0) == 4]
    handles = [cell.register_forward_hook(note) for cell in kinds if not isinstance(cell, nn.Conv2dTranspose)]
    net(x)
    for handle in handles:
        handle.remove()
    return found


class Alone(nn.Cell):
    """One convolution; a single number is read, so that no time goes into copying the result."""

    def __init__(self, size: Convolution) -> None:
        super().__init__()
        self.convolve = ops.Conv2D(
            size.channels_out,
            size.kernel,
            mode=1,
            pad_mode="pad",
            pad=size.padding,
            stride=size.stride,
            dilation=1,
            group=size.group,
        )

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.convolve(x, weight)[:1, :1, :1, :1]


class First(nn.Cell):
    """A network of which one number is read."""

    def __init__(self, net: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, x: Tensor) -> Tensor:
        y = self.net(x)
        while isinstance(y, tuple):
            y = y[0]
        return y[:1, :1, :1, :1]


class Nothing(nn.Cell):
    """A graph that only reads one number."""

    def construct(self, x: Tensor) -> Tensor:
        return x[:1, :1, :1, :1]


def timed(cell: nn.Cell, *inputs: Tensor) -> Callable[[], float]:
    """Compile a cell and give a function that runs it once and returns its seconds."""
    run = ms.jit(cell)

    def once() -> float:
        start = time.perf_counter()
        run(*inputs).asnumpy()
        return time.perf_counter() - start

    once()
    return once


def measure(model: str, size: int, runs: int) -> dict:
    """Time network and convolutions in turns."""
    rng = np.random.default_rng(0)
    net = create_model(model)
    x = Tensor(rng.random((1, 3, size, size), np.float32))
    counts = convolutions(net, x)
    total = sum(count * shape.gmac for shape, count in counts.items())
    alone = {}
    for shape in (shape for shape, count in counts.items() if count * shape.gmac >= _LEAST * total):
        image = Tensor(rng.standard_normal((shape.n, shape.channels_in, shape.h, shape.w)).astype(np.float32))
        kernels = (shape.channels_out, shape.channels_in // shape.group, shape.kernel, shape.kernel)
        alone[shape] = timed(Alone(shape), image, Tensor(rng.standard_normal(kernels).astype(np.float32)))
    whole, nothing = timed(First(net), x), timed(Nothing(), x)
    forwards, rounds = [], []
    for _ in range(runs):
        forwards.append(whole())
        idle = min(nothing() for _ in range(9))
        rounds.append({shape: counts[shape] * (once() - idle) for shape, once in alone.items()})
    timed_gmac = sum(counts[shape] * shape.gmac for shape in alone)
    seconds = {shape: min(times[shape] for times in rounds) for shape in alone}
    forward, together = min(forwards), sum(seconds.values()) * total / timed_gmac
    return {
        "model": model,
        "size": size,
        "threads": len(os.sched_getaffinity(0)),
        "gmac": total,
        "timed_gmac": timed_gmac,
        "convolutions": sum(counts.values()),
        "timed_convolutions": sum(counts[shape] for shape in alone),
        "forward_s": forward,
        "convolutions_s": together,
        "ratio": forward / together,
        "sizes": [
            {
                **shape._asdict(),
                "count": counts[shape],
                "gmac": counts[shape] * shape.gmac,
                "seconds": seconds[shape],
            }
            for shape in alone
        ],
    }


def report(result: dict, rows: int) -> str:
    """Lay the result out for people, the largest sizes first."""
    lines = [f"{'input':>20} {'kernels':>12} {'times':>6} {'GMAC':>7} {'ms':>8} {'GMAC/s':>7}"]
    for entry in sorted(result["sizes"], key=lambda entry: -entry["gmac"])[:rows]:
        shape = "x".join(str(entry[key]) for key in ("n", "channels_in", "h", "w"))
        kernels = f"{entry['channels_out']} of {entry['kernel']}x{entry['kernel']}"
        rate = entry["gmac"] / entry["seconds"]
        took = f"{entry['gmac']:7.2f} {1e3 * entry['seconds']:8.1f} {rate:7.1f}"
        lines.append(f"{shape:>20} {kernels:>12} {entry['count']:6} {took}")
    forward, alone = result["forward_s"], result["convolutions_s"]
    share = f"{result['timed_convolutions']} of {result['convolutions']} convolutions timed"
    lines.append(f"{share}, {result['timed_gmac']:.1f} of {result['gmac']:.1f} GMAC")
    lines.append(f"convolution rate {result['gmac'] / alone:.1f} GMAC/s: all of them take {1e3 * alone:.0f} ms")
    lines.append(f"forward pass of {result['model']} {1e3 * forward:.0f} ms, {result['ratio']:.2f} times as long")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mpilnet", help="registered network")
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--runs", type=int, default=7, help="rounds after the first")
    parser.add_argument("--rows", type=int, default=12, help="sizes to list")
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    setup("CPU", seed=1)
    result = measure(args.model, args.size, args.runs)
    print(report(result, args.rows))
    if args.out:
        Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
