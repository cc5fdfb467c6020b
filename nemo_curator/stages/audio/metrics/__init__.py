"""Numbers about transcripts. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.metrics.get_wer import (
        ComputeWERStage,
        GetPairwiseWerStage,
        error_counts,
        normalized_for_wer,
    )
    from nemo_curator.stages.audio.metrics.speech_rate import SpeechRateStage

__all__ = ["ComputeWERStage", "GetPairwiseWerStage", "SpeechRateStage", "error_counts", "normalized_for_wer"]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("ComputeWERStage", "GetPairwiseWerStage", "error_counts", "normalized_for_wer"), "get_wer"),
        "SpeechRateStage": "speech_rate",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
