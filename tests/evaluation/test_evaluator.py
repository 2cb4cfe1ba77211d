"""The evaluator: right scores beside the right names, bad files reported, the rest measured."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.data.pairing import Pair
from mindrestore.evaluation import metrics
from mindrestore.evaluation.evaluator import EvaluationError, evaluate_pairs, evaluate_sets
from mindrestore.evaluation.protocol import ProtocolError, get_protocol
from mindrestore.evaluation.report import write_csv
from mindrestore.evaluation.sets import NamedSet, TestSet
from mindrestore.images.matlab import write_variables
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image


@pytest.fixture
def folder(tmp_path):
    """Two clear images of 24x20; three hazy ones, two of them of clear image 1."""
    return write_pairs(tmp_path, cells=(4, 4), size=(20, 24))


@pytest.fixture
def detailed(tmp_path):
    """The same at 96x80, with enough in them to be aligned."""
    return write_pairs(tmp_path, cells=(16, 14), size=(80, 96))


def write_pairs(folder, cells, size):
    rng = np.random.default_rng(0)
    for key in ("1", "2"):
        smooth = cv2.resize(rng.random((*cells, 3)), size)
        write_image(folder / f"clear/{key}.png", smooth)
        for level in (1, 2) if key == "1" else (1,):
            hazy = smooth * (1 - 0.2 * level) + 0.2 * level
            write_image(folder / f"hazy/{key}_{level}.png", hazy)
    return folder


def pair(folder, name, **options):
    key = name.split("_")[0]
    return Pair(key, folder / f"hazy/{name}.png", folder / f"clear/{key}.png", **options)


def dehaze(image):
    """Undo the haze of level 1 exactly."""
    return np.clip((image - 0.2) / 0.8, 0, 1)


def test_rows_hold_restored_and_input_scores(folder):
    pairs = [pair(folder, name) for name in ("1_1", "1_2", "2_1")]
    result = evaluate_pairs(dehaze, pairs, "rgb", progress=False)
    assert [(row.name, row.key, row.height, row.width) for row in result.rows] == [
        ("1_1.png", "1", 24, 20),
        ("1_2.png", "1", 24, 20),
        ("2_1.png", "2", 24, 20),
    ]
    for row, entry in zip(result.rows, pairs):
        hazy, clear = read_rgb(entry.input), read_rgb(entry.target)
        assert row.input["psnr"] == pytest.approx(metrics.psnr(hazy, clear))
        assert row.restored["psnr"] == pytest.approx(metrics.psnr(dehaze(hazy), clear))
        assert row.restored["ssim"] == pytest.approx(metrics.ssim(dehaze(hazy), clear))
        assert row.seconds >= 0
    assert result.rows[0].restored["psnr"] > 45 > 25 > result.rows[0].input["psnr"]
    assert result.mean["psnr"] == pytest.approx(np.mean([row.restored["psnr"] for row in result.rows]))
    assert result.input_mean["mae"] == pytest.approx(np.mean([row.input["mae"] for row in result.rows]))
    assert math.isnan(result.mean["ms_ssim"])
    assert result.counts == {"psnr": 3, "ssim": 3, "ms_ssim": 0, "mae": 3, "ciede2000": 3}


def test_bad_files_are_named_and_the_others_measured(folder):
    (folder / "hazy/1_2.png").write_text("this is not an image")
    result = evaluate_pairs(dehaze, [pair(folder, name) for name in ("1_1", "1_2", "2_1", "2_9")], "aecr")
    assert [row.name for row in result.rows] == ["1_1.png", "2_1.png"]
    assert [failure.name for failure in result.failures] == ["1_2.png", "2_9.png"]
    assert "not an image" in result.failures[0].reason
    assert "no such file" in result.failures[1].reason


def test_nothing_measured_is_an_error(folder):
    with pytest.raises(EvaluationError, match=r"none of the 2 pairs could be measured[\s\S]*8_1\.png"):
        evaluate_pairs(dehaze, [pair(folder, "9_1"), pair(folder, "8_1")], "rgb")
    with pytest.raises(EvaluationError, match="no image pairs"):
        evaluate_pairs(dehaze, [], "rgb")
    with pytest.raises(ProtocolError, match="'rgb'"):
        evaluate_pairs(dehaze, [pair(folder, "1_1")], "rbg")


def test_limit_stops_early(folder):
    calls = []

    def restore(image):
        calls.append(image.shape)
        return image

    pairs = [pair(folder, name) for name in ("1_1", "1_2", "2_1")]
    result = evaluate_pairs(restore, pairs, "rgb", limit=2)
    assert len(result.rows) == len(calls) == 2
    assert result.mean == pytest.approx(result.input_mean, nan_ok=True)  # nothing restored, nothing gained


def test_larger_targets_are_cropped_only_where_the_data_set_says_so(folder):
    clear = read_rgb(folder / "clear/1.png")
    write_image(folder / "clear/1.png", np.pad(clear, ((2, 3), (4, 4), (0, 0))))  # 29x28
    result = evaluate_pairs(dehaze, [pair(folder, "1_1", crop_target=True), pair(folder, "1_2")], "rgb")
    assert len(result.rows) == 1
    assert result.rows[0].restored["psnr"] > 45
    assert "one size" in result.failures[0].reason


def test_protocols_that_crop_restore_the_crop(folder):
    shapes = []

    def restore(image):
        shapes.append(image.shape)
        return image

    result = evaluate_pairs(restore, [pair(folder, "1_1")], "dsrir-rgb")
    assert shapes == [(24, 16, 3)]  # 24x20 to multiples of 8
    assert (result.rows[0].height, result.rows[0].width) == (24, 16)


def test_pictures_of_every_pair(folder, tmp_path):
    evaluate_pairs(dehaze, [pair(folder, "1_1"), pair(folder, "1_1")], "rgb", save_dir=tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.png")) == ["1_1.png", "1_1_2.png"]
    picture = read_rgb(tmp_path / "pictures/1_1.png")
    hazy = read_rgb(folder / "hazy/1_1.png")
    np.testing.assert_allclose(picture[-24:, :20], hazy, atol=1e-6)  # the input's panel, pixel for pixel


def test_some_pictures_only(folder, tmp_path):
    pairs = [pair(folder, name) for name in ("1_1", "1_2", "2_1")]
    result = evaluate_pairs(dehaze, pairs, "rgb", save_dir=tmp_path / "pictures", pictures=2)
    assert len(result.rows) == 3
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.png")) == ["1_1.png", "1_2.png"]


def test_images_that_cannot_be_aligned_are_named(detailed):
    pairs = [pair(detailed, name) for name in ("1_1", "1_2")]
    means = [float(read_rgb(entry.input).mean()) for entry in pairs]

    def restore(image):
        return np.zeros_like(image) if image.mean() > sum(means) / 2 else dehaze(image)

    result = evaluate_pairs(restore, pairs, "mpr-realblur")
    assert [row.name for row in result.rows] == ["1_1.png"]
    assert result.failures[0].name == "1_2.png"
    assert "black all over" in result.failures[0].reason


def test_a_degraded_image_that_cannot_be_aligned_costs_its_own_scores_only(detailed):
    write_image(detailed / "hazy/2_1.png", np.full((96, 80, 3), 0.5))
    clear = read_rgb(detailed / "clear/2.png")

    def restore(image):
        return clear if np.ptp(image) == 0 else dehaze(image)

    result = evaluate_pairs(restore, [pair(detailed, "1_1"), pair(detailed, "2_1")], "mpr-realblur")
    assert [row.name for row in result.rows] == ["1_1.png", "2_1.png"]
    assert result.rows[1].restored["psnr"] > 60
    assert math.isnan(result.rows[1].input["psnr"])
    assert result.input_mean["psnr"] == result.rows[0].input["psnr"]
    assert [failure.name for failure in result.failures] == ["2_1.png"]
    assert "scores of the degraded image are left out" in result.failures[0].reason
    assert "did not converge" in result.failures[0].reason


def test_sets_count_alike_in_the_average(folder, tmp_path):
    first, second = [pair(folder, "1_1"), pair(folder, "1_2")], [pair(folder, "2_1")]
    sets = [NamedSet("two", first, "rgb"), NamedSet("one", second, "mpr-gopro"), NamedSet("none", [], "rgb")]
    result = evaluate_sets(dehaze, sets, save_dir=tmp_path, pictures=1)
    alone = [evaluate_pairs(dehaze, first, "rgb"), evaluate_pairs(dehaze, second, "mpr-gopro")]
    assert list(result.sets) == ["two", "one"]
    assert [evaluation.protocol.name for evaluation in result.sets.values()] == ["rgb", "mpr-gopro"]
    assert result.names == ("psnr", "ssim")  # what both protocols measure
    for name in result.names:
        assert result.mean[name] == pytest.approx(sum(evaluation.mean[name] for evaluation in alone) / 2)
        assert result.input_mean[name] == pytest.approx(sum(e.input_mean[name] for e in alone) / 2)
    rows = [row.restored["psnr"] for evaluation in alone for row in evaluation.rows]
    assert result.mean["psnr"] != pytest.approx(np.mean(rows), abs=0.01)  # not weighted by the number of images
    assert result.missing == ("none",)
    assert result.failures == ()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("pictures/*.png")) == [
        "one/pictures/2_1.png",
        "two/pictures/1_1.png",
    ]


def test_limit_holds_for_every_set(folder):
    pairs = [pair(folder, name) for name in ("1_1", "1_2", "2_1")]
    result = evaluate_sets(dehaze, [NamedSet("a", pairs, "rgb"), NamedSet("b", pairs[1:], "rgb")], limit=1)
    assert [len(evaluation.rows) for evaluation in result.sets.values()] == [1, 1]


def test_sets_that_cannot_be_measured_are_named(folder):
    good, bad = [pair(folder, "1_1"), pair(folder, "7_7")], [pair(folder, "9_1")]
    result = evaluate_sets(dehaze, [NamedSet("good", good, "rgb"), NamedSet("bad", bad, "rgb")])
    assert list(result.sets) == ["good"]
    assert [failure.name for failure in result.failures] == ["bad", "good/7_7.png"]
    assert "9_1.png" in result.failures[0].reason
    with pytest.raises(EvaluationError, match=r"none of the 2 test sets[\s\S]*bad: [\s\S]*9_1\.png"):
        evaluate_sets(dehaze, [NamedSet("bad", bad, "rgb"), NamedSet("none", [], "rgb")])
    with pytest.raises(EvaluationError, match="one name: a, a"):
        evaluate_sets(dehaze, [NamedSet("a", good, "rgb"), NamedSet("a", good, "rgb")])


def test_a_metric_undefined_in_one_set_has_no_average(folder):
    small = folder / "clear/1.png"
    write_image(folder / "tiny.png", read_rgb(small)[:8, :8])
    tiny = Pair("t", folder / "tiny.png", folder / "tiny.png")
    result = evaluate_sets(dehaze, [NamedSet("a", [pair(folder, "1_1")], "rgb"), NamedSet("b", [tiny], "rgb")])
    assert math.isnan(result.mean["ssim"])
    assert result.sets["a"].mean["ssim"] > 0.9
    assert result.mean["mae"] > 0


def test_blocks_of_a_matlab_file(tmp_path):
    """SIDD's benchmark: the images lie inside two .mat files, and the prediction is not rounded."""
    rng = np.random.default_rng(0)
    clear = rng.integers(40, 200, (2, 3, 16, 24, 3), np.uint8)
    noisy = np.clip(clear + rng.normal(0, 20, clear.shape), 0, 255).astype(np.uint8)
    folder = tmp_path / "SIDD" / "test"
    for name, values in (("Noisy", noisy), ("Gt", clear)):
        write_variables(folder / f"Validation{name}BlocksSrgb.mat", {f"Validation{name}BlocksSrgb": values})
    assert TestSet(tmp_path / "SIDD").named_sets("mpr-sidd") == []  # one data set

    def restore(image):
        return image + np.float32(0.4 / 255)

    pairs = TestSet(tmp_path / "SIDD").pairs()
    result = evaluate_pairs(restore, pairs, "mpr-sidd", save_dir=tmp_path / "pictures")
    names = ["0001_01", "0001_02", "0001_03", "0002_01", "0002_02", "0002_03"]
    assert [row.name for row in result.rows] == names
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.png")) == [f"{name}.png" for name in names]
    assert [(row.height, row.width) for row in result.rows] == [(16, 24)] * 6
    last = get_protocol("mpr-sidd").measure((noisy[1, 2] + 0.4) / 255, clear[1, 2] / 255)
    assert result.rows[-1].restored == pytest.approx(last, abs=1e-5)
    assert result.rows[-1].restored["psnr"] != pytest.approx(result.rows[-1].input["psnr"], abs=1e-3)
    write_csv(result, tmp_path / "scores.csv")
    assert ",0002_03,0002_03,16,24," in (tmp_path / "scores.csv").read_text().splitlines()[-1]


def test_a_missing_block_file_is_named(tmp_path):
    blocks = np.zeros((1, 1, 8, 8, 3), np.uint8)
    write_variables(tmp_path / "ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": blocks})
    gone = Pair("0001_01", tmp_path / "ValidationNoisyBlocksSrgb.mat/0001_01", tmp_path / "gone.mat/0001_01")
    with pytest.raises(EvaluationError, match=r"0001_01: .*gone\.mat: cannot be read"):
        evaluate_pairs(dehaze, [gone], "mpr-sidd")


def test_equal_file_names_of_several_folders_stay_apart(tmp_path):
    pairs = []
    for sequence in ("GOPR0384_11_00", "GOPR0385_11_01"):
        image = tmp_path / sequence / "blur" / "000047.png"
        write_image(image, np.zeros((12, 12, 3), np.uint8))
        pairs.append(Pair(f"{sequence}-000047", image, image))
    pairs.append(Pair("Rain100L/7", tmp_path / "7.png", tmp_path / "7.png"))
    result = evaluate_pairs(dehaze, pairs, "rgb", save_dir=tmp_path / "pictures")
    assert [row.name for row in result.rows] == ["GOPR0384_11_00-000047.png", "GOPR0385_11_01-000047.png"]
    assert [failure.name for failure in result.failures] == ["Rain100L/7.png"]
    assert {path.name for path in (tmp_path / "pictures").glob("*.png")} == {row.name for row in result.rows}


def test_test_noise_belongs_to_the_image_not_to_the_order(folder):
    clear = [Pair(key, folder / f"clear/{key}.png", folder / f"clear/{key}.png", noise=(25,)) for key in ("1", "2")]
    seen = []
    evaluate_pairs(lambda image: seen.append(image) or image, clear, "rgb", progress=False)
    alone = evaluate_pairs(lambda image: seen.append(image) or image, clear[1:], "rgb", progress=False)
    assert np.array_equal(seen[1], seen[2])
    expected = add_noise(cv2.imread(str(clear[1].input))[..., ::-1], 25, noise_rng(1234, 25, "2.png"))
    assert np.array_equal(seen[1], expected.astype(np.float32) / np.float32(255))
    assert alone.sigmas == (25,)
    assert alone.rows[0].input["psnr"] == pytest.approx(20.2, abs=0.5)
    other = replace(get_protocol("rgb"), noise_seed=7)
    evaluate_pairs(lambda image: seen.append(image) or image, clear[1:], other, progress=False)
    assert not np.array_equal(seen[3], seen[2])
