"""Videos with PyAV: upright, in their size, proportions, times and colours, and with their sound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mindrestore.inference import video
from mindrestore.inference.files import restore_files
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.video import restore_video

av = pytest.importorskip("av")

TIMES = (0, 1, 2, 5, 6, 11, 12, 13)  # tenths of a second: the rate varies


def scene(height, width, number=0):
    """A picture whose corners differ: red on the upper left, green on the upper right, blue below."""
    picture = np.full((height, width, 3), (60 + 5 * number, 120, 180), np.uint8)
    picture[: height // 2, : width // 2] = (220, 30, 30)
    picture[: height // 2, width // 2 :] = (30, 200, 30)
    return picture


def make_video(path, *, size=(64, 48), times=TIMES, sound=None, turn=0, proportions=None, space=None, codec=None):
    """Write a video; size: height and width as stored; sound: codec of a tone that begins with the pictures."""
    path.parent.mkdir(exist_ok=True)
    usual = {".webm": "libvpx-vp9", ".avi": "mjpeg"}.get(path.suffix, "libx264")
    with av.open(str(path), "w", format={".m4v": "mp4"}.get(path.suffix)) as container:
        stream = container.add_stream(codec or usual, rate=10, options={"crf": "10"})
        context = stream.codec_context
        context.height, context.width = size
        odd = size[0] % 2 or size[1] % 2
        context.pix_fmt = "yuvj420p" if usual == "mjpeg" else "yuv444p" if odd and usual == "libx264" else "yuv420p"
        context.time_base = Fraction(1, 10)
        if turn:
            stream.set_display_rotation(turn)
        if proportions:
            context.sample_aspect_ratio = proportions
        if space:
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = space, 1, 1, 1
        tone = container.add_stream(sound, rate=48_000, layout="mono") if sound else None
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(scene(*size, number), format="rgb24")
            frame = frame.reformat(format=context.pix_fmt, dst_colorspace=space)
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            wave = (np.sin(np.arange(48_000) / 20)[None] * 0.3).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48_000, 0, Fraction(1, 48_000)
            resampler = av.AudioResampler(tone.format.name, "mono", 48_000)
            for part in (*resampler.resample(samples), *resampler.resample(None)):
                container.mux(tone.encode(part))
            container.mux(tone.encode(None))
    return path


def look(path):
    """Return the upright pictures, their times, and the pixel proportions of the first stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        proportions = stream.sample_aspect_ratio
        frames = list(container.decode(stream))
        return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.time for frame in frames], proportions


def sound_of(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "webm"])
def test_every_frame_keeps_its_time(tmp_path, suffix):
    source = make_video(tmp_path / f"in.{suffix}")
    seen = []
    notes = restore_video(lambda frame: seen.append(frame) or 255 - frame, source, tmp_path / f"out.{suffix}")
    assert notes == ()
    pictures, times, _ = look(tmp_path / f"out.{suffix}")
    assert times == pytest.approx([time / 10 for time in TIMES], abs=1e-3)
    for number, picture in enumerate(pictures):
        assert np.abs(picture.astype(int) - (255 - scene(64, 48, number))).mean() < 4
    assert seen[0].shape == (64, 48, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in.{suffix}", f"out.{suffix}"]


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_what_was_filmed_upright_stays_upright(tmp_path, turn):
    source = make_video(tmp_path / "in.mp4", turn=turn)
    seen = []
    restore_video(lambda frame: seen.append(frame) or frame, source, tmp_path / "out.mp4")
    expected = np.rot90(scene(64, 48), turn // 90)  # the matrix turns counterclockwise
    assert np.abs(seen[0].astype(int) - expected).mean() < 4  # the network sees it upright
    pictures, _, _ = look(tmp_path / "out.mp4")
    assert pictures[0].shape == expected.shape
    assert np.abs(pictures[0].astype(int) - expected).mean() < 4
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0  # and is not turned again


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm"])
def test_odd_sizes_lose_no_pixel(tmp_path, size, suffix):
    source = make_video(tmp_path / f"in.{suffix}", size=size, times=range(4))
    restore_video(lambda frame: frame, source, tmp_path / f"out.{suffix}")
    pictures, _, _ = look(tmp_path / f"out.{suffix}")
    assert pictures[0].shape == (*size, 3)
    assert np.abs(pictures[0].astype(int) - scene(*size)).mean() < 6


def test_proportions_of_pixels_are_kept(tmp_path):
    source = make_video(tmp_path / "in.mp4", proportions=Fraction(4, 3))
    restore_video(lambda frame: frame, source, tmp_path / "out.mp4")
    assert look(tmp_path / "out.mp4")[2] == Fraction(4, 3)
    source = make_video(tmp_path / "turned.mp4", proportions=Fraction(4, 3), turn=90)
    restore_video(lambda frame: frame, source, tmp_path / "upright.mp4")
    assert look(tmp_path / "upright.mp4")[2] == Fraction(3, 4)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "aac"), ("mov", "pcm_s16le"), ("mkv", "flac"), ("avi", "pcm_s16le"), ("webm", "libopus")],
)
def test_sound_is_copied(tmp_path, suffix, codec):
    source = make_video(tmp_path / f"in.{suffix}", sound=codec, times=range(10))
    assert restore_video(lambda frame: frame, source, tmp_path / f"out.{suffix}") == ()
    before, after = sound_of(source), sound_of(tmp_path / f"out.{suffix}")
    assert len(before) > 0
    assert b"".join(before) == b"".join(after)
    assert len(look(tmp_path / f"out.{suffix}")[0]) == 10


@pytest.mark.parametrize("space", [1, 5])  # BT.709 and BT.601
def test_colours_keep_their_space(tmp_path, space):
    source = make_video(tmp_path / "in.mp4", space=space)
    restore_video(lambda frame: frame, source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (space, 1, 1)
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - scene(64, 48)).mean() < 4


def test_even_times_in_avi_need_no_note(tmp_path):
    assert (
        restore_video(lambda frame: frame, make_video(tmp_path / "even.avi", times=range(5)), tmp_path / "o.avi") == ()
    )
    assert len(look(tmp_path / "o.avi")[0]) == 5


def test_a_cut_video_is_refused(tmp_path):
    for suffix in ("mkv", "mp4"):
        source, target = make_video(tmp_path / f"in.{suffix}", times=range(60)), tmp_path / f"out.{suffix}"
        source.write_bytes(source.read_bytes()[: source.stat().st_size // 3])
        target.write_bytes(b"earlier")
        with pytest.raises(RestoreError, match=rf"in\.{suffix}: (damaged|cannot be opened as a video).*copy it again"):
            restore_video(lambda frame: frame, source, target)
        assert target.read_bytes() == b"earlier"


def test_no_library_speaks(tmp_path, capfd):
    source = make_video(tmp_path / "in.mp4", sound="aac")
    capfd.readouterr()
    restore_video(lambda frame: frame, source, tmp_path / "out.mp4")
    (tmp_path / "bad.mp4").write_bytes(source.read_bytes()[:-400] + b"\xff" * 400)
    restore_files(lambda frame: frame, tmp_path / "bad.mp4", tmp_path / "out", progress=False)
    assert capfd.readouterr() == ("", "")


def test_without_pyav_it_is_said_what_is_lost(tmp_path, monkeypatch):
    make_video(tmp_path / "in" / "a.mp4", size=(63, 47), turn=90)
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    summary = restore_files(lambda frame: frame, tmp_path / "in", tmp_path / "out", progress=False)
    assert len(summary.written) == 1
    lost, cut = summary.notes
    assert "PyAV is not installed, so sound, subtitles and the proportions of pixels are left out" in lost
    assert "pip install 'mindrestore[video]'" in lost
    assert "its odd size 63x47 became 62x46" in cut


def test_frames_that_avi_counts_but_does_not_hold_are_not_damage(tmp_path):
    """A camera that drops frames leaves gaps in the count."""
    source = make_video(tmp_path / "in.avi", times=(0, 1, 2, 9, 10, 19))
    with av.open(str(source)) as opened:
        assert opened.streams.video[0].frames > 15
    notes = restore_video(lambda frame: frame, source, tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 6
    assert not any("frames can be read" in note for note in notes)


def test_a_matroska_file_that_ends_early_says_so(tmp_path):
    source = make_video(tmp_path / "in.mkv", times=range(60))
    whole = source.read_bytes()
    assert restore_video(lambda frame: frame, source, tmp_path / "whole.mkv") == ()
    source.write_bytes(whole[: len(whole) * 19 // 20])
    (note,) = restore_video(lambda frame: frame, source, tmp_path / "out.mkv")
    assert "its pictures end after" in note
    assert note.endswith("of 6.00 seconds; copy it again if it was cut")


def test_sound_without_pictures_is_called_so(tmp_path):
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as container:
        tone = container.add_stream("aac", rate=48_000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 48_000, 0
        for packets in (tone.encode(samples), tone.encode(None)):
            container.mux(packets)
    with pytest.raises(RestoreError, match=r"in\.mp4: holds sound and no pictures; use a video"):
        restore_video(lambda frame: frame, source, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("name", "codec", "options", "note"),
    [
        ("clear.mov", "qtrle", {}, "its transparency is left out"),
        (
            "lines.mp4",
            "libx264",
            {"flags": "+ilme+ildct"},
            "its pictures are interlaced and were restored as they are; deinterlace it first",
        ),
    ],
)
def test_what_pictures_lose_is_said(tmp_path, name, codec, options, note):
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "argb" if codec == "qtrle" else "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(scene(48, 64, number), format="rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert restore_video(lambda photo: photo, tmp_path / name, tmp_path / f"out-{name}") == (note,)
    assert len(look(tmp_path / f"out-{name}")[0]) == 3
