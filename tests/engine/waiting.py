"""Compute for minutes without hearing signals, as a compiler does: python waiting.py WORK."""

from __future__ import annotations

import sys

from mindrestore.engine.signals import SCRATCH, StopRequest

with StopRequest() as stop:
    SCRATCH.mkdir()
    (SCRATCH / "analyze_fail.ir").touch()
    with stop.working(int(sys.argv[1])):
        print(SCRATCH, flush=True)
        sum(range(10**10))  # one call: nothing else of Python runs meanwhile
