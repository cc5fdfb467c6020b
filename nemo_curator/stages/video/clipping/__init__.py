"""Cut videos into clips, and take frames of them. Importing this package imports no decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.clipping.clip_extraction_stages import (
        ClipTranscodingStage,
        FixedStrideExtractorStage,
        VideoChunkingStage,
    )
    from nemo_curator.stages.video.clipping.clip_frame_extraction import ClipFrameExtractionStage
    from nemo_curator.stages.video.clipping.scene_detection import SceneDetectClipExtractionStage
    from nemo_curator.stages.video.clipping.transnetv2_extraction import TransNetV2ClipExtractionStage
    from nemo_curator.stages.video.clipping.video_frame_extraction import VideoFrameExtractionStage

_MODULES = {
    "ClipFrameExtractionStage": "clip_frame_extraction",
    "ClipTranscodingStage": "clip_extraction_stages",
    "FixedStrideExtractorStage": "clip_extraction_stages",
    "SceneDetectClipExtractionStage": "scene_detection",
    "TransNetV2ClipExtractionStage": "transnetv2_extraction",
    "VideoChunkingStage": "clip_extraction_stages",
    "VideoFrameExtractionStage": "video_frame_extraction",
}

__all__ = [
    "ClipFrameExtractionStage",
    "ClipTranscodingStage",
    "FixedStrideExtractorStage",
    "SceneDetectClipExtractionStage",
    "TransNetV2ClipExtractionStage",
    "VideoChunkingStage",
    "VideoFrameExtractionStage",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
