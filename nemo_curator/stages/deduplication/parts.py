"""Tables that the steps of a deduplication leave for one another: files in a folder, and the manifest that says which of them count.

A step writes each of its files complete, under a name made from its task, and notes it; when all of the step is done, the manifest is laid
down and files of earlier runs are removed. The next step reads what the manifest names and nothing else, so it makes no difference to it
how often the one before was killed.
"""

from __future__ import annotations

import copy
import hashlib
import json
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_curator.errors import DataError, InputError, OutputError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask, FileGroupTask, Task
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.output_manifest import DigestingHandle, OutputFolder, RunOutput, WrittenFile

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARROW", "PARQUET", "GivenTasksStage", "PartFolder", "PartTask", "PartWriter", "part_tasks"]

PARQUET, ARROW = ".parquet", ".arrow"
"""What names of files end in: those of what is kept, and of what is read once, by parts."""

X = TypeVar("X", bound="Task[Any]")


@dataclass(frozen=True)
class PartFolder:
    """A folder of Parquet files that one step writes and another reads.

    Attributes:
        path: The folder, absolute, or a URL.
        storage_options: For the filesystem of a URL.
    """

    path: str
    storage_options: dict[str, Any] | None = None

    @classmethod
    def at(cls, *path: str, storage_options: dict[str, Any] | None = None) -> PartFolder:
        """Return the folder of a path whose parts are given; a relative one is resolved here."""
        joined = posixpath.join(*path)
        return cls(joined.rstrip("/") if is_remote_url(joined) else local_path(joined), storage_options)

    @property
    def _folder(self) -> OutputFolder:
        return OutputFolder(self.path, self.storage_options)

    def write(self, name: str, table: pa.Table, stage: ProcessingStage[Any, Any], **options: Any) -> FileGroupTask:
        """Write a file, complete or not at all, and note it with the stage; return the task that names it.

        Args:
            name: Name of the file, without the extension.
            table: What is in it.
            stage: Who writes it.
            options: Of `pyarrow.parquet.write_table`.

        Raises:
            OutputError: It cannot be written.
        """
        import pyarrow.parquet as pq

        with self.open(name, table.num_rows, stage) as handle:
            pq.write_table(table, handle, **options)
        return self.task(name)

    @contextmanager
    def open(
        self, name: str, rows: int, stage: ProcessingStage[Any, Any], extension: str = PARQUET
    ) -> Iterator[DigestingHandle]:
        """Open a file for writing, as `write` does; what is written to it may be of another format."""
        folder, name = self._folder, f"{name}{extension}"
        try:
            with folder.writing(name) as handle:
                yield handle
        except OSError as error:
            message = f"stage {stage.name!r}: cannot write {self.path}/{name}: {error.strerror or error}. No part of it was left"
            raise OutputError(message) from error
        stage.record_written(WrittenFile(folder.url(name), rows, handle.nbytes, handle.sha256))

    def put(self, name: str, content: bytes) -> None:
        """Write a file of another kind, complete or not at all; no manifest names it.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with self._folder.writing(name) as handle:
                handle.write(content)
        except OSError as error:
            message = f"cannot write {self.path}/{name}: {error.strerror or error}. No part of it was left"
            raise OutputError(message) from error

    def get(self, name: str) -> bytes | None:
        """Return what `put` wrote; `None` if there is no such file."""
        fs, inner = self._folder.place
        path = posixpath.join(inner, name)
        try:
            with open(path, "rb") if fs is None else fs.open(path, "rb") as handle:
                return handle.read()
        except FileNotFoundError:
            return None

    def task(self, name: str, extension: str = PARQUET) -> FileGroupTask:
        """Return the task that stands for a file of this folder."""
        return FileGroupTask("deduplication", [self._folder.url(f"{name}{extension}")])

    def tasks_of_all(self) -> GivenTasksStage:
        """Return the stage that a step begins with which takes every file of this folder as a task."""
        tasks = [self.task(name.removesuffix(PARQUET)) for name in self.names()]
        return GivenTasksStage(tasks, storage_options=self.storage_options)

    def commit(self, output: RunOutput) -> None:
        """Lay the manifest down for what a run has written here, and remove files of these formats that it has not."""
        self._folder.commit(output, replaces=(PARQUET, ARROW))

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return what the manifest says: for every file its rows, bytes and SHA-256.

        Raises:
            InputError: There is no manifest: what writes here has not come to its end.
        """
        manifests = self._folder.manifests()
        if not manifests:
            message = f"{self.path} has no manifest: the step that writes to it has not come to its end. Run it, and then this"
            raise InputError(message)
        return {name: entry for entries in manifests.values() for name, entry in sorted(entries.items())}

    def listed(self) -> list[str]:
        """Return the names of what is there, files and folders, sorted, whether a manifest names it or not."""
        return self._folder.names()

    def names(self) -> list[str]:
        """Return the names of the files that count, sorted."""
        return sorted(self.entries())

    def rows(self) -> int:
        """Return the number of rows of all files."""
        return sum(entry["rows"] for entry in self.entries().values())

    def state(self) -> str:
        """Return a digest of everything in the folder; it does not depend on when that was written."""
        content = json.dumps({name: entry["sha256"] for name, entry in self.entries().items()}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    @contextmanager
    def reading(self, name: str) -> Iterator[Any]:
        """Open a file of the folder as a `pyarrow.parquet.ParquetFile`; raises what `source` raises."""
        import pyarrow.parquet as pq

        with self.source(name) as source:
            yield pq.ParquetFile(source)

    @contextmanager
    def source(self, name: str) -> Iterator[pa.NativeFile]:
        """Open a file of the folder for Arrow.

        Raises:
            DataError: It is gone or damaged.
        """
        import pyarrow as pa

        fs, inner = self._folder.place
        path = posixpath.join(inner, name)
        try:
            source = pa.OSFile(path) if fs is None else pa.PythonFile(fs.open(path, "rb"), mode="r")
            with source:
                yield source
        except (pa.ArrowInvalid, FileNotFoundError) as error:
            message = (
                f"{self.path}/{name} is gone or damaged: {error}. Start again, without a checkpoint, to make it anew"
            )
            raise DataError(message) from error

    def table(self, columns: Sequence[str], names: Sequence[str]) -> pa.Table:
        """Return some columns of all files that count, under other names, in the order of files.

        Args:
            columns: What to read.
            names: What to call these.
        """
        import pyarrow as pa

        tables: list[pa.Table] = []
        for name in self.names():
            with self.reading(name) as file:
                tables.append(file.read(columns=list(columns)).select(list(columns)).rename_columns(list(names)))
        none = pa.table({name: pa.nulls(0, pa.int64()) for name in names})
        return pa.concat_tables(tables) if tables else none

    def remove(self) -> None:
        """Remove the folder with all that is in it; fine if it is not there."""
        fs, inner = self._folder.place
        if fs is None:
            import shutil

            shutil.rmtree(inner, ignore_errors=True)
        elif fs.exists(inner):
            fs.rm(inner, recursive=True)


class PartWriter(ProcessingStage[X, FileGroupTask]):
    """A step that writes files into a folder; `process` writes with `PartFolder.write`."""

    outputs_are_complete = True

    folder: PartFolder

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest down."""
        self.folder.commit(output)


@dataclass(repr=False)
class PartTask(Task[int]):
    """One of the parts that work is divided into: `data` is its number.

    Attributes:
        state: Digest of what the parts are cut from; another one makes it another source.
    """

    state: str = ""

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Any number is fine."""
        return True

    def get_deterministic_id(self) -> str:
        """Return the number, as a name."""
        return f"part{self.data}"

    def content_state(self) -> str:
        """Return the digest."""
        return self.state


class GivenTasksStage(ProcessingStage[EmptyTask, Task[Any]]):
    """The source of a pipeline whose tasks are known: named by their content, so that a resumed run knows them again.

    Args:
        tasks: The tasks.
        is_source_stage: Whether they are the units of progress; not where a later stage makes these.
        name: Name of the stage.
        storage_options: For the filesystem of the files that they name.
    """

    def __init__(
        self,
        tasks: Sequence[Task[Any]],
        is_source_stage: bool = True,
        name: str = "given_tasks",
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        self.tasks = list(tasks)
        self.is_source_stage = is_source_stage
        self.name = name
        self.storage_options = storage_options

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return nothing certain: it depends on the tasks."""
        return ["data"], []

    def num_workers(self) -> int | None:
        """Return 1: there is one list."""
        return 1

    def process(self, task: EmptyTask) -> list[Task[Any]]:
        """Return the tasks."""
        if not self.storage_options:
            return self.tasks
        given = [copy.copy(each) for each in self.tasks]
        return [each.reached_with(self.storage_options) if isinstance(each, FileGroupTask) else each for each in given]


def part_tasks(state: str, number: int) -> GivenTasksStage:
    """Return the source of `number` parts of something that has this digest."""
    return GivenTasksStage([PartTask("deduplication", part, state=f"{state} {number}") for part in range(number)])
