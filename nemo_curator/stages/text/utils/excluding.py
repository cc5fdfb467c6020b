"""What the stages that drop documents have in common: every drop has a reason, and what was dropped may be kept elsewhere."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nemo_curator.errors import OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.base import BaseWriter
    from nemo_curator.utils.output_manifest import RunOutput

__all__ = ["REASON_FIELD", "ExcludingStage"]

REASON_FIELD = "drop_reason"
"""Column of the excluded documents that says why; it replaces a column of that name."""


class ExcludingStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Counts what it drops by reason and, where it was given a folder, writes the dropped documents there.

    One file for every batch of which something was dropped, through a writer of `nemo_curator.stages.text.io.writer`: complete or not
    at all, named after the batch, so that another attempt replaces it by the same, and listed in a manifest when the run is complete.
    Rows are as they came to the stage, in their order, with the reason beside them.
    """

    _exclusions: BaseWriter | None = None

    def check_before_run(self) -> None:
        """Raise `OutputError` if excluded documents cannot be written where they shall go. Driver side, before any worker starts."""
        if self._exclusions is not None:
            self._exclusions.check_before_run()

    def check_before_resume(self) -> None:
        """The same, where an earlier run goes on."""
        if self._exclusions is not None:
            self._exclusions.check_before_resume()

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest of the excluded documents down. Driver side, when the run is complete."""
        if self._exclusions is not None:
            self._exclusions.commit_output(output)

    def _exclude_to(self, exclusions: str | BaseWriter | None) -> None:
        """Take the argument of the constructor; call it once the stage has its name."""
        self._exclusions = None if exclusions is None else _as_writer(exclusions, self.name)

    def _drop(self, rows: Rows, reasons: Sequence[str | None], excluded: dict[int, str]) -> None:
        """Drop the rows that have a reason to be dropped; count them, and note their places in the batch in `excluded`."""
        counts = Counter(reason for reason in reasons if reason is not None)
        if not counts:
            return
        if self._exclusions is not None:
            places = zip(rows.positions, reasons, strict=True)
            excluded.update((place, reason) for place, reason in places if reason is not None)
        rows.keep([reason is None for reason in reasons])
        for reason, count in counts.items():
            self.record_drops(reason, count)

    def _write_excluded(self, task: DocumentBatch, excluded: dict[int, str]) -> None:
        """Write the rows noted in `excluded`. Called once a batch, after its last drop; may raise what writers raise."""
        if self._exclusions is None or not excluded:
            return
        rows = Rows(task)
        rows.keep([place in excluded for place in range(len(rows))])
        rows.set_column(REASON_FIELD, [excluded[place] for place in sorted(excluded)])
        batch = rows.to_batch()
        batch._metadata = task._metadata
        # Stages that share a folder shall not share a file. Without an engine there are no ids; the content does then.
        batch.task_id = f"{task.task_id} {self.name}" if task.task_id else ""
        self._exclusions.process(batch)
        for file in self._exclusions._consume_written():
            self.record_written(file)


def _as_writer(exclusions: str | BaseWriter, stage: str) -> BaseWriter:
    from nemo_curator.stages.text.io.writer.base import BaseWriter

    if isinstance(exclusions, BaseWriter):
        return copy.deepcopy(exclusions)
    if not isinstance(exclusions, str) or not exclusions:  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        message = (
            f"stage {stage!r}: exclusions must be a folder, a JsonlWriter or ParquetWriter, or None, got {exclusions!r}"
        )
        raise OptionError(message)
    from nemo_curator.stages.text.io.writer.jsonl import JsonlWriter

    return JsonlWriter(exclusions, name=f"{stage} (excluded documents)")
