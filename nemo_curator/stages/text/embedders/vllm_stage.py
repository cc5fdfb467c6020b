"""`VLLMEmbeddingModelStage`: vectors of documents by vLLM, on a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.classifiers.stage import ModelStageBase, check_arguments, vectors
from nemo_curator.stages.text.models.base import EmbeddingModel
from nemo_curator.stages.text.models.batching import in_batches
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["VLLMEmbeddingModelStage", "VLLMModel"]


class VLLMModel(EmbeddingModel):
    """An embedding model that vLLM runs; it needs a GPU and the extra ``vllm``.

    Args:
        identifier: Name on the hub, or a folder.
        init_kwargs: More arguments for ``vllm.LLM``.
        pretokenize: Cut texts at the model's longest input before vLLM sees them, which refuses longer ones; else vLLM tokenizes, and cuts.
        verbose: Show vLLM's progress bars.
    """

    def __init__(
        self,
        identifier: str,
        init_kwargs: Mapping[str, Any] | None = None,
        *,
        pretokenize: bool = True,
        verbose: bool = False,
    ) -> None:
        self.identifier = identifier
        self.init_kwargs = dict(init_kwargs or {})
        self.pretokenize = pretokenize
        self.verbose = verbose

    def prepare(self) -> None:
        """Look whether vLLM is installed. It fetches the model itself when it is loaded, and shares it between the workers of a node."""
        require("vllm", extra="vllm", purpose=f"embedding with {self.identifier!r}")

    def _load(self) -> Any:
        self.prepare()
        import vllm  # pyright: ignore[reportMissingImports] - an extra

        return vllm.LLM(model=self.identifier, **{"runner": "pooling", **self.init_kwargs})

    @property
    def dimensions(self) -> int:
        """Length of a vector, as the model's configuration has it."""
        return int(self.model.llm_engine.model_config.get_hidden_size())

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Return a vector for every text."""
        import numpy as np

        sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        if self.pretokenize:
            limit = int(self.model.llm_engine.model_config.max_model_len)
            encoded = self.model.get_tokenizer()(sound, truncation=True, max_length=limit)["input_ids"]
            prompts: list[Any] = [{"prompt_token_ids": tokens} for tokens in encoded]
        else:
            prompts = list(sound)
        found = self.model.embed(prompts, use_tqdm=self.verbose)
        return np.array([each.outputs.embedding for each in found], dtype=np.float32)


class VLLMEmbeddingModelStage(ModelStageBase):
    """Writes a vector for every document: a column of fixed-size lists of floats. A blank or missing text has none (null).

    Args:
        model_identifier: Name on the hub, or a folder.
        vllm_init_kwargs: More arguments for ``vllm.LLM``.
        text_field: Column of the text.
        pretokenize: See `VLLMModel`.
        embedding_field: Column for the vectors.
        max_chars: How much of a text the model gets.
        cache_dir: Where the hub's downloads are kept.
        hf_token: Token of the hub.
        verbose: Show vLLM's progress bars.
        metadata_fields: Columns to keep beside the vectors; all by default.
        model_inference_batch_size: Texts that vLLM is given at a time; it makes batches of its own of them.
        embedding_output_dtype: ``float32``, or ``float16`` for half the size.
        name: Name of the stage.

    Raises:
        OptionError: A batch of less than one text, or another type of numbers.
    """

    resources = Resources(cpus=1.0, gpus=1.0)

    def __init__(
        self,
        model_identifier: str,
        vllm_init_kwargs: Mapping[str, Any] | None = None,
        text_field: str = "text",
        pretokenize: bool = True,
        embedding_field: str = "embeddings",
        max_chars: int | None = None,
        cache_dir: str | None = None,
        hf_token: str | None = None,
        verbose: bool = False,
        *,
        metadata_fields: Sequence[str] | None = None,
        model_inference_batch_size: int = 8192,
        embedding_output_dtype: Literal["float32", "float16"] = "float32",
        name: str = "vllm_embedding",
    ) -> None:
        check_arguments(None, model_inference_batch_size)
        if embedding_output_dtype not in {"float32", "float16"}:
            message = f"embedding_output_dtype must be 'float32' or 'float16', got {embedding_output_dtype!r}"
            raise OptionError(message)
        options = {"download_dir": cache_dir, "hf_token": hf_token}
        given = {name: value for name, value in options.items() if value is not None}
        self._model = VLLMModel(
            model_identifier, {**given, **(vllm_init_kwargs or {})}, pretokenize=pretokenize, verbose=verbose
        )
        self.text_field = text_field
        self.embedding_field = embedding_field
        self.max_chars = max_chars
        self.metadata_fields = None if metadata_fields is None else list(metadata_fields)
        self.model_inference_batch_size = model_inference_batch_size
        self.embedding_output_dtype = embedding_output_dtype
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text, and those that are to be kept."""
        return ["data"], list(dict.fromkeys([self.text_field, *(self.metadata_fields or [])]))

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column of vectors."""
        return ["data"], [self.embedding_field]

    def _apply(self, task: DocumentBatch, texts: list[str], asked: list[int]) -> DocumentBatch:
        import pyarrow as pa

        # vLLM sorts by itself.
        matrix = in_batches(
            self._model.embed, texts, self._model.dimensions, size=self.model_inference_batch_size, sort=False
        )
        column = vectors(matrix, asked, task.num_items)
        if self.embedding_output_dtype == "float16":
            column = column.cast(pa.list_(pa.float16(), matrix.shape[1]))
        batch = with_columns(task, {self.embedding_field: column})
        if self.metadata_fields is None:
            return batch
        rows = Rows(batch)
        for name in set(batch.get_columns()) - {*self.metadata_fields, self.embedding_field}:
            rows.drop_column(name)
        return rows.to_batch()
