"""Cut spans out of a video in one pass: decoded once, encoded into as many clips as a frame belongs to, sound copied."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import DataError, OutputError
from nemo_curator.stages.video.clipping.encoders import EncoderSettings
from nemo_curator.stages.video.clipping.spans import Span
from nemo_curator.utils.video_files import OpenVideo, VideoLimits, VideoSource, open_video

if TYPE_CHECKING:
    from av import AudioStream, VideoFrame

__all__ = ["CutClip", "cut_clips", "sound_is_lost"]

# Frame times are multiples of a time base, spans are sums of floats.
_TOLERANCE = 1e-4
# Decoding over a gap is cheaper than seeking, as long as it is short.
_GAP_WORTH_SEEKING_S = 2.0
# How far sound may lag behind its picture in the file.
_AUDIO_LAG_S = 2.0
# A video may end before its file says so; a clip that lacks more than this is not what its span says.
_MISSING_S = 0.5
# The finest that MPEG-4 encoders take which is a whole number of ticks for the usual rates.
_CLOCK = Fraction(1, 60_000)
_COPYABLE_INTO_MP4 = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})


@dataclass(frozen=True)
class CutClip:
    """What became of a span.

    Attributes:
        index: Which span.
        data: The encoded clip, an MP4 file; nothing if it failed.
        error: Why it failed; empty if it did not.
    """

    index: int
    data: bytes = b""
    error: str = ""


@dataclass
class _Sound:
    """The audio packets that clips which are still open may want. Others are let go, so that a film's sound is never held."""

    stream: AudioStream | None
    start_s: float
    packets: deque[tuple[float, Any]] = field(default_factory=deque[tuple[float, Any]])
    reached_s: float = 0.0

    def add(self, packet: Any) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        time = float(packet.pts * packet.time_base) - self.start_s
        self.reached_s = max(self.reached_s, time)
        self.packets.append((time, packet))

    def forget_before(self, time: float) -> None:
        while self.packets and self.packets[0][0] < time:
            self.packets.popleft()

    def between(self, span: Span) -> list[tuple[float, Any]]:
        return [(time, packet) for time, packet in self.packets if span[0] <= time < span[1]]

    def covers(self, time: float, video_time: float) -> bool:
        """Say whether all sound before `time` has come, or is not going to."""
        return self.stream is None or self.reached_s >= time or video_time > time + _AUDIO_LAG_S


class _Writer:
    """A clip that is being encoded."""

    def __init__(self, index: int, span: Span, video: OpenVideo, settings: EncoderSettings, sound: _Sound) -> None:
        self.index, self.span = index, span
        self._video, self._settings, self._sound = video, settings, sound
        self._buffer = io.BytesIO()
        self._container: Any = None
        self._streams: Any = None
        self._size = (0, 0)
        self.last_s: float | None = None

    def write(self, time: float, frame: VideoFrame) -> None:
        from av.video.frame import PictureType

        if self._container is None:
            self._open(frame)
        container: Any = self._container
        stream = self._streams[0]
        width, height = self._size
        picture = frame.reformat(width=width, height=height, format="yuv420p")
        # Where the source had a key frame is no matter of the clip's.
        picture.pict_type = PictureType.NONE
        picture.pts = round(max(0.0, time - self.span[0]) / _CLOCK)
        picture.time_base = _CLOCK
        container.mux(stream.encode(picture))
        self.last_s = time

    def _open(self, frame: VideoFrame) -> None:
        import av

        container: Any = av.open(self._buffer, "w", format="mp4")
        settings = self._settings
        stream: Any = container.add_stream(
            settings.name, rate=self._video.stream.average_rate or 25, options=settings.all_options
        )
        # Samples of colour are shared by two by two pixels, so sides are even.
        self._size = (max(2, frame.width & ~1), max(2, frame.height & ~1))
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _CLOCK
        stream.codec_context.thread_count = max(1, settings.threads)
        if settings.bit_rate_k is not None:
            stream.bit_rate = settings.bit_rate_k * 1000
        if frame.rotation:
            stream.set_display_rotation(frame.rotation)
        sound = None if self._sound.stream is None else container.add_stream_from_template(self._sound.stream)
        self._container, self._streams = container, (stream, sound)

    def finish(self) -> CutClip:
        """Return the clip; an error if no frame fell into it."""
        if self._container is None:
            return CutClip(self.index, error=f"{self._video.name} has no frame from {_said(self.span)}")
        stream, sound = self._streams
        self._container.mux(stream.encode(None))
        if sound is not None:
            self._copy_sound(sound)
        self._container.close()
        self._container = None
        return CutClip(self.index, self._buffer.getvalue())

    def _copy_sound(self, target: Any) -> None:
        from av import Packet

        container = self._container
        for time, packet in self._sound.between(self.span):
            base = packet.time_base
            assert base is not None
            copy: Any = Packet(bytes(packet))
            copy.pts = copy.dts = round((time - self.span[0]) / base)
            copy.time_base, copy.duration, copy.stream = base, packet.duration, target
            container.mux(copy)


def cut_clips(
    source: VideoSource,
    spans: Sequence[Span],
    settings: EncoderSettings,
    *,
    limits: VideoLimits | None = None,
    threads: int = 1,
) -> Generator[CutClip]:
    """Yield a clip for every span, each as soon as its end has been passed. Memory holds the clips that are open, and no others.

    Times of frames are kept, so a video of varying frame rate stays one. Frames are not rotated: the clip says how it is to be, like
    its source. Sound is copied packet by packet where MP4 can hold its codec, see `sound_is_lost`.

    Args:
        source: The video.
        spans: Start and end in seconds, sorted by start. They may overlap, and leave gaps.
        settings: The encoder.
        limits: What the video may be at most.
        threads: Threads of the decoder.

    Raises:
        InputError: There is no such file.
        DataError: The video cannot be opened. What breaks later is in the error of the clips that it breaks.
        OutputError: The encoder does not work.
    """
    if not spans:
        return
    with open_video(source, limits=limits, threads=threads) as video:
        yield from _Cutter(video, spans, settings).run()


def sound_is_lost(audio_codec: str | None) -> bool:
    """Say whether a video has sound that cannot be copied into MP4."""
    return audio_codec is not None and audio_codec not in _COPYABLE_INTO_MP4


class _Cutter:
    """One pass over a video."""

    def __init__(self, video: OpenVideo, spans: Sequence[Span], settings: EncoderSettings) -> None:
        self._video, self._settings = video, settings
        self._waiting = deque(enumerate(spans))
        self._open: list[_Writer] = []
        stream = next(iter(video.container.streams.audio), None)
        copied = stream is not None and not sound_is_lost(stream.codec_context.name)
        self._sound = _Sound(stream if copied else None, video.start_s)

    def run(self) -> Iterator[CutClip]:
        broken = ""
        try:
            for time, frame in self._frames():
                yield from self._close_those_ended(time)
                self._open_those_begun(time)
                for writer in self._open:
                    if time < writer.span[1] - _TOLERANCE:
                        self._write(writer, time, frame)
                if not self._open and not self._waiting:
                    return
        except DataError as error:
            broken = str(error)
        for writer in self._open:
            yield self._last(writer, broken)
        for index, span in self._waiting:
            yield CutClip(index, error=broken or f"{self._video.name} has no frame from {_said(span)}")

    def _frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yield frames in order, and take the sound that lies between; seek over gaps where nothing is wanted."""
        from av.error import FFmpegError

        container, stream = self._video.container, self._video.stream
        streams = [stream] if self._sound.stream is None else [stream, self._sound.stream]
        sought = time = -1.0
        try:
            while True:
                start = self._waiting[0][1][0] if self._waiting else 0.0
                if not self._open and start > max(time, sought, 0.0) + _GAP_WORTH_SEEKING_S:
                    self._video.seek(start)
                    sought = start
                for packet in container.demux(streams):
                    if packet.stream.type == "audio":
                        self._sound.add(packet)
                        continue
                    for frame in cast("list[VideoFrame]", packet.decode()):
                        time = self._video.time_of(frame, time)
                        yield time, frame
                    if self._rests_at(max(time, sought)):
                        break
                else:
                    return
        except (FFmpegError, ValueError) as error:
            message = f"{self._video.name} cannot be decoded after {max(time, 0):.2f} s: {getattr(error, 'strerror', None) or error}"
            raise DataError(message) from error

    def _rests_at(self, time: float) -> bool:
        return not self._open and bool(self._waiting) and self._waiting[0][1][0] > max(time, 0.0) + _GAP_WORTH_SEEKING_S

    def _open_those_begun(self, time: float) -> None:
        while self._waiting and self._waiting[0][1][0] <= time + _TOLERANCE:
            index, span = self._waiting.popleft()
            self._open.append(_Writer(index, span, self._video, self._settings, self._sound))

    def _close_those_ended(self, time: float) -> Iterator[CutClip]:
        ended = [
            writer
            for writer in self._open
            if time >= writer.span[1] - _TOLERANCE and self._sound.covers(writer.span[1], time)
        ]
        for writer in ended:
            self._open.remove(writer)
            yield self._finish(writer)
        begun = [writer.span[0] for writer in self._open]
        begun += [span[0] for _, span in list(self._waiting)[:1]]
        self._sound.forget_before(min(begun, default=time))

    def _last(self, writer: _Writer, broken: str) -> CutClip:
        """Return what became of a clip that was open when the video ended."""
        reached = writer.span[0] if writer.last_s is None else writer.last_s
        if reached >= writer.span[1] - _MISSING_S:
            return self._finish(writer)
        ends = f"{self._video.name} ends after {reached:.2f} s, before the clip from {_said(writer.span)} does"
        return CutClip(writer.index, error=broken or ends)

    def _write(self, writer: _Writer, time: float, frame: VideoFrame) -> None:
        with self._encoder_errors():
            writer.write(time, frame)

    def _finish(self, writer: _Writer) -> CutClip:
        with self._encoder_errors():
            return writer.finish()

    @contextmanager
    def _encoder_errors(self) -> Generator[None]:
        from av.error import FFmpegError

        try:
            yield
        except (FFmpegError, ValueError) as error:
            message = f"clips of {self._video.name} cannot be encoded with {self._settings.name}: {error}"
            raise OutputError(message) from error


def _said(span: Span) -> str:
    return f"{span[0]:.2f} s to {span[1]:.2f} s"
