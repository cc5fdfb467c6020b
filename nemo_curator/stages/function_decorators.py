"""`processing_stage`: a stage from a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.fanout import returns_many
from nemo_curator.stages.resources import Resources

__all__ = ["processing_stage"]


class _FunctionStage(ProcessingStage[Any, Any]):
    """A stage whose `process` is a function."""

    _is_abstract_root = True
    function: Callable[[Any], Any]

    def process(self, task: Any) -> Any:
        """Call the function."""
        return type(self).function(task)

    def is_fanout_stage(self) -> bool:
        """Say whether the function is annotated to return several tasks."""
        return returns_many(type(self).function)


def processing_stage(
    *, name: str, resources: Resources | Mapping[str, float] | None = None, batch_size: int | None = None
) -> Callable[[Callable[[Any], Any]], ProcessingStage[Any, Any]]:
    """Turn a function of one task into a stage instance.

    The function returns what `ProcessingStage.process` may return: a task, several, or `None` to drop the task.

    Args:
        name: Name of the stage, and of the class that is made for it.
        resources: What one worker needs; a mapping gives the fields of `Resources`.
        batch_size: Kept as given; a function is called for one task at a time anyhow.

    Raises:
        ValueError: The function does not take exactly one parameter.
    """

    def decorate(function: Callable[[Any], Any]) -> ProcessingStage[Any, Any]:
        parameters = inspect.signature(function).parameters
        if len(parameters) != 1:
            message = (
                f"the function of stage {name!r} must take exactly one parameter, the task; it takes {len(parameters)}"
            )
            raise ValueError(message)
        wanted = resources if isinstance(resources, Resources) else Resources(**(resources or {}))
        namespace = {
            "function": staticmethod(function),
            "__module__": function.__module__,
            "__qualname__": name,
            "__doc__": function.__doc__,
            "name": name,
            "resources": wanted,
            "batch_size": batch_size,
        }
        stage_class = type(ProcessingStage)(name, (_FunctionStage,), namespace)
        return stage_class()

    return decorate
