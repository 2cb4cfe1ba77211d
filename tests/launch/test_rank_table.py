"""Rank tables: a sound one is understood, and whatever is wrong with one is named before anything starts."""

from __future__ import annotations

import json

import pytest

from mindrestore.launch.rank_table import RankedDevice, RankTableError, read_rank_table


def table(servers=1, devices=2, first=0):
    """Make the content of a table with ranks in order."""
    return {
        "version": "1.0",
        "server_count": str(servers),
        "server_list": [
            {
                "server_id": f"10.0.0.{server + 1}",
                "device": [
                    {
                        "device_id": str(first + device),
                        "device_ip": f"192.168.{server}.{device + 1}",
                        "rank_id": str(server * devices + device),
                    }
                    for device in range(devices)
                ],
            }
            for server in range(servers)
        ],
        "status": "completed",
    }


def test_ranks_and_devices_are_read(tmp_path):
    content = table(servers=2, devices=2, first=4)
    content["server_list"][1]["device"].reverse()
    path = tmp_path / "table.json"
    path.write_text(json.dumps(content))
    read = read_rank_table(path)
    assert (read.size, read.path) == (4, path)
    assert [server.name for server in read.servers] == ["10.0.0.1", "10.0.0.2"]
    assert read.servers[1].devices == (RankedDevice(2, 4), RankedDevice(3, 5))


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    (tmp_path / "table.json").write_text(json.dumps(table()))
    monkeypatch.chdir(tmp_path)
    assert read_rank_table("table.json").path == tmp_path / "table.json"


def without(content, *keys):
    *path, last = keys
    for key in path:
        content = content[key]
    del content[last]


def put(content, value, *keys):
    *path, last = keys
    for key in path:
        content = content[key]
    content[last] = value


DEVICE = ("server_list", 0, "device", 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: put(c, "2.0", "version"), r"version is '2\.0', not 1\.0 or 1\.2"),
        (lambda c: put(c, "initializing", "status"), "status is 'initializing', so the table is not complete yet"),
        (lambda c: put(c, "3", "server_count"), "server_count is '3', but server_list has 1"),
        (lambda c: without(c, "server_list"), "server_list is absent or empty"),
        (lambda c: put(c, [], "server_list"), "server_list is absent or empty"),
        (lambda c: put(c, [3], "server_list"), r"server_list\[0\] has no server_id"),
        (lambda c: put(c, c["server_list"] * 2, "server_list") or put(c, 2, "server_count"), "server_id '10.0.0.1' is"),
        (lambda c: without(c, "server_list", 0, "device"), r"server_list\[0\] has no device"),
        (lambda c: put(c, "x", *DEVICE), r"server_list\[0\]\.device\[1\] is not a JSON object"),
        (lambda c: put(c, "x", *DEVICE, "rank_id"), r"device\[1\]\.rank_id is 'x', not a number from 0"),
        (lambda c: without(c, *DEVICE, "device_id"), r"device\[1\]\.device_id is None"),
        (lambda c: put(c, -1, *DEVICE, "device_id"), r"device\[1\]\.device_id is -1"),
        (lambda c: put(c, "10.0.0.256", *DEVICE, "device_ip"), r"device\[1\]\.device_ip is '10\.0\.0\.256', not an IP"),
        (lambda c: put(c, "192.168.0.1", *DEVICE, "device_ip"), "'192.168.0.1' is there more than once"),
        (lambda c: put(c, "0", *DEVICE, "device_id"), r"device_id of server_list\[0\] '0' is there more than once"),
        (lambda c: put(c, "0", *DEVICE, "rank_id"), "its rank_id are 0, 0, not 0 to 1 once each"),
        (lambda c: put(c, "5", *DEVICE, "rank_id"), "its rank_id are 0, 5, not 0 to 1 once each"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, named):
    content = table()
    change(content)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RankTableError, match=rf"table\.json: .*{named}.*; hccl_tools\.py"):
        read_rank_table(path)


@pytest.mark.parametrize(("text", "named"), [("{", "no JSON"), ("[]", "not a JSON object"), ("", "no JSON")])
def test_other_files_are_refused(tmp_path, text, named):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(RankTableError, match=rf"table\.json: {named}"):
        read_rank_table(tmp_path / "table.json")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(RankTableError, match=r"none\.json: rank table cannot be read \(No such file"):
        read_rank_table(tmp_path / "none.json")
