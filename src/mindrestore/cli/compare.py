"""`mindrestore compare`: put the reports of several networks side by side in one page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mindrestore.cli.arguments import nonempty_path

_EXAMPLES = """examples:
  mindrestore compare runs/first runs/second                  what `mindrestore eval` wrote of each
  mindrestore compare runs/first/report other_report --out first_or_other
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "compare", help="put several reports side by side in one page", description=__doc__, epilog=_EXAMPLES
    )
    parser.add_argument(
        "reports",
        nargs="+",
        type=nonempty_path,
        metavar="RUN",
        help="run folder with a report, or folder of a report; two or more",
    )
    parser.add_argument(
        "--out",
        type=nonempty_path,
        metavar="DIR",
        default=Path("comparison"),
        help="folder of the page (default: comparison)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from mindrestore.pages.comparison import write_comparison

    print(f"in a browser: {write_comparison(args.reports, args.out)}")
    return 0
