"""What the readers have in common: a task of paths in, a batch of documents out."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import ClusterError, DataError, IdGeneratorError, OptionError, require
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.id_generator import (
    CURATOR_DEDUP_ID_STR,
    IdGeneratorBase,
    IdsOfActor,
    names_of_group,
)
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.reader.numbering import CountRowsStage, NumberGroupsStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask
from nemo_curator.tasks.document import is_table
from nemo_curator.utils.arrow_arrays import arrow_array
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BaseReader", "DocumentReader", "FileReader"]

_log = logging.getLogger(__name__)


@dataclass
class BaseReader(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read the files of a group, or a part of a file, into one batch of documents. A subclass reads one file.

    Attributes:
        fields: Columns to keep, in this order; `None` for all.
        read_kwargs: Options of the format, and ``storage_options`` for fsspec.
        allow_empty: Whether a group without a single row is a batch without rows instead of an error.
        _generate_ids: Add a column ``_curator_dedup_id``, numbered from the first id that the task says.
        _assign_ids: Add that column as it was given out by an earlier run over the same groups of files.
        id_generator_path: The file with the ids, a path or URL, as `IdGeneratorBase.to_disk` writes it: `_assign_ids` reads it. Without
            one the actor of `create_id_generator_actor` is asked.
    """

    fields: list[str] | None = None
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = "reader"
    _generate_ids: bool = False
    _assign_ids: bool = False
    allow_empty: bool = False
    id_generator_path: str | None = None

    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=1.0)

    def __post_init__(self) -> None:
        given: object = self.fields
        if given is not None and (not isinstance(given, (list, tuple)) or not given):
            message = f"stage {self.name!r}: fields must be a list of column names or None for all, got {given!r}"
            raise OptionError(message)
        if self._generate_ids and self._assign_ids:
            message = f"stage {self.name!r}: give _generate_ids or _assign_ids, not both"
            raise OptionError(message)
        path = self.id_generator_path
        self.id_generator_path = path if path is None or is_remote_url(path) else local_path(path)
        self._ids: IdGeneratorBase | None = None
        self._actor = IdsOfActor() if self._assign_ids and path is None else None
        self.read_kwargs = dict(self.read_kwargs or {})
        self.outputs_are_complete = self.fields is not None

    @abstractmethod
    def read_file(self, path: str) -> pd.DataFrame | pa.Table:
        """Return the rows of one file, with the columns of `fields` where it has them."""

    def read_files(self, paths: list[str]) -> Sequence[pd.DataFrame | pa.Table]:
        """Return the rows of all files of a group, in order, in any number of parts."""
        return [self.read_file(path) for path in paths]

    def can_split(self) -> bool:
        """Say whether the stage reads parts of files, through `read_part`. The default does not."""
        return False

    def read_part(self, path: str, start: int, stop: int) -> pd.DataFrame | pa.Table:
        """Return the rows of a file that begin at bytes from `start` up to `stop`, that one excluded; there may be none."""
        message = f"stage {self.name!r} does not read parts of files; make its tasks with split_files=False"
        raise NotImplementedError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns, as far as they are known before reading."""
        ids = [CURATOR_DEDUP_ID_STR] if self._generate_ids or self._assign_ids else []
        return ["data"], [*(self.fields or []), *ids]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Return that workers keep no state between tasks."""
        return {"is_actor_stage": self._generate_ids or self._assign_ids}

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the packages that read text are not installed."""
        for package in ("pandas", "pyarrow"):
            require(package, extra="text", purpose=f"stage {self.name!r}")
        if self._assign_ids:
            self._load_ids()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the ids that were given out, if they are asked for."""
        if self._assign_ids:
            self._ids = self._load_ids()

    def _load_ids(self) -> IdGeneratorBase:
        if self.id_generator_path is not None:
            return IdGeneratorBase.from_disk(self.id_generator_path, self._storage_options)
        assert self._actor is not None
        try:
            return self._actor.known()
        except (IdGeneratorError, ClusterError) as error:
            message = (
                f"stage {self.name!r}: _assign_ids needs the ids that were given out before, and id_generator_path, the file in which they "
                f"are noted, is not given, so the actor of create_id_generator_actor is asked: {error}. To give out new ids say "
                "_generate_ids=True"
            )
            raise IdGeneratorError(message) from error

    def count_rows(self, task: FileGroupTask) -> int:
        """Return how many rows `process` would read; raises what it raises."""
        if task.byte_range is not None:
            return self.count_part(task.paths[0], *task.byte_range)
        return sum(self.count_file(path) for path in task.paths)

    def count_file(self, path: str) -> int:
        """Return how many rows a file has. A subclass may know without reading all of it."""
        return len(self.read_file(path))

    def count_part(self, path: str, start: int, stop: int) -> int:
        """Return how many rows a part of a file has."""
        return len(self.read_part(path, start, stop))

    def process(self, task: FileGroupTask) -> DocumentBatch | None:
        """Read all files of the group, one after the other, or a part of one; nothing if no row begins in that part.

        Raises:
            InputError: A file is gone or may not be read.
            DataError: A file is not of the format, or there is not a single row.
        """
        if task.byte_range is not None:
            part = self.read_part(task.paths[0], *task.byte_range)
            return self._batch(task, part) if len(part) else None
        parts = self.read_files(task.paths)
        rows = sum(len(part) for part in parts)
        if rows == 0 and not self.allow_empty:
            files = ", ".join(map(str, task.data[:3])) + (", ..." if len(task.data) > 3 else "")
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} has no rows; its {len(task.data)} "
                f"file(s) are empty: {files}. Pass allow_empty=True if that is as it should be"
            )
            raise DataError(message)
        return self._batch(task, _concatenate(parts))

    def _batch(self, task: FileGroupTask, data: Any) -> DocumentBatch:
        if self._generate_ids or self._assign_ids:
            first, rows = self._first_id_and_rows(task)
            if rows != len(data):
                message = (
                    f"stage {self.name!r}: {task.data[0]} and what belongs to it has {len(data)} rows now, and had {rows} when ids were "
                    "given out. Files must not change in between; give ids out anew"
                )
                raise DataError(message)
            data = _numbered(data, first, self.name)
        return DocumentBatch(dataset_name=task.dataset_name, data=data)

    def _first_id_and_rows(self, task: FileGroupTask) -> tuple[int, int]:
        if self._assign_ids:
            ids = self._ids = self._ids or self._load_ids()
            try:
                first, last = ids.get_batch_range(names_of_group(task))
            except KeyError as error:
                message = (
                    f"stage {self.name!r}: {self.id_generator_path or 'the actor'} has no ids for {task.data[0]} as a group of {len(task.data)} file(s). "
                    "Files must be grouped as they were when ids were given out: the same input_blocksize or files_per_partition"
                )
                raise DataError(message) from error
            return first, last - first + 1
        first, rows = task.reader_config.get("first_id"), task.reader_config.get("num_rows")
        if type(first) is not int or type(rows) is not int:
            message = (
                f"stage {self.name!r}: nobody has numbered the rows of task {task.task_id or task.dataset_name}; put CountRowsStage and "
                "NumberGroupsStage before it, as JsonlReader and ParquetReader do"
            )
            raise DataError(message)
        return first, rows

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return self.read_kwargs.get("storage_options")

    def _columns_missing(self, path: str, missing: list[str], there: list[str]) -> str:
        columns = ", ".join(map(repr, missing))
        return f"stage {self.name!r}: {path} has no column {columns}; it has: {', '.join(there) or 'none'}"


def _concatenate(parts: Sequence[Any]) -> pd.DataFrame | pa.Table:
    """Put the rows of files below one another: as tables if all are, and if columns of the same name are of one type."""
    import pyarrow as pa

    filled = [part for part in parts if len(part)] or list(parts[:1])
    if not filled:
        return pa.table({})
    tables = [part for part in filled if isinstance(part, pa.Table)]
    if len(filled) == 1:
        return filled[0]
    if len(tables) == len(filled):
        # With an integer here and a string there it raises; pandas keeps both in a column of objects.
        with suppress(pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.concat_tables(tables, promote_options="default")
    import pandas as pd

    frames = [part.to_pandas() if isinstance(part, pa.Table) else part for part in filled]
    return pd.concat(frames, ignore_index=True)


def _numbered(data: Any, first: int, stage: str) -> Any:
    """Return the rows with ids from `first` on; as they are, with a warning, if they have a column of ids."""
    import numpy as np

    there = data.column_names if is_table(data) else list(data.columns)
    if CURATOR_DEDUP_ID_STR in there:
        _log.warning("stage %r: there is a column %r already, which stays as it is", stage, CURATOR_DEDUP_ID_STR)
        return data
    ids = np.arange(first, first + len(data), dtype=np.int64)
    if is_table(data):
        return data.append_column(CURATOR_DEDUP_ID_STR, arrow_array(ids))
    return data.assign(**{CURATOR_DEDUP_ID_STR: ids})


class DocumentReader(CompositeStage[EmptyTask, DocumentBatch]):
    """What users write to read documents: it becomes the stages that `_parts` returns. Subclasses are dataclasses.

    Attributes:
        task_type: Only ``"document"`` exists.
    """

    task_type: str

    def __post_init__(self) -> None:
        super().__init__()
        self._parts()  # refuses wrong options where the user wrote them

    @abstractmethod
    def _parts(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stage that lists what there is, and those behind it up to the one that reads."""

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stage that lists what there is and the stage that reads it.

        Raises:
            NotImplementedError: A task type other than documents is asked for.
        """
        if self.task_type != "document":
            message = f"stage {self.name!r} reads documents only; task_type={self.task_type!r} does not exist"
            raise NotImplementedError(message)
        return self._parts()


class FileReader(DocumentReader):
    """List files, then read them: what the readers that users write stand for. Subclasses are dataclasses.

    Attributes:
        file_paths: A folder, a file, a glob pattern, or a list; local or URLs that fsspec knows.
        files_per_partition: Files in a task.
        blocksize: Bytes in a task, as a number or like ``"128MB"``; larger files are cut into parts where the format allows it.
            Without it and `files_per_partition` a file is a task, or several if it is larger than 256 MB.
        fields: Columns to keep; `None` for all.
        read_kwargs: Options of the format, and ``storage_options`` for fsspec.
        task_type: Only ``"document"`` exists.
        file_extensions: What file names must end in; a compression suffix after it is fine.
        allow_empty: Whether files without rows give a batch without rows instead of an error.
        _generate_ids: Number all documents, in a column ``_curator_dedup_id``: rows are counted before they are read. The numbers depend
            on the files alone.
        _assign_ids: Give documents the numbers that they had before, when they were read in the same groups.
        id_generator_path: Where numbers are noted by `_generate_ids`, if at all, and read by `_assign_ids`.
    """

    file_paths: str | list[str]
    files_per_partition: int | None
    blocksize: int | str | None
    fields: list[str] | None
    read_kwargs: dict[str, Any] | None
    task_type: str
    file_extensions: list[str]
    _generate_ids: bool
    _assign_ids: bool
    allow_empty: bool
    id_generator_path: str | None

    @abstractmethod
    def _reader_stage(self) -> BaseReader:
        """Return the stage that reads a group of files."""

    def _parts(self) -> list[ProcessingStage[Any, Any]]:
        reader = self._reader_stage()
        storage_options = (self.read_kwargs or {}).get("storage_options")
        partitioning = FilePartitioningStage(
            file_paths=self.file_paths,
            files_per_partition=self.files_per_partition,
            blocksize=self.blocksize,
            file_extensions=self.file_extensions,
            storage_options=storage_options,
            split_files=reader.can_split(),
            in_order=self._generate_ids or self._assign_ids,
        )
        if not self._generate_ids:
            return [partitioning, reader]
        numbering = NumberGroupsStage(self.id_generator_path, storage_options, ask_actor=self.id_generator_path is None)
        return [partitioning, CountRowsStage(reader), numbering, reader]

    def get_description(self) -> str:
        """Return what is read, how it is cut into tasks, and which columns are kept."""
        if self.files_per_partition:
            cut = f"{self.files_per_partition} files a task"
        elif self.blocksize:
            cut = f"{self.blocksize} a task"
        else:
            cut = "one file a task, large ones in parts"
        columns = f"columns {', '.join(self.fields)}" if self.fields else "all columns"
        return f"Read {self.file_paths}: {cut}, {columns}"
