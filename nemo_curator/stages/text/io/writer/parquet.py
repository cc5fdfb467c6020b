"""Documents as Parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetWriter"]


@dataclass
class ParquetWriter(BaseWriter):
    """Write Parquet.

    ``write_kwargs``: arguments of `pyarrow.parquet.write_table` (``compression``, ``row_group_size``, ...), ``index`` and
    ``schema`` as in `pandas.DataFrame.to_parquet`, and ``storage_options`` for fsspec. A frame's index is written if it has a
    name; the row numbers that filters leave behind are not data.
    """

    file_extension: str = "parquet"
    name: str = "parquet_writer"

    def __post_init__(self) -> None:
        super().__post_init__()
        options = self.write_kwargs
        if options.get("partition_cols"):
            message = (
                f"stage {self.name!r}: partition_cols would make several files of a batch, which cannot appear at once; "
                "write one folder for each value with a filter before each writer"
            )
            raise OptionError(message)
        if options.get("engine", "auto") not in {"auto", "pyarrow"}:
            message = f"stage {self.name!r} writes with pyarrow; engine={options['engine']!r} is not possible"
            raise OptionError(message)

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        """Write the batch to `file_path`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        ours = {"storage_options", "engine", "partition_cols", "index", "schema"}
        options = {key: value for key, value in self.write_kwargs.items() if key not in ours}
        try:
            table = self._table(self.select_fields(task))
            with self.open_output(file_path) as handle:
                pq.write_table(table, handle, **options)
        except UnicodeEncodeError as error:
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} has text with half of a surrogate pair (\\ud800 to \\udfff), "
                "which no Parquet file can hold. Put Modify(UnicodeReformatter()) before it, which mends such text"
            )
            raise DataError(message) from error
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} has values that Parquet cannot hold: {error}. "
                "Make every column of one type, leave some out with fields=[...], or write JSON Lines"
            )
            raise DataError(message) from error

    def _table(self, data: Any) -> pa.Table:
        import pyarrow as pa

        schema = self.write_kwargs.get("schema")
        if isinstance(data, pa.Table):
            return data if schema is None else data.cast(schema)
        index = self.write_kwargs.get("index")
        named = any(name is not None for name in data.index.names)
        return pa.Table.from_pandas(data, schema=schema, preserve_index=named if index is None else index)
