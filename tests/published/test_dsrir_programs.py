"""`mindrestore eval --mode`: the test program of DSRIR, on folders of the published layout."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.models.registry import create_model
from mindrestore.weights.convert import save_weights

TINY = {"width": 8, "blocks": 1, "groups": 1}
FIVE = ["BSD68-15", "BSD68-25", "BSD68-50", "Rain100L", "SOTS"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return two noisy, one rainy and two hazy images of odd sizes."""
    root, rng = tmp_path_factory.mktemp("datasets"), np.random.default_rng(0)

    def scene(height=37, width=45):
        blocks = rng.integers(40, 216, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        return np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]

    for name in ("a.jpg", "b.png"):
        write_image(root / "BSD68" / name, scene())
    clear = scene()
    write_image(root / "Rain100L/test/target/1.png", clear)
    write_image(
        root / "Rain100L/test/input/1.png", np.maximum(clear, 255 * (rng.random((37, 45, 1)) < 0.05)).astype(np.uint8)
    )
    for number in ("0001", "0002"):
        clear = scene()
        write_image(root / f"SOTS/outdoor/target/{number}.png", clear)
        write_image(root / f"SOTS/outdoor/input/{number}_0.8_0.2.jpg", clear // 2 + 100)
    return root


def untrained_run(folder):
    folder.mkdir(parents=True)
    recipe = {"model": {"name": "dsrir", "hyper": TINY}, "train": {"max_steps": 1}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    save_weights(create_model("dsrir", **TINY), folder / "best.ckpt")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained_run(tmp_path_factory.mktemp("runs") / "all")


def paths(data):
    return ["--denoise_path", f"{data}/BSD68/", "--derain_path", f"{data}/Rain100L/test/", "--dehaze_path",
            f"{data}/SOTS/outdoor/"]  # fmt: skip


def evaluate(out, *words):
    assert main(["eval", *map(str, words), "--device", "CPU", "--out", str(out)]) == 0
    return json.loads((out / "summary.json").read_text())


def test_all_in_one_gives_the_five_columns_and_their_average(data, run, tmp_path, capsys):
    summary = evaluate(tmp_path, run, "--mode", "all_in_one", *paths(data))
    assert [entry["set"] for entry in summary["sets"]] == FIVE
    assert [entry["means"]["images"]["psnr"] for entry in summary["sets"]] == [2, 2, 2, 1, 2]
    assert [entry["protocol"]["name"] for entry in summary["sets"]] == ["dsrir-rgb"] * 3 + ["dsrir-y", "dsrir-rgb"]
    psnr = [entry["means"]["restored"]["psnr"] for entry in summary["sets"]]
    assert summary["average"]["restored"]["psnr"] == pytest.approx(np.mean(psnr), abs=1e-5)
    tasks = {entry["task"]: entry["restored"]["psnr"] for entry in summary["tasks"]}
    assert tasks == {"denoise": pytest.approx(np.mean(psnr[:3])), "derain": psnr[3], "dehaze": psnr[4]}
    noise = [entry["means"]["input"]["psnr"] for entry in summary["sets"][:3]]
    expected = [10 * np.log10(255**2 / sigma**2) for sigma in (15, 25, 50)]
    np.testing.assert_allclose(noise, expected, atol=0.6)  # clipping removes some of the strongest noise
    table = capsys.readouterr().out
    assert "BSD68-50, input: Gaussian noise, sigma 50, 8 bits, seed 1234, a generator per image" in table
    assert "average of 3 tasks" in table
    assert (tmp_path / "SOTS/pictures/0001_0.8_0.2.png").is_file()


def test_our_own_words_say_the_same(data, run, tmp_path):
    ours = evaluate(tmp_path / "ours", run, "--recipe", "dsrir/rain", "--root", f"derain={data}/Rain100L/test/")
    theirs = evaluate(tmp_path / "theirs", run, "--mode", "rain", *paths(data)[2:4])
    assert ours["sets"][0]["means"] == theirs["sets"][0]["means"]


def test_single_modes_need_their_own_folder_only(data, run, tmp_path):
    rain = evaluate(tmp_path / "rain", run, "--mode", "rain", *paths(data)[2:4])
    assert [entry["set"] for entry in rain["sets"]] == ["Rain100L"]
    reference = evaluate(tmp_path / "columns", run, "--mode", "rain", *paths(data)[2:4], "--reference-ssim")
    assert reference["sets"][0]["protocol"]["name"] == "dsrir-y-columns"
    psnr, ssim = (
        [entry["sets"][0]["means"]["input"][name] for entry in (rain, reference)] for name in ("psnr", "ssim")
    )
    assert psnr[0] == psnr[1]
    assert abs(ssim[0] - ssim[1]) > 1e-3
    folder = data / "Rain100L/test"
    pictures = [read_rgb(folder / side / "1.png")[2:34, 2:42] for side in ("input", "target")]  # 37x45 -> 32x40
    assert ssim[1] == pytest.approx(get_protocol("dsrir-y-columns").measure(*pictures)["ssim"], abs=1e-5)


def test_another_seed_gives_other_noise(data, run, tmp_path):
    words = [run, "--mode", "noise", *paths(data)[:2]]
    first = evaluate(tmp_path / "1", *words)
    again = evaluate(tmp_path / "2", *words)
    other = evaluate(tmp_path / "3", *words, "--noise-seed", "5")
    scores = [[entry["means"]["input"]["psnr"] for entry in summary["sets"]] for summary in (first, again, other)]
    assert scores[0] == scores[1] != scores[2]
    assert "seed 5" in other["sets"][0]["protocol"]["noise"]


def test_weights_are_found_where_the_published_program_has_them(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    untrained_run(tmp_path / "experiments/rain/models/DSRIR")
    summary = evaluate(tmp_path / "out", "--mode", "rain", *paths(data)[2:4])
    assert summary["settings"]["weights"].endswith("experiments/rain/models/DSRIR/best.ckpt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mode", "all_in_one", "--denoise_path", "BSD68"], "use --root derain=DIR and --root dehaze=DIR"),
        (["--mode", "noise", "--denoise_path", "nowhere"], "there is no folder"),
        (["--denoise_path", "BSD68"], "--denoise_path needs --mode: use all_in_one, noise, rain or haze"),
    ],
)
def test_what_is_missing_is_named(words, message, run, data, capsys, monkeypatch):
    monkeypatch.chdir(data)
    assert main(["eval", str(run), *words]) == 2
    assert message in capsys.readouterr().err
    monkeypatch.chdir(run)
    assert main(["eval", "--mode", "rain", "--derain_path", "x"]) == 2
    assert "no weights at experiments/rain/models/DSRIR/model_best.pth" in capsys.readouterr().err
