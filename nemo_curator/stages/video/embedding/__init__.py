"""Embed clips. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.embedding.clip_embedding import ClipEmbeddingStage
    from nemo_curator.stages.video.embedding.cosmos_embed1 import (
        CosmosEmbed1EmbeddingStage,
        CosmosEmbed1FrameCreationStage,
    )

__all__ = ["ClipEmbeddingStage", "CosmosEmbed1EmbeddingStage", "CosmosEmbed1FrameCreationStage"]

__getattr__ = lazy_names(
    __name__, {name: "cosmos_embed1" if name.startswith("Cosmos") else "clip_embedding" for name in __all__}
)


def __dir__() -> list[str]:
    return sorted(__all__)
