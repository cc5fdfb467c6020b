"""Steps around taggers of long recordings. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.tagging.align import NeMoASRAlignerStage, SplitASRAlignJoinStage
    from nemo_curator.stages.audio.tagging.merge import MergeAlignmentDiarizationStage, add_non_speaker_segments
    from nemo_curator.stages.audio.tagging.prepare import PrepareModuleSegmentsStage
    from nemo_curator.stages.audio.tagging.resample import ResampleAudioStage
    from nemo_curator.stages.audio.tagging.split import JoinSplitAudioMetadataStage, SplitLongAudioStage
    from nemo_curator.stages.audio.tagging.text import ChineseConversionStage, InverseTextNormalizationStage

__all__ = [
    "ChineseConversionStage",
    "InverseTextNormalizationStage",
    "JoinSplitAudioMetadataStage",
    "MergeAlignmentDiarizationStage",
    "NeMoASRAlignerStage",
    "PrepareModuleSegmentsStage",
    "ResampleAudioStage",
    "SplitASRAlignJoinStage",
    "SplitLongAudioStage",
    "add_non_speaker_segments",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("MergeAlignmentDiarizationStage", "add_non_speaker_segments"), "merge"),
        **dict.fromkeys(("JoinSplitAudioMetadataStage", "SplitLongAudioStage"), "split"),
        **dict.fromkeys(("NeMoASRAlignerStage", "SplitASRAlignJoinStage"), "align"),
        **dict.fromkeys(("ChineseConversionStage", "InverseTextNormalizationStage"), "text"),
        "PrepareModuleSegmentsStage": "prepare",
        "ResampleAudioStage": "resample",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
