"""Stages that give every document a vector."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.classifiers.stage import ModelStageBase, check_arguments, vectors
from nemo_curator.stages.text.models.base import EmbeddingModel
from nemo_curator.stages.text.models.batching import in_batches
from nemo_curator.stages.text.models.onnx import OnnxEmbeddingModel, Pooling, check_pooling
from nemo_curator.stages.text.models.transformers import TransformersEmbeddingModel
from nemo_curator.stages.text.models.use import UniversalSentenceEncoder
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.tasks import DocumentBatch

__all__ = ["EmbeddingCreatorStage", "EmbeddingStage"]

_log = logging.getLogger(__name__)

_SHIPPED = "use-m3"


class EmbeddingStage(ModelStageBase):
    """Writes a vector for every document: a column of fixed-size lists of float32. A blank or missing text has none (null).

    Args:
        model: An `EmbeddingModel`; the multilingual one that a package ships by default.
        embedding_field: Column for the vectors.
        text_field: Column of the text.
        max_chars: How much of a text the model gets.
        sort_by_length: Put texts of like length into one batch of the model, so that it pads little.
        model_inference_batch_size: Texts in one batch of the model.
        name: Name of the stage.
    """

    def __init__(
        self,
        model: EmbeddingModel | None = None,
        embedding_field: str = "embeddings",
        *,
        text_field: str = "text",
        max_chars: int | None = None,
        sort_by_length: bool = True,
        model_inference_batch_size: int = 64,
        name: str = "embedding",
    ) -> None:
        check_arguments(None, model_inference_batch_size)
        self._model: EmbeddingModel = model or UniversalSentenceEncoder()
        self.embedding_field = embedding_field
        self.text_field = text_field
        self.max_chars = max_chars
        self.sort_by_length = sort_by_length
        self.model_inference_batch_size = model_inference_batch_size
        self.name = name

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column of vectors."""
        return ["data"], [self.embedding_field]

    def _apply(self, task: DocumentBatch, texts: list[str], asked: list[int]) -> DocumentBatch:
        size, sort = self.model_inference_batch_size, self.sort_by_length
        matrix = in_batches(self._model.embed, texts, self._model.dimensions, size=size, sort=sort)
        return with_columns(task, {self.embedding_field: vectors(matrix, asked, task.num_items)})


class EmbeddingCreatorStage(CompositeStage[DocumentBatch, DocumentBatch]):
    """Embeds documents with a model named by an identifier. It becomes one stage, which tokenizes, sorts by length and embeds.

    What the identifier means: ``use-m3`` is the model that a package ships (extra ``embeddings``), a path that ends in ``.onnx`` a
    graph with its ``tokenizer.json`` beside it (extra ``onnx``), anything else a folder of transformers or a name on the hub (extra
    ``torch``). Vectors have length 1.

    Args:
        model_identifier: The model.
        use_sentence_transformer: Pool as models of sentence-transformers mostly do, by the mean; `embedding_pooling` is then ignored.
        text_field: Column of the text.
        embedding_field: Column for the vectors.
        cache_dir: Where the hub's downloads are kept.
        max_chars: How much of a text the model gets.
        max_seq_length: Tokens that the model gets; its own limit by default.
        padding_side: Where short texts of a batch are filled up.
        embedding_pooling: What becomes of the vectors of tokens: ``mean_pooling`` or ``last_token``.
        model_inference_batch_size: Texts in one batch of the model.
        autocast: Compute in half precision where there is a GPU.
        sort_by_length: Put texts of like length into one batch of the model.
        hf_token: Token of the hub.
        transformers_init_kwargs: More arguments for ``from_pretrained``.
    """

    def __init__(
        self,
        *,
        model_identifier: str = "sentence-transformers/all-MiniLM-L6-v2",
        use_sentence_transformer: bool = True,
        text_field: str = "text",
        embedding_field: str = "embeddings",
        cache_dir: str | None = None,
        max_chars: int | None = None,
        max_seq_length: int | None = None,
        padding_side: str = "right",
        embedding_pooling: Pooling = "mean_pooling",
        model_inference_batch_size: int = 1024,
        autocast: bool = True,
        sort_by_length: bool = True,
        hf_token: str | None = None,
        transformers_init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_pooling(embedding_pooling)
        if use_sentence_transformer and embedding_pooling != "mean_pooling":
            _log.warning("use_sentence_transformer=True ignores embedding_pooling=%r", embedding_pooling)
        self.name = "embedding_creator"
        self.model_identifier = model_identifier
        self.use_sentence_transformer = use_sentence_transformer
        self.text_field = text_field
        self.embedding_field = embedding_field
        self.cache_dir = cache_dir
        self.max_chars = max_chars
        self.max_seq_length = max_seq_length
        self.padding_side = padding_side
        self.embedding_pooling: Pooling = embedding_pooling
        self.model_inference_batch_size = model_inference_batch_size
        self.autocast = autocast
        self.sort_by_length = sort_by_length
        self.hf_token = hf_token
        self.transformers_init_kwargs = dict(transformers_init_kwargs or {})

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the one stage."""
        stage = EmbeddingStage(
            self._embedding_model(),
            self.embedding_field,
            text_field=self.text_field,
            max_chars=self.max_chars,
            sort_by_length=self.sort_by_length,
            model_inference_batch_size=self.model_inference_batch_size,
            name="embedding_creator_model",
        )
        return [stage]

    def _embedding_model(self) -> EmbeddingModel:
        if self.model_identifier == _SHIPPED:
            return UniversalSentenceEncoder()
        pooling: Pooling = "mean_pooling" if self.use_sentence_transformer else self.embedding_pooling
        if Path(self.model_identifier).suffix == ".onnx":
            return OnnxEmbeddingModel(self.model_identifier, pooling=pooling, max_tokens=self.max_seq_length or 512)
        return TransformersEmbeddingModel(
            self.model_identifier,
            pooling=pooling,
            cache_dir=self.cache_dir,
            hf_token=self.hf_token,
            max_tokens=self.max_seq_length,
            padding_side=self.padding_side,
            autocast=self.autocast,
            init_kwargs=self.transformers_init_kwargs,
        )
