from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.report import RunReport
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch

# No test asks a hub for anything: what is not in an installed package is not there.
os.environ["HF_HUB_OFFLINE"] = "1"

Everywhere = Callable[..., tuple[list[Any], RunReport]]


@pytest.fixture
def everywhere() -> Everywhere:
    """Runs stages inline, in threads and in processes, and returns what came of it, which must be the same in all three."""

    def run(*stages: ProcessingStage[Any, Any], tasks: list[DocumentBatch]) -> tuple[list[Any], RunReport]:
        results = []
        for mode in ("inline", "threads", "processes"):
            pipeline = Pipeline("everywhere", stages=list(stages))
            outputs = pipeline.run(LocalExecutor(mode=mode, num_workers=2, cpus=2), initial_tasks=tasks)
            assert outputs is not None
            rows = [task.to_pyarrow() for task in sorted(outputs, key=lambda task: task.task_id)]
            results.append((rows, pipeline.last_report))
        tables, report = results[0]
        for others, other_report in results[1:]:
            assert [table.to_pylist() for table in others] == [table.to_pylist() for table in tables]
            assert [table.schema.types for table in others] == [table.schema.types for table in tables]
            assert _counts(other_report) == _counts(report)
        return tables, report

    return run


def _counts(report: RunReport) -> list[Any]:
    return [(stage.name, stage.counts.items_out, stage.counts.items_dropped) for stage in report.stages]
