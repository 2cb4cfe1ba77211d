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
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("dehazeformer_t"))
    assert "dehaze, denoise (included weights), derain (included weights)" in row
    assert "  any; at least 25  " in row
    last = out.splitlines()[-1]
    assert last.startswith("included weights of dehazeformer_t: dehaze_free (")
    assert all(f"{card.name} ({card.size})" in last for card in list_shipped())


def test_recipes_show_the_sizes_that_are_trained(capsys):
    assert main(["recipes"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "on train_noise.csv, 1005 epochs, batch 16/14/12/8, patch 128/160/192/256" in rows["dsrir/noise"]
    assert rows["crossdehaze/nid"].endswith("on nid + rsid, 1001 epochs, batch 8, patch 256, 2 l1, then a second stage")
    assert "on pairs of your own, 1200 steps, batch 4, patch 64" in rows["quickstart"]
    assert "dehazeformer_t to derain on pairs of your own, 3200 steps" in rows["release/derain"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.name=aecrnett", "unknown model 'aecrnett'; did you mean 'aecrnet'? known: "),
        ("model.hyper.channels=0", "model aecrnet: channels=0; use a whole number from 1 to 512"),
        ("data.root=/nowhere", "data.root=/nowhere: no such folder; name the folder that holds the images' folders"),
        ("data.val_root=/nowhere", "data.val_root=/nowhere: no such folder; name the folder that holds the images'"),
        ("data.patch_size=2", "patches of 2 pixels: aecrnet needs at least 4 a side; enlarge data.patch_size"),
        (
            "data.patch_size=50",
            "data.patch_size: aecrnet takes patches whose side is a multiple of 4, not 50",
        ),
        ("loss.terms.psnr={}", "loss.terms.psnr: aecrnet does not return three images and three uncertainty maps, as"),
        ("validation.protocol=aecrr", "unknown protocol 'aecrr'; did you mean 'aecr'? known: "),
        ("validation.best_metric=lpips", "validation.best_metric=lpips: protocol aecr has no such score, only psnr"),
        ("optim.lr=", "optim.lr: nothing, expected a number"),
        ("quite.another=1", "unknown recipe key 'quite.another'; see `mindrestore recipes --keys`"),
    ],
)
def test_what_cannot_be_trained_is_said_before_mindspore_is_imported(override, line, tmp_path, capsys):
    words = ["train", "--recipe", "quickstart", f"data.root={tmp_path}", f"output.root={tmp_path}", override]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {line}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
