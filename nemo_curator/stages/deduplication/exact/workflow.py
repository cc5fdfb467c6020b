"""`ExactDeduplicationWorkflow`: finds, and removes if asked to, documents with equal texts, in any amount of them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.exact.identification import (
    DUPLICATE_OF,
    ExactDuplicateIdentification,
    HashTextsStage,
)
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder, part_tasks
from nemo_curator.stages.deduplication.steps_workflow import DedupInput, Steps
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.file_listing import METADATA_DIRNAME

if TYPE_CHECKING:
    import pyarrow as pa

    from nemo_curator.stages.deduplication.report import Chart

__all__ = ["ExactDeduplicationWorkflow"]

_IDS, _KEPT, _GENERATOR = "ExactDuplicateIds", "ExactDuplicateOf", "exact_id_generator.json"
_NUMBER_OF_TASKS_PER_PART = 3


class ExactDeduplicationWorkflow(WorkflowBase):
    """Group documents by the MD5 of their text, keep the one with the smallest id of every group, and name the others.

    What it writes, in `output_path`:

    * ``ExactDuplicateIds/part.<N>.parquet``: a column with the ids to remove, sorted in each file.
    * ``ExactDuplicateOf/part.<N>.parquet``: the same ids, each with the id of the document that stays, ``_duplicate_of``.
    * ``exact_id_generator.json``: the ids that documents were given, with `assign_id`.
    * ``deduplicated/``: the documents that stay, with `perform_removal`.

    The same comes out on every backend and with any number of workers. Of a part all digests are in memory at a time, so more parts need
    less of it; documents are in memory a task at a time.

    Args:
        output_path: Folder, or a URL.
        input_path: What to read: a path, or a list; not needed when `run` is given tasks.
        input_filetype: ``"parquet"`` or ``"jsonl"``.
        input_blocksize: Bytes in a task.
        identification_batchsize: Has no meaning here: what one worker reads at a time is a task.
        input_file_extensions: What file names must end in.
        read_kwargs: Options of the reader, and ``storage_options`` of the input.
        write_kwargs: ``storage_options`` of the output.
        assign_id: Number the documents. Otherwise they have ids, in `id_field`.
        id_field: Column of the ids.
        text_field: Column of the text.
        perform_removal: Write the documents that stay, too.
        total_nparts: Into how many parts digests are divided; a third of the number of tasks when not given.
        rmm_pool_size: For GPUs; not looked at, and so are the next three.
        spill_memory_limit: See `rmm_pool_size`.
        env_vars: See `rmm_pool_size`.
        use_async_memory: See `rmm_pool_size`.
        normalize_text: Compare texts in lower case, with every run of white space as one space and none at the ends.

    Raises:
        OptionError: `assign_id` and `id_field` contradict each other, or a value that is not possible.
    """

    def __init__(
        self,
        output_path: str,
        input_path: str | list[str] | None = None,
        input_filetype: str = "parquet",
        input_blocksize: int | str | None = "256MiB",
        identification_batchsize: int = 1,
        input_file_extensions: list[str] | None = None,
        read_kwargs: dict[str, Any] | None = None,
        write_kwargs: dict[str, Any] | None = None,
        assign_id: bool = True,
        id_field: str | None = None,
        text_field: str = "text",
        perform_removal: bool = False,
        total_nparts: int | None = None,
        rmm_pool_size: int | str | None = "auto",
        spill_memory_limit: int | str | None = "auto",
        env_vars: dict[str, Any] | None = None,
        use_async_memory: bool = True,
        normalize_text: bool = False,
    ) -> None:
        if assign_id == (id_field is not None):
            message = "give documents numbers with assign_id=True, or name their column of ids with assign_id=False, id_field=...: one of both"
            raise OptionError(message)
        if total_nparts is not None and total_nparts < 1:
            message = f"total_nparts must be at least 1, got {total_nparts}"
            raise OptionError(message)
        self.input = DedupInput(
            input_path,
            input_filetype,
            input_blocksize,
            input_file_extensions,
            dict(read_kwargs or {}),
            text_field,
            id_field,
        )
        self.input.check_apart(output_path)
        self.output_path = output_path
        self.storage_options: dict[str, Any] | None = (write_kwargs or {}).get("storage_options")
        self.perform_removal = perform_removal
        self.total_nparts = total_nparts
        self.normalize_text = normalize_text

    def run(
        self,
        initial_tasks: Iterable[FileGroupTask] | None = None,
        executor: BaseExecutor | None = None,
        checkpoint_path: str | None = None,
    ) -> WorkflowRunResult:
        """Find duplicates; remove them if that was asked for.

        Args:
            initial_tasks: Groups of files to read instead of `input_path`.
            executor: Where to run; as for `Pipeline.run` when not given.
            checkpoint_path: A folder in which every step notes how far it is: a run that was killed goes on there.

        Returns:
            Tasks of the pipelines ``input_filegroups``, ``identification`` and, if asked for, ``removal``; the metadata ``total_time``,
            ``input_filegroups_time``, ``identification_time`` (seconds), ``num_duplicates`` and ``id_generator_path``.

        Raises:
            OptionError: There is neither a path nor tasks.
            DataError: Texts that are not text; ids that are missing, of different kinds, or there twice.
            CuratorError: The run could not start, or ended early.
        """
        with Steps("exact_deduplication", executor, checkpoint_path) as steps:
            groups = self.input.groups(steps, initial_tasks)
            generator = None
            if self.input.id_field is None:
                path = posixpath.join(self.output_path, _GENERATOR)
                generator = self.input.note_ids(groups, path, self.storage_options)
            found = self._identify(steps, groups)
            if self.perform_removal:
                from nemo_curator.stages.deduplication.removal_step_workflow import remove_duplicates

                remove_duplicates(steps, self.input, groups, found, self.output_path, self.storage_options)
            return steps.done(num_duplicates=found.rows(), id_generator_path=generator)

    def kept_instead(self) -> pa.Table:
        """Return what a run has found: what goes, ``id``, and what stays in its place, ``kept``.

        Raises:
            InputError: No run has come to its end.
        """
        folder = PartFolder.at(self.output_path, _KEPT, storage_options=self.storage_options)
        return folder.table([self.input.id_field or CURATOR_DEDUP_ID_STR, DUPLICATE_OF], ["id", "kept"])

    @property
    def sampled_field(self) -> str | None:
        """The column that a report shows samples of."""
        return self.input.text_field

    def charts(self) -> list[Chart]:
        """Return what a report shows beside: nothing."""
        return []

    def _identify(self, steps: Steps, groups: list[FileGroupTask]) -> PartFolder:
        parts = self.total_nparts or max(1, len(groups) // _NUMBER_OF_TASKS_PER_PART)
        ids = self.input.id_field or CURATOR_DEDUP_ID_STR
        shuffled, found, kept = (
            PartFolder.at(self.output_path, *inner, storage_options=self.storage_options)
            for inner in ((METADATA_DIRNAME, "exact_shuffle"), (_IDS,), (_KEPT,))
        )
        hashing = HashTextsStage(
            shuffled.path, parts, self.input.text_field, ids, self.normalize_text, self.storage_options
        )
        steps.run(
            "hashing",
            self.input.source(groups),
            self.input.reader(),
            hashing,
            of="identification",
            timed="identification_time",
        )
        naming = ExactDuplicateIdentification(
            shuffled.path, found.path, kept.path, ids, self.storage_options, self.storage_options
        )
        steps.run(
            "identification",
            part_tasks(shuffled.state(), parts),
            naming,
            of="identification",
            timed="identification_time",
        )
        steps.discard(shuffled)
        return found
