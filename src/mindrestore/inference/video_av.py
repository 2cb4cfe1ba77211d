"""Videos with PyAV: upright, in their size, proportions, times and colours, with the sound copied."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable

import av
import numpy as np

from mindrestore.inference.pixels import RestoreError

# Suffix -> encoders in the order of preference, each with its options: hardly any loss that can be seen
_H264 = ("libx264", {"crf": "16", "preset": "medium"})
_MPEG4 = ("mpeg4", {"qmin": "2", "qmax": "3"})
_ENCODERS = {
    ".mp4": (_H264, _MPEG4),
    ".m4v": (_H264, _MPEG4),
    ".mov": (_H264, _MPEG4),
    ".mkv": (_H264, _MPEG4),
    ".avi": (("mjpeg", {"qmin": "2", "qmax": "3"}),),
    ".webm": (("libvpx-vp9", {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}),),
}
_CONTAINERS = {".m4v": "mp4", ".mkv": "matroska"}
_EVEN_ONLY = ("libx264",)  # with halved colour resolution it takes even sides only
_LEFT_OUT = {"subtitle": "subtitles", "data": "data (such as time codes or positions)", "attachment": "attachments"}
_EVENLY_SPACED = (".avi",)  # containers without times
_READABLE_SHARE = 0.9  # some containers only estimate how many frames they hold
_USUAL_RATE = Fraction(25)
_UNSPECIFIED = 2  # of FFmpeg's numbers for colour spaces


@dataclass
class _Turn:
    """How stored pixels become upright: exchange the sides, then flip."""

    sides: bool = False
    across: bool = False
    down: bool = False

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        pixels = pixels.swapaxes(0, 1) if self.sides else pixels
        pixels = pixels[:, ::-1] if self.across else pixels
        return np.ascontiguousarray(pixels[::-1] if self.down else pixels)


@dataclass
class _Result:
    """The file that is written, its picture stream once the first frame is known, and its last time."""

    container: Any
    sounds: dict[int, Any] = field(default_factory=dict)
    stream: Any = None
    count: int = 0
    last: int | None = None
    notes: list[str] = field(default_factory=list)


def convert(restore: Callable[[np.ndarray], np.ndarray], source: Path, target: Path) -> tuple[str, ...]:
    """Restore a video into a new file, as `video.restore_video` does."""
    try:
        opened = av.open(str(source), metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise _unopened(source) from error
    try:
        return _convert(restore, opened, source, target)
    except av.FFmpegError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise OSError(error.errno, os.strerror(error.errno)) from error
        raise RestoreError(f"{source}: FFmpeg cannot convert it ({error.strerror}); convert it to MP4") from error


def _convert(restore: Callable[[np.ndarray], np.ndarray], opened: Any, source: Path, target: Path) -> tuple[str, ...]:
    with opened:
        stream = _pictures(opened)
        if stream is None:
            sound = bool(opened.streams.audio)
            raise RestoreError(f"{source}: holds sound and no pictures; use a video") if sound else _unopened(source)
        stream.thread_type = "AUTO"
        options = {"movflags": "+faststart"} if target.suffix in (".mp4", ".m4v", ".mov") else {}
        with av.open(str(target), "w", format=_CONTAINERS.get(target.suffix), options=options) as container:
            result = _Result(container)
            container.metadata.update(opened.metadata)
            _prepare_others(opened, stream, result, target.suffix)
            end = _copy(restore, opened, stream, result, target)
            if result.stream is not None:
                container.mux(result.stream.encode(None))
        _require_whole(source, opened, stream, result, end)
    return tuple(result.notes)


def _unopened(source: Path) -> RestoreError:
    return RestoreError(f"{source}: cannot be opened as a video; copy it again, or convert it to MP4")


def _pictures(container: Any) -> Any:
    """Return the first stream that shows more than a cover."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def _prepare_others(opened: Any, pictures: Any, result: _Result, suffix: str) -> None:
    """Make a copy of every sound stream; note what is left out."""
    for stream in opened.streams:
        if stream.type == "audio":
            try:
                result.sounds[stream.index] = result.container.add_stream_from_template(stream)
            except (ValueError, av.FFmpegError):
                result.notes.append(f"its sound ({stream.codec_context.name}) cannot be kept in {suffix}")
        elif stream.type in _LEFT_OUT:
            result.notes.append(f"its {_LEFT_OUT[stream.type]} are left out")
        elif stream.type == "video" and stream.index != pictures.index:
            result.notes.append("one of its picture streams is left out")


def _copy(restore: Callable, opened: Any, stream: Any, result: _Result, target: Path) -> float:
    """Restore the pictures and copy the sound, packet by packet; return when the last picture ends, in seconds."""
    chosen = [stream, *(opened.streams[index] for index in result.sounds)]
    end = 0.0
    held: list[Any] = []  # sound before the first picture: the container begins when all streams are known
    for packet in opened.demux(chosen):
        if packet.stream.index == stream.index:
            for frame in _decoded(packet, opened.name):
                end = max(end, (frame.time or 0.0) + float((frame.duration or 0) * stream.time_base))
                _restore_frame(restore, frame, stream, result, target)
        elif packet.dts is not None:
            held.append(packet)
        if result.stream is not None:
            for sound in held:
                sound.stream = result.sounds[sound.stream.index]
                result.container.mux(sound)
            held.clear()
    return end


def _decoded(packet: Any, name: str) -> Iterator[Any]:
    try:
        yield from packet.decode()
    except av.FFmpegError as error:
        raise RestoreError(f"{name}: damaged video ({error.strerror}); copy it again") from error


def _restore_frame(restore: Callable, frame: Any, stream: Any, result: _Result, target: Path) -> None:
    turn = _turn_of(frame)
    pixels = restore(turn(frame.to_ndarray(format="rgb24")))
    if result.stream is None:
        _begin(result, frame, stream, pixels.shape, turn.sides, target)
    context = result.stream.codec_context
    if pixels.shape[:2] != (context.height, context.width):
        raise RestoreError(f"{target}: the size of its pictures changes; cut the video there")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    picture = picture.reformat(format=context.pix_fmt, dst_colorspace=_space(frame), dst_color_range=frame.color_range)
    picture.colorspace, picture.color_range = frame.colorspace, frame.color_range
    picture.time_base, picture.pts = context.time_base, _time(frame, result, context)
    if frame.duration and context.time_base == frame.time_base:
        picture.duration = frame.duration
    result.container.mux(result.stream.encode(picture))
    result.count += 1


def _turn_of(frame: Any) -> _Turn:
    """Read the display matrix, as phones write it for videos that were held upright."""
    for data in frame.side_data:
        if data.type == av.sidedata.sidedata.Type.DISPLAYMATRIX:
            a, b, _, c, d = np.frombuffer(bytes(data)[:20], np.int32).tolist()
            if a == d == 0:
                return _Turn(True, c < 0, b < 0)
            return _Turn(False, a < 0, d < 0)
    return _Turn()


def _space(frame: Any) -> Any:
    """Return the colour space to encode in, None for the usual one."""
    return None if frame.colorspace == _UNSPECIFIED else frame.colorspace


def _time(frame: Any, result: _Result, context: Any) -> int:
    """Return the frame's time in the result's units, later than that of the frame before."""
    if frame.pts is None:
        time = result.count if result.last is None else result.last + 1
    else:
        time = round(frame.pts * frame.time_base / context.time_base)
    if result.last is not None and time <= result.last:
        time = result.last + 1
    result.last = time
    return time


def _begin(result: _Result, frame: Any, stream: Any, shape: tuple[int, ...], turned: bool, target: Path) -> None:
    """Open the encoder for pictures like the first one."""
    rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
    name, options = next(
        (entry for entry in _ENCODERS[target.suffix] if entry[0] in av.codecs_available), _ENCODERS[target.suffix][-1]
    )
    result.stream = result.container.add_stream(name, rate=rate, options=dict(options))
    context = result.stream.codec_context
    context.height, context.width = shape[:2]
    odd = name in _EVEN_ONLY and (shape[0] % 2 or shape[1] % 2)
    context.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv444p" if odd else "yuv420p"
    context.time_base = 1 / rate if target.suffix in _EVENLY_SPACED else frame.time_base or stream.time_base
    proportions = stream.sample_aspect_ratio
    if proportions:
        context.sample_aspect_ratio = 1 / proportions if turned else proportions
    context.colorspace, context.color_range = frame.colorspace, frame.color_range
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
    if any(part.is_alpha for part in frame.format.components) or stream.metadata.get("alpha_mode") == "1":
        result.notes.append("its transparency is left out")
    if frame.interlaced_frame:
        result.notes.append("its pictures are interlaced and were restored as they are; deinterlace it first")
    if max(component.bits for component in frame.format.components) > 8:
        result.notes.append("its colours have more than 8 bits, the result has 8")
    if target.suffix in _EVENLY_SPACED and stream.base_rate and abs(stream.base_rate / rate - 1) > 0.01:
        result.notes.append(f"its frame rate varies; in {target.suffix} the frames come at the nearest of even times")


def _require_whole(source: Path, opened: Any, stream: Any, result: _Result, end: float) -> None:
    """Refuse a video of which much is missing, and note where a little is.

    A count alone proves nothing, since AVI counts frames that were dropped, nor does an end, since the last picture may
    stay for long: a video is refused where both say so, or, in a container that counts none, where seconds are missing.
    """
    expected, lasting = stream.frames, _lasting(stream)
    if result.count == 0:
        raise RestoreError(
            f"{source}: damaged, 0{f' of {expected}' if expected else ''} frames can be read; copy it again"
        )
    covered = end - float((stream.start_time or 0) * stream.time_base)
    ends_early = lasting is not None and covered < lasting - float(1.5 / (stream.average_rate or _USUAL_RATE))
    if expected and result.count < expected and (ends_early or lasting is None):
        if result.count < _READABLE_SHARE * expected and covered < _READABLE_SHARE * (lasting or covered + 1):
            raise RestoreError(f"{source}: damaged, {result.count} of {expected} frames can be read; copy it again")
        result.notes.append(
            f"{result.count} of its {expected} frames can be read; copy it again if that is not all of it"
        )
        return
    lasting = lasting if lasting is not None else float(opened.duration or 0) / av.time_base
    if not expected and result.count > 1 and not stream.duration and covered < _READABLE_SHARE * lasting - 1:
        raise RestoreError(
            f"{source}: damaged, its pictures end after {end:.1f} of {lasting:.1f} seconds; copy it again"
        )
    if not expected and ends_early:
        result.notes.append(f"its pictures end after {end:.2f} of {lasting:.2f} seconds; copy it again if it was cut")


def _lasting(stream: Any) -> float | None:
    """Return how many seconds the pictures last, as the stream says, or the tag of Matroska and WebM; None: neither."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, parts)
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds
