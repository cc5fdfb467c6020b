"""Models that stages ask about texts: what they have in common, and one module for each library that runs them.

Importing this package imports none of the libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import EmbeddingModel, LabelModel, ModelHandle
    from nemo_curator.stages.text.models.fasttext import FastTextModel
    from nemo_curator.stages.text.models.linear import LinearModel, train_linear_model
    from nemo_curator.stages.text.models.model import ModelStage
    from nemo_curator.stages.text.models.onnx import OnnxEmbeddingModel, OnnxLabelModel
    from nemo_curator.stages.text.models.sklearn import ProfanityModel, SkopsModel
    from nemo_curator.stages.text.models.tokenizer import TokenizerStage
    from nemo_curator.stages.text.models.transformers import TransformersEmbeddingModel, TransformersLabelModel
    from nemo_curator.stages.text.models.use import UniversalSentenceEncoder
    from nemo_curator.stages.text.models.utils import format_name_with_suffix

_MODULES = {
    "EmbeddingModel": "base",
    "FastTextModel": "fasttext",
    "LabelModel": "base",
    "LinearModel": "linear",
    "ModelHandle": "base",
    "ModelStage": "model",
    "OnnxEmbeddingModel": "onnx",
    "OnnxLabelModel": "onnx",
    "ProfanityModel": "sklearn",
    "SkopsModel": "sklearn",
    "TokenizerStage": "tokenizer",
    "TransformersEmbeddingModel": "transformers",
    "TransformersLabelModel": "transformers",
    "UniversalSentenceEncoder": "use",
    "format_name_with_suffix": "utils",
    "train_linear_model": "linear",
}

__all__ = [
    "EmbeddingModel",
    "FastTextModel",
    "LabelModel",
    "LinearModel",
    "ModelHandle",
    "ModelStage",
    "OnnxEmbeddingModel",
    "OnnxLabelModel",
    "ProfanityModel",
    "SkopsModel",
    "TokenizerStage",
    "TransformersEmbeddingModel",
    "TransformersLabelModel",
    "UniversalSentenceEncoder",
    "format_name_with_suffix",
    "train_linear_model",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
