"""Clients that say nothing, too little or too slowly, and more of them than the server has hands."""

from __future__ import annotations

import json
import socket
import threading
import time

import numpy as np
import pytest

from mindrestore.serve import connections
from mindrestore.serve.guard import HostNames
from mindrestore.serve.limits import Limits
from served import encode, form, picture, running, wait_until

PNG = encode(picture())
LIMITS = Limits(max_bytes=30_000_000, silence=0.4, least_rate=100_000, max_requests=4, max_arriving=2)
HEAD = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    with running(tmp_path_factory.mktemp("impatient"), LIMITS, HostNames("127.0.0.1")) as server:
        yield server


@pytest.fixture
def server(impatient, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "READ_SECONDS", 0.5)
    yield impatient
    impatient.work.gate.set()
    wait_until(lambda: impatient.queue.counts() == {"waiting": 0, "working": 0})


@pytest.fixture
def connect(server):
    """Open connections that are closed in the end."""
    opened = []

    def connect(sent=b"", **options):
        client = socket.socket()
        for name, value in options.items():
            client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        client.settimeout(10)
        client.connect(("127.0.0.1", server.port))
        client.sendall(sent)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


def answered(client):
    """Read all until the server closes; return the status and the JSON of the answer, None and None for no answer."""
    data = b""
    try:
        while piece := client.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    head, _, body = data.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)) if data else (None, None)


def received_by(client):
    """Read all until the server closes or resets the connection; return the number of bytes."""
    received = 0
    try:
        while piece := client.recv(65536):
            received += len(piece)
    except ConnectionResetError:
        pass
    return received


def drip(client, data, seconds):
    """Send a byte every 20 ms until the server has had enough; return how long that took."""
    began = time.monotonic()
    for place in range(int(seconds / 0.02)):
        try:
            client.sendall(data[place : place + 1])
        except OSError:
            break
        time.sleep(0.02)
    return time.monotonic() - began


def upload(size):
    body, headers = form({"task": "dehaze"}, {"image": ("a.bmp", bytes(size))})
    kind = f"Content-Type: {headers['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    return b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\n" + kind.encode(), body


@pytest.mark.parametrize("count", [64, 100])
def test_idle_connections_keep_nobody_out_and_are_closed(server, connect, count):
    idle = [connect() for _ in range(count)]
    began = time.monotonic()
    assert server.ask("GET", "/api/status").status == 200
    assert time.monotonic() - began < 0.4  # none of them had to go first
    assert [answered(client) for client in idle] == [(None, None)] * count
    assert time.monotonic() - began < 3


def test_one_connection_too_many_closes_the_one_that_waited_longest(server, connect, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60)
    monkeypatch.setattr(connections, "MOST", 8)
    first, *others = [connect() for _ in range(8)]
    wait_until(lambda: server.ask("GET", "/api/status").status == 200)  # the ninth
    assert answered(first) == (None, None)
    others[-1].sendall(HEAD + b"Connection: close\r\n\r\n")
    assert answered(others[-1])[0] == 200


def test_a_head_that_drips_has_an_end(server, connect):
    client = connect()
    assert 0.3 < drip(client, HEAD + b"X: " + b"y" * 500, 5) < 2
    assert answered(client) == (None, None)


def test_a_second_head_has_an_end_too(server, connect):
    client = connect(HEAD + b"\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert 0.3 < drip(client, HEAD + b"X: " + b"y" * 500, 5) < 2


def test_a_body_that_stops_is_answered(server, connect):
    head, body = upload(100_000)
    client = connect(head + body[:5000])
    began = time.monotonic()
    status, told = answered(client)
    assert (status, told["kind"]) == (408, "too_slow")
    assert told["error"] == "nothing came for 0.4 s; send the request again"
    assert 0.3 < time.monotonic() - began < 2
    assert server.queue.counts() == {"waiting": 0, "working": 0}


def test_a_body_that_drips_is_answered(server, connect):
    head, body = upload(100_000)
    client = connect(head)
    assert 0.3 < drip(client, body, 5) < 2
    assert "are too slow; send the request again" in answered(client)[1]["error"]


def test_a_slow_but_honest_client_is_served(server, connect):
    body, headers = form({"task": "dehaze"}, {"image": ("a.png", encode(picture(200, 200)))})  # 120 kB
    head = f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    client = connect(f"{head}Content-Type: {headers['Content-Type']}\r\n\r\n".encode())
    for start in range(0, len(body), 10_000):  # 0.9 s
        client.sendall(body[start : start + 10_000])
        time.sleep(0.07)
    assert answered(client)[0] == 202


def test_a_client_that_does_not_read_its_answer_is_left(server, connect):
    token = server.send("/api/jobs", encode(np.zeros((1500, 1500, 3), np.uint8), "BMP")).told["id"]  # 6.8 MB
    server.finished(token)
    client = connect(SO_RCVBUF=4096)
    client.sendall(f"GET /api/jobs/{token}/result HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    time.sleep(1.5)
    assert received_by(client) < 6_000_000
    assert len(server.ask("GET", f"/api/jobs/{token}/result").body) > 6_000_000


def test_more_requests_than_are_answered_at_a_time(server, connect):
    server.work.gate.clear()
    body, headers = form({"task": "dehaze"}, {"image": ("a.png", PNG)})
    threads = [
        threading.Thread(target=server.ask, args=("POST", "/api/restore", body, headers))
        for _ in range(LIMITS.max_requests)
    ]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda number=number: sum(server.queue.counts().values()) == number)
    refused = server.ask("GET", "/api/status")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
    error = "4 requests are in progress, the maximum; try again soon"
    assert refused.told == {"error": error, "kind": "busy"}
    server.work.gate.set()
    for thread in threads:
        thread.join()
    assert server.ask("GET", "/api/status").status == 200


def test_more_images_than_are_received_at_a_time(server, connect):
    head, body = upload(50_000)
    slow = [connect(head + body[:1000]) for _ in range(LIMITS.max_arriving)]
    wait_until(lambda: server.queue._arriving == 2)
    refused = server.send("/api/jobs", PNG)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
    assert refused.told["error"] == "2 images are being uploaded, the maximum; try again later"
    assert [answered(client)[0] for client in slow] == [408, 408]
    assert server.send("/api/jobs", PNG).status == 202


def test_threads_do_not_grow_with_requests(server):
    for _ in range(3):
        server.ask("GET", "/static/serve.js")
    before = threading.active_count()
    asking = [threading.Thread(target=server.send, args=("/api/jobs", PNG)) for _ in range(40)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert threading.active_count() - before <= 2 * LIMITS.max_requests


@pytest.mark.parametrize("size", [3_000_000, 40_000_000])
def test_a_refusal_is_read_by_a_client_that_is_still_sending(server, size):
    """Without reading on, the connection would be reset under its answer."""
    head, body = upload(size)
    refused = server.ask(
        "POST", "/api/restore", body, {"Content-Type": head.decode().split("Content-Type: ")[1].split("\r")[0]}
    )
    assert refused.status == (413 if size > LIMITS.max_bytes else 415)
    broken = server.ask("POST", "/api/jobs", body, {"Content-Type": "text/plain"})
    assert (broken.status, broken.told["kind"]) == (
        (413, "too_large") if size > LIMITS.max_bytes else (415, "unsupported_type")
    )
