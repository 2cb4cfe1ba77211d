"""`mindrestore convert`: turn official weights into MindSpore's, or weights of this toolkit into PyTorch's."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mindrestore.cli.arguments import nonempty_path
from mindrestore.cli.source import read_hyper
from mindrestore.errors import MindRestoreError

_EXAMPLES = """examples:
  mindrestore convert model_deraining.pth --out rain.ckpt              network and sizes are recognised
  mindrestore convert NH_train.pk --model aecrnet --out nh.safetensors
  mindrestore convert MPR_Deblurring.pdparams --out blur.ckpt
  mindrestore convert vgg19-dcbb9e9d.pth --out vgg19.safetensors       for contrastive and perceptual terms
  mindrestore convert runs/mine/best.ckpt --to torch --out mine.pth    loads with torch.load(weights_only=True)

Neither PyTorch nor PaddlePaddle is needed, and nothing inside a file is run: one that asks for more than data is
refused. Beside the result lies OUT.json: source, checksum, network, hyper-parameters, licence.
"""
_TORCH = (".pth", ".pt")


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("convert", help="convert weight files", description=__doc__, epilog=_EXAMPLES)
    parser.add_argument(
        "source",
        type=nonempty_path,
        metavar="IN",
        help="weight file (.pth .pt .pk .pkl .pdparams .ckpt .safetensors .npz)",
    )
    parser.add_argument(
        "--out",
        type=nonempty_path,
        required=True,
        metavar="OUT",
        help="result (.ckpt .safetensors .npz; .pth .pt with --to torch)",
    )
    parser.add_argument("--model", metavar="NAME", help="network, vgg16 or vgg19 (default: recognised)")
    parser.add_argument(
        "--hyper",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="hyper-parameter that leaves no trace in the file, such as blocks=1 of aecrnet; repeatable",
    )
    parser.add_argument("--to", choices=("mindspore", "torch"), help="format of the result (default: by its suffix)")
    parser.add_argument(
        "--drop-extra", action="store_true", help="leave out tensors that the network has no place for (else an error)"
    )
    parser.add_argument("--all", action="store_true", help="print every name, and a line for every tensor")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert and print the table."""
    if args.to and (args.to == "torch") != (args.out.suffix.lower() in _TORCH):
        fitting = ", ".join(_TORCH) if args.to == "torch" else ".ckpt, .safetensors, .npz"
        raise MindRestoreError(f"--out {args.out}: files for {args.to} end in {fitting}")
    hyper = read_hyper(args)
    from mindrestore.weights.comparison import ComparisonError
    from mindrestore.weights.exchange import convert_file

    try:
        done = convert_file(args.source, args.out, model=args.model, hyper=hyper, drop_extra=args.drop_extra)
    except ComparisonError as error:
        print(f"{args.source}\n{error.comparison.table(every=args.all)}", flush=True)
        raise
    print(done.table(every=args.all))
    print(f"licence: {done.licence}\nrecord: {done.sidecar}")
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    return 0
