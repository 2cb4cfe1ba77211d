"""The HTTP interface, spoken to over real sockets, with a stand-in for the networks."""

from __future__ import annotations

import io
import os
import re
import socket
import zipfile

import numpy as np
import pytest
from PIL import Image

from mindrestore import __version__
from mindrestore.serve.app import Service
from mindrestore.serve.guard import HostNames
from mindrestore.serve.limits import Limits
from served import BOUNDARY, encode, form, picture, running, wait_until

PNG = encode(picture())


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_job_from_upload_to_removal(server):
    answer = server.send("/api/jobs", PNG, "../Haze (1).png")
    assert answer.status == 202
    token = answer.told["id"]
    assert answer.headers["Location"] == f"jobs/{token}"  # relative to /api/jobs
    told = server.finished(token)
    assert told["state"] == "done"
    assert told["name"] == "Haze (1).png"
    assert told["networks"] == ["dehaze/tiny"]
    assert {key: told["result"][key] for key in ("width", "height", "name", "type")} == {
        "width": 8,
        "height": 6,
        "name": "Haze (1)_restored.png",
        "type": "image/png",
    }
    result = server.ask("GET", f"/api/jobs/{token}/result")
    assert result.status == 200
    assert result.headers["Content-Type"] == "image/png"
    assert result.headers["Content-Disposition"].startswith("attachment; filename")
    assert "Haze" in result.headers["Content-Disposition"]
    assert int(result.headers["Content-Length"]) == told["result"]["bytes"] == len(result.body)
    np.testing.assert_array_equal(pixels(result.body), 255 - picture())
    for which in ("before", "after"):
        preview = server.ask("GET", f"/api/jobs/{token}/{which}")
        assert (preview.status, preview.headers["Content-Type"]) == (200, "image/png")
    assert server.ask("DELETE", f"/api/jobs/{token}").status == 204
    assert server.ask("GET", f"/api/jobs/{token}/result").status == 404
    assert list(server.folder.iterdir()) == []


def test_one_call_gives_the_result_and_leaves_nothing(server):
    answer = server.send("/api/restore", encode(picture(), "TIFF"), "scan.tiff")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/tiff"
    assert 'filename="scan_restored.tif"' in answer.headers["Content-Disposition"]
    np.testing.assert_array_equal(pixels(answer.body), 255 - picture())
    assert list(server.folder.iterdir()) == []


def test_a_network_can_be_chosen_in_the_place_of_a_task(server):
    body, headers = form({"network": "dehaze/tiny"}, {"image": ("a.png", PNG)})
    assert server.ask("POST", "/api/restore", body, headers).status == 200


def test_status_says_what_is_offered_and_taken(server):
    told = server.ask("GET", "/api/status").told
    assert [entry["task"] for entry in told["tasks"]] == ["dehaze", "denoise", "derain"]
    assert told["limits"] == {
        "max_bytes": 200_000,
        "max_pixels": 10_000,
        "max_waiting": 2,
        "keep_seconds": 1800,
        "max_kept": 100,
    }
    assert told["queue"] == {"waiting": 0, "working": 0}


def test_the_queue_shows_places_and_refuses_what_is_too_much(server):
    server.work.gate.clear()
    tokens = [server.send("/api/jobs", PNG).told["id"]]
    wait_until(lambda: server.state(tokens[0])["share"] == 0.5)
    tokens += [server.send("/api/jobs", PNG).told["id"] for _ in range(2)]
    told = [server.state(token) for token in tokens]
    assert [entry["state"] for entry in told] == ["working", "waiting", "waiting"]
    assert [entry["position"] for entry in told] == [0, 1, 2]
    assert told[0]["phase"] == "restoring"
    for path in ("/api/jobs", "/api/restore"):
        refused = server.send(path, PNG)
        assert refused.status == 503
        assert refused.headers["Retry-After"] == "10"
        assert refused.told == {
            "error": "2 images are already waiting, the maximum; try again later",
            "kind": "busy",
        }
    early = server.ask("GET", f"/api/jobs/{tokens[2]}/result")
    assert (early.status, early.told["error"]) == (409, "a.png: there is no result; the job is waiting")
    assert server.ask("DELETE", f"/api/jobs/{tokens[1]}").status == 204
    assert server.state(tokens[2])["position"] == 1
    server.work.gate.set()
    assert server.finished(tokens[2])["state"] == "done"


def test_deleting_a_job_in_work_breaks_it_off(server):
    server.work.gate.clear()
    aborted, token = server.work.aborted, server.send("/api/jobs", PNG).told["id"]
    wait_until(lambda: server.state(token)["phase"] == "restoring")
    assert server.ask("DELETE", f"/api/jobs/{token}").status == 204
    assert server.work.aborted == aborted + 1
    wait_until(lambda: list(server.folder.iterdir()) == [])


def test_cancelling_keeps_the_image_for_another_try(server):
    server.work.gate.clear()
    working, waiting = (server.send("/api/jobs", PNG).told["id"] for _ in range(2))
    wait_until(lambda: server.state(working)["share"] == 0.5)
    cancelled = server.ask("POST", f"/api/jobs/{waiting}/cancel")
    assert (cancelled.status, cancelled.told["state"], cancelled.told["error"]) == (200, "cancelled", None)
    assert server.ask("POST", f"/api/jobs/{working}/cancel").status == 200  # lets the gate go
    assert server.finished(working, "cancelled")["state"] == "cancelled"
    assert server.ask("GET", f"/api/jobs/{working}/result").status == 409
    for token in (waiting, working):
        again = server.ask("POST", f"/api/jobs/{token}/retry")
        assert (again.status, again.told["id"]) == (202, token)
        assert server.finished(token)["state"] == "done"
    refused = server.ask("POST", f"/api/jobs/{working}/retry")
    assert (refused.status, refused.told) == (
        409,
        {"error": "a.png: the job is done; only a failed one is tried again", "kind": "unfinished"},
    )


def test_another_try_needs_the_image(server):
    told = server.finished(server.send("/api/jobs", encode(picture(1, 1)), "dot.png").told["id"])
    assert (told["state"], told["kind"]) == ("failed", "unrestored")
    (server.folder / told["id"] / "input.png").unlink()
    refused = server.ask("POST", f"/api/jobs/{told['id']}/retry")
    assert (refused.status, refused.told["error"]) == (409, "dot.png: the image is gone from the server; send it again")


def test_several_jobs_are_asked_for_at_once(server):
    one, two = (server.send("/api/jobs", PNG, name).told["id"] for name in ("one.png", "two.png"))
    server.finished(two)
    told = server.ask("GET", f"/api/jobs?id={two}&id=absent&id={one}&id={two}").told["jobs"]
    assert [job["name"] for job in told] == ["two.png", "one.png"]
    assert server.ask("GET", "/api/jobs").told == {"jobs": []}


def test_a_job_says_how_long_it_is_kept_and_how_long_it_takes(server):
    server.work.gate.clear()
    token = server.send("/api/jobs", PNG).told["id"]
    wait_until(lambda: server.state(token)["share"] == 0.5)
    told = server.state(token)
    assert told["expires_in"] is None
    assert 0 <= told["seconds_left"] < 30  # as long as the first half took
    server.work.gate.set()
    told = server.finished(token)
    assert told["seconds_left"] is None
    assert 1790 < told["expires_in"] <= 1800


def test_thumbnails_come_with_the_image(server):
    server.work.gate.clear()
    token = server.send("/api/jobs", PNG).told["id"]
    early = server.ask("GET", f"/api/jobs/{token}/thumbnail")
    assert (early.status, early.told["kind"]) == (409, "unfinished")
    server.work.gate.set()
    assert server.finished(token)["thumbnail"] is True
    assert pixels(server.ask("GET", f"/api/jobs/{token}/thumbnail").body).shape == (6, 8, 3)


def test_networks_follow_each_other_in_the_order_of_the_form(server):
    def send(fields):
        parts = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields
        )
        body, headers = form({}, {"image": ("a.png", PNG)})
        return server.ask("POST", "/api/jobs", parts.encode() + body, headers)

    told = server.finished(send([("task", "denoise"), ("task", "dehaze")]).told["id"])
    assert told["networks"] == ["denoise/tiny", "dehaze/tiny"]
    np.testing.assert_array_equal(
        pixels(server.ask("GET", f"/api/jobs/{told['id']}/result").body), picture()
    )  # a negative of a negative
    refused = send([("network", "dehaze/tiny")] * 5)
    assert (refused.status, refused.told["error"]) == (422, "5 networks for one image; at most 4 follow each other")


def test_an_archive_holds_what_is_done(server):
    done = server.finished(server.send("/api/jobs", PNG, "a.png").told["id"])["id"]
    failed = server.finished(server.send("/api/jobs", encode(picture(1, 1))).told["id"])["id"]
    answer = server.ask("GET", f"/api/archive?id={done}&id={failed}&id=absent")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist() == ["a_restored.png"]
        np.testing.assert_array_equal(pixels(archive.read("a_restored.png")), 255 - picture())
    refused = server.ask("GET", f"/api/archive?id={failed}")
    assert (refused.status, refused.told["error"].split(";")[0]) == (404, "none of these jobs has a result")


@pytest.fixture(scope="module")
def below(tmp_path_factory):
    with running(tmp_path_factory.mktemp("below"), Limits(), HostNames("127.0.0.1"), "/photos") as server:
        yield server


@pytest.mark.parametrize("path", ["/photos/api/status", "/api/status"])
def test_below_a_path_whether_the_proxy_takes_it_off_or_not(below, path):
    assert below.ask("GET", path).told["queue"] == {"waiting": 0, "working": 0}


def test_the_path_itself_leads_to_the_page(below):
    answer = below.ask("GET", "/photos")
    assert (answer.status, answer.headers["Location"]) == (307, "/photos/")
    assert b"<title>MindRestore</title>" in below.ask("GET", "/photos/").body
    assert below.ask("GET", "/photosapi/status").status == 404


def test_the_description_has_every_route_and_every_method(server):
    described = server.ask("GET", "/openapi.json").told
    assert (described["openapi"], described["info"]["version"]) == ("3.1.0", __version__)
    found = {(path, method) for path, entry in described["paths"].items() for method in entry if method != "parameters"}
    routes = Service(server.queue, []).routes()
    assert found == {(route.path, method.lower()) for route in routes for method in route.methods - {"HEAD"}}
    names = [
        entry["operationId"] for paths in described["paths"].values() for entry in paths.values() if "summary" in entry
    ]
    assert sorted(names) == sorted(route.name for route in routes)


def test_the_description_says_what_jobs_and_the_status_look_like(server):
    schemas = server.ask("GET", "/openapi.json").told["components"]["schemas"]
    told = server.finished(server.send("/api/jobs", PNG).told["id"])
    assert sorted(told) == sorted(schemas["Job"]["required"]) == sorted(schemas["Job"]["properties"])
    assert sorted(told["result"]) == sorted(schemas["Job"]["properties"]["result"]["oneOf"][1]["required"])
    assert sorted(server.ask("GET", "/api/status").told) == sorted(schemas["Status"]["required"])


def test_a_client_that_goes_away_takes_its_job_along(server):
    server.work.gate.clear()
    aborted = server.work.aborted
    body, headers = form({"task": "dehaze"}, {"image": ("a.png", PNG)})
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = f"POST /api/restore HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        client.sendall(f"{head}Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
        wait_until(lambda: server.queue.counts()["working"] == 1)
    wait_until(lambda: server.work.aborted == aborted + 1)
    wait_until(lambda: list(server.folder.iterdir()) == [])


@pytest.mark.parametrize(
    ("data", "name", "fields", "status", "error"),
    [
        (b"", "a.png", {}, 422, "a.png: the file is empty"),
        (b"nonsense", "a.png", {}, 415, "a.png: not an image that can be read"),
        (PNG[:20], "a.png", {}, 422, "a.png: damaged image ("),
        (encode(picture(101, 100)), "big.png", {}, 413, "big.png: 100x101 is 10,100 pixels"),
        (bytes(200_001), "long.bmp", {}, 413, "long.bmp: larger than the limit of 200,000 bytes"),
        (PNG, "a.png", {"task": "derain"}, 422, "no weights for derain here; start the server with --weights derain="),
        (
            PNG,
            "a.png",
            {"task": "dream"},
            422,
            "unknown task 'dream'; the field task is one of dehaze, denoise, derain",
        ),
        (PNG, "a.png", {"network": "../x"}, 422, "no network '../x' here"),
        (encode(picture(1, 1)), "dot.png", {}, 422, "dot.png: too small; send a larger one"),
        (encode(picture(1, 2)), "two.png", {}, 500, "an internal error; the terminal of the server shows it"),
    ],
)
def test_errors_are_one_clear_line(server, data, name, fields, status, error):
    answer = server.send("/api/restore", data, name, **fields)
    assert answer.status == status
    assert answer.told["error"].startswith(error)
    assert "\n" not in answer.told["error"]
    assert list(server.folder.iterdir()) == []


def test_the_page_learns_why_a_job_failed(server):
    told = server.finished(server.send("/api/jobs", encode(picture(1, 1)), "dot.png").told["id"])
    assert (told["state"], told["error"], told["result"]) == ("failed", "dot.png: too small; send a larger one", None)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", f"multipart/form-data; boundary={BOUNDARY}", 400),
        (b"garbage", f"multipart/form-data; boundary={BOUNDARY}", 400),
        (b"garbage", "multipart/form-data", 400),
        (PNG, "image/png", 415),
        (b"image=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/json", 415),
        (form({"task": "dehaze"}, {})[0], form({}, {})[1]["Content-Type"], 400),
        (form({"image": "text"}, {})[0], form({}, {})[1]["Content-Type"], 400),
        (form({}, {"image": ("a", PNG)})[0][:-30], form({}, {})[1]["Content-Type"], 400),
        (form({}, {"image": ("a", PNG), "other": ("b", PNG)})[0], form({}, {})[1]["Content-Type"], 400),
        (form({str(i): "x" for i in range(99)}, {})[0], form({}, {})[1]["Content-Type"], 400),
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/restore"])
def test_malformed_uploads(server, path, body, kind, status):
    answer = server.ask("POST", path, body, {"Content-Type": kind})
    assert answer.status == status
    assert answer.told["error"]
    assert "Traceback" not in answer.told["error"]
    assert list(server.folder.iterdir()) == []


def test_a_body_without_a_length_is_counted(server):
    """Transfer-Encoding: chunked does not say how much will come."""
    body, headers = form({"task": "dehaze"}, {"image": ("a.bmp", bytes(1_000_000))})
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    try:
        answer = server.ask("POST", "/api/restore", pieces, headers)
    except (BrokenPipeError, ConnectionResetError):  # it stopped listening in the middle, as it may
        answer = None
    assert answer is None or answer.status == 413
    assert server.send("/api/restore", PNG).status == 200


def test_a_length_beyond_the_limit_is_refused_before_anything_is_sent(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"POST /api/restore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/static/../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/limits.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..\\limits.py",
        "/static/serve.js%00.png",
        "/static/",
        "/api/jobs/..%2f..%2fetc%2fpasswd/result",
        "/api/jobs/%2e%2e/result",
        "/api/jobs/../result",
        "/api/jobs//result",
        "/api/jobs/TOKEN/..%2fresult.png",
        "/api/jobs/TOKEN/result.png",
        "/api/jobs/TOKEN/%2e%2e",
        "/api/jobs/TOKEN/",
        "/api/jobs/TOKEN%00",
        "/api/jobs/token_upper",
        "/api/status/../../x",
        "/etc/passwd",
    ],
)
def test_no_address_leads_to_a_file(server, path):
    token = server.send("/api/jobs", PNG).told["id"]
    server.finished(token)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:  # nothing tidies the address here
        address = path.replace("TOKEN", token).encode()
        client.sendall(b"GET " + address + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert int(answer.split()[1]) in (400, 404)
    assert b"root:" not in answer
    assert b"\x89PNG" not in answer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:9", "photos.example", "PHOTOS.example:1"])
def test_names_of_this_server(server, host):
    assert server.ask("GET", "/api/status", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.1.2", "", "[::1", "a@localhost:1@b"]
)
def test_other_names_may_be_dns_rebinding(server, host):
    answer = server.ask("GET", "/api/status", headers={"Host": host})
    assert answer.status in (400, 403)
    assert b"networks" not in answer.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "https://SELF"}, 200),  # behind a proxy
        ({"Origin": "http://localhost:1"}, 403),  # another program of this machine
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://SELF", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
def test_forms_of_other_pages_are_refused(server, headers, status):
    headers = {key: value.replace("SELF", f"127.0.0.1:{server.port}") for key, value in headers.items()}
    body, kind = form({"task": "dehaze"}, {"image": ("a.png", PNG)})
    assert server.ask("POST", "/api/restore", body, {**kind, **headers}).status == status


@pytest.mark.parametrize("path", ["/", "/static/serve.js", "/api/status", "/nothing", "/api/jobs/x"])
def test_every_answer_has_the_headers(server, path):
    headers = server.ask("GET", path).headers
    content = headers["Content-Security-Policy"]
    assert "default-src 'none'" in content
    assert "script-src 'self';" in content
    assert "frame-ancestors 'none'" in content
    assert "unsafe" not in content
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert "Server" not in headers


def test_a_defect_is_one_line_with_the_same_headers(server, monkeypatch):
    monkeypatch.delattr(type(server.queue), "counts")
    answer = server.ask("GET", "/api/status")
    assert (answer.status, answer.told["error"]) == (500, "an internal error; the terminal of the server shows it")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "DELETE"])
def test_other_methods_are_refused(server, method):
    assert server.ask(method, "/api/status").status == 405


def test_the_page_needs_nothing_from_elsewhere(server):
    page = server.ask("GET", "/").body.decode()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {os.path.dirname(address) for address in named} == {"static"}  # relative
    for address in named:
        assert server.ask("GET", f"/{address}").status == 200
        assert b"http://" not in server.ask("GET", f"/{address}").body.replace(b"http://www.w3.org/2000/svg", b"")
