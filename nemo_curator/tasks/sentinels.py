"""Tasks without a payload: the seed of a pipeline, and outcomes that a stage returns as a value.

Sentinels never reach the next stage. Returning `None` is the same as returning `NoneTask()`.
"""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.errors import StageContractError
from nemo_curator.tasks.base import Task

__all__ = ["EmptyTask", "FailedTask", "NoneTask", "SentinelTask"]


@dataclass(repr=False)
class SentinelTask(Task[None]):
    """Base of the tasks that carry no payload."""

    dataset_name: str = "sentinel"
    data: None = None

    @property
    def num_items(self) -> int:
        """Always 0."""
        return 0

    def validate(self) -> bool:
        """Raise `StageContractError` if there is a payload."""
        if self.data is not None:
            message = f"{type(self).__name__} carries no data, got {type(self.data).__name__}"
            raise StageContractError(message)
        return True


@dataclass(repr=False)
class EmptyTask(SentinelTask):
    """The seed that starts a pipeline whose first stage finds its own input."""

    dataset_name: str = "empty"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.task_id = "0"


@dataclass(repr=False)
class NoneTask(SentinelTask):
    """Return it to drop a task, with the reason that the report shall count it under."""

    dataset_name: str = "none"
    reason: str = "none"


@dataclass(repr=False)
class FailedTask(SentinelTask):
    """Return it to say that this task failed and may be tried again by a later run."""

    dataset_name: str = "failed"
    reason: str = "the stage returned FailedTask"
