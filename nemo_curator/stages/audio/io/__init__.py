"""Entries as documents, and segments as files. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.io.convert import AudioToDocumentStage
    from nemo_curator.stages.audio.io.extract_segments import SegmentExtractionStage

__all__ = ["AudioToDocumentStage", "SegmentExtractionStage"]

__getattr__ = lazy_names(__name__, {"AudioToDocumentStage": "convert", "SegmentExtractionStage": "extract_segments"})


def __dir__() -> list[str]:
    return sorted(__all__)
