"""`mindrestore restore` by task: the general form, the published demo, PaddleGAN's program and the benchmarks."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from mindrestore.cli.main import main
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.trained import Trained
from mindrestore.models.registry import create_model
from mindrestore.weights.convert import save_weights
from mindrestore.weights.names import published_names
from small import SMALL, small

TINY = {key: value for key, value in SMALL["mprnet_deraining"].items() if value is not None}
HYPER = [word for key, value in TINY.items() for word in ("--hyper", f"{key}={value}")]


class Negative:
    """Stand in for a restorer: note what it is made of, and turn images into their negatives."""

    made: list

    def __init__(self, model, *, options=None, **given):
        if isinstance(model, Trained):
            given.update(weights=model.weights, hyper=model.hyper, **vars(options))
            model = model.model
        Negative.made.append((model, str(given["weights"]), given))

    def __call__(self, photo):
        return (np.iinfo(photo.dtype).max if photo.dtype.kind == "u" else 1) - photo

    restore_float = __call__


@pytest.fixture
def negative(monkeypatch):
    Negative.made = []
    monkeypatch.setattr("mindrestore.api.Restorer", Negative)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder with photographs where the published demo looks for them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("2.png", "10.JPG", "street.v2.jpg", "scan.bmp", "sub/deep.png"):
        write_image(Path("samples/input") / name, rng.integers(0, 256, (9, 14, 3), np.uint8))
    return tmp_path


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def published_weights_file(task):
    path = Path(task, "pretrained_models", f"model_{task.lower()}.npz")
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("word", "model"),
    [
        ("derain", "mprnet_deraining"),
        ("Deraining", "mprnet_deraining"),
        ("DEBLUR", "mprnet_deblurring"),
        ("denoise", "mprnet_denoising"),
        ("dehaze", "aecrnet"),
    ],
)
def test_the_task_picks_the_network_and_files_keep_their_names(here, negative, word, model, capsys):
    words = ["restore", "samples/input", "--task", word, "--weights", "w.npz", "--out", "clean", "--no-report"]
    assert main(words) == 0
    assert Negative.made[0][:2] == (model, "w.npz")
    assert names_below("clean") == names_below("samples/input")
    np.testing.assert_array_equal(read_image("clean/2.png"), 255 - read_image("samples/input/2.png"))
    assert "restored 5 of 5 images into clean" in capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out.count("--overwrite replaces it") == 5


@pytest.mark.parametrize("places", [[], ["--input_dir", "samples/input/", "--result_dir", "samples/output"]])
@pytest.mark.parametrize("task", ["Deblurring", "Denoising", "Deraining"])
def test_the_published_demo(here, negative, task, places, capsys):
    weights = published_weights_file(task)
    write_image("samples/output/2.png", np.zeros((2, 2, 3), np.uint8))
    assert main(["restore", "--task", task, *places]) == 0
    assert Negative.made[0][:2] == (f"mprnet_{task.lower()}", str(weights))
    assert names_below("samples/output") == ["10.png", "2.png", "street.v2.png"]
    np.testing.assert_array_equal(read_image("samples/output/2.png"), 255 - read_image("samples/input/2.png"))
    np.testing.assert_array_equal(read_image("samples/output/10.png"), 255 - read_image("samples/input/10.JPG"))
    assert "restored 3 of 3 images into samples/output" in capsys.readouterr().out


def test_the_demo_makes_rgb_of_every_kind_of_pixel(here, negative):
    rgba = np.random.default_rng(1).integers(0, 256, (6, 7, 4), np.uint8)
    Path("odd").mkdir()
    Image.fromarray(rgba).save("odd/rgba.png")
    Image.fromarray(rgba[..., 0]).save("odd/grey.png")
    Image.fromarray(rgba[..., :3]).quantize(8).save("odd/palette.png")
    assert (
        main(["restore", "--task", "Denoising", "--weights", "w.npz", "--input_dir", "odd", "--result_dir", "o"]) == 0
    )
    for name in ("rgba.png", "grey.png", "palette.png"):
        assert Image.open(Path("o", name)).mode == "RGB"
        np.testing.assert_array_equal(read_image(Path("o", name)), 255 - read_image(Path("odd", name)))


def test_both_spellings_go_together(here, negative):
    assert main(["restore", "samples/input/scan.bmp", "--task", "derain", "--weights", "w", "--result_dir", "a"]) == 0
    assert main(["restore", "--input_dir", "samples/input", "--task", "derain", "--weights", "w", "--out", "b"]) == 0
    assert main(["restore", "samples/input", "--task", "derain", "--weights", "w", "--result_dir", "c"]) == 0
    # one flag of the demo makes a command line the demo
    assert (names_below("a"), names_below("b")) == (["scan.png"], ["10.png", "2.png", "street.v2.png"])
    assert names_below("c") == names_below("b")


def test_published_test_scripts(here, negative, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "")
    for place in ("Datasets/GoPro/test/input", "rain/Rain100L/input"):
        write_image(Path(place) / "1.png", np.zeros((8, 8, 3), np.uint8))
    words = ["restore", "--task", "Deblurring", "--weights", "w", "--dataset", "GoPro", "--gpus", "0"]
    assert main(words) == 0
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert names_below("results") == ["GoPro/1.png"]
    words = ["restore", "--task", "Deraining", "--weights", "w", "--dataset", "Rain100L", "--input_dir", "rain"]
    assert main([*words, "--result_dir", "out"]) == 0
    assert names_below("out") == ["Rain100L/1.png"]
    assert main([*words[:-3], "HIDE"]) == 2
    assert "neither Datasets/HIDE/test/input nor Datasets/HIDE/input is a folder" in capsys.readouterr().err


def test_paddlegans_program(here, negative):
    words = ["restore", "--input_image", "samples/input/street.v2.jpg", "--weight_path", "w.npz", "--cpu"]
    assert main(words) == 0
    assert Negative.made[0][:2] == ("mprnet_deblurring", "w.npz")
    assert Negative.made[0][2]["device"] == "CPU"
    assert names_below("output_dir") == ["Deblurring/street.v2_restoration.jpg"]
    assert main([*words[:2], "samples/input", *words[3:], "--task", "Deraining", "--output_path", "o", *HYPER]) == 0
    assert Negative.made[1][2]["hyper"] == TINY
    assert names_below("o") == [
        f"Deraining/{n}" for n in ("10_restoration.JPG", "2_restoration.png", "street.v2_restoration.jpg")
    ]
    Path("samples/input/bad.png").write_text("no image")
    assert main([*words[:2], "samples/input", *words[3:]]) == 1


def test_the_benchmarks_of_denoising(here, negative):
    blocks = np.random.default_rng(0).integers(0, 256, (1, 2, 8, 8, 3), np.uint8)
    Path("SIDD").mkdir()
    savemat("SIDD/ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": blocks})
    words = ["restore", "--task", "Denoising", "--weights", "w"]
    file = "SIDD/ValidationNoisyBlocksSrgb.mat"
    assert main([*words, file, "--out", "a"]) == 0
    assert main([*words, "--input_dir", "SIDD", "--result_dir", "b", "--save_images"]) == 0
    assert (names_below("a"), names_below("b")) == (
        ["mat/Idenoised.mat"],
        ["mat/Idenoised.mat", "png/0001_01.png", "png/0001_02.png"],
    )
    for folder in "ab":
        np.testing.assert_allclose(loadmat(f"{folder}/mat/Idenoised.mat")["Idenoised"], 1 - blocks / 255, atol=1e-6)
    cells = np.empty((1, 1), object)
    cells[0, 0] = np.tile([1.0, 2, 8, 10], (20, 1))
    Path("DND/images_srgb").mkdir(parents=True)
    savemat("DND/info.mat", {"info": {"boundingboxes": cells}})
    savemat("DND/images_srgb/0001.mat", {"InoisySRGB": np.full((12, 12, 3), 0.25, np.float32)})
    assert main([*words, "DND", "--out", "c"]) == 0
    submission = loadmat("c/mat/0001.mat")
    assert submission["Idenoised"][0, 19].shape == (8, 9, 3)
    assert np.unique(submission["Idenoised"][0, 0]) == np.float32(0.75)


def test_published_words_fall_back_to_weights_that_ship_and_plain_ones_take_nothing_else(here, negative, ship, capsys):
    ship("rain", "dehazeformer_t", tasks=("derain",))
    words = ["restore", "samples/input/2.png", "--no-report", "--overwrite", "--out", "o", "--task"]
    assert main([*words, "Deraining"]) == 0
    out = capsys.readouterr().out
    assert "no weights of the published program found; --task Deraining uses the included ones" in out
    assert "weights: rain (dehazeformer_t" in out
    weights = published_weights_file("Deraining")
    for word, model in (("Deraining", "mprnet_deraining"), ("derain", "dehazeformer_t")):
        assert main([*words, word]) == 0
        assert Negative.made[-1][0] == model
    assert (Negative.made[-2][1], "rain.safetensors" in Negative.made[-1][1]) == (str(weights), True)
    assert "no weights of the published program" not in capsys.readouterr().out


def assert_refused(words, message, capsys):
    """Expect exit code 2 and one clear line."""
    assert main([str(word) for word in words]) == 2
    err = capsys.readouterr().err
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [err.splitlines()[-1]]
    assert message in err
    assert "Traceback" not in err


def test_what_is_missing_or_wrong_is_named(here, negative, weights_folder, capsys):
    Path("empty").mkdir()
    derain = ["restore", "--task", "Deraining"]
    weighted = [*derain, "--weights", "w"]
    assert_refused(
        ["restore", "empty", "--task", "deringing", "--weights", "w"], "unknown task 'deringing'; known: deblur", capsys
    )
    assert_refused([*derain, "samples/input", "--out", "o"], "put one at Deraining/pretrained_models/model_der", capsys)
    assert_refused(["restore", "empty", "--task", "dehaze", "--out", "o"], "no weights for dehaze: none come", capsys)
    assert_refused(["restore", "empty", "--out", "o"], "no task given; add --task dehaze, derain", capsys)
    assert_refused(["restore"], "nothing to restore; name a photograph, a video or a folder", capsys)
    assert_refused(["restore", "absent.jpg"], "absent.jpg: no such file or folder; check the path", capsys)
    assert_refused([*weighted, "empty", "--model", "aecrnet"], "model aecrnet does dehaze, not derain", capsys)
    assert_refused([*weighted, "--input_dir", "empty"], "empty: no image here (*.jpg, *.JPG, *.png, *.PNG", capsys)
    assert_refused([*weighted, "--input_dir", "nowhere"], "nowhere: no such file or folder", capsys)
    assert_refused([*weighted, "empty", "--out", "o"], "empty: no image", capsys)
    assert_refused([*weighted, "a", "--input_dir", "b"], "a and b are both given as what to work on", capsys)
    assert_refused([*weighted, "--input_dir", "a", "--cpu"], "different published programs", capsys)
    assert_refused(
        [*weighted, "--input_image", "a.png", "--device", "GPU", "--cpu"],
        "GPU and CPU are both given as --device",
        capsys,
    )
    assert_refused(["restore", "--task", "dehaze", "--weights", "w", "--input_image", "a"], "use one of Deb", capsys)
    assert_refused([*weighted, "--cpu"], "nothing to restore; name a photograph", capsys)
    assert_refused([*weighted, "empty", "--out", "o", "--hyper", "n_feat"], "--hyper n_feat: use KEY=VALUE", capsys)
    assert not Path("o").exists()


def test_weights_of_another_network_and_hyper_parameters(here, capsys):
    save_weights(small("mprnet_deraining"), "tiny.npz")
    save_weights(create_model("aecrnet"), "haze.npz")
    words = ["restore", "samples/input/2.png", "--task", "derain", "--out", "o"]
    assert main([*words, "--weights", "haze.npz"]) == 2
    err = capsys.readouterr().err
    assert "haze.npz does not fit MPRNet ('mprnet_deraining'): 0 of its 316 names match" in err
    assert "this is probably a checkpoint of 'aecrnet'" in err
    assert main([*words, "--weights", "tiny.npz"]) == 2
    assert "Traceback" not in err + capsys.readouterr().err
    assert not Path("o").exists()
    assert main([*words, "--weights", "tiny.npz", *HYPER, "--device", "CPU"]) == 0
    assert read_image("o/2.png").shape == (9, 14, 3)


@pytest.mark.parametrize(
    "task", ["deraining", *(pytest.param(t, marks=pytest.mark.slow) for t in ("denoising", "deblurring"))]
)
def test_the_demo_gives_the_published_pixels(golden_dir, task, tmp_path, monkeypatch):
    """A file in, a PNG out, through the command line, with the damped weights of the golden files."""
    path = golden_dir / f"mprnet_{task}.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    golden = np.load(path)
    monkeypatch.chdir(tmp_path)
    published = task.capitalize()
    Path(published, "pretrained_models").mkdir(parents=True)
    np.savez(Path(published, "pretrained_models", f"model_{task}.npz"), **damped_weights(f"mprnet_{task}"))
    write_image("samples/input/rainy.v1.png", golden["demo/in"])
    assert main(["restore", "--task", published, "--input_dir", "./samples/input/", "--result_dir", "out"]) == 0
    restored, expected = read_image("out/rainy.v1.png").astype(int), golden["demo/out"].astype(int)
    assert np.abs(restored - expected).max() <= 1
    assert (restored != expected).mean() < 0.002
    assert np.abs(expected - golden["demo/in"]).max() > 3  # the network does something


def damped_weights(model):
    """Draw the weights of every published name by the rule of the golden files."""
    net = create_model(model)
    shapes = {name: tuple(parameter.shape) for name, parameter in net.parameters_and_names()}
    damping = {"tail.weight": 0.002, "sam12.conv2.weight": 0.05, "sam23.conv2.weight": 0.05}
    weights = {}
    for name, own in published_names(net).items():
        shape = shapes[own]
        if shape == (1,):
            weights[name] = np.array([0.25], np.float32)
            continue
        drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        weights[name] = drawn.astype(np.float32) * np.float32(damping.get(name, 1))
    return weights
