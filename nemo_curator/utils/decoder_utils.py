"""What a video is, and chosen frames of it, read in software."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from nemo_curator.errors import DataError
from nemo_curator.utils.video_files import (
    OpenVideo,
    SoftwareCodecMissingError,
    VideoLimits,
    VideoSource,
    open_video,
    rgb_array,
)

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from numpy.typing import NDArray

__all__ = [
    "FrameExtractionPolicy",
    "FrameExtractionSignature",
    "FramePurpose",
    "SoftwareCodecMissingError",
    "VideoMetadata",
    "decode_at_rates",
    "decode_video_cpu",
    "decode_video_cpu_frame_ids",
    "extract_frames",
    "extract_video_metadata",
    "find_closest_indices",
    "get_avg_frame_rate",
    "get_frame_count",
    "get_video_timestamps",
    "nearest_frames",
    "sample_closest",
]

_DEFAULT_BIT_RATE_K = 2000
F = TypeVar("F")


@dataclass
class VideoMetadata:
    """What a file says about its video; rotation is taken into account.

    Attributes:
        height: Pixels.
        width: Pixels.
        fps: Frames per second, on average.
        num_frames: Duration times fps, rounded down.
        video_codec: FFmpeg's name, such as ``h264``.
        pixel_format: FFmpeg's name, such as ``yuv420p``.
        video_duration: Seconds.
        audio_codec: Of the first audio stream; `None` without one.
        bit_rate_k: kbit/s of the video; 2000 if the file does not say.
    """

    height: int
    width: int
    fps: float
    num_frames: int
    video_codec: str
    pixel_format: str
    video_duration: float
    audio_codec: str | None = None
    bit_rate_k: int = _DEFAULT_BIT_RATE_K


class FrameExtractionPolicy(Enum):
    """Which frames of a clip are taken."""

    first = 0
    middle = 1
    last = 2
    sequence = 3


class FramePurpose(Enum):
    """What frames are for; the value is how many a second that takes."""

    AESTHETICS = 1.0
    EMBEDDINGS = 2.0


@dataclass(frozen=True)
class FrameExtractionSignature:
    """How frames were taken: the key under which a clip has them.

    Attributes:
        extraction_policy: Which frames.
        target_fps: How many a second.
    """

    extraction_policy: FrameExtractionPolicy
    target_fps: float

    def to_str(self) -> str:
        """Return the key: policy, a hyphen, and frames in a thousand seconds, as in ``FrameExtractionPolicy.sequence-2000``."""
        return f"{self.extraction_policy}-{int(self.target_fps * 1000)}"


def extract_video_metadata(source: VideoSource, limits: VideoLimits | None = None) -> VideoMetadata:
    """Read what a video is, and decode its first frame, which tells how it is rotated and that it can be decoded at all.

    Raises:
        InputError: There is no such file.
        DataError: It is no video, has no frame, no duration or no frame rate, or is beyond the limits.
        SoftwareCodecMissingError: There is no decoder for it.
    """
    limits = limits or VideoLimits()
    with open_video(source, limits=limits) as video:
        first = next(iter(video.frames()), None)
        if first is None:
            message = f"{video.name} has no frame that can be decoded"
            raise DataError(message)
        stream, context = video.stream, video.stream.codec_context
        duration, fps = _duration_s(video), video.frame_rate
        if fps <= 0:
            message = f"{video.name} does not say how many frames a second it has"
            raise DataError(message)
        if duration > limits.max_duration_s:
            message = f"{video.name} says that it lasts {duration:.0f} s, more than is accepted; raise max_duration_s of VideoLimits to take it"
            raise DataError(message)
        width, height = context.width, context.height
        if round(first[1].rotation / 90) % 2:
            width, height = height, width
        audio = next(iter(video.container.streams.audio), None)
        return VideoMetadata(
            height=height,
            width=width,
            fps=fps,
            num_frames=int(duration * fps + 1e-6),
            video_codec=context.name,
            pixel_format=first[1].format.name,
            video_duration=duration,
            audio_codec=None if audio is None else audio.codec_context.name,
            bit_rate_k=int(stream.codec_context.bit_rate or 0) // 1000 or _DEFAULT_BIT_RATE_K,
        )


def _duration_s(video: OpenVideo) -> float:
    """Return how long the video stream lasts, as the file says; what the container says where the stream is silent."""
    stream = video.stream
    if stream.duration and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if video.container.duration:
        return video.container.duration / 1_000_000
    message = f"{video.name} does not say how long it lasts"
    raise DataError(message)


def get_avg_frame_rate(source: VideoSource) -> float:
    """Return frames per second, on average; 0 if the file does not say."""
    with open_video(source) as video:
        return video.frame_rate


def get_frame_count(source: VideoSource) -> int:
    """Return how many frames the file says that it has; where it is silent they are counted."""
    with open_video(source) as video:
        if video.stream.frames:
            return video.stream.frames
    return len(get_video_timestamps(source))


def get_video_timestamps(source: VideoSource) -> NDArray[np.float32]:
    """Return the times of all frames in seconds, sorted, the first being 0. Nothing is decoded.

    Raises:
        DataError: The file cannot be read to its end.
    """
    import numpy as np
    from av.error import FFmpegError

    with open_video(source) as video:
        try:
            stamps = [packet.pts for packet in video.container.demux(video.stream) if packet.pts is not None]
        except FFmpegError as error:
            message = f"{video.name} cannot be read to its end: {error}"
            raise DataError(message) from error
        base = float(video.stream.time_base or 0)
        times = np.sort(np.asarray(stamps, np.float64)) * base
        return (times - times[0] if len(times) else times).astype(np.float32)


def find_closest_indices(src: NDArray[np.floating], dst: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return for every value of `dst` the index of the value of `src` (sorted, not empty) nearest to it; the earlier of two."""
    import numpy as np

    right = np.clip(np.searchsorted(src, dst), 0, len(src) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(dst - src[left]) <= np.abs(src[right] - dst), left, right).astype(np.int64)


def sample_closest(
    src: NDArray[np.floating], sample_rate: float, start: float | None = None, stop: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose frames nearest to evenly spaced moments.

    Args:
        src: Times of frames in seconds, sorted.
        sample_rate: Moments a second.
        start: The first moment; the first frame's time by default.
        stop: The last moment that may be; the last frame's time by default.

    Returns:
        Indices of frames, each once, and how many moments fell on each.

    Raises:
        ValueError: `sample_rate` is not above 0.
    """
    import numpy as np

    if sample_rate <= 0:
        message = f"sample_rate must be above 0, got {sample_rate}"
        raise ValueError(message)
    if len(src) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = float(src[0]) if start is None else start
    last = float(src[-1]) if stop is None else stop
    # Times are float32: a moment that is last by their rounding only counts as not later.
    number = max(1, int((last - first) * sample_rate + 1e-4) + 1)
    moments = first + np.arange(number) / sample_rate
    indices, counts = np.unique(find_closest_indices(src, moments), return_counts=True)
    return indices.astype(np.int64), counts.astype(np.int64)


def decode_video_cpu_frame_ids(
    source: VideoSource,
    frame_ids: Sequence[int] | NDArray[np.int64],
    counts: Sequence[int] | NDArray[np.int64] | None = None,
    num_threads: int = 1,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Decode a video up to the last frame that is wanted, and keep those that are.

    Args:
        source: The video.
        frame_ids: Numbers of frames in the order they are shown, from 0, ascending.
        counts: How often to return each; once by default.
        num_threads: Threads of the decoder.
        size: Height and width of the result; the video's own by default.

    Returns:
        Frames, n x height x width x 3, uint8, RGB.

    Raises:
        DataError: The video cannot be decoded so far, or ends before.
    """
    repeats = [1] * len(frame_ids) if counts is None else [int(count) for count in counts]
    wanted = {int(number): repeat for number, repeat in zip(frame_ids, repeats, strict=True)}
    last = max(wanted, default=-1)
    kept: list[NDArray[np.uint8]] = []
    with open_video(source, threads=num_threads) as video:
        missing = set(wanted)
        for number, (_, frame) in enumerate(video.frames()):
            if number in wanted:
                missing.discard(number)
                kept.extend([_sized(frame, kept, size)] * wanted[number])
            if number >= last:
                break
        if missing:
            message = (
                f"{video.name} ends before frame {last}: {len(missing)} of the frames that are wanted are not there"
            )
            raise DataError(message)
    return _stacked(kept, size)


def decode_video_cpu(
    source: VideoSource, sample_rate_fps: float, num_threads: int = 1, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Decode the frames nearest to moments `sample_rate_fps` of which are a second, from the first frame's time on.

    Returns:
        Frames, n x height x width x 3, uint8, RGB.

    Raises:
        DataError: The video cannot be decoded to its end.
        ValueError: The rate is not above 0.
    """
    return decode_at_rates(source, [sample_rate_fps], num_threads=num_threads, size=size)[sample_rate_fps]


def decode_at_rates(
    source: VideoSource, rates: Sequence[float], *, num_threads: int = 1, size: tuple[int, int] | None = None
) -> dict[float, NDArray[np.uint8]]:
    """Do what `decode_video_cpu` does for several rates, decoding once."""
    kept: dict[float, list[NDArray[np.uint8]]] = {rate: [] for rate in rates}
    with open_video(source, threads=num_threads) as video:
        for wanted, frame in nearest_frames(video.frames(), rates):
            none: list[NDArray[np.uint8]] = []
            first = next((arrays for arrays in kept.values() if arrays), none)
            array = _sized(frame, first, size)
            for rate, count in wanted.items():
                kept[rate].extend([array] * count)
    return {rate: _stacked(arrays, size) for rate, arrays in kept.items()}


def nearest_frames(frames: Iterable[tuple[float, F]], rates: Sequence[float]) -> Iterator[tuple[dict[float, int], F]]:
    """Yield the frames that are nearest to evenly spaced moments, each with how many moments of each rate fall on it.

    Moments begin at the first frame's time and end at the last one's. Only two frames are held at a time, and their times may be any: what
    a phone filmed at a varying rate is sampled evenly in time.

    Args:
        frames: Times in seconds, ascending, and frames.
        rates: Moments a second.

    Raises:
        ValueError: A rate is not above 0.
    """
    if not all(rate > 0 for rate in rates):
        message = f"frames can be taken at rates above 0 a second, got {sorted(rates)}"
        raise ValueError(message)
    taken = dict.fromkeys(rates, 0)
    held: tuple[float, F] | None = None
    start = 0.0
    for time, frame in frames:
        if held is None:
            start = time
        else:
            # A moment belongs to the frame that is held if that is not farther from it than the one that has come.
            middle = (held[0] + time) / 2
            if wanted := _take(taken, start, middle):
                yield wanted, held[1]
        held = (time, frame)
    if held is not None and (wanted := _take(taken, start, held[0])):
        yield wanted, held[1]


def _take(taken: dict[float, int], start: float, until: float) -> dict[float, int]:
    """Return how many moments of each rate up to `until` nobody has taken yet, and take them."""
    wanted: dict[float, int] = {}
    for rate in taken:
        # A moment that is later by no more than rounding is not later.
        number = int((until - start) * rate + 1e-6) + 1
        if number > taken[rate]:
            wanted[rate] = number - taken[rate]
            taken[rate] = number
    return wanted


def extract_frames(
    source: VideoSource,
    extraction_policy: FrameExtractionPolicy = FrameExtractionPolicy.sequence,
    sample_rate_fps: float = 1.0,
    target_res: tuple[int, int] | None = None,
    num_threads: int = 1,
) -> NDArray[np.uint8]:
    """Return frames of a video as a policy says: the first, the middle one, the last, or `sample_rate_fps` a second.

    Args:
        source: The video.
        extraction_policy: Which frames.
        sample_rate_fps: For a sequence.
        target_res: Height and width of the result; the video's own by default.
        num_threads: Threads of the decoder.

    Returns:
        Frames, n x height x width x 3, uint8, RGB.

    Raises:
        DataError: The video cannot be decoded so far.
    """
    if extraction_policy is FrameExtractionPolicy.sequence:
        return decode_video_cpu(source, sample_rate_fps, num_threads, target_res)
    number = 0
    if extraction_policy is not FrameExtractionPolicy.first:
        frames = len(get_video_timestamps(source))
        number = frames // 2 if extraction_policy is FrameExtractionPolicy.middle else frames - 1
    return decode_video_cpu_frame_ids(source, [max(0, number)], num_threads=num_threads, size=target_res)


def _sized(frame: VideoFrame, others: list[NDArray[np.uint8]], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return a frame in the size wanted, or in that of the others: a stream may change it on its way."""
    height_and_width = size or ((others[0].shape[0], others[0].shape[1]) if others else None)
    return rgb_array(frame, height_and_width)


def _stacked(arrays: list[NDArray[np.uint8]], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    import numpy as np

    return np.stack(arrays) if arrays else np.zeros((0, *(size or (0, 0)), 3), np.uint8)
