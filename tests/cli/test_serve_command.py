"""`mindrestore serve`: what it says before it serves."""

from __future__ import annotations

import importlib.util
import socket

import pytest

from mindrestore.cli.main import build_parser, main

needs_extra = pytest.mark.skipif(importlib.util.find_spec("starlette") is None, reason="the extra serve is absent")


def test_without_the_extra_one_line_names_it(monkeypatch, capsys):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "starlette" else there(name))
    assert main(["serve", "--weights", "dehaze=x.npz"]) == 2
    assert capsys.readouterr().err == "error: serve needs starlette; pip install 'mindrestore[serve]'\n"


@needs_extra
@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "photos.example"])
def test_other_machines_have_to_be_let_in(host, capsys):
    assert main(["serve", "--host", host]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --host {host} lets other machines in")
    assert "add --allow-network" in error


@needs_extra
def test_a_port_that_is_taken(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
        assert f"error: 127.0.0.1:{port}: cannot listen there (Address already in use)" in capsys.readouterr().err


@needs_extra
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "cannot listen there"),
        (["--port", "x"], "'x' is not a whole number"),
        (["--max-bytes", "0"], "'0' is not a whole number of at least 1"),
        (["--root-path", "a b"], "'a b' is not a path such as /photos"),
        (["--root-path", "/../x?"], "is not a path such as /photos"),
        (["--keep", "-1"], "'-1' is not a number above 0"),
        (["--host", "256.1.1.1", "--allow-network"], "cannot listen there"),
    ],
)
def test_values_that_cannot_be(words, message, capsys):
    assert main(["serve", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("word", "path"), [("/photos", "/photos"), ("photos/", "/photos"), ("/a/b-c/", "/a/b-c"), ("/", ""), ("", "")]
)
def test_paths_of_a_proxy_are_tidied(word, path):
    assert build_parser().parse_args(["serve", "--root-path", word]).root_path == path
