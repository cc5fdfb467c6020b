"""Cutting recordings into segments. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.segmentation.regions import RegionRules, speech_regions
    from nemo_curator.stages.audio.segmentation.silero import SileroVad
    from nemo_curator.stages.audio.segmentation.speakers import Diarizer, SortformerDiarizer, SpeakerSeparationStage
    from nemo_curator.stages.audio.segmentation.turns import Turn, clean_turns
    from nemo_curator.stages.audio.segmentation.vad import VADSegmentationStage

__all__ = [
    "Diarizer",
    "RegionRules",
    "SileroVad",
    "SortformerDiarizer",
    "SpeakerSeparationStage",
    "Turn",
    "VADSegmentationStage",
    "clean_turns",
    "speech_regions",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("Diarizer", "SortformerDiarizer", "SpeakerSeparationStage"), "speakers"),
        **dict.fromkeys(("Turn", "clean_turns"), "turns"),
        "RegionRules": "regions",
        "SileroVad": "silero",
        "VADSegmentationStage": "vad",
        "speech_regions": "regions",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
