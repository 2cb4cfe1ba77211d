"""A release: sdist and wheel are built from what is committed, and the wheel alone restores and trains."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_release.sh"


@pytest.mark.slow  # a minute
def test_the_wheel_alone_restores_a_photograph_and_trains_two_steps(tmp_path):
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "MINDRESTORE_SKIP_INSTALL": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(["bash", str(SCRIPT), str(tmp_path)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("== the release is good: mindrestore-")
    (sdist,), (wheel,) = ((tmp_path / "dist").glob(pattern) for pattern in ("*.tar.gz", "*.whl"))
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "src/mindrestore/api.py"} <= inside
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    source = SCRIPT.parents[1] / "src"
    listed = subprocess.run(["git", "ls-files", "."], cwd=source, capture_output=True, text=True, check=True)
    assert {name for name in listed.stdout.splitlines() if name.startswith("mindrestore/")} <= packed
