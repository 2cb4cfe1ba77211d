"""`mindrestore export`: write a trained network to a file, reload it, and compare the two."""

from __future__ import annotations

import argparse
from typing import Any

from mindrestore.cli.arguments import nonempty_path
from mindrestore.cli.progress import announce
from mindrestore.cli.source import add_source, read_source

_EXAMPLES = """examples:
  export.py runs/quickstart                             MINDIR for any height and width, into the run folder
  export.py runs/quickstart --format onnx               ONNX likewise
  export.py runs/quickstart --uint8 --out photos.onnx   8-bit photographs in and out, padded and rounded inside
  export.py --model aecrnet --weights x.ckpt --out x.mindir --size 480x640
  export.py runs/quickstart --target cpu                MINDIR for MindSpore on a CPU
  export.py runs/quickstart --key-file model.key        encrypted; openssl rand -hex 16 > model.key

A key is never an argument: it stands in a file, or with --encrypt in the environment variable MINDRESTORE_KEY.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "export", help="export to MINDIR, ONNX or AIR", description=__doc__, epilog=_EXAMPLES
    )
    add_source(parser)
    parser.add_argument(
        "--out", type=nonempty_path, metavar="FILE", help="file to write (default: RUN_FOLDER/model.mindir)"
    )
    parser.add_argument(
        "--format",
        type=str.upper,
        choices=("MINDIR", "ONNX", "AIR"),
        help="mindir, onnx, or on Ascend air (default: by the suffix of --out, else mindir)",
    )
    parser.add_argument(
        "--size", type=read_size, metavar="HxW", help="fixed image size; by default height and width are free"
    )
    parser.add_argument(
        "--uint8", action="store_true", help="take and give 8-bit photographs (1, H, W, 3) of any size, padded inside"
    )
    parser.add_argument(
        "--target",
        choices=("ascend", "gpu", "cpu"),
        help="device that the MINDIR is made for, on any machine; it runs on the others as well (default: ascend)",
    )
    parser.add_argument(
        "--key-file", type=nonempty_path, metavar="FILE", help="encrypt the MINDIR with the key in this file"
    )
    parser.add_argument("--encrypt", action="store_true", help="encrypt it with the key in MINDRESTORE_KEY")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export and print the comparison."""
    if args.run_folder or args.weights:
        announce(f"exporting {args.run_folder or args.weights}")
    source = read_source(args)
    from mindrestore import api
    from mindrestore.exporting.form import KEY_VARIABLE, ExportError, Form, format_of, read_key

    key = read_key(args.key_file) if args.key_file or args.encrypt else None
    if args.encrypt and key is None:
        raise ExportError(f"--encrypt: no key; set {KEY_VARIABLE}, or give --key-file FILE")
    form = Form(args.format or format_of(args.out), size=args.size, uint8=args.uint8, key=key, target=args.target)
    report = api.export(source, args.out, form=form, device=args.device)
    print(report)
    return 0


def read_size(text: str) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write HEIGHTxWIDTH, such as 480x640")
    return int(height), int(width)
