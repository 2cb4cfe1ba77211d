"""Folders and files into a real object store and back: whole, in parts, broken off, refused."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.cloud import files, trees
from mindrestore.cloud.address import Address, CloudError, Remote, checked_name, parse_address
from mindrestore.cloud.checksum import MIB, etag_of, matches, part_size_for
from mindrestore.cloud.obs import ObsStore
from mindrestore.cloud.trees import CheckedStore, Mirror, fetch_tree
from object_store import KEY, READER, READER_SECRET, SECRET, client

PART = 5 * MIB


def store_for(weed, key=KEY, secret=SECRET, patience=(0.05, 0.1), part_size=PART):
    return CheckedStore(ObsStore(client(weed.server, key, secret), part_size, patience))


@pytest.fixture
def folder(request):
    """Return a folder of the store that no other test uses."""
    return Address("data", hashlib.md5(request.node.name.encode()).hexdigest()[:12])


def write_files(root, count, size=700):
    rng = np.random.default_rng(count)
    for i in range(count):
        path = root / f"train/{'hazy' if i % 2 else 'clear'}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(size + i))
    return root


def content_of(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != trees.COMPLETE
    }


def big_file(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.random.default_rng(size).bytes(size))
    return path


def round_trip(store, folder, tmp_path, count):
    source = write_files(tmp_path / "source", count)
    sent = Mirror(store, source, folder).push()
    fetched = fetch_tree(store, folder, tmp_path / "back")
    assert (len(sent.names), len(fetched.names), fetched.unchecked) == (count, count, 0)
    assert content_of(tmp_path / "back") == content_of(source)


def test_200_small_files_come_back_as_they_were_and_are_not_copied_twice(weed, folder, tmp_path, monkeypatch):
    store = store_for(weed)
    round_trip(store, folder, tmp_path, 200)
    again = Mirror(store, tmp_path / "source", folder).push()  # one that does not know what the first one sent
    assert (again.names, again.kept) == ((), 200)
    assert fetch_tree(store, folder, tmp_path / "back").kept == 200
    (tmp_path / "back/train/hazy/1.png").write_bytes(b"x" * 701)  # as long, and another
    (tmp_path / "back/train/hazy/3.png").unlink()
    repaired = fetch_tree(store, folder, tmp_path / "back")
    assert sorted(repaired.names) == ["train/hazy/1.png", "train/hazy/3.png"]
    assert content_of(tmp_path / "back") == content_of(tmp_path / "source")


@pytest.mark.slow
def test_2000_small_files_come_back_as_they_were(weed, folder, tmp_path):
    round_trip(store_for(weed), folder, tmp_path, 2000)


def test_listing_goes_on_after_a_page(weed, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mindrestore.cloud.obs._PAGE", 7)
    store = store_for(weed)
    Mirror(store, write_files(tmp_path, 20), folder).push()
    client(weed.server).putContent("data", folder.key + "x/other", content=b"1")  # a neighbour with a longer name
    assert len({remote.name for remote in store.list(folder)}) == 20


@pytest.mark.parametrize("size", [21_000_003, pytest.param(200_000_001, marks=pytest.mark.slow)])
def test_a_large_file_goes_in_parts(weed, folder, tmp_path, size):
    store, path = store_for(weed), big_file(tmp_path / "last.ckpt", size)
    etag = store.send(path, folder.child("last.ckpt"))
    parts = -(-size // PART)
    remote = store.find(folder.child("last.ckpt"))
    assert (remote.size, remote.etag) == (size, etag)
    assert etag.endswith(f"-{parts}")
    assert store.same(remote, path)
    assert store.fetch(remote, tmp_path / "back.ckpt") is True
    assert (tmp_path / "back.ckpt").read_bytes() == path.read_bytes()


def test_a_broken_off_upload_goes_on_and_nothing_half_written_is_seen(own_weed, folder, tmp_path):
    """Kill the store in the middle of an upload over a former version, start it again, and send again."""
    path, address = big_file(tmp_path / "last.ckpt", 4 * PART + 17), folder.child("last.ckpt")
    store = store_for(own_weed)
    former = big_file(tmp_path / "former.ckpt", 3 * PART)
    store.send(former, address)
    arrived = []

    def kill_after_two_parts(size):
        arrived.append(size)
        if len(arrived) == 2:
            own_weed.kill()

    with pytest.raises(CloudError, match="cannot write after 3 attempts: the store cannot be reached") as caught:
        store.send(path, address, kill_after_two_parts)
    assert "\n" not in str(caught.value)
    own_weed.start()
    own_weed.wait()
    remote = store.find(address)
    assert remote.size == former.stat().st_size
    store.fetch(remote, tmp_path / "seen.ckpt")
    assert (tmp_path / "seen.ckpt").read_bytes() == former.read_bytes()  # the former version, whole

    sent = []
    put_part = store.objects._send_part
    store.objects._send_part = lambda *words: (sent.append(words[2]), put_part(*words))
    store.send(path, address)
    assert sent == [3, 4, 5]
    assert store.fetch(store.find(address), tmp_path / "back.ckpt") is True
    assert (tmp_path / "back.ckpt").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_store_that_comes_back_in_time_loses_nothing(own_weed, folder, tmp_path):
    store = store_for(own_weed, patience=(1.0,) * 30)
    path, address = big_file(tmp_path / "last.ckpt", 4 * PART), folder.child("last.ckpt")

    def interrupt(size, seen=[]):  # noqa: B006
        seen.append(size)
        if len(seen) == 2:
            own_weed.kill()
            threading.Timer(0.5, own_weed.start).start()

    store.send(path, address, interrupt)
    store.fetch(store.find(address), tmp_path / "back.ckpt")
    assert (tmp_path / "back.ckpt").read_bytes() == path.read_bytes()


def test_a_broken_off_download_goes_on(weed, folder, tmp_path):
    store, path = store_for(weed), big_file(tmp_path / "a.bin", 3 * MIB + 5)
    address = folder.child("a.bin")
    store.send(path, address)
    remote, starts, opened = store.find(address), [], store.objects.open

    def short(address, start=0):
        """Return a connection that breaks off after one block, the first time."""
        starts.append(start)
        context = opened(address, start)
        if len(starts) > 1:
            return context
        return CutShort(context)

    store.objects.open = short
    store.fetch(remote, tmp_path / "back.bin")
    assert starts == [0, MIB]
    assert (tmp_path / "back.bin").read_bytes() == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


class CutShort:
    """Stand for an open object whose connection is reset after one block."""

    def __init__(self, context):
        self.context = context

    def __enter__(self):
        incoming = self.context.__enter__()
        return incoming._replace(stream=Resetting(incoming.stream))

    def __exit__(self, *error):
        self.context.__exit__(*error)


class Resetting:
    def __init__(self, stream):
        self.stream, self.blocks = stream, 0

    def read(self, size):
        self.blocks += 1
        if self.blocks > 1:
            raise ConnectionResetError
        return self.stream.read(size)


def test_a_damaged_transfer_is_noticed_and_repeated(weed, folder, tmp_path):
    store, path = store_for(weed), big_file(tmp_path / "a.bin", 1000)
    store.send(path, folder.child("a.bin"))
    remote = store.find(folder.child("a.bin"))
    (tmp_path / f".back.bin.{remote.etag}.part").write_bytes(b"?" * 400)  # what a former attempt left is not the same
    assert store.fetch(remote, tmp_path / "back.bin") is True
    assert (tmp_path / "back.bin").read_bytes() == path.read_bytes()
    changed = remote._replace(etag=hashlib.md5(b"another").hexdigest())
    with pytest.raises(CloudError, match="was replaced while it was copied"):
        store.fetch(changed, tmp_path / "back.bin")


def test_a_file_that_grows_is_sent_as_it_was(weed, folder, tmp_path):
    store, path = store_for(weed), big_file(tmp_path / "log.txt", 2 * PART)
    before = path.read_bytes()

    def grow(_):
        with path.open("ab") as log:
            log.write(b"more")

    store.send(path, folder.child("log.txt"), grow)
    store.fetch(store.find(folder.child("log.txt")), tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == before
    mirror = Mirror(store, tmp_path, folder)
    assert "log.txt" in mirror.push().names
    assert mirror.push().names == ()


@pytest.mark.parametrize(
    ("key", "secret", "bucket", "message"),
    [
        (KEY, "wrong", "data", "does not know this key .SignatureDoesNotMatch.; check OBS_ACCESS_KEY_ID"),
        ("NOBODY", SECRET, "data", "does not know this key .InvalidAccessKeyId.; check OBS_ACCESS_KEY_ID"),
        (KEY, SECRET, "nowhere", "there is no bucket nowhere; check its name"),
        (READER, READER_SECRET, "data", "no permission to write here .AccessDenied."),
    ],
)
def test_refusals_are_one_line_and_are_not_repeated(weed, tmp_path, key, secret, bucket, message):
    store = store_for(weed, key, secret, patience=(60.0,))
    began = time.monotonic()
    with pytest.raises(CloudError, match=message) as caught:
        Mirror(store, write_files(tmp_path, 3), Address(bucket, "refused")).push()
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
    shown = str(caught.value) + repr(caught.value)
    assert not any(word in shown for word in (key, secret, KEY, SECRET))
    if bucket == "nowhere":
        with pytest.raises(CloudError, match=message):
            fetch_tree(store, Address(bucket, "refused"), tmp_path / "back")


def test_a_store_that_is_not_there_is_tried_again_and_named(tmp_path):
    pytest.importorskip("obs", reason="the official OBS client is absent: pip install esdk-obs-python")
    store = ObsStore(client("http://127.0.0.1:9"), patience=(0.01, 0.01))
    with pytest.raises(CloudError, match=r"obs://data/x: cannot list after 3 attempts: .*ConnectionRefusedError"):
        store.list(Address("data", "x"))


def test_a_full_disk_is_one_line_before_and_during_the_copy(weed, folder, tmp_path, monkeypatch):
    store = store_for(weed)
    store.send(big_file(tmp_path / "a.bin", 5 * MIB), folder.child("a.bin"))
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], capture_output=True)
    if made.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        with pytest.raises(CloudError, match=r"5\.2 MB are to be copied, the disk has 2\.1 MB free"):
            fetch_tree(store, folder, small)
        with pytest.raises(CloudError, match="the disk is full; free some space"):
            store.fetch(store.find(folder.child("a.bin")), small / "a.bin")
        assert not (small / "a.bin").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert store.fetch(store.find(folder.child("a.bin")), small / "a.bin") is True
    monkeypatch.setattr(files.os, "replace", no_space)
    with pytest.raises(CloudError, match="the disk is full"):
        store.fetch(store.find(folder.child("a.bin")), small / "b.bin")


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_command_copies_and_tells(credentials, folder, tmp_path, capsys):
    source = write_files(tmp_path / "source", 4)
    assert main(["copy", str(source), str(folder), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "train/clear/0.png" in said
    assert "would copy 4 files" in said
    assert CheckedStore(ObsStore.from_environment()).list(folder) == []
    assert main(["copy", str(source), str(folder)]) == 0
    assert "copied 4 files, 0.0 MB" in capsys.readouterr().out
    assert main(["copy", str(folder), str(tmp_path / "back"), "--dry-run"]) == 0
    assert "would copy 4 files" in capsys.readouterr().out
    assert main(["copy", str(folder), str(tmp_path / "back")]) == 0
    assert main(["copy", f"{folder}/train/hazy/1.png", str(tmp_path / "one")]) == 0
    assert main(["copy", str(tmp_path / "one/1.png"), f"{folder}/single"]) == 0
    assert content_of(tmp_path / "back") == content_of(source)
    assert content_of(tmp_path / "one") == {"1.png": (source / "train/hazy/1.png").read_bytes()}
    capsys.readouterr()
    assert main(["copy", f"{folder}/absent", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {folder}/absent: nothing is there; check the address\n"
    assert main(["copy", "a", "b"]) == 2
    assert "name one obs:// address and one path" in capsys.readouterr().err


def test_missing_credentials_are_named(monkeypatch):
    pytest.importorskip("obs", reason="the official OBS client is absent: pip install esdk-obs-python")
    for name in ("OBS_SERVER", "OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        CloudError, match="need OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY, OBS_SERVER in the environment"
    ):
        ObsStore.from_environment()


def test_addresses_are_read_and_credentials_in_them_refused():
    assert parse_address("obs://bucket/a/b/") == Address("bucket", "a/b")
    assert str(parse_address("obs://bucket")) == "obs://bucket"
    with pytest.raises(CloudError, match="no credentials") as caught:
        parse_address("obs://AK:secret@bucket/a")
    assert "secret" not in str(caught.value)
    with pytest.raises(CloudError, match="write obs://BUCKET/KEY"):
        parse_address("obs:///a")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a\\..\\x"])
def test_names_that_lead_out_of_the_folder_are_refused(name):
    with pytest.raises(CloudError, match="leads out of it"):
        checked_name(name, Address("bucket", "data"))


def test_checksums_are_those_of_the_stores(tmp_path):
    content = np.random.default_rng(0).bytes(12 * MIB)
    parts = [hashlib.md5(content[:PART]), hashlib.md5(content[PART : 2 * PART]), hashlib.md5(content[2 * PART :])]
    expected = hashlib.md5(b"".join(part.digest() for part in parts)).hexdigest() + "-3"
    assert etag_of(io.BytesIO(content), len(content), PART) == expected
    path = tmp_path / "a"
    path.write_bytes(content)
    size = len(content)
    assert matches(path, size, expected) is True
    assert matches(path, size, expected, PART) is True
    assert matches(path, size, expected, 4 * MIB) is False
    assert matches(path, size, "0" * 32) is False
    assert matches(path, size, "0" * 32 + "-3") is None  # parts of a size that nobody told
    assert matches(path, size, "") is None
    assert matches(path, size - 1, expected) is False
    assert part_size_for(10**13, 16 * MIB) * 9000 >= 10**13
    assert part_size_for(10**13, 16 * MIB) % MIB == 0


class FakeMoxing:
    """Keep a bucket in a folder, with the functions of `moxing.file` that are used."""

    def __init__(self, root):
        self.root, self.fails = root, 0

    def place(self, url):
        return self.root / url[len("obs://") :] if url.startswith("obs://") else Path(url)

    def exists(self, url):
        return self.place(url).exists()

    def is_directory(self, url):
        return self.place(url).is_dir()

    def get_size(self, url):
        return self.place(url).stat().st_size

    def list_directory(self, url, recursive):
        root = self.place(url)
        return [p.relative_to(root).as_posix() + ("/" if p.is_dir() else "") for p in root.rglob("*")]

    def copy(self, source, target):
        if self.fails:
            self.fails -= 1
            raise RuntimeError("moxing says: key AK123")
        self.place(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.place(source), self.place(target))

    copy_parallel = copy


def test_moxing_copies_the_same_way(tmp_path, monkeypatch):
    import types

    fake = FakeMoxing(tmp_path / "bucket")
    monkeypatch.setitem(__import__("sys").modules, "moxing", types.SimpleNamespace(file=fake))
    store = trees.open_store()
    store.patience = (0.0, 0.0)
    source, folder = write_files(tmp_path / "source", 6), Address("b", "data")
    fake.fails = 2
    mirror = Mirror(store, source, folder)
    assert len(mirror.push().names) == 6
    assert mirror.push().names == ()
    (source / "train/hazy/1.png").write_bytes(b"new")
    assert mirror.push().names == ("train/hazy/1.png",)
    fetched = fetch_tree(store, folder, tmp_path / "back")
    assert (len(fetched.names), fetched.unchecked) == (6, 6)
    assert content_of(tmp_path / "back") == content_of(source)
    assert store.find(folder.child("absent")) is None
    assert store.find(folder) is None
    fake.fails = 3
    remote = Remote("0.png", folder.child("train/clear/0.png"), 700, "")
    with pytest.raises(CloudError, match=r"moxing cannot read after 3 attempts \(RuntimeError\)") as caught:
        store.fetch(remote, tmp_path / "x")
    assert "AK123" not in str(caught.value)
    with pytest.raises(CloudError, match="did not arrive whole"):
        store.fetch(remote._replace(size=5), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_another_package_named_moxing_is_left_aside(monkeypatch):
    import types

    monkeypatch.setitem(__import__("sys").modules, "moxing", types.SimpleNamespace(os=os))
    assert trees.genuine_moxing() is None
