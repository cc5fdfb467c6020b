"""Have models describe clips. Importing this package imports no decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.caption.caption_enhancement import CaptionEnhancementStage
    from nemo_curator.stages.video.caption.caption_generation import CaptionGenerationStage
    from nemo_curator.stages.video.caption.caption_preparation import CaptionPreparationStage

__all__ = ["CaptionEnhancementStage", "CaptionGenerationStage", "CaptionPreparationStage"]

__getattr__ = lazy_names(
    __name__,
    {
        "CaptionEnhancementStage": "caption_enhancement",
        "CaptionGenerationStage": "caption_generation",
        "CaptionPreparationStage": "caption_preparation",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
