"""`mindrestore serve`: restore photographs on a page in the browser, or over HTTP."""

from __future__ import annotations

import argparse
import importlib.util
import re
from typing import Any

from mindrestore.cli.arguments import positive, positive_number, seed
from mindrestore.cli.restore import add_passing, passing
from mindrestore.cli.source import add_device
from mindrestore.errors import MindRestoreError

_EXAMPLES = """examples:
  mindrestore serve                                             then open the address that it prints
  mindrestore serve --weights runs/mine                         with a network that you trained
  mindrestore serve --weights derain=rain.ckpt --weights dsrir=all.ckpt --port 9000
  mindrestore serve --host 0.0.0.0 --allow-network              reachable from other machines, without a password

A batch program posts an image and gets the result:
  curl -F image=@hazy.jpg -F task=dehaze http://127.0.0.1:8765/api/restore -o clean.jpg
"""
_NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("serve", help="restore in the browser", description=__doc__, epilog=_EXAMPLES)
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="WEIGHTS",
        help="run folder of `train`; or TASK=FILE, a weight file for a task (dehaze, derain, deblur, denoise); or "
        "NETWORK=FILE, for all tasks of a network; repeatable. Other tasks use the included weights, if there are any",
    )
    add_device(parser)
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="listen here (default: 127.0.0.1)")
    parser.add_argument("--allow-network", action="store_true", help="allow a --host that other machines can reach")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name of this server, such as that of a proxy",
    )
    parser.add_argument(
        "--root-path", type=_path, default="", metavar="/PATH", help="path under which a proxy serves this page"
    )
    parser.add_argument(
        "--port", type=seed, metavar="N", help="port; 0: any free one (default: 8765, or a free one if it is in use)"
    )
    parser.add_argument(
        "--max-bytes", type=positive, default=50_000_000, metavar="N", help="largest file (default: 50000000)"
    )
    parser.add_argument(
        "--max-pixels", type=positive, default=50_000_000, metavar="N", help="largest image (default: 50000000)"
    )
    parser.add_argument("--max-waiting", type=positive, default=20, metavar="N", help="longest queue (default: 20)")
    parser.add_argument(
        "--keep", type=positive_number, default=30, metavar="MINUTES", help="delete results after this (default: 30)"
    )
    add_passing(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    absent = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if absent:
        raise MindRestoreError(f"serve needs {', '.join(absent)}; pip install 'mindrestore[serve]'")
    from mindrestore.serve.limits import Limits
    from mindrestore.serve.server import Settings, serve

    limits = Limits(args.max_bytes, args.max_pixels, args.max_waiting, args.keep * 60)
    place = {"host": args.host, "port": args.port, "allow_network": args.allow_network, "names": args.allow_host}
    serve(Settings(args.weights, **place, limits=limits, options=passing(args), root_path=args.root_path), say=_say)
    return 0


def _path(text: str) -> str:
    path = f"/{text.strip('/')}"
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path.rstrip("/")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a path such as /photos")
    return path.rstrip("/")


def _say(line: str) -> None:
    print(line, flush=True)  # programs that start the server wait for its address
