"""Speech recognition. Importing this package imports no recogniser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip, AsrResult
    from nemo_curator.stages.audio.inference.asr.faster_whisper import FasterWhisperAdapter
    from nemo_curator.stages.audio.inference.asr.pocketsphinx import PocketSphinxAdapter
    from nemo_curator.stages.audio.inference.asr.stage import ASRStage

__all__ = ["ASRStage", "AsrAdapter", "AsrClip", "AsrResult", "FasterWhisperAdapter", "PocketSphinxAdapter"]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("AsrAdapter", "AsrClip", "AsrResult"), "adapter"),
        "ASRStage": "stage",
        "FasterWhisperAdapter": "faster_whisper",
        "PocketSphinxAdapter": "pocketsphinx",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
