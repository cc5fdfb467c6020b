"""Data for audio language models. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.alm.stages import ALMDataBuilderStage, ALMDataOverlapStage

__all__ = ["ALMDataBuilderStage", "ALMDataOverlapStage"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "stages"))


def __dir__() -> list[str]:
    return sorted(__all__)
