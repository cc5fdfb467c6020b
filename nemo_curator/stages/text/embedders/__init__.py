"""Stages that embed documents. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.embedders.stage import EmbeddingCreatorStage, EmbeddingStage

__all__ = ["EmbeddingCreatorStage", "EmbeddingStage"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "stage"))


def __dir__() -> list[str]:
    return sorted(__all__)
