"""Evaluate a run folder or a weight file; the same as `mindrestore eval`. Works from a plain clone, too."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

if __name__ == "__main__":
    if find_spec("mindrestore") is None:  # a plain clone: nothing was installed
        sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))
    from mindrestore.cli.main import run

    run(["eval", *sys.argv[1:]])
