"""Columns of a fixed type for a batch: typed even where a batch has no value for them, so that all batches keep one schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.document import is_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["with_columns"]


def with_columns(batch: DocumentBatch, columns: Mapping[str, pa.Array]) -> DocumentBatch:
    """Return a new batch with these columns added or replaced, one value a row. A table stays a table, a frame a frame.

    In a frame strings and numbers become pandas' own kinds, with NaN for what is missing; nested types (lists, structs) stay Arrow
    columns (`pandas.ArrowDtype`), which Parquet gets back as they were.
    """
    data = batch.data
    new = _table(data, columns) if is_table(data) else _frame(batch.to_pandas(), columns)
    return DocumentBatch(dataset_name=batch.dataset_name, data=new)


def _table(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    for name, column in columns.items():
        at = table.schema.get_field_index(name)
        table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
    return table


def _frame(frame: pd.DataFrame, columns: Mapping[str, pa.Array]) -> pd.DataFrame:
    # A shallow copy shares the columns; setting one of them leaves the original alone.
    new = frame.copy(deep=False)
    for name, column in columns.items():
        new[name] = _series(column, new.index)
    return new


def _series(column: pa.Array, index: Any) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        return pd.Series(pd.arrays.ArrowExtensionArray(column), index=index)  # pyright: ignore[reportArgumentType] - stubs lag
    if pa.types.is_string(column.type):
        all_missing = column.null_count == len(column)
        return pd.Series(column.to_pylist(), index=index, dtype="string" if all_missing else None)
    return pd.Series(column.to_numpy(zero_copy_only=False), index=index)
