"""Boot file of a ModelArts job: train on every card of every node; all arguments go to train.py.

ModelArts starts this file once per node and says in the environment how many cards and nodes there are (MA_NUM_GPUS,
MA_NUM_HOSTS), which node this is (VC_TASK_INDEX) and where the first one is (VC_WORKER_HOSTS). Where it starts one
process per card with a rank table itself (RANK_TABLE_FILE and RANK_ID are set), the boot file is train.py instead.

Settings of the job:
  MINDRESTORE_DEVICE        Ascend (default), GPU or CPU
  MINDRESTORE_MAX_RESTARTS  go on from the last checkpoint after a crash, at most so often (default 3)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


def command_line(environment: Mapping[str, str], arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `mindrestore` for this node of the job.

    Example:
        >>> command_line({"MA_NUM_GPUS": "8"}, ["--recipe", "quickstart"])[:5]
        ['launch', '--device', 'Ascend', '--max-restarts', '3']
    """
    device = environment.get("MINDRESTORE_DEVICE", "Ascend")
    words = ["launch", "--device", device, "--max-restarts", environment.get("MINDRESTORE_MAX_RESTARTS", "3")]
    nodes, cards = (int(environment.get(name) or 0) for name in ("MA_NUM_HOSTS", "MA_NUM_GPUS"))
    if cards:
        words += ["--device-num", str(cards)]
    missing = [name for name in ("VC_TASK_INDEX", "VC_WORKER_HOSTS") if not environment.get(name)]
    if nodes > 1 and missing:
        sys.exit(f"error: a job of {nodes} nodes needs {' and '.join(missing)} in the environment")
    if nodes > 1:
        words += ["--node-num", str(nodes), "--node-rank", environment["VC_TASK_INDEX"]]
        words += ["--master-addr", environment["VC_WORKER_HOSTS"].split(",")[0]]
    return [*words, "--log-dir", environment.get("MA_LOG_DIR") or "launch", "--", "train", *arguments]


if __name__ == "__main__":
    if find_spec("mindrestore") is None:  # a code folder: nothing was installed
        sys.path.insert(0, str(SOURCE))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    from mindrestore.cli.main import main

    sys.exit(main(command_line(os.environ, sys.argv[1:])))
