"""Parquet files as documents."""

from __future__ import annotations

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
        import pyarrow as pa

        options = {"engine": "pyarrow", "dtype_backend": "pyarrow", "columns": self.fields, **self.read_kwargs}
        storage_options = options.pop("storage_options", None)
        if options["engine"] == "pyarrow":
            options.setdefault("use_threads", self.resources.cpus > 1)
        with open_file(path, stage=self.name, storage_options=storage_options) as source:
            try:
                frame = pd.read_parquet(source, **options)
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

    def _reader_stage(self) -> ParquetReaderStage:
        return ParquetReaderStage(
            fields=self.fields,
            read_kwargs=dict(self.read_kwargs or {}),
            _generate_ids=self._generate_ids,
            _assign_ids=self._assign_ids,
            allow_empty=self.allow_empty,
        )
