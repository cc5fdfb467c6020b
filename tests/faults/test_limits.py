"""Time, memory and progress are watched from outside."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from test_crashes import _run

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import OutOfMemory, RunStalled, SetupFailed, StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.resources import Resources
from nemo_curator.testing import numbers
from nemo_curator.testing.faults import Deadly, DeadlyLifecycle, LazyDeadly
from nemo_curator.testing.stages import Add


@pytest.mark.parametrize("how", ["hang_python", "hang_native", "stop"])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_task_that_takes_too_long_is_given_up(how: str, batch_size: int | None) -> None:
    values, report = _run(Add(0), Deadly({5: how}, batch_size).with_(timeout_s=0.5), Add(1), count=12)
    assert sorted(values) == [n + 1 for n in range(12) if n != 5]
    (failure,) = report.failures
    assert (failure.stage, failure.task_id) == ("deadly", "0_5_0")
    assert "TaskTimeout: its worker was killed as the call took longer than timeout_s=0.5" in failure.cause
    assert report.workers_lost == (1 if batch_size is None else 2)
    if how != "stop":
        assert "faults.py" in failure.details, "the stack of the worker when it was killed"


def test_a_step_of_an_iterator_that_takes_too_long() -> None:
    values, report = _run(LazyDeadly({35: "hang_native"}, 10).with_(timeout_s=0.5), Add(0), count=6)
    assert sorted(values) == [*range(35), *range(40, 60)]
    assert [failure.task_id for failure in report.failures] == ["0_3"]


@pytest.mark.parametrize("mode", ["threads", "inline"])
def test_where_nobody_can_be_killed_a_late_task_fails_when_it_returns(mode: str) -> None:
    values, report = _run(LazyDeadly({}, 2, slowly_s=0.3).with_(timeout_s=0.1), count=1, mode=mode)
    assert values == []
    assert "longer than timeout_s=0.1" in report.failures[0].cause


@pytest.mark.parametrize("how", ["hang_native", "stop"])
def test_a_setup_that_takes_too_long_ends_the_run(how: str) -> None:
    with pytest.raises(SetupFailed, match=r"stage 'deadly_lifecycle'.*had not set up within setup_timeout_s=0.5"):
        _run(Add(0), DeadlyLifecycle("setup", how), setup_timeout_s=0.5)


def test_a_teardown_that_takes_too_long_is_cut_off() -> None:
    values, report = _run(DeadlyLifecycle("teardown", "hang_native"), teardown_timeout_s=0.5, count=4)
    assert len(values) == 4
    assert any("was still busy after 0.5 s and was killed" in warning for warning in report.warnings)


@pytest.mark.parametrize(("how", "words"), [("hang_python", "faults.py"), ("stop", "is stopped by SIGSTOP")])
def test_a_run_that_stalls_says_why(how: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(RunStalled) as caught:
        _run(Add(0), Deadly({5: how}), stall_timeout_s=0.6, on_stall="abort", teardown_timeout_s=0.5, count=8)
    text = str(caught.value)
    assert "nothing has moved for" in text
    assert "segment 'add > deadly'" in text
    assert "is in a call of stage 'deadly'" in text
    assert words in text
    assert "nothing has moved for" in caplog.text


def test_threads_that_stall_show_their_stacks() -> None:
    pipeline = Pipeline("stalls", stages=[LazyDeadly({}, 3, slowly_s=0.4)])
    executor = LocalExecutor(mode="threads", num_workers=1, stall_timeout_s=0.15)
    assert len(pipeline.run(executor, initial_tasks=numbers(1)) or []) == 3
    assert pipeline.last_report is not None
    assert any("slowly_s" in warning for warning in pipeline.last_report.warnings)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_task_that_takes_too_much_memory_is_given_up(batch_size: int | None) -> None:
    stage = Deadly({5: "grow:600"}, batch_size).with_(resources=Resources(memory_gb=0.4))
    values, report = _run(Add(0), stage, count=8)
    assert sorted(values) == [n for n in range(8) if n != 5]
    (failure,) = report.failures
    assert (failure.stage, failure.task_id, failure.attempts) == ("deadly", "0_5_0", 3)
    assert "OutOfMemory: its worker was killed as it used" in failure.cause
    assert "more than the memory_gb=0.4 that its stage asks for" in failure.cause


def test_a_run_that_takes_too_much_memory_gives_up_the_largest() -> None:
    with pytest.raises(OutOfMemory, match=r"'deadly'.*task 0_2_0.*GiB, the most of all workers") as caught:
        _run(Add(0), Deadly({2: "grow:900"}), count=4, memory_gb=0.7, on_error="fail")
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, StageFailed)


def test_stages_that_need_memory_take_turns(tmp_path: Path) -> None:
    from nemo_curator.testing import Journal

    class Watched(Add):
        name = "watched"

        def __init__(self, journal: Journal) -> None:
            super().__init__(0)
            self.journal = journal

        def process(self, task: Any) -> Any:
            self.journal.note("in")
            for _ in range(20_000):
                pass
            self.journal.note("out")
            return task

    journal = Journal(tmp_path / "journal")
    stage = Watched(journal).with_(resources=Resources(memory_gb=3))
    _run(stage, count=30, memory_gb=5, num_workers=2, bundle_seconds=1e-6)
    assert journal.lines() == ["in", "out"] * 30


def test_more_memory_than_there_is_is_refused() -> None:
    from nemo_curator.errors import CapacityError

    with pytest.raises(CapacityError, match=r"stage 'add' .* needs 8 GiB of memory, but this run has 5"):
        _run(Add(0).with_(resources=Resources(memory_gb=8)), memory_gb=5)
