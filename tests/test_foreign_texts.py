"""Texts that somebody else may have written: what has no end, is too long or too deep is refused, by every command."""

from __future__ import annotations

import json

import pytest

from mindrestore.cli.main import main
from mindrestore.files import read_json, read_text


def test_a_text_is_a_file_of_a_bounded_length(tmp_path):
    (tmp_path / "a.txt").write_text("雾\n", encoding="utf-8")
    assert read_text(tmp_path / "a.txt") == "雾\n"
    with pytest.raises(OSError, match="not a file"):
        read_text("/dev/zero")
    with (tmp_path / "long.txt").open("wb") as stream:
        stream.truncate(65 << 20)  # a hole, which takes no room
    with pytest.raises(OSError, match="65 MB, more than such a file can have"):
        read_text(tmp_path / "long.txt")


def test_json_that_is_too_deep_is_an_error_like_others(tmp_path):
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="lists in each other too deep to be read"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[[1]]")
    assert read_json(tmp_path / "a.json") == [[1]]


@pytest.mark.parametrize("file", ["/dev/zero", "deep.json"])
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["launch", "--device", "Ascend", "--rank-table", "FILE", "--", "train", "--recipe", "quickstart"], "FILE: "),
        (["train", "--config-json", "FILE", "data.root=."], "--config-json FILE: cannot be read ("),
        (["export", "--model", "aecrnet", "--weights", "x.ckpt", "--key-file", "FILE"], "FILE: "),
    ],
)
def test_commands_name_the_file(words, line, file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep.json").write_text("[" * 200_000)
    assert main([file if word == "FILE" else word for word in words]) == 2
    err = capsys.readouterr().err
    where = str(tmp_path / file) if words[0] == "launch" else file
    assert err.startswith(f"error: {line.replace('FILE', where)}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 200_000, "damaged report (lists in each other too deep to be read); evaluate again"),
        ("{", "damaged report ("),
        ("{}", "'images' is missing, so this is not a report; evaluate again"),
        ("[]", "not what `mindrestore eval` writes (list indices must be integers"),
        (json.dumps({"images": 5}), "not what `mindrestore eval` writes ('int' object is not iterable)"),
        (
            json.dumps({"images": [{"image": "a", "height": 1, "width": 1, "seconds": 0, "restored": {"psnr": "x"}}]}),
            "not what `mindrestore eval` writes (could not convert string to float: 'x')",
        ),
    ],
)
def test_a_report_that_is_none_is_named(content, reason, tmp_path, capsys):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "scores.json").write_text(content)
    assert main(["compare", str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {tmp_path / 'report' / 'scores.json'}: {reason}")
    assert err.count("\n") == 1
