"""`DocumentSplitter`: makes documents of the parts of documents."""

from __future__ import annotations

from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

__all__ = ["DocumentSplitter"]


class DocumentSplitter(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Cuts texts at a separator: one row for every segment, in order, with the other columns repeated.

    A text without the separator is one segment, and so is a missing text, which stays missing. Rows are numbered anew.

    Args:
        separator: Where to cut, taken literally.
        text_field: Column of the text, and of its segments.
        segment_id_field: Column for the number of the segment in its document, from 0.
        name: Name of the stage.
    """

    outputs_are_complete = True

    def __init__(
        self,
        separator: str,
        text_field: str = "text",
        segment_id_field: str = "segment_id",
        name: str = "document_splitter",
    ) -> None:
        if not separator:
            message = "the separator is empty"
            raise ValueError(message)
        self.separator = separator
        self.text_field = text_field
        self.segment_id_field = segment_id_field
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of segments and of their numbers."""
        return ["data"], [self.text_field, self.segment_id_field]

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return a batch with one row for every segment."""
        rows = Rows(task)
        parents: list[int] = []
        numbers: list[int] = []
        segments: list[Any] = []
        for row, text in enumerate(rows.texts(self.text_field, self.name, missing=None)):
            parts = [None] if text is None else text.split(self.separator)
            parents.extend([row] * len(parts))
            numbers.extend(range(len(parts)))
            segments.extend(parts)
        rows.take(parents)
        rows.set_column(self.text_field, segments)
        rows.set_column(self.segment_id_field, numbers)
        return rows.to_batch()
