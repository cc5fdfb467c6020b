"""Files that are one document each: plain text and HTML."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.text.io.reader.base import BaseReader, FileReader
from nemo_curator.stages.text.io.reader.source import read_content
from nemo_curator.stages.text.utils.decoding import decode
from nemo_curator.utils.arrow_arrays import arrow_array

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["HtmlFileReader", "HtmlFileReaderStage", "TextFileReader", "TextFileReaderStage"]

_log = logging.getLogger(__name__)

Errors = Literal["replace", "drop", "fail"]
_FILES_OF_A_TASK = 1000


@dataclass
class TextFileReaderStage(BaseReader):
    """Read a group of files into one batch, with a row for every file, in order.

    A file that is damaged, too large or, with ``errors="drop"``, not in its encoding costs itself alone: the log names it, and the report
    counts it as ``file_damaged``, ``file_too_large`` or ``file_encoding``. An empty file is a document with an empty text.

    Attributes:
        text_field: Column for the content.
        path_field: Column for the path, or URL, as it was listed; `None` for none.
        encoding: Of all files; by default found out for each, see `decode`.
        errors: What happens to bytes that are not in the encoding: ``replace`` puts U+FFFD in their place, ``drop`` leaves the file out,
            ``fail`` fails the task.
        max_file_bytes: The largest content of a file, decompressed.
    """

    name: str = "text_file_reader"
    text_field: str = "text"
    path_field: str | None = "path"
    encoding: str | None = None
    errors: Errors = "replace"
    max_file_bytes: int = 1 << 28

    _html: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fields is not None:
            message = f"stage {self.name!r}: the columns are {', '.join(self._columns())}; name them with text_field and path_field"
            raise OptionError(message)
        if len(set(self._columns())) < len(self._columns()):
            message = f"stage {self.name!r}: text_field and path_field are both {self.text_field!r}"
            raise OptionError(message)
        if self.errors not in {"replace", "drop", "fail"}:
            message = f"stage {self.name!r}: errors must be 'replace', 'drop' or 'fail', got {self.errors!r}"
            raise OptionError(message)
        if self.max_file_bytes < 1:
            message = f"stage {self.name!r}: max_file_bytes must be 1 or more, got {self.max_file_bytes}"
            raise OptionError(message)
        if others := sorted(set(self.read_kwargs) - {"storage_options"}):
            message = f"stage {self.name!r}: read_kwargs takes storage_options alone, got {', '.join(others)}"
            raise OptionError(message)
        try:
            b"a".decode(self.encoding or "utf-8", "replace")  # of no byte at all any name is taken
        except LookupError as error:
            message = f"stage {self.name!r}: encoding {self.encoding!r} is not known to Python"
            raise OptionError(message) from error
        self.allow_empty = True
        self.outputs_are_complete = True

    def _columns(self) -> list[str]:
        return [self.text_field, *([self.path_field] if self.path_field else [])]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns."""
        attributes, ids = super().outputs()
        return attributes, [*self._columns(), *ids]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if a package is not installed."""
        super().check_before_run()
        if self.encoding is None:
            require("resiliparse", extra="text", purpose=f"stage {self.name!r}")

    def read_file(self, path: str) -> pa.Table:
        """Return one row, or none if the file is left out.

        Raises:
            InputError: It is gone or may not be read.
            DataError: It is not in its encoding, with ``errors="fail"``.
        """
        return self.read_files([path])[0]

    def read_files(self, paths: list[str]) -> list[pa.Table]:
        """Return one table with a row for every file that is not left out; raises what `read_file` raises."""
        import pyarrow as pa

        found = [(text, path) for path in paths if (text := self._content(path)) is not None]
        columns = {self.text_field: arrow_array([text for text, _ in found], pa.string())}
        if self.path_field:
            columns[self.path_field] = arrow_array([path for _, path in found], pa.string())
        return [pa.table(columns)]

    def _content(self, path: str) -> str | None:
        """Return the text of a file; `None`, counted and logged, if it is left out."""
        try:
            content = read_content(
                path, stage=self.name, storage_options=self._storage_options, limit=self.max_file_bytes
            )
        except DataError as error:
            return self._left_out("file_damaged", str(error))
        if len(content) > self.max_file_bytes:
            why = f"stage {self.name!r}: {path} has more than max_file_bytes={self.max_file_bytes}"
            return self._left_out("file_too_large", why)
        errors = "replace" if self.errors == "replace" else "strict"
        try:
            if self.encoding is not None:
                return content.decode(self.encoding, errors)
            return decode(content, html=self._html, errors=errors)
        except UnicodeDecodeError as error:
            message = f"stage {self.name!r}: {path} is not in {error.encoding}: {error.reason} at byte {error.start}"
            if self.errors == "fail":
                message += ". Say encoding=..., or errors='replace' or 'drop'"
                raise DataError(message) from error
            return self._left_out("file_encoding", message)

    def _left_out(self, reason: str, message: str) -> None:
        _log.warning("%s; it is left out", message)
        self.record_drops(reason, 1)


@dataclass
class HtmlFileReaderStage(TextFileReaderStage):
    """The same for HTML: a page's ``<meta charset>`` is believed, and the column is ``html``."""

    name: str = "html_file_reader"
    text_field: str = "html"

    _html: ClassVar[bool] = True


@dataclass
class TextFileReader(FileReader):
    """Read plain-text files, each of which is a document; compressed ones (``.txt.gz``) too.

    `FileReader` says what paths, grouping and numbering mean, `TextFileReaderStage` the rest. Without `files_per_partition` and `blocksize`
    a task has 1000 files.
    """

    file_paths: str | list[str]
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    text_field: str = "text"
    path_field: str | None = "path"
    encoding: str | None = None
    errors: Errors = "replace"
    max_file_bytes: int = 1 << 28
    read_kwargs: dict[str, Any] | None = None
    task_type: str = "document"
    file_extensions: list[str] = field(default_factory=lambda: [".txt"])
    _generate_ids: bool = False
    _assign_ids: bool = False
    name: str = "text_file_reader"
    id_generator_path: str | None = None

    _stage: ClassVar[type[TextFileReaderStage]] = TextFileReaderStage

    def __post_init__(self) -> None:
        self.fields = None
        if self.files_per_partition is None and self.blocksize is None:
            self.files_per_partition = _FILES_OF_A_TASK
        super().__post_init__()

    def _reader_stage(self) -> TextFileReaderStage:
        return self._stage(
            read_kwargs=dict(self.read_kwargs or {}),
            _generate_ids=self._generate_ids,
            _assign_ids=self._assign_ids,
            id_generator_path=self.id_generator_path,
            text_field=self.text_field,
            path_field=self.path_field,
            encoding=self.encoding,
            errors=self.errors,
            max_file_bytes=self.max_file_bytes,
        )


@dataclass
class HtmlFileReader(TextFileReader):
    """Read HTML files, each of which is a document, as they are: extract the text in a stage after it. Else like `TextFileReader`."""

    text_field: str = "html"
    file_extensions: list[str] = field(default_factory=lambda: [".html", ".htm", ".xhtml"])
    name: str = "html_file_reader"

    _stage: ClassVar[type[TextFileReaderStage]] = HtmlFileReaderStage
