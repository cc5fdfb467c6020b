"""An animated WebP for every window of a clip, made with Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import ClipStage, window_frames
from nemo_curator.tasks.video import Clip, Video, _Window
from nemo_curator.utils.decoder_utils import get_video_timestamps
from nemo_curator.utils.video_files import require_av

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PreviewStage"]


@dataclass
class PreviewStage(ClipStage):
    """Make an animated WebP of every window of a clip. A clip without windows becomes one window.

    Attributes:
        target_fps: Frames to show a second.
        target_height: Height of the pictures; the width follows. Smaller ones stay as they are.
        verbose: Of no effect.
        num_cpus_per_worker: CPUs of a worker.
        compression_level: From 0, quick, to 6, small.
        quality: From 0 to 100.
    """

    target_fps: float = 1.0
    target_height: int = 240
    verbose: bool = False
    num_cpus_per_worker: float = 1.0
    compression_level: int = 6
    quality: int = 50
    name: str = "preview"

    error_key = "preview"

    def __post_init__(self) -> None:
        if self.target_fps <= 0 or self.target_height < 1:
            message = f"stage {self.name!r}: target_fps must be above 0, and target_height at least 1"
            raise OptionError(message)
        if not 0 <= self.compression_level <= 6 or not 0 <= self.quality <= 100:
            message = f"stage {self.name!r}: compression_level must be from 0 to 6, and quality from 0 to 100"
            raise OptionError(message)
        self.resources = Resources(cpus=self.num_cpus_per_worker)

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if PyAV or Pillow is not installed."""
        require_av(f"stage {self.name!r}")
        require("PIL", extra="video", purpose=f"stage {self.name!r}")

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Set ``webp_bytes`` of every window, decoding the clip once."""
        from PIL import Image as images

        if not clip.buffer:
            message = "there is nothing to show: the clip was not encoded"
            raise DataError(message)
        windows = clip.windows or [_Window(0, max(0, len(get_video_timestamps(clip.buffer)) - 1))]
        shown: list[list[Image]] = [[] for _ in windows]
        for index, frame in window_frames(clip.buffer, windows, self.target_fps, self.target_height):
            shown[index].append(images.fromarray(frame))
        for window, pictures in zip(windows, shown, strict=True):
            window.webp_bytes = self._animated(pictures)
        clip.windows = windows

    def _animated(self, pictures: Sequence[Image]) -> bytes | None:
        if not pictures:
            return None
        sink = io.BytesIO()
        pictures[0].save(
            sink,
            "WEBP",
            save_all=True,
            append_images=list(pictures[1:]),
            duration=round(1000 / self.target_fps),
            loop=0,
            quality=self.quality,
            method=self.compression_level,
        )
        return sink.getvalue()
