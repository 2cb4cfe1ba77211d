"""Settings and paths that every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before the first operator: the reference convolutions of oneDNN are 40 times slower on AVX-512 machines.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MINDRESTORE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real images and weights beside the checkout, or skip."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real images and weights are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Give the folder of golden files: the one beside the checkout, else the project's own copies."""
    beside = SHARED / "golden"
    return beside if beside.is_dir() else ROOT / "tests" / "golden"
