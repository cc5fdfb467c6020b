"""Read videos, write clips. Importing this package imports no decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.io.clip_writer import ClipWriterStage
    from nemo_curator.stages.video.io.summary import VideoSummaryStage
    from nemo_curator.stages.video.io.video_reader import VideoReader, VideoReaderStage

__all__ = ["ClipWriterStage", "VideoReader", "VideoReaderStage", "VideoSummaryStage"]

__getattr__ = lazy_names(
    __name__,
    {
        "ClipWriterStage": "clip_writer",
        "VideoReader": "video_reader",
        "VideoReaderStage": "video_reader",
        "VideoSummaryStage": "summary",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
