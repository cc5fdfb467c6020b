"""`ConvertImageBatchToDocumentBatchStage`: what is known of images, as rows."""

from __future__ import annotations

from collections.abc import Sequence

from nemo_curator.errors import require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io.columns import check_fields, image_table
from nemo_curator.tasks import DocumentBatch, ImageBatch

__all__ = ["ConvertImageBatchToDocumentBatchStage"]


class ConvertImageBatchToDocumentBatchStage(ProcessingStage[ImageBatch, DocumentBatch]):
    """Makes a row of every image, for `ParquetWriter` and for deduplication. Pixels stay behind.

    Args:
        fields: Attributes of images (``image_id``, ``image_path``, ``embedding``, ``nsfw_score``, ``aesthetic_score``, ``metadata`` as JSON), or
            keys of their metadata, each a column; ``image_id`` alone by default.
        name: Name of the stage.

    Raises:
        OptionError: ``image_data`` is among the fields, or one is named twice.
    """

    outputs_are_complete = True

    def __init__(
        self, fields: Sequence[str] | None = None, name: str = "convert_image_batch_to_document_batch"
    ) -> None:
        self.name = name
        self.fields = check_fields(fields or ["image_id"], name)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns."""
        return ["data"], self.fields

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if pyarrow or NumPy is not installed."""
        for package in ("numpy", "pyarrow"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def process(self, task: ImageBatch) -> DocumentBatch:
        """Return the rows.

        Raises:
            DataError: Embeddings have different lengths, or values of a key different types.
        """
        where = f"stage {self.name!r}: task {task.task_id or task.dataset_name}"
        return DocumentBatch(task.dataset_name, image_table(task.data, self.fields, where))
