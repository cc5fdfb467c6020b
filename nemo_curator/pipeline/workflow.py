"""Workflows: several pipelines in a row, and what they made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.tasks import Task

__all__ = ["WorkflowBase", "WorkflowRunResult"]


@dataclass
class WorkflowRunResult:
    """What a workflow made.

    Attributes:
        workflow_name: Name of the workflow.
        pipeline_tasks: The tasks that each of its pipelines returned, by the pipeline's name.
        metadata: Times, counts and paths, by name.
    """

    workflow_name: str
    pipeline_tasks: dict[str, list[Task[Any]]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def add_pipeline_tasks(self, pipeline_name: str, tasks: Iterable[Task[Any]] | None) -> None:
        """Keep what a pipeline returned."""
        self.pipeline_tasks[pipeline_name] = list(tasks or ())

    def extend_metadata(self, updates: Mapping[str, Any] | None) -> None:
        """Add several values."""
        self.metadata.update(updates or {})

    def add_metadata(self, key: str, value: object) -> None:
        """Add a value."""
        self.metadata[key] = value

    def get_metadata(self, key: str) -> Any:
        """Return a value; `None` if there is none."""
        return self.metadata.get(key)


class WorkflowBase(ABC):
    """Several pipelines that are run as one."""

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> WorkflowRunResult:
        """Run all pipelines and return what they made."""
