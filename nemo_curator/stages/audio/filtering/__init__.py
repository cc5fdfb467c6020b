"""Filters of speech quality. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.filtering.band import BandFilterStage, SpectralBand
    from nemo_curator.stages.audio.filtering.dnsmos import DNSMOSFilterStage, DnsmosScorer
    from nemo_curator.stages.audio.filtering.mos import SIGMOSFilterStage, TorchScriptMos, UTMOSFilterStage
    from nemo_curator.stages.audio.filtering.scorer import QualityFilterStage, SpeechScorer

__all__ = [
    "BandFilterStage",
    "DNSMOSFilterStage",
    "DnsmosScorer",
    "QualityFilterStage",
    "SIGMOSFilterStage",
    "SpectralBand",
    "SpeechScorer",
    "TorchScriptMos",
    "UTMOSFilterStage",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("BandFilterStage", "SpectralBand"), "band"),
        **dict.fromkeys(("DNSMOSFilterStage", "DnsmosScorer"), "dnsmos"),
        **dict.fromkeys(("SIGMOSFilterStage", "TorchScriptMos", "UTMOSFilterStage"), "mos"),
        **dict.fromkeys(("QualityFilterStage", "SpeechScorer"), "scorer"),
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
