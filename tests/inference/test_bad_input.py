"""Bad input: one clear line each, the others go on, and nothing that was there is harmed."""

from __future__ import annotations

import os
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference import files, planning
from mindrestore.inference.bar import showing
from mindrestore.inference.files import restore_files
from mindrestore.inference.pixels import RestoreError

GOOD = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)


def negative(photo):
    return 255 - photo


@pytest.fixture
def photos(tmp_path):
    write_image(tmp_path / "photos" / "good.png", GOOD)
    return tmp_path / "photos"


def restore_beside(photos, message):
    """Restore a folder; expect the good photograph done and one line that names the bad one."""
    out = photos.parent / "out"
    summary = restore_files(negative, photos, out, progress=False)
    assert out / "good.png" in summary.written
    np.testing.assert_array_equal(read_image(out / "good.png"), 255 - GOOD)
    assert len(summary.failed) == 1
    (line,) = summary.failed
    assert "\n" not in line
    assert message in line
    assert sorted(path.name for path in out.rglob("*") if path.name.endswith(".tmp")) == []


def test_truncated_jpeg(photos):
    write_image(photos / "cut.jpg", np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    (photos / "cut.jpg").write_bytes((photos / "cut.jpg").read_bytes()[:-900])
    restore_beside(photos, "cut.jpg: damaged image (image file is truncated")


def test_no_bytes(photos):
    (photos / "empty.webp").touch()
    restore_beside(photos, "empty.webp: the file is empty (0 bytes)")


def test_animated_gif(photos):
    frames = [Image.fromarray(GOOD // step) for step in (1, 2, 3, 4)]
    frames[0].save(photos / "dance.gif", save_all=True, append_images=frames[1:])
    restore_beside(photos, "dance.gif: holds 4 pictures; save each as its own file")


def test_a_still_gif_becomes_png(photos, tmp_path):
    Image.fromarray(GOOD).quantize(16).save(photos / "still.gif")
    assert tmp_path / "out" / "still.gif.png" in restore_files(negative, photos, tmp_path / "out").written


def test_floating_point_tiff(photos):
    cv2.imwrite(str(photos / "sky.tif"), np.full((4, 4, 3), 3.5, np.float32))
    restore_beside(photos, "sky.tif: pixels of type float32 (HDR) have no fixed white; save it with 8 or 16 bits")


def test_one_pixel_and_a_long_strip(photos, tmp_path):
    write_image(photos / "dot.png", GOOD[:1, :1])
    write_image(photos / "strip.jpg", np.zeros((10, 60_000, 3), np.uint8))
    summary = restore_files(negative, photos, tmp_path / "out")
    assert summary.failed == ()
    assert read_image(tmp_path / "out" / "dot.png").shape == (1, 1, 3)
    strip = read_image(tmp_path / "out" / "strip.jpg")
    assert strip.shape == (10, 60_000, 3)
    assert strip.min() > 250


def test_names_outside_ascii(photos, tmp_path):
    write_image(photos / "Größe 雨 🌧.png", GOOD)
    summary = restore_files(negative, photos, tmp_path / "Ausgabe ä")
    assert summary.failed == ()
    np.testing.assert_array_equal(read_image(tmp_path / "Ausgabe ä" / "Größe 雨 🌧.png"), 255 - GOOD)


def test_links_in_a_circle(photos):
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    restore_beside(photos, "loop: a link to a folder that is restored already; it was left out")


@pytest.mark.parametrize("target", ["round.png", "nowhere.png"])
def test_a_link_to_itself_or_to_nothing(photos, target):
    (photos / "round.png").symlink_to(target)
    restore_beside(photos, "round.png: a link that leads nowhere, or in a circle; remove it or create it again")
    with pytest.raises(RestoreError, match=r"round\.png: a link that leads nowhere"):
        restore_files(negative, photos / "round.png", photos.parent / "o")


def test_linked_folders_are_restored_once(photos, tmp_path):
    write_image(tmp_path / "elsewhere" / "far.png", GOOD)
    (photos / "far").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    summary = restore_files(negative, photos, tmp_path / "out")
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in summary.written) == [
        "far/far.png",
        "good.png",
    ]


def test_a_folder_without_permission(photos, monkeypatch):
    (photos / "secret").mkdir()
    listed = os.listdir

    def guarded(place):  # rights do not stop the superuser, who may run the tests
        if place == photos / "secret":
            raise PermissionError(13, "Permission denied", str(place))
        return listed(place)

    monkeypatch.setattr(planning.os, "listdir", guarded)
    restore_beside(photos, "secret: the folder cannot be read (Permission denied); change its permissions")


@pytest.mark.skipif(os.geteuid() == 0, reason="rights do not stop the superuser")
def test_results_where_nothing_may_be_written(photos, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(RestoreError, match=r"results cannot be written there \(Permission denied\)"):
        restore_files(negative, photos, tmp_path / "locked" / "out")


def test_two_inputs_of_one_stem(photos, tmp_path):
    write_image(photos / "good.jpg", GOOD)
    both = restore_files(negative, photos, tmp_path / "both")  # in their own formats they do not meet
    assert (len(both.written), both.failed) == (2, ())
    summary = restore_files(negative, photos, tmp_path / "png", png=True)
    assert len(summary.written) == 1
    (line,) = summary.failed
    assert "good.png: its result would replace that of" in line
    assert "\n" not in line


def test_an_error_of_the_system_does_not_stop_the_batch(photos, monkeypatch):
    write_image(photos / "odd.png", GOOD)
    read = files.read_photo

    def failing(path):
        if path.name == "odd.png":
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(files, "read_photo", failing)
    restore_beside(photos, "odd.png: [Errno 5] Input/output error; check the file and the disk")


class Together:
    """Restore batches, and refuse those with a black pixel in front; note how many came."""

    batch = 3

    def __init__(self):
        self.sizes = []

    def __call__(self, photo):
        if photo[0, 0].max() == 0:
            raise MemoryError
        return 255 - photo

    def restore_batch(self, photos):
        self.sizes.append(len(photos))
        return [self(photo) for photo in photos]


def test_neighbours_of_one_size_go_together(tmp_path):
    for number in range(5):
        write_image(tmp_path / "in" / f"{number}.png", GOOD)
    write_image(tmp_path / "in" / "6.png", GOOD[:4])
    together = Together()
    summary = restore_files(together, tmp_path / "in", tmp_path / "out")
    assert together.sizes == [3, 2]  # the one of another size is restored by itself
    assert len(summary.written) == 6
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "4.png"), 255 - GOOD)


def test_a_batch_that_fails_is_restored_one_by_one(tmp_path):
    for number in range(3):
        write_image(tmp_path / "in" / f"{number}.png", np.zeros_like(GOOD) if number == 1 else GOOD + (GOOD == 0))
    summary = restore_files(Together(), tmp_path / "in", tmp_path / "out")
    assert [path.name for path in summary.written] == ["0.png", "2.png"]
    (line,) = summary.failed
    assert "1.png: the network could not run (MemoryError)" in line


def test_the_bar_counts_images_per_second_and_time_left(photos, tmp_path, capsys):
    write_image(photos / "more.png", GOOD)
    restore_files(negative, photos, tmp_path / "out", progress=True)
    err = capsys.readouterr().err
    assert "restore 2/2: 100%" in err
    assert "image/s" in err
    assert "left" in err
    restore_files(negative, photos, tmp_path / "out", progress=False, overwrite=True)
    assert capsys.readouterr().err == ""


def test_files_that_are_not_read_are_counted_and_named(photos, tmp_path):
    for name in ("a.JXL", "b.dng", "c.dng", "clip.wmv", "scan.pcx", "IMG_0001", "notes.txt", "c.xmp", ".hidden"):
        (photos / name).write_bytes(b"x")
    summary = restore_files(negative, photos, tmp_path / "out", progress=False)
    assert (len(summary.written), summary.failed) == (1, ())
    assert summary.notes == (
        f"{photos}: 6 files left out (1 without suffix, 2 .dng, 1 .jxl, 1 .pcx, 1 .wmv): these kinds are not read; "
        "save pictures as PNG, JPEG or TIFF; convert videos to MP4; develop raw photographs first",
    )
    (photos / "good.png").unlink()
    with pytest.raises(RestoreError, match=r"6 files left out \(1 without suffix, 2 \.dng, 1 \.jxl, 1 "):
        restore_files(negative, photos, tmp_path / "none", progress=False)


def test_nothing_is_written_through_a_link_inside_the_folder_of_results(photos, tmp_path):
    write_image(photos / "sub" / "deep" / "far.png", GOOD)
    (tmp_path / "out").mkdir()
    (tmp_path / "archive").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "archive", target_is_directory=True)
    summary = restore_files(negative, photos, tmp_path / "out", progress=False)
    (line,) = summary.failed
    assert line == (
        f"{photos / 'sub' / 'deep' / 'far.png'}: {tmp_path / 'out' / 'sub'} is a link to another folder, where no "
        "results are written; remove the link or choose another folder for results"
    )
    assert list((tmp_path / "archive").iterdir()) == []
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert len(restore_files(negative, photos, tmp_path / "linked", progress=False).written) == 2  # itself a link


def test_a_name_too_long_for_its_result_is_refused_before_the_work(tmp_path):
    write_image(tmp_path / "in" / "a.ppm", GOOD)
    (tmp_path / "in" / "a.ppm").rename(tmp_path / "in" / f"{'x' * 249}.ppm")  # its result adds .png
    worked = []
    summary = restore_files(lambda photo: worked.append(1) or photo, tmp_path / "in", tmp_path / "out", progress=False)
    (line,) = summary.failed
    assert line.endswith("xxx.ppm.png, longer than 255 bytes; shorten the name")
    assert worked == []


def test_few_bytes_wait_for_others_of_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_READ_AHEAD", 2 * GOOD.nbytes)
    read, order = files.read_photo, []
    monkeypatch.setattr(files, "read_photo", lambda path: order.append("read") or read(path))
    for number in range(4):
        write_image(tmp_path / "in" / f"{number}.png", GOOD)
    together = Together()
    restore_files(together, tmp_path / "in", tmp_path / "out")
    assert together.sizes == [2, 2]  # though the batch is 3
    restore_files(lambda photo: order.append("restored") or photo, tmp_path / "in", tmp_path / "one")
    assert order[4:] == ["read", "restored"] * 4  # a batch of one reads nothing ahead


def test_what_metadata_cannot_keep_is_noted(photos, tmp_path):
    exif = Image.Exif()
    exif[271] = "Leica"
    exif.get_ifd(34665)[37500] = b"m" * 40_000
    data = exif.tobytes()
    Image.fromarray(GOOD).save(photos / "good.jpg", exif=data)
    whole = (photos / "good.jpg").read_bytes()
    at = whole.index(b"\xff\xe1")
    exif.get_ifd(34665)[37500] = b"m" * 90_000
    longer = exif.tobytes()[6:]  # as cameras do: one entry after the other, over several segments
    parts = [b"Exif\0\0" + longer[start : start + 60_000] for start in range(0, len(longer), 60_000)]
    segments = b"".join(b"\xff\xe1" + (len(part) + 2).to_bytes(2, "big") + part for part in parts)
    rest = whole[at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big") :]
    (photos / "good.jpg").write_bytes(whole[:at] + segments + rest)
    summary = restore_files(negative, photos, tmp_path / "out", progress=False)
    assert summary.notes == (
        f"{photos / 'good.jpg'}: its EXIF data have 88 kB, and there is room for 63: MakerNote left out",
    )
    assert len(summary.written) == 2


@pytest.mark.parametrize("name", [b"\xd0\xc2\xbd\xa8.png", b"x" * 251 + b".png", b"a\x1b[31mred.png"])
def test_names_of_any_bytes(tmp_path, name):
    write_image(tmp_path / "in" / os.fsdecode(name), GOOD)
    summary = restore_files(negative, tmp_path / "in", tmp_path / "out", progress=False)
    assert summary.failed == ()
    assert os.listdir(os.fsencode(tmp_path / "out")) == [name]
    (tmp_path / "in" / os.fsdecode(name)).write_bytes(b"no picture")
    summary = restore_files(negative, tmp_path / "in", tmp_path / "again", progress=False)
    (line,) = summary.failed
    assert line.isprintable()
    assert "not an image" in line


class Slow:
    """Restore in four tiles and say so, as a restorer does."""

    progress = None

    def __call__(self, photo):
        for tile in range(1, 5):
            self.progress(tile / 4)
        return photo


def test_the_bar_moves_inside_an_image(photos, tmp_path, capsys):
    slow = Slow()
    restore_files(slow, photos / "good.png", tmp_path / "out", progress=True)
    err = capsys.readouterr().err
    shown = [share for share in (25, 50, 75) if f"restore 0/1:  {share}%" in err]
    assert shown == [25, 50, 75]
    assert slow.progress is None  # nobody listens any more


def test_the_clock_of_the_bar_goes_on_while_a_tile_is_computed(capsys):
    with showing(1, True, None):
        time.sleep(1.2)
    assert "00:01 gone" in capsys.readouterr().err


def test_a_device_behind_a_link_is_not_a_broken_link(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    with pytest.raises(RestoreError, match="link: neither a file nor a folder; check the path"):
        restore_files(negative, tmp_path / "link", tmp_path / "out", progress=False)
