"""The last step of a workflow: the documents that stay are written."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

from nemo_curator.errors import DataError
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder
from nemo_curator.stages.deduplication.steps_workflow import DedupInput, Steps, reader_stage
from nemo_curator.stages.text.deduplication.removal import TextDuplicatesRemovalStage
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.tasks import FileGroupTask

__all__ = ["remove_duplicates"]


def remove_duplicates(
    steps: Steps,
    documents: DedupInput,
    groups: Sequence[FileGroupTask],
    found: PartFolder,
    output_path: str,
    storage_options: dict[str, Any] | None,
    *,
    duplicate_id_field: str | None = None,
    filetype: str | None = None,
    **writing: Any,
) -> None:
    """Write the documents that stay to ``deduplicated`` in the output: the pipeline ``removal``.

    Numbers that documents were given for this are not written.

    Args:
        steps: Runs it.
        documents: What was read.
        groups: The groups that it was read in, numbered if need be.
        found: The folder with the ids to remove.
        output_path: The workflow's output.
        storage_options: For its filesystem.
        duplicate_id_field: Column of the ids in that folder, where it is not that of the documents.
        filetype: Of the files that are written; that of what was read when not given.
        writing: More options of the writer.

    Raises:
        DataError: More documents had an id that is to be removed than there are such ids.
    """
    numbered = documents.id_field is None
    ids = documents.id_field or CURATOR_DEDUP_ID_STR
    reader = reader_stage(documents.filetype, None, documents.read_kwargs, generate=numbered)
    removal = TextDuplicatesRemovalStage(
        found.path, ids, duplicate_id_field or ids, {"storage_options": storage_options}, drop_id_field=numbered
    )
    # What is to be removed belongs to what a checkpoint looks at, as a stage's parameter.
    vars(removal)["_ids_state"] = found.state()
    target = posixpath.join(output_path, "deduplicated")
    options: dict[str, Any] = {**writing.pop("write_kwargs", {})}
    if storage_options:
        options["storage_options"] = storage_options
    kind = ParquetWriter if (filetype or documents.filetype) == "parquet" else JsonlWriter
    writer = kind(target, write_kwargs=options, mode="overwrite", **writing)
    steps.run("removal", documents.source(groups), reader, removal, writer, of="removal", timed="removal_time")
    removed = (
        0 if steps.last_report is None else steps.last_report.stage(removal.name).items_dropped.get("duplicate", 0)
    )
    if removed > found.rows():
        message = (
            f"{removed} documents have one of the {found.rows()} ids in {found.path}, so ids in column {ids!r} are not unique, and {target} lacks "
            "documents that are no duplicates. Make ids unique, or let ids be assigned, and run again"
        )
        raise DataError(message)
