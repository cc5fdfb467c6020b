"""Numbers about transcripts. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.metrics.bandwidth import BandwidthEstimationStage, bandwidth_of
    from nemo_curator.stages.audio.metrics.get_wer import (
        ComputeWERStage,
        GetPairwiseWerStage,
        error_counts,
        normalized_for_wer,
    )
    from nemo_curator.stages.audio.metrics.speech_rate import SpeechRateStage
    from nemo_curator.stages.audio.metrics.squim import TorchaudioSquim, TorchSquimQualityMetricsStage

__all__ = [
    "BandwidthEstimationStage",
    "ComputeWERStage",
    "GetPairwiseWerStage",
    "SpeechRateStage",
    "TorchSquimQualityMetricsStage",
    "TorchaudioSquim",
    "bandwidth_of",
    "error_counts",
    "normalized_for_wer",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("ComputeWERStage", "GetPairwiseWerStage", "error_counts", "normalized_for_wer"), "get_wer"),
        **dict.fromkeys(("BandwidthEstimationStage", "bandwidth_of"), "bandwidth"),
        **dict.fromkeys(("TorchSquimQualityMetricsStage", "TorchaudioSquim"), "squim"),
        "SpeechRateStage": "speech_rate",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
