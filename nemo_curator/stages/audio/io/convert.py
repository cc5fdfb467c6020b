"""`AudioToDocumentStage`: entries become rows of a batch of documents."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import require
from nemo_curator.stages.audio.common.entries import SIGNAL_KEYS, is_array
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask, DocumentBatch

__all__ = ["AudioToDocumentStage"]

_log = logging.getLogger(__name__)

_LEFT_OUT = SIGNAL_KEYS | {"segments"}


@dataclass
class AudioToDocumentStage(ProcessingStage[AudioTask, DocumentBatch]):
    """Make one batch of documents of up to `batch_size` entries: a row each, a column for every key that one of them has.

    ``waveform``, ``audio``, ``audio_data``, ``audio_array`` and ``segments`` are left out, and other arrays and tensors, with a warning.
    Put a `DocumentBatch` stage after it, such as `Modify` or `JsonlWriter`. The names of the data sets are joined by commas.
    """

    name: str = "audio_to_document"

    batch_size = 64

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if pandas is not installed."""
        require("pandas", extra="audio", purpose=f"stage {self.name!r}")

    def process(self, task: AudioTask) -> DocumentBatch:
        """Raise: the stage works on batches."""
        message = f"stage {self.name!r} works on batches; call process_batch"
        raise NotImplementedError(message)

    def process_batch(self, tasks: list[AudioTask]) -> list[DocumentBatch]:
        """Return one batch with a row for every task; nothing for nothing."""
        import pandas as pd

        if not tasks:
            return []
        frame = pd.DataFrame([self._row(task) for task in tasks])
        names = dict.fromkeys(task.dataset_name for task in tasks)
        perf = [record for task in tasks for record in task._stage_perf]
        return [DocumentBatch(dataset_name=",".join(names), data=frame, _stage_perf=perf)]

    def _row(self, task: AudioTask) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for key, value in task.data.items():
            if key in _LEFT_OUT:
                continue
            if is_array(value):
                _log.warning(
                    "stage %r: %r of task %s is an array and is left out", self.name, key, task.task_id or "(new)"
                )
                continue
            row[key] = value
        return row
