"""Stages that score images and leave some out. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.image.filters.aesthetic_filter import ImageAestheticFilterStage
    from nemo_curator.stages.image.filters.base import BaseFilterStage
    from nemo_curator.stages.image.filters.nsfw_filter import ImageNSFWFilterStage
    from nemo_curator.stages.image.filters.quality_filter import ImageQualityFilterStage
    from nemo_curator.stages.image.filters.text_filter import ImageTextFilterStage

_MODULES = {
    "BaseFilterStage": "base",
    "ImageAestheticFilterStage": "aesthetic_filter",
    "ImageNSFWFilterStage": "nsfw_filter",
    "ImageQualityFilterStage": "quality_filter",
    "ImageTextFilterStage": "text_filter",
}

__all__ = [
    "BaseFilterStage",
    "ImageAestheticFilterStage",
    "ImageNSFWFilterStage",
    "ImageQualityFilterStage",
    "ImageTextFilterStage",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
