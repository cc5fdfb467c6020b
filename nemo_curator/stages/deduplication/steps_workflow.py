"""What the workflows of deduplication have in common: they read documents with ids, and run pipeline after pipeline."""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.core.slurm_shards import ENABLED, SlurmArrayConfig
from nemo_curator.engine.report import RunReport
from nemo_curator.errors import OptionError, did_you_mean
from nemo_curator.pipeline import Pipeline, WorkflowRunResult
from nemo_curator.pipeline.pipeline import default_executor
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import IdGeneratorBase, names_of_group, refuse_id_generator_actor
from nemo_curator.stages.deduplication.parts import GivenTasksStage, PartFolder
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.reader.base import BaseReader
from nemo_curator.stages.text.io.reader.numbering import CountRowsStage, NumberGroupsStage, rows_counted
from nemo_curator.tasks import FileGroupTask, Task
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.file_utils import FILETYPE_TO_DEFAULT_EXTENSIONS

__all__ = ["DedupInput", "Steps", "check_filetype", "reader_stage", "run_whole"]


def check_filetype(option: str, value: str) -> None:
    """Raise `OptionError` unless it is a type of file that is read and written here."""
    known = ("parquet", "jsonl")
    if value not in known:
        message = (
            f"{option} must be one of {', '.join(map(repr, known))}; got {value!r}.{did_you_mean(str(value), known)}"
        )
        raise OptionError(message)


def reader_stage(
    filetype: str,
    fields: list[str] | None,
    read_kwargs: dict[str, Any] | None,
    *,
    generate: bool = False,
    id_generator_path: str | None = None,
) -> BaseReader:
    """Return the stage that reads files of a type; with ids as given by the tasks, or as noted in a file."""
    kind = ParquetReaderStage if filetype == "parquet" else JsonlReaderStage
    return kind(
        fields=fields,
        read_kwargs=dict(read_kwargs or {}),
        _generate_ids=generate,
        _assign_ids=id_generator_path is not None,
        allow_empty=True,
        id_generator_path=id_generator_path,
    )


def run_whole(pipeline: Pipeline, executor: BaseExecutor | None, checkpoint_path: str | None) -> list[Task[Any]]:
    """Run a pipeline over all of its sources, with a checkpoint of its own in `checkpoint_path`.

    Raises:
        OptionError: The process is a task of an array that divides sources: a shard has not all duplicates in it.
    """
    array = SlurmArrayConfig.from_env()
    if array is not None and array.total_shards > 1:
        message = (
            f"this process is task {array.shard_index} of an array of {array.total_shards}: each of them would look at a part of the "
            f"documents, and miss duplicates that are in others. Run the workflow once, or set {ENABLED}=0 if the array is about something else"
        )
        raise OptionError(message)
    checkpoint = None if checkpoint_path is None else posixpath.join(checkpoint_path, pipeline.name)
    # Also where the executor was told to bring nothing back: what comes is names of files, and some of it is needed.
    return pipeline.run(executor, checkpoint_path=checkpoint, return_outputs=True) or []


class Steps:
    """Runs the pipelines of a workflow, and keeps what they made and how long they took; in a ``with`` block they share processes.

    Args:
        name: Name of the workflow.
        executor: Where to run; as for `Pipeline.run` when not given. It may be changed between two pipelines.
        checkpoint_path: A folder with a checkpoint for every pipeline; `None` for none.
    """

    def __init__(self, name: str, executor: BaseExecutor | None, checkpoint_path: str | None) -> None:
        self.result = WorkflowRunResult(name)
        self.executor = executor or default_executor()
        self.checkpoint_path = checkpoint_path
        self.last_report: RunReport | None = None
        self._begun = time.perf_counter()
        self._kept = ExitStack()
        self._keeps: BaseExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def run(
        self, name: str, *stages: ProcessingStage[Any, Any], of: str | None, timed: str, whole: bool = False
    ) -> list[Task[Any]]:
        """Run a pipeline; return its tasks, those that this run has made.

        Args:
            name: Name of the pipeline, and of its checkpoint.
            stages: Its stages.
            of: Under which name the result has its tasks: several pipelines may be a step of the workflow. `None` where they are of
                no use to anybody else.
            timed: Under which name the result has its seconds.
            whole: Run it without a checkpoint: all of its tasks are wanted.
        """
        begun = time.perf_counter()
        self._keep_workers()
        pipeline = Pipeline(name, stages=list(stages))
        tasks = run_whole(pipeline, self.executor, None if whole else self.checkpoint_path)
        self.last_report = pipeline.last_report
        if of is not None:
            self.result.add_pipeline_tasks(of, [*self.result.pipeline_tasks.get(of, []), *tasks])
        spent = self.result.get_metadata(timed) or 0.0
        self.result.add_metadata(timed, spent + time.perf_counter() - begun)
        return tasks

    def refuse_other_ids(self) -> None:
        """Raise `IdGeneratorError` if the cluster of the run has an actor that gives out ids: the workflow numbers documents itself.

        Raises:
            ClusterError: The cluster that was named cannot be joined.
        """
        if self.executor.cluster_address is not None:
            self._keep_workers()
            refuse_id_generator_actor("number documents")

    def _keep_workers(self) -> None:
        if self._keeps is not self.executor:
            # Another executor may be for another cluster, and where a connection is kept nobody else connects.
            self._kept.close()
            self._kept.enter_context(self.executor.keeping_workers())
            self._keeps = self.executor

    def discard(self, folder: PartFolder) -> None:
        """Remove what was needed on the way; not where a later run may go on, as it counts on what is there."""
        if self.checkpoint_path is None:
            folder.remove()

    def done(self, **metadata: Any) -> WorkflowRunResult:
        """Return the result, with the total time."""
        self.result.extend_metadata({**metadata, "total_time": time.perf_counter() - self._begun})
        return self.result


@dataclass(frozen=True)
class DedupInput:
    """The documents that a workflow looks at.

    Attributes:
        path: What to read; `None` where tasks are given.
        filetype: ``"parquet"`` or ``"jsonl"``.
        blocksize: Bytes in a task.
        file_extensions: What file names must end in; `None` for what is usual.
        read_kwargs: Options of the reader.
        text_field: Column of the text.
        id_field: Column of the ids; `None` where documents are numbered.
        files_per_partition: Files in a task, in place of the bytes in it.
    """

    path: str | list[str] | None
    filetype: str
    blocksize: int | str | None
    file_extensions: list[str] | None
    read_kwargs: dict[str, Any]
    text_field: str
    id_field: str | None = None
    files_per_partition: int | None = None

    def __post_init__(self) -> None:
        check_filetype("input_filetype", self.filetype)

    @property
    def storage_options(self) -> dict[str, Any] | None:
        """For the filesystem of the input."""
        return self.read_kwargs.get("storage_options")

    def check_apart(self, *folders: str) -> None:
        """Raise `OptionError` if a folder that is written to is in one that is read: the next run would read what this one wrote."""
        entries = [self.path] if isinstance(self.path, str) else self.path or []
        for folder in folders:
            for entry in entries:
                inner, outer = (
                    f"{path if is_remote_url(path) else local_path(path)}".rstrip("/") + "/" for path in (folder, entry)
                )
                if inner.startswith(outer):
                    message = f"{folder} is in {entry}, which is read: the next run would read what this one writes. Choose a folder outside"
                    raise OptionError(message)

    def reader(self) -> BaseReader:
        """Return the stage that reads texts and ids."""
        fields = [self.text_field] if self.id_field is None else [self.text_field, self.id_field]
        return reader_stage(self.filetype, fields, self.read_kwargs, generate=self.id_field is None)

    def groups(self, steps: Steps, initial_tasks: Iterable[FileGroupTask] | None) -> list[FileGroupTask]:
        """Return the groups of files, numbered if need be: the pipeline ``input_filegroups``.

        Raises:
            OptionError: There is neither a path nor tasks.
        """
        given = list(initial_tasks or ())
        if not given and not self.path:
            message = "there is nothing to read: give input_path, or initial_tasks to run"
            raise OptionError(message)
        if self.id_field is None:
            steps.refuse_other_ids()
        reader = self.reader()
        source: ProcessingStage[Any, Any] = (
            GivenTasksStage(given, self.id_field is not None, storage_options=self.storage_options)
            if given
            else FilePartitioningStage(
                self.path or [],
                files_per_partition=self.files_per_partition,
                blocksize=None if self.files_per_partition else self.blocksize,
                file_extensions=self.file_extensions or FILETYPE_TO_DEFAULT_EXTENSIONS[self.filetype],
                storage_options=self.storage_options,
                split_files=reader.can_split(),
                in_order=True,
            )
        )
        numbering = (
            [CountRowsStage(reader), NumberGroupsStage(storage_options=self.storage_options)]
            if self.id_field is None
            else []
        )
        step = "input_filegroups"
        tasks = steps.run(step, source, *numbering, of=step, timed="input_filegroups_time", whole=True)
        groups = [task for task in tasks if isinstance(task, FileGroupTask)]
        return sorted(groups, key=lambda task: (list(map(str, task.data)), task.byte_range or ()))

    def source(self, groups: Sequence[FileGroupTask]) -> GivenTasksStage:
        """Return the stage that a step over these groups begins with."""
        return GivenTasksStage(groups, storage_options=self.storage_options)

    def note_ids(self, groups: Sequence[FileGroupTask], path: str, storage_options: dict[str, Any] | None) -> str:
        """Write the ids of the groups to a file; return its path."""
        generator = IdGeneratorBase()
        for group in groups:
            generator.register_batch(names_of_group(group), rows_counted(group, "number_groups"))
        if not is_remote_url(path):
            os.makedirs(os.path.dirname(local_path(path)), exist_ok=True)
        generator.to_disk(path, storage_options)
        return path
