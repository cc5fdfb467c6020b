"""Finding and leaving out images that are there more than once. Importing this package imports none of its libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.image.deduplication.perceptual import (
        FindPerceptualDuplicates,
        PerceptualDuplicateIdentification,
        PerceptualHashStage,
    )
    from nemo_curator.stages.image.deduplication.removal import ImageDuplicatesRemovalStage

_MODULES = {
    "FindPerceptualDuplicates": "perceptual",
    "ImageDuplicatesRemovalStage": "removal",
    "PerceptualDuplicateIdentification": "perceptual",
    "PerceptualHashStage": "perceptual",
}

__all__ = [
    "FindPerceptualDuplicates",
    "ImageDuplicatesRemovalStage",
    "PerceptualDuplicateIdentification",
    "PerceptualHashStage",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
