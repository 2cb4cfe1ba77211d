"""People who restore need no MindSpore: these commands run where it cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.images.read import read_image
from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[1]

# Runs command lines in one process that cannot import MindSpore, and prints exit code and output of each as JSON.
_RUNNER = """
import contextlib, io, json, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mindspore":
            raise ModuleNotFoundError(f"{name} is hidden", name=name)

sys.meta_path.insert(0, Hidden())
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


@pytest.fixture(scope="module")
def results(tmp_path_factory):
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
        "no folder": ["restore", str(folder / "none"), "--task", "dehaze"],
        "no task": ["restore", str(photo), "--task", "snow"],
        "no model": ["restore", str(photo), "--model", "aecrnett", "--weights", "x.pth"],
        "no weights": ["restore", str(photo), "--model", "aecrnet", "--weights", str(folder / "x.pth")],
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
    }
    command = [sys.executable, "-c", _RUNNER, json.dumps(list(lines.values()))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MINDRESTORE_CACHE": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = dict(zip([*lines, "api"], json.loads(done.stdout.splitlines()[-1])))
    found["folder"] = folder
    return found


@pytest.mark.parametrize("name", ["restore", "by name", "weights", "models", "recipes"])
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
        ("train", "this needs MindSpore, which cannot be imported"),
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
