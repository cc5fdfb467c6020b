"""Audio: manifests, waveforms, speech in them, what is said, and how well. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.advanced_pipelines import AudioDataFilterStage
    from nemo_curator.stages.audio.alm import ALMDataBuilderStage, ALMDataOverlapStage
    from nemo_curator.stages.audio.common import (
        GetAudioDurationStage,
        ManifestReader,
        ManifestWriterStage,
        PreserveByValueStage,
    )
    from nemo_curator.stages.audio.filtering import (
        BandFilterStage,
        DNSMOSFilterStage,
        SIGMOSFilterStage,
        UTMOSFilterStage,
    )
    from nemo_curator.stages.audio.inference.asr import ASRStage
    from nemo_curator.stages.audio.io import AudioToDocumentStage, SegmentExtractionStage
    from nemo_curator.stages.audio.metrics import ComputeWERStage, GetPairwiseWerStage, SpeechRateStage
    from nemo_curator.stages.audio.postprocessing import TimestampMapperStage
    from nemo_curator.stages.audio.preprocessing import MonoConversionStage, SegmentConcatenationStage
    from nemo_curator.stages.audio.segmentation import SpeakerSeparationStage, VADSegmentationStage
    from nemo_curator.stages.audio.text_filtering import WhisperHallucinationStage

__all__ = [
    "ALMDataBuilderStage",
    "ALMDataOverlapStage",
    "ASRStage",
    "AudioDataFilterStage",
    "AudioToDocumentStage",
    "BandFilterStage",
    "ComputeWERStage",
    "DNSMOSFilterStage",
    "GetAudioDurationStage",
    "GetPairwiseWerStage",
    "ManifestReader",
    "ManifestWriterStage",
    "MonoConversionStage",
    "PreserveByValueStage",
    "SIGMOSFilterStage",
    "SegmentConcatenationStage",
    "SegmentExtractionStage",
    "SpeakerSeparationStage",
    "SpeechRateStage",
    "TimestampMapperStage",
    "UTMOSFilterStage",
    "VADSegmentationStage",
    "WhisperHallucinationStage",
]

_COMMON = ("GetAudioDurationStage", "ManifestReader", "ManifestWriterStage", "PreserveByValueStage")
_FILTERING = ("BandFilterStage", "DNSMOSFilterStage", "SIGMOSFilterStage", "UTMOSFilterStage")
_METRICS = ("ComputeWERStage", "GetPairwiseWerStage", "SpeechRateStage")
_PREPROCESSING = ("MonoConversionStage", "SegmentConcatenationStage")

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("ALMDataBuilderStage", "ALMDataOverlapStage"), "alm"),
        **dict.fromkeys(_COMMON, "common"),
        **dict.fromkeys(_FILTERING, "filtering"),
        **dict.fromkeys(_METRICS, "metrics"),
        **dict.fromkeys(_PREPROCESSING, "preprocessing"),
        "ASRStage": "inference.asr",
        "AudioDataFilterStage": "advanced_pipelines",
        **dict.fromkeys(("AudioToDocumentStage", "SegmentExtractionStage"), "io"),
        "TimestampMapperStage": "postprocessing",
        **dict.fromkeys(("SpeakerSeparationStage", "VADSegmentationStage"), "segmentation"),
        "WhisperHallucinationStage": "text_filtering",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
