"""The columns of documents that deduplication looks at, checked once: text is text, every document has an id, and no two the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.document import is_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_functions", "id_column", "one_column", "text_column"]


def arrow_functions() -> Any:
    """Return `pyarrow.compute`, whose functions are made when it is imported, so that no type checker knows them."""
    import pyarrow.compute

    return pyarrow.compute


def text_column(task: DocumentBatch, field: str, stage: str, *, normalize: bool = False) -> pa.LargeStringArray:
    """Return the texts as one array; missing ones stay missing.

    Args:
        task: The documents.
        field: The column.
        stage: Name of the stage, for messages.
        normalize: Make texts lower case, and every run of white space one space, with none at the ends.

    Raises:
        DataError: There is no such column, or it is not text.
    """
    import pyarrow as pa

    column = one_column(task, field, stage)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.large_string())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (
        pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type)
    ):
        message = (
            f"stage {stage!r}: column {field!r} of task {_name(task)} is of type {column.type}, but text is wanted. "
            "Name the column with text_field, or make it text"
        )
        raise DataError(message)
    texts = column.cast(pa.large_string())
    if normalize:
        values = (None if text is None else " ".join(text.lower().split()) for text in texts.to_pylist())
        texts = pa.array(values, pa.large_string())
    return texts


def id_column(task: DocumentBatch, field: str, stage: str) -> pa.Array:
    """Return the ids as one array of int64 or large_string.

    Raises:
        DataError: There is no such column, an id is missing or there twice, or they are neither whole numbers nor text.
    """
    import pyarrow as pa

    pc = arrow_functions()

    column = one_column(task, field, stage)
    head = f"stage {stage!r}: column {field!r} of task {_name(task)}"
    if column.null_count:
        message = f"{head} has no id for {column.null_count} of {len(column)} documents. Give every document an id, or let ids be assigned"
        raise DataError(message)
    if pa.types.is_integer(column.type):
        wanted = pa.int64()
    elif (
        pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type)
    ):
        wanted = pa.large_string()
    else:
        message = f"{head} is of type {column.type}, but ids are whole numbers or text. Name another column, or let ids be assigned"
        raise DataError(message)
    try:
        ids = column.cast(wanted)
    except pa.ArrowInvalid as error:
        message = f"{head} has ids that do not fit 64 bits: {error}. Make them text, or let ids be assigned"
        raise DataError(message) from error
    if len(pc.unique(ids)) != len(ids):
        counts = pc.value_counts(ids).flatten()
        first = counts[0].filter(pc.greater(counts[1], 1))[0]
        message = f"{head} has the id {first.as_py()!r} more than once. Removing one document would remove the other: make ids unique"
        raise DataError(message)
    return ids


def one_column(task: DocumentBatch, field: str, stage: str) -> pa.Array:
    """Return a column as one array.

    Raises:
        DataError: There is no such column, or its values are of different kinds.
    """
    import pyarrow as pa

    there = task.get_columns()
    if field not in there:
        message = f"stage {stage!r}: task {_name(task)} has no column {field!r}; it has: {', '.join(there) or 'none'}"
        raise DataError(message)
    data: Any = task.data
    if is_table(data):
        return _in_one(data.column(field))
    try:
        # Missing values of a frame are NaN in a column of objects.
        column = pa.array(data[field], from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = f"stage {stage!r}: column {field!r} of task {_name(task)} has values of different kinds: {error}. Make them one kind"
        raise DataError(message) from error
    return _in_one(column)


def _in_one(column: Any) -> pa.Array:
    """Return an array in one piece, of text with wide offsets: two gigabytes of text do not fit others."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _name(task: DocumentBatch) -> str:
    return task.task_id or task.dataset_name
