"""`AddId`: gives every document an id."""

from __future__ import annotations

import logging

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

__all__ = ["AddId"]

_log = logging.getLogger(__name__)


class AddId(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Writes ids of the form ``<prefix>_<task id>_<row>``, rows counted from 0.

    The id of a task depends on the input and on the pipeline, so a second run over the same files gives the same ids, on
    every backend.

    Args:
        id_field: Column for the ids.
        id_prefix: Something in front, to tell data sets apart.
        overwrite: Replace a column of that name.
        name: Name of the stage.
    """

    outputs_are_complete = True

    def __init__(
        self, id_field: str, id_prefix: str | None = None, overwrite: bool = False, name: str = "add_id"
    ) -> None:
        self.id_field = id_field
        self.id_prefix = id_prefix
        self.overwrite = overwrite
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Any documents."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column of ids."""
        return ["data"], [self.id_field]

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with ids.

        Raises:
            ValueError: The column is there, and `overwrite` is off.
        """
        if self.id_field in task.get_columns():
            if not self.overwrite:
                message = f"there is a column {self.id_field!r} already; name another one or set overwrite=True"
                raise ValueError(message)
            _log.warning("stage %s replaces the column %r", self.name, self.id_field)
        head = "_".join(part for part in (self.id_prefix, task.task_id) if part)
        rows = Rows(task)
        rows.set_column(self.id_field, [f"{head}_{row}" for row in range(len(rows))])
        return rows.to_batch()
