"""Filter clips: by motion, by what models say about their frames. Importing this package imports no decoder or model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.filtering.clip_aesthetic_filter import ClipAestheticFilterStage
    from nemo_curator.stages.video.filtering.frame_score_filter import ClipFrameScoreFilterStage
    from nemo_curator.stages.video.filtering.motion_filter import MotionFilterStage, MotionVectorDecodeStage

__all__ = ["ClipAestheticFilterStage", "ClipFrameScoreFilterStage", "MotionFilterStage", "MotionVectorDecodeStage"]

__getattr__ = lazy_names(
    __name__,
    {
        "ClipAestheticFilterStage": "clip_aesthetic_filter",
        "ClipFrameScoreFilterStage": "frame_score_filter",
        "MotionFilterStage": "motion_filter",
        "MotionVectorDecodeStage": "motion_filter",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
