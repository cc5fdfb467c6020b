"""Stages that embed images. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.image.embedders.clip_embedder import ImageEmbeddingStage

__all__ = ["ImageEmbeddingStage"]

__getattr__ = lazy_names(__name__, {"ImageEmbeddingStage": "clip_embedder"})


def __dir__() -> list[str]:
    return sorted(__all__)
