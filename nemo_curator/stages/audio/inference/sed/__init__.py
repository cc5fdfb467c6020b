"""Which sounds are heard. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.inference.sed.adapter import SedAdapter, SoundEvent
    from nemo_curator.stages.audio.inference.sed.stage import SEDInferenceStage

__all__ = ["SEDInferenceStage", "SedAdapter", "SoundEvent"]

__getattr__ = lazy_names(
    __name__, {**dict.fromkeys(("SedAdapter", "SoundEvent"), "adapter"), "SEDInferenceStage": "stage"}
)


def __dir__() -> list[str]:
    return sorted(__all__)
