"""What the readers have in common: a task of paths in, a batch of documents out."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BaseReader", "FileReader"]


@dataclass
class BaseReader(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Read the files of a group, or a part of a file, into one batch of documents. A subclass reads one file.

    Attributes:
        fields: Columns to keep, in this order; `None` for all.
        read_kwargs: Options of the format, and ``storage_options`` for fsspec.
        allow_empty: Whether a group without a single row is a batch without rows instead of an error.
    """

    fields: list[str] | None = None
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = "reader"
    _generate_ids: bool = False
    _assign_ids: bool = False
    allow_empty: bool = False

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
        if self._generate_ids or self._assign_ids:
            option = "_generate_ids" if self._generate_ids else "_assign_ids"
            message = (
                f"stage {self.name!r}: {option} needs the id generator, which is not available yet; "
                "leave it out and add the stage AddId after the reader"
            )
            raise OptionError(message)
        self.read_kwargs = dict(self.read_kwargs or {})
        self.outputs_are_complete = self.fields is not None

    @abstractmethod
    def read_file(self, path: str) -> pd.DataFrame | pa.Table:
        """Return the rows of one file, with the columns of `fields` where it has them."""

    def can_split(self) -> bool:
        """Say whether the stage reads parts of files, through `read_part`. The default does not."""
        return False

    def read_part(self, path: str, start: int, stop: int) -> pd.DataFrame | pa.Table:
        """Return the rows of a file that begin at bytes from `start` up to `stop`, that one excluded; there may be none."""
        message = f"stage {self.name!r} does not read parts of files; make its tasks with split_files=False"
        raise NotImplementedError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns, as far as they are known before reading."""
        return ["data"], list(self.fields or [])

    def ray_stage_spec(self) -> dict[str, Any]:
        """Return that workers keep no state between tasks."""
        return {"is_actor_stage": self._generate_ids or self._assign_ids}

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the packages that read text are not installed."""
        for package in ("pandas", "pyarrow"):
            require(package, extra="text", purpose=f"stage {self.name!r}")

    def process(self, task: FileGroupTask) -> DocumentBatch | None:
        """Read all files of the group, one after the other, or a part of one; nothing if no row begins in that part.

        Raises:
            InputError: A file is gone or may not be read.
            DataError: A file is not of the format, or there is not a single row.
        """
        if task.byte_range is not None:
            part = self.read_part(str(task.data[0]), *task.byte_range)
            return DocumentBatch(dataset_name=task.dataset_name, data=part) if len(part) else None
        parts = [self.read_file(str(path)) for path in task.data]
        rows = sum(len(part) for part in parts)
        if rows == 0 and not self.allow_empty:
            files = ", ".join(map(str, task.data[:3])) + (", ..." if len(task.data) > 3 else "")
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} has no rows; its {len(task.data)} "
                f"file(s) are empty: {files}. Pass allow_empty=True if that is as it should be"
            )
            raise DataError(message)
        return DocumentBatch(dataset_name=task.dataset_name, data=_concatenate(parts))

    @property
    def _storage_options(self) -> dict[str, Any] | None:
        return self.read_kwargs.get("storage_options")

    def _columns_missing(self, path: str, missing: list[str], there: list[str]) -> str:
        columns = ", ".join(map(repr, missing))
        return f"stage {self.name!r}: {path} has no column {columns}; it has: {', '.join(there) or 'none'}"


def _concatenate(parts: list[Any]) -> pd.DataFrame | pa.Table:
    """Put the rows of files below one another: as tables if all are, and if columns of the same name are of one type."""
    import pyarrow as pa

    filled = [part for part in parts if len(part)] or parts[:1]
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


class FileReader(CompositeStage[EmptyTask, DocumentBatch]):
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

    def __post_init__(self) -> None:
        super().__init__()
        self._parts()  # refuses wrong options where the user wrote them

    @abstractmethod
    def _reader_stage(self) -> BaseReader:
        """Return the stage that reads a group of files."""

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stage that lists files and the stage that reads them.

        Raises:
            NotImplementedError: A task type other than documents is asked for.
        """
        if self.task_type != "document":
            message = f"stage {self.name!r} reads documents only; task_type={self.task_type!r} does not exist"
            raise NotImplementedError(message)
        return self._parts()

    def _parts(self) -> list[ProcessingStage[Any, Any]]:
        reader = self._reader_stage()
        partitioning = FilePartitioningStage(
            file_paths=self.file_paths,
            files_per_partition=self.files_per_partition,
            blocksize=self.blocksize,
            file_extensions=self.file_extensions,
            storage_options=(self.read_kwargs or {}).get("storage_options"),
            split_files=reader.can_split(),
        )
        return [partitioning, reader]

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
