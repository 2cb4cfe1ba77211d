"""People who restore need no MindSpore: these commands run where it cannot be imported."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mindrestore.exporting.graphs import graph_for
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[1]

# Python reads it as it starts, in the processes of `serve` too.
_SITE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mindspore":
            raise ModuleNotFoundError(f"{name} is hidden", name=name)

sys.meta_path.insert(0, Hidden())
"""

# Runs command lines in one process, and prints exit code and output of each as JSON.
_RUNNER = """
import contextlib, io, json, sys
from mindrestore.cli.main import main

results = []
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line)
    results.append([code, out.getvalue(), err.getvalue()])
import mindrestore, numpy
restorer = mindrestore.Restorer(task="dehaze")
image = restorer(numpy.full((40, 50, 3), 128, numpy.uint8))
results.append([0, str(image.shape), type(restorer.engine).__name__])
print(json.dumps(results))
"""


OFFICIAL = ("aecrnet", "dsrir", "mprnet_deraining")  # weight files of published size and no card


def restoring(name, photo, folder):
    """Write a weight file of a network, and return the command line that restores with it."""
    layout, rng = graph_for(name).layout, np.random.default_rng(0)
    values = {key: np.float32(0.02) * rng.standard_normal(shape, np.float32) for key, shape in layout.shapes.items()}
    save_file(values, folder / f"{name}.safetensors")
    words = ["restore", str(photo), "--model", name, "--weights", str(folder / f"{name}.safetensors")]
    return [*words, "--out", str(folder / name), "--no-report"]


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    """Return the environment of processes that cannot import MindSpore."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(_SITE)
    path = os.pathsep.join(map(str, (folder, ROOT / "src")))
    return {**os.environ, "PYTHONPATH": path, "MINDRESTORE_CACHE": str(folder / "cache")}


@pytest.fixture(scope="module")
def results(tmp_path_factory, hidden):
    """Run all command lines once; name -> (exit code, standard output, standard error)."""
    folder = tmp_path_factory.mktemp("hidden")
    photo = folder / "my photo.png"
    write_image(photo, np.random.default_rng(0).random((32, 48, 3), np.float32))
    lines = {
        "restore": ["restore", str(photo), "--task", "dehaze", "--out", str(folder / "out"), "--no-report"],
        "by name": [
            *("restore", str(photo), "--model", "dehazeformer_t", "--weights", "dehaze_free"),
            *("--out", str(folder / "named"), "--no-report"),
        ],
        "weights": ["weights", "list"],
        "models": ["models"],
        "recipes": ["recipes"],
        "one recipe": ["recipes", "quickstart"],
        **{name: restoring(name, photo, folder) for name in OFFICIAL},
        "no folder": ["restore", str(folder / "none"), "--task", "dehaze"],
        "no task": ["restore", str(photo), "--task", "snow"],
        "no model": ["restore", str(photo), "--model", "aecrnett", "--weights", "x.pth"],
        "no weights": ["restore", str(photo), "--model", "aecrnet", "--weights", str(folder / "x.pth")],
        "other weights": ["restore", str(photo), "--model", "dsrir", "--weights", str(folder / "aecrnet.safetensors")],
        "unusual size": [
            *(
                "restore",
                str(photo),
                "--model",
                "dehazeformer_t",
                "--weights",
                "dehaze_free",
                "--hyper",
                "mixer=double",
            ),
            *("--out", str(folder / "unusual")),
        ],
        "train": ["train", "--recipe", "quickstart"],
        "export": ["export", "--model", "dehazeformer_t", "--weights", "dehaze_free", "--out", str(folder / "x.onnx")],
    }
    command = [sys.executable, "-c", _RUNNER, json.dumps(list(lines.values()))]
    done = subprocess.run(command, capture_output=True, text=True, env=hidden, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = dict(zip([*lines, "api"], json.loads(done.stdout.splitlines()[-1])))
    found["folder"] = folder
    return found


@pytest.mark.parametrize("name", ["restore", "by name", "weights", "models", "recipes", "one recipe", *OFFICIAL])
def test_it_works(results, name):
    code, out, err = results[name]
    assert (code, err) == (0, "")
    assert out


def test_the_image_is_restored(results):
    image = read_image(results["folder"] / "out" / "my photo.png")
    assert image.shape == (32, 48, 3)
    np.testing.assert_array_equal(image, read_image(results["folder"] / "named" / "my photo.png"))
    assert results["api"] == [0, "(40, 50, 3)", "GraphEngine"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no folder", "no such"),
        ("no task", "unknown task 'snow'; known: deblur"),
        ("no model", "unknown model 'aecrnett'; did you mean 'aecrnet'?"),
        ("no weights", "x.pth: no such file"),
        ("train", "data.root=data/quickstart: no such folder"),
        ("export", "this needs MindSpore, which cannot be imported"),
        ("unusual size", "has to be made first, which needs MindSpore"),
    ],
)
def test_errors_come_before_mindspore_is_missed(results, name, message):
    code, _, err = results[name]
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in err


def test_weights_of_another_network_are_recognised(results):
    code, _, err = results["other weights"]
    assert code == 2
    first = err.splitlines()[0]
    assert re.match(r"error: \S+aecrnet\.safetensors does not fit DSRIR: 0 of its 316 names match; ", first)
    assert "; this is probably a checkpoint of " in first


def test_a_page_restores(results, hidden):
    pytest.importorskip("uvicorn")
    from served import form

    command = [sys.executable, "-m", "mindrestore", "serve", "--port", "0"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=hidden, cwd=results["folder"]
    )
    try:
        line = next(line for line in server.stdout if line.startswith("MindRestore serves "))
        port = int(re.search(r":(\d+)/? ", line)[1])
        photo = (results["folder"] / "my photo.png").read_bytes()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/api/restore", *form({"task": "dehaze"}, {"image": ("my photo.png", photo)}))
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
        (results["folder"] / "served.png").write_bytes(answer.read())
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=30)
    restored, expected = (read_image(results["folder"] / name) for name in ("served.png", "out/my photo.png"))
    np.testing.assert_array_equal(restored, expected)
    assert errors == ""
