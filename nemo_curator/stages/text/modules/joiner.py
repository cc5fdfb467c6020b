"""`DocumentJoiner`: puts the segments of documents together again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

__all__ = ["DocumentJoiner"]


@dataclass
class _Joined:
    """Segments that become one row: the rows they are in, their number in the document, and their length so far."""

    rows: list[int]
    number: int
    length: float


class DocumentJoiner(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Joins the rows of one document, in the order of their segment numbers, into one row.

    Other columns take the value of the first segment that went in. Documents keep the order in which they first appear, and
    rows are numbered anew. A row without a document id is a document of its own. Only rows of the same batch are joined.

    With a limit, as many segments in a row are joined as fit; a document then becomes several rows, numbered from 0. A single
    segment over the limit stays as it is.

    Args:
        separator: What to put between segments.
        text_field: Column of the text.
        segment_id_field: Column of the number of a segment in its document.
        document_id_field: Column of what the segments of a document have in common.
        drop_segment_id_field: Leave the column of segment numbers out.
        max_length: Highest length of a row, in the unit of `length_field`; a separator counts with its characters.
        length_field: Column of the length of a segment; becomes that of the row.
        name: Name of the stage.

    Raises:
        ValueError: One of `max_length` and `length_field` without the other.
    """

    outputs_are_complete = True

    def __init__(
        self,
        separator: str = "\n\n",
        text_field: str = "text",
        segment_id_field: str = "segment_id",
        document_id_field: str = "id",
        drop_segment_id_field: bool = True,
        max_length: int | None = None,
        length_field: str | None = None,
        name: str = "document_joiner",
    ) -> None:
        if (max_length is None) != (length_field is None):
            message = "max_length and length_field go together: give both or neither"
            raise ValueError(message)
        self.separator = separator
        self.text_field = text_field
        self.segment_id_field = segment_id_field
        self.document_id_field = document_id_field
        self.drop_segment_id_field = drop_segment_id_field
        self.max_length = max_length
        self.length_field = length_field
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of text, segment number and document, and of the length where there is a limit."""
        columns = [self.text_field, self.segment_id_field, self.document_id_field]
        return ["data"], columns if self.length_field is None else [*columns, self.length_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that are changed."""
        columns = [self.text_field]
        if not self.drop_segment_id_field:
            columns.append(self.segment_id_field)
        return ["data"], columns if self.length_field is None else [*columns, self.length_field]

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return a batch of joined rows; an empty one as it is."""
        rows = Rows(task)
        if not len(rows):
            return task
        texts = rows.texts(self.text_field, self.name)
        joined = [piece for document in self._documents(rows) for piece in self._pieces(rows, document)]
        rows.take([piece.rows[0] for piece in joined])
        rows.set_column(self.text_field, [self.separator.join(texts[row] for row in piece.rows) for piece in joined])
        if self.length_field is not None:
            rows.set_column(self.length_field, [piece.length for piece in joined])
        if self.drop_segment_id_field:
            rows.drop_column(self.segment_id_field)
        else:
            rows.set_column(self.segment_id_field, [piece.number for piece in joined])
        return rows.to_batch()

    def _documents(self, rows: Rows) -> list[list[int]]:
        """Return the rows of every document, in the order of their segments."""
        documents: dict[Any, list[int]] = {}
        for row, key in enumerate(rows.column(self.document_id_field)):
            missing = key is None or key != key
            documents.setdefault((row,) if missing else key, []).append(row)
        numbers = rows.column(self.segment_id_field)
        return [sorted(document, key=numbers.__getitem__) for document in documents.values()]

    def _pieces(self, rows: Rows, document: list[int]) -> Iterator[_Joined]:
        if self.length_field is None or self.max_length is None:
            yield _Joined(document, 0, 0)
            return
        lengths = rows.column(self.length_field)
        piece: _Joined | None = None
        for row in document:
            grown = 0 if piece is None else piece.length + lengths[row] + len(self.separator)
            if piece is not None and grown <= self.max_length:
                piece.rows.append(row)
                piece.length = grown
                continue
            if piece is not None:
                yield piece
            piece = _Joined([row], 0 if piece is None else piece.number + 1, lengths[row])
        if piece is not None:
            yield piece
