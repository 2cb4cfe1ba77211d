"""The doctor's judgement, on machines that are described and on this one."""

from __future__ import annotations

import json

import pytest

from mindrestore.cli import doctor
from mindrestore.cli.main import main

AVX512 = frozenset({"avx", "avx2", "avx512f"})
GOOD = {"mindspore": "2.10.0", "numpy": "1.26.4", "opencv-python-headless": "4.11.0.86"}


@pytest.mark.parametrize(
    ("version", "flags", "isa", "level"),
    [
        ("2.10.0", AVX512, None, "note"),
        ("2.10.0", AVX512, "AVX2", "ok"),
        ("2.10.0", AVX512, "AVX512_CORE", "warning"),
        ("2.9.1", AVX512, "all", "warning"),
        ("2.8.0", AVX512, None, "ok"),
        ("2.10.0", frozenset({"avx2"}), None, "ok"),
    ],
)
def test_the_slow_convolution_path_is_predicted(version, flags, isa, level):
    assert [finding.level for finding in doctor.convolution_setting(version, flags, isa)] == [level]


def test_a_measured_time_tells_the_path():
    assert doctor.judge_convolution(0.007).level == "ok"  # 43 GFLOP/s
    slow = doctor.judge_convolution(0.430)  # 0.7 GFLOP/s
    assert slow.level == "warning"
    assert "430.0 ms" in slow.text
    busy = doctor.judge_convolution(0.430, load=13)
    assert (busy.level, "13.0 per core" in busy.text) == ("note", True)  # says nothing about the path


def test_versions_that_do_not_fit_are_named():
    assert doctor.package_findings(GOOD) == []
    assert "'numpy<2'" in doctor.package_findings({**GOOD, "numpy": "2.2.0"})[0].text
    assert (
        "'opencv-python-headless<4.12'"
        in doctor.package_findings({**GOOD, "opencv-python-headless": "4.12.0.88"})[0].text
    )
    assert doctor.package_findings({**GOOD, "mindspore": None})[0].level == "broken"


def test_releases_compare_as_numbers():
    assert doctor.release("2.10.0") > doctor.release("2.9.1") > doctor.release("2.8.0rc1")


def test_little_room_is_said():
    assert doctor.room_findings(8 * 10**9, 50 * 10**9) == []
    low = doctor.room_findings(10**9, 10**9)
    assert [finding.level for finding in low] == ["warning", "warning"]
    assert "1.0 GB of memory are free" in low[0].text


def test_the_cache_is_measured_and_one_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"x" * 1_500_000)
    assert doctor.cache_finding(tmp_path).text == f"cache {tmp_path}: 1.5 MB"
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert doctor.cache_finding(tmp_path / "not there").level == "warning"


def test_this_machine_is_well(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "convolution 3x3, 32 to 32 channels, 128x128" in out
    assert "broken:" not in out
    assert "GB of memory" in out
    assert "no GPU: " in out
    assert "no Ascend: " in out


def test_one_json_object_for_machines_and_an_exit_code(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "machine_findings", lambda: iter([doctor.Finding("ok", "MindSpore finds CPU")]))
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["packages"]["mindspore"]
    assert {"level": "ok", "text": "MindSpore finds CPU"} in report["findings"]
    assert report["free_disk_gb"] > 0
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "pillow" else "1.0")
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
