"""Open videos that nobody vouches for, and decode them frame by frame.

PyAV, with the FFmpeg libraries of its wheel, does the work; no program is started. What a file says about itself is not trusted: only
the demuxers of the formats below may read it, as a playlist under the name of a video would make FFmpeg open other files; frames larger
than the limits are refused before they are decoded; and frames come one at a time, so that memory does not depend on the length.
"""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.utils.byte_sizes import format_bytes
from nemo_curator.utils.client_utils import FSPath

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

__all__ = [
    "OpenVideo",
    "SoftwareCodecMissingError",
    "VideoLimits",
    "VideoSource",
    "describe_source",
    "open_video",
    "read_source",
    "require_av",
    "rgb_array",
    "source_size",
]

VideoSource = bytes | str | Path | FSPath
"""Where a video is: its bytes, a local path, or a path on another filesystem."""

_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
_EXTRA = "video"
# A frame is decoded into planes of eight bits or more; this is what one may take at most.
_DEFAULT_PIXELS = 8192 * 8192


class SoftwareCodecMissingError(DataError):
    """The build of FFmpeg has no decoder for the video's codec."""


@dataclass(frozen=True)
class VideoLimits:
    """What a video may be at most; more is refused with a sentence before it costs time or memory.

    Attributes:
        max_bytes: Size of the file.
        max_pixels: Width times height of a frame.
        max_duration_s: Seconds, as the file says.
        max_frame_rate: Frames per second, as the file says.
    """

    max_bytes: int = 64 * 1000**3
    max_pixels: int = _DEFAULT_PIXELS
    max_duration_s: float = 24 * 3600.0
    max_frame_rate: float = 1000.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                message = f"VideoLimits({name}={value}): a limit must be above 0"
                raise ValueError(message)


@dataclass(frozen=True)
class OpenVideo:
    """A video that is open for reading, and its first video stream.

    Attributes:
        container: PyAV's container.
        stream: Its first video stream that is not a cover picture.
        name: What to call it in messages.
    """

    container: InputContainer
    stream: VideoStream
    name: str

    @property
    def start_s(self) -> float:
        """The time of the first frame in the stream's own clock, in seconds; all other times here are counted from it."""
        start, base = self.stream.start_time, self.stream.time_base
        return float(start * base) if start is not None and base is not None else 0.0

    @property
    def frame_rate(self) -> float:
        """Frames per second on average; 0 if the file does not say."""
        return float(self.stream.average_rate or self.stream.guessed_rate or 0)

    def frames(self, *, from_s: float = 0.0) -> Iterator[tuple[float, VideoFrame]]:
        """Yield frames with their times in seconds, in the order they are shown, one at a time.

        Args:
            from_s: Begin at the last key frame that is not later.

        Raises:
            DataError: What comes next cannot be decoded. The frames before were yielded.
        """
        from av.error import FFmpegError

        try:
            self.seek(from_s)
            previous = -1.0
            for frame in self.container.decode(self.stream):
                time = self.time_of(frame, previous)
                previous = time
                yield time, frame
        except (FFmpegError, ValueError, OSError) as error:
            message = f"{self.name} cannot be decoded any further: {_in_words(error)}"
            raise DataError(message) from error

    def seek(self, from_s: float) -> None:
        """Go to the last key frame before `from_s`. From 0 on nothing is sought: not every file can."""
        base = self.stream.time_base
        if from_s > 0 and base is not None:
            self.container.seek(int((from_s + self.start_s) / base), stream=self.stream, backward=True)

    def time_of(self, frame: VideoFrame, previous: float) -> float:
        """Return when a frame is shown. One without a time of its own follows the previous one at the average rate."""
        if frame.time is not None:
            return max(0.0, frame.time - self.start_s)
        return max(0.0, previous + 1.0 / (self.frame_rate or 25.0))


def require_av(purpose: str) -> None:
    """Raise `MissingExtra` if PyAV is not installed."""
    require("av", extra=_EXTRA, purpose=purpose)


def describe_source(source: VideoSource) -> str:
    """Return what to call a video in a message."""
    if isinstance(source, bytes):
        return f"the video of {format_bytes(len(source))}"
    return source.as_posix() if isinstance(source, (Path, FSPath)) else source


def source_size(source: VideoSource) -> int:
    """Return the size in bytes.

    Raises:
        InputError: There is no such file, or it is not a regular one: a pipe or a device could be waited for without end.
    """
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, FSPath):
        with source.open("rb") as handle:
            return handle.seek(0, os.SEEK_END)
    try:
        found = os.stat(source)
    except OSError as error:
        message = f"{source} cannot be read: {error.strerror or error}"
        raise InputError(message) from error
    if not S_ISREG(found.st_mode):
        message = f"{source} is not a regular file"
        raise InputError(message)
    return found.st_size


def read_source(source: VideoSource) -> bytes:
    """Return all bytes of a video."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, FSPath):
        return source.get_bytes_cat_ranges()
    source_size(source)
    return Path(source).read_bytes()


@contextmanager
def open_video(
    source: VideoSource, *, limits: VideoLimits | None = None, threads: int = 1, motion_vectors: bool = False
) -> Generator[OpenVideo]:
    """Open a video for reading.

    Args:
        source: Bytes, a path, or a path on another filesystem, which is read piece by piece.
        limits: What it may be at most.
        threads: Threads of the decoder. With more than one, what a damaged video lacks may be filled in differently from run to run.
        motion_vectors: Let frames carry the motion vectors of the codec as side data.

    Raises:
        InputError: There is no such file.
        DataError: It is no video of a known format, has no video stream, or is beyond the limits.
        SoftwareCodecMissingError: There is no decoder for it.
    """
    require_av("reading videos")
    limits = limits or VideoLimits()
    name = describe_source(source)
    size = source_size(source)
    if size == 0:
        message = f"{name} is empty"
        raise DataError(message)
    _within(limits.max_bytes, size, f"{name} has {format_bytes(size)}", "max_bytes")
    with _container(source, name) as container:
        stream = _first_stream(container, name)
        _check_stream(stream, name, limits)
        context: Any = stream.codec_context
        context.options = {
            "max_pixels": str(limits.max_pixels),
            **({"flags2": "+export_mvs"} if motion_vectors else {}),
        }
        # Vectors are handed over by frame threads in the order of decoding, which the library does not promise for all codecs.
        context.thread_count = max(1, threads)
        context.thread_type = "SLICE" if motion_vectors else "AUTO"
        yield OpenVideo(container, stream, name)


@contextmanager
def _container(source: VideoSource, name: str) -> Generator[InputContainer]:
    import av
    from av.error import FFmpegError

    handle: Any = io.BytesIO(source) if isinstance(source, bytes) else None
    if isinstance(source, FSPath):
        handle = source.open("rb")
    target = handle if handle is not None else os.fspath(cast("str | Path", source))
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(target, options=options)
    except (FFmpegError, ValueError, OSError) as error:
        if handle is not None:
            handle.close()
        message = (
            f"{name} cannot be opened as a video: {_in_words(error)}. It is damaged, cut off, or of another format than "
            "MP4, MOV, MKV, WebM and AVI"
        )
        raise DataError(message) from error
    try:
        with container:
            yield cast("InputContainer", container)
    finally:
        if handle is not None:
            handle.close()


def _first_stream(container: InputContainer, name: str) -> VideoStream:
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    message = f"{name} has no video stream; it has: {kinds}"
    raise DataError(message)


def _check_stream(stream: VideoStream, name: str, limits: VideoLimits) -> None:
    context: Any = stream.codec_context
    if context is None or not context.codec.is_decoder:
        message = f"{name}: this build of FFmpeg has no decoder for its video; convert it, or leave it out"
        raise SoftwareCodecMissingError(message)
    width, height = context.width, context.height
    if width <= 0 or height <= 0:
        message = f"{name} does not say how large its frames are"
        raise DataError(message)
    _within(limits.max_pixels, width * height, f"{name} has frames of {width} x {height}", "max_pixels")
    rate = float(stream.average_rate or 0)
    _within(limits.max_frame_rate, rate, f"{name} says that it has {rate:.0f} frames a second", "max_frame_rate")


def _within(limit: float, value: float, what: str, option: str) -> None:
    if value > limit:
        message = f"{what}, more than is accepted; raise {option} of VideoLimits to take it"
        raise DataError(message)


def rgb_array(frame: VideoFrame, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return a frame as it is to be seen, height x width x 3, RGB.

    Args:
        frame: The decoded frame; where it says that it is to be rotated by quarters, it is.
        size: Height and width of the result; the frame's own by default.
    """
    import numpy as np

    turns = round(frame.rotation / 90) % 4
    height, width = size or (None, None)
    if turns % 2:
        height, width = width, height
    # Area averaging is what makes a small picture of a large one without patterns that were not there.
    reformatted = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    plain = cast("NDArray[np.uint8]", reformatted.to_ndarray())
    return np.ascontiguousarray(np.rot90(plain, turns)) if turns else plain


def _in_words(error: BaseException) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return text or type(error).__name__
