"""Make all graphs without weights that ship, compare them with those in the package, and replace what differs.

    python scripts/rebuild_graphs.py            # compares; exit code 1 when one is stale, missing or left over
    python scripts/rebuild_graphs.py --write    # replaces
    python scripts/rebuild_graphs.py dsrir      # of this network only

This belongs to every change of a network, of an operator's ONNX form, or of the weights that ship. The files depend on
the MindSpore release that makes them; the one of requirements.txt counts.
"""

from __future__ import annotations

import argparse
import sys
import time

from mindrestore.exporting.graphs import FOLDER, shipped_settings
from mindrestore.exporting.weightless import build_graph
from mindrestore.files import write_bytes


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="registered names (default: all)")
    parser.add_argument("--write", action="store_true", help="replace what differs and remove what is left over")
    args = parser.parse_args()
    wanted, stale = shipped_settings(), []
    for file, (name, hyper) in wanted.items():
        if args.networks and name not in args.networks:
            continue
        start, path = time.perf_counter(), FOLDER / file
        data = build_graph(name, hyper).to_bytes()
        state = "equal" if path.is_file() and path.read_bytes() == data else "differs" if path.is_file() else "missing"
        print(f"{name} {file}: {state}, {len(data) / 1e3:.0f} kB, {time.perf_counter() - start:.0f} s", flush=True)
        if state != "equal":
            stale.append(path)
            if args.write:
                write_bytes(path, data)
    for path in sorted(FOLDER.glob("*.zip")):
        if path.name not in wanted:
            print(f"{path.name}: left over")
            stale.append(path)
            if args.write:
                path.unlink()
    return int(bool(stale) and not args.write)


if __name__ == "__main__":
    sys.exit(main())
