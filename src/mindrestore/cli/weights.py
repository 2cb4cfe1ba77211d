"""`mindrestore weights`: list published weight files, and get one from a file, an address or its official place."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_EXAMPLES = """examples:
  mindrestore weights list
  mindrestore weights get vgg19                                     downloads from the official address
  mindrestore weights get aecrnet-nh-haze --from ~/Downloads/NH_train.pk
  mindrestore weights get dsrir-rain --from obs://bucket/weights/model_best.pth

Only `get` loads anything, and only the file it is asked for. Downloads lie in $MINDRESTORE_CACHE (by default
~/.cache/mindrestore), go on after an interruption, and are compared with the published checksum where there is one.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("weights", help="list and get weight files", description=__doc__, epilog=_EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the published weight files")
    listing.set_defaults(run=_list, parser=listing)
    getting = actions.add_parser("get", help="get and check a published weight file")
    getting.add_argument("name", help="name of the list")
    getting.add_argument(
        "--from", dest="source", metavar="SOURCE", help="file, folder, or file://, http(s):// or obs:// address"
    )
    getting.add_argument("--cache", type=Path, metavar="DIR", help="folder for downloads")
    getting.set_defaults(run=_get, parser=getting)


def _list(_: argparse.Namespace) -> int:
    from mindrestore.weights.hub import cached, list_published

    head = ("name", "file", "checksum", "here", "licence", "address or page")
    rows = [head]
    for entry in list_published():
        here = "yes" if cached(entry).is_file() else "-"
        rows.append((entry.name, entry.file, entry.sha256 or "-", here, entry.licence, entry.url or entry.page))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 0


def _get(args: argparse.Namespace) -> int:
    from mindrestore.weights.hub import find_published, get_published

    path = get_published(args.name, args.source, args.cache)
    entry = find_published(args.name)
    print(f"{path}\nlicence: {entry.licence}")
    print(f"next: mindrestore convert {path} --model {entry.network} --out {entry.name}.ckpt")
    return 0
