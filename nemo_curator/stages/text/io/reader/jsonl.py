"""JSON Lines files as documents."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError, did_you_mean
from nemo_curator.stages.text.io.reader.base import BaseReader, FileReader
from nemo_curator.stages.text.io.reader.source import how_to_read, looks_like, read_content, read_lines
from nemo_curator.utils.compression import known_method
from nemo_curator.utils.file_utils import FILETYPE_TO_DEFAULT_EXTENSIONS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["JsonlReader", "JsonlReaderStage"]

_log = logging.getLogger(__name__)

_PANDAS_ENGINES = ("pandas", "ujson", "pyarrow")
_ENGINES = ("auto", "json", "pyarrow_direct", *_PANDAS_ENGINES)
_COMMON = frozenset({"engine", "lines", "storage_options", "compression", "on_bad_lines"})
_EXACT_ENGINES = ("auto", "json")
_BLOCKS = frozenset({"pyarrow_block_size", "pyarrow_max_block_size"})


@dataclass
class JsonlReaderStage(BaseReader):
    """Read a group of JSON Lines files.

    Values arrive as they are written: a string stays a string even if it looks like a number or a date. ``read_kwargs``:

    * ``engine``: ``"auto"`` (default) takes Arrow's parser where it gives the same values as Python's, and that one where
      not; ``"json"`` always takes Python's; ``"pyarrow_direct"`` always Arrow's, with the types that it guesses;
      ``"pandas"``, ``"ujson"`` and ``"pyarrow"`` call `pandas.read_json`, with the types that pandas guesses.
    * ``compression``: by the name of the file unless given.
    * ``storage_options``: for fsspec.
    * ``on_bad_lines``: ``"fail"`` (default) fails the task for a line that is no object in UTF-8; ``"drop"`` leaves such lines out, with
      ``"auto"`` and ``"json"``: the log names each, and the report counts them as ``bad_line``.
    * ``pyarrow_block_size``, ``pyarrow_max_block_size``: of ``"pyarrow_direct"``, in bytes.
    * Anything else is an argument of `pandas.read_json`, which is then called also without ``engine``.
    """

    name: str = "jsonl_reader"

    def __post_init__(self) -> None:
        super().__post_init__()
        options = self.read_kwargs
        if options.get("lines", True) is not True:
            message = f"stage {self.name!r} reads one object a line; lines={options['lines']!r} is not possible"
            raise OptionError(message)
        compression: Any = options.get("compression", "infer")
        if isinstance(compression, dict):
            compression = compression.get("method", "infer")
        try:
            self._compression = compression if compression in {None, "infer"} else known_method(compression)
        except ValueError as error:
            message = f"stage {self.name!r}: {error}"
            raise OptionError(message) from error
        self._engine = self._choose_engine(options.get("engine"))
        self._drops_bad_lines = self._check_bad_lines(options.get("on_bad_lines", "fail"))

    def _check_bad_lines(self, wish: object) -> bool:
        if wish not in {"fail", "drop"}:
            message = f"stage {self.name!r}: on_bad_lines must be 'fail' or 'drop', got {wish!r}"
            raise OptionError(message)
        if wish == "drop" and self._engine not in _EXACT_ENGINES:
            message = (
                f"stage {self.name!r}: engine {self._engine!r} cannot leave bad lines out; engine='auto' and 'json' can"
            )
            raise OptionError(message)
        return wish == "drop"

    def _choose_engine(self, engine: str | None) -> str:
        others = sorted(set(self.read_kwargs) - _COMMON)
        if engine is None:
            engine = "pandas" if set(others) - _BLOCKS else "auto"
        if engine not in _ENGINES:
            message = (
                f"stage {self.name!r}: engine {engine!r} is not known; "
                f"known: {', '.join(_ENGINES)}.{did_you_mean(str(engine), _ENGINES)}"
            )
            raise OptionError(message)
        unread = [] if engine in _PANDAS_ENGINES else sorted(set(others) - _BLOCKS)
        if unread:
            message = f"stage {self.name!r}: engine {engine!r} does not read {', '.join(unread)}; engine='pandas' does"
            raise OptionError(message)
        return engine

    def read_file(self, path: str) -> pd.DataFrame | pa.Table:
        """Return the rows of one file; with `fields`, those of its columns that the file has, and a warning for others.

        Raises:
            InputError: The file is gone or may not be read.
            DataError: It is not JSON Lines in UTF-8 (the message says in which line), or has none of `fields`.
        """
        content = read_content(
            path, stage=self.name, storage_options=self._storage_options, compression=self._compression
        )
        return self._rows(content, path)

    def can_split(self) -> bool:
        """Say whether lines can be found in the middle of a file: not in one that is compressed, nor in other encodings than UTF-8."""
        return self._compression == "infer" and "encoding" not in self.read_kwargs

    def read_part(self, path: str, start: int, stop: int) -> pd.DataFrame | pa.Table:
        """Return the rows of the lines that begin in a part of a file; raises what `read_file` raises."""
        content = read_lines(path, start, stop, stage=self.name, storage_options=self._storage_options)
        return self._rows(content, f"{path} (of the lines that begin at bytes {start} to {stop})")

    def count_file(self, path: str) -> int:
        """Return the number of lines that are not blank, unless options may make something else of them."""
        if self._engine in _PANDAS_ENGINES or self._drops_bad_lines:
            return super().count_file(path)
        options = {"storage_options": self._storage_options, "compression": self._compression}
        return _count_lines(read_content(path, stage=self.name, **options))

    def count_part(self, path: str, start: int, stop: int) -> int:
        """Return the number of lines that begin in a part of a file and are not blank."""
        if self._drops_bad_lines:
            return super().count_part(path, start, stop)
        return _count_lines(read_lines(path, start, stop, stage=self.name, storage_options=self._storage_options))

    def _rows(self, content: bytes, path: str) -> pd.DataFrame | pa.Table:
        import pyarrow as pa

        if not content or content.isspace():
            return pa.table({name: pa.nulls(0) for name in self.fields or []})
        return self._select(self._parse(content, path), path)

    def _parse(self, content: bytes, path: str) -> pd.DataFrame | pa.Table:
        from nemo_curator.stages.text.io.reader import jsonl_arrow, jsonl_records

        try:
            if self._engine == "pyarrow_direct":
                return self._parse_direct(content)
            if self._engine in _PANDAS_ENGINES:
                return self._parse_with_pandas(content)
            if self._engine == "auto":
                found = jsonl_arrow.read_exactly(content, self.fields, threads=self.resources.cpus > 1)
                if found is not None:
                    return found
            pass_over = partial(self._pass_over, path) if self._drops_bad_lines else None
            return jsonl_records.read_frame(content, self.fields, pass_over)
        except ValueError as error:  # also Arrow's and pandas' own
            raise DataError(self._explain(content, path, error)) from error

    def _pass_over(self, path: str, error: ValueError) -> None:
        _log.warning("stage %r: %s: %s; it is left out", self.name, path, error)
        self.record_drops("bad_line", 1)

    def _parse_direct(self, content: bytes) -> pa.Table:
        from nemo_curator.stages.text.io.reader import jsonl_arrow

        options = self.read_kwargs
        table = jsonl_arrow.read_table(
            content,
            threads=self.resources.cpus > 1,
            first_block=options.get("pyarrow_block_size", jsonl_arrow.FIRST_BLOCK),
            largest_block=options.get("pyarrow_max_block_size", jsonl_arrow.LARGEST_BLOCK),
        )
        table.validate(full=True)
        return table

    def _parse_with_pandas(self, content: bytes) -> pd.DataFrame:
        import pandas as pd

        options = {key: value for key, value in self.read_kwargs.items() if key not in _COMMON | _BLOCKS}
        if self._engine != "pandas":
            options["engine"] = self._engine
        return pd.read_json(io.BytesIO(content), lines=True, **options)

    def _select(self, data: Any, path: str) -> pd.DataFrame | pa.Table:
        if self.fields is None:
            return data
        import pyarrow as pa

        there = data.column_names if isinstance(data, pa.Table) else [str(name) for name in data.columns]
        present = [name for name in self.fields if name in there]
        missing = [name for name in self.fields if name not in there]
        if missing:
            sentence = self._columns_missing(path, missing, there)
            if not present:
                raise DataError(sentence)
            _log.warning("%s", sentence)
        return data.select(present) if isinstance(data, pa.Table) else data[present]

    def _explain(self, content: bytes, path: str, error: ValueError) -> str:
        from nemo_curator.stages.text.io.reader import jsonl_records

        head = f"stage {self.name!r}: {path}"
        kind = looks_like(content[:64])
        if kind not in {"", "JSON Lines"}:
            return f"{head} is not JSON Lines but looks like {kind}: {how_to_read(kind)}"
        if not isinstance(error, jsonl_records.BadLineError) and "encoding" not in self.read_kwargs:
            try:
                jsonl_records.read_frame(content)
            except jsonl_records.BadLineError as bad_line:
                error = bad_line
        if isinstance(error, jsonl_records.BadLineError):
            advice = "Repair or remove that line; for another encoding than UTF-8 pass read_kwargs={'encoding': ...}"
            return f"{head}: {error}. {advice}"
        return f"{head}: engine {self._engine!r} cannot read it: {error}. Leave out 'engine', or pass engine='json'"


def _count_lines(content: bytes) -> int:
    from nemo_curator.stages.text.io.reader.jsonl_arrow import iter_lines

    return sum(1 for _ in iter_lines(content))


@dataclass
class JsonlReader(FileReader):
    """Read JSON Lines files: `FileReader` says what its arguments mean, `JsonlReaderStage` which options there are."""

    file_paths: str | list[str]
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    fields: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    task_type: str = "document"
    file_extensions: list[str] = field(default_factory=lambda: list(FILETYPE_TO_DEFAULT_EXTENSIONS["jsonl"]))
    _generate_ids: bool = False
    _assign_ids: bool = False
    name: str = "jsonl_reader"
    allow_empty: bool = False
    id_generator_path: str | None = None

    def _reader_stage(self) -> JsonlReaderStage:
        return JsonlReaderStage(
            fields=self.fields,
            read_kwargs=dict(self.read_kwargs or {}),
            _generate_ids=self._generate_ids,
            _assign_ids=self._assign_ids,
            allow_empty=self.allow_empty,
            id_generator_path=self.id_generator_path,
        )
