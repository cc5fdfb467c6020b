"""Stages that were written for a resumability actor run, and are resumed, without one."""

from __future__ import annotations

from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing import Number
from nemo_curator.testing.stages import Count
from nemo_curator.utils.resumability_client import (
    ACTOR_NAME,
    completed_resumability_sources,
    flush_resumability_deltas,
    is_resumability_actor_active,
)


class Reports(ProcessingStage[Number, Number]):
    """Tells an actor what it does, as a backend that counts would."""

    name = "reports"

    def process(self, task: Number) -> Number | None:
        source = task.get_source_id()
        assert not is_resumability_actor_active()
        assert completed_resumability_sources([source]) == set()
        flush_resumability_deltas([(task.task_id, source, -1)])
        return task


def test_what_is_reported_changes_nothing_about_what_is_finished(tmp_path: Path) -> None:
    def run() -> list[int]:
        pipeline = Pipeline("p", stages=[Count(3), Reports()])
        outputs = pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path))
        return [output.data for output in outputs or []]

    assert run() == [0, 1, 2]
    assert run() == []


def test_the_name_is_that_of_the_contract() -> None:
    assert ACTOR_NAME == "nemo_curator_resumability"
