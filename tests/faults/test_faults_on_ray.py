"""What breaks on a cluster costs what it costs on one machine: the guilty tasks, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.errors import SetupFailed, StageFailed, WorkerLost
from nemo_curator.testing import BackendUnderTest, numbers
from nemo_curator.testing.faults import Deadly, DeadlyLifecycle, LazyDeadly
from nemo_curator.testing.stages import Add, Journaling, Repeat

pytestmark = pytest.mark.ray


def _run(backend: BackendUnderTest, *stages: Any, count: int = 40, **options: Any) -> tuple[list[int], Any]:
    options = {"on_error": "quarantine", **options}
    result = backend.run(*stages, tasks=numbers(count), **options)
    assert result.report.imbalances() == []
    return result.values, result.report


def test_deaths_of_every_kind_in_one_run(ray_backend: BackendUnderTest, tmp_path: Path) -> None:
    script = {7: "segv", 13: "kill", 14: "exit"}
    folder = str(tmp_path / "quarantine")
    values, report = _run(ray_backend, Add(0), Deadly(script), Add(1), quarantine_path=folder)
    assert values == [n + 1 for n in range(40) if n not in script]
    assert sorted((f.stage, f.task_id) for f in report.failures) == [("deadly", f"0_{n}_0") for n in (13, 14, 7)]
    assert all(failure.attempts == 3 for failure in report.failures)
    assert report.workers_lost == 9
    entries = Quarantine(folder).entries()
    assert sorted(Quarantine(folder).load(entry).data for entry in entries) == sorted(script)


def test_the_guilty_inside_of_batches(ray_backend: BackendUnderTest) -> None:
    made = [value for n in range(8) for value in Repeat(3).model(n) if value is not None]
    guilty = made[len(made) // 2]
    values, report = _run(ray_backend, Repeat(3), Deadly({guilty: "exit"}, 8), Add(0), count=8)
    assert values == sorted(value for value in made if value != guilty)
    assert {failure.stage for failure in report.failures} == {"deadly"}


def test_a_call_that_hangs_in_native_code(ray_backend: BackendUnderTest) -> None:
    values, report = _run(ray_backend, Add(0), Deadly({3: "hang_native"}).with_(timeout_s=1.0), count=6)
    assert values == [0, 1, 2, 4, 5]
    (failure,) = report.failures
    assert "TaskTimeout" in failure.cause
    assert failure.task_id == "0_3_0"


def test_an_iterator_that_dies_keeps_what_it_had_made(ray_backend: BackendUnderTest) -> None:
    values, report = _run(ray_backend, LazyDeadly({13: "exit"}, 10, 0.002), Add(0), count=3)
    assert values == [*range(13), *range(20, 30)]
    assert [failure.task_id for failure in report.failures] == ["0_1"]


def test_the_run_ends_with_the_guilty_task_if_it_shall(ray_backend: BackendUnderTest) -> None:
    with pytest.raises(StageFailed, match=r"stage 'deadly'.* on task 0_5 after 3 attempts: WorkerLost: .*SIGSEGV"):
        _run(ray_backend, Deadly({5: "segv"}), on_error="fail")


def test_setup_that_raises_ends_the_run(ray_backend: BackendUnderTest) -> None:
    with pytest.raises(SetupFailed, match=r"stage 'deadly_lifecycle' .* failed in setup: RuntimeError: told to fail"):
        _run(ray_backend, Add(0), DeadlyLifecycle("setup", "raise"))


def test_setup_that_hangs_ends_the_run(ray_backend: BackendUnderTest) -> None:
    with pytest.raises(SetupFailed, match="setup_timeout_s=1"):
        _run(ray_backend, DeadlyLifecycle("setup", "hang_native"), setup_timeout_s=1.0)


@pytest.mark.parametrize("step", ["import", "setup_on_node", "setup"])
def test_workers_that_die_before_they_work_end_the_run(ray_backend: BackendUnderTest, step: str) -> None:
    with pytest.raises(WorkerLost, match=r"exited with code 3 .*deadly_lifecycle.*\(attempt 3\)"):
        _run(ray_backend, Add(0), DeadlyLifecycle(step, "exit"))


def test_memory_that_a_stage_has_not_asked_for(ray_backend: BackendUnderTest) -> None:
    from nemo_curator.stages.resources import Resources

    stage = Deadly({3: "grow:600"}).with_(resources=Resources(cpus=1.0, memory_gb=0.3))
    values, report = _run(ray_backend, Add(0), stage, count=6)
    assert values == [0, 1, 2, 4, 5]
    assert "OutOfMemory" in report.failures[0].cause


def test_what_was_set_up_is_torn_down_when_the_run_is_left(ray_backend: BackendUnderTest) -> None:
    journal = ray_backend.journal()
    stream = ray_backend.pipeline(Journaling(journal)).stream(ray_backend.make(), initial_tasks=numbers(200))
    next(stream)
    stream.close()
    assert journal.count("journaling setup") == journal.count("journaling teardown") > 0


def test_what_stages_print_and_fork_harms_nobody(ray_backend: BackendUnderTest) -> None:
    values, _ = _run(ray_backend, Deadly({1: "flood", 3: "fork", 5: "large:8"}), count=8)
    assert values == list(range(8))
