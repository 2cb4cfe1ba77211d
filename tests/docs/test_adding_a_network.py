"""The network of the page `adding_a_network.md` is what it says: its files, its rows and its commands work."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import test_every_model as battery
from mindspore import Tensor

from mindrestore import models
from mindrestore.cli.main import main
from mindrestore.exporting import graphs
from mindrestore.images.read import read_image
from mindrestore.models import registry, specs
from mindrestore.models.layers import Layer, chosen, in_form
from mindrestore.recipes import load
from small import SMALL

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding_a_network.md").read_text(encoding="utf-8")


def blocks(kind: str) -> dict[str, str]:
    """Return the code blocks of a kind by the comment in their first line."""
    found = re.findall(rf"```{kind}\n# ([^\n]+)\n(.*?)```", PAGE, flags=re.DOTALL)
    return {re.split("[,:] ", title)[0]: text for title, text in found}


CODE = blocks("python") | blocks("yaml")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)[0]
COMMANDS = [re.sub(r"\s+#.*", "", line) for line in SHELL.splitlines()]


def row(path: str) -> dict:
    return ast.literal_eval("{" + CODE[path] + "}")


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """Put the files of the page into a copy of their places and its rows into the tables; return a working folder."""
    folder = tmp_path_factory.mktemp("added")
    for path, text in CODE.items():
        if path.startswith("src/mindrestore/") and path != "src/mindrestore/models/registry.py":
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    package = folder / "src" / "mindrestore"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "__path__", [*models.__path__, str(package / "models")])
        patch.setattr(specs, "__path__", [*specs.__path__, str(package / "models" / "specs")])
        patch.setattr(load, "_FOLDER", package / "recipes")
        samples = package / "models" / "graphs" / "samples.json"
        samples.parent.mkdir()
        samples.write_text("[]")
        patch.setattr(graphs, "FOLDER", samples.parent)
        patch.setattr(graphs, "SAMPLES", samples)
        graphs.read_samples.cache_clear()
        patch.setattr(registry, "_NETWORKS", {**registry._NETWORKS, **row("src/mindrestore/models/registry.py")})
        patch.setitem(SMALL, "residual", row("tests/small.py")["residual"])
        patch.chdir(folder)
        yield folder
    graphs.read_samples.cache_clear()
    for module in ("models.residual", "models.specs.residual"):
        sys.modules.pop(f"mindrestore.{module}", None)


@pytest.mark.slow  # trains, restores, evaluates and exports: half a minute
def test_every_command_works(added, capsys, monkeypatch):
    said = {}
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program == "mindrestore":
            assert main(words) == 0, (command, capsys.readouterr().err)
        else:  # the script makes the graphs of all networks; here, of this one alone
            monkeypatch.setattr(registry, "_NETWORKS", row("src/mindrestore/models/registry.py"))
            monkeypatch.setattr(graphs, "list_shipped", list)
            monkeypatch.setattr("small.NETWORKS", ("residual",))
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as left:
                runpy.run_path(str(ROOT / words[0]), run_name="__main__")
            assert left.value.code == 0
        said[command] = "".join(capsys.readouterr())
    listed, _, _, first, second, restored, *_, converted, rebuilt = said.values()
    assert re.search(r"^residual +denoise +38,755 ", listed, flags=re.MULTILINE)
    assert ("step 2/2" in first, "step 3/3" in second) == (True, True)
    assert "making the graph of residual" in restored
    assert "residual" in converted
    assert "but not kept: residual is new" in restored
    assert rebuilt.startswith("samples: residual changed\n")
    assert json.loads(graphs.SAMPLES.read_text())[0]["hyper"] == SMALL["residual"]
    assert re.search(r"residual residual-\w+\.zip: missing, \d+ kB", rebuilt)
    assert (added / "runs" / "residual_noise" / "model.mindir").is_file()
    for name in ("0001.png", "0004.png"):
        noisy, *images = (
            read_image(added / place / name) for place in ("noise/noisy", "restored", "eager", "exported")
        )
        assert all(np.abs(image - images[0]).max() <= 1.01 / 255 for image in images)
        assert np.abs(images[0] - noisy).max() > 1 / 255


def test_it_passes_the_battery(added, monkeypatch):
    monkeypatch.setattr(battery, "MOVED", dict(battery.MOVED))
    monkeypatch.setattr(battery, "NETWORKS", (*battery.NETWORKS, "residual"))
    exec(CODE["tests/models/test_every_model.py"], vars(battery))
    battery.test_parameter_count_is_that_of_the_spec("residual")
    battery.test_spec_is_filled_in("residual")
    battery.test_output_is_an_image_of_the_same_size_for_every_allowed_size("residual", 2, 5)
    battery.test_gradient_reaches_every_parameter("residual")
    battery.test_every_model_has_its_rows()
    for key in SMALL["residual"]:
        battery.test_one_hyper_parameter_moved("residual", key)


def test_the_layer_of_the_page_has_equal_forms():
    names = {"Layer": Layer, "chosen": chosen}
    exec(textwrap.dedent(CODE["a layer with a form of its own"]), names)
    layer, x = names["Halve"](), Tensor(np.random.default_rng(0).random((1, 3, 4, 4), np.float32))
    for form in ("cpu", "plain"):
        with in_form(layer, form):
            np.testing.assert_array_equal(layer(x).asnumpy(), x.asnumpy() / 2)
