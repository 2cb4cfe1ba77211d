"""What a newcomer meets first: errors without waiting, and lists that say what is so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mindrestore.cli.main import main
from mindrestore.weights.shipped import list_shipped

HEAVY = ("mindspore", "numpy", "cv2", "yaml", "tqdm", "psutil", "importlib.metadata")


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["train", "--bogus", "3"], {"yaml"}),  # the tables of published flags know whether it is one of theirs
        (["eval", "--tile", "many"], set()),
        (["models", "--bogus"], set()),
        (["data", "check"], set()),
        (["recipes", "nothing/here"], {"yaml"}),
    ],
)
def test_simple_errors_load_nothing_that_takes_time(words, heavy):
    """Seconds depend on the machine; what is imported does not."""
    code = (
        f"import sys; from mindrestore.cli.main import main; code = main({words!r});"
        f"print(code, *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, *loaded = done.stdout.split()
    assert (code, set(loaded)) == ("2", heavy)
    assert done.stderr.startswith("error: ")


def test_models_name_tasks_of_weights_that_ship(capsys):
    assert main(["models"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("dehazeformer_t"))
    assert "dehaze, denoise (weights that ship), derain (weights that ship)" in row
    assert all(f"{card.name} ({card.size})" in row for card in list_shipped() if card.network == "dehazeformer_t")


def test_recipes_show_the_sizes_that_are_trained(capsys):
    assert main(["recipes"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "on train_noise.csv, 1005 epochs, batch 16/14/12/8, patch 128/160/192/256" in rows["dsrir/noise"]
    assert rows["crossdehaze/nid"].endswith("on nid + rsid, 1001 epochs, batch 8, patch 256, 2 l1, then a second stage")
    assert "on pairs of your own, 1200 steps, batch 4, patch 64" in rows["quickstart"]
