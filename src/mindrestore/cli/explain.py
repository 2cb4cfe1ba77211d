"""`mindrestore explain`: say which command of ours does what a published command line does."""

from __future__ import annotations

import argparse
from typing import Any

_EXAMPLES = """examples:
  mindrestore explain "python train_ct.py --model scaleupdehazing --dataset NID --exp nid"
  mindrestore explain "python tools/main.py -c configs/mprnet_deraining.yaml --evaluate-only --load rain.pdparams"
  mindrestore explain "bash scripts/run_eval_gpu.sh ./dataset ckpt"

The first line that is printed is the command; each flag and what became of it stand below. A line may be pasted as it
is, with `CUDA_VISIBLE_DEVICES=0`, torchrun, continuations and redirections. Exit code 1: unknown flags were left out.
docs/published.md has a table of all programs.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "explain", help="translate a published command line", description=__doc__, epilog=_EXAMPLES
    )
    parser.add_argument("line", metavar="LINE", help="the command line, in quotes")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the command and the explanation.

    Returns:
        0, or 1 when a flag is not known.
    """
    from mindrestore.published.explain import explain

    found = explain(args.line, args.flags)
    print(found.text())
    return int(bool(found.unknown))
