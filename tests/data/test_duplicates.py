"""Test images that occur in the training images are found however they were changed; other photographs are not."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.data.duplicates import DuplicateLimits, find_duplicates
from mindrestore.data.scenes import write_scenes
from mindrestore.errors import MindRestoreError
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image

SIZE = 400, 300


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Render four scenes, with some texture so that they have keypoints: the training images, and others."""
    root = tmp_path_factory.mktemp("photos")
    for name, seed in (("train", 0), ("others", 100)):
        for _ in write_scenes(root / f"scenes_{name}", 4, SIZE, seed):
            pass
        for path in sorted((root / f"scenes_{name}" / "clear").iterdir()):
            write_image(root / name / path.name, textured(read_image(path), int(path.stem) + seed))
    return root


def textured(image, seed):
    """Paint over an image as a photograph has detail: blots of many sizes in random places."""
    rng, painted = np.random.default_rng(seed), image.copy()
    for _ in range(120):
        centre = tuple(int(v) for v in rng.integers(0, SIZE))
        axes = tuple(int(v) for v in rng.integers(3, 25, 2))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.ellipse(painted, centre, axes, int(rng.integers(0, 180)), 0, 360, colour, -1)
    return painted


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


CHANGES = {
    "copied": lambda image: image,
    "half the size": lambda image: cv2.resize(image, (200, 150), interpolation=cv2.INTER_AREA),
    "larger, other aspect": lambda image: cv2.resize(image, (520, 360)),
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned": lambda image: np.rot90(image),
    "compressed": lambda image: jpeg(image, 15),
    "darker": lambda image: (image * 0.5).astype(np.uint8),
    "in haze": lambda image: (image * 0.4 + 130).astype(np.uint8),
    "a crop": lambda image: image[60:230, 110:340],
    "a mirrored crop": lambda image: image[100:280, 30:250][:, ::-1],
    "a scaled crop, compressed": lambda image: jpeg(cv2.resize(image[40:240, 100:370], None, fx=1.4, fy=1.4), 60),
}
PARTS = [name for name in CHANGES if "crop" in name]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found(photos, tmp_path, change):
    source = photos / "train" / "0003.png"
    write_image(tmp_path / "changed.png", np.ascontiguousarray(CHANGES[change](read_image(source))))
    (pair,) = find_duplicates(photos / "train", [tmp_path])
    assert (pair.train, pair.test) == (source, tmp_path / "changed.png")
    assert pair.kind == ("part" if change in PARTS else "whole")
    assert pair.mirrored == (change in ("mirrored", "upside down", "a mirrored crop"))
    if pair.kind == "whole":
        assert 0 <= pair.distance <= 8
    else:
        assert pair.keypoints >= 15


def test_other_photographs_are_not_found(photos):
    assert find_duplicates(photos / "train", [photos / "others"]) == []


def test_images_without_structure_match_nothing(tmp_path):
    for name, level in (("train/a.png", 100), ("test/a.png", 100), ("test/b.png", 101)):
        write_image(tmp_path / name, np.full((40, 50, 3), level, np.uint8))
    assert find_duplicates(tmp_path / "train", [tmp_path / "test"]) == []


def test_the_limits_count(photos, tmp_path):
    write_image(tmp_path / "part.png", np.ascontiguousarray(CHANGES["a crop"](read_image(photos / "train/0001.png"))))
    (pair,) = find_duplicates(photos / "train", [tmp_path])
    assert find_duplicates(photos / "train", [tmp_path], DuplicateLimits(keypoints=pair.keypoints + 1)) == []
    assert len(find_duplicates(photos / "train", [tmp_path], DuplicateLimits(keypoints=pair.keypoints))) == 1


def test_one_folder_twice_is_refused(photos):
    with pytest.raises(MindRestoreError, match="given as training and as test images; name two folders"):
        find_duplicates(photos / "train", [photos / "train"])


def test_the_command_reports_and_tells_by_its_exit_code(photos, tmp_path, capsys):
    write_image(tmp_path / "in" / "sub" / "copy.jpg", read_image(photos / "train" / "0002.png"))
    words = ["data", "duplicates", str(photos / "train")]
    assert main([*words, str(photos / "others"), str(tmp_path / "in"), "--out", str(tmp_path / "r.json")]) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path / 'in/sub/copy.jpg'}: whole of {photos / 'train/0002.png'} (0 of 63 signs differ)" in out
    assert f"1 test images occur in {photos / 'train'}" in out
    report = json.loads((tmp_path / "r.json").read_text())
    assert [pair["distance"] for pair in report["pairs"]] == [0]
    assert report["limits"] == {"distance": 8, "keypoints": 15}
    assert main([*words, str(photos / "others")]) == 0
    assert "no test image occurs in" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
