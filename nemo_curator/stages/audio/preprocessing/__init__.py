"""What is done to waveforms before they are judged. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.preprocessing.concatenation import SegmentConcatenationStage
    from nemo_curator.stages.audio.preprocessing.mono import MonoConversionStage

__all__ = ["MonoConversionStage", "SegmentConcatenationStage"]

__getattr__ = lazy_names(__name__, {"MonoConversionStage": "mono", "SegmentConcatenationStage": "concatenation"})


def __dir__() -> list[str]:
    return sorted(__all__)
