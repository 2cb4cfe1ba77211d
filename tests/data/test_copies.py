"""Copies of image folders: centre crops at the published places, repeatable noise, originals untouched."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.copies import crop_images, noise_images
from mindrestore.data.locate import DatasetError
from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.images.errors import ImageError
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image


def places(height, width):
    """Return an image whose pixels tell their own row and column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows % 256, columns % 256, rows // 256 * 16 + columns // 256], 2).astype(np.uint8)


def test_crops_lie_where_published(golden_dir, tmp_path):
    golden = np.load(golden_dir / "dsrir.npz")
    for height, width in golden["crop.size"]:
        write_image(tmp_path / f"in/{height}x{width}.png", places(height, width))
    paths = list(crop_images(tmp_path / "in", tmp_path / "out"))
    assert len(paths) == len(golden["crop.size"])
    for (height, width), (top, left, h, w) in zip(golden["crop.size"], golden["crop.top_left_h_w"]):
        expected = places(height, width)[top : top + h, left : left + w]
        assert np.array_equal(read_image(tmp_path / f"out/{height}x{width}.png"), expected)


def test_crops_keep_16_bits_and_take_other_multiples(tmp_path):
    deep = (places(21, 13).astype(np.uint16) << 8) + 7
    write_image(tmp_path / "in/a.tif", deep)
    (copy,) = crop_images(tmp_path / "in", tmp_path / "out", 5)
    assert copy == tmp_path / "out" / "a.png"
    assert np.array_equal(read_image(copy), deep[:20, 1:11])
    with pytest.raises(ImageError, match=r"a\.tif: 13x21 is smaller than 16 pixels a side; remove it or pass a small"):
        list(crop_images(tmp_path / "in", tmp_path / "out2", 16))


def test_noise_depends_on_name_deviation_and_seed_alone(tmp_path):
    clear = np.full((40, 30, 3), 120, np.uint8)
    for name in "ab":
        write_image(tmp_path / f"in/{name}.png", clear)
    noisy = [read_image(path) for path in noise_images(tmp_path / "in", tmp_path / "25", 25, seed=3)]
    expected = add_noise(clear, 25, noise_rng(3, 25, "b.png"))
    assert np.array_equal(noisy[1], expected)
    assert noisy[1].astype(float).std() == pytest.approx(25, rel=0.03)
    assert noisy[1].mean() == pytest.approx(119.5, abs=1.5)
    assert not np.array_equal(noisy[0], noisy[1])
    (tmp_path / "in/a.png").unlink()
    (alone,) = noise_images(tmp_path / "in", tmp_path / "again", 25, seed=3)
    assert np.array_equal(read_image(alone), expected)
    (other,) = noise_images(tmp_path / "in", tmp_path / "other", 25, seed=4)
    assert not np.array_equal(read_image(other), expected)


def test_nothing_is_replaced_by_accident(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.png", "b.png"):
        write_image(folder / name, places(16, 16))
    write_image(out / "b.png", places(8, 8))
    with pytest.raises(DatasetError, match=r"b\.png exists already \(1 such\); choose another folder or pass"):
        list(crop_images(folder, out))
    assert not (out / "a.png").exists()
    assert len(list(crop_images(folder, out, overwrite=True))) == 2
    with pytest.raises(DatasetError, match=r"in/\.\./in: the originals are there; choose another folder"):
        list(noise_images(folder, folder / ".." / "in", 25, overwrite=True))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: no images"):
        list(crop_images(tmp_path / "empty", out))
    write_image(folder / "a.jpg", places(16, 16))
    with pytest.raises(DatasetError, match=r"a\.jpg and a\.png would give results of one name"):
        list(crop_images(folder, tmp_path / "new"))
