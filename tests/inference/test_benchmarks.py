"""SIDD and DND: recognised by what they hold, and restored into the files that their programs take."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mindrestore.errors import MindRestoreError
from mindrestore.images.read import read_image
from mindrestore.inference.benchmarks import is_benchmark, restore_benchmark

BOXES = 20


def halve(image):
    """Stand in for a restorer: floating point in [0, 1] as both benchmarks give it."""
    assert image.dtype == np.float32
    return image * np.float32(0.5)


@pytest.fixture
def sidd(tmp_path):
    blocks = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 12, 3), np.uint8)
    (tmp_path / "sidd").mkdir()
    savemat(tmp_path / "sidd" / "ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": blocks})
    return tmp_path / "sidd" / "ValidationNoisyBlocksSrgb.mat", blocks


@pytest.fixture
def dnd(tmp_path):
    """Write two photographs with 20 boxes each."""
    rng = np.random.default_rng(1)
    root = tmp_path / "DND"
    (root / "images_srgb").mkdir(parents=True)
    images = [rng.random((40, 50, 3), np.float32) for _ in range(2)]
    cells = np.empty((2, 1), object)
    for place, image in enumerate(images):
        savemat(root / "images_srgb" / f"{place + 1:04d}.mat", {"InoisySRGB": image})
        corners = rng.integers(1, 25, (BOXES, 2))
        cells[place, 0] = np.concatenate((corners, corners + (9, 14)), 1).astype(float)
    savemat(root / "info.mat", {"info": {"boundingboxes": cells}})
    return root, images, cells[:, 0]


def test_they_are_recognised(sidd, dnd, tmp_path):
    assert is_benchmark(sidd[0])
    assert is_benchmark(str(sidd[0].parent))
    assert is_benchmark(dnd[0])
    (tmp_path / "photos").mkdir()
    assert not is_benchmark(tmp_path / "photos")
    assert not is_benchmark(tmp_path / "a.png")


@pytest.mark.parametrize("png", [False, True])
def test_sidd_gives_one_float_array(sidd, tmp_path, png):
    file, blocks = sidd
    summary = restore_benchmark(halve, file, tmp_path / "out", png=png)
    assert summary[:3] == ((tmp_path / "out" / "mat" / "Idenoised.mat",), (), ())
    assert [each.target for each in summary.files] == [tmp_path / "out" / "mat" / "Idenoised.mat"]
    result = loadmat(summary.written[0])["Idenoised"]
    assert (result.shape, result.dtype) == (blocks.shape, np.float32)
    np.testing.assert_allclose(result, blocks / 510, atol=1e-7)
    pictures = sorted(path.name for path in (tmp_path / "out" / "png").glob("*"))
    assert pictures == ([f"000{i}_0{k}.png" for i in (1, 2) for k in (1, 2, 3)] if png else [])
    if png:
        picture = read_image(tmp_path / "out" / "png" / "0002_01.png")
        np.testing.assert_array_equal(picture, np.rint(blocks[1, 0] / np.float32(255) * np.float32(0.5) * 255))


@pytest.mark.parametrize("png", [False, True])
def test_dnd_gives_the_submission(dnd, tmp_path, png):
    root, images, boxes = dnd
    out = tmp_path / "out"
    summary = restore_benchmark(halve, root, out, png=png)
    assert summary.written == (out / "mat" / "0001.mat", out / "mat" / "0002.mat")
    for path, image, corners in zip(summary.written, images, boxes):
        result = loadmat(path)
        assert result["Idenoised"].shape == (1, BOXES)
        assert (result["israw"].item(), result["eval_version"].item()) == (0, "1.0")
        for cell, (top, left, bottom, right) in zip(result["Idenoised"][0], corners.astype(int)):
            assert (cell.shape, cell.dtype) == ((10, 15, 3), np.float32)
            np.testing.assert_array_equal(cell, image[top - 1 : bottom, left - 1 : right] * np.float32(0.5))
    assert len(list(out.glob("png/*.png"))) == (2 * BOXES if png else 0)
    assert (out / "png" / "0002_20.png").is_file() == png


def test_results_that_are_there_stay_unless_told(dnd, tmp_path):
    root, _, _ = dnd
    out = tmp_path / "out"
    restore_benchmark(halve, root, out)
    (out / "mat" / "0002.mat").unlink()
    again = restore_benchmark(halve, root, out)
    assert (again.written, again.kept) == ((out / "mat" / "0002.mat",), (out / "mat" / "0001.mat",))
    assert len(restore_benchmark(halve, root, out, overwrite=True).written) == 2


def test_what_is_wrong_is_named(sidd, dnd, tmp_path):
    out = tmp_path / "out"
    (dnd[0] / "images_srgb" / "0002.mat").unlink()
    summary = restore_benchmark(halve, dnd[0], out)
    assert len(summary.written) == 1
    assert "0002.mat: cannot be read" in summary.failed[0]
    savemat(dnd[0] / "info.mat", {"info": {"other": 1}})
    with pytest.raises(MindRestoreError, match=r"info\.mat: holds no info\.boundingboxes"):
        restore_benchmark(halve, dnd[0], out)
    savemat(sidd[0], {"blocks": np.zeros((2, 3, 4), np.uint8)})
    summary = restore_benchmark(halve, sidd[0], out)
    assert "expected one uint8 array (images, blocks, height, width, 3)" in summary.failed[0]
    assert not (out / "mat" / "Idenoised.mat").exists()
