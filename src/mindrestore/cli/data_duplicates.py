"""`mindrestore data duplicates`: find test images that occur in the training images."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from mindrestore.cli.arguments import nonempty_path, positive
from mindrestore.cli.progress import bar


def add_verb(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "duplicates",
        help="find test images that occur in the training images",
        description="Find test images that occur in the training images: scaled, turned, mirrored, cropped, compressed "
        "or in other light. Exit code 0: none; 1: some are suspicious; 2: no such images. Look at the pairs: two "
        "photographs of one place may be named, and small parts or blurred images be missed.",
    )
    parser.add_argument("train_dir", type=nonempty_path, metavar="TRAIN_DIR", help="folder of training images")
    parser.add_argument("test_dirs", type=nonempty_path, nargs="+", metavar="TEST_DIR", help="folders of test images")
    parser.add_argument("--out", type=nonempty_path, metavar="FILE", help="write a JSON report")
    parser.add_argument(
        "--distance",
        type=int,
        default=8,
        metavar="N",
        help="how many of the hash's 63 bits may differ (default 8)",
    )
    parser.add_argument(
        "--keypoints", type=positive, default=15, metavar="N", help="how many keypoints have to match (default 15)"
    )


def run(args: argparse.Namespace) -> int:
    """Print suspicious pairs; 1 when there are some."""
    from mindrestore.data.duplicates import DuplicateLimits, find_duplicates
    from mindrestore.files import write_bytes

    limits = DuplicateLimits(args.distance, args.keypoints)
    found = find_duplicates(
        args.train_dir, args.test_dirs, limits, lambda paths: bar(paths, "reading", unit="image", disable=None)
    )
    for pair in found:
        print(pair)
    suspicious = len({pair.test for pair in found})
    print(
        f"{suspicious} test images occur in {args.train_dir}" if found else f"no test image occurs in {args.train_dir}"
    )
    if args.out:
        pairs = [{**asdict(pair), "train": str(pair.train), "test": str(pair.test)} for pair in found]
        facts = {"train": str(args.train_dir), "tests": [str(folder) for folder in args.test_dirs]}
        write_bytes(args.out, json.dumps({**facts, "limits": asdict(limits), "pairs": pairs}, indent=1).encode())
    return 1 if found else 0
