"""From downloaded files to documents, and the composite of all steps."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

from nemo_curator.errors import (
    ChainError,
    CuratorError,
    DataError,
    InputError,
    OptionError,
    StageContractError,
    require,
)
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.download.base.download import DocumentDownloader, DocumentDownloadStage
from nemo_curator.stages.text.download.base.extract import DocumentExtractor
from nemo_curator.stages.text.download.base.iterator import DocumentIterator
from nemo_curator.stages.text.download.base.url_generation import URLGenerationStage, URLGenerator
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask
from nemo_curator.utils.column_utils import resolve_filename_column

__all__ = ["DocumentDownloadExtractStage", "DocumentIterateExtractStage"]

_log = logging.getLogger(__name__)


@dataclass
class DocumentIterateExtractStage(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read the records of the files of a task and make documents of them: one batch for a task.

    A file that turns out to be damaged ends there: what was read before is kept, the log names the file, and the report counts
    it as ``file_ended_early``. Records that the extractor makes nothing of are counted as ``nothing_extracted``.

    Attributes:
        iterator: Knows the format.
        extractor: Makes a document of a record; without one the records are the documents.
        record_limit: Documents to keep of every file.
        add_filename_column: Whether to add the name of the file, without folders, as column ``file_name``; or the name of that column.
        max_calls_per_worker: Tasks after which a worker process is replaced, on backends that can; for extractors that leak memory.
    """

    iterator: DocumentIterator
    extractor: DocumentExtractor | None = None
    record_limit: int | None = None
    add_filename_column: bool | str = True
    max_calls_per_worker: int | None = None
    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=1.0)
    outputs_are_complete = True

    def __post_init__(self) -> None:
        iterator = type(self.iterator).__name__.lower()
        extractor = type(self.extractor).__name__.lower()
        self.name = f"iterate_{iterator}" if self.extractor is None else f"iterate_extract_{iterator}_{extractor}"
        if self.record_limit is not None and self.record_limit < 0:
            message = f"stage {self.name!r}: record_limit must be a number of documents from 0, got {self.record_limit}"
            raise OptionError(message)
        self._filename_column = resolve_filename_column(self.add_filename_column)
        self._columns = list((self.extractor or self.iterator).output_columns())
        if self._filename_column in self._columns:
            message = f"stage {self.name!r}: documents have a column {self._filename_column!r}; pass another add_filename_column"
            raise OptionError(message)
        there = self.iterator.output_columns()
        missing = [name for name in (self.extractor.input_columns() if self.extractor else []) if name not in there]
        if missing:
            message = (
                f"stage {self.name!r}: the extractor reads {', '.join(map(repr, missing))}, but the iterator gives "
                f"{', '.join(there) or 'nothing'}"
            )
            raise ChainError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry paths."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of documents."""
        return ["data"], [*self._columns, *filter(None, [self._filename_column])]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Return after how many calls a worker is replaced, if that was said."""
        return {} if self.max_calls_per_worker is None else {"max_calls_per_worker": self.max_calls_per_worker}

    def check_before_run(self) -> None:
        """Ask iterator and extractor."""
        require("pandas", extra="text", purpose=f"stage {self.name!r}")
        self.iterator.check_before_run()
        if self.extractor is not None:
            self.extractor.check_before_run()

    def process(self, task: FileGroupTask) -> DocumentBatch | None:
        """Return the documents of all files of a task, in order; nothing if there are none.

        Raises:
            StageContractError: A record or document has columns that were not announced.
            CuratorError: What is wrong is not the file's fault, such as a package that is not installed.
        """
        import pandas as pd

        rows = [row for path in task.paths for row in self._documents(path)]
        if not rows:
            return None
        frame = pd.DataFrame(rows, columns=pd.Index(self.outputs()[1]))
        return DocumentBatch(dataset_name=task.dataset_name, data=frame)

    def _documents(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        name = os.path.basename(path)
        try:
            with closing(self._read(path)) as documents:
                for document in islice(documents, self.record_limit):
                    if self._filename_column is not None:
                        document = {**document, self._filename_column: name}
                    rows.append(document)
        except (MemoryError, ImportError):
            raise
        except Exception as error:
            # A missing package, or a wish for another attempt, is not the fault of this file.
            if isinstance(error, CuratorError) and not isinstance(error, (DataError, InputError)):
                raise
            _log.error(
                "stage %r: %s ended early, after %d documents: %s: %s",
                self.name,
                path,
                len(rows),
                type(error).__name__,
                error,
            )
            self.record_drops("file_ended_early", 1)
        return rows

    def _read(self, path: str) -> Generator[dict[str, Any]]:
        empty = 0
        try:
            for record in self.iterator.iterate(path):
                document = record if self.extractor is None else self.extractor.extract(record)
                if document is None:
                    empty += 1
                    continue
                yield self._checked(document)
        finally:
            self.record_drops("nothing_extracted", empty)

    def _checked(self, document: dict[str, Any]) -> dict[str, Any]:
        if set(document) <= set(self._columns):
            return document
        unknown = ", ".join(repr(name) for name in document if name not in self._columns)
        maker = type(self.extractor or self.iterator).__name__
        message = f"stage {self.name!r}: {maker} gave {unknown}, which its output_columns() does not name; add it there"
        raise StageContractError(message)


@dataclass
class DocumentDownloadExtractStage(CompositeStage[EmptyTask, DocumentBatch]):
    """Find URLs, download them, read the files, and make documents of their records.

    Attributes:
        url_generator: Knows the URLs.
        downloader: Brings what is behind a URL to the local disk.
        iterator: Knows the format.
        extractor: Makes a document of a record; without one the records are the documents.
        url_limit: URLs to download, from the first.
        record_limit: Documents to keep of every file.
        add_filename_column: Whether to add the name of the file as column ``file_name``; or the name of that column.
        extractor_max_calls_per_worker: Files after which a worker process that extracts is replaced, on backends that can.
    """

    url_generator: URLGenerator
    downloader: DocumentDownloader
    iterator: DocumentIterator
    extractor: DocumentExtractor | None = None
    url_limit: int | None = None
    record_limit: int | None = None
    add_filename_column: bool | str = True
    extractor_max_calls_per_worker: int | None = None
    _stages: list[ProcessingStage[Any, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__init__()
        reading = DocumentIterateExtractStage(
            iterator=self.iterator,
            extractor=self.extractor,
            record_limit=self.record_limit,
            add_filename_column=self.add_filename_column,
            max_calls_per_worker=self.extractor_max_calls_per_worker,
        )
        self._stages = [
            URLGenerationStage(url_generator=self.url_generator, limit=self.url_limit),
            DocumentDownloadStage(downloader=self.downloader),
            cast("ProcessingStage[Any, Any]", reading),
        ]
        suffix = type(self.extractor or self.iterator).__name__.lower()
        self.name = f"document_download_extract_{type(self.url_generator).__name__.lower()}_{suffix}"

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the three stages."""
        return list(self._stages)

    def get_description(self) -> str:
        """Return what is downloaded and what is made of it."""
        made = f"documents by {type(self.extractor).__name__}" if self.extractor else "records"
        return (
            f"Download with {type(self.downloader).__name__} what {type(self.url_generator).__name__} names, "
            f"read it with {type(self.iterator).__name__}, give {made}"
        )
