"""Card numbers on a command line go to the environment; no test leaves them there."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_chosen_cards(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")  # so that the environment is as before when the test ends
        monkeypatch.delenv(name)
