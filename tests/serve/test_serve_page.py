"""The whole of it: the command as a process, a network with small weights, and a browser with a real upload."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms

from browser import PHONE, resize
from mindrestore.images.photos import read_photo
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.restorer import Restorer
from mindrestore.models.registry import create_model
from mindrestore.weights.convert import save_weights
from served import Running, form, wait_until

HYPER = {"channels": 8, "blocks": 1, "deform_layers": 0}


def start(weights: Path, temporary: Path, *words: str) -> tuple[subprocess.Popen, int]:
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mindrestore", "serve", "--port", "0", "--weights", f"dehaze={weights}", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        # As a shell starts a command in the foreground; the default of programs under test may be to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in process.stdout:
        if "until Ctrl-C" in line:
            return process, int(line.split(":")[2].split("/")[0])
    raise AssertionError(process.stderr.read())


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Return a weight file with a record of its hyper-parameters beside it."""
    ms.set_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    save_weights(create_model("aecrnet", **HYPER), path)
    path.with_name("tiny.npz.json").write_text(json.dumps({"network": "aecrnet", "differing": HYPER}))
    return path


@pytest.fixture(scope="module")
def restore(weights) -> Restorer:
    return Restorer("aecrnet", weights=weights, hyper=HYPER, device="CPU", tile="auto")


@pytest.fixture(scope="module")
def served(weights, tmp_path_factory):
    """Return a running server; in the end Ctrl-C leaves nothing of it behind."""
    temporary = tmp_path_factory.mktemp("served") / "tmp"
    process, port = start(weights, temporary, "--device", "CPU", "--max-bytes", "3000000")
    yield Running(port, None, None, temporary)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert len(family) == 1
    assert process.returncode == 0
    assert out.endswith("ended; temporary files are removed\n")
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
    assert not any(child.is_running() for child in family)


@pytest.fixture(scope="module")
def hazy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "hazy street.png"
    coarse = np.random.default_rng(0).random((9, 12, 3), np.float32)
    clear = cv2.resize(coarse, (333, 251), interpolation=cv2.INTER_CUBIC)
    write_image(path, 0.6 * clear + 0.35)
    return path


def test_upload_slide_download_remove(served, hazy, restore, browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def element(name):
        return browser.find_element(By.ID, name)

    def states():
        return [card.get_attribute("data-state") for card in browser.find_elements(By.CLASS_NAME, "entry")]

    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(f"http://127.0.0.1:{served.port}/")
    wait_until(lambda: browser.find_elements(By.CLASS_NAME, "network"))
    network = browser.find_element(By.CLASS_NAME, "network")
    assert network.text == "AECR-Net, your weights"
    assert element("missing").text.startswith("Not offered here: blur. MindRestore includes no weights for it")
    element("image").send_keys(str(hazy))
    assert element("chosen").text.startswith("1 chosen (")
    element("start").send_keys(Keys.ENTER)
    wait_until(lambda: states() == ["done"], 120)
    browser.find_element(By.CLASS_NAME, "thumbnail").click()
    assert element("facts").text.startswith("Removed: haze; 333 \u00d7 251 pixels, 8 bits, ")
    widths = "return [...document.querySelectorAll('before-after img')].map(i => i.complete && i.naturalWidth)"
    wait_until(lambda: browser.execute_script(widths) == [333, 333])
    small = "return document.querySelector('.thumbnail img').naturalWidth"
    wait_until(lambda: browser.execute_script(small) == 320)
    handle = browser.find_element(By.CSS_SELECTOR, "[role=slider]")
    handle.send_keys(Keys.PAGE_UP)
    assert handle.get_attribute("aria-valuetext") == "60% before, 40% restored"
    element("download").click()
    target = tmp_path / "hazy street_restored.png"
    wait_until(target.is_file)
    np.testing.assert_array_equal(read_image(target), restore(read_image(hazy)))
    assert np.abs(read_image(target).astype(int) - read_image(hazy)).mean() > 1  # it is not the input
    (remove,) = [each for each in browser.find_elements(By.CSS_SELECTOR, ".row > *") if each.text == "Remove"]
    remove.click()
    wait_until(lambda: states() == [])
    (folder,) = served.folder.iterdir()
    wait_until(lambda: list((folder / "jobs").iterdir()) == [])
    browser.execute_script("localStorage.clear()")


def test_a_file_that_is_too_long_is_not_sent(served, tmp_path, browser):
    from selenium.webdriver.common.by import By

    long = tmp_path / "long.png"
    long.write_bytes(bytes(3_000_001))
    browser.get(f"http://127.0.0.1:{served.port}/")
    wait_until(lambda: browser.find_elements(By.CLASS_NAME, "network"))
    browser.find_element(By.ID, "image").send_keys(str(long))
    assert browser.find_element(By.ID, "problem").text == "long.png: 3.0 MB is more than the limit of 3.0 MB."
    assert not browser.find_element(By.ID, "start").is_enabled()


def test_the_page_fits_a_phone(served, browser):
    resize(browser, PHONE)
    browser.get(f"http://127.0.0.1:{served.port}/")
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE[0]


def deep(path):
    pixels = np.random.default_rng(1).integers(0, 65536, (40, 52, 3), np.uint16)
    write_image(path, pixels)


def turned(path):
    exif = Image.Exif()
    exif[274] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(2).integers(0, 256, (40, 52, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif, icc_profile=profile)


def transparent(path):
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 52, 4), np.uint8)).save(path)


def grey(path):
    Image.fromarray(np.random.default_rng(4).integers(0, 256, (40, 52), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("make", "name"), [(deep, "a.png"), (deep, "a.tif"), (turned, "a.jpg"), (transparent, "a.webp"), (grey, "a.bmp")]
)
def test_one_call_keeps_size_type_and_what_belongs_to_a_photograph(served, restore, tmp_path, make, name):
    make(tmp_path / name)
    answer = served.send("/api/restore", (tmp_path / name).read_bytes(), name)
    assert answer.status == 200
    (tmp_path / f"restored_{name}").write_bytes(answer.body)
    photo, result = read_photo(tmp_path / name), read_photo(tmp_path / f"restored_{name}")
    expected = replace(photo, pixels=restore(photo.pixels))
    assert result.pixels.dtype == photo.pixels.dtype
    if name.endswith(".jpg"):
        assert result.pixels.shape == (52, 40, 3)
        assert np.abs(result.pixels.astype(int) - expected.pixels).mean() < 3  # noise at quality 95
    else:
        np.testing.assert_array_equal(result.pixels, expected.pixels)
    if photo.alpha is not None:
        np.testing.assert_array_equal(result.alpha, photo.alpha)
    assert (result.alpha is None) == (photo.alpha is None)
    assert result.metadata.get("icc_profile") == photo.metadata.get("icc_profile")


def test_damage_behind_the_header_is_found_and_named(served, hazy):
    stream = io.BytesIO()
    Image.open(hazy).save(stream, "PNG")
    answer = served.send("/api/restore", stream.getvalue()[:-2000], "../cut.png")
    assert answer.status == 422
    assert answer.told["error"].startswith("cut.png: damaged image (")
    assert "/" not in answer.told["error"]


def test_several_pictures_in_one_file(served):
    stream = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    answer = served.send("/api/restore", stream.getvalue(), "moving.gif")
    assert (answer.status, answer.told["error"].split(";")[0]) == (422, "moving.gif: holds 2 pictures")


def test_the_process_of_the_networks_may_die(served, hazy):
    """As it does when the system runs out of memory."""
    data = hazy.read_bytes()
    children = [child for child in psutil.process_iter() if is_child(child, served)]
    assert len(children) == 1
    children[0].kill()
    assert served.send("/api/restore", data).status == 200


def is_child(process, served) -> bool:
    try:
        return "mindrestore.serve.child" in process.cmdline() and process.environ().get("TMPDIR") == str(served.folder)
    except psutil.Error:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ending_in_the_middle_of_the_work(weights, tmp_path, number):
    """A signal breaks off a job, answers those who wait, and leaves no file and no process."""
    process, port = start(weights, tmp_path / "tmp", "--device", "CPU", "--tile", "32", "--ensemble")
    talk = Running(port, None, None, tmp_path / "tmp")
    stream = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(stream, "PNG")
    body, headers = form({"task": "dehaze"}, {"image": ("black.png", stream.getvalue())})
    token = talk.ask("POST", "/api/jobs", body, headers).told["id"]
    wait_until(lambda: talk.state(token)["phase"] == "restoring", 120)
    wait_until(lambda: talk.state(token)["share"], 120)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (0, False)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not any(child.is_running() for child in family)


def test_weights_that_cannot_be_used_are_named_at_the_start(tmp_path):
    words = ["serve", "--port", "0", "--weights", "dehaze=absent.npz"]
    done = subprocess.run([sys.executable, "-m", "mindrestore", *words], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --weights dehaze=absent.npz: no such file; check the path\n"
