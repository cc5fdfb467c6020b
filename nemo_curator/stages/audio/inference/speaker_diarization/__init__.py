"""Who speaks when. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.inference.speaker_diarization.pyannote import PyannoteDiarizer
    from nemo_curator.stages.audio.inference.speaker_diarization.stages import (
        DiarizationStage,
        InferenceSortformerStage,
        PyAnnoteDiarizationStage,
    )

__all__ = ["DiarizationStage", "InferenceSortformerStage", "PyAnnoteDiarizationStage", "PyannoteDiarizer"]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("DiarizationStage", "InferenceSortformerStage", "PyAnnoteDiarizationStage"), "stages"),
        "PyannoteDiarizer": "pyannote",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
