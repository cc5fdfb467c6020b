"""What is done to results. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.postprocessing.timestamp_mapper import TimestampMapperStage

__all__ = ["TimestampMapperStage"]

__getattr__ = lazy_names(__name__, {"TimestampMapperStage": "timestamp_mapper"})


def __dir__() -> list[str]:
    return sorted(__all__)
