"""PaddleGAN's predictor: names, folders, and shrinking and truncation only when asked for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import mindrestore
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.files import RestoreSummary
from mindrestore.inference.restorer import RestoreError
from mindrestore.inference.tasks import TaskError
from mindrestore.published import predictor as module
from mindrestore.published.predictor import MPRPredictor

LEVEL = 100.6 / 255


class Level:
    """Stand in for a restorer: note what it is made of and what it sees, and give one grey level."""

    made: list
    seen: list

    def __init__(self, model, **options):
        Level.made.append((model, options))

    def restore_float(self, image):
        Level.seen.append(image)
        return np.full(image.shape, LEVEL, np.float32)


@pytest.fixture(autouse=True)
def level(monkeypatch):
    Level.made, Level.seen = [], []
    monkeypatch.setattr(module, "Restorer", Level)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b.png", "street.v2.jpg", "c.JPG", "d.jpeg", "noext.bmp", "sub/deep.png"):
        write_image(tmp_path / "photos" / name, rng.integers(0, 256, (12, 20, 3), np.uint8))
    return tmp_path / "photos"


def test_the_tutorials_call(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predictor = mindrestore.MPRPredictor(output_path="output_dir", weight_path="w.npz", seed=3, task="Deraining")
    assert Level.made[0][0] == "mprnet_deraining"
    assert Level.made[0][1]["weights"] == "w.npz"
    summary = predictor.run(str(photos))
    assert isinstance(summary, RestoreSummary)
    names = ["b_restoration.png", "c_restoration.JPG", "d_restoration.jpeg", "street.v2_restoration.jpg"]
    assert [path.as_posix() for path in summary.written] == [f"output_dir/Deraining/{name}" for name in names]
    assert sorted(path.name for path in (tmp_path / "output_dir" / "Deraining").iterdir()) == names
    assert [image.shape for image in Level.seen] == [(12, 20, 3)] * 4


def test_grey_levels_are_rounded_unless_truncation_is_asked_for(photos, tmp_path):
    for truncate, level in ((False, 101), (True, 100)):
        out = tmp_path / str(truncate)
        (path,) = MPRPredictor(out, "w.npz", task="Denoising", truncate=truncate).run(photos / "b.png").written
        assert np.unique(read_image(path)).tolist() == [level]


def test_large_photographs_keep_their_size_unless_asked(tmp_path):
    large = np.random.default_rng(1).integers(0, 256, (50, 1000, 3), np.uint8)
    write_image(tmp_path / "large.png", large)
    MPRPredictor(tmp_path / "a", "w.npz", task="Deblurring").run(tmp_path / "large.png")
    MPRPredictor(tmp_path / "b", "w.npz", task="Deblurring", max_side=640).run(tmp_path / "large.png")
    assert [image.shape for image in Level.seen] == [(50, 1000, 3), (32, 640, 3)]
    assert [path.name for path in (tmp_path / "a" / "Deblurring").iterdir()] == ["large_restoration.png"]
    shrunk = np.asarray(Image.fromarray(large).resize((640, 32)))
    np.testing.assert_array_equal(read_image(tmp_path / "b" / "Deblurring" / "large.png"), shrunk)
    np.testing.assert_allclose(Level.seen[1], shrunk / 255, atol=1e-6)
    assert read_image(tmp_path / "b" / "Deblurring" / "large_restoration.png").shape == (32, 640, 3)


def test_every_kind_of_pixel_is_seen_as_rgb(tmp_path):
    rng = np.random.default_rng(2)
    Image.fromarray(rng.integers(0, 256, (6, 7), np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(rng.integers(0, 256, (6, 7, 4), np.uint8)).save(tmp_path / "rgba.png")
    Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8)).quantize(8).save(tmp_path / "palette.png")
    write_image(tmp_path / "deep.png", rng.integers(0, 65536, (6, 7, 3), np.uint16))
    MPRPredictor(tmp_path / "out", "w.npz", task="Denoising").run(tmp_path)
    assert [image.shape for image in Level.seen] == [(6, 7, 3)] * 4
    deep = Level.seen[0]
    np.testing.assert_allclose(deep, read_image(tmp_path / "deep.png") / 65535, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("task", [None, "Dehazing", "Derainning"])
def test_other_tasks_are_refused_as_published(task):
    with pytest.raises(ValueError, match="is not one of Deblurring, Denoising, Deraining"):
        MPRPredictor(weight_path="w.npz", task=task)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskError, match=r"put one at Deblurring/pretrained_models/model_deblurring\.pth"):
        MPRPredictor(task="Deblurring")  # none of these ship
    with pytest.raises(RestoreError, match="max_side 0"):
        MPRPredictor(weight_path="w.npz", task="Deraining", max_side=0)
    predictor = MPRPredictor(weight_path="w.npz", task="Deraining")
    with pytest.raises(RestoreError, match="nowhere: no such folder"):
        predictor.run("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RestoreError, match=r"empty: no image here \(\*\.jpeg, \*\.jpg, \*\.JPG, \*\.png, \*\.PNG"):
        predictor.run("empty")


def test_a_bad_file_is_reported_after_the_others_are_done(photos, tmp_path):
    (photos / "a.png").write_text("no image")
    predictor = MPRPredictor(tmp_path / "out", "w.npz", task="Deraining")
    with pytest.raises(RestoreError, match=r"(?s)a\.png: not an image.*4 of 5 photographs are restored into") as caught:
        predictor.run(photos)
    assert caught.value.exit_code == 1
    assert len(list((tmp_path / "out" / "Deraining").iterdir())) == 4


def test_a_photograph_is_never_replaced(tmp_path):
    folder = tmp_path / "out" / "Deraining"
    write_image(folder / "wide.png", np.zeros((4, 20, 3), np.uint8))
    with pytest.raises(RestoreError, match="smaller copy would replace it"):
        MPRPredictor(tmp_path / "out", "w.npz", task="Deraining", max_side=10).run(folder)
    assert read_image(folder / "wide.png").shape == (4, 20, 3)
