"""The program that measures the included weights, on small images and networks; and the peers on real images."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from mindrestore.evaluation.protocol import get_protocol
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def quality(monkeypatch):
    """Import the program as `python benchmarks/quality.py` does."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import quality

    return quality


@pytest.fixture
def data(tmp_path):
    """Make the folders of some test sets: two pairs each of 30x26 pixels; no truth for real_hazy."""
    rng, root = np.random.default_rng(0), tmp_path / "data"
    for name in ("ihaze_small", "nh_haze_half", "ntire26_night_half", "real_hazy"):
        for image in ("1.png", "2.png"):
            clear = cv2.resize(rng.random((5, 6, 3), np.float32), (30, 26))
            write_image(root / name / "hazy" / image, 0.5 * clear + 0.4)
            if name != "real_hazy":
                write_image(root / name / "clear" / image, clear)
    write_image(root / "kodak24" / "target" / "kodim01.png", np.full((40, 50, 3), 0.5, np.float32))
    return root


@pytest.fixture
def aodnet(tmp_path):
    """Write an AOD-Net whose K is 1 everywhere, so that it gives the input back."""
    shapes = {1: (3, 3, 1, 1), 2: (3, 3, 3, 3), 3: (3, 6, 5, 5), 4: (3, 6, 7, 7), 5: (3, 12, 3, 3)}
    arrays = {f"e_conv{n}.weight": np.zeros(shape, np.float32) for n, shape in shapes.items()}
    arrays.update({f"e_conv{n}.bias": np.full(3, float(n == 5), np.float32) for n in shapes})
    folder = tmp_path / "peers"
    folder.mkdir()
    np.savez(folder / "aodnet_dehaze.npz", **arrays)
    return folder


@pytest.fixture
def run(quality, data, aodnet, ship, tmp_path, monkeypatch):
    """Return a function that runs the program into tmp_path/out."""

    def start(*words):
        fixed = ["quality.py", "--data", str(data), "--peers", str(aodnet), "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", [*fixed, *words])
        quality.main()
        return json.loads((tmp_path / "out" / "quality.json").read_text())

    return start


def test_one_command_measures_ours_and_peers(run, ship, tmp_path, monkeypatch, capsys):
    card = ship("dehaze_free", "dehazeformer_t", tasks=("dehaze",))
    page = tmp_path / "weights.md"
    begin, end = (f"<!-- scores of the included weights: {word} -->" for word in ("begin", "end"))
    page.write_text(f"# Weights\n{begin}old{end}\n")
    result = run("--task", "dehaze", "--update-docs", str(page), "--update-cards")
    rows = {(row["set"], row["method"]): row for row in result["rows"]}
    assert len(rows) == 6
    same = rows["ihaze_small", "AOD-Net"]
    assert same["images"] == 2
    assert {key: same[key] for key in ("psnr", "ssim")} == pytest.approx(same["input"], abs=1e-3)
    means = result["real_haze_means"]
    assert list(means) == ["MindRestore", "AOD-Net", "input"]
    expected = np.mean([row["psnr"] for (_, method), row in rows.items() if method == "MindRestore"])
    assert means["MindRestore"]["psnr"] == pytest.approx(expected, abs=1e-3)
    assert "old" not in page.read_text()
    assert "| set (images) | protocol | input | MindRestore (`dehaze_free`) | AOD-Net |" in page.read_text()
    scores = yaml.safe_load((card.folder / "dehaze_free.yaml").read_text())["scores"]
    assert [score["set"] for score in scores] == ["ihaze_small", "nh_haze_half", "ntire26_night_half"]
    for name in ("dehaze", "real_hazy"):
        path = tmp_path / "out" / f"{name}.jpg"
        assert path.stat().st_size < 400_000
        assert cv2.imread(str(path)).shape[1] == 304 * (4 if name == "dehaze" else 3)

    def broken(*_):
        raise AssertionError("a peer was measured again")

    monkeypatch.setattr("peers.aodnet.AODNet.__call__", broken)
    assert run("--task", "dehaze")["real_haze_means"] == means


def test_noise_is_the_same_every_time(run, quality, data, ship, capsys):
    ship("denoise_free", "mprnet_denoising")
    result = run("--task", "denoise")
    assert [row["set"] for row in result["rows"]] == [f"kodak24 sigma {sigma}" for sigma in (15, 25, 50)]
    for row, sigma in zip(result["rows"], (15, 25, 50)):
        assert row["input"]["psnr"] == pytest.approx(20 * np.log10(255 / sigma), abs=0.3)
    last = list(quality.test_sets(data, "denoise"))[-1]
    np.testing.assert_array_equal(last.load("kodim01.png")[0], last.load("kodim01.png")[0])
    assert "cbsd68 sigma 15: " in capsys.readouterr().out  # a folder that is not there is named


def test_without_weights_only_inputs_and_peers_are_measured(run, capsys):
    result = run("--task", "dehaze", "--limit", "1")
    assert {row["method"] for row in result["rows"]} == {"AOD-Net"}
    assert {row["images"] for row in result["rows"]} == {1}
    assert "dehaze: no weights ship and none were given" in capsys.readouterr().out


def test_a_page_without_markers_is_left_alone(quality, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Weights\n")
    with pytest.raises(SystemExit, match="has no lines <!-- scores"):
        quality.update_docs(page, "text")
    assert page.read_text() == "# Weights\n"


def scores(network, folder, inputs, targets, multiple=1):
    """Average PSNR and SSIM on RGB, and PSNR on luma, over a folder of pairs."""
    rgb, luma = replace(get_protocol("rgb"), names=("psnr", "ssim")), replace(get_protocol("y-matlab"), names=("psnr",))
    rows = []
    for path in sorted((folder / inputs).iterdir()):
        image, clear = (to_float(read_rgb(folder / part / path.name)) for part in (inputs, targets))
        height, width = (side - side % multiple for side in image.shape[:2])
        restored, clear = network(image[:height, :width]), clear[:height, :width]
        rows.append((*rgb.measure(restored, clear).values(), luma.measure(restored, clear)["psnr"]))
    return np.mean(rows, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "psnr_db", "ssim"),
    [("sots_indoor", 19.91, 0.8652), ("reside6k_outdoor", 18.16, 0.8867), ("ihaze_small", 15.00, 0.6668),
     ("nh_haze_half", 13.02, 0.3926), ("ntire26_night_half", 17.41, 0.6931)],
)  # fmt: skip
def test_aodnet_gives_the_known_numbers(quality, shared, name, psnr_db, ssim):
    from peers.aodnet import AODNet

    network = AODNet(shared / "weights" / "aodnet_dehaze.npz")
    found = scores(network, shared / "data" / name, "hazy", "clear", 4)
    assert found[0] == pytest.approx(psnr_db, abs=0.05)
    assert found[1] == pytest.approx(ssim, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "psnr_db", "ssim"),
    [("sots_indoor", 30.09, 0.9600), ("reside6k_outdoor", 22.16, 0.9200), ("ihaze_small", 16.60, 0.7225)],
)
def test_gcanet_gives_the_known_numbers(quality, shared, name, psnr_db, ssim):
    from peers.gcanet import GCANet

    network = GCANet(shared / "weights" / "gcanet_dehaze.npz")
    found = scores(network, shared / "data" / name, "hazy", "clear", 4)
    assert found[0] == pytest.approx(psnr_db, abs=0.05)
    assert found[1] == pytest.approx(ssim, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rgb_db", "luma_db"), [("rain100l", 35.63, 36.99), ("rain100h", 27.45, 28.83)])
def test_prenet_gives_the_known_numbers(quality, shared, name, rgb_db, luma_db):
    from peers.prenet import PReNet

    network = PReNet(shared / "weights" / f"prenet_{name}.npz")
    found = scores(network, shared / "data" / name, "input", "target")
    assert (found[0], found[2]) == pytest.approx((rgb_db, luma_db), abs=0.05)


def test_edges_are_mean_differences_to_the_neighbours(quality):
    from peers.gcanet import edges

    levels = np.zeros((3, 3, 3), np.float32)
    levels[1, 1] = (30, 60, 90)
    expected = np.array([[0, 15, 0], [15, 60, 15], [0, 15, 0]], np.float32)
    np.testing.assert_allclose(edges(levels)[..., 0], expected)


def test_a_grid_of_windows_is_measured(quality):
    from window_grid import grid_ratio

    rng = np.random.default_rng(0)
    image = np.full((96, 128, 3), 0.6, np.float32)
    even = image + 0.01 * cv2.resize(rng.random((96, 128), np.float32), (128, 96))[..., None]
    assert grid_ratio(image, even) == pytest.approx(1, abs=0.2)
    columns = even + 0.02 * (np.arange(128) // 8 % 2).astype(np.float32)[:, None]
    assert grid_ratio(image, columns) > 4
    rows = even + 0.02 * ((np.arange(96) + 5) // 16 % 2).astype(np.float32)[:, None, None]
    assert grid_ratio(image, rows) > 4
    assert np.isnan(grid_ratio(rng.random((64, 64, 3), np.float32), np.zeros((64, 64, 3), np.float32)))


def test_blur_is_measured_and_the_working_size_can_be_asked_for(run, data, ship):
    ship("dehaze_free", "dehazeformer_t", tasks=("dehaze", "deblur"))
    for folder, value in (("input", 0.4), ("target", 0.5)):
        write_image(data / "gopro" / folder / "1.png", np.full((24, 24, 3), value, np.float32))
    (row,) = run("--task", "deblur", "--weights", "deblur=dehaze_free", "--as-used")["rows"]
    assert (row["set"], row["protocol"], row["images"]) == ("gopro", "rgb", 1)
    assert row["input"]["psnr"] == pytest.approx(20, abs=0.2)
