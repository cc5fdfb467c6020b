"""Parquet files as documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from nemo_curator.errors import DataError
from nemo_curator.stages.text.io.reader.base import BaseReader, FileReader
from nemo_curator.stages.text.io.reader.source import how_to_read, looks_like, open_file, raise_unreadable
from nemo_curator.utils.file_utils import FILETYPE_TO_DEFAULT_EXTENSIONS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ParquetReader", "ParquetReaderStage"]


@dataclass
class ParquetReaderStage(BaseReader):
    """Read a group of Parquet files into a frame whose columns keep their Arrow types.

    `read_kwargs` are those of `pandas.read_parquet`; ``engine="pyarrow"`` and ``dtype_backend="pyarrow"`` unless given.
    """

    name: str = "parquet_reader"

    def read_file(self, path: str) -> pd.DataFrame:
        """Return the rows of one file.

        Raises:
            InputError: It is gone or may not be read.
            DataError: It is not a Parquet file, damaged, or lacks a column of `fields`.
        """
        import pandas as pd

        return self._read(path, pd.read_parquet)

    def can_split(self) -> bool:
        """Say whether the options are those of reading row groups: another engine's, or filters, are not."""
        fixed = {self.read_kwargs.get(name, "pyarrow") for name in ("engine", "dtype_backend")}
        others = set(self.read_kwargs) - {"engine", "columns", "use_threads", "storage_options", "dtype_backend"}
        return fixed == {"pyarrow"} and not others

    def read_part(self, path: str, start: int, stop: int) -> pd.DataFrame:
        """Return the rows of the row groups that begin in a part of a file; raises what `read_file` raises."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        def read(source: pa.NativeFile, *, columns: list[str] | None, use_threads: bool, **_: Any) -> pd.DataFrame:
            file = pq.ParquetFile(source)
            metadata = file.metadata
            ours = [n for n in range(file.num_row_groups) if start <= _beginning(metadata.row_group(n)) < stop]
            table = file.read_row_groups(ours, columns=columns, use_threads=use_threads, use_pandas_metadata=True)
            if not set(columns or ()) <= set(table.column_names):
                message = "a column is missing"
                raise pa.ArrowInvalid(message)
            return table.to_pandas(types_mapper=pd.ArrowDtype)

        return self._read(path, read)

    def count_file(self, path: str) -> int:
        """Return the number of rows that the footer states, unless options may leave some out."""
        return self._footer_rows(path, 0, None) if self.can_split() else super().count_file(path)

    def count_part(self, path: str, start: int, stop: int) -> int:
        """Return the number of rows of the row groups that begin in a part of a file."""
        return self._footer_rows(path, start, stop)

    def _footer_rows(self, path: str, start: int, stop: int | None) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with open_file(path, stage=self.name, storage_options=self.read_kwargs.get("storage_options")) as source:
            try:
                metadata = pq.ParquetFile(source).metadata
            except (pa.ArrowException, OSError) as error:
                self._explain(path, source, None, error)
        groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        return sum(group.num_rows for group in groups if stop is None or start <= _beginning(group) < stop)

    def _read(self, path: str, read: Callable[..., pd.DataFrame]) -> pd.DataFrame:
        import pyarrow as pa

        options = {"engine": "pyarrow", "dtype_backend": "pyarrow", "columns": self.fields, **self.read_kwargs}
        storage_options = options.pop("storage_options", None)
        if options["engine"] == "pyarrow":
            options.setdefault("use_threads", self.resources.cpus > 1)
        with open_file(path, stage=self.name, storage_options=storage_options) as source:
            try:
                frame = read(source, **options)
            except (pa.ArrowException, OSError) as error:
                self._explain(path, source, options["columns"], error)
        named_index = [str(name) for name in frame.index.names if name is not None]
        frame = frame.reset_index(drop=not named_index)
        columns: list[str] | None = options["columns"]
        return frame if columns is None else frame[list(columns)]

    def _explain(self, path: str, source: pa.NativeFile, columns: list[str] | None, error: Exception) -> NoReturn:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if isinstance(error, OSError) and error.errno is not None:
            raise_unreadable(path, error, self.name)
        source.seek(0)
        head = source.read(8)
        try:
            source.seek(0)
            there = pq.read_schema(source).names
        except (pa.ArrowException, OSError):
            message = f"stage {self.name!r}: {path} {_why_not_parquet(head)}"
            raise DataError(message) from error
        missing = [name for name in columns or [] if name not in there]
        if missing:
            raise DataError(self._columns_missing(path, missing, there)) from error
        message = f"stage {self.name!r}: {path} has a Parquet footer, but its content is damaged: {error}. Write or download it again"
        raise DataError(message) from error


def _beginning(group: Any) -> int:
    """Return the first byte of a row group: of its first column's dictionary, if there is one, or of its data."""
    if not group.num_columns:
        return 0
    column = group.column(0)
    return column.dictionary_page_offset or column.data_page_offset


def _why_not_parquet(head: bytes) -> str:
    if not head:
        return "is empty: not a Parquet file. Delete it or write it again"
    if head.startswith(b"PAR1"):
        return "starts like a Parquet file but has no footer: it was cut off while it was written. Write or download it again"
    kind = looks_like(head)
    return f"is not a Parquet file{f' but looks like {kind}' if kind else ''}: {how_to_read(kind)}"


@dataclass
class ParquetReader(FileReader):
    """Read Parquet files: `FileReader` says what its arguments mean."""

    file_paths: str | list[str]
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    fields: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    file_extensions: list[str] = field(default_factory=lambda: list(FILETYPE_TO_DEFAULT_EXTENSIONS["parquet"]))
    task_type: str = "document"
    _generate_ids: bool = False
    _assign_ids: bool = False
    name: str = "parquet_reader"
    allow_empty: bool = False
    id_generator_path: str | None = None

    def _reader_stage(self) -> ParquetReaderStage:
        return ParquetReaderStage(
            fields=self.fields,
            read_kwargs=dict(self.read_kwargs or {}),
            _generate_ids=self._generate_ids,
            _assign_ids=self._assign_ids,
            allow_empty=self.allow_empty,
            id_generator_path=self.id_generator_path,
        )
