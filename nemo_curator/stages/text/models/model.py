"""`ModelStage`: runs a model on what `TokenizerStage` has made of texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.models.base import digest_of_file
from nemo_curator.stages.text.models.onnx import Graph, open_graph, padded
from nemo_curator.stages.text.models.tokenizer import (
    ATTENTION_MASK_FIELD,
    INPUT_IDS_FIELD,
    SEQ_ORDER_FIELD,
    check_padding_side,
)
from nemo_curator.stages.text.models.transformers import TransformersEmbeddingModel
from nemo_curator.stages.text.models.utils import format_name_with_suffix
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    import pandas as pd

    from nemo_curator.stages.text.models.onnx import Numbers

__all__ = ["ModelStage"]


class ModelStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Runs a model on batches of tokens, in the order in which they come, and puts the rows back in theirs.

    A subclass says what becomes of the model's output: `process_model_output` for one batch of the model, `create_output_dataframe` for
    all rows of a task. It may also load a model of its own in `_setup`. The columns of tokens are left out of the result. The rows of a
    task are in the batches of that task alone, so that a result never depends on which tasks a worker was given.

    By default it runs on the CPU: ``with_(resources=Resources(cpus=1, gpus=1))`` says otherwise.

    Args:
        model_identifier: An ONNX graph (``.onnx``, extra ``onnx``), a folder of transformers, or a name on the hub (extra ``torch``).
        cache_dir: Where the hub's downloads are kept.
        hf_token: For models that need an agreement.
        model_inference_batch_size: Texts in one batch of the model.
        has_seq_order: Whether rows were sorted: they are put back by the column ``_curator_seq_order``.
        padding_side: Where short texts of a batch are filled up.
        unpack_inference_batch: Call the model with arrays by name, instead of with one mapping.
        autocast: Compute in half precision where there is a GPU.
        keep_tokens: Leave the columns of tokens in the result.
        name: Name of the stage; by default after the model.

    Attributes:
        model: What `_setup` has loaded: called with ``input_ids`` and ``attention_mask``, int64 of shape ``(texts, tokens)``.

    Raises:
        OptionError: A batch of less than one text, another side than left or right.
    """

    model: Any = None

    def __init__(
        self,
        model_identifier: str,
        cache_dir: str | None = None,
        hf_token: str | None = None,
        model_inference_batch_size: int = 256,
        has_seq_order: bool = True,
        padding_side: Literal["left", "right"] = "right",
        unpack_inference_batch: bool = False,
        autocast: bool = True,
        *,
        keep_tokens: bool = False,
        name: str | None = None,
    ) -> None:
        check_padding_side(padding_side)
        if model_inference_batch_size < 1:
            message = f"model_inference_batch_size must be 1 or more, got {model_inference_batch_size}"
            raise OptionError(message)
        self.model_identifier = str(model_identifier)
        self.cache_dir = cache_dir
        self.hf_token = hf_token
        self.model_inference_batch_size = model_inference_batch_size
        self.has_seq_order = has_seq_order
        self.padding_side = padding_side
        self.unpack_inference_batch = unpack_inference_batch
        self.autocast = autocast
        self.keep_tokens = keep_tokens
        self.name = name or format_name_with_suffix(self.model_identifier, suffix="_model")
        self.digest = digest_of_file(self.model_identifier) if Path(self.model_identifier).is_file() else None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "model"}

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that `TokenizerStage` writes."""
        order = [SEQ_ORDER_FIELD] if self.has_seq_order else []
        return ["data"], [INPUT_IDS_FIELD, ATTENTION_MASK_FIELD, *order]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model once, so that it is on this node, and let it go."""
        self._setup(local_files_only=False)
        self._forget()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model from this node's disk."""
        self._setup(local_files_only=True)

    def teardown(self) -> None:
        """Let the model go."""
        self._forget()

    def _forget(self) -> None:
        if "model" in vars(self):
            del self.model

    def _setup(self, local_files_only: bool = True) -> None:
        """Set `model`. A subclass that loads another one overrides this; it may be a module of torch, which then gets tensors.

        Args:
            local_files_only: Download nothing: `setup_on_node` has done it.
        """
        if self.model_identifier.endswith(".onnx"):
            self.model = open_graph(self.model_identifier)
            return
        options = {"local_files_only": local_files_only}
        loader = TransformersEmbeddingModel(
            self.model_identifier, cache_dir=self.cache_dir, hf_token=self.hf_token, init_kwargs=options
        )
        self.model = loader.load_network("AutoModel")

    @abstractmethod
    def process_model_output(
        self, outputs: Any, model_input_batch: Mapping[str, Numbers] | None = None
    ) -> dict[str, Numbers]:
        """Return arrays by name, with one entry for every text of the batch.

        Args:
            outputs: What the model has returned for one batch.
            model_input_batch: What it was given.
        """

    @abstractmethod
    def create_output_dataframe(self, df_cpu: pd.DataFrame, collected_output: Mapping[str, Numbers]) -> pd.DataFrame:
        """Return the rows with what the model says about them.

        Args:
            df_cpu: The rows of a task, without the columns of tokens, in the order of the output.
            collected_output: What `process_model_output` has returned, batches put together.
        """

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with what the subclass makes of the model's output; a batch without rows only loses the tokens.

        Raises:
            DataError: The subclass returned another number of entries than texts, or tokens and mask do not fit.
        """
        import numpy as np

        frame = task.to_pandas()
        if self.model is None:
            self.setup()
        rows = _tokens(frame[INPUT_IDS_FIELD], frame[ATTENTION_MASK_FIELD], self.name)
        parts = [self.process_model_output(self._call(batch), batch) for batch in self._batches(rows)]
        dropped = [] if self.keep_tokens else [INPUT_IDS_FIELD, ATTENTION_MASK_FIELD]
        kept = frame.drop(columns=dropped)
        if parts:
            collected = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            self._check(collected, len(frame))
            kept = self.create_output_dataframe(kept, collected)
        if self.has_seq_order:
            kept = kept.sort_values(SEQ_ORDER_FIELD, ignore_index=True).drop(columns=[SEQ_ORDER_FIELD])
        return DocumentBatch(dataset_name=task.dataset_name, data=kept)

    def _batches(self, rows: list[Numbers]) -> Iterator[dict[str, Numbers]]:
        for start in range(0, len(rows), self.model_inference_batch_size):
            yield padded(rows[start : start + self.model_inference_batch_size], self.padding_side)

    def _call(self, batch: Mapping[str, Numbers]) -> Any:
        if isinstance(self.model, Graph):
            return self.model(batch)
        if not hasattr(self.model, "parameters"):
            return self.model(**batch) if self.unpack_inference_batch else self.model(batch)
        import torch  # pyright: ignore[reportMissingImports] - an extra

        device = next(self.model.parameters()).device
        tensors = {name: torch.from_numpy(numbers).to(device) for name, numbers in batch.items()}
        with torch.inference_mode(), torch.autocast(device.type, enabled=self.autocast and device.type == "cuda"):
            # Those of transformers know no other way.
            by_name = self.unpack_inference_batch or hasattr(self.model, "from_pretrained")
            return self.model(**tensors) if by_name else self.model(tensors)

    def _check(self, collected: Mapping[str, Numbers], rows: int) -> None:
        for name, numbers in collected.items():
            if len(numbers) != rows:
                message = f"stage {self.name!r}: process_model_output gave {len(numbers)} entries of {name!r} for {rows} texts; it must give one for each"
                raise DataError(message)


def _tokens(ids: pd.Series[Any], masks: pd.Series[Any], stage: str) -> list[Numbers]:
    """Return the tokens of every row that its mask lets pass: what was filled up before is filled up anew."""
    import numpy as np

    rows: list[Numbers] = []
    for tokens, mask in zip(ids, masks, strict=True):
        numbers, kept = np.asarray(tokens, dtype=np.int64), np.asarray(mask, dtype=bool)
        if numbers.shape != kept.shape:
            message = f"stage {stage!r}: a row has {len(numbers)} tokens and a mask of {len(kept)}"
            raise DataError(message)
        rows.append(numbers[kept])
    return rows
