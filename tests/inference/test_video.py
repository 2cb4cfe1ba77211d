"""Videos frame by frame: all frames, their rate, and no half file when something fails."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mindrestore.images.write import write_image
from mindrestore.inference import video
from mindrestore.inference.files import restore_files
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.video import restore_video


def make_video(path, count=7, size=(48, 32), rate=12.0):
    path.parent.mkdir(exist_ok=True)
    code = {"mp4": "mp4v", "avi": "MJPG", "mkv": "mp4v", "mov": "mp4v", "webm": "VP80"}[path.suffix[1:]]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), rate, size)
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), (20 * number, 40, 200), np.uint8))  # BGR
    writer.release()
    return path


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    rate, frames = capture.get(cv2.CAP_PROP_FPS), []
    while True:
        there, frame = capture.read()
        if not there:
            return rate, frames
        frames.append(frame)


@pytest.fixture(params=["PyAV", "OpenCV"], autouse=True)
def library(request, monkeypatch):
    if request.param == "PyAV":
        pytest.importorskip("av")
    else:
        monkeypatch.setattr(video, "find_spec", lambda name: None)


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "mov", "webm"])
def test_every_frame_is_restored(tmp_path, suffix):
    source, seen = make_video(tmp_path / f"in.{suffix}"), []

    def restore(frame):
        seen.append(frame)
        return 255 - frame

    restore_video(restore, source, tmp_path / "out" / f"é.{suffix}")
    rate, frames = frames_of(tmp_path / "out" / f"é.{suffix}")
    assert rate == pytest.approx(12, abs=0.1)
    assert len(frames) == len(seen) == 7
    assert abs(seen[0].mean((0, 1)) - (200, 40, 0)).max() < 15  # RGB
    for number, frame in enumerate(frames):
        assert np.abs(frame.mean((0, 1)) - (255 - 20 * number, 215, 55)).max() < 15
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"é.{suffix}"]


def test_folders_hold_photographs_and_videos(tmp_path):
    make_video(tmp_path / "in" / "a.mp4")
    write_image(tmp_path / "in" / "b.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "in" / "c.mp4").write_bytes(b"no video")
    summary = restore_files(lambda photo: photo, tmp_path / "in", tmp_path / "out")
    assert [path.name for path in summary.written] == ["a.mp4", "b.png"]
    (line,) = summary.failed
    assert "c.mp4: cannot be opened as a video" in line
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.png"]


def test_a_cut_video_is_named_and_the_old_result_stays(tmp_path):
    source, target = make_video(tmp_path / "in.avi", count=40), tmp_path / "out.avi"
    target.write_bytes(b"earlier")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 3])
    with pytest.raises(RestoreError, match=r"in\.avi: (damaged, \d+ of \d+ frames|cannot be opened)"):
        restore_video(lambda frame: frame, source, target)
    assert target.read_bytes() == b"earlier"


def test_a_failing_network_leaves_no_half_file(tmp_path):
    source = make_video(tmp_path / "in.mp4")

    def fail(frame):
        raise MemoryError

    with pytest.raises(MemoryError):
        restore_video(fail, source, tmp_path / "out" / "a.mp4")
    assert list((tmp_path / "out").iterdir()) == []
