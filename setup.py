"""What the package needs, of which one entry depends on the machine: the MindSpore that an environment gets.

A release that is there stays when it is an accepted one, and a machine with a card may take any of these, since its
driver decides. Everywhere else it is the release of requirements.txt, which is the fastest on CPU.
"""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
ACCEPTED = "mindspore>=2.8,<2.11"
CARDS = ("davinci[0-9]*", "nvidia[0-9]*")  # what drivers of Ascend and NVIDIA cards put into this folder
DEVICES = Path("/dev")


def mindspore() -> str:
    """Return what to require of MindSpore in this environment."""
    installed = list(Path(sysconfig.get_path("purelib")).glob("mindspore-2.*.dist-info"))
    kept = any(re.match(r"mindspore-2\.(8|9|10)\.", found.name) for found in installed)
    if kept or any(True for card in CARDS for _ in DEVICES.glob(card)):
        return ACCEPTED
    return re.search(r"^mindspore==\S+$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)[0]


def others() -> list[str]:
    """Return the rest: what a machine with MindSpore lacks, and NumPy."""
    lines = (ROOT / "pip-requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    setup(install_requires=[mindspore(), "numpy>=1.25,<2", *others()])
