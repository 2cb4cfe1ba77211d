"""`mindrestore weights`: list the included weights and published files, get one of these, pack those of a run."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import Any

from mindrestore.cli.arguments import nonempty_path, positive_number
from mindrestore.errors import MindRestoreError

_EXAMPLES = """examples:
  mindrestore weights list                                          first those that come with MindRestore
  mindrestore weights get vgg19                                     downloads from the official address
  mindrestore weights get aecrnet-nh-haze --from ~/Downloads/NH_train.pk
  mindrestore weights get dsrir-rain --from obs://bucket/weights/model_best.pth
  mindrestore weights pack runs/haze --task dehaze --name dehaze_free --data "scenes of mindrestore data=Apache-2.0"

Only `get` loads anything, and only the file it is asked for. Downloads lie in $MINDRESTORE_CACHE (by default
~/.cache/mindrestore), go on after an interruption, and are compared with the published checksum where there is one.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "weights", help="list, get and pack weight files", description=__doc__, epilog=_EXAMPLES
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the included weights and the published files")
    listing.set_defaults(run=_list, parser=listing)
    getting = actions.add_parser("get", help="get and check a published weight file")
    getting.add_argument("name", help="name of the list")
    getting.add_argument(
        "--from", dest="source", metavar="SOURCE", help="file, folder, or file://, http(s):// or obs:// address"
    )
    getting.add_argument("--cache", type=nonempty_path, metavar="DIR", help="folder for downloads")
    getting.set_defaults(run=_get, parser=getting)
    _add_pack(actions)


def _add_pack(actions: Any) -> None:
    parser = actions.add_parser("pack", help="make a small file and its card of a run, to ship with MindRestore")
    parser.add_argument("run_folder", type=nonempty_path, metavar="RUN", help="run folder of `train`")
    parser.add_argument("--task", required=True, metavar="TASK", help="what the weights remove; several with commas")
    parser.add_argument("--name", required=True, help="name of the weights, such as dehaze_free")
    parser.add_argument("--variant", default="free", help="free, or research where the data allow no other use")
    parser.add_argument("--licence", default="Apache-2.0", help="licence of the weights (default: Apache-2.0)")
    parser.add_argument("--terms", default="", metavar="TEXT", help="what has to be known before use")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=LICENCE", help="a training set; repeat it")
    parser.add_argument("--preferred", action="store_true", help="the default where several free ones do the same")
    parser.add_argument("--file", metavar="NAME", help="best.ckpt, ema.ckpt or last.ckpt (default: the first there is)")
    parser.add_argument("--quality", type=nonempty_path, metavar="FILE", help="quality.json of benchmarks/quality.py")
    parser.add_argument("--command", dest="repeat", metavar="TEXT", help="how to repeat the training (default: found)")
    parser.add_argument(
        "--cpu-hours", type=positive_number, metavar="H", help="core hours (default: hours times cores)"
    )
    parser.add_argument(
        "--folder", type=nonempty_path, metavar="DIR", help="where both files go (default: into the package)"
    )
    parser.set_defaults(run=_pack, parser=parser)


def _list(_: argparse.Namespace) -> int:
    from mindrestore.weights.hub import cached, list_published
    from mindrestore.weights.shipped import list_shipped

    head = ("included", "task", "network", "size", "variant", "licence", "score")
    rows = [
        (card.name, ", ".join(card.tasks), card.network, card.size, card.variant, card.licence, card.score)
        for card in list_shipped()
    ]
    _print_table([head, *(rows or [("none",) + ("-",) * (len(head) - 1)])])
    print()
    head = ("published", "file", "checksum", "here", "licence", "address or page")
    rows = [head]
    for entry in list_published():
        here = "yes" if cached(entry).is_file() else "-"
        rows.append((entry.name, entry.file, entry.sha256 or "-", here, entry.licence, entry.url or entry.page))
    _print_table(rows)
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _get(args: argparse.Namespace) -> int:
    from mindrestore.weights.hub import find_published, get_published

    path = get_published(args.name, args.source, args.cache)
    entry = find_published(args.name)
    print(f"{path}\nlicence: {entry.licence}")
    print(f"next: mindrestore convert {shlex.quote(str(path))} --model {entry.network} --out {entry.name}.ckpt")
    return 0


def _pack(args: argparse.Namespace) -> int:
    from mindrestore.inference.packing import Particulars, pack_weights

    data = [tuple(part.strip() for part in text.rpartition("=")[::2]) for text in args.data]
    if not all(name and licence for name, licence in data):
        raise MindRestoreError(f"--data {args.data[0]}: use NAME=LICENCE, such as 'Kodak=unrestricted'")
    given = {name: getattr(args, name) for name in ("name", "variant", "licence", "terms", "preferred", "cpu_hours")}
    particulars = Particulars(**given, tasks=args.task.split(","), data=data, command=args.repeat)
    card = pack_weights(args.run_folder, particulars, file=args.file, quality=args.quality, folder=args.folder)
    print(f"{card.note}\n{card.path}\n{card.path.with_suffix('.yaml')}")
    return 0
