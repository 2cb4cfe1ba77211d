"""`mindrestore restore`: restore photographs, without ground truth and of any size."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mindrestore.cli.source import add_source, read_source

_EXAMPLES = """examples:
  mindrestore restore photos/ --model aecrnet --weights x.ckpt --out clean/
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("restore", help="restore photographs", description=__doc__, epilog=_EXAMPLES)
    parser.add_argument("input", type=Path, metavar="FILE_OR_FOLDER", help="a photograph, or a folder of them")
    add_source(parser, run_folder=False)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the restored files")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there; by default they stay")
    parser.add_argument("--tile", type=int, metavar="N", help="restore in tiles of N pixels, for large images")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Restore, and name every file that could not be."""
    source = read_source(args)
    from mindrestore import api

    result = api.restore(source, args.input, args.out, overwrite=args.overwrite, tile=args.tile, device=args.device)
    for path in result.kept:
        print(f"kept {path}; --overwrite replaces it")
    for message in result.failed:
        print(f"error: {message}", file=sys.stderr)
    print(f"restored {len(result.written)} of {len(result.written) + len(result.failed)} images into {args.out}")
    return 1 if result.failed else 0
