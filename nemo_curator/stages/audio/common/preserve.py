"""`PreserveByValueStage`: keep entries by one of their values."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask, NoneTask

__all__ = ["PreserveByValueStage"]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operators.lt,
    "le": operators.le,
    "eq": operators.eq,
    "ne": operators.ne,
    "ge": operators.ge,
    "gt": operators.gt,
}


@dataclass
class PreserveByValueStage(ProcessingStage[AudioTask, AudioTask]):
    """Keep the entries whose value compares as wanted; the others are dropped with the reason ``<key>_not_<operator>``.

    Attributes:
        input_value_key: Key of the value.
        target_value: What it is compared with.
        operator: ``lt``, ``le``, ``eq``, ``ne``, ``ge`` or ``gt``: the value must be less than the target, and so on.
    """

    input_value_key: str
    target_value: Any
    operator: str = "eq"
    name: str = "preserve_by_value"

    def __post_init__(self) -> None:
        if self.operator not in _OPERATORS:
            message = f"stage {self.name!r}: operator {self.operator!r} is not known; known: {', '.join(_OPERATORS)}"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the value."""
        return ["data"], [self.input_value_key]

    def process(self, task: AudioTask) -> AudioTask:
        """Raise: the stage works on batches."""
        message = f"stage {self.name!r} works on batches; call process_batch"
        raise NotImplementedError(message)

    def process_batch(self, tasks: list[AudioTask]) -> list[AudioTask | NoneTask]:
        """Return, in the place of every task, the task or that it was dropped.

        Raises:
            ValueError: A task lacks the value, or it cannot be compared.
        """
        return [self._judged(task) for task in tasks]

    def _judged(self, task: AudioTask) -> AudioTask | NoneTask:
        if not self.validate_input(task):
            message = f"stage {self.name!r} cannot take task {task.task_id or task!r}: {self.explain_invalid(task)}"
            raise DataError(message)
        value = task.data[self.input_value_key]
        try:
            kept = _OPERATORS[self.operator](value, self.target_value)
        except TypeError as error:
            message = (
                f"stage {self.name!r}: {self.input_value_key} of task {task.task_id or task!r} is {value!r}: {error}"
            )
            raise DataError(message) from error
        return task if kept else NoneTask(reason=f"{self.input_value_key}_not_{self.operator}")
