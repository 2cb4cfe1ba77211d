"""A temporary folder that is full, gone or closed to the server: one line, nothing lost, and on it goes afterwards."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mindrestore.files import WriteError
from mindrestore.images.errors import ImageError
from mindrestore.serve import child, queue
from mindrestore.serve.child import Networks
from mindrestore.serve.limits import (
    MemoryShortError,
    StorageError,
    StorageFullError,
    UnrestoredError,
    storage_error,
)
from served import encode, form, picture, wait_until

PNG = encode(picture())
FULL = "the disk with the temporary folder of the server is full; free some space there, then try again"


def fill(monkeypatch):
    """Make every copy into the folder meet a full disk, as it writes to one."""

    def copy(stream, stored, length):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(stream.read())

    monkeypatch.setattr(queue.shutil, "copyfileobj", copy)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("path", ["/api/jobs", "/api/restore"])
def test_a_full_disk_is_507_until_there_is_space(server, monkeypatch, path):
    with monkeypatch.context() as patched:
        fill(patched)
        refused = server.send(path, PNG)
        assert (refused.status, refused.told) == (507, {"error": FULL, "kind": "storage_full"})
        assert list(server.folder.iterdir()) == []
    assert server.send(path, PNG).status in (200, 202)


def test_a_form_that_does_not_fit_is_507(server, monkeypatch):
    """Long forms lie in a file of the parser before the image is known."""

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("starlette.datastructures.UploadFile.write", write)
        refused = server.send("/api/jobs", PNG)
    assert (refused.status, refused.told["kind"]) == (507, "storage_full")
    assert server.send("/api/jobs", PNG).status == 202


def test_a_folder_that_was_removed_is_made_again(server):
    token = server.send("/api/jobs", PNG).told["id"]
    server.finished(token)
    shutil.rmtree(server.folder)
    gone = server.ask("GET", f"/api/jobs/{token}/result")
    assert (gone.status, gone.told["kind"]) == (404, "unknown_job")
    again = server.finished(server.send("/api/jobs", PNG).told["id"])
    assert again["state"] == "done"
    if os.name == "posix":
        assert server.folder.stat().st_mode & 0o777 == 0o700


def test_a_picture_that_was_removed_is_404(server):
    token = server.finished(server.send("/api/jobs", PNG).told["id"])["id"]
    (server.folder / token / "before.png").unlink()
    answer = server.ask("GET", f"/api/jobs/{token}/before")
    assert (answer.status, answer.told["kind"]) == (404, "unknown_job")


def test_a_folder_that_cannot_be_made_is_503_until_it_can(server):
    server.folder.rmdir()
    server.folder.write_text("in the way")
    refused = server.send("/api/jobs", PNG)
    assert refused.status == 503
    assert refused.told == {
        "error": "the temporary folder of the server cannot be used (File exists); create it again or change "
        "its permissions, then try again",
        "kind": "no_storage",
    }
    assert str(server.folder) not in refused.body.decode()
    server.folder.unlink()
    assert server.send("/api/jobs", PNG).status == 202


def test_a_job_that_met_a_full_disk_can_be_tried_again(server):
    work = server.queue._work

    def full(job):
        raise StorageFullError(FULL)

    server.queue._work = full
    try:
        told = server.finished(server.send("/api/jobs", PNG).told["id"])
    finally:
        server.queue._work = work
    assert (told["state"], told["error"], told["kind"]) == ("failed", FULL, "storage_full")
    assert server.ask("POST", f"/api/jobs/{told['id']}/retry").status == 202
    assert server.finished(told["id"])["state"] == "done"


class Same:
    """Stand in for a network that changes nothing."""

    progress = None

    def __call__(self, pixels):
        return pixels


@pytest.fixture
def networks(monkeypatch):
    networks = Networks([], {}, lambda word: None)
    monkeypatch.setattr(networks, "_restorer", lambda key: Same())
    return networks


def request_of(folder: Path) -> dict:
    (folder / "input.png").write_bytes(PNG)
    return {"networks": ["x"], "name": "a.png", "source": folder / "input.png", "target": folder / "result.png"}


def test_the_process_of_the_networks_says_that_the_disk_is_full(networks, tmp_path, monkeypatch):
    def write_photo(path, photo):
        raise WriteError("the disk is full") from OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(child, "write_photo", write_photo)
        assert networks.restore(request_of(tmp_path)) == {"failed": FULL, "status": 507}
    done = networks.restore(request_of(tmp_path))["done"]
    assert (done["width"], done["height"], done["bits"]) == (8, 6, 8)


@pytest.mark.parametrize(
    ("place", "error", "line"),
    [
        ("read_photo", MemoryError("Unable to allocate 9 GiB"), "a.png: the network could not run (Unable to allocate"),
        ("read_photo", ImageError("there is not enough memory to decode it"), "a.png: there is not enough"),
        ("_restorer", MemoryError(), "there is not enough memory to load the network (MemoryError); close other"),
    ],
)
def test_the_process_of_the_networks_says_that_memory_ran_out(networks, tmp_path, monkeypatch, place, error, line):
    def fail(name):
        raise error from MemoryError()

    monkeypatch.setattr(networks if place == "_restorer" else child, place, fail)
    told = child._answer(networks, request_of(tmp_path))
    assert told["status"] == MemoryShortError.status == 500
    assert told["failed"].startswith(line)


def test_a_damaged_image_is_no_lack_of_memory(networks, tmp_path):
    request = request_of(tmp_path)
    request["source"].write_bytes(PNG[:60])
    told = child._answer(networks, request)
    assert told["status"] == UnrestoredError.status == 422
    assert told["failed"].startswith("a.png: damaged image (")


def test_the_process_of_the_networks_says_that_the_image_is_gone(networks, tmp_path):
    request = request_of(tmp_path)
    shutil.rmtree(tmp_path)
    told = networks.restore(request)
    assert (told["status"], told["failed"].split(";")[1]) == (503, " send it again")


def test_several_networks_work_in_turn(networks, tmp_path, monkeypatch):
    class Half(Same):
        def restore_float(self, image):
            return image / 2

    monkeypatch.setattr(networks, "_restorer", lambda key: Half())
    request = {**request_of(tmp_path), "networks": ["x", "y"]}
    assert networks.restore(request)["done"]["bits"] == 8
    from mindrestore.images.read import read_image

    expected = np.rint(picture() / 4)
    assert np.abs(read_image(tmp_path / "result.png") - expected).max() <= 1


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [(errno.ENOSPC, StorageFullError, 507), (errno.EDQUOT, StorageFullError, 507), (errno.EROFS, StorageError, 503)],
)
def test_reasons_of_the_system(number, kind, status):
    error = storage_error(OSError(number, os.strerror(number)))
    assert (type(error), error.status) == (kind, status)
    assert "\n" not in str(error)


def test_an_upload_that_is_broken_off_leaves_nothing(server):
    body, headers = form({"task": "dehaze"}, {"image": ("a.png", PNG)})
    answer = server.ask("POST", "/api/jobs", body[:-200], headers)
    assert answer.status == 400
    wait_until(lambda: list(server.folder.iterdir()) == [])
