"""Published files and downloads: checked, resumed, and never without being asked."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.files import cache_folder
from mindrestore.weights import download, hub
from mindrestore.weights.download import fetch
from mindrestore.weights.errors import WeightError
from mindrestore.weights.guess import list_networks
from mindrestore.weights.torch_writer import write_torch_file

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serve one file under any name, with parts on request; `breaks_after` closes the connection early."""

    content, breaks_after, knows_parts = CONTENT, None, True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def address(self, name="w.pth"):
        return f"http://127.0.0.1:{self.server_port}/folder/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append((self.path, asked))
        if "absent" in self.path:
            self.send_error(404)
            return
        start = int(asked[len("bytes=") : -1]) if asked and server.knows_parts else 0
        if start >= len(server.content) and asked:
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.breaks_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path / "cache"))


def test_a_download_is_kept_and_checked(server, tmp_path):
    path = fetch(server.address("a%20b.pth"), sha256=DIGEST)
    assert path == tmp_path / "cache" / "a b.pth"
    assert path.read_bytes() == CONTENT
    fetch(server.address("a%20b.pth"), sha256=DIGEST[:8])
    assert len(server.asked) == 1  # the second time nothing was asked for
    assert [file.name for file in path.parent.iterdir()] == ["a b.pth"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.breaks_after = 100_000
    with pytest.raises(WeightError, match=r"w\.pth: stopped .*repeat the command to continue"):
        fetch(server.address(), tmp_path, DIGEST)
    assert not (tmp_path / "w.pth").exists()
    assert (tmp_path / "w.pth.part").read_bytes() == CONTENT[:100_000]
    server.breaks_after = None
    assert fetch(server.address(), tmp_path, DIGEST).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-"]
    assert not (tmp_path / "w.pth.part").exists()


def test_a_server_without_parts_gives_the_whole(server, tmp_path):
    server.knows_parts = False
    (tmp_path / "w.pth.part").write_bytes(b"x" * 1000)
    assert fetch(server.address(), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_complete_or_foreign_is_begun_anew(server, tmp_path):
    (tmp_path / "w.pth.part").write_bytes(b"x" * len(CONTENT))
    assert fetch(server.address(), tmp_path, DIGEST).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={len(CONTENT)}-", None]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    (tmp_path / "w.pth.part").write_bytes(b"x" * 1000)  # of another file
    with pytest.raises(WeightError, match=rf"w\.pth\.part: SHA-256 is \w+, expected {DIGEST}"):
        fetch(server.address(), tmp_path, DIGEST)
    assert list(tmp_path.iterdir()) == []
    assert fetch(server.address(), tmp_path, DIGEST).read_bytes() == CONTENT
    with pytest.raises(WeightError, match=rf"w\.pth: SHA-256 is {DIGEST}, expected 1234"):
        fetch(server.address(), tmp_path, "1234")


def test_failures_are_named(server, tmp_path):
    with pytest.raises(WeightError, match=r"/absent\.pth: the server answers 404"):
        fetch(server.address("absent.pth"), tmp_path)
    with pytest.raises(WeightError, match=r"127\.0\.0\.1:9/x\.pth: cannot be reached"):
        fetch("http://127.0.0.1:9/x.pth", tmp_path)
    with pytest.raises(WeightError, match=r"ftp://a/x\.pth: weights come from file://, http://, https://, obs:// add"):
        fetch("ftp://a/x.pth", tmp_path)
    with pytest.raises(WeightError, match=r"none\.pth: no such file"):
        fetch(tmp_path / "none.pth")
    with pytest.raises(WeightError, match=r"none\.pth: no such file"):
        fetch((tmp_path / "none.pth").as_uri())
    (tmp_path / "file").touch()
    with pytest.raises(WeightError, match="choose another folder"):
        fetch(server.address(), tmp_path / "file")


def test_files_and_file_addresses(tmp_path):
    source = tmp_path / "w.pth"
    source.write_bytes(CONTENT)
    assert fetch(source, sha256=DIGEST) == source
    part = tmp_path / "copies" / "w.pth.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    copy = fetch(source.as_uri(), part.parent, DIGEST)
    assert (copy.parent.name, copy.read_bytes()) == ("copies", CONTENT)


def test_object_storage_is_read_through_a_signed_address(server, tmp_path, monkeypatch):
    pytest.importorskip("obs", reason="object storage needs the client of OBS: pip install 'mindrestore[obs]'")
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "PATH_STYLE": "1"}.items():
        monkeypatch.setenv(f"OBS_{name}", value)
    monkeypatch.setenv("OBS_SERVER", f"http://127.0.0.1:{server.server_port}")
    (tmp_path / "w.pth.part").write_bytes(CONTENT[:1000])
    assert fetch("obs://bucket/some/w.pth", tmp_path, DIGEST).read_bytes() == CONTENT
    path, asked = server.asked[0]
    assert path.startswith("/bucket/some/w.pth?")
    assert "Signature=" in path
    assert asked == "bytes=1000-"


def test_object_storage_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "obs", None)
    with pytest.raises(WeightError, match=r"obs://b/w\.pth: needs the client of OBS: pip install 'mindrestore\[obs\]'"):
        fetch("obs://b/w.pth", tmp_path)
    monkeypatch.setitem(sys.modules, "obs", type(sys)("obs"))
    sys.modules["obs"].ObsClient = None
    monkeypatch.delenv("OBS_SERVER", raising=False)
    with pytest.raises(WeightError, match=r"set .*OBS_SERVER in the environment"):
        fetch("obs://b/w.pth", tmp_path)


def test_the_cache_has_a_usual_place(monkeypatch):
    monkeypatch.delenv("MINDRESTORE_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "mindrestore"


def test_the_table_is_sound():
    entries = hub.list_published()
    assert len({entry.name for entry in entries}) == len(entries) > 20
    for entry in entries:
        assert entry.page.startswith("https://")
        assert entry.url is None or entry.url.endswith(f"/{entry.file}")
        assert entry.licence
        assert entry.network in list_networks()
    assert {entry.name for entry in entries if entry.url} == {
        "vgg16",
        "vgg19",
        *(f"mprnet-{task}-paddlegan" for task in ("deblurring", "denoising", "deraining")),
    }
    assert {entry.network for entry in entries} >= {"aecrnet", "dsrir", "mprnet_denoising", "dehazeformer_b", "vgg16"}


def write_aecrnet(path, count=34):
    arrays = {f"module.t{number}": np.zeros(2, np.float32) for number in range(count - 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch_file(
        path.with_suffix(".pth"), {**arrays, "module.dcn_block.dcn.weight": np.zeros((4, 4, 3, 3), np.float32)}
    )
    path.with_suffix(".pth").rename(path)


def test_a_file_fetched_by_hand_is_recognised(tmp_path):
    path = tmp_path / "NH_train.pk"
    write_aecrnet(path)
    for source in (path, tmp_path, path.as_uri()):
        found = hub.get_published("aecrnet-nh-haze", source)
        assert found.read_bytes() == path.read_bytes()
    assert found == hub.cached(hub.find_published("aecrnet-nh-haze"))
    assert hub.get_published("aecrnet-nh-haze") == found  # from the cache
    write_aecrnet(path, count=20)
    with pytest.raises(
        WeightError, match=r"NH_train\.pk: 20 tensors, not the 34 of aecrnet with dcn_block\.dcn\.weight"
    ):
        hub.get_published("aecrnet-nh-haze", path)


def test_without_an_address_the_page_is_named(monkeypatch):
    monkeypatch.setattr(download, "_request", None)  # any request would fail
    with pytest.raises(
        WeightError, match=r"NH_train\.pk has no direct address: get it from https://github\.com/Glassy"
    ):
        hub.get_published("aecrnet-nh-haze")
    with pytest.raises(WeightError, match=r"unknown published weights 'vgg91'; did you mean 'vgg19'\?"):
        hub.get_published("vgg91")


def test_weights_that_ship_need_no_download(capsys):
    assert main(["weights", "get", "dehaze_free"]) == 2
    said = "weights dehaze_free come with MindRestore and need no download; use --weights dehaze_free"
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_missing_file_is_missing_whatever_its_suffix(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "absent"), "--out", str(tmp_path / "x.ckpt")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/absent: no such file; check the path given as weights\n"
