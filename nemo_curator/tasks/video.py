"""Videos and the clips that are cut from them.

Nothing here imports a decoder before it is asked to read a video.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from nemo_curator.tasks.base import Task
from nemo_curator.utils.client_utils import FSPath
from nemo_curator.utils.sizing import estimate_nbytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nemo_curator.utils.video_files import VideoLimits, VideoSource

__all__ = ["Clip", "ClipStats", "Video", "VideoMetadata", "VideoTask"]

_SECONDS_OF_UNIT_WEIGHT = 300.0


@dataclass
class VideoMetadata:
    """What the container and its first video stream say; `None` where unknown.

    Sizes are in bytes and pixels, duration in seconds, framerate in frames per second, bit rate in kbit/s.
    """

    size: int | None = None
    height: int | None = None
    width: int | None = None
    framerate: float | None = None
    num_frames: int | None = None
    duration: float | None = None
    video_codec: str | None = None
    pixel_format: str | None = None
    audio_codec: str | None = None
    bit_rate_k: int | None = None


@dataclass
class ClipStats:
    """Counters over the clips of a video; durations in seconds."""

    num_filtered_by_motion: int = 0
    num_filtered_by_aesthetic: int = 0
    num_passed: int = 0
    num_transcoded: int = 0
    num_with_embeddings: int = 0
    num_with_caption: int = 0
    num_with_webp: int = 0
    total_clip_duration: float = 0.0
    max_clip_duration: float = 0.0

    def combine(self, other: ClipStats) -> None:
        """Add `other` to this; the longest duration is the longer of the two."""
        for name in vars(other):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, max(mine, theirs) if name == "max_clip_duration" else mine + theirs)


def _no_any() -> dict[str, Any]:
    return {}


def _no_text() -> dict[str, str]:
    return {}


@dataclass
class _Window:
    """Frames `start_frame` to `end_frame` of a clip, with what was made of them."""

    start_frame: int
    end_frame: int
    mp4_bytes: bytes | None = None
    llm_inputs: dict[str, Any] = field(default_factory=_no_any)
    x1_input: Any = None
    caption: dict[str, str] = field(default_factory=_no_text)
    enhanced_caption: dict[str, str] = field(default_factory=_no_text)
    webp_bytes: bytes | None = None

    def get_major_size(self) -> int:
        """Return the bytes of the large fields."""
        return estimate_nbytes((self.mp4_bytes, self.llm_inputs, self.x1_input, self.webp_bytes))


def _no_windows() -> list[_Window]:
    return []


@dataclass
class Clip:
    """A span of a video, with what stages found out about it.

    Attributes:
        uuid: Identity of the clip.
        source_video: Path of the video it was cut from.
        span: Start and end in seconds.
        buffer: The encoded clip.
        embeddings: Vectors by the name of the model that made them.
        frame_scores: Numbers by the name of the model that looked at the frames.
        num_bytes: Size of the encoded clip; it stays when the buffer is let go.
    """

    uuid: UUID
    source_video: str
    span: tuple[float, float]
    buffer: bytes | None = None
    extracted_frames: dict[str, NDArray[np.uint8]] = field(default_factory=_no_any)
    decoded_motion_data: Any = None
    motion_score_global_mean: float | None = None
    motion_score_per_patch_min_256: float | None = None
    aesthetic_score: float | None = None
    cosmos_embed1_frames: NDArray[np.float32] | None = None
    cosmos_embed1_embedding: NDArray[np.float32] | None = None
    windows: list[_Window] = field(default_factory=_no_windows)
    egomotion: dict[str, bytes] = field(default_factory=_no_any)
    cosmos_embed1_text_match: tuple[str, float] | None = None
    errors: dict[str, str] = field(default_factory=_no_text)
    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=_no_any)
    frame_scores: dict[str, float] = field(default_factory=_no_any)
    num_bytes: int = 0

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.span[1] - self.span[0]

    def extract_metadata(self) -> dict[str, Any] | None:
        """Return width, height, framerate, num_frames, video_codec and num_bytes of the encoded clip; `None` without a buffer.

        Raises:
            DataError: The buffer is no video.
        """
        if not self.buffer:
            return None
        from nemo_curator.utils.decoder_utils import extract_video_metadata

        found = extract_video_metadata(self.buffer)
        return {
            "width": found.width,
            "height": found.height,
            "framerate": found.fps,
            "num_frames": found.num_frames,
            "video_codec": found.video_codec,
            "num_bytes": len(self.buffer),
        }

    def get_major_size(self) -> int:
        """Return the bytes of the large fields."""
        own = (
            self.buffer,
            self.extracted_frames,
            self.decoded_motion_data,
            self.cosmos_embed1_frames,
            self.cosmos_embed1_embedding,
            self.egomotion,
            self.embeddings,
        )
        return estimate_nbytes(own) + sum(window.get_major_size() for window in self.windows)


def _no_clips() -> list[Clip]:
    return []


@dataclass
class Video:
    """A video, its clips, and the counters over all clips of the whole video.

    Attributes:
        input_video: Path of the video, local or on another filesystem.
        source_bytes: The encoded file, where it was read into memory.
        metadata: What is known about it.
        frame_array: Decoded frames, n x height x width x 3, uint8 RGB.
        clips: Clips that are kept.
        filtered_clips: Clips that were dropped.
        num_total_clips: Clips of the whole video; this task may hold a chunk of them.
        num_clip_chunks: Into how many tasks the clips were divided.
        clip_chunk_index: Which of them this is, from 0.
    """

    input_video: Path | FSPath | str
    source_bytes: bytes | None = None
    metadata: VideoMetadata = field(default_factory=VideoMetadata)
    frame_array: NDArray[np.uint8] | None = None
    clips: list[Clip] = field(default_factory=_no_clips)
    filtered_clips: list[Clip] = field(default_factory=_no_clips)
    num_total_clips: int = 0
    num_clip_chunks: int = 0
    clip_chunk_index: int = 0
    clip_stats: ClipStats = field(default_factory=ClipStats)
    errors: dict[str, str] = field(default_factory=_no_text)

    @property
    def fraction(self) -> float:
        """The share of the video's clips that this task holds, 0..1."""
        if self.num_total_clips == 0:
            return 1.0
        return (len(self.clips) + len(self.filtered_clips)) / self.num_total_clips

    @property
    def weight(self) -> float:
        """Work to be done, in units of five minutes of video; 0 before the file was read."""
        if self.metadata.size is None:
            return 0.0
        if self.metadata.duration is None:
            message = f"the duration of video {self.input_path} is not known: read its metadata first"
            raise ValueError(message)
        return self.metadata.duration / _SECONDS_OF_UNIT_WEIGHT * self.fraction

    @property
    def input_path(self) -> str:
        """The path with forward slashes."""
        return self.input_video if isinstance(self.input_video, str) else self.input_video.as_posix()

    @property
    def source(self) -> VideoSource:
        """Where to read the video from: its bytes if they are in memory, else its path."""
        return self.source_bytes if self.source_bytes else self.input_video

    def populate_metadata(self, limits: VideoLimits | None = None) -> None:
        """Read the metadata from the bytes, or from the file where it was left on its disk.

        Args:
            limits: What the video may be at most.

        Raises:
            ValueError: There are no bytes, and no such file.
            DataError: It is no video, or beyond the limits. It is a ValueError too.
        """
        from nemo_curator.utils.decoder_utils import extract_video_metadata
        from nemo_curator.utils.video_files import source_size

        if not self.has_source():
            message = f"video {self.input_path} has no bytes, and there is no such file: read it first"
            raise ValueError(message)
        found = extract_video_metadata(self.source, limits)
        self.metadata = VideoMetadata(
            size=source_size(self.source),
            height=found.height,
            width=found.width,
            framerate=found.fps,
            num_frames=found.num_frames,
            duration=found.video_duration,
            video_codec=found.video_codec,
            pixel_format=found.pixel_format,
            audio_codec=found.audio_codec,
            bit_rate_k=found.bit_rate_k,
        )

    def has_source(self) -> bool:
        """Say whether there are bytes, or a local file to read them from. Of other filesystems it is taken as given."""
        if self.source_bytes:
            return True
        if isinstance(self.input_video, FSPath):
            return True
        return Path(self.input_video).is_file()

    def has_metadata(self) -> bool:
        """Say whether all that later stages need is known."""
        m = self.metadata
        return all((m.height, m.width, m.duration, m.framerate, m.num_frames, m.video_codec))

    def is_10_bit_color(self) -> bool | None:
        """Say whether samples have ten bits; `None` without a pixel format."""
        if self.metadata.pixel_format is None:
            return None
        return "10le" in self.metadata.pixel_format or "10be" in self.metadata.pixel_format

    @property
    def nbytes(self) -> int:
        """The same as `get_major_size`: by this the engine sees how much memory a task takes."""
        return self.get_major_size()

    def get_major_size(self) -> int:
        """Return the bytes of the large fields, clips included."""
        clips = sum(clip.get_major_size() for clip in (*self.clips, *self.filtered_clips))
        return estimate_nbytes((self.source_bytes, self.frame_array)) + clips


@dataclass(repr=False)
class VideoTask(Task[Video]):
    """A task of one video."""

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Say whether the video's file exists, where a local path was given."""
        return not isinstance(self.data.input_video, Path) or self.data.input_video.exists()
