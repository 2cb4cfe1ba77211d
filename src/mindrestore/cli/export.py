"""`mindrestore export`: write a trained network to a file, reload it, and compare the two."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mindrestore.cli.source import add_source, read_source

_EXAMPLES = """examples:
  export.py runs/quickstart                             any height and width, into the run folder
  export.py --model aecrnet --weights x.ckpt --out x.mindir --size 480x640
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("export", help="export to MINDIR", description=__doc__, epilog=_EXAMPLES)
    add_source(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: RUN_FOLDER/model.mindir)")
    parser.add_argument(
        "--size", type=read_size, metavar="HxW", help="fixed image size; by default height and width are free"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export and print the comparison."""
    source = read_source(args)
    from mindrestore import api

    report = api.export(source, args.out, size=args.size, device=args.device)
    print(report)
    return 0


def read_size(text: str) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH.

    Example:
        >>> read_size("480x640")
        (480, 640)
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write HEIGHTxWIDTH, such as 480x640")
    return int(height), int(width)
