"""Stages that embed documents. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.embedders.model_stage import EmbeddingModelStage
    from nemo_curator.stages.text.embedders.stage import EmbeddingCreatorStage, EmbeddingStage
    from nemo_curator.stages.text.embedders.vllm_stage import VLLMEmbeddingModelStage

__all__ = ["EmbeddingCreatorStage", "EmbeddingModelStage", "EmbeddingStage", "VLLMEmbeddingModelStage"]

_MODULES = {"EmbeddingModelStage": "model_stage", "VLLMEmbeddingModelStage": "vllm_stage"}

__getattr__ = lazy_names(__name__, {name: _MODULES.get(name, "stage") for name in __all__})


def __dir__() -> list[str]:
    return sorted(__all__)
