"""Packing: a run folder becomes a small file with a card, which restores as the run does."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml

from mindrestore import Restorer
from mindrestore.cli.main import main
from mindrestore.errors import MindRestoreError
from mindrestore.inference import packing
from mindrestore.inference.packing import Particulars, command_of, pack_weights, scores_of
from mindrestore.inference.trained import Trained
from mindrestore.recipes.load import load_recipe
from mindrestore.weights.files import read_weights, sha256_of

ROW = {"set": "sots_indoor", "images": 14, "protocol": "rgb", "psnr": 20.0, "ssim": 0.8, "input": {"psnr": 12.7}}


@pytest.fixture(scope="module")
def run(quickstart_run):
    return quickstart_run


@pytest.fixture
def quality(tmp_path):
    rows = [{**ROW, "task": "dehaze", "method": name} for name in ("MindRestore", "GCANet")]
    rows.append({**ROW, "set": "rain100l", "task": "derain", "method": "MindRestore"})
    path = tmp_path / "quality.json"
    path.write_text(json.dumps({"rows": rows}))
    return path


def test_one_command_makes_file_and_card(run, quality, weights_folder, capsys):
    words = ["weights", "pack", str(run), "--task", "Dehazing", "--name", "dehaze_free", "--quality", str(quality)]
    words += ["--data", "rendered scenes=Apache-2.0", "--data", "Kodak=unrestricted", "--cpu-hours", "0.5"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("weights: dehaze_free (aecrnet, 0.")
    card = yaml.safe_load((weights_folder / "dehaze_free.yaml").read_text())
    assert card["sha256"] == sha256_of(weights_folder / "dehaze_free.safetensors")
    assert (card["tasks"], card["network"], card["hyper"]["channels"]) == (["dehaze"], "aecrnet", 16)
    assert card["data"][1] == {"name": "Kodak", "licence": "unrestricted"}
    assert card["scores"] == [ROW]
    training = card["training"]
    assert (training["recipe"], training["steps"], training["taken_at_step"]) == ("quickstart", 3, 3)
    assert (training["seed"], training["device"], training["cpu_hours"]) == (5, "CPU", 0.5)
    begin = "mindrestore train --recipe quickstart model.hyper.deform_layers=0 data.root=tiny0 data.patch_size=32"
    assert training["command"].startswith(begin)
    assert "train.seed=5" in training["command"]
    assert "/" not in training["command"]
    assert main(["weights", "list"]) == 0
    assert "dehaze_free  dehaze  aecrnet  " in capsys.readouterr().out
    assert main(["models"]) == 0
    assert capsys.readouterr().out.endswith("\nincluded weights of aecrnet: dehaze_free (0.7 MB)\n")


def test_the_file_restores_as_the_run_does(run, weights_folder):
    pack_weights(run, Particulars("dehaze_free", ["dehaze"]))
    photo = np.random.default_rng(1).integers(0, 256, (21, 30, 3), np.uint8)
    expected = Restorer(Trained.of_run(run), device="CPU")(photo)
    by_task = Restorer(task="dehaze", device="CPU")
    np.testing.assert_array_equal(by_task(photo), expected)
    assert by_task.spec.name == "aecrnet"
    np.testing.assert_array_equal(Restorer("aecrnet", weights="default", device="CPU")(photo), expected)
    arrays = read_weights(weights_folder / "dehaze_free.safetensors").values()
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_packing_again_keeps_scores(run, quality, weights_folder):
    assert pack_weights(run, Particulars("dehaze_free", ["dehaze"]), quality=quality).scores == (ROW,)
    assert pack_weights(run, Particulars("dehaze_free", ["dehaze"], licence="MIT")).scores == (ROW,)


def test_hours_are_those_of_steps_and_validations(run, weights_folder, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    records = [json.loads(line) for line in (copied / "metrics.jsonl").read_text().splitlines()]
    seconds = {"train": 1800 / sum(r["kind"] == "train" for r in records), "validation": 900, "epoch": 5400}
    records = [{**record, "seconds": seconds[record["kind"]]} for record in records]
    assert {record["kind"] for record in records} == set(seconds)
    (copied / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    validations = sum(record["kind"] == "validation" for record in records)
    hours = (1800 + 900 * validations) / 3600  # an epoch's seconds are those of its steps
    training = pack_weights(copied, Particulars("dehaze_free", ["dehaze"]), file="last.ckpt").training
    cores = json.loads((copied / "env.json").read_text())["cores"]
    assert (training["hours"], training["cpu_hours"]) == pytest.approx((hours, hours * cores), abs=0.006)


def test_what_cannot_be_packed_is_named(run, quality, weights_folder, tmp_path, monkeypatch):
    with pytest.raises(MindRestoreError, match="unknown task 'drain'"):
        pack_weights(run, Particulars("rain", ["drain"]))
    with pytest.raises(MindRestoreError, match="this is not a run folder of `mindrestore train`"):
        pack_weights(tmp_path, Particulars("haze", ["dehaze"]))
    with pytest.raises(MindRestoreError, match=r"no scores of MindRestore for deblur; measure these first"):
        scores_of(quality, ["deblur"])
    quality.write_text("[]")
    with pytest.raises(MindRestoreError, match=r"quality\.json: not written by benchmarks/quality\.py"):
        scores_of(quality, ["dehaze"])
    monkeypatch.setattr(packing, "LARGEST", 1000)
    with pytest.raises(MindRestoreError, match=r"MB in float32; at most 0\.001 MB ship, so take a smaller network"):
        pack_weights(run, Particulars("haze", ["dehaze"]))
    assert list(weights_folder.iterdir()) == []


def test_the_command_says_what_differs():
    assert command_of(load_recipe("quickstart")) == "mindrestore train --recipe quickstart"
    changed = load_recipe("quickstart", ["data.augment=[hflip, rot90]", "output.name=x", "optim.lr=0.5"])
    expected = 'mindrestore train --recipe quickstart \'data.augment=["hflip", "rot90"]\' optim.lr=0.5'
    assert command_of(changed) == expected


def test_wrong_words_are_one_line(run, weights_folder, capsys):
    words = ["weights", "pack", str(run), "--task", "dehaze", "--name"]
    assert main([*words, "haze", "--data", "scenes"]) == 2
    assert "--data scenes: use NAME=LICENCE" in capsys.readouterr().err
    assert main([*words, "ha ze"]) == 2
    assert "not made of letters, digits and underscores" in capsys.readouterr().err
    assert main([*words, "haze", "--variant", "research"]) == 2
    assert "research weights need terms" in capsys.readouterr().err
