"""Documents as JSON Lines files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.compression import compressed_writer, known_method, suffix_for

__all__ = ["JsonlWriter"]

_DEFAULTS = {"lines": True, "orient": "records", "force_ascii": False}


@dataclass
class JsonlWriter(BaseWriter):
    """Write JSON Lines: one object a row, in UTF-8, numbers in full precision.

    ``write_kwargs``: ``compression`` (``"gzip"``, ``"bz2"``, ``"xz"``, ``"zstd"`` or ``"lz4"``; file names get its suffix),
    ``storage_options`` for fsspec, and arguments of `pandas.DataFrame.to_json`, which then writes the rows. Without those,
    dates and times are written in ISO 8601, NaN and infinity as null, and a value that JSON has no word for is an error.
    """

    file_extension: str = "jsonl"
    name: str = "jsonl_writer"

    def __post_init__(self) -> None:
        super().__post_init__()
        compression: Any = self.write_kwargs.get("compression")
        try:
            self._compression = None if compression in {None, "infer"} else known_method(compression)
        except (TypeError, ValueError) as error:
            message = f"stage {self.name!r}: {error}"
            raise OptionError(message) from error

    def get_compression_suffix(self) -> str:
        """Return ``.gz`` and the like."""
        return suffix_for(self._compression)

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        """Write the batch to `file_path`."""
        data = self.select_fields(task)
        with self.open_output(file_path) as raw, compressed_writer(raw, self._compression) as handle:
            handle.writelines(self._lines(data, task))

    def _lines(self, data: Any, task: DocumentBatch) -> Iterable[bytes]:
        from nemo_curator.stages.text.io.writer.jsonl_lines import encode_rows

        options = {**_DEFAULTS, **self.write_kwargs}
        options.pop("compression", None)
        options.pop("storage_options", None)
        try:
            if options != _DEFAULTS:
                frame = data if hasattr(data, "iloc") else data.to_pandas()
                return [frame.to_json(None, **options).encode()]
            columns, missing = _columns(data)
            return encode_rows(columns, missing) if columns else [b"{}\n"] * task.num_items
        except (OverflowError, TypeError, ValueError) as error:
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} cannot be written as JSON: {error}. Turn such "
                "values into text or numbers before, leave columns out with fields=[...], or write Parquet"
            )
            raise DataError(message) from error


def _columns(data: Any) -> tuple[dict[str, list[Any]], object]:
    """Return the values by column name, and what stands for a missing one."""
    if not hasattr(data, "iloc"):
        return {name: data[name].to_pylist() for name in data.column_names}, None
    import pandas as pd
    import pyarrow as pa

    def values(column: Any) -> list[Any]:
        # pandas takes five times as long for columns of Arrow types, going through its own scalars.
        return pa.array(column.array).to_pylist() if isinstance(column.dtype, pd.ArrowDtype) else column.tolist()

    return {str(name): values(data[name]) for name in data.columns}, pd.NA
