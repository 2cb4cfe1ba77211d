"""Whether there is a card to compute on, found without importing MindSpore where there is none."""

from __future__ import annotations

import os
from pathlib import Path

_NODES = ("davinci[0-9]*", "nvidia[0-9]*")  # what drivers of Ascend and NVIDIA cards put into /dev
_DEV = Path("/dev")


def wants_card(device: str = "auto") -> bool:
    """Return whether networks are to run on a card.

    Args:
        device: "auto", "CPU", "GPU" or "Ascend"; "auto" takes MINDRESTORE_DEVICE when set, else a card where MindSpore
            finds one. It is asked only where a driver has made a device.
    """
    if device == "auto":
        device = os.environ.get("MINDRESTORE_DEVICE", "auto")
    if device.lower() != "auto":
        return device.lower() != "cpu"
    if not any(True for node in _NODES for _ in _DEV.glob(node)):
        return False
    try:
        from mindrestore.engine import context
    except ImportError:  # without MindSpore there is nothing that could use the card
        return False
    return context.available_devices()[0] != "CPU"
