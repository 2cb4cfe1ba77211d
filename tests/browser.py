"""A real headless Chromium for tests of pages; pytest loads this file as a plugin (see conftest.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)
DESKTOP, PHONE = (1280, 900), (390, 844)


def find_chromium() -> tuple[str, str] | None:
    """Return the paths of a browser and its driver, or None where one is missing."""
    browsers = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    browser, driver = next(filter(None, browsers), None), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory):
    """Start one Chromium for all tests; skip where selenium, the browser or its driver is absent."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is absent; pip install mindrestore[test]")
    found = find_chromium()
    if found is None:
        pytest.skip("no Chromium with chromedriver here; on Debian: apt install chromium chromium-driver")
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = found[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Return the browser with an empty page and a desktop window; the test fails on any error in the console.

    Use `browser.get(url)` for addresses and `open_page(browser, path)` for files.
    """
    resize(chromium, DESKTOP)
    chromium.get("about:blank")
    chromium.get_log("browser")  # what an earlier test left there
    yield chromium
    chromium.get("about:blank")  # a page that is left may still log
    errors = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert errors == [], "the console of the browser shows errors"


def resize(driver, size: tuple[int, int]) -> None:
    """Return the page a viewport of exactly this width and height in CSS pixels."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def open_page(driver, path: Path) -> None:
    """Open a file as a double click on it does."""
    driver.get(Path(path).resolve().as_uri())
