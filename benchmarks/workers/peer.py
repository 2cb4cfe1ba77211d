"""Build one case with a PyTorch module and run it on request."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import torch
from protocol import arguments, serve


def build(case: str, peer: str, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that runs the case once."""
    module, _, expression = peer.partition(":")
    cell = eval(expression, vars(importlib.import_module(module)))
    torch.manual_seed(0)
    x, target = torch.rand(shape), torch.rand(shape)
    if case.endswith("forward"):
        cell.eval()

        def forward() -> torch.Tensor:
            with torch.no_grad():
                return cell(x)

        return forward
    cell.train()
    if case == "dcn-train":
        x.requires_grad_(True)
        return lambda: cell(x).square().sum().backward()
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        output = cell(x)
        images = output if isinstance(output, (tuple, list)) else (output,)
        sum((image - target).abs().mean() for image in images).backward()
        optimizer.step()

    return step


def main() -> None:
    """Parse, build, serve."""
    parser = arguments()
    parser.add_argument("--peer", required=True)
    parser.add_argument("--peer-path", required=True)
    args = parser.parse_args()
    sys.path.insert(0, args.peer_path)
    torch.set_num_threads(args.threads)
    shape = tuple(int(v) for v in args.size.split(","))
    serve(build(args.case, args.peer, shape), f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
