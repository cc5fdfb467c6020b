"""Cutting recordings into segments. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.segmentation.regions import RegionRules, speech_regions
    from nemo_curator.stages.audio.segmentation.silero import SileroVad
    from nemo_curator.stages.audio.segmentation.vad import VADSegmentationStage

__all__ = ["RegionRules", "SileroVad", "VADSegmentationStage", "speech_regions"]

__getattr__ = lazy_names(
    __name__,
    {
        "RegionRules": "regions",
        "SileroVad": "silero",
        "VADSegmentationStage": "vad",
        "speech_regions": "regions",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
