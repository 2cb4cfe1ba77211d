"""Which network and which weights somebody means: asked once, and what they were made for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from mindrestore.cli.main import main
from mindrestore.errors import MindRestoreError
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_image, read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference import tasks, trained
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.trained import Trained, resolve
from mindrestore.models import registry
from mindrestore.weights import shipped
from mindrestore.weights.exchange import convert_file

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "restored.npz"


@pytest.fixture
def counted(monkeypatch):
    """Count how often specs are asked for, cards are read, and a network is resolved."""
    counts = {"spec": 0, "card": 0, "resolve": 0}

    def counting(name, function):
        def call(*arguments, **keywords):
            counts[name] += 1
            return function(*arguments, **keywords)

        return call

    for module in (tasks, trained, registry):
        monkeypatch.setattr(module, "model_spec", counting("spec", registry.model_spec))
    monkeypatch.setattr("mindrestore.inference.restorer.model_spec", counting("spec", registry.model_spec))
    monkeypatch.setattr(shipped, "read_card", counting("card", shipped.read_card))
    monkeypatch.setattr(trained, "resolve", counting("resolve", trained.resolve))
    shipped._read_once.cache_clear()
    return counts


def test_one_photograph_asks_once(counted, tmp_path):
    write_image(tmp_path / "a.png", np.full((32, 40, 3), 90, np.uint8))
    words = ["restore", str(tmp_path / "a.png"), "--task", "dehaze", "--out", str(tmp_path / "o"), "--device", "CPU"]
    assert main([*words, "--no-report"]) == 0
    cards, networks = len(list(shipped.FOLDER.glob("*.yaml"))), len(registry.list_models())
    assert counted["resolve"] == 1
    assert counted["card"] == cards
    assert counted["spec"] <= networks + 6


def test_what_weights_were_made_for(tmp_path):
    assert resolve(task="Denoising", model="dehazeformer_t", weights="denoise_free").made_for == ("denoise",)
    assert resolve(model="dehazeformer_t", weights="derain_free").made_for == ("derain",)
    assert resolve(model="dehazeformer_t").made_for == ()
    run = make_run(tmp_path / "run")
    assert resolve(model="dehazeformer_t", weights=run / "best.ckpt").made_for == ("denoise",)
    assert Trained.of_run(run).made_for == ("denoise",)


def make_run(folder, network="dehazeformer_t", task="denoise"):
    folder.mkdir()
    recipe = {"model": {"name": network, "task": task}, "train": {"max_steps": 1}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "best.ckpt").touch()
    return folder


def test_a_run_folder_says_what_it_is_for(tmp_path):
    run = make_run(tmp_path / "run", "mprnet_deraining", "dehaze")  # published for rain, trained for haze
    for weights in (run, run / "best.ckpt"):
        for found in (resolve(weights=weights), resolve(task="dehaze", weights=weights), Trained.of_weights(weights)):
            assert (found.model, found.weights, found.task) == ("mprnet_deraining", run / "best.ckpt", "dehaze")
    assert (Trained.of_weights(run).folder, Trained.of_weights(run / "best.ckpt").folder) == (run, None)
    with pytest.raises(MindRestoreError, match="model mprnet_deraining does derain, not denoise"):
        resolve(task="denoise", weights=run)
    assert resolve(weights="derain_free").task is None
    assert resolve(weights="derain_free").made_for == ("derain",)


def test_weights_that_say_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("x.ckpt").touch()
    for word, reason in (
        ("absent.ckpt", "absent.ckpt: no such file or folder, and not a name of `mindrestore weights list`; check"),
        ("x.ckpt", "x.ckpt: nothing in it or beside it says which network it is for; name the network, or a task"),
        ("default", "no network given; name one, or a task"),
    ):
        for command in (["restore", "."], ["eval"], ["export"]):
            assert main([*command, "--weights", word]) == 2
            assert f"error: {reason}" in capsys.readouterr().err


def test_only_networks_for_haze_have_a_working_size():
    options = {"device": "CPU"}
    assert Restorer(task="dehaze", **options).at_working_size
    assert not Restorer(task="dehaze", full_size=True, **options).at_working_size
    assert not Restorer(task="denoise", model="dehazeformer_t", **options).at_working_size
    assert not Restorer("dehazeformer_t", weights="derain_free", **options).at_working_size


def test_nothing_to_go_by_is_said():
    with pytest.raises(RestoreError, match="no network given; name one, or a task"):
        Restorer()


@pytest.fixture(scope="module")
def golden():
    """Results that MindSpore gave before onnxruntime and the working size came."""
    with np.load(GOLDEN) as file:
        held = dict(file)
    for name in ("dehaze_free", "derain_free", "denoise_free"):
        if str(held[f"sha256.{name}"]) != shipped.find_shipped(name).sha256:
            pytest.skip(f"{name} was trained anew; write {GOLDEN.name} again with MindSpore (tests/golden/README.md)")
    return held


@pytest.mark.parametrize(
    ("weights", "degraded"), [("dehaze_free", "photo"), ("derain_free", "rainy"), ("denoise_free", "photo")]
)
def test_small_images_are_restored_as_ever(golden, weights, degraded):
    restored = Restorer("dehazeformer_t", weights=weights, device="CPU")(golden[degraded])
    assert np.abs(restored.astype(int) - golden[weights]).max() <= 1
    assert np.mean(restored != golden[weights]) < 0.01
    assert np.abs(golden[weights].astype(int) - golden[degraded]).mean() > 0.2


def test_rain_is_removed(golden):
    photo, rainy = golden["photo"].astype(int), golden["rainy"].astype(int)
    assert np.abs(golden["derain_free"] - photo).mean() < 0.5 * np.abs(rainy - photo).mean()  # measured: 3.3 of 8.2


@pytest.mark.parametrize("part", [np.s_[:240], np.s_[256:, :512]])
def test_a_dry_photograph_is_left_alone(part):
    """PSNR between a hazy photograph without rain and its result, in tiles: 40 dB is an error of 2.6 values."""
    photo = to_float(read_rgb(ROOT / "samples" / "mountains.jpg"))[part]
    dry = Restorer("dehazeformer_t", weights="derain_free", device="CPU", tile=256)(photo)
    assert -10 * np.log10(((dry - photo) ** 2).mean()) > 40


def test_grey_and_16_bits_are_restored_as_ever(golden):
    restore = Restorer("dehazeformer_t", weights="dehaze_free", device="CPU")
    assert np.abs(restore(golden["photo"][..., 1]).astype(int) - golden["grey"]).max() <= 1
    deep = restore(golden["photo"].astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep.astype(int) - golden["deep"]).max() <= 2
    alpha = np.arange(36 * 44, dtype=np.uint8).reshape(36, 44, 1)
    clear = restore(np.concatenate((golden["photo"], alpha), axis=2))
    np.testing.assert_array_equal(clear[..., 3:], alpha)
    assert np.abs(clear[..., :3].astype(int) - golden["dehaze_free"]).max() <= 1


def test_a_working_size_is_near_the_full_size(golden, monkeypatch):
    """A small photograph with a working size of a quarter of its pixels, against the network on all of it."""
    monkeypatch.setattr("mindrestore.inference.layout.WORKING_PIXELS", 36 * 44 * 4)
    large = np.kron(golden["photo"], np.ones((4, 4, 1), np.uint8))  # (144, 176, 3)
    small, full = Restorer(task="dehaze", device="CPU"), Restorer(task="dehaze", device="CPU", full_size=True)
    restored, expected = small(large), full(large)
    assert restored.shape == large.shape
    assert small.layout.working(*large.shape[:2]) == (72, 88)
    assert np.abs(restored.astype(int) - expected).mean() < np.abs(large.astype(int) - expected).mean() / 2
    deep = small(large.astype(np.uint16) * 257)
    assert np.abs(deep / 257 - restored).max() <= 0.51
    assert small(large[..., 0]).shape == large.shape[:2]


def test_values_that_are_not_finite_are_an_error_with_weights_and_image(tmp_path, capsys):
    from safetensors.numpy import load_file, save_file

    values = load_file(shipped.find_shipped("dehaze_free").path)
    write_image(tmp_path / "a.png", np.full((32, 40, 3), 90, np.uint8))
    words = ["restore", str(tmp_path / "a.png"), "--model", "dehazeformer_t", "--out", str(tmp_path / "o")]
    cases = (("nan.safetensors", np.nan, "are not finite"), ("huge.safetensors", 3e38, "NaN or infinite values"))
    for number, damage, reason in cases:
        damaged = {name: np.full_like(value, damage) for name, value in values.items()}
        save_file(damaged, tmp_path / number)
        code = main([*words, "--weights", str(tmp_path / number), "--device", "CPU", "--no-report"])
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert code != 0
        assert len(errors) == 1
        assert number in errors[0]
        assert reason in errors[0]
        assert not (tmp_path / "o" / "a.png").exists()
    assert str(tmp_path / "a.png") in errors[0]  # finite weights: it is this image that shows it


def test_a_working_size_of_eval_is_in_the_name_of_the_protocol(tmp_path, capsys):
    for folder in ("hazy", "clear"):
        write_image(tmp_path / folder / "1.png", np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8))
    words = ["eval", "--model", "dehazeformer_t", "--weights", "dehaze_free"]
    words += ["--data", str(tmp_path), "--device", "CPU"]
    assert main([*words, "--protocol", "rgb", "--out", str(tmp_path / "r"), "--working-size"]) == 0
    out = capsys.readouterr().out
    assert "protocol rgb+working-size: RGB" in out
    assert "images seen at 0.25 megapixels at most, and the change carried to them" in out
    assert '"name": "rgb+working-size"' in (tmp_path / "r" / "scores.json").read_text()
    assert main([*words, "--protocol", "rgb", "--out", str(tmp_path / "p")]) == 0
    assert "protocol rgb: RGB" in capsys.readouterr().out
    words[4] = "denoise_free"
    assert main([*words, "--out", str(tmp_path / "q"), "--working-size"]) == 2
    assert "dehazeformer_t removes denoise; only haze has a working size" in capsys.readouterr().err


def test_results_are_the_same_file_to_file(golden, tmp_path):
    write_image(tmp_path / "in.png", golden["photo"])
    words = ["restore", str(tmp_path / "in.png"), "--task", "dehaze", "--out", str(tmp_path / "o"), "--device", "CPU"]
    assert main(words) == 0
    assert np.abs(read_image(tmp_path / "o" / "in.png").astype(int) - golden["dehaze_free"]).max() <= 1


def test_a_conversion_keeps_what_the_weights_are_for(tmp_path):
    """Two conversions of a run whose network was published for haze, and which was trained for rain."""
    run = make_run(tmp_path / "run", "dehazeformer_t", "derain")
    (run / "best.ckpt").unlink()
    weights = shutil.copy(shipped.find_shipped("derain_free").path, run / "best.safetensors")
    there = convert_file(weights, tmp_path / "a.pth").out
    back = convert_file(there, tmp_path / "b.npz").out
    for file in (there, back):
        assert resolve(weights=file).made_for == ("derain",)
        assert not Restorer(resolve(weights=file), device="CPU").at_working_size
        with pytest.raises(MindRestoreError, match=r"do derain, not dehaze; name others, or that task"):
            resolve(task="dehaze", weights=file)
