"""Fixtures of the object store; what tests import lies in object_store.py, since every folder has a conftest."""

from __future__ import annotations

import pytest

from object_store import set_environment, start_weed


@pytest.fixture(scope="session")
def weed(tmp_path_factory):
    """Return a running store with the bucket `data`."""
    weed = start_weed(tmp_path_factory.mktemp("weed"))
    yield weed
    weed.kill()


@pytest.fixture
def own_weed(tmp_path):
    """Return a store that a test may kill."""
    folder = tmp_path / "weed"
    folder.mkdir()
    weed = start_weed(folder)
    yield weed
    weed.kill()


@pytest.fixture
def credentials(weed, monkeypatch, tmp_path):
    """Set the environment of a user of the store."""
    set_environment(monkeypatch, weed.server, tmp_path / "cache")
    return weed
