"""A server on a free port with a stand-in for the networks, and clients that send what browsers never would."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import uvicorn
from PIL import Image

from mindrestore.serve.app import create_app
from mindrestore.serve.connections import BoundedConnection
from mindrestore.serve.guard import HostNames
from mindrestore.serve.limits import Limits, MemoryShortError, UnrestoredError
from mindrestore.serve.queue import JobQueue
from mindrestore.serve.uploads import inspect_upload

TASKS = [
    {"task": "dehaze", "networks": [{"key": "dehaze/tiny", "title": "Tiny", "origin": "shipped", "name": None}]},
    {"task": "denoise", "networks": [{"key": "denoise/tiny", "title": "Tiny", "origin": "run", "name": "mine"}]},
    {"task": "derain", "networks": []},
]
BOUNDARY = "----boundary"


def encode(array, kind="PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return stream.getvalue()


def picture(height=6, width=8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def upload_of(data: bytes, name="a.png", limits=None):
    return inspect_upload(io.BytesIO(data), name, limits or Limits())


def form(fields: dict, files: dict) -> tuple[bytes, dict]:
    """Write a multipart form: field -> text, and field -> (name as it stands in the header, bytes)."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for field, (name, data) in files.items():
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def told(self):
        return json.loads(self.body)


class Negative:
    """Stand in for the networks: a negative per step; `gate` holds it up, images of one pixel fail.

    `short` is set: there is no memory.
    """

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.aborted = 0
        self.short = False

    def __call__(self, job):
        job.report("restoring", 0.5)
        assert self.gate.wait(10)
        pixels = np.asarray(Image.open(job.source))
        if pixels.shape[:2] == (1, 1):
            raise UnrestoredError(f"{job.upload.name}: too small; send a larger one")
        if self.short:
            raise MemoryShortError(f"{job.upload.name}: there is not enough memory; close other programs")
        if pixels.shape[:2] == (1, 2):
            raise ZeroDivisionError("a defect with /secret/path")
        for _ in job.networks:
            pixels = 255 - pixels
        for path in (job.target, *(job.folder / f"{name}.png" for name in ("before", "after", "thumbnail"))):
            Image.fromarray(pixels).save(path)
        height, width = pixels.shape[:2]
        facts = {"width": width, "height": height, "bits": 8, "bytes": job.target.stat().st_size, "seconds": 0.1}
        return {**facts, "before": "before.png", "after": "after.png"}

    def abort(self):
        self.aborted += 1
        self.gate.set()


class Running:
    """Talk to a running server."""

    def __init__(self, port, queue, work, folder):
        self.port, self.queue, self.work, self.folder = port, queue, work, folder

    def ask(self, method, path, body=None, headers=None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def send(self, path, data, name="a.png", **fields) -> Answer:
        return self.ask("POST", path, *form({"task": "dehaze", **fields}, {"image": (name, data)}))

    def state(self, token) -> dict:
        return self.ask("GET", f"/api/jobs/{token}").told

    def finished(self, token, *others) -> dict:
        wait_until(lambda: self.state(token)["state"] in ("done", "failed", *others))
        return self.state(token)


@contextmanager
def running(folder, limits, hosts, root_path=""):
    work = Negative()
    files = folder / "jobs"
    files.mkdir()
    queue = JobQueue(work, files, limits, abort=work.abort)
    app = create_app(queue, TASKS, hosts, lambda: server.should_exit, root_path)
    kept = {"http": BoundedConnection, "ws": "none", "log_level": "critical", "server_header": False}
    server = uvicorn.Server(uvicorn.Config(app, port=0, **kept))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield Running(server.servers[0].sockets[0].getsockname()[1], queue, work, files)
    finally:
        work.gate.set()
        server.should_exit = True
        thread.join(10)


def finish_work(server: Running) -> None:
    """Let the stand-in networks go on, and wait until no job is left."""
    server.work.gate.set()
    wait_until(lambda: server.queue.counts() == {"waiting": 0, "working": 0})


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    limits = Limits(max_bytes=200_000, max_pixels=10_000, max_waiting=2)
    with running(tmp_path_factory.mktemp("serve"), limits, HostNames("127.0.0.1", ["photos.example"])) as server:
        yield server


@pytest.fixture
def server(shared_server):
    """Return a server that has nothing to do and no files."""
    yield shared_server
    finish_work(shared_server)
    for folder in shared_server.folder.iterdir():
        shared_server.queue.delete(folder.name)
