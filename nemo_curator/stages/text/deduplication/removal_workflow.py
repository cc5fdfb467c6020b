"""`TextDuplicatesRemovalWorkflow`: reads a data set, leaves duplicates out, writes the rest."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import Pipeline, WorkflowBase, WorkflowRunResult
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import GivenTasksStage
from nemo_curator.stages.deduplication.steps_workflow import check_filetype, reader_stage, run_whole
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.deduplication.removal import TextDuplicatesRemovalStage
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.file_listing import file_state, iter_files
from nemo_curator.utils.file_utils import FILETYPE_TO_DEFAULT_EXTENSIONS
from nemo_curator.utils.hash_utils import get_deterministic_hash

__all__ = ["TextDuplicatesRemovalWorkflow"]


class TextDuplicatesRemovalWorkflow(WorkflowBase):
    """Read documents, leave out those whose ids are in a folder, write the others.

    Args:
        input_path: What to read: a path, or a list.
        ids_to_remove_path: Folder of Parquet files with the ids.
        output_path: Folder for what stays.
        input_filetype: ``"parquet"`` or ``"jsonl"``.
        input_fields: Columns to read; `None` for all.
        id_field: Column of the ids of documents.
        input_files_per_partition: Files in a task.
        input_blocksize: Bytes in a task. Where ids are assigned it must be what it was when they were given out.
        input_file_extensions: What file names must end in.
        input_task_limit: Tasks to read, from the first.
        input_kwargs: Options of the reader.
        duplicate_id_field: Column of the ids to remove. What the workflows of this package write has ``_curator_dedup_id``.
        duplicate_id_read_kwargs: ``storage_options`` for the folder of ids.
        id_generator_path: The file in which the ids of documents were noted; `None` if they have a column of their own.
        id_generator_storage_options: For its filesystem, where the reader has none.
        output_file_extension: What names of the output end in.
        output_filetype: ``"parquet"`` or ``"jsonl"``.
        output_kwargs: Options of the writer.
        output_fields: Columns to write; `None` for all.
        output_mode: What the writer does about files that are there; ``"ignore"`` when not given.
        drop_id_field: Leave the column of ids out of the output.

    Raises:
        OptionError: A file type that is not known, or a column of ids that shall be written and left out.
    """

    def __init__(
        self,
        input_path: str | list[str] | None,
        ids_to_remove_path: str,
        output_path: str,
        input_filetype: str = "parquet",
        input_fields: list[str] | None = None,
        id_field: str = CURATOR_DEDUP_ID_STR,
        input_files_per_partition: int | None = None,
        input_blocksize: int | str | None = None,
        input_file_extensions: list[str] | None = None,
        input_task_limit: int | None = None,
        input_kwargs: dict[str, Any] | None = None,
        duplicate_id_field: str = "id",
        duplicate_id_read_kwargs: dict[str, Any] | None = None,
        id_generator_path: str | None = None,
        id_generator_storage_options: dict[str, Any] | None = None,
        output_file_extension: str | None = None,
        output_filetype: str = "parquet",
        output_kwargs: dict[str, Any] | None = None,
        output_fields: list[str] | None = None,
        output_mode: str | None = None,
        drop_id_field: bool = False,
    ) -> None:
        check_filetype("input_filetype", input_filetype)
        check_filetype("output_filetype", output_filetype)
        if drop_id_field and id_field in (output_fields or ()):
            message = (
                f"drop_id_field=True leaves {id_field!r} out, but output_fields names it; take it out of one of them"
            )
            raise OptionError(message)
        if output_mode == "append":
            message = (
                "output_mode='append' is not possible: files are written whole; 'ignore' writes beside what is there"
            )
            raise OptionError(message)
        self.input_path = input_path
        self.ids_to_remove_path = ids_to_remove_path
        self.input_filetype = input_filetype
        self.partitioning: dict[str, Any] = {
            "files_per_partition": input_files_per_partition,
            "blocksize": input_blocksize,
            "file_extensions": input_file_extensions or FILETYPE_TO_DEFAULT_EXTENSIONS[input_filetype],
            "limit": input_task_limit,
        }
        kwargs = dict(input_kwargs or {})
        if id_generator_storage_options:
            kwargs.setdefault("storage_options", id_generator_storage_options)
        self.input_kwargs = kwargs
        fields = input_fields
        if fields is not None and id_generator_path is None and id_field not in fields:
            fields = [*fields, id_field]
        self.reader = reader_stage(input_filetype, fields, kwargs, id_generator_path=id_generator_path)
        self.removal = TextDuplicatesRemovalStage(
            ids_to_remove_path, id_field, duplicate_id_field, duplicate_id_read_kwargs, drop_id_field
        )
        writer = ParquetWriter if output_filetype == "parquet" else JsonlWriter
        self.writer = writer(
            output_path,
            file_extension=output_file_extension or output_filetype,
            write_kwargs=dict(output_kwargs or {}),
            fields=output_fields,
            mode=output_mode or "ignore",
        )

    def run(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: Iterable[FileGroupTask] | None = None,
        checkpoint_path: str | None = None,
    ) -> WorkflowRunResult:
        """Run the pipeline, ``removal``.

        Args:
            executor: Where to run; as for `Pipeline.run` when not given.
            initial_tasks: Groups of files to read instead of `input_path`.
            checkpoint_path: A folder in which the run notes how far it is, so that it can be gone on with.

        Returns:
            The tasks that name the files, and ``total_time`` in seconds and ``num_duplicates_removed``: the number of documents that this
            call left out.

        Raises:
            OptionError: There is neither a path nor tasks.
            CuratorError: The run could not start, or ended early.
        """
        begun = time.perf_counter()
        tasks = list(initial_tasks or ())
        if not tasks and not self.input_path:
            message = "there is nothing to read: give input_path, or initial_tasks to run"
            raise OptionError(message)
        pipeline = Pipeline("removal", "Leave out duplicates", stages=[self._source(tasks), self.reader])
        # What is to be removed belongs to what a checkpoint looks at, as a stage's parameter.
        vars(self.removal)["_ids_state"] = self._state_of_ids()
        pipeline.add_stage(self.removal).add_stage(self.writer)
        outputs = run_whole(pipeline, executor, checkpoint_path)
        assert pipeline.last_report is not None
        removed = pipeline.last_report.stage(self.removal.name).items_dropped.get("duplicate", 0)
        result = WorkflowRunResult("text_duplicates_removal")
        result.add_pipeline_tasks("removal", outputs)
        result.extend_metadata({"total_time": time.perf_counter() - begun, "num_duplicates_removed": removed})
        return result

    def _source(self, tasks: list[FileGroupTask]) -> ProcessingStage[Any, Any]:
        if tasks:
            return GivenTasksStage(tasks, storage_options=self.input_kwargs.get("storage_options"))
        # Where ids were given out files were grouped in order; ids are found again by the group.
        options: dict[str, Any] = {"in_order": self.reader._assign_ids, **self.partitioning}
        options["storage_options"] = self.input_kwargs.get("storage_options")
        return FilePartitioningStage(self.input_path or [], split_files=self.reader.can_split(), **options)

    def _state_of_ids(self) -> str:
        found = iter_files(self.removal.ids_to_remove_path, storage_options=self.removal.storage_options)
        return get_deterministic_hash(
            f"{file.path} {file_state(file.path, self.removal.storage_options)}" for file in found
        )
