"""`BackendUnderTest`: an executor class with the arguments to test it with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.engine.report import RunReport
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import Task
from nemo_curator.testing.journal import Journal

__all__ = ["BackendUnderTest", "RunResult"]


@dataclass(frozen=True)
class RunResult:
    """What a run returned and reported."""

    outputs: list[Task[Any]]
    report: RunReport

    @property
    def values(self) -> list[Any]:
        """The outputs' payloads, sorted."""
        return sorted(task.data for task in self.outputs)

    @property
    def ids(self) -> list[str]:
        """The outputs' ids, sorted."""
        return sorted(task.task_id for task in self.outputs)


@dataclass(frozen=True)
class BackendUnderTest:
    """A backend as a conformance case sees it.

    Attributes:
        name: For test ids.
        make: Makes an executor from options that every backend knows.
        folder: A folder of the case's own.
    """

    name: str
    make: Callable[..., BaseExecutor]
    folder: Path

    def run(
        self,
        *stages: ProcessingStage[Any, Any],
        tasks: Iterable[Task[Any]] | None = None,
        return_outputs: bool | None = None,
        checkpoint_path: str | None = None,
        shard: tuple[int, int] | None = None,
        **options: Any,
    ) -> RunResult:
        """Run stages on a new executor of this backend."""
        pipeline = self.pipeline(*stages)
        outputs = pipeline.run(self.make(**options), tasks, checkpoint_path, return_outputs=return_outputs, shard=shard)
        assert pipeline.last_report is not None
        return RunResult(outputs or [], pipeline.last_report)

    def pipeline(self, *stages: ProcessingStage[Any, Any]) -> Pipeline:
        """Return a pipeline of these stages."""
        pipeline = Pipeline("conformance")
        for stage in stages:
            pipeline.add_stage(stage)
        return pipeline

    def journal(self) -> Journal:
        """Return a journal in the case's folder."""
        return Journal(self.folder / "journal.txt")

    def __str__(self) -> str:
        return self.name
