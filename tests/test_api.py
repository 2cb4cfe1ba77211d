"""The functions behind the commands: how networks are validated during training, and which protocol is whose."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore import api, training
from mindrestore.api import Trained
from mindrestore.cli.main import main
from mindrestore.data.catalog import find_pairs
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.evaluation.results import Evaluation, Measurement, SetsEvaluation
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference.restorer import Restorer
from mindrestore.models.registry import create_model
from mindrestore.recipes.load import load_recipe
from mindrestore.training import validation
from mindrestore.weights.convert import save_weights
from mindrestore.weights.errors import WeightError
from mindrestore.weights.files import read_weights
from small import SMALL, small

SETS = """[{name: light, root: a, sigma: 5, task: denoise}, {name: strong, root: a, sigma: 40, task: denoise},
{name: haze, root: b, task: dehaze}]"""


@pytest.fixture
def two_tasks(tiny_data, tmp_path):
    """Return overrides for a recipe whose table has three sets of two tasks."""
    (tmp_path / "a").symlink_to(tiny_data / "test/clear")
    (tmp_path / "b").symlink_to(tiny_data)
    (tmp_path / "list.csv").write_text("a/0.png,a/0.png\nb/train/clear/3.png | b/train/hazy/3.png\n")
    return [f"data.root={tmp_path}", "data.train_list=list.csv", f"validation.sets={SETS}", "validation.protocol=rgb"]


def test_validation_averages_the_sets_of_a_recipe(uncompiled, two_tasks):
    recipe = load_recipe("quickstart", two_tasks)
    scores = validation(recipe)(create_model("aecrnet", **recipe.model.hyper))
    psnr = [scores[f"psnr {name}"] for name in ("light", "strong", "haze")]
    assert scores["psnr"] == pytest.approx(np.mean(psnr))
    assert len(set(psnr)) == 3
    assert set(scores) == {f"{m}{s}" for m in ("psnr", "ssim") for s in ("", " light", " strong", " haze")}


def test_a_list_and_listed_sets_train_and_evaluate(uncompiled, two_tasks, tiny_overrides, tmp_path):
    result = api.train(
        load_recipe("quickstart", [*two_tasks, *tiny_overrides, "train.mode=pynative"]), run_dir=tmp_path / "run"
    )
    report = api.evaluate(result.run_dir)
    found = report.evaluation
    assert list(found.sets) == ["light", "strong", "haze"]
    assert [found.sets[name].sigmas for name in found.sets] == [(5,), (40,), ()]
    assert found.sets["light"].input_mean["psnr"] == pytest.approx(10 * np.log10(255**2 / 25), abs=0.5)
    means = {name: entry.mean["psnr"] for name, entry in found.sets.items()}
    assert found.task_means["denoise"][1]["psnr"] == pytest.approx((means["light"] + means["strong"]) / 2)
    lines = report.table.splitlines()
    assert "strong, input: Gaussian noise, sigma 40, 8 bits, seed 1234, a generator per image" in lines
    assert [line.split("  ")[0] for line in lines[-4:]] == [
        "average of 3 sets",
        "task denoise",
        "task dehaze",
        "average of 2 tasks",
    ]
    balanced = (found.task_means["denoise"][1]["psnr"] + means["haze"]) / 2
    assert f"{balanced:.2f}" in lines[-1]
    moved = api.evaluate(result.run_dir, tmp_path, protocol="aecr")  # the same sets, looked for in a named folder
    assert {entry.protocol.name for entry in moved.evaluation.sets.values()} == {"aecr"}


def test_validation_does_not_average_over_fewer_sets(uncompiled, two_tasks, tmp_path):
    recipe = load_recipe("quickstart", two_tasks)
    (tmp_path / "b").unlink()
    (tmp_path / "b/test/hazy").mkdir(parents=True)
    write_image(tmp_path / "b/test/hazy/1.png", np.zeros((40, 40, 3), np.uint8))
    write_image(tmp_path / "b/test/clear/1.png", np.zeros((40, 48, 3), np.uint8))
    validate = validation(recipe)
    with pytest.raises(MindRestoreError, match="haze: none of the 1 pairs could be measured"):
        validate(create_model("aecrnet", **recipe.model.hyper))


def test_a_missing_test_set_is_named_before_training(two_tasks, tmp_path):
    (tmp_path / "b").unlink()
    with pytest.raises(MindRestoreError, match=r"test set haze: there is no folder .*b; set data\.val_root"):
        validation(load_recipe("quickstart", two_tasks))


@pytest.mark.parametrize(("crop", "side"), [("data.val_crop=32", 32), ("", 48)])
def test_validation_measures_the_middle_of_each_image(uncompiled, tiny_data, crop, side):
    overrides = [f"data.root={tiny_data}", "validation.protocol=rgb", *([crop] if crop else [])]
    recipe = load_recipe("quickstart", overrides)
    net = create_model(recipe.model.name, **recipe.model.hyper)
    scores = validation(recipe)(net)
    restore = Restorer(recipe.model.name, net=net).restore_float
    first = (48 - side) // 2
    middle = (slice(first, first + side),) * 2
    expected = []
    for pair in find_pairs("auto", tiny_data, "test"):
        restored = restore(np.ascontiguousarray(read_rgb(pair.input)[middle]))
        expected.append(get_protocol("rgb").measure(restored, read_rgb(pair.target)[middle])["psnr"])
    assert len(expected) == 2
    assert scores["psnr"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert set(scores) == {"psnr", "ssim"}


def test_validation_watches_what_decides(tiny_data, monkeypatch):
    measured = []

    def evaluate_sets(restore, sets, *, limit):
        (entry,) = sets
        measured.append((len(entry.pairs), entry.protocol.names, entry.protocol.centre_crop, limit))
        row = Measurement("1.png", "1", 24, 24, 0.1, *[dict.fromkeys(entry.protocol.names, 1.0)] * 2)
        return SetsEvaluation({entry.name: Evaluation(entry.protocol, (row,))})

    monkeypatch.setattr("mindrestore.training.evaluate_sets", evaluate_sets)
    overrides = [f"data.root={tiny_data}", "validation.protocol=rgb", "data.val_crop=24"]
    for more in ([], ["validation.best_metric=mae", "validation.max_images=1", "validation.protocol=rgb8"]):
        validation(load_recipe("quickstart", [*overrides, *more]))(create_model("aecrnet", channels=8, blocks=1))
    assert measured == [(2, ("psnr", "ssim"), 24, None), (2, ("psnr", "ssim", "mae"), 24, 1)]
    with pytest.raises(MindRestoreError, match=r"best_metric=mse.* only psnr, ssim, ms_ssim, mae, ciede2000"):
        validation(load_recipe("quickstart", [*overrides, "validation.best_metric=mse"]))


def test_an_image_restored_exactly_does_not_make_the_mean_infinite(tiny_data, monkeypatch):
    """The mean of 100 dB and the other image's PSNR: a better other image makes better weights."""
    pairs = find_pairs("auto", tiny_data, "test")
    exact, other = (read_rgb(pair.target) for pair in pairs)
    means = []
    for error in (0.1, 0.01):
        restored = iter([exact, np.where(other < 0.5, other + error, other - error)])
        monkeypatch.setattr(Restorer, "restore_float", lambda *_, images=restored: next(images))
        recipe = load_recipe("quickstart", [f"data.root={tiny_data}", "validation.protocol=rgb"])
        means.append(validation(recipe)(create_model("aecrnet", channels=8, blocks=1))["psnr"])
    assert means == pytest.approx([(100 + 20) / 2, (100 + 40) / 2], abs=0.01)


def test_evaluation_takes_the_test_protocol_of_a_recipe():
    recipe = load_recipe("quickstart", ["validation.protocol=rgb", "validation.test_protocol=mpr-derain"])
    assert Trained("aecrnet", "x.ckpt", recipe=recipe).usual_protocol() == "mpr-derain"
    assert Trained("aecrnet", "x.ckpt", recipe=load_recipe("quickstart")).usual_protocol() == "aecr"
    assert Trained("aecrnet", "x.ckpt").usual_protocol() == "aecr"
    assert Trained("mprnet_deraining", "x.ckpt").usual_protocol() == "mpr-derain"
    assert Trained("mprnet_denoising", "x.ckpt").usual_protocol() == "mpr-sidd"
    assert Trained("mprnet_deblurring", "x.ckpt").usual_protocol() == "mpr-gopro"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["train.progressive.patch_sizes=[128, 160, 190, 256]"],
            "patch_sizes: dsrir takes .* multiple of 8, not 190; choose 184 or 192",
        ),
        (
            ["train.progressive.patch_sizes=[8, 160, 192, 256]"],
            "patches of 8 pixels: loss term pocl needs at least 16",
        ),
        (
            ["train.progressive=null", "data.patch_size=100"],
            "data.patch_size: dsrir takes .* not 100; choose 96 or 104",
        ),
        (["train.progressive.patch_sizes=[0, 160, 192, 256]"], "0 is out of range"),
    ],
)
def test_patch_sizes_that_cannot_be_used_are_named_before_anything_is_read(overrides, message, tmp_path):
    with pytest.raises(MindRestoreError, match=message):
        api.train(load_recipe("dsrir/noise", [f"data.root={tmp_path}", *overrides]))
    assert list(tmp_path.iterdir()) == []


def test_a_converted_file_brings_its_hyper_parameters(tmp_path):
    light = {
        key: SMALL["mprnet_deraining"][key] for key in ("n_feat", "scale_unetfeats", "scale_orsnetfeats", "num_cab")
    }
    save_weights(small("mprnet_deraining", reduction=4), tmp_path / "Deraining.npz")
    assert main(["convert", str(tmp_path / "Deraining.npz"), "--out", str(tmp_path / "light.ckpt")]) == 0
    assert dict(Trained.of_file("mprnet_deraining", tmp_path / "light.ckpt").hyper) == light
    assert Trained.of_file("mprnet_deraining", tmp_path / "light.ckpt", {"num_cab": 2}).hyper["num_cab"] == 2
    assert Trained.of_file("mprnet_denoising", tmp_path / "light.ckpt").hyper == {}
    assert Trained.of_file("mprnet_deraining", tmp_path / "Deraining.npz").hyper == {}


def test_training_starts_from_weights_that_ship_by_their_name(ship, tiny_data, tmp_path, monkeypatch):
    card = ship("derain_free", "mprnet_deraining")
    seen = {}

    class Noting:
        def __init__(self, recipe, *, net, **rest):
            seen.update(model=recipe.model, net=net)

        def fit(self, resume):
            return None

    monkeypatch.setattr(training, "Trainer", Noting)
    words = [f"data.root={tiny_data}", "model.weights=derain_free", "data.patch_size=32"]
    own = [*words, "data.dataset=auto", "data.val_split=test", "data.val_crop=null"]
    api.train(load_recipe("mprnet/deraining", own), run_dir=tmp_path / "run")
    assert (seen["model"].weights, seen["model"].hyper) == ("derain_free", card.hyper)  # the run folder knows them
    stored = read_weights(card.path)
    for name, parameter in seen["net"].parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), stored[name])
    with pytest.raises(WeightError, match="derain_free are for mprnet_deraining, not aecrnet"):
        api.train(load_recipe("quickstart", words), run_dir=tmp_path / "run")
