"""Files to files: names, formats and sub-folders are kept, and a bad file does not stop the others."""

from __future__ import annotations

import errno
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.files import restore_files
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.planning import matching_photos


def halve(photo):
    return photo // 2


@pytest.fixture
def photos(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    for name in ("a.png", "a.jpg", "sub/deep/b.png", "c.tif"):
        write_image(tmp_path / "photos" / name, image)
    return tmp_path / "photos"


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_folder_with_sub_folders(photos, tmp_path):
    out = tmp_path / "out"
    summary = restore_files(halve, photos, out, progress=False)
    assert names_below(out) == ["a.jpg", "a.png", "c.tif", "sub/deep/b.png"]
    assert (len(summary.written), summary.kept, summary.failed) == (4, (), ())
    np.testing.assert_array_equal(read_image(out / "sub/deep/b.png"), read_image(photos / "a.png") // 2)
    assert np.abs(read_image(out / "a.jpg").astype(int) - read_image(photos / "a.jpg") // 2).mean() < 8


def test_existing_results_stay_unless_told(photos, tmp_path):
    out = tmp_path / "out"
    write_image(out / "a.png", np.zeros((2, 2, 3), np.uint8))
    summary = restore_files(halve, photos, out)
    assert summary.kept == (out / "a.png",)
    assert len(summary.written) == 3
    assert read_image(out / "a.png").shape == (2, 2, 3)
    assert len(restore_files(halve, photos, out, overwrite=True).written) == 4
    assert read_image(out / "a.png").shape == (17, 23, 3)


def test_results_inside_the_input_folder_are_not_restored_again(photos):
    out = photos / "clean"
    assert len(restore_files(halve, photos, out).written) == 4
    assert len(restore_files(halve, photos, out).kept) == 4
    assert names_below(out) == ["a.jpg", "a.png", "c.tif", "sub/deep/b.png"]


def test_bad_files_are_listed_at_the_end(photos, tmp_path):
    (photos / "bad.png").write_text("no image")
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:200])

    def restore(photo):
        if photo.shape[0] == 5:
            raise RuntimeError("Out of memory\nmore lines")
        return photo

    write_image(photos / "large.png", np.zeros((5, 5, 3), np.uint8))
    summary = restore_files(restore, photos, tmp_path / "out")
    assert len(summary.written) == 4
    assert len(summary.failed) == 3
    bad, cut, large = summary.failed
    assert "bad.png: not an image" in bad
    assert "cut.png: damaged image" in cut
    assert "large.png: the network could not run (Out of memory)" in large
    assert "--tile" in large


def test_other_formats_become_png(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    for suffix in ("ppm", "bmp"):
        write_image(tmp_path / f"a.{suffix}", image)
    summary = restore_files(halve, [tmp_path / "a.ppm", tmp_path / "a.bmp"], tmp_path / "out")
    assert [path.name for path in summary.written] == ["a.ppm.png", "a.bmp"]
    for path in summary.written:
        np.testing.assert_array_equal(read_image(path), image // 2)


def test_one_name_from_two_folders_does_not_overwrite(photos, tmp_path):
    write_image(tmp_path / "other/a.png", np.zeros((3, 3, 3), np.uint8))
    summary = restore_files(halve, [photos / "a.png", tmp_path / "other/a.png"], tmp_path / "out", overwrite=True)
    assert len(summary.written) == 1
    assert "would replace that of" in summary.failed[0]
    assert read_image(tmp_path / "out/a.png").shape == (17, 23, 3)


def test_grey_and_transparent_files(tmp_path):
    rng = np.random.default_rng(0)
    grey, rgba = rng.integers(0, 256, (6, 7), np.uint8), rng.integers(0, 256, (6, 7, 4), np.uint8)
    deep = rng.integers(0, 65536, (6, 7), np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    seen = {}

    def note(photo):
        seen[photo.shape, photo.dtype.name] = photo
        return photo

    summary = restore_files(note, tmp_path, tmp_path / "out")
    assert len(summary.written) == 3
    assert set(seen) == {((6, 7), "uint8"), ((6, 7), "uint16"), ((6, 7, 3), "uint8")}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/grey.png")), grey)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/rgba.png")), rgba)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out/deep.png"), cv2.IMREAD_UNCHANGED), deep)


def test_png_on_demand_is_8_bit_rgb(tmp_path):
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (6, 7, 4), np.uint8)
    deep = rng.integers(0, 65536, (6, 7, 3), np.uint16)
    (tmp_path / "in").mkdir()
    Image.fromarray(rgba).save(tmp_path / "in" / "a.b.png")
    Image.fromarray(rgba[..., 0]).save(tmp_path / "in" / "grey.PNG")
    Image.fromarray(rgba).quantize(16).save(tmp_path / "in" / "palette.png")
    write_image(tmp_path / "in" / "deep.tif", deep)
    write_image(tmp_path / "in" / "sub" / "c.jpg", rgba[..., :3])
    summary = restore_files(lambda photo: photo, tmp_path / "in", tmp_path / "out", png=True)
    assert summary.failed == ()
    assert names_below(tmp_path / "out") == ["a.b.png", "deep.png", "grey.png", "palette.png", "sub/c.png"]
    for path in summary.written:
        assert Image.open(path).mode == "RGB"
    np.testing.assert_array_equal(read_image(tmp_path / "out/a.b.png"), rgba[..., :3])
    np.testing.assert_array_equal(read_image(tmp_path / "out/grey.png"), np.repeat(rgba[..., :1], 3, 2))
    np.testing.assert_array_equal(read_image(tmp_path / "out/deep.png"), np.rint(deep / 65535 * 255))


def test_half_grey_levels_are_rounded_to_even(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((1, 4, 3), np.uint8))
    levels = np.float32([0.5, 1.5, 2.5, 254.5])
    restore_files(
        lambda photo: np.tile((levels / 255)[None, :, None], (1, 1, 3)), tmp_path / "a.png", tmp_path / "out", png=True
    )
    expected = np.rint(levels / np.float32(255) * np.float32(255))
    assert expected.tolist() == [0, 2, 2, 254]
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.png")[0, :, 0], expected)


def test_png_results_of_one_stem_do_not_replace_each_other(photos, tmp_path):
    summary = restore_files(halve, photos, tmp_path / "out", png=True, overwrite=True)
    assert [path.name for path in summary.written] == ["a.png", "c.png", "b.png"]
    assert "its result would replace that of" in summary.failed[0]


def test_published_programs_take_few_suffixes_and_no_sub_folders(photos):
    for name in ("10.png", "9.JPG", "e.Png", "f.jpeg", ".hidden.png"):
        write_image(photos / name, np.zeros((2, 2, 3), np.uint8))
    found = matching_photos(photos, ["*.jpg", "*.JPG", "*.png", "*.PNG"])
    assert [path.name for path in found] == [
        "9.JPG",
        "10.png",
        "a.jpg",
        "a.png",
    ]
    with pytest.raises(RestoreError, match=r"deep: no image here \(\*\.bmp; sub-folders are left out\)"):
        matching_photos(photos / "sub" / "deep", ["*.bmp"])
    with pytest.raises(RestoreError, match="nowhere: no such folder"):
        matching_photos(photos / "nowhere", ["*.png"])


def test_wrong_places_are_named(photos, tmp_path):
    with pytest.raises(RestoreError, match="nowhere: no such file or folder"):
        restore_files(halve, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RestoreError, match="empty: no image"):
        restore_files(halve, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(RestoreError, match="would replace the photograph"):
        restore_files(halve, photos, photos)
    with pytest.raises(RestoreError, match="would replace the photograph"):
        restore_files(halve, photos / "a.png", photos)
    (tmp_path / "file").write_text("")
    with pytest.raises(RestoreError, match="results cannot be written there"):
        restore_files(halve, photos, tmp_path / "file/out")


def test_a_full_disk_is_named_once_per_file(photos, tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    write_image(out / "a.png", np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    summary = restore_files(halve, photos, out, overwrite=True)
    assert len(summary.failed) == 4
    assert all("the disk is full" in message for message in summary.failed)
    assert names_below(out) == ["a.png"]  # the old one, and no half file
    assert read_image(out / "a.png").shape == (2, 2, 3)
