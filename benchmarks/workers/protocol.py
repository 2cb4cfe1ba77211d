"""The loop that both workers share: say ready, run when asked, say the seconds, end with the peak memory."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable


def arguments() -> argparse.ArgumentParser:
    """Make the parser of the options that both workers take."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True)
    parser.add_argument("--size", required=True, help="N,C,H,W")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def peak_mb() -> float:
    """Return the largest resident size of this process so far (MiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(call: Callable[[], object], version: str) -> None:
    """Run `call` once to warm up, then once per line on standard input until it says end."""
    imported = peak_mb()
    start = time.perf_counter()
    call()
    _say(version=version, first_call_s=time.perf_counter() - start, import_mb=imported)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        start = time.perf_counter()
        call()
        _say(seconds=time.perf_counter() - start)
    _say(peak_mb=peak_mb())


def _say(**values: object) -> None:
    print(json.dumps(values), flush=True)
