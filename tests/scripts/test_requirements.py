"""What an installation asks for: one list of packages, and the MindSpore that fits the machine."""

from __future__ import annotations

import re
import runpy
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINNED = "mindspore==2.8.0"
ANY = "mindspore>=2.8,<2.11"


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return a function that says which MindSpore is asked for, given an installed release and a device."""

    def ask(installed: str | None = None, device: str | None = None) -> str:
        if installed:
            (tmp_path / f"mindspore-{installed}.dist-info").mkdir()
        if device:
            (tmp_path / device).touch()
        monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
        facts = runpy.run_path(str(ROOT / "setup.py"))
        facts["mindspore"].__globals__["DEVICES"] = tmp_path
        return facts["mindspore"]()

    return ask


def test_a_new_environment_without_a_card_gets_the_release_of_the_requirements(asked):
    assert asked() == PINNED
    assert PINNED in (ROOT / "requirements.txt").read_text().splitlines()


@pytest.mark.parametrize("installed", ["2.8.0", "2.9.0", "2.10.0"])
def test_a_release_that_is_there_stays(asked, installed):
    assert asked(installed) == ANY


@pytest.mark.parametrize("installed", ["2.7.2", "2.11.0"])
def test_a_release_that_is_not_accepted_is_replaced(asked, installed):
    assert asked(installed) == PINNED


@pytest.mark.parametrize("device", ["davinci0", "nvidia3"])
def test_with_a_card_the_driver_decides(asked, device):
    assert asked(device=device) == ANY


def test_other_devices_are_no_cards(asked):
    assert asked(device="nvidia-caps") == PINNED
    assert asked(device="davinci_manager") == PINNED


def test_all_lists_name_the_same_packages():
    lists = {
        name: {re.split(r"[<>=]", line)[0] for line in (ROOT / name).read_text().splitlines() if line[:1].isalpha()}
        for name in ("requirements.txt", "pip-requirements.txt")
    }
    assert lists["requirements.txt"] == {*lists["pip-requirements.txt"], "mindspore", "numpy"}
    others = runpy.run_path(str(ROOT / "setup.py"))["others"]()
    assert {re.split(r"[<>=]", line)[0] for line in others} == lists["pip-requirements.txt"]
    assert 'dynamic = ["version", "dependencies"]' in (ROOT / "pyproject.toml").read_text()
