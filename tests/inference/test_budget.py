"""What fits into memory."""

from __future__ import annotations

import psutil
import pytest

from mindrestore.inference.budget import Budget
from mindrestore.inference.pixels import RestoreError


def test_gigabytes_become_pixels():
    budget = Budget.of(2000, 0.06)
    assert budget.pixels == 30_000
    assert [budget.fits(pixels) for pixels in (30_000, 30_001)] == [True, False]


def test_half_of_what_is_free_is_taken(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8_000_000}))
    assert Budget.of(1000, None).pixels == 4000


@pytest.mark.parametrize("memory", [0, -1.5])
def test_memory_is_positive(memory):
    with pytest.raises(RestoreError, match=f"memory {memory}: give gigabytes"):
        Budget.of(2000, memory)
