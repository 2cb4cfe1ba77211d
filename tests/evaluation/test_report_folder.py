"""A report's folder: a new report replaces the former one wholly, and nothing else."""

from __future__ import annotations

import json

import pytest

from mindrestore.evaluation.folder import replacing_report
from mindrestore.files import WriteError


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def one_set(folder, picture):
    write(folder, "scores.csv", "index.html", f"pictures/{picture}.png", f"pictures/parts/{picture}/input.jpg")
    (folder / "scores.json").write_text(json.dumps({"images": [{"picture": picture}, {"picture": None}]}))


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_new_report_replaces_the_former_and_leaves_what_is_not_its_own(tmp_path):
    one_set(tmp_path, "old")
    mine = ["22.81 notes.csv", "mine.txt", "other/report/scores.json", "pictures/holiday.png"]
    write(tmp_path, "22.81_0.9644.csv", *mine)
    with replacing_report(tmp_path) as new:
        one_set(new, "new")
        assert "pictures/old.png" in files(tmp_path)  # until the new one is complete
    report = ["index.html", "pictures/new.png", "pictures/parts/new/input.jpg", "scores.csv", "scores.json"]
    assert files(tmp_path) == sorted([*mine, *report])


def test_sets_of_a_former_report_go_too(tmp_path):
    write(tmp_path, "summary.csv", "summary.txt", "Rain/mine.txt")
    (tmp_path / "summary.json").write_text(json.dumps({"sets": [{"set": "Rain"}, {"set": "Snow"}, {"set": "../x"}]}))
    for name in ("Rain", "Snow", "Fog"):  # Fog is no part of that report
        one_set(tmp_path / name, "a")
    kept = files(tmp_path / "Fog")
    with replacing_report(tmp_path) as new:
        one_set(new, "b")
    left = [name for name in files(tmp_path) if "/" in name and not name.startswith("pictures")]
    assert left == [*(f"Fog/{name}" for name in kept), "Rain/mine.txt"]
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / "Snow").exists()


class NoLuck(Exception):
    pass


def fail_into(folder):
    with replacing_report(folder) as new:
        one_set(new, "new")
        raise NoLuck


def test_a_failure_leaves_the_former_report(tmp_path):
    one_set(tmp_path, "old")
    before = files(tmp_path)
    for folder in (tmp_path, tmp_path / "fresh"):
        with pytest.raises(NoLuck):
            fail_into(folder)
    assert files(tmp_path) == before
    assert not (tmp_path / "fresh").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    write(tmp_path, "file")
    with pytest.raises(WriteError, match=r"file.*cannot be written \(Not a directory\); use another folder"):
        fail_into(tmp_path / "file")
