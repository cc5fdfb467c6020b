"""What becomes of a task whose sound cannot be used: it is dropped with a reason, and a sentence goes to the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from nemo_curator.tasks import AudioTask, NoneTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.limits import UnreadableAudio
    from nemo_curator.stages.base import ProcessingStage

__all__ = ["dropped", "refused", "task_name"]

_log = logging.getLogger(__name__)


def task_name(task: AudioTask) -> str:
    """Return how messages call a task."""
    return f"task {task.task_id or '(new)'}"


def dropped(reason: str) -> Any:
    """Return what `process` returns for a task that it drops with a reason; typed as anything, as it stands where a task would."""
    return NoneTask(reason=reason)


def refused(stage: ProcessingStage[Any, Any], task: AudioTask, error: UnreadableAudio) -> Any:
    """Say in the log what is wrong, and return that the task was dropped for it."""
    _log.warning("stage %r dropped %s: %s", stage.name, task_name(task), error)
    return dropped(error.reason)
