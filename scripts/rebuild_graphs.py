"""Make all graphs without included weights, compare them with those in the package, and replace what differs.

    python scripts/rebuild_graphs.py            # compares; exit code 1 when one is stale, missing or left over
    python scripts/rebuild_graphs.py --write    # replaces
    python scripts/rebuild_graphs.py dsrir      # of this network only

This belongs to every change of a network, of an operator's ONNX form, or of the included weights. It begins with the
samples: the graph of a small form of every network, a new one's from tests/small.py, whose digests are kept in
samples.json and are part of the names of all graphs of that network, in the package and in caches. The files depend on
the MindSpore release that makes them; the one of requirements.txt counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from mindrestore.exporting.graph_file import NetworkGraph
from mindrestore.exporting.graphs import FOLDER, SAMPLES, Sample, read_samples, shipped_settings
from mindrestore.exporting.weightless import build_graph
from mindrestore.files import write_bytes
from mindrestore.models.registry import builder_name


def with_new_networks(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Add the small form of every class that has no sample yet, without a digest."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from small import NETWORKS, SMALL

    known = {builder_name(sample.network) for sample in samples}
    new = [name for name in NETWORKS if builder_name(name) not in known]
    if missing := [name for name in new if name not in SMALL]:
        sys.exit(f"error: tests/small.py has no small form of {', '.join(missing)}; add a row to SMALL")
    return (*samples, *(Sample(name, SMALL[name], "") for name in new))


def refreshed_samples(write: bool) -> bool:
    """Make the graphs of all samples; return whether one has changed, and keep the new digests when asked to."""
    samples = with_new_networks(read_samples())
    found = [sample._replace(digest=build_graph(sample.network, sample.hyper).digest) for sample in samples]
    changed = [new.network for new, old in zip(found, samples) if new != old]
    print(f"samples: {', '.join(changed)} changed" if changed else "samples: equal", flush=True)
    if changed and write:
        lines = ",\n".join(json.dumps(sample._asdict()) for sample in found)
        write_bytes(SAMPLES, f"[\n{lines}\n]\n".encode())
        read_samples.cache_clear()
    return bool(changed)


def state_of(path: Path, graph: NetworkGraph) -> str:
    """Compare a graph with its file; what compressed the file does not count."""
    if not path.is_file():
        return "missing"
    return "equal" if NetworkGraph.of_bytes(path.read_bytes()) == graph else "differs"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="registered names (default: all)")
    parser.add_argument("--write", action="store_true", help="replace what differs and remove what is left over")
    args = parser.parse_args()
    stale = refreshed_samples(args.write)
    wanted = shipped_settings()
    for file, (name, hyper) in wanted.items():
        if args.networks and name not in args.networks:
            continue
        start, path = time.perf_counter(), FOLDER / file
        graph = build_graph(name, hyper)
        state, data = state_of(path, graph), graph.to_bytes()
        print(f"{name} {file}: {state}, {len(data) / 1e3:.0f} kB, {time.perf_counter() - start:.0f} s", flush=True)
        if state != "equal":
            stale = True
            if args.write:
                write_bytes(path, data)
    for path in sorted(FOLDER.glob("*.zip")):
        if path.name not in wanted:
            print(f"{path.name}: left over")
            stale = True
            if args.write:
                path.unlink()
    return int(stale and not args.write)


if __name__ == "__main__":
    sys.exit(main())
