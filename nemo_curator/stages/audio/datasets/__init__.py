"""Published data sets as audio entries. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.datasets.fleurs import CreateInitialManifestFleursStage
    from nemo_curator.stages.audio.datasets.readspeech import CreateInitialManifestReadSpeechStage

__all__ = ["CreateInitialManifestFleursStage", "CreateInitialManifestReadSpeechStage"]

__getattr__ = lazy_names(
    __name__,
    {"CreateInitialManifestFleursStage": "fleurs", "CreateInitialManifestReadSpeechStage": "readspeech"},
)


def __dir__() -> list[str]:
    return sorted(__all__)
