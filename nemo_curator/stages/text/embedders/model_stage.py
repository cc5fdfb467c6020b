"""`EmbeddingModelStage`: vectors of documents whose tokens `TokenizerStage` has written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.stages.text.classifiers.stage import vectors
from nemo_curator.stages.text.models.model import ModelStage
from nemo_curator.stages.text.models.onnx import Pooling, check_pooling, pool
from nemo_curator.stages.text.models.utils import format_name_with_suffix

if TYPE_CHECKING:
    import pandas as pd

    from nemo_curator.stages.text.models.onnx import Numbers

__all__ = ["EmbeddingModelStage"]


class EmbeddingModelStage(ModelStage):
    """Pools a model's vectors of tokens to one of length 1 for each text: a fixed-size list of float32.

    `EmbeddingCreatorStage` does both steps in one. Take this one where tokens are made once for several models.

    Args:
        model_identifier: See `ModelStage`.
        embedding_field: Column for the vectors.
        pooling: ``mean_pooling``, ``last_token`` or ``first_token``.
        hf_token: For models that need an agreement.
        model_inference_batch_size: Texts in one batch of the model.
        has_seq_order: Whether rows were sorted.
        padding_side: Where short texts of a batch are filled up.
        autocast: Compute in half precision where there is a GPU.
        cache_dir: Where the hub's downloads are kept.
        keep_tokens: Leave the columns of tokens in the result.
        name: Name of the stage; by default after the model.
    """

    outputs_are_complete = True

    def __init__(
        self,
        model_identifier: str,
        embedding_field: str = "embeddings",
        pooling: Pooling = "mean_pooling",
        hf_token: str | None = None,
        model_inference_batch_size: int = 1024,
        has_seq_order: bool = True,
        padding_side: Literal["left", "right"] = "right",
        autocast: bool = True,
        cache_dir: str | None = None,
        *,
        keep_tokens: bool = False,
        name: str | None = None,
    ) -> None:
        check_pooling(pooling)
        super().__init__(
            model_identifier,
            cache_dir=cache_dir,
            hf_token=hf_token,
            model_inference_batch_size=model_inference_batch_size,
            has_seq_order=has_seq_order,
            padding_side=padding_side,
            autocast=autocast,
            keep_tokens=keep_tokens,
            name=name or format_name_with_suffix(model_identifier, suffix="_embedding_model"),
        )
        self.embedding_field = embedding_field
        self.pooling: Pooling = pooling

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column of vectors."""
        return ["data"], [self.embedding_field]

    def process_model_output(
        self, outputs: Any, model_input_batch: Mapping[str, Numbers] | None = None
    ) -> dict[str, Numbers]:
        """Return the vectors of the texts of one batch, float32."""
        import numpy as np

        assert model_input_batch is not None
        found = outputs.last_hidden_state.float().cpu().numpy() if hasattr(outputs, "last_hidden_state") else outputs
        if found.ndim == 3:
            found = pool(found, model_input_batch["attention_mask"], self.pooling)
        length = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return {self.embedding_field: (found / length).astype(np.float32)}

    def create_output_dataframe(self, df_cpu: pd.DataFrame, collected_output: Mapping[str, Numbers]) -> pd.DataFrame:
        """Return the rows with their vectors."""
        import pandas as pd

        column = vectors(collected_output[self.embedding_field], range(len(df_cpu)), len(df_cpu))
        series = pd.Series(pd.arrays.ArrowExtensionArray(column), index=df_cpu.index)  # pyright: ignore[reportArgumentType] - stubs lag
        return df_cpu.assign(**{self.embedding_field: series})
