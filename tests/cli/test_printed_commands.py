"""Commands that are printed can be pasted into a shell, whatever characters their paths hold."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from mindrestore.cli.main import main
from mindrestore.errors import Notice
from mindrestore.pages.scores import ReportError, read_report

SPACED = "runs/my run; rm -rf 'x'"


def commands(text):
    """Return the words of every printed command, as a shell reads them."""
    starts = [line[line.index("mindrestore ") :] for line in text.splitlines() if "mindrestore " in line]
    return [shlex.split(line.split("`")[0]) for line in starts]


def test_train_prints_what_comes_next(tiny_data, monkeypatch, capsys):
    result = SimpleNamespace(step=3, run_dir=Path(SPACED))
    monkeypatch.setattr("mindrestore.api.train", lambda *_, **__: result)
    assert main(["train", "--recipe", "quickstart", f"data.root={tiny_data}"]) == 0
    assert commands(capsys.readouterr().out) == [
        ["mindrestore", "eval", SPACED],
        ["mindrestore", "restore", "PHOTOS", "--weights", SPACED],
        ["mindrestore", "export", SPACED],
    ]


def test_downloads_print_how_to_convert_them(monkeypatch, capsys):
    entry = SimpleNamespace(licence="MIT", network="dsrir", name="dsrir")
    monkeypatch.setattr("mindrestore.weights.hub.get_published", lambda *_: Path(SPACED))
    monkeypatch.setattr("mindrestore.weights.hub.find_published", lambda _: entry)
    assert main(["weights", "get", "dsrir"]) == 0
    words = ["mindrestore", "convert", SPACED, "--model", "dsrir", "--out", "dsrir.ckpt"]
    assert commands(capsys.readouterr().out) == [words]


def test_errors_quote_too(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    with pytest.raises(ReportError) as caught:
        read_report(folder)
    assert commands(str(caught.value)) == [["mindrestore", "eval", str(folder)]]


def test_notices_of_ours_are_one_line_and_warnings_of_libraries_none(monkeypatch, capsys):
    def warn(args):
        warnings.warn("a library deprecates something", DeprecationWarning, stacklevel=1)
        warnings.warn("a library finds something odd", UserWarning, stacklevel=1)
        warnings.warn("weights: x; terms: no commerce", Notice, stacklevel=1)
        return 0

    monkeypatch.setattr("mindrestore.cli.models.run", warn)
    assert main(["models"]) == 0
    assert capsys.readouterr().err == "note: weights: x; terms: no commerce\n"
