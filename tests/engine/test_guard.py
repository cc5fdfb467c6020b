"""Who must be killed, told by readings and a clock that the test moves."""

from __future__ import annotations

import pytest

from nemo_curator.engine.beacon import Beacon, Where
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.guard import Guard, Reading
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.verdict import Death
from nemo_curator.stages.resources import Resources
from nemo_curator.testing import Number
from nemo_curator.testing.stages import Add

GIB = 1024**3


def _guard(stage: Add, memory: int | None = None, **options: float) -> tuple[Guard, Reading]:
    plan = compile_plan([stage], first_task=Number("n", 0))
    guard = Guard(plan, RunOptions(**options), memory, now=100.0)  # type: ignore[arg-type]
    return guard, Reading(7, plan.segments[0], Where(position=3, stage=0, since=100.0), 1 * GIB)


@pytest.mark.parametrize(("now", "killed"), [(101.9, False), (102.1, True)])
def test_a_call_that_takes_too_long(now: float, killed: bool) -> None:
    guard, reading = _guard(Add().with_(timeout_s=2))
    sentences = guard.judge(now, [reading])
    assert [sentence.worker for sentence in sentences] == [7] * killed
    if killed:
        assert sentences[0].death is Death.TIMED_OUT
        assert "timeout_s=2" in sentences[0].how


def test_time_between_calls_is_not_the_stages() -> None:
    guard, _ = _guard(Add().with_(timeout_s=2))
    plan = compile_plan([Add()], first_task=Number("n", 0))
    assert guard.judge(500.0, [Reading(7, plan.segments[0], Where(3))]) == []
    assert guard.judge(500.0, [Reading(7, None, Where(3, 0, 100.0))]) == []


def test_a_setup_that_takes_too_long() -> None:
    guard, reading = _guard(Add(), setup_timeout_s=5)
    setting_up = Reading(7, reading.busy_with, Where(-1, 0, 100.0))
    assert guard.judge(104.0, [setting_up]) == []
    (sentence,) = guard.judge(106.0, [setting_up])
    assert sentence.in_setup
    assert "setup_timeout_s=5" in sentence.how


def test_a_worker_that_takes_more_than_its_stage_asks_for() -> None:
    guard, reading = _guard(Add().with_(resources=Resources(memory_gb=0.5)))
    (sentence,) = guard.judge(100.1, [reading])
    assert sentence.death is Death.OUT_OF_MEMORY
    assert "1.00 GiB" in sentence.how
    assert "memory_gb=0.5" in sentence.how


def test_the_largest_busy_worker_goes_when_all_are_too_much() -> None:
    guard, reading = _guard(Add(), memory=2 * GIB)
    small = Reading(8, reading.busy_with, reading.where, GIB // 2)
    idle = Reading(9, None, Where(), GIB // 4)
    assert guard.judge(100.1, [reading, small, idle]) == []
    (sentence,) = guard.judge(100.1, [small, reading, idle], other_bytes=GIB)
    assert sentence.worker == 7
    assert "2.75 GiB of the 2.00" in sentence.how


def test_a_stall_is_told_once_in_a_while() -> None:
    guard, _ = _guard(Add(), stall_timeout_s=10)
    assert guard.stalled(109.0) == 0
    assert guard.stalled(111.0) == 11
    assert guard.stalled(112.0) == 0
    assert guard.stalled(122.0) == 22
    guard.moved(123.0)
    assert guard.stalled(132.0) == 0


def test_a_round_comes_often_enough_for_the_shortest_limit() -> None:
    assert _guard(Add().with_(timeout_s=0.4))[0].round_s == 0.1
    guard, _ = _guard(Add(), memory=GIB)
    assert [guard.due(now) for now in (100.0, 100.1, 100.3)] == [True, False, True]


def test_a_beacon_says_where_and_forgets() -> None:
    beacon = Beacon()
    assert beacon.read() == Where(0)
    beacon.rest()
    assert beacon.read() == Where()
    beacon.at(4)
    beacon.enter(2, 50.0)
    assert beacon.read() == Where(4, 2, 50.0)
    beacon.name(51.0, "0_1", members=3, made=9)
    assert beacon.read().task == "", "a name that belongs to the next call"
    beacon.enter(2, 51.0)
    assert beacon.read() == Where(4, 2, 51.0, "0_1", 3, 9)
    beacon.leave()
    assert beacon.read() == Where(4, -1, 0.0, "", 0, 0) or beacon.read().task == "0_1"
    beacon.at(5)
    assert beacon.read() == Where(5)


def test_a_long_id_keeps_its_end() -> None:
    beacon = Beacon()
    long = "_".join(map(str, range(5000)))
    beacon.at(0)
    beacon.name(1.0, long)
    beacon.enter(0, 1.0)
    assert long.endswith(beacon.read().task)
    assert Beacon.clip(beacon.read().task) == Beacon.clip(long)
