"""Judging transcripts. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.text_filtering.hallucination import WhisperHallucinationStage

__all__ = ["WhisperHallucinationStage"]

__getattr__ = lazy_names(__name__, {"WhisperHallucinationStage": "hallucination"})


def __dir__() -> list[str]:
    return sorted(__all__)
