"""A worker that dies costs the guilty tasks, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.engine.report import RunReport
from nemo_curator.errors import SetupFailed, StageFailed, WorkerLost
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.testing import Number, numbers
from nemo_curator.testing.faults import Deadly, DeadlyLifecycle, LazyDeadly
from nemo_curator.testing.stages import Add, Count, Repeat


def _run(*stages: ProcessingStage[Any, Any], count: int = 40, **options: Any) -> tuple[list[int], RunReport]:
    pipeline = Pipeline("faults", stages=list(stages))
    executor = LocalExecutor(**{"num_workers": 2, "cpus": 2, "on_error": "quarantine", **options})
    outputs = pipeline.run(executor, initial_tasks=numbers(count) if count else None)
    assert pipeline.last_report is not None
    assert pipeline.last_report.imbalances() == []
    return [task.data for task in outputs or []], pipeline.last_report


@pytest.mark.parametrize("how", ["segv", "kill", "abort", "exit"])
def test_every_kind_of_death_is_blamed_on_its_task(how: str, tmp_path: Path) -> None:
    values, report = _run(Add(0), Deadly({7: how}), Add(1), quarantine_path=str(tmp_path))
    assert sorted(values) == [n + 1 for n in range(40) if n != 7]
    (failure,) = report.failures
    assert (failure.stage, failure.task_id, failure.attempts) == ("deadly", "0_7_0", 3)
    assert "WorkerLost: its worker" in failure.cause
    assert report.workers_lost == 3
    assert "in stage 'deadly' on task 0_7_0" in report.warnings[-1]
    (entry,) = Quarantine(str(tmp_path)).entries()
    assert Quarantine(str(tmp_path)).load(entry).data == 7


@pytest.mark.parametrize("batch_size", [None, 1, 3, 16])
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(("workers", "bundle_seconds"), [(1, 1.0), (2, 1e-6)])
def test_the_guilty_and_nobody_else(batch_size: int | None, fuse: bool, workers: int, bundle_seconds: float) -> None:
    script = dict.fromkeys((0, 13, 14), "exit")
    values, report = _run(
        Add(0), Deadly(script, batch_size), Add(1), num_workers=workers, fuse=fuse, bundle_seconds=bundle_seconds
    )
    assert sorted(values) == [n + 1 for n in range(40) if n not in script]
    assert sorted(failure.task_id for failure in report.failures) == ["0_0_0", "0_13_0", "0_14_0"]
    assert all(failure.attempts <= 3 for failure in report.failures)
    assert report.workers_lost <= 3 * len(script)


def test_all_guilty() -> None:
    values, report = _run(Deadly(dict.fromkeys(range(4), "exit")), count=4)
    assert values == []
    assert len(report.failures) == 4


def test_order_is_kept_through_deaths() -> None:
    values, report = _run(Add(0), Deadly({3: "exit", 20: "kill"}), Add(0), preserve_order=True, bundle_seconds=0.001)
    assert values == [n for n in range(40) if n not in (3, 20)]
    assert len(report.failures) == 2


def test_who_dies_once_is_innocent(tmp_path: Path) -> None:
    values, report = _run(Add(0), Deadly(dict.fromkeys((3, 9, 30), "kill"), 4, once=tmp_path))
    assert sorted(values) == list(range(40))
    assert report.failures == []
    assert report.workers_lost == 3


def test_behind_a_fan_out_that_nobody_declared() -> None:
    class Undeclared(Repeat):
        name = "undeclared"

        def process(self, task):  # type: ignore[no-untyped-def, override]
            return super().process(task)

    values, report = _run(Undeclared(3), Deadly({31: "exit", 111: "exit"}), Add(0), count=12)
    expected = [
        value for n in range(12) for value in Repeat(3).model(n) if value is not None and value not in (31, 111)
    ]
    assert sorted(values) == sorted(expected)
    assert sorted(failure.task_id for failure in report.failures) == ["0_11_1", "0_3_1"]


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("preserve_order", [True, False])
def test_an_iterator_that_dies_keeps_what_it_had_made(fuse: bool, preserve_order: bool) -> None:
    stages = (Add(0), LazyDeadly({130: "exit"}, 100, 0.002), Add(0))
    values, report = _run(*stages, count=3, fuse=fuse, preserve_order=preserve_order)
    assert sorted(values) == [*range(130), *range(200, 300)]
    if preserve_order:
        assert values == sorted(values)
    (failure,) = report.failures
    assert (failure.stage, failure.task_id, failure.attempts) == ("lazy_deadly", "0_1_0", 3)
    assert report.stage("lazy_deadly").tasks_out == 230


def test_children_of_an_iterator_that_kill_what_comes_next() -> None:
    class Undeclared(LazyDeadly):
        name = "undeclared"

        def process(self, task):  # type: ignore[no-untyped-def, override]
            return super().process(task)

    values, report = _run(Undeclared({}, 100, 0.002), Deadly({150: "kill", 151: "exit"}), Add(0), count=3)
    assert sorted(values) == [n for n in range(300) if n not in (150, 151)]
    assert [failure.stage for failure in report.failures] == ["deadly", "deadly"]


def test_a_source_that_dies_half_way() -> None:
    class Source(Count):
        name = "source"

        def process(self, task):  # type: ignore[no-untyped-def, override]
            import os
            import time

            for n in range(200):
                if n == 120:
                    os._exit(9)
                time.sleep(0.002)
                yield Number("n", n)

    values, report = _run(Source(200), Add(0), count=0)
    assert sorted(values) == list(range(120))
    assert [(failure.stage, failure.task_id) for failure in report.failures] == [("source", "0")]


def test_a_barrier_fails_as_a_whole() -> None:
    class All(Deadly):
        name = "all"
        topology = Topology.BARRIER

    values, report = _run(All({3: "exit"}, 4), count=6)
    assert values == []
    assert len(report.failures) == 6
    assert report.workers_lost == 3


def test_the_run_ends_with_the_guilty_task_if_it_shall() -> None:
    with pytest.raises(
        StageFailed, match=r"stage 'deadly'.* on task 0_5 after 3 attempts: WorkerLost: .*SIGSEGV"
    ) as caught:
        _run(Deadly({5: "segv"}), on_error="fail")
    assert isinstance(caught.value, WorkerLost)


@pytest.mark.parametrize("step", ["import", "setup_on_node", "setup"])
def test_workers_that_die_before_they_work_end_the_run(step: str) -> None:
    with pytest.raises(WorkerLost, match=r"exited with code 3 .*deadly_lifecycle.*\(attempt 3\)"):
        _run(Add(0), DeadlyLifecycle(step, "exit"))


@pytest.mark.parametrize("step", ["import", "setup_on_node", "setup"])
def test_a_worker_that_dies_once_before_it_works_is_replaced(step: str, tmp_path: Path) -> None:
    values, report = _run(Add(0), DeadlyLifecycle(step, "kill", once=tmp_path))
    assert len(values) == 40
    assert report.failures == []


def test_setup_that_raises_ends_the_run_at_once() -> None:
    with pytest.raises(SetupFailed, match=r"stage 'deadly_lifecycle' .* failed in setup: RuntimeError: told to fail"):
        _run(Add(0), DeadlyLifecycle("setup", "raise"))


@pytest.mark.parametrize("how", ["exit", "segv", "raise"])
def test_what_happens_in_teardown_costs_nothing(how: str) -> None:
    values, report = _run(Add(0), DeadlyLifecycle("teardown", how))
    assert len(values) == 40
    assert report.failures == []
    assert any("torn down" in warning or "teardown raised" in warning for warning in report.warnings)


def test_children_that_a_stage_forked_are_gone_with_the_run() -> None:
    import psutil

    before = psutil.Process().children(recursive=True)
    values, _ = _run(Deadly({3: "fork"}), count=6)
    assert sorted(values) == list(range(6))
    assert set(psutil.Process().children(recursive=True)) <= set(before)
