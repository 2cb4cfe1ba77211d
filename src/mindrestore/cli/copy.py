"""`mindrestore copy`: copy a file or a folder from or to object storage."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError

_EXAMPLES = """examples:
  mindrestore copy obs://bucket/RESIDE /cache/RESIDE            a folder
  mindrestore copy runs/first obs://bucket/out/first            a run folder
  mindrestore copy obs://bucket/out/first/best.ckpt .           one file
  mindrestore copy runs/first obs://bucket/out/first --dry-run  only say what would be copied

Files that are there already are not copied, and a copy that broke off goes on where it stopped. Every file is compared
with its checksum. Credentials come from OBS_SERVER, OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY, inside ModelArts from
moxing; docs/cloud.md tells the rest.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "copy", help="copy from and to object storage (OBS)", description=__doc__, epilog=_EXAMPLES
    )
    parser.add_argument("source", help="obs://BUCKET/KEY, or a file or folder here")
    parser.add_argument("target", help="a folder here, or obs://BUCKET/KEY of a folder")
    parser.add_argument("--dry-run", action="store_true", help="list what would be copied, and copy nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Copy, and say what was copied."""
    from mindrestore.cloud.address import parse_address
    from mindrestore.cloud.trees import Copied, Mirror, fetch_tree, open_store
    from mindrestore.recipes.values import is_address

    inward = is_address(args.source)
    if inward == is_address(args.target):
        raise MindRestoreError("name one obs:// address and one path; two paths or two addresses are not copied")
    address = parse_address(args.source if inward else args.target)
    here = Path(args.target if inward else args.source)
    if not inward and not here.exists():
        raise MindRestoreError(f"{here}: no such file or folder")
    store = open_store()
    remote = store.find(address) if inward and address.key else None
    if remote:
        copied = Copied((remote.name,), size=remote.size)
        if not args.dry_run:
            store.fetch(remote, here / remote.name)
    elif inward:
        copied = fetch_tree(store, address, here, args.dry_run)
    elif here.is_file():
        store.list(address)  # some stores would make a bucket that does not exist
        copied = Copied((here.name,), size=here.stat().st_size)
        if not args.dry_run:
            store.send(here, address.child(here.name))
    else:
        copied = Mirror(store, here, address, skip=("*.part",)).push(args.dry_run, progress=True)
    if args.dry_run:
        copied = replace(copied, seconds=0.0)  # of looking, not of copying
        print("\n".join(copied.names))
    print(f"{'would copy' if args.dry_run else 'copied'} {copied}")
    return 0
